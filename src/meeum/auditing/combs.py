"""Lines in a spectrum: power against what surrounds it, by a law taken from the other bins of the same spectrum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from scipy.signal.windows import hann, tukey

from meeum.auditing.tails import Tail, fit_tail

Array = NDArray[Any]
Wave = tuple[float, ...]  # cycles per voxel, one entry per axis

LONGEST = 16  # voxels: slower waves cannot be told from cells
FEWEST_CYCLES = 5  # of a wave across the field
COMMON = (2, 3, 4, 8)  # strides and periods that networks have
LEAST_SIDE = 32  # voxels along y and x
LONG_AXIS, SHORT_AXIS = 32, 12  # along shorter ones a frequency is compared with its next, or with itself alone
BOX, BESIDE, BESIDE_SHORT = 7, 6, 4  # bins that are averaged, and how far away: beyond the window's main lobe
MOST_SUMMITS = 8
HIGH_PASS = 31  # voxels


@dataclass(frozen=True)
class Comb:
    """Half a power spectrum (rfftn) of a field of `sides`, its ratio to what surrounds it, and each bin's chance."""

    sides: tuple[int, ...]
    power: Array
    background: Array
    chance: Array  # that any bin would stand out as much; 1 where nothing is sought
    law: Tail
    tried: int  # bins of common periods, and as much again for each of the other kinds

    def summits(self, chance: float) -> list[tuple[int, ...]]:
        """Bins that stand out with a smaller chance, the strongest first; none in the main lobe of another."""
        places = np.argwhere(self.chance < chance)
        order = np.argsort(-self.power[tuple(places.T)], kind="stable")
        found: list[tuple[int, ...]] = []
        for place in places[order].tolist():
            if len(found) < MOST_SUMMITS and all(self._apart(place, other) for other in found):
                found.append(tuple(place))
        return found

    def _apart(self, one: Any, other: Any) -> bool:
        """Not in the main lobe of a stronger one, nor in its skirt along one axis, where that is a thousand times."""
        gaps = [min((a - b) % n, (b - a) % n) for a, b, n in zip(one, other, self.sides, strict=True)]
        skirt = sum(gap > 2 for gap in gaps) == 1 and max(gaps) <= 12
        return max(gaps) > 3 and not (skirt and self.power[tuple(one)] < 1e-2 * self.power[tuple(other)])

    def contrast(self, place: tuple[int, ...]) -> float:
        """Power over that in the quieter directions around: across the slope to the specimen's coarse waves."""
        *planes, row, column = place
        reach, levels = np.arange(-(BOX // 2), BOX // 2 + 1), []
        for shift in ((0, BESIDE), (BESIDE, 0), (BESIDE, BESIDE), (BESIDE, -BESIDE)):
            boxes = []
            for sign in (-1, 1):
                rows = (row + sign * shift[0] + reach) % self.sides[-2]
                columns = mirrored(column + sign * shift[1] + reach, self.power.shape[-1])
                box = self.power[(*planes, rows[:, None], columns)]
                boxes.append(math.exp(float(np.mean(np.log(np.maximum(box, 1e-30)))) + np.euler_gamma))
            levels.append(sum(boxes) / 2)
        return float(self.power[place]) / max(sorted(levels)[1], 1e-30)

    def place(self, wave: Wave) -> tuple[int, ...]:
        """The bin next to a wave or to its mirror image."""
        bins = [round(k * side) % side for k, side in zip(wave, self.sides, strict=True)]
        if bins[-1] >= self.power.shape[-1]:
            bins = [-at % side for at, side in zip(bins, self.sides, strict=True)]
        return tuple(bins)

    def around(self, axis: int, period: int) -> float:
        """Power around a wave along one axis."""
        bins = round(self.sides[axis] / period)
        return float(self.background[tuple(bins if a == axis % len(self.sides) else 0 for a in range(len(self.sides)))])

    def faintest(self, chance: float, axis: int, period: int) -> float:
        """The power that would stand out of its surroundings at a common period along one axis."""
        return self.around(axis, period) * self.law.needed(chance / self.tried, 1 / period)

    def wave(self, place: tuple[int, ...]) -> Wave:
        """Frequency of a line, finer than the bins, from the two neighbours of its summit under a Hann window."""
        found = []
        for axis, (at, side) in enumerate(zip(place, self.sides, strict=True)):
            near = [math.sqrt(max(self._at(place, axis, at + step), 0)) for step in (-1, 0, 1)]
            alpha = max(near[0], near[2]) / max(near[1], 1e-30)
            shift = float(np.clip((2 * alpha - 1) / (alpha + 1), 0, 0.5)) * math.copysign(1, near[2] - near[0])
            bins = at + (shift if side >= 8 and near[0] != near[2] else 0.0)
            found.append((bins / side + 0.5) % 1 - 0.5 if axis < len(self.sides) - 1 else bins / side)
        return tuple(found)

    def _at(self, place: tuple[int, ...], axis: int, index: int) -> float:
        """Power beside a bin; beyond the half that is kept lies the mirror image of the other half."""
        moved = [index if a == axis else at for a, at in enumerate(place)]
        if not 0 <= moved[-1] < self.power.shape[-1]:
            moved = [-at for at in moved]
        return float(self.power[tuple(at % n for at, n in zip(moved, self.sides, strict=True))])


def taper(sides: tuple[int, ...], share: float = 1.0) -> Array:
    """A Hann window (share 1), or one that falls in the outer `share` only; flat along an axis too short for it."""
    window = np.ones((1,) * len(sides), np.float32)
    for axis, side in enumerate(sides):
        line = np.ones(side) if side < 8 else hann(side + 2)[1:-1] if share == 1 else tukey(side + 2, share)[1:-1]
        window = window * line.astype(np.float32).reshape([-1 if a == axis else 1 for a in range(len(sides))])
    return np.asarray(window)


def high_passed(values: Array, valid: Array, box: int = HIGH_PASS) -> Array:
    """Values less the mean of the valid voxels around, 0 where not valid: waves of half the box stay as they are."""
    size = [min(box, (side - 1) // 2 * 2 + 1) for side in values.shape]
    size = [side if side >= 5 else 1 for side in size] if values.ndim == 3 else size
    centred = np.where(valid, values, 0).astype(np.float32)
    share = np.float32(1) if valid.all() else np.maximum(uniform_filter(valid.astype(np.float32), size), 1e-3)
    return np.asarray((centred - uniform_filter(centred, size) / share) * valid, np.float32)


def comb(power: Array, sides: tuple[int, ...], floor: float) -> Comb:
    """The power against its surroundings; `floor` is power too faint to matter."""
    background = _background(np.maximum(power, np.float32(1e-6 * floor)).astype(np.float32), sides)
    counts = background > floor
    background = np.maximum(background, np.float32(floor))
    grids = _frequencies(sides)
    radius = np.sqrt(np.asarray(sum(k**2 for k in grids), np.float32))
    # A real coefficient has a chi-squared power of one degree of freedom, whose tail falls half as fast.
    own = np.asarray(math.prod((np.abs(k) % 0.5 == 0).astype(int) for k in grids), bool)
    ratio = np.asarray(power / background / np.where(own, 2, 1), np.float32)
    searched = _searched(grids, sides)
    law = fit_tail(ratio[searched], radius[searched], counts[searched])
    tries, common = _tries(grids, sides, searched)
    chance = np.ones(ratio.shape, np.float32)
    chance[searched] = np.minimum(law.chance(ratio[searched], radius[searched]) * tries[searched], 1)
    return Comb(sides, np.asarray(power, np.float32), background, chance, law, common)


def project(values: Array, wave: Wave) -> complex:
    """Sum of values * exp(-2 pi i wave . place)."""
    left: Array = values
    for side, k in reversed(list(zip(values.shape, wave, strict=True))):
        left = left @ np.exp(-2j * np.pi * k * np.arange(side)).astype(np.complex64)
    return complex(left)


def is_common(wave: Wave, sides: tuple[int, ...]) -> bool:
    """Whether a wave belongs to a lattice of a common period, to half a bin."""
    gaps = [min(abs(k * p - round(k * p)) / p for p in COMMON) for k in wave]
    return all(gap * side < 0.5 for gap, side in zip(gaps, sides, strict=True))


def is_real(wave: Wave, sides: tuple[int, ...]) -> bool:
    """Whether a wave is its own mirror image (of period 2), to a quarter of a bin."""
    return all(abs(2 * k - round(2 * k)) * side < 0.5 for k, side in zip(wave, sides, strict=True))


def boxed(values: Array, sides: tuple[int, ...]) -> Array:
    """Mean over the bins around, of half a spectrum."""
    size = [BOX if side >= LONG_AXIS else 3 if side >= SHORT_AXIS else 1 for side in sides]
    return np.asarray(uniform_filter(values, size, mode=["wrap"] * (len(sides) - 1) + ["mirror"]))


def mirrored(bins: Array, count: int) -> Array:
    period = 2 * max(count - 1, 1)
    bins = np.abs(bins) % period
    return np.asarray(np.where(bins < count, bins, period - bins))


def _background(power: Array, sides: tuple[int, ...]) -> Array:
    """Expected power of each bin: of the means of two opposite neighbouring boxes the highest.

    The highest, so that the edge of the optical support and the ridges of cells count as surroundings. Boxes hold the
    mean of logs, which the few bins of a lattice hardly move; of an exponential it lies Euler's constant under the
    log of the mean.
    """
    means = np.exp(local_log(power, sides))
    steps = [(-BESIDE, 0, BESIDE) if axis >= len(sides) - 2 else (0,) for axis in range(len(sides))]
    shifts = [shift for shift in product(*steps) if shift > (0,) * len(sides)]
    if len(sides) == 3 and sides[0] >= SHORT_AXIS:  # ridges along z
        shifts.append((BESIDE if sides[0] >= LONG_AXIS else BESIDE_SHORT, 0, 0))
    highest = np.zeros(means.shape, np.float32)
    for shift in shifts:
        opposite = tuple(-step for step in shift)
        np.maximum(highest, (_moved(means, shift) + _moved(means, opposite)) / 2, out=highest)
    return highest


def local_log(power: Array, sides: tuple[int, ...]) -> Array:
    """Log of the expected power, from the bins around."""
    return boxed(np.log(power), sides) + np.float32(np.euler_gamma)


def _moved(values: Array, shift: tuple[int, ...]) -> Array:
    columns = mirrored(np.arange(values.shape[-1]) + shift[-1], values.shape[-1])
    rolled = np.roll(values, shift[:-1], tuple(range(len(shift) - 1))) if any(shift[:-1]) else values
    return np.asarray(rolled[..., columns] if shift[-1] else rolled)


def _frequencies(sides: tuple[int, ...]) -> list[Array]:
    """Signed frequencies per axis, cycles per voxel, of half a spectrum; they broadcast."""
    lines = [scipy.fft.fftfreq(side).astype(np.float32) for side in sides[:-1]]
    lines.append(np.arange(sides[-1] // 2 + 1, dtype=np.float32) / np.float32(sides[-1]))
    return list(np.ix_(*lines))


def _searched(grids: list[Array], sides: tuple[int, ...]) -> Array:
    """Bins of periods up to `LONGEST` along some axis, each once: half of the planes that mirror themselves."""
    fast = [(np.abs(k) >= 1 / LONGEST) & (np.abs(k) * n >= FEWEST_CYCLES) for k, n in zip(grids, sides, strict=True)]
    kept = np.asarray(fast[0])
    for one in fast[1:]:
        kept = kept | one
    double = np.ones((1,) * len(sides), bool)
    for k in reversed(grids):
        own = np.abs(k) % 0.5 == 0
        kept = kept & ~(double & ~own & (k < 0))
        double = double & own
    return np.asarray(kept)


def _tries(grids: list[Array], sides: tuple[int, ...], searched: Array) -> tuple[Array, int]:
    """How many bins each was chosen from (Bonferroni), and how many the commonest: a third of the chance for each kind.

    Waves of common periods along all axes, waves along y and x alone, and all others.
    """
    shares = [m / p for p in COMMON for m in range(-p // 2, p // 2 + 1)]
    common = np.ones((1,) * len(sides), bool)
    for k, side in zip(grids, sides, strict=True):
        common = common & (np.min([np.abs(k - share) for share in shares], axis=0) <= 0.5 / side)
    flat = np.ones(searched.shape, bool) if len(sides) == 2 else np.broadcast_to(grids[0] == 0, searched.shape)
    counts = [3 * max(int(np.count_nonzero(searched & kind)), 1) for kind in (common, flat)]
    tries = np.where(common, counts[0], np.where(flat, counts[1], 3 * np.count_nonzero(searched)))
    return np.broadcast_to(tries, searched.shape), counts[0]
