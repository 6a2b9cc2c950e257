"""What the values themselves tell, wherever they lie: quantisation, clipping, pile-up at one value, counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, skew

from meeum.errors import UsageError

Array = NDArray[Any]
ENOUGH = 1_500_000  # values beyond this many are thinned: shares are known to 1e-3 by then
CROWDED = 3.0  # times more than its surroundings must a value be met to count as clipped or piled up
LEAST_SHARE = 0.01  # pile-ups of fewer voxels than this change no mean


@dataclass(frozen=True)
class Values:
    """What was found of the values; shares are of all voxels (0 to 1), None says: there is nothing of this kind."""

    count: int
    distinct: int
    minimum: float
    maximum: float
    tied: float  # share of voxels whose value another voxel has as well
    at_minimum: float  # share of voxels exactly at the minimum
    at_maximum: float
    integer: bool = False  # whole numbers: counts or grey levels
    step: float | None = None  # of the grid on which the values lie
    on_grid: float = 0.0  # share of voxels on it, to float32 rounding
    clipped_low: bool = False
    clipped_high: bool = False
    bias: float | None = None  # by which clipping raised the mean of the background, in data units
    pile_up_at: float | None = None
    pile_up_share: float = 0.0  # share of voxels within pile_up_tolerance of that value ...
    pile_up_expected: float = 0.0  # ... and the share that the density beside it would put there
    pile_up_tolerance: float = 0.0
    skewness: float | None = None  # of the values around the pile-up
    findings: tuple[str, ...] = ()  # one sentence for each thing a user should know


def describe_values(values: Array, *, medium_index: float | None = None) -> Values:
    """Quantisation, clipping and pile-up of measured values, of any shape; give no voxels without data."""
    ordered = _ordered(values)
    rounding = 2 * float(np.spacing(np.float32(np.abs(ordered[[0, -1]]).max())))
    distinct, counts = np.unique(ordered, return_counts=True)
    known = Values(
        count=int(np.size(values)),
        distinct=len(distinct),
        minimum=float(ordered[0]),
        maximum=float(ordered[-1]),
        tied=float(counts[counts > 1].sum() / ordered.size),
        at_minimum=float(counts[0] / ordered.size),
        at_maximum=float(counts[-1] / ordered.size),
    )
    if len(distinct) == 1:
        return replace(known, findings=(f"All voxels hold the same value, {_text(known.minimum)}.",))
    known = _with_grid(known, distinct, counts, rounding)
    width = known.step or rounding
    low, high = _stands_out(ordered, width), _stands_out(-ordered[::-1], width)
    known = replace(known, clipped_low=low, clipped_high=high)
    if known.clipped_low:
        known = replace(known, bias=_clipping_bias(distinct, counts, known.step or 0.0))
    known = _with_pile_up(known, ordered, width, medium_index)
    return replace(known, findings=_findings(known, ordered, medium_index))


def _ordered(values: Array) -> Array:
    """Finite values, sorted, float64."""
    flat = np.asarray(values).reshape(-1)
    flat = flat[:: -(-flat.size // ENOUGH) or 1]
    finite = flat[np.isfinite(flat)]
    if finite.size == 0:
        raise UsageError(
            f"values: expected at least one finite value, was given {np.size(values)} values, none of them"
        )
    return np.sort(finite).astype(np.float64)


def _with_grid(known: Values, distinct: Array, counts: Array, rounding: float) -> Values:
    """Tries a few of the smallest gaps between values as the step; fewer than five values lie on many grids."""
    whole = bool((distinct == np.rint(distinct)).all())
    gaps = np.diff(distinct)
    gaps = gaps[gaps > 2 * rounding]
    if len(distinct) < 5 or len(gaps) == 0:
        return replace(known, integer=whole, step=1.0 if whole else None, on_grid=float(whole))
    fits = [_grid(distinct, counts, float(np.quantile(gaps, q, method="lower")), rounding) for q in (0, 0.1, 0.5)]
    share, step = max(fits)
    if share < 0.95 or step < 16 * rounding:
        return known
    return replace(known, integer=whole, step=1.0 if whole and abs(step - 1) < 1e-6 else step, on_grid=share)


def _grid(distinct: Array, counts: Array, gap: float, rounding: float) -> tuple[float, float]:
    """Share of voxels on the grid whose step is about `gap`, and the step, fitted to all distinct values."""
    near = np.diff(distinct)
    step = float(np.mean(near[np.abs(near / gap - 1) < 0.2]))
    level = np.concatenate([[0.0], np.cumsum(np.rint(near / step))])
    if level[-1] == 0:
        return 0.0, gap
    step, origin = np.polyfit(level, distinct, 1, w=np.sqrt(counts))
    if step <= 0:
        return 0.0, gap
    off = np.abs(distinct - origin - step * np.rint((distinct - origin) / step))
    others = np.where(2 * counts > counts.sum(), 0, counts)  # a value that most voxels have lies on every grid
    return float(others[off <= rounding].sum() / others.sum()), float(step)


def _stands_out(ordered: Array, width: float) -> bool:
    """Whether the lowest value is met much more often than the three levels after it: noise has tails, a clip none."""
    levels = np.searchsorted(ordered, ordered[0] + width * (np.arange(5) - 0.5))
    first, *after = np.diff(levels)
    return bool(first >= 8 and first > CROWDED * max(after) and first >= 1e-4 * ordered.size)


def _clipping_bias(distinct: Array, counts: Array, step: float) -> float | None:
    """Rise of the mean of Gaussian noise clipped from below, from the first values above the clip.

    With t = (clip - mean)/sigma, n voxels at the clip are a share Phi(t) of the background, and the next n/4 and n/2
    end at the quantiles Phi(t)5/4 and Phi(t)3/2; the ratio of these two excesses gives t, their size sigma.
    The rise is sigma (t Phi(t) + phi(t)): 0.4 sigma where the clip is at the mean. A level of quantised data holds
    what lay up to half a step above it.
    """
    met, ends = np.cumsum(counts), distinct + step / 2
    if met[0] < max(100, LEAST_SHARE * met[-1]) or 1.5 * met[0] >= met[-1]:
        return None
    excess = np.interp([1.25 * met[0], 1.5 * met[0]], met, ends) - ends[0]
    t = np.linspace(-2.5, 0.42, 200)
    first, second = (norm.ppf(more * norm.cdf(t)) - t for more in (1.25, 1.5))
    ratio = excess[1] / excess[0]
    if excess[0] < 1.5 * step or not (second / first)[0] <= ratio <= (second / first)[-1]:
        return None
    place = float(np.interp(ratio, second / first, t))
    sigma = excess[1] / np.interp(place, t, second)
    place -= step / 2 / sigma
    return float(sigma * (place * norm.cdf(place) + norm.pdf(place)))


def _with_pile_up(known: Values, ordered: Array, width: float, medium_index: float | None) -> Values:
    for centre in (medium_index, _mode(ordered)):
        if centre is not None and known.minimum - width <= centre <= known.maximum + width:
            found = _pile_up(known, ordered, width, float(centre))
            if found is not None:
                return found
    return known


def _pile_up(known: Values, ordered: Array, width: float, centre: float) -> Values | None:
    """The widest tolerance at which values crowd; a quiet background crowds too, but not on all smaller scales."""
    distance = np.abs(ordered - centre)
    beside = distance[distance > width]
    if beside.size < 100:
        return None
    spread = float(np.median(beside))
    for tolerance in 0.1 * spread * 0.5 ** np.arange(16):
        if tolerance < 0.6 * width:
            return None
        inside, expected = _crowd(ordered, centre, tolerance)
        core, around_core = _crowd(ordered, centre, max(tolerance / 8, 0.6 * width))
        crowded = inside > CROWDED * expected and core > CROWDED * around_core
        if crowded and inside - expected >= LEAST_SHARE:
            around = ordered[distance < 10 * spread]
            return replace(
                known,
                pile_up_at=centre,
                pile_up_share=inside,
                pile_up_expected=expected,
                pile_up_tolerance=float(tolerance),
                skewness=float(skew(around)) if np.ptp(around) > 0 else None,
            )
    return None


def _crowd(ordered: Array, centre: float, tolerance: float) -> tuple[float, float]:
    """Share within `tolerance` of `centre`, and what the denser side, two to four times as far, would put there."""
    edges = np.searchsorted(ordered, centre + tolerance * np.array([-4, -2, -1, 1, 2, 4]))
    low, _, inside, _, high = np.diff(edges)
    return float(inside / ordered.size), float(max(low, high) / ordered.size)


def _mode(ordered: Array) -> float:
    """The half-sample mode (Robertson and Cryer 1974): the densest half of the densest half, and so on."""
    while ordered.size > 3:
        half = -(-ordered.size // 2)
        start = int(np.argmin(ordered[half - 1 :] - ordered[: ordered.size - half + 1]))
        ordered = ordered[start : start + half]
    return float(np.median(ordered))


def _findings(known: Values, ordered: Array, medium_index: float | None) -> tuple[str, ...]:
    said = []
    spread = float(np.subtract(*np.quantile(ordered, [0.75, 0.25])))
    if known.integer:
        said.append(
            f"All values are whole numbers, from {known.minimum:.0f} to {known.maximum:.0f}: counts or grey levels."
        )
    elif known.step and known.step > 1e-3 * spread:
        said.append(
            f"The values are quantised in steps of {known.step:.3g}, as whole numbers in the file or its source are."
        )
    if known.clipped_low:
        said.append(_clip_sentence(known, medium_index))
    if known.clipped_high:
        share = _percent(known.at_maximum)
        said.append(f"{share} of the voxels lie exactly at {_text(known.maximum)}, and none above: they are saturated.")
    place = known.pile_up_at
    if place is not None and not (known.clipped_low and place - known.minimum <= known.pile_up_tolerance):
        said.append(_pile_up_sentence(known, medium_index))
    return tuple(said)


def _clip_sentence(known: Values, medium_index: float | None) -> str:
    at_medium = medium_index is not None and abs(known.minimum - medium_index) < 1e-4
    where = f"{_text(known.minimum)}{', the index of the medium' if at_medium else ''}"
    counts = " (or they count photons, and there were none)" if known.integer and known.minimum == 0 else ""
    sentence = (
        f"{_percent(known.at_minimum)} of the voxels lie exactly at {where}, and none below: they were clipped there"
    )
    bias = f"; the mean of the background is biased upward by about {known.bias:.2g}" if known.bias else ""
    return f"{sentence}{counts}{bias}."


def _pile_up_sentence(known: Values, medium_index: float | None) -> str:
    at_medium = known.pile_up_at == medium_index
    crowd = f"{known.pile_up_share / known.pile_up_expected:.0f} times" if known.pile_up_expected else "far"
    cause = (
        "as a non-negativity constraint leaves them"
        if at_medium
        else "as clipping, padding or a constraint leaves them"
    )
    if known.step and known.pile_up_tolerance < 1.5 * known.step:
        cause += ", or the noise of the background is smaller than one step"
    tail = f"; the tails are one-sided (skewness {known.skewness:.1f})" if abs(known.skewness or 0) > 1 else ""
    return (
        f"{_percent(known.pile_up_share)} of the voxels lie within {known.pile_up_tolerance:.1g} of "
        f"{_text(known.pile_up_at or 0.0)}{', the index of the medium' if at_medium else ''}, "
        f"{crowd} more than the density beside it would put there, {cause}{tail}."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.{2 if share < 0.095 else 3}g} %"


def _text(value: float) -> str:
    return f"{value:.6g}"
