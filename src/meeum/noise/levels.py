"""What the strength of the noise follows from block to block: nothing, the place, or the signal."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meeum.noise.blocks import BlockSpectra
from meeum.noise.noise import place_terms

Array = NDArray[Any]

SIMPLER = 1.25  # how much less scatter a cause must leave than none
PARTS, FEW = 6, 3  # of the range of mean values, and blocks of one that count
MUCH, FAR_SIMPLER = 1.5, 2.0  # how much levels must vary with a signal that few blocks hold, and how well it explains


def explain(measured: Array, blocks: BlockSpectra) -> tuple[Array, str]:
    """Levels predicted by nothing, place or mean value: the simplest that explains what varies between blocks."""
    logs = np.log(measured + 1e-300)
    fits = {"nothing": _fit(np.ones((len(logs), 1)), logs)}
    places = place_terms(blocks.centres[:, np.ptp(blocks.centres, axis=0) > 0])
    if len(logs) >= 4 * places.shape[1]:
        fits["place"] = np.clip(_fit(places, logs), *np.quantile(logs, (0.02, 0.98)))
    if np.ptp(blocks.means) > 0 and len(logs) >= 12:
        fits["signal"] = np.log(_line(blocks.means, measured))
    scatter = {name: _scatter(logs - fit) for name, fit in fits.items()}
    cause = min(scatter, key=lambda name: scatter[name] * (1.0 if name == "nothing" else SIMPLER))
    if cause == "nothing" and "signal" in fits and _explains_few(logs, fits, blocks.means):
        cause = "signal"
    levels = np.exp(fits[cause])
    return levels / levels.mean(), cause


def _line(means: Array, measured: Array) -> Array:
    """Variance as read + gain * mean: relative errors count, and blocks far above the line (textures) hardly do."""
    unit = float(np.median(measured))
    design, measured = np.stack([np.ones(len(means)), (means - means.min()) / np.ptp(means)], axis=1), measured / unit
    line: Array = np.ones(len(means))
    for _ in range(20):
        rest = measured / line - 1
        scale = max(1.5 * float(np.median(np.abs(rest))), 0.03)
        robust = 1 / (1 + np.where(rest > 0, rest / scale, rest / (2 * scale)) ** 2)
        weighted = design * (robust / line**2)[:, None]
        line = design @ np.linalg.lstsq(weighted.T @ design, weighted.T @ measured, rcond=None)[0]
        line = np.maximum(line, 0.02)
    return np.asarray(unit * line)


def _fit(design: Array, logs: Array) -> Array:
    """Least squares in which blocks far above the fit (they hold signal) hardly count."""
    ridge = 2e-5 * len(logs) * np.diag([0.0] + [1.0] * (design.shape[1] - 1))
    beta: Array = np.zeros(design.shape[1])
    beta[0] = np.median(logs)
    for _ in range(20):
        rest = logs - design @ beta
        scale = max(1.5 * float(np.median(np.abs(rest))), 0.03)
        robust = 1 / (1 + np.where(rest > 0, rest / scale, rest / (2 * scale)) ** 2)
        weighted = design * robust[:, None]
        beta = np.linalg.solve(weighted.T @ design + ridge, weighted.T @ logs)
    return np.asarray(design @ beta)


def _explains_few(logs: Array, fits: dict[str, Array], means: Array) -> bool:
    """Whether the signal explains the blocks that hold any, which may be so few that the scatter of all says nothing.

    Blocks are taken by parts of the range of mean values, each of which counts as much.
    """
    parts = np.digitize(means, np.linspace(means.min(), means.max(), PARTS + 1)[1:-1])
    alike = [parts == part for part in range(PARTS) if (parts == part).sum() >= FEW]
    off = {name: np.abs(logs - fit - np.median(logs - fit)) for name, fit in fits.items()}
    without, within = (np.mean([np.median(off[name][part]) for part in alike]) for name in ("nothing", "signal"))
    return bool(np.ptp(fits["signal"]) > np.log(MUCH) and without > FAR_SIMPLER * max(within, 0.03))


def _scatter(rest: Array) -> float:
    return max(float(np.median(np.abs(rest - np.median(rest)))), 0.03)
