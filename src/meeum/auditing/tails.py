"""The law of a spectrum's ratios far out in its tail, taken from the spectrum itself."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
LEVELS = (0.3, 0.1, 1 / 30)  # share of the bins above the quantiles to which the law is fitted
STEP = math.log(3)  # from one to the next, for an exponential
SHAPES = (0.03, 0.2)  # of the law's tail: 0 would be an exponential
FEWEST_PER_BAND = 2000
ENOUGH = 30_000  # bins of which quantiles are taken
FEWEST = 200  # bins to which a law is fitted; fewer are taken for noise


@dataclass(frozen=True)
class Tail:
    """Generalised Pareto tails (Pickands 1975) of the ratios of independent bins, in rings of frequency."""

    rings: tuple[float, ...]  # inner radii, cycles per voxel
    starts: tuple[float, ...]
    scales: tuple[float, ...]
    shape: float

    def chance(self, ratio: Array, radius: Array) -> Array:
        """That a bin would show such a ratio."""
        found = np.ones(ratio.shape, np.float32)
        high = ratio > min(self.starts)
        ring = np.clip(np.searchsorted(self.rings, radius[high], side="right") - 1, 0, None)
        start, scale = (np.asarray(one)[ring] for one in (self.starts, self.scales))
        inner = 1 + self.shape * np.maximum(ratio[high] - start, 0) / scale
        found[high] = LEVELS[-1] * inner ** (-1 / self.shape)
        return found

    def needed(self, chance: float, radius: float) -> float:
        """The ratio that has so small a chance."""
        ring = max(bisect_right(self.rings, radius) - 1, 0)
        top = (chance / LEVELS[-1]) ** -self.shape - 1
        return float(self.starts[ring] + self.scales[ring] * top / self.shape)


def fit_tail(ratio: Array, radius: Array, counts: Array) -> Tail:
    """The tail of the ratios ring by ring, of bins that count: the few bins of a lattice do not move its quantiles."""
    number = int(np.clip(ratio.size // FEWEST_PER_BAND, 1, 6))
    rings = np.quantile(radius, np.arange(number) / number) if ratio.size else np.zeros(1)
    ring = np.clip(np.searchsorted(rings, radius, side="right") - 1, 0, None)
    quantiles = [_quantiles(ratio[(ring == one) & counts]) for one in range(len(rings))]
    steps = [(second - first, start - second) for first, second, start in quantiles]
    growth = np.mean([math.log(max(high, 1e-6) / max(low, 1e-6)) for low, high in steps])
    shape = float(np.clip(growth / STEP, *SHAPES))
    scales = tuple(max(low, high, 0.5 * STEP) / STEP * math.exp(shape * STEP / 2) for low, high in steps)
    return Tail(tuple(rings.tolist()), tuple(one[-1] for one in quantiles), scales, shape)


def _quantiles(ratio: Array) -> tuple[float, float, float]:
    """Of the ratios, or where they are few, of independent noise."""
    if ratio.size < FEWEST:
        return -math.log(LEVELS[0]), -math.log(LEVELS[1]), -math.log(LEVELS[2])
    first, second, start = np.quantile(ratio[:: 1 + ratio.size // ENOUGH], [1 - level for level in LEVELS]).tolist()
    return first, second, start
