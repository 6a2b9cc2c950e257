"""Means with errors that correlated noise does not fool, and the findings they lead to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from meeum.auditing.finding import WARN, Finding, Kind
from meeum.auditing.pair import Piece
from meeum.auditing.sampling import Floats, Mask
from meeum.noise import Noise

Array = NDArray[Any]
Ints = tuple[int, ...]

CELL = 8  # side of the cells whose means are compared, in units of the shortest voxel edge
FULL = 0.5  # share of a cell that must have been measured
POWER = 0.1  # chance to overlook an effect as large as the stated limit


@dataclass(frozen=True)
class Estimate:
    """A number, its standard error, and the degrees of freedom that this error has.

    bias  what a faultless result is expected to be off by at most, with its sign
    """

    value: float
    error: float
    freedom: float
    bias: float = 0.0

    def interval(self) -> tuple[float, float]:
        """95 % confidence interval."""
        reach = self.error * _quantile(self.freedom, 0.025)
        low, high = sorted((self.value, self.value - self.bias))
        return low - reach, high + reach

    def shift(self, ideal: float) -> float:
        """How far from the ideal, less as much of the bias as explains it."""
        low, high = sorted((0.0, self.bias))
        return self.value - ideal - min(max(self.value - ideal, low), high)


def judged(kind: Kind, estimate: Estimate, sentence: str, *, tests: int = 1) -> Finding:
    """The finding for an estimate, exact if its error is 0; of `tests` estimates it is the worst (Bonferroni)."""
    sides = 2 if kind.worse == "both" else 1
    shift = estimate.shift(kind.ideal)
    effect = abs(shift) if sides == 2 else max(0.0, shift)
    exact = estimate.error == 0
    p_value = math.nan if exact else min(1.0, sides * tests * _tail(estimate.freedom, effect / estimate.error))
    reach = _quantile(estimate.freedom, WARN / sides / tests) + _quantile(estimate.freedom, POWER)
    limit = estimate.error * reach + abs(estimate.bias)
    reason = _hidden(kind, limit)
    found = kind.finding(estimate.value, effect, sentence, p_value=p_value, limit=limit, reason=reason)
    return replace(found, interval=estimate.interval())


def judged_ratio(kind: Kind, estimate: Estimate, sentence: str, *, weight: float = 1.0) -> Finding:
    """The same for a ratio, ideally 1, whose `error` is that of its logarithm; an excess of 1 matters by `weight`.

    A ratio of nothing has no logarithm, and so no interval.
    """
    ratio, error = max(estimate.value, 1e-12), estimate.error
    sides = 2 if kind.worse == "both" else 1
    effect = abs(ratio - 1) if sides == 2 else max(0.0, ratio - 1)
    p_value = min(1.0, sides * _tail(estimate.freedom, abs(math.log(ratio)) / error)) if effect > 0 else 1.0
    reach = _quantile(estimate.freedom, WARN / sides)
    limit = weight * (1 - math.exp(-reach * error) if sides == 2 else max(0.0, ratio * math.exp(reach * error) - 1))
    wide, reason = math.exp(_quantile(estimate.freedom, 0.025) * error), _hidden(kind, limit)
    found = kind.finding(estimate.value, weight * effect, sentence, p_value=p_value, limit=limit, reason=reason)
    return replace(found, interval=(ratio / wide, ratio * wide)) if estimate.value >= ratio else found


def _hidden(kind: Kind, limit: float) -> str:
    return f"an effect of up to {limit:.2g} {kind.effect_unit} could hide in the noise".replace("  ", " ")


def _tail(freedom: float, errors: float) -> float:
    """Chance of lying so many standard errors off, to one side (Student 1908)."""
    return float(special.stdtr(freedom, -errors))


def _quantile(freedom: float, share: float) -> float:
    return -float(special.stdtrit(freedom, share))


def cell_sides(ratios: Sequence[float], *, side: float = CELL) -> Ints:
    """Voxels per axis of cells that are about cubes."""
    return tuple(max(1, round(side / ratio)) for ratio in ratios)


def cell_sums(values: Array, sides: Ints) -> Array:
    """Sums over cells of `sides` voxels; the last cell of an axis may be smaller."""
    exact = values.dtype == np.float64
    for axis, side in enumerate(sides):
        if side == 1:
            continue
        body, rest = np.split(values, [values.shape[axis] // side * side], axis=axis)
        split = body.reshape(*values.shape[:axis], -1, side, *values.shape[axis + 1 :])
        values = split.sum(axis + 1, dtype=np.float64 if exact else None)
        if rest.shape[axis]:
            values = np.concatenate([values, rest.sum(axis, keepdims=True)], axis=axis)
        values, exact = values.astype(np.float64, copy=False), True  # a few float32 values are added exactly enough
    return values


def cell_means(values: Array, valid: Mask, sides: Ints) -> Array:
    """Means over cells of `values`, which are 0 where not valid; nan where less than half a cell was measured."""
    counts = cell_sums(valid.astype(np.float32), sides)
    means = np.divide(cell_sums(values, sides), counts, out=np.full(counts.shape, np.nan), where=counts > 0)
    return np.where(counts >= FULL * math.prod(sides), means, np.nan)


def scaled(piece: Piece) -> Floats:
    """The residual in noise standard deviations, 0 where not valid."""
    return np.divide(piece.residual, piece.level, out=np.zeros_like(piece.noisy), where=piece.level > 0)


def cell_variance(noise: Noise, sides: Ints) -> float:
    """Variance of a cell's mean over that of a voxel, for noise alone: sum C(lag) prod((1 - |lag| / side) / side)."""
    correlation = noise.correlation()
    weights = np.ones(())
    for size, side in zip(correlation.shape, sides, strict=True):
        lags = np.abs(np.arange(size) - size // 2)
        weights = np.multiply.outer(weights, np.maximum(1 - lags / side, 0) / side)
    return max(0.0, float((correlation * weights).sum()))


def widening(noise: Noise, sides: Ints) -> float:
    """Variance of a mean over many cells over that of as many cells whose noise is independent, 1 or more.

    sum C(lag) over the cells' own share of it; along a side of 1 each cell stands for itself, and only lag 0 counts.
    """
    correlation, own = noise.correlation(), cell_variance(noise, sides)
    for axis, side in enumerate(sides):
        if side == 1:
            correlation = np.take(correlation, [correlation.shape[axis] // 2], axis=axis)
    return max(1.0, float(correlation.sum()) / math.prod(sides) / own) if own > 0 else 1.0


def masked_mean(sums: Array, counts: Array, *, wide: float) -> Estimate:
    """Mean over a mask from the sums and counts of its cells: ratio estimator (Cochran 1977), its error widened."""
    used = counts > 0
    sums, counts = sums[used].astype(float), counts[used].astype(float)
    total = counts.sum()
    if total == 0:
        return Estimate(math.nan, math.nan, 0.0)
    mean = float(sums.sum() / total)
    freedom = float(total**2 / (counts**2).sum()) - 1
    rest = (sums - mean * counts) / total
    error = math.sqrt(wide * float((rest**2).sum()) * (1 + 1 / freedom)) if freedom > 0 else math.nan
    return Estimate(mean, error, freedom)


def central(values: Array, *, wide: float) -> Estimate:
    """Median of the cells' means, which structure lost in few cells does not move; its error as of Gaussian noise."""
    error = robust_spread(values) * math.sqrt(math.pi / 2 * wide / values.size)
    return Estimate(float(np.median(values)), error, values.size - 1.0)


def robust_spread(values: Array) -> float:
    """Standard deviation from the median absolute deviation."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def grouped_slope(x: Array, y: Array, group: Array) -> Estimate:
    """Slope of y on x, both of mean 0, with a jackknife that leaves out one group at a time (Quenouille 1956)."""
    squares, products = np.bincount(group, x * x), np.bincount(group, x * y)
    total = float(squares.sum())
    share = squares / total if total > 0 else np.ones(1)
    freedom = 1 / float((share**2).sum()) - 1
    if total == 0 or freedom < 1:
        return Estimate(math.nan, math.nan, 0.0)
    slope = float(products.sum()) / total
    changes = (products - slope * squares) / total / (1 - share)  # of the slope when a group is left out
    return Estimate(slope, math.sqrt(float((changes**2).sum())), freedom)
