"""The level of the emptiest blocks, told from chance: the lower edge of what the blocks' true levels are.

A low quantile of measured levels mixes blocks that are empty with blocks that came out low by chance. So the
distribution of true levels is estimated first, by nonparametric maximum likelihood (Kiefer and Wolfowitz 1956;
Laird 1978).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special
from numpy.typing import NDArray

Array = NDArray[Any]

EMPTY = 0.1  # share of the blocks that are taken to hold nothing but noise
GRID = 80  # levels tried
ROUNDS = 300
ENOUGH = 3.0  # log likelihood that many levels must gain over one


def emptiest(levels: Array, chance: float) -> float:
    """Level of noise from those measured in blocks (B,), of relative variance `chance` each (a gamma distribution).

    One level for all where that explains them; else the `EMPTY` quantile of the levels that the blocks would show
    without chance.
    """
    edges = np.log([0.8 * np.quantile(levels, 0.001), max(np.quantile(levels, 0.9), levels.mean())])
    grid = np.exp(np.linspace(edges[0], edges[1], GRID))
    likelihoods = _log_gamma(levels[:, None], grid, 1 / chance)
    top = likelihoods.max(axis=1, keepdims=True)
    weights, total = _mixture(np.exp(likelihoods - top))
    one = float(_log_gamma(levels, levels.mean(), 1 / chance).sum())
    if total + float(top.sum()) - one < ENOUGH:
        return float(levels.mean())
    return float(np.interp(EMPTY, np.cumsum(weights), grid))


def _mixture(likelihoods: Array) -> tuple[Array, float]:
    """Weights (G,) of the levels by expectation-maximisation, and the log likelihood they reach."""
    weights = np.full(likelihoods.shape[1], 1 / likelihoods.shape[1])
    for _ in range(ROUNDS):
        shares = likelihoods * weights
        weights = (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)
    return weights, float(np.log(likelihoods @ weights).sum())


def _log_gamma(values: Array, mean: Array | float, shape: float) -> Array:
    """Log density of gamma distributions of those means."""
    scale = np.asarray(mean) / shape
    ratio = np.maximum(values, 1e-300) / scale
    return np.asarray((shape - 1) * np.log(ratio) - ratio - np.log(scale) - scipy.special.gammaln(shape))
