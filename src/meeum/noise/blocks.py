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
SEVERAL, ALIKE = (
    12,
    2.0,
)  # blocks that can agree on a slope, and by how many of their typical deviations it differs from 0
NOTHING = 1e-12  # of the mean power: no frequency is emptier, so that ratios and logarithms can be taken
PER_BLOCK = ("power", "means", "tails", "skews", "clips", "cut", "crowded", "centres")
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
    tried = [(places[i], _values(frames[places[i][0]], _region(places[i][1], chosen))) for i in order]
    read = [(place, values) for place, values in tried if values is not None]
    tilt = _tilt([values for _, values in read], window)
    rows = [(place, row) for place, values in read if (row := _row(values, tilt, window, change)) is not None]
    parts = {name: np.array([row[number] for _, row in rows]) for number, name in enumerate(PER_BLOCK[:-1])}
    shapes = [(corner, frames[index].shape) for (index, corner), _ in rows]
    parts["centres"] = np.array([(np.array(c) + np.array(chosen) / 2) / np.array(s) * 2 - 1 for c, s in shapes])
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


def _values(frame: Volume, region: Region) -> Array | None:
    """Of one block, float32; None where voxels were never measured."""
    values = frame.read(region)
    return values if frame.valid(values).all() and np.isfinite(values).all() else None


def _tilt(blocks: Sequence[Array], window: Array) -> Array:
    """The plane by which the background of a whole image slopes: along each axis the slope on which blocks agree."""
    tilt = np.zeros(window.shape)
    if len(blocks) < SEVERAL:
        return tilt
    for axis, side in enumerate(window.shape):
        place = (np.arange(side) - (side - 1) / 2).reshape([-1 if a == axis else 1 for a in range(window.ndim)])
        weights = place * window / max(float((place**2 * window).sum()), 1e-12)
        slopes = [(values * weights).sum(dtype=np.float64) for values in blocks]
        middle = float(np.median(slopes))
        if abs(middle) > ALIKE * np.median(np.abs(slopes - np.median(slopes))):
            tilt = tilt + middle * place
    return tilt


def _row(values: Array, tilt: Array, window: Array, change: Callable[[Array], Array] | None) -> tuple[Any, ...] | None:
    """What `PER_BLOCK` names but the centres, of one block; None of a constant one."""
    clip = clip_of(values)
    crowded = bool(np.isnan(clip)) and is_crowded(values)
    values = (change(values) if change else values).astype(np.float64)
    if np.ptp(values) <= 1e-6 * np.abs(values).max():  # clipped: no noise is left in it
        return None
    mean = _mean(values, window)
    level = values - tilt
    level -= _mean(level, window)
    power = np.abs(scipy.fft.rfftn(level * window)) ** 2
    skew = float(np.sum(level**3 * window**2) / np.sum(level**2 * window**2) ** 1.5)
    cut = float((values <= clip).mean())
    with np.errstate(over="ignore"):  # infinite: said by who measures
        power = smooth(power).astype(np.float32)
    return power, mean, tails_of(values), skew, clip, cut, crowded


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
