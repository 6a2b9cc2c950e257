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
ROUNDS, FEWER = 300, 120  # of expectation-maximisation; fewer where what is found is not one level
ENOUGH = 3.0  # log likelihood that many levels must gain over one
ALIKE = 1.2  # levels that many times the lowest are its scatter, and lie that close where empty blocks agree


def emptiest(levels: Array, chance: float) -> float:
    """Level of noise from those measured in blocks (B,), of relative variance `chance` each (a gamma distribution).

    One level for all where that explains them; else the `EMPTY` quantile of the levels that the blocks would show
    without chance.
    """
    grid, weights, gained = _levels(levels, chance, ROUNDS)
    return float(levels.mean()) if gained < ENOUGH else float(np.interp(EMPTY, np.cumsum(weights), grid))


def shared(power: Array, chance: Array) -> tuple[Array, NDArray[np.bool_]]:
    """What the emptiest blocks share at each of F frequencies, and whether they agree: (F,) each.

    Of `power` (B, F) with relative variances `chance` (F,). One level for all where that explains them; else the mean
    of those close to the lowest, and blocks agree where levels on both sides of `EMPTY` differ by no more than their
    scatter. Where every block holds signal of its own, they do not.
    """
    columns = power.T.astype(np.float64)
    found = [_lowest(one, spread) for one, spread in zip(columns, chance, strict=True)]
    levels, agree = zip(*found, strict=True)
    return np.array(levels), np.array(agree)


def _lowest(measured: Array, chance: float) -> tuple[float, bool]:
    grid, weights, gained = _levels(measured, chance, FEWER)
    if gained < ENOUGH:
        return float(measured.mean()), True
    below, edge, above = np.interp((EMPTY / 2, EMPTY, 2 * EMPTY), np.cumsum(weights), grid)
    close = grid <= ALIKE * edge
    mean = float((weights * grid)[close].sum() / max(weights[close].sum(), 1e-300))
    return max(float(edge), mean), bool(above < ALIKE * below)


def _levels(measured: Array, chance: float, rounds: int) -> tuple[Array, Array, float]:
    """A grid of levels (G,), their weights (G,) among the blocks, and what log likelihood they gain over one level."""
    high = max(np.quantile(measured, 0.9), measured.mean(), 1e-200)
    low = max(0.8 * np.quantile(measured, 0.001), 1e-12 * high)
    grid = np.exp(np.linspace(np.log(low), np.log(high), GRID))
    likelihoods = _log_gamma(measured[:, None], grid, 1 / chance)
    top = likelihoods.max(axis=1, keepdims=True)
    weights, total = _mixture(np.exp(likelihoods - top), rounds)
    one = float(_log_gamma(measured, measured.mean(), 1 / chance).sum())
    return grid, weights, total + float(top.sum()) - one


def _mixture(likelihoods: Array, rounds: int) -> tuple[Array, float]:
    """Weights (G,) of the levels by expectation-maximisation, and the log likelihood they reach."""
    weights = np.full(likelihoods.shape[1], 1 / likelihoods.shape[1])
    for _ in range(rounds):
        weights = weights * (likelihoods.T @ (1 / (likelihoods @ weights))) / len(likelihoods)
    return weights, float(np.log(likelihoods @ weights).sum())


def _log_gamma(values: Array, mean: Array | float, shape: float) -> Array:
    """Log density of gamma distributions of those means."""
    scale = np.asarray(mean) / shape
    ratio = np.maximum(values, 1e-300) / scale
    return np.asarray((shape - 1) * np.log(ratio) - ratio - np.log(scale) - scipy.special.gammaln(shape))
