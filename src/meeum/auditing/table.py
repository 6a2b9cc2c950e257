"""An audit as a table: one line of text per finding, the gravest first."""

from __future__ import annotations

import math
from dataclasses import dataclass

from meeum.auditing.finding import Finding, Verdict
from meeum.auditing.judge import Audit

SYMBOLS: dict[Verdict, str] = {"fail": "✗", "warn": "!", "cannot tell": "?", "pass": "✓"}  # for who sees no colours
DASH = "–"
UNITS = {"refractive index": "RI", "sigma": "× noise", "noise standard deviations": "× noise"}


@dataclass(frozen=True)
class Line:
    """A finding for display; every cell is text."""

    symbol: str
    verdict: Verdict
    title: str
    value: str
    ideal: str
    sentence: str


def table(audit: Audit) -> list[Line]:
    """The findings, the gravest first."""
    return [_line(one) for one in audit.graded]


def sigma(audit: Audit) -> str:
    """The unit that most effects are in, in words."""
    if audit.noise is None:
        return "not known"
    unit = UNITS.get(audit.noisy.quantity, audit.noisy.quantity)
    return f"{number(audit.noise.std)} {unit}, the standard deviation of the noise as measured"


def _line(one: Finding) -> Line:
    sentence = one.sentence
    if one.reason and one.reason not in sentence:
        sentence = f"{sentence} Why: {one.reason.rstrip('.')}."
    return Line(SYMBOLS[one.verdict], one.verdict, one.title, _value(one), number(one.ideal), sentence)


def _value(one: Finding) -> str:
    """Value, 95 % interval and unit."""
    if math.isnan(one.value):
        return DASH
    low, high = one.interval
    unit = UNITS.get(one.unit, one.unit)
    if not 0 < high - low < math.inf:
        return f"{number(one.value)} {unit}".rstrip()
    if one.value == low == 0 and one.measure == "error":
        return f"at most {number(high)} {unit}".rstrip()
    digits = 1 - math.floor(math.log10(high - low))  # decimals: two of the interval's width
    if one.value:  # where all that is known is that it is small or large, its own first digit at least
        digits = max(digits, min(2, -math.floor(math.log10(abs(one.value)))))
    large, value = max(map(abs, (one.value, low, high))), one.value
    if digits > 5 or large >= 1e5:
        return f"{number(value)} ({number(low)} to {number(high)}) {unit}".rstrip()
    value, low, high = (round(part, digits) + 0.0 for part in (value, low, high))  # + 0: no -0
    places = max(digits, 0)
    return f"{value:.{places}f} ({low:.{places}f} to {high:.{places}f}) {unit}".rstrip()


def number(value: float) -> str:
    """Three significant digits."""
    return DASH if math.isnan(value) else f"{value:.3g}"
