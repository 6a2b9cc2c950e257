"""The training curve as points of an inline SVG picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from meeum.report.ticks import Tick, ticks

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 84, 16, 16, 48  # room for labels around the plot

COLUMNS = {"loss": "training loss", "validation": "validation loss"}


@dataclass(frozen=True)
class Line:
    """One curve in SVG coordinates."""

    key: str
    name: str
    points: str


@dataclass(frozen=True)
class Curve:
    """Lines and ticks in SVG coordinates; `logarithmic` says how the loss is drawn."""

    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    logarithmic: bool


def loss_curve(metrics: Sequence[Mapping[str, object]]) -> Curve | None:
    """Loss and validation against step; none with fewer than two finite points in every column."""
    series = {key: found for key in COLUMNS if len(found := _points(metrics, key)) > 1}
    if not series:
        return None
    steps = [step for found in series.values() for step, _ in found]
    losses = [loss for found in series.values() for _, loss in found]
    logarithmic = min(losses) > 0 and max(losses) > 20 * min(losses)
    if logarithmic:
        losses = [math.log10(loss) for loss in losses]
        series = {key: [(step, math.log10(loss)) for step, loss in found] for key, found in series.items()}
    x_ends, y_ends = (min(steps), max(steps)), _roomy(min(losses), max(losses))
    lines = tuple(Line(key, COLUMNS[key], _path(found, x_ends, y_ends)) for key, found in series.items())
    x_ticks = tuple(Tick(_x(tick.value, x_ends), tick.label) for tick in ticks(*x_ends, count=7))
    y_marks = _powers(y_ends) if logarithmic else ticks(*y_ends, count=5)
    return Curve(lines, x_ticks, tuple(Tick(_y(tick.value, y_ends), tick.label) for tick in y_marks), logarithmic)


def _points(metrics: Sequence[Mapping[str, object]], key: str) -> list[tuple[float, float]]:
    """(step, value) of the rows that hold both; a row of another kind may leave either empty."""
    pairs = [(_number(row.get("step")), _number(row.get(key))) for row in metrics]
    found = sorted(pair for pair in pairs if all(map(math.isfinite, pair)))
    return found if found and found[0][0] < found[-1][0] else []


def _number(value: object) -> float:
    """A number as such or as text from a CSV file; nan for anything else."""
    try:
        return float(value) if isinstance(value, int | float | str) else math.nan
    except ValueError:
        return math.nan


def _roomy(low: float, high: float) -> tuple[float, float]:
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room


def _powers(ends: tuple[float, float]) -> list[Tick]:
    """Ticks of a logarithmic axis at 1, 2 and 5 times the powers of ten; `ends` are logarithms."""
    factors = (1, 2, 5) if ends[1] - ends[0] < 3 else (1,)
    values = [f * 10.0**p for p in range(math.floor(ends[0]), math.ceil(ends[1])) for f in factors]
    return [Tick(math.log10(v), f"{v:g}") for v in values if ends[0] <= math.log10(v) <= ends[1]]


def _path(points: Sequence[tuple[float, float]], x_ends: tuple[float, float], y_ends: tuple[float, float]) -> str:
    return " ".join(f"{_x(x, x_ends):.1f},{_y(y, y_ends):.1f}" for x, y in points)


def _x(value: float, ends: tuple[float, float]) -> float:
    return LEFT + (value - ends[0]) / (ends[1] - ends[0]) * (WIDTH - LEFT - RIGHT)


def _y(value: float, ends: tuple[float, float]) -> float:
    return TOP + (ends[1] - value) / (ends[1] - ends[0]) * (HEIGHT - TOP - BOTTOM)
