"""The statistics of a pair as a table: one row per number, with a sentence a biologist understands."""

from __future__ import annotations

import math
from dataclasses import dataclass

from meeum.auditing.statistics import PairStatistics
from meeum.auditing.values import WIDER

NAMES = {
    "minimum": "minimum",
    "maximum": "maximum",
    "mean": "mean",
    "std": "standard deviation",
    "range": "range (maximum - minimum)",
    "low": "0.1 percentile",
    "high": "99.9 percentile",
    "inner_range": "range (99.9 - 0.1 percentile)",
    "inner_mean": "mean",
    "inner_std": "standard deviation",
    "correlation": "correlation with the low-passed input",
    "residual_mean": "mean of the residual",
    "residual_std": "standard deviation of the residual",
    "background_mean": "mean of all its voxels",
    "background_std": "standard deviation",
    "cells_mean": "mean of all their voxels",
    "cells_std": "standard deviation",
    "edge_ratio": "steepness of edges",
}

MEANING = {
    "minimum": "The smallest value; noise reaches further down than the specimen does.",
    "maximum": "The largest value; noise reaches further up than the specimen does.",
    "mean": "The average of all values; denoising should leave it where it was.",
    "std": "Spread of all values, specimen and noise together; it falls when noise is removed.",
    "range": f"Largest minus smallest value; above a factor of {WIDER:g}, values were made that were never recorded.",
    "low": "One voxel in a thousand is darker than this.",
    "high": "One voxel in a thousand is brighter than this.",
    "inner_range": "The range without the outliers; it shrinks when noise goes, and when contrast goes.",
    "inner_mean": "The average without the outliers; it should stay where it was.",
    "inner_std": "The spread without the outliers; it falls when noise is removed.",
    "correlation": "How well the image follows the smoothed input: near 1 is good, negative means inverted contrast.",
    "residual_mean": "Average of what was taken away (noisy minus denoised); anything but 0 is a shift of all values.",
    "residual_std": "Size of what was taken away; if only noise was removed, this is the noise level.",
    "background_mean": "Average away from cells (the audit stays farther away); a shift falsifies contrasts, masses.",
    "background_std": "Spread away from cells, mostly noise: the smaller after denoising, the more noise is gone.",
    "cells_mean": "Average inside cells, outlines included (the audit leaves them out); it should stay where it was.",
    "cells_std": "Spread inside cells, structure and noise together; a strong fall may be structure lost.",
    "edge_ratio": "Steepness of the sharpest edges, after to before: 1 is kept, below 1 blurred, above 1 sharpened.",
}


@dataclass(frozen=True)
class Row:
    """One line for display; every cell is text, and `change` says why where a number is undefined."""

    group: str
    name: str
    before: str
    after: str
    change: str
    unit: str
    meaning: str


def rows(statistics: PairStatistics) -> list[Row]:
    """The statistics in reading order."""
    unit = "RI" if statistics.quantity == "refractive index" else statistics.quantity
    table = _Table(unit, _places(statistics.before.std), statistics)
    return [*_all_values(table), *_inner_values(table), *_agreement(table), *_regions(table)]


@dataclass(frozen=True)
class _Table:
    unit: str
    places: int  # decimals of a level: enough to see a shift of a two-hundredth of the spread
    statistics: PairStatistics

    def level(self, group: str, key: str, before: float, after: float, *, why: str) -> Row:
        """A value on the data's scale: its change is a difference."""
        cells = (_fixed(before, self.places), _fixed(after, self.places), _signed(after - before, self.statistics))
        return self._row(group, key, cells, why if math.isnan(before) or math.isnan(after) else "")

    def size(self, group: str, key: str, before: float, after: float, *, why: str) -> Row:
        """A width, never negative: its change is a factor."""
        factor = after / before if before > 0 else math.nan
        cells = (_significant(before), _significant(after), _factor(factor))
        return self._row(group, key, cells, why if math.isnan(before) or math.isnan(after) else "")

    def _row(self, group: str, key: str, cells: tuple[str, str, str], why: str) -> Row:
        if why:
            cells = (cells[0], cells[1], f"undefined: {why}")
        return Row(group, NAMES[key], *cells, self.unit, MEANING[key])


def _all_values(table: _Table) -> list[Row]:
    s, group = table.statistics, "All values"
    a, b, why = s.before, s.after, s.reasons.get("before", "")
    return [
        table.level(group, "minimum", a.minimum, b.minimum, why=why),
        table.level(group, "maximum", a.maximum, b.maximum, why=why),
        table.size(group, "range", a.maximum - a.minimum, b.maximum - b.minimum, why=why),
        table.level(group, "mean", a.mean, b.mean, why=why),
        table.size(group, "std", a.std, b.std, why=why),
    ]


def _inner_values(table: _Table) -> list[Row]:
    s, group = table.statistics, "Without outliers (0.1 to 99.9 percentiles)"
    a, b, why = s.before, s.after, s.reasons.get("before", "")
    return [
        table.level(group, "low", a.low, b.low, why=why),
        table.level(group, "high", a.high, b.high, why=why),
        table.size(group, "inner_range", a.high - a.low, b.high - b.low, why=why),
        table.level(group, "inner_mean", a.inner_mean, b.inner_mean, why=why),
        table.size(group, "inner_std", a.inner_std, b.inner_std, why=why),
    ]


def _agreement(table: _Table) -> list[Row]:
    s, group = table.statistics, "Agreement with the input"
    why = {key: f"undefined: {reason}" for key, reason in s.reasons.items()}
    r = (_fixed(s.correlation_before, 3), _fixed(s.correlation, 3))
    change = why.get("correlation", why.get("correlation_before", _signed(s.correlation - s.correlation_before, s)))
    mean, spread = _signed(s.residual_mean, s), _significant(s.residual_std)
    edge = why.get("edge_ratio", _factor(s.edge_ratio))
    return [
        Row(group, NAMES["correlation"], *r, change, "", MEANING["correlation"]),
        Row(
            group, NAMES["residual_mean"], "", "", why.get("residual_mean", mean), table.unit, MEANING["residual_mean"]
        ),
        Row(group, NAMES["residual_std"], "", "", why.get("residual_std", spread), table.unit, MEANING["residual_std"]),
        Row(group, NAMES["edge_ratio"], "", "", edge, "", MEANING["edge_ratio"]),
    ]


def _regions(table: _Table) -> list[Row]:
    s = table.statistics
    found = []
    for key, name, part in (("background", "Background", s.background), ("cells", "Cells", s.cells)):
        group, why = f"{name} ({_percent(part.share)} of the voxels)", s.reasons.get(key, "")
        found.append(table.level(group, f"{key}_mean", part.mean_before, part.mean_after, why=why))
        found.append(table.size(group, f"{key}_std", part.std_before, part.std_after, why=why))
    return found


def _places(spread: float) -> int:
    if not spread > 0:
        return 6
    return min(9, max(0, math.ceil(-math.log10(spread / 200))))


def _fixed(value: float, places: int) -> str:
    return "undefined" if math.isnan(value) else f"{value:.{places}f}"


def _significant(value: float) -> str:
    return "undefined" if math.isnan(value) else _digits(value, 3)


def _signed(value: float, statistics: PairStatistics) -> str:
    """Two digits; a difference that float32 arithmetic alone explains is none."""
    if math.isnan(value):
        return "undefined"
    return "0" if abs(value) <= 1e-7 * statistics.before.std else _digits(value, 2, "+")


def _digits(value: float, count: int, sign: str = "") -> str:
    """`count` significant digits, without a power of ten where the number is neither tiny nor huge."""
    power = math.floor(math.log10(abs(value))) if value else 0
    if -5 < power < 6:
        return f"{value:{sign}.{max(0, count - 1 - power)}f}"
    return f"{value:{sign}.{count - 1}e}"


def _factor(value: float) -> str:
    return "undefined: it was 0 before" if math.isnan(value) else f"x {value:.3f}"


def _percent(share: float) -> str:
    return "none" if math.isnan(share) else f"{100 * share:.3g} %"
