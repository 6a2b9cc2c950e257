"""Templates of pages, and how numbers are written in them."""

from __future__ import annotations

import json
import math
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from meeum.auditing.table import DASH


def render(name: str, /, **context: Any) -> str:
    """A page from its template; a name that the template uses and nobody gave is an error."""
    return _environment().get_template(name).render(**context)


def asset(name: str) -> str:
    """The text of a template, a style sheet or a script of this room."""
    return files("meeum.report").joinpath(name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(asset),
    )
    environment.filters |= {"typeset": typeset, "number": number, "duration": duration, "json": safe_json}
    return environment


def safe_json(value: Any) -> str:
    """JSON that cannot end the element it stands in."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def typeset(number: str) -> str:
    """A number with a true minus and times sign; words stay."""
    return number if number.startswith("undefined") else number.replace("-", "−").replace("x ", "× ")


def number(value: float | None, digits: int = 3) -> str:
    """So many significant digits; a dash where there is no number."""
    return DASH if value is None else f"{value:.{digits}g}"


def duration(seconds: float) -> str:
    """Seconds in words: 42 s, 3 min 05 s, 2 h 10 min."""
    if not math.isfinite(seconds):
        return "not recorded"
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.3g} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
