"""`Question` and `Answer`: what an experiment asks, what must happen, what happened and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from meeum.asking.experiments import Bench, Image
from meeum.auditing import Picture
from meeum.auditing.finding import plain_values

Row = Mapping[str, Any]
Rows = Sequence[Row]
Trial = Callable[[Bench, Image | None, int], Iterator[str | Row | Picture]]

VERSION = 1  # of the JSON: grows when the meaning of a key changes
SURE = 0.01  # p-value below which a difference is taken to be there


@dataclass(frozen=True)
class Statistic:
    """A number with its 95 % confidence interval, and the p-value that chance alone puts it so far above `null`.

    count  of independent seeds; interval and p-value are nan where one seed is all there is and no error is known
    """

    name: str
    value: float
    interval: tuple[float, float] = (math.nan, math.nan)
    p_value: float = math.nan
    count: int = 1
    null: float = 0.0

    @property
    def text(self) -> str:
        """The number with what is known of its error."""
        low, high = self.interval
        known = f" (95 %: {low:.3g} to {high:.3g})" if math.isfinite(low) else f" ({_count(self.count)}: no interval)"
        chance = f", p = {self.p_value:.2g}" if math.isfinite(self.p_value) else ""
        return f"{self.value:.3g}{known}{chance}"


def _count(count: int) -> str:
    return "one seed" if count == 1 else f"{count} trials"


@dataclass(frozen=True)
class Outcome:
    """What follows from the rows: sentences, numbers, and whether the hypothesis held (None: cannot be told)."""

    conclusion: str
    statistics: tuple[Statistic, ...]
    holds: bool | None


@dataclass(frozen=True)
class Question:
    """An experiment: `trial` makes progress words, rows and pictures for one image and seed, `conclude` the rest.

    prediction  what must happen if the hypothesis holds, and what if it does not
    doubt       what would change our mind
    columns     of the table that is shown, and how each is written
    """

    number: int
    text: str
    hypothesis: str
    prediction: str
    doubt: str
    columns: Mapping[str, str]
    trial: Trial
    conclude: Callable[[Rows], Outcome]


@dataclass(frozen=True)
class Answer:
    """All that came of one question."""

    question: Question
    rows: tuple[Row, ...]
    outcome: Outcome
    pictures: tuple[Picture, ...] = ()
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the pictures."""
        asked, found = self.question, self.outcome
        told = {key: getattr(asked, key) for key in ("number", "text", "hypothesis", "prediction", "doubt")}
        told |= {"holds": found.holds, "conclusion": found.conclusion, "seconds": self.seconds, "rows": self.rows}
        plain: dict[str, Any] = plain_values({**told, "statistics": [vars(one) for one in found.statistics]})
        return plain


def conclude(question: Question, rows: Rows) -> Outcome:
    """What the rows say of the question; without rows nothing can be told."""
    if not rows:
        return Outcome("Nothing was measured, so nothing can be told.", (), None)
    return question.conclude(rows)


def over_seeds(name: str, values: Sequence[float], *, error: float = math.nan, null: float = 0.0) -> Statistic:
    """Mean over seeds with Student's interval and a two-sided test against `null`; of one seed, its own `error`."""
    known = np.array([value for value in values if math.isfinite(value)], dtype=float)
    if known.size == 0:
        return Statistic(name, math.nan, count=0, null=null)
    mean = float(known.mean())
    if known.size == 1:
        if not error > 0:
            return Statistic(name, mean, null=null)
        chance = float(2 * stats.norm.sf(abs(mean - null) / error))
        return Statistic(name, mean, (mean - 1.96 * error, mean + 1.96 * error), chance, 1, null)
    spread = max(float(known.std(ddof=1)) / math.sqrt(known.size), 1e-12)
    reach = float(stats.t.ppf(0.975, known.size - 1)) * spread
    chance = float(2 * stats.t.sf(abs(mean - null) / spread, known.size - 1))
    return Statistic(name, mean, (mean - reach, mean + reach), chance, int(known.size), null)


def titled(name: str) -> str:
    """An image's name at the beginning of a sentence; that of a file stays as it is."""
    return name.capitalize() if name.startswith("phantom") else name


def chosen(rows: Rows, **wanted: Any) -> list[Row]:
    """The rows with these values."""
    return [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]


def mean_of(rows: Rows, key: str) -> float:
    """Mean of a column over rows where it is known; nan of none."""
    known = [float(row[key]) for row in rows if row.get(key) is not None and math.isfinite(float(row[key]))]
    return sum(known) / len(known) if known else math.nan


def paired(rows: Rows, key: str, *, one: Row, other: Row) -> list[float]:
    """Differences one - other of a column, image by image and seed by seed."""
    found = []
    for row in chosen(rows, **one):
        partner = chosen(rows, **{**other, "image": row["image"], "seed": row["seed"]})
        if partner and row.get(key) is not None and partner[0].get(key) is not None:
            found.append(float(row[key]) - float(partner[0][key]))
    return found
