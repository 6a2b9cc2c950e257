"""Line charts: as plain values for the page's script, and as a still SVG picture for print and where no script runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from meeum.report.autocorrelation import Lags
from meeum.report.ticks import Tick, ticks

WIDTH, HEIGHT = 560, 260
LEFT, RIGHT, TOP, BOTTOM = 78, 14, 14, 46  # room for labels around the plot
MOST_POINTS = 1000  # of one curve: of more, as many successive ones become their mean

Points = Sequence[tuple[float, float]]
Rows = Sequence[Mapping[str, object]]


@dataclass(frozen=True)
class Series:
    """One curve: (x, y) by rising x, all finite; `key` is its class in the style sheet, 1 or 2."""

    name: str
    key: int
    points: Points


@dataclass(frozen=True)
class Chart:
    """Curves over one x axis; `logarithmic` is None where values of 0 or below allow no such scale."""

    title: str
    x_label: str
    y_label: str
    x_name: str  # in a word, for the read-out
    series: tuple[Series, ...]
    logarithmic: bool | None = None

    @property
    def plain(self) -> dict[str, Any]:
        """For JSON: common x, and per curve y with None where it has no point."""
        xs = sorted({x for one in self.series for x, _ in one.points})
        known = [dict(one.points) for one in self.series]
        return {
            "x": xs,
            "xLabel": self.x_label,
            "xName": self.x_name,
            "yLabel": self.y_label,
            "logarithmic": self.logarithmic,
            "series": [
                {"name": one.name, "key": one.key, "y": [float_or_none(ys.get(x)) for x in xs]}
                for one, ys in zip(self.series, known, strict=True)
            ],
        }


@dataclass(frozen=True)
class Line:
    """One curve in SVG coordinates."""

    key: int
    name: str
    points: str


@dataclass(frozen=True)
class Drawing:
    """Lines and ticks in SVG coordinates."""

    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def training(metrics: Rows) -> list[Chart]:
    """Loss of training and of held-out voxels, and the estimated error; each where there are two points."""
    losses = _chart(metrics, {"loss": "training loss", "validation": "validation loss"}, "Loss", "loss")
    left = _chart(metrics, {"error_left": "estimated error"}, "Estimated error", "share of the noise's variance")
    return [chart for chart in (losses, left) if chart is not None]


def correlations(found: Sequence[Lags]) -> list[Chart]:
    """The residual's and the noise's correlation along each axis, over distance in voxels."""
    return [_correlation(one) for one in found if len(one.residual) > 1]


def draw(chart: Chart) -> Drawing:
    """The chart as a still picture, on its logarithmic scale if it has one."""
    scale = math.log10 if chart.logarithmic else float
    series = [[(x, scale(y)) for x, y in one.points] for one in chart.series]
    x_ends = _ends([x for points in series for x, _ in points], room=0.0)
    y_ends = _ends([y for points in series for _, y in points], room=0.05)
    marks = _powers(y_ends) if chart.logarithmic else ticks(*y_ends, count=5)
    return Drawing(
        tuple(
            Line(one.key, one.name, " ".join(f"{_x(x, x_ends):.1f},{_y(y, y_ends):.1f}" for x, y in points))
            for one, points in zip(chart.series, series, strict=True)
        ),
        tuple(Tick(_x(tick.value, x_ends), tick.label) for tick in ticks(*x_ends, count=7)),
        tuple(Tick(_y(tick.value, y_ends), tick.label) for tick in marks),
    )


def float_or_none(value: float | None) -> float | None:
    """Six significant digits, for JSON that is not longer than what is drawn needs."""
    return None if value is None else float(f"{value:.6g}")


def _chart(metrics: Rows, columns: Mapping[str, str], title: str, unit: str) -> Chart | None:
    found = {key: points for key in columns if len(points := _points(metrics, key)) > 1}
    if not found:
        return None
    series = []
    for number, (key, name) in enumerate(columns.items(), 1):
        if key in found:
            points, count = _thinned(found[key])
            series.append(Series(name + (f", mean of {count} steps" if count > 1 else ""), number, points))
    values = [y for one in series for _, y in one.points]
    logarithmic = max(values) > 20 * min(values) if min(values) > 0 else None
    return Chart(title, "training step", unit, "step", tuple(series), logarithmic)


def _correlation(one: Lags) -> Chart:
    series = [Series("residual", 1, _finite(one.residual))]
    if len(one.noise) > 1:
        series.append(Series("noise, as measured", 2, _finite(one.noise)))
    apart = f"voxels apart along {one.axis}" + (f" (of {one.edge:.3g} µm)" if math.isfinite(one.edge) else "")
    return Chart(f"Along {one.axis}", apart, "correlation", "voxels apart", tuple(series))


def _finite(values: Sequence[float]) -> Points:
    return [(float(lag), value) for lag, value in enumerate(values) if math.isfinite(value)]


def _points(metrics: Rows, key: str) -> Points:
    """(step, value) of the rows that hold both; a row of another kind may leave either empty."""
    pairs = [(_number(row.get("step")), _number(row.get(key))) for row in metrics]
    found = sorted(pair for pair in pairs if all(map(math.isfinite, pair)))
    return found if found and found[0][0] < found[-1][0] else []


def _thinned(points: Points) -> tuple[Points, int]:
    """Means of so many successive points, at the last of their steps; and how many."""
    count = -(-len(points) // MOST_POINTS)
    groups = [points[start : start + count] for start in range(0, len(points), count)]
    return [(group[-1][0], math.fsum(y for _, y in group) / len(group)) for group in groups], count


def _number(value: object) -> float:
    """A number as such or as text from a CSV file; nan for anything else."""
    try:
        return float(value) if isinstance(value, int | float | str) else math.nan
    except ValueError:
        return math.nan


def _ends(values: Sequence[float], *, room: float) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = room * (high - low) or (0.0 if high > low else 0.05 * abs(high) or 1.0)
    return low - margin, high + margin


def _powers(ends: tuple[float, float]) -> list[Tick]:
    """Ticks of a logarithmic axis at 1, 2 and 5 times the powers of ten; `ends` are logarithms."""
    factors = (1, 2, 5) if ends[1] - ends[0] < 3 else (1,)
    values = [f * 10.0**p for p in range(math.floor(ends[0]), math.ceil(ends[1])) for f in factors]
    return [Tick(math.log10(v), f"{v:g}") for v in values if ends[0] <= math.log10(v) <= ends[1]]


def _x(value: float, ends: tuple[float, float]) -> float:
    return LEFT + (value - ends[0]) / (ends[1] - ends[0]) * (WIDTH - LEFT - RIGHT)


def _y(value: float, ends: tuple[float, float]) -> float:
    return TOP + (ends[1] - value) / (ends[1] - ends[0]) * (HEIGHT - TOP - BOTTOM)
