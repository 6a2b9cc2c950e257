"""Round numbers along an axis."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Tick:
    """A place on the axis and what is written there."""

    value: float
    label: str


def ticks(low: float, high: float, *, count: int) -> list[Tick]:
    """At most about `count` multiples of 1, 2 or 5 times a power of ten between low and high."""
    step = round_number((high - low) / max(count, 1))
    first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
    return [Tick(i * step, label(i * step, step)) for i in range(first, last + 1)]


def round_number(least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is no less than `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def label(value: float, step: float) -> str:
    """The value with as many digits as tell it from its neighbours one step away."""
    size, digits = max(abs(value), step), -math.floor(math.log10(step) + 1e-9)
    if size >= 1e6 or digits > 12 or (digits > 6 and size < 0.01):
        return "0" if value == 0 else f"{value:.{max(0, math.floor(math.log10(size)) + digits)}e}"
    return f"{value:.{max(0, digits)}f}"
