"""`Finding`: what one measure of the audit found, and the rule that makes a verdict of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Verdict = Literal["pass", "warn", "fail", "cannot tell"]

FAIL, WARN = 1e-3, 1e-2  # p-values below which an effect is taken to be there
NEEDS_DENOISER = "needs the denoiser (--model)"
RADIUS_4 = "One of 4 voxels' radius and"  # what a limit of structure holds for
SEVERITY: dict[Verdict, int] = {"pass": 0, "cannot tell": 1, "warn": 2, "fail": 3}


@dataclass(frozen=True)
class Place:
    """Where something was found: centre per spatial axis and radius, voxels; strength in the finding's unit."""

    frame: int
    centre: tuple[float, ...]
    radius: float
    strength: float


@dataclass(frozen=True)
class Picture:
    """A plane (Y, X), or a spectrum, that shows a finding; `diverging`: 0 is the middle of the colours.

    marks  centre (row, column) and radius, in elements of `values`
    """

    title: str
    values: Array
    unit: str
    diverging: bool = False
    marks: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True)
class Kind:
    """What findings of one kind have in common; the fields are those of `Finding`."""

    measure: str
    title: str
    unit: str
    ideal: float
    worse: Literal["above", "below", "both"]
    effect_unit: str
    bound: float

    def finding(
        self,
        value: float,
        effect: float,
        sentence: str,
        *,
        p_value: float = math.nan,
        limit: float = math.nan,
        reason: str = "",
    ) -> Finding:
        """With the verdict of `decide`; the reason is kept where nothing can be told."""
        verdict = decide(effect, self.bound, p_value=p_value, limit=limit)
        return Finding(
            **vars(self),
            value=value,
            effect=effect,
            verdict=verdict,
            sentence=sentence,
            p_value=p_value,
            limit=limit,
            reason=reason if verdict == "cannot tell" else "",
        )

    def untold(self, reason: str, sentence: str = "Nothing can be said here: {}.") -> Finding:
        """Where there is nothing to judge; {} in the sentence stands for the reason."""
        return self.finding(math.nan, math.nan, sentence.format(reason), reason=reason)


@dataclass(frozen=True)
class Finding:
    """One number of the audit, what it should be, and whether it matters.

    value     in `unit`; `ideal` is what a perfect result gives; `worse` on which side of it lies damage
    effect    how large the damage is, in `effect_unit`, 0 if there is none; it matters above `bound`
    p_value   that chance alone gives so large an effect; nan where the effect is known exactly
    interval  95 % confidence interval of `value`; nan where there is none
    limit     the smallest effect that would have been found; nan where it is not known
    sentence  for a biologist; `reason` why nothing can be told, where nothing can
    """

    measure: str
    title: str
    value: float
    unit: str
    ideal: float
    worse: Literal["above", "below", "both"]
    effect: float
    effect_unit: str
    bound: float
    verdict: Verdict
    sentence: str
    p_value: float = math.nan
    interval: tuple[float, float] = (math.nan, math.nan)
    limit: float = math.nan
    places: tuple[Place, ...] = ()
    picture: Picture | None = None
    reason: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Finding {self.measure}, {self.title}: {self.verdict} ({self.value:.4g} {self.unit})>"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the picture; None where a number is not defined."""
        told = {key: value for key, value in vars(self).items() if key != "picture"}
        plain: dict[str, Any] = plain_values({**told, "places": [vars(place) for place in self.places]})
        return plain


def decide(effect: float, bound: float, *, p_value: float = math.nan, limit: float = math.nan) -> Verdict:
    """Fail where an effect is there beyond doubt and matters; never pass what would have been too small to see.

    An effect without a p-value is known exactly: it fails above the bound and is worth a warning above half of it.
    """
    if math.isnan(effect):
        return "cannot tell"
    if math.isnan(p_value):
        return "fail" if effect > bound else "warn" if effect > bound / 2 else "pass"
    if effect > bound and p_value < FAIL:
        return "fail"
    if effect > bound / 2 and p_value < WARN:
        return "warn"
    return "cannot tell" if limit > bound else "pass"


def seen_from(what: str, limit: float) -> str:
    """A sentence on the faintest that would have been seen, noise standard deviations; none where none is known."""
    return f" {what} {limit:.2g} times the noise or more would have been seen." if 0 < limit < math.inf else ""


def unseen_below(what: str, limit: float) -> str:
    """The same as a reason why nothing can be told."""
    if math.isinf(limit):
        return f"{what} of any strength could have gone unseen"
    return f"{what} of less than {limit:.2g} times the noise would not have been seen"


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The gravest of several; of none, nothing can be told."""
    return max(verdicts, key=lambda one: SEVERITY[one], default="cannot tell")


def plain_values(value: Any) -> Any:
    """Python's own types throughout, None for what is not a finite number."""
    if isinstance(value, Mapping):
        return {str(key): plain_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain_values(item) for item in value]
    if isinstance(value, np.bool_ | np.integer):
        return value.item()
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value
