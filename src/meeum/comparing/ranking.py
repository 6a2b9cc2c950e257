"""Which of several settings, and how sure: paired differences of their estimated errors, over regions and seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SURE = 2.0  # standard errors within which a difference is a tie
AS_CHEAP = 1.1  # times the least cost: no difference worth a choice


@dataclass(frozen=True)
class Contestant:
    """A setting to be ranked.

    losses   (seeds, regions) estimated squared errors; nan in a row whose run has none
    fails    how many findings of the audit failed in any of its runs
    seconds  of training, a mean over seeds
    """

    name: str
    losses: Array
    fails: int = 0
    seconds: float = 0.0

    @property
    def mse(self) -> float:
        known = self.losses[np.isfinite(self.losses).all(1)]
        return float(known.mean()) if known.size else math.nan


@dataclass(frozen=True)
class Difference:
    """Estimated squared error less that of the best that may be chosen; a tie within two standard errors."""

    name: str
    value: float
    standard_error: float

    @property
    def is_tie(self) -> bool:
        return not abs(self.value) > SURE * self.standard_error  # also where the error is not known


@dataclass(frozen=True)
class Ranking:
    """What comes of it; names.

    leader       the lowest estimated error of all
    best         the lowest of those that may be chosen: where some audits do not fail, of those
    chosen       the default, unless another is better beyond doubt; else of all that tie with the best, the one with
                 fewest fails, then the cheapest
    differences  of every setting to the best, the lowest estimated error first
    seeds        how many the scatter of training is known from
    """

    leader: str
    best: str
    chosen: str
    differences: tuple[Difference, ...]
    seeds: int

    @property
    def ties(self) -> tuple[str, ...]:
        """Those that cannot be told from the best."""
        return tuple(one.name for one in self.differences if one.is_tie)


def rank(contestants: Sequence[Contestant], *, default: str = "", doubt: float = 0.0) -> Ranking | None:
    """Rank by estimated error; None if there is none. An audit that fails counts before the error does.

    `doubt` (data units squared): by how much two errors may be wrong against each other, beside chance. The `default`
    is chosen unless another is better by more than that.
    """
    known = sorted((one for one in contestants if math.isfinite(one.mse)), key=lambda one: one.mse)
    if not known:
        return None
    allowed = [one for one in known if one.fails == 0] or known
    best, scatter = allowed[0], typical_scatter(known)
    differences = tuple(difference(one, best, scatter=scatter) for one in known)
    tied = {one.name for one in differences if one.is_tie}
    seeds = int(max(np.isfinite(one.losses).all(1).sum() for one in known))
    stands = next((one for one in differences if one.name == default and _stands(one, allowed, doubt)), None)
    chosen = stands or _preferred([one for one in allowed if one.name in tied])
    return Ranking(known[0].name, best.name, chosen.name, differences, seeds)


def _stands(default: Difference, allowed: Sequence[Contestant], doubt: float) -> bool:
    """Whether nothing speaks against the default; where no error is known, nothing can."""
    if math.isinf(doubt):
        return True
    return any(one.name == default.name for one in allowed) and (
        default.is_tie or default.value <= SURE * default.standard_error + doubt
    )


def _preferred(tied: Sequence[Contestant]) -> Contestant:
    """Fewest fails, then cheapest, then lowest error."""
    fewest = [one for one in tied if one.fails == min(other.fails for other in tied)]
    least = min(one.seconds for one in fewest)
    cheap = [one for one in fewest if not one.seconds > AS_CHEAP * least]
    return min(cheap, key=lambda one: one.mse)


def difference(one: Contestant, other: Contestant, *, scatter: float = 0.0) -> Difference:
    """Paired: both saw the same regions, and the same seeds. `scatter`: variance between seeds taken at the least.

    The standard error adds the scatter over regions and that over seeds, which a mean over regions does not show.
    """
    if one.name == other.name:
        return Difference(one.name, 0.0, 0.0)
    seeds = min(len(one.losses), len(other.losses))
    pairs = one.losses[:seeds] - other.losses[:seeds]
    pairs = pairs[np.isfinite(pairs).all(1)]
    if not len(pairs):  # no seed in common
        return Difference(one.name, one.mse - other.mse, math.nan)
    regions = pairs.mean(0)
    by_region = regions.var(ddof=1) / regions.size if regions.size > 1 else math.nan
    own = pairs.mean(1).var(ddof=1) if len(pairs) > 1 else 0.0
    by_seed = max(own, 2 * scatter) / len(pairs)
    return Difference(one.name, float(regions.mean()), math.sqrt(by_region + by_seed))


def typical_scatter(contestants: Sequence[Contestant]) -> float:
    """Variance of the estimated error between seeds, the median over settings: two or three seeds of one say little."""
    means = [one.losses[np.isfinite(one.losses).all(1)].mean(1) for one in contestants]
    found = [float(one.var(ddof=1)) for one in means if len(one) > 1]
    return float(np.median(found)) if found else 0.0


def uncertainty(one: Contestant) -> float:
    """Standard error of a setting's own estimated error, over regions and seeds; nan for one region."""
    known = one.losses[np.isfinite(one.losses).all(1)]
    if not known.size or known.shape[1] < 2:
        return math.nan
    by_region = known.mean(0).var(ddof=1) / known.shape[1]
    by_seed = known.mean(1).var(ddof=1) / len(known) if len(known) > 1 else 0.0
    return float(math.sqrt(by_region + by_seed))
