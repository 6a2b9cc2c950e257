"""Stripes and seams: rows, columns or planes with offsets, and steps between tiles, that the method laid in."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, uniform_filter1d
from scipy.stats import norm
from scipy.stats import t as student

from meeum.auditing.finding import FAIL, WARN, Finding, Kind, Picture, Place, seen_from, unseen_below
from meeum.auditing.pair import Pair
from meeum.auditing.profiles import FEWEST, Profile, profiles
from meeum.noise.lines import find_seams, find_stripes

Array = NDArray[Any]
STRIPES, SEAMS = "stripes", "seams"
KINDS = {
    name: Kind("lines", f"{name} made by the method", "sigma", 0.0, "above", "sigma", bound)
    for name, bound in ((STRIPES, 0.05), (SEAMS, 0.1))
}
NEAR = 9  # lines over which an offset is compared with those around
LAGS = 6  # lines over which noise may be correlated
WIDTH, CLEAR = 4, 8  # lines on each side of a seam that are averaged, and over which none is as high
OUTLYING = 4  # one segment in so many may differ from the others
SHARP = (0.4, 1.8)  # height of a seam from its two nearest lines alone, over that from `WIDTH` lines
NAMES = {"Z": "planes", "Y": "rows", "X": "columns"}


@dataclass(frozen=True)
class Mark:
    """Stripes across an axis, or a seam before a line: what the method made of it, sigma, and that chance explains it.

    limit  the smallest that would have been found
    place  piece, position along the axis (of a seam)
    """

    axis: str
    size: float
    p_value: float
    limit: float
    place: tuple[int, int] = (0, -1)
    per_plane: bool = False


def lines(pair: Pair) -> list[Finding]:
    """Stripes and seams made by the method: steps of the denoised image that the residual has with opposite sign.

    value: standard deviation of the stripes' offsets, height of the highest seam; sigma; ideal 0, damage above.
    """
    stripes, seams = list[Mark](), list[Mark]()
    for number, piece in enumerate(pair.pieces):
        for whole in profiles(piece, per_plane=False):
            stripes += _stripes(whole, per_plane=False)
            seams += _seams(whole, number)
        for each in profiles(piece, per_plane=True) if piece.valid.ndim == 3 else ():
            stripes += _stripes(each, per_plane=True)
    return [_finding(STRIPES, stripes, pair), _finding(SEAMS, seams, pair)]


def _stripes(profile: Profile, *, per_plane: bool) -> list[Mark]:
    """Regression of the residual's offsets on the denoised image's: -1 for stripes that were made.

    Offsets of the input that are kept are not in the residual, those that were taken out have one sign in both.
    Their size is the covariance of parts of a line that do not touch, so that noise has none.
    """
    cuts = [_offsets(one, profile.weight) for one in (profile.denoised, profile.residual)]
    after, taken = (
        _offsets(_joined(one, profile.weight), None)[..., 0] for one in (profile.denoised, profile.residual)
    )
    power, count = max(float((after**2).sum()), 1e-30), after.size
    slope = float((after * taken).sum()) / power
    rest = taken - slope * after
    spread = max(1 + 2 * sum(_lag(after, lag) * _lag(rest, lag) for lag in range(1, LAGS)), 0.3)
    freedom = max(count * (1 - 1 / NEAR) / max(spread, 1) - 2, 2)
    error = math.sqrt(spread * float((rest**2).sum()) / freedom / count)  # of the residual's mean offset
    p_value = float(student.cdf(slope * math.sqrt(power / count) / max(error, 1e-30), freedom))
    shared = -_shared(cuts[0], cuts[1])
    least = _least(float(student.isf(FAIL / 5, freedom)) * error, power / count)
    return [Mark(profile.axis, math.sqrt(max(shared, 0.0)), p_value, least, per_plane=per_plane)]


def _least(reach: float, power: float) -> float:
    """What would have been found of a size that is seen down to `reach`, beside what the result has of its own."""
    return math.sqrt((reach * reach + reach * math.sqrt(reach * reach + 4 * power)) / 2)


def _joined(values: Array, weight: Array) -> Array:
    return np.asarray((values * weight).sum(-1) / np.maximum(weight.sum(-1), 1e-30))[..., None]


def _offsets(values: Array, weight: Array | None) -> Array:
    """Each line's mean less that of the lines around."""
    kept = np.ones(values.shape) if weight is None else weight
    around = uniform_filter1d(values * kept, NEAR, axis=1) / np.maximum(uniform_filter1d(kept, NEAR, axis=1), 1e-30)
    return np.asarray(values - around)


def _lag(values: Array, lag: int) -> float:
    power = float((values**2).mean())
    return float((values[:, lag:] * values[:, :-lag]).mean()) / power if power > 0 else 0.0


def _shared(one: Array, other: Array) -> float:
    """Mean product of the offsets of different segments of a line."""
    count: int = one.shape[-1]
    if count < 2:
        return float((one * other).mean())
    crossed = np.mean(one.sum(-1) * other.sum(-1) - (one * other).sum(-1))
    return float(crossed) / (count * (count - 1))


def _seams(profile: Profile, piece: int) -> list[Mark]:
    """Steps of the denoised image that the residual has with opposite sign, in all segments taken together.

    A seam is sharp, and none beside it is as high: edges that were blurred have lesser steps on both sides.
    """
    after = _bends(profile.denoised[0])
    taken = _steps(profile.residual[0], profile.weight[0])
    scale = np.maximum(1.4826 * np.median(np.abs(taken - np.median(taken, axis=0)), axis=0), 1e-6)
    against = np.sort(-after * taken, axis=1)
    few = against.shape[1] // OUTLYING  # an edge of the specimen lies in few segments, a seam in most
    against = against[:, : against.shape[1] - few].sum(1)
    z_score = against / np.sqrt(np.maximum((after**2 * scale**2).sum(1), 1e-30))
    z_score /= max(1.0, 1.4826 * float(np.median(np.abs(z_score))))
    strength = ((taken / scale) ** 2).sum(1)
    highest = strength >= maximum_filter1d(strength, 2 * CLEAR + 1)
    size = np.maximum((taken**2).sum(1), 1e-30)
    ratio = -(after * taken).sum(1) / size
    held = ((after + _bends(profile.residual[0])) * taken).sum(1) / size  # 1 where a seam of the input was taken out
    good = highest & (ratio > SHARP[0]) & (ratio < SHARP[1]) & (held < 0.5)
    height = np.sqrt(np.maximum((taken**2 - scale**2).mean(1), 0))
    reach = float(norm.isf(FAIL / (3 * len(taken)))) * float(np.sqrt(np.mean(scale**2) / (after.shape[1] - few)))
    least = _least(reach, float(np.median((after**2).mean(1))))
    best = np.flatnonzero(good & (z_score > 3))
    best = best[np.argsort(-z_score[best])][:8]
    found = [(float(height[p]), min(1.0, float(norm.sf(z_score[p])) * len(taken)), int(p) + WIDTH) for p in best]
    found = found or [(0.0, 1.0, -1)]
    return [Mark(profile.axis, max(size, 0), p_value, least, (piece, place)) for size, p_value, place in found]


def _bends(values: Array) -> Array:
    """The step to a line, less the mean of the steps beside it, at the places of `_steps`: of smooth things nothing."""
    jump = np.diff(values, axis=0)
    return np.asarray((jump[1:-1] - (jump[:-2] + jump[2:]) / 2)[WIDTH - 2 : len(values) - WIDTH - 1])


def _steps(values: Array, weight: Array) -> Array:
    """Mean of the `WIDTH` lines from each on, less that of as many before it: (lines - 2 WIDTH + 1, segments)."""
    totals = [
        np.cumsum(np.concatenate([np.zeros((1, one.shape[1])), one]), axis=0) for one in (values * weight, weight)
    ]
    sums, sizes = (total[WIDTH:] - total[:-WIDTH] for total in totals)
    means = sums / np.maximum(sizes, 1e-30)
    return np.asarray(means[WIDTH:] - means[:-WIDTH])


def _finding(kind: str, marks: list[Mark], pair: Pair) -> Finding:
    if not marks:
        reason = f"no part of {FEWEST} lines with noise was looked at"
        return KINDS[kind].untold(reason, f"Whether there are {KINDS[kind].title} cannot be told: {{}}.")
    tests = len(marks)
    there = [mark for mark in marks if mark.p_value * tests < WARN]
    there.sort(key=lambda mark: (mark.p_value * tests >= FAIL, -mark.size))
    first = there[0] if there else None
    effect, p_value = (first.size, min(1.0, first.p_value * tests)) if first else (0.0, 1.0)
    limit = max((mark.limit for mark in marks if mark.axis != "Z" and not mark.per_plane), default=math.inf)
    reason, known = unseen_below(kind, limit), _known(kind, pair)
    sentence = _sentence(kind, first, limit, known)
    told = KINDS[kind].finding(effect, effect, sentence, p_value=p_value, limit=limit, reason=reason)
    details = {"made": [vars(mark) for mark in there[:8]], "in the input": [one.sentence for one in known]}
    return replace(told, places=_places(kind, there, pair), picture=_picture(kind, first, pair), details=details)


def _known(kind: str, pair: Pair) -> tuple[Any, ...]:
    """Those of the noisy image itself, in the first piece."""
    piece = pair.pieces[0]
    step = math.ceil(piece.valid.size / 2**21) if piece.valid.ndim == 3 else 1
    noisy, valid = piece.noisy[::step] if step > 1 else piece.noisy, piece.valid[::step] if step > 1 else piece.valid
    return find_stripes(noisy, valid) if kind == STRIPES else find_seams(noisy, valid)


def _sentence(kind: str, mark: Mark | None, limit: float, known: tuple[Any, ...]) -> str:
    before = f" The noisy image has {kind} of its own: {known[0].sentence}" if known else ""
    if mark is None:
        return f"No new {kind}.{seen_from('Any of', limit)}{before}"
    if kind == SEAMS:
        at = mark.place[1]
        what = f"A step of {mark.size:.2g} times the noise runs between the {NAMES[mark.axis]} {at - 1} and {at}"
        return f"{what} of the result and not of the noisy image: a seam of tiles that the method made.{before}"
    own = ", other ones in each plane," if mark.per_plane else ""
    return (
        f"The {NAMES[mark.axis]} of the result have offsets{own} of {mark.size:.2g} times the noise, and those of the "
        f"noisy image have none: the method made stripes.{before}"
    )


def _places(kind: str, marks: list[Mark], pair: Pair) -> tuple[Place, ...]:
    """The middle of each seam."""
    found = []
    for mark in marks if kind == SEAMS else ():
        piece = pair.pieces[mark.place[0]]
        inside = [n / 2 for n in piece.valid.shape]
        inside["ZYX"[-piece.valid.ndim :].index(mark.axis)] = float(mark.place[1])
        found.append(Place(piece.frame, piece.place(tuple(inside)), max(piece.valid.shape) / 2, mark.size))
    return tuple(found[:8])


def _picture(kind: str, mark: Mark | None, pair: Pair) -> Picture | None:
    """The residual of a plane, where lines that were made stand out of the noise, averaged over planes."""
    if mark is None:
        return None
    residual = pair.pieces[mark.place[0]].residual
    plane = residual.mean(0) if residual.ndim == 3 else residual
    return Picture(
        f"{kind}: residual, averaged over planes" if residual.ndim == 3 else f"{kind}: residual",
        plane,
        "data units",
        diverging=True,
    )
