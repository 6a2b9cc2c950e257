"""An audit as it lies on the disk, read back: all but its pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from meeum.auditing import Audit, Finding, Place
from meeum.errors import MeeumError
from meeum.noise import Noise
from meeum.volume import Volume

NUMBERS = ("value", "ideal", "effect", "bound", "p_value", "limit")


def audit(told: Mapping[str, Any], pair: tuple[Volume, Volume], noise: Noise | None, *, where: str) -> Audit:
    """The inverse of `Audit.as_dict`; the noise's spectrum is not in the JSON. `where` it was read, for the error."""
    try:
        return Audit(
            *pair,
            findings=tuple(_finding(one) for one in told["findings"]),
            noise=noise,
            **{key: told[key] for key in ("voxels", "coverage", "sampling", "asked", "seconds", "timings", "reason")},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise MeeumError(f"{where}: not an audit as this meeum writes it ({type(error).__name__}: {error})") from None


def _finding(told: Mapping[str, Any]) -> Finding:
    known = {one.name: told[one.name] for one in fields(Finding) if one.name in told}
    numbers = {name: _number(told[name]) for name in NUMBERS}
    low, high = told["interval"]
    places = tuple(Place(**{**one, "centre": tuple(one["centre"])}) for one in told["places"])
    return Finding(**{**known, **numbers, "interval": (_number(low), _number(high)), "places": places})


def _number(value: float | None) -> float:
    """JSON has no nan: null stands for it."""
    return math.nan if value is None else float(value)
