"""A7: what the denoiser makes of beads that are put into the noisy image: their centres, and rings around them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from meeum.auditing.finding import FAIL, NEEDS_DENOISER, SEVERITY, Finding, Kind, Picture, Verdict, decide
from meeum.auditing.pair import Pair
from meeum.auditing.response import REACH, SIGMA, SPACING, STRENGTHS, Response, response

Array = NDArray[Any]

JUDGED = STRENGTHS[-1]  # weak beads may vanish
FEWEST = 6  # beads of which anything is told
UNIT = "of the bead's height"
CENTRE = Kind("beads", "bead response", UNIT, 1.0, "both", UNIT, 1.0)
OVER = replace(CENTRE, bound=0.4)
RINGS = Kind("beads", "rings around beads", UNIT, 0.0, "above", UNIT, 0.1)
HALF = 0.5  # of what the best linear filter would leave of a bead: less than that is a loss
DIFFERENT = "the beads differ too much from each other"
DROWNED = (
    "detail as fine as these beads hardly stands clear of this image's noise: even the best linear filter would leave "
    "{:.0f} % of them"
)


def beads(pair: Pair) -> list[Finding]:
    """Centre: ideal 1, a bead must not vanish and must not invert. Rings: ideal 0, at most 0.1 of the bead's height.

    Judged at the strongest beads: bright ones, and dark ones within cells. A denoiser knows no more of what beads look
    like than the image holds, so it must keep half of what the best linear filter would leave; where that filter itself
    leaves less than half of a bead, a loss tells nothing of the denoiser.
    """
    if pair.denoise is None:
        return _neither(NEEDS_DENOISER)
    found = response(pair)
    groups = [] if found is None else [found.of(JUDGED, *kind) for kind in ((1, "anywhere"), (-1, "cells"))]
    groups = [group for group in groups if np.count_nonzero(group) >= FEWEST]
    if found is None or not groups:
        return _neither(f"there is room for too few beads: it takes {FEWEST}, {SPACING} voxels apart")
    centre = _gravest([_centre(found.profile[group, 0], found.linear) for group in groups])
    ring = _gravest([_ring(found.profile[group]) for group in groups])
    told = _finding(centre, _centre_told(centre, found, int(sum(map(np.sum, groups)))), found, groups[0])
    if SEVERITY[told.verdict] < SEVERITY["warn"] and max(centre.value, found.linear) < HALF:
        told = replace(told, verdict="cannot tell", reason=DROWNED.format(100 * found.linear))
    return [told, _finding(ring, _ring_told(ring), found, groups[0])]


@dataclass(frozen=True)
class _Judged:
    """One group of beads: what was found, its standard error, the effect, how sure that is, and the verdict."""

    kind: Kind
    value: float
    error: float
    effect: float
    p_value: float
    limit: float
    radius: int = 0

    @property
    def verdict(self) -> Verdict:
        return decide(self.effect, self.kind.bound, p_value=self.p_value, limit=self.limit)


def _gravest(judged: list[_Judged]) -> _Judged:
    """Of several groups, which each had its chance: the p-value grows by their number (Bonferroni)."""
    fair = [replace(one, p_value=min(1.0, one.p_value * len(judged))) for one in judged]
    return max(fair, key=lambda one: (SEVERITY[one.verdict], one.effect / one.kind.bound))


def _centre(gains: Array, linear: float) -> _Judged:
    """How far the mean is from 1; a bead that vanished is worth a warning, an inverted one fails.

    Nothing is said where half of what the best linear filter leaves is kept.
    """
    gain, error, degrees = float(gains.mean()), _error(gains), len(gains) - 1
    kind, effect = CENTRE if gain < 1 else OVER, abs(1 - gain)
    if gain < 0 and student.sf(-gain / error, degrees) > FAIL:
        effect = 1.0  # an inversion that may be chance is no more than a bead that vanished
    allowed = 1 - HALF * linear if gain < 1 else kind.bound / 2
    p_value = float(student.sf((effect - allowed) / error, degrees))
    return _Judged(kind, gain, error, effect, p_value, kind.bound / 2 + _firm(error, degrees))


def _ring(profiles: Array) -> _Judged:
    """The greatest rise of the response farther out; one half of the beads says where, the other how much."""
    halves = [np.pad(profiles[part::2], ((0, 0), (0, 1))) for part in (0, 1)]  # far away there is nothing
    rises = []
    for chosen, judged in (halves, halves[::-1]):
        inner, outer = _steepest(chosen.mean(axis=0))
        rises.append(judged[:, outer] - judged[:, inner])
    rise, degrees = float(np.mean([one.mean() for one in rises])), len(profiles) - 2
    error = math.hypot(*(_error(one) for one in rises)) / 2
    outer = _steepest(np.pad(profiles.mean(axis=0), (0, 1)))[1]
    p_value = float(student.sf(rise / error, degrees))
    return _Judged(RINGS, rise, error, max(rise, 0.0), p_value, _firm(error, degrees), outer)


def _error(values: Array) -> float:
    """Standard error of the mean; not below rounding."""
    return max(float(values.std(ddof=1)) / math.sqrt(len(values)), 1e-6)


def _firm(error: float, degrees: int) -> float:
    """What chance exceeds once in 1 / FAIL times."""
    return error * float(student.isf(FAIL, degrees))


def _steepest(profile: Array) -> tuple[int, int]:
    """The radii, one before the other, between which a profile rises most."""
    rise = np.triu(profile[None, :] - profile[:, None], 1) - np.tril(np.full([len(profile)] * 2, np.inf))
    inner, outer = np.unravel_index(int(np.argmax(rise)), rise.shape)
    return int(inner), int(outer)


def _finding(judged: _Judged, sentence: str, found: Response, group: Array) -> Finding:
    value, error = judged.value, judged.error
    told = judged.kind.finding(
        value, judged.effect, sentence, p_value=judged.p_value, limit=judged.limit, reason=DIFFERENT
    )
    return replace(
        told,
        interval=(value - 1.96 * error, value + 1.96 * error),
        picture=Picture("mean response to a bead", found.plane[group].mean(axis=0), "of its height", diverging=True),
        details=_details(found),
    )


def _neither(reason: str) -> list[Finding]:
    return [kind.untold(reason, "What becomes of beads cannot be told.") for kind in (CENTRE, RINGS)]


def _centre_told(centre: _Judged, found: Response, count: int) -> str:
    gain, what = centre.value, f"{count} beads of {JUDGED:g} times the noise, put into the noisy image,"
    if gain < -0.05:
        return f"{what} come out inverted: {gain:.2f} of their height at the centre."
    told, linear = (
        f"{what} come out with {100 * max(gain, 0.0):.0f} % of their height at the centre",
        100 * found.linear,
    )
    if gain > 1:
        return f"{told}; more than {100 * (1 + OVER.bound / 2):.0f} % is worth a warning."
    return f"{told}; the best linear filter would leave {linear:.0f} %, and less than half of that is worth a warning."


def _ring_told(ring: _Judged) -> str:
    what = f"Around beads of {JUDGED:g} times the noise the response"
    if ring.value < RINGS.bound / 2:
        return f"{what} falls off without a ring."
    return f"{what} rises again, by {ring.value:.2f} of their height, {ring.radius} voxels from the centre: a ring."


def _details(found: Response) -> dict[str, Any]:
    """Of each strength, sign and place: how many beads, their mean gain and their mean profile."""
    told: dict[str, Any] = {"sigma_voxels": SIGMA, "radii_voxels": list(range(REACH + 1))}
    told["best_linear_filter"] = found.linear
    for strength, sign, where in product(STRENGTHS, (1, -1), ("cells", "background")):
        profiles = found.profile[found.of(strength, sign, where)]
        if len(profiles):
            profile = profiles.mean(axis=0).tolist()
            key = f"{'bright' if sign > 0 else 'dark'} {strength:g} {where}"
            told[key] = {"beads": len(profiles), "centre": profile[0], "profile": profile}
    return told
