"""Power spectra of blocks: what all later steps of the measurement look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.typing import NDArray

from meeum.noise.clipping import clip_of, is_crowded
from meeum.noise.impulses import tails_of
from meeum.volume import Region, Volume

Array = NDArray[Any]
Ints = tuple[int, ...]

SIDES = (32, 24, 16)  # longest sides of a block that are tried, voxels
ENOUGH = 60  # blocks among which some may be empty
MOSTLY = 0.5  # share of a block's variance from which a slope is taken for that of the background
NOTHING = 1e-12  # of the mean power: no frequency is emptier, so that ratios and logarithms can be taken
PER_BLOCK = ("power", "means", "centres", "tails", "skews", "clips", "cut", "crowded")
MOST = {2: 1000, 3: 300}  # blocks that are looked at, by the number of axes


@dataclass(frozen=True)
class BlockSpectra:
    """Spectra of B blocks of `sides` voxels.

    power   (B, *half) variance per frequency, its mean over all frequencies the variance of the block; half spectra
            as `rfftn` gives them
    means   (B,) mean value, data units
    centres (B, axes) where in the frame, from -1 to 1 along each axis
    tails   (B,) how much larger the deviations from a median of 3x3 are than their median says: about 1 for Gaussian
            noise, above 2 where few voxels are far off; nan where most neighbours are equal
    skews   (B,) skewness under the window: about 0 for noise, positive where bright dots stand out of it
    clips   (B,) value below which all were cut off, nan where none were
    cut     (B,) share of voxels that lie there
    crowded (B,) whether one value fills a part of the block, as padding does
    tried   how many blocks were read; constant ones and those with voxels that were
            never measured are left out
    """

    power: Array
    means: Array
    centres: Array
    tails: Array
    skews: Array
    clips: Array
    cut: Array
    crowded: NDArray[np.bool_]
    sides: Ints
    tried: int

    def only(self, chosen: NDArray[np.bool_]) -> BlockSpectra:
        """Some of the blocks, (B,)."""
        return replace(self, **{name: getattr(self, name)[chosen] for name in PER_BLOCK})


def block_spectra(
    frames: Sequence[Volume],
    *,
    signal: Sequence[Volume] = (),
    longest: Ints = SIDES,
    times: int = 1,
    change: Callable[[Array], Array] | None = None,
) -> BlockSpectra:
    """Windowed periodograms of at most `times` `MOST` blocks, drawn at random from half-overlapping ones of all frames.

    Mean values are taken from `signal` (one frame for each of `frames`, differences say) if it is given; `change`
    alters the values of a block first.
    """
    chosen = block_sides([frame.shape for frame in frames], longest)
    window = _window(chosen)
    places = [(index, corner) for index, frame in enumerate(frames) for corner in _corners(frame.shape, chosen)]
    order = np.random.default_rng(0).permutation(len(places))[: times * MOST[len(chosen)]]
    tried = [(places[i], _row(frames[places[i][0]], places[i][1], window, change)) for i in order]
    rows = [(place, row) for place, row in tried if row is not None]
    parts = {name: np.array([row[number] for _, row in rows]) for number, name in enumerate(PER_BLOCK)}
    if signal:
        regions = ((signal[index], _region(corner, chosen)) for (index, corner), _ in rows)
        parts["means"] = np.array([_mean(frame.read(region), window) for frame, region in regions])
    return BlockSpectra(**parts, sides=chosen, tried=len(order))


def block_sides(shapes: Sequence[Ints], longest: Ints = SIDES) -> Ints:
    """Even sides that fit into the smallest frame: the first of `longest` that gives `ENOUGH` blocks."""
    smallest = [min(sides) for sides in zip(*shapes, strict=True)]
    for most in longest:
        sides = tuple(max(1, min(most, side // 2 * 2)) for side in smallest)
        if sum(1 for shape in shapes for _ in _corners(shape, sides)) >= ENOUGH:
            break
    return sides


def _corners(shape: Ints, sides: Ints) -> Iterator[Ints]:
    cuts = []
    for size, side in zip(shape, sides, strict=True):
        count = 1 if size == side else -(-2 * (size - side) // side) + 1
        cuts.append(np.unique(np.linspace(0, size - side, count).round().astype(int)).tolist())
    yield from product(*cuts)


def _window(sides: Ints) -> Array:
    """Hann window; its squares sum to one, so that a periodogram's mean is the variance."""
    window: Array = np.ones(())
    for side in sides:
        window = np.multiply.outer(window, np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2)
    return np.asarray(window / np.sqrt((window**2).sum()))


def _mean(values: Array, window: Array) -> float:
    return float((values * window).sum() / window.sum())


def _region(corner: Ints, sides: Ints) -> Region:
    return tuple(slice(c, c + s) for c, s in zip(corner, sides, strict=True))


def _row(frame: Volume, corner: Ints, window: Array, change: Callable[[Array], Array] | None) -> tuple[Any, ...] | None:
    """What `PER_BLOCK` names, of one block; None of a constant one, or where voxels were never measured."""
    values = frame.read(_region(corner, window.shape)).astype(np.float64)
    if not frame.valid(values).all() or not np.isfinite(values).all():
        return None
    clip = clip_of(values)
    crowded = bool(np.isnan(clip)) and is_crowded(values)
    values = change(values) if change else values
    if np.ptp(values) <= 1e-6 * np.abs(values).max():  # clipped: no noise is left in it
        return None
    mean = _mean(values, window)
    level = _level(values - mean, window)
    power = np.abs(scipy.fft.rfftn(level * window)) ** 2
    skew = float(np.sum(level**3 * window**2) / np.sum(level**2 * window**2) ** 1.5)
    centre = (np.array(corner) + np.array(window.shape) / 2) / np.array(frame.shape) * 2 - 1
    cut = float((values <= clip).mean())
    return smooth(power).astype(np.float32), mean, centre, tails_of(values), skew, clip, cut, crowded


def _level(values: Array, window: Array) -> Array:
    """Values of mean 0 without a background's slope: of each axis along which it is most of what the block holds."""
    for axis, side in enumerate(values.shape):
        place = (np.arange(side) - (side - 1) / 2).reshape([-1 if a == axis else 1 for a in range(values.ndim)])
        weight = float((place**2 * window).sum())
        slope = (values * place * window).sum() / max(weight, 1e-12)
        if slope**2 * weight > MOSTLY * (values**2 * window).sum():
            values = values - slope * place
    return values


def smooth(power: Array) -> Array:
    """Mean over three neighbouring frequencies per axis."""
    for axis in range(power.ndim):
        last = axis == power.ndim - 1
        power = scipy.ndimage.uniform_filter1d(power, 3, axis=axis, mode="mirror" if last else "wrap")
    return np.asarray(np.maximum(power, NOTHING * power.mean()))  # running sums may go below 0


def cycles(sides: Ints) -> Array:
    """Length of the wave vector of each frequency of a half spectrum, cycles per voxel."""
    axes = [np.fft.fftfreq(side) for side in sides[:-1]] + [np.fft.rfftfreq(sides[-1])]
    squares = [k**2 for k in np.meshgrid(*axes, indexing="ij", sparse=True)]
    return np.asarray(np.sqrt(sum(squares[1:], squares[0])))


def multiplicity(sides: Ints) -> Array:
    """How often each frequency of a half spectrum stands in the full one; 0 for the mean."""
    counts = np.full((*sides[:-1], sides[-1] // 2 + 1), 2.0)
    counts[..., 0] = 1
    if sides[-1] % 2 == 0:
        counts[..., -1] = 1
    counts.flat[0] = 0
    return counts


def chance(sides: Ints, frequencies: NDArray[np.bool_]) -> float:
    """Relative variance of the mean power of white noise over `frequencies` (*half) of one block.

    Neighbouring frequencies agree as far as the window's square spreads them.
    """
    mirrored = np.roll(np.flip(frequencies), 1, axis=tuple(range(len(sides) - 1)))
    full = np.concatenate([frequencies, mirrored[..., 1 : sides[-1] - frequencies.shape[-1] + 1]], axis=-1)
    weights = scipy.ndimage.uniform_filter(full.astype(float), 3, mode="wrap")
    spread = np.abs(scipy.fft.fftn(_window(sides) ** 2)) ** 2
    pairs = scipy.fft.ifftn(np.abs(scipy.fft.fftn(weights)) ** 2).real
    return float(2 * (spread * pairs).sum() / weights.sum() ** 2)


def white_blocks(sides: Ints, count: int) -> BlockSpectra:
    """Spectra of white noise of variance 1: what every estimate is calibrated on."""
    rng = np.random.default_rng(0)
    window = _window(sides)
    rows = [np.abs(scipy.fft.rfftn(rng.standard_normal(sides) * window)) ** 2 for _ in range(count)]
    power = np.array([smooth(row) for row in rows], dtype=np.float32)
    none = np.zeros(count)
    return BlockSpectra(
        power=power,
        means=none,
        centres=np.zeros((count, len(sides))),
        tails=none + 1,
        skews=none,
        clips=none + np.nan,
        cut=none,
        crowded=none.astype(bool),
        sides=sides,
        tried=count,
    )
