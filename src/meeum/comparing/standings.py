"""A row of a comparison: one setting with the runs of all its seeds; as plain values and as a line of a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meeum.comparing import columns
from meeum.comparing.columns import COLUMNS, Cell
from meeum.comparing.ranking import SURE, Contestant, Ranking, uncertainty
from meeum.comparing.scores import Run
from meeum.noise import Noise

Array = NDArray[Any]


@dataclass(frozen=True)
class Standing:
    """One setting: its runs, one per seed, the worst verdicts of their audits, and its estimated error."""

    name: str
    runs: tuple[Run, ...]
    cells: Mapping[str, Cell]
    fails: tuple[str, ...]
    mse: float  # data units squared; may come out below 0; nan where it is not known
    standard_error: float  # over regions and seeds
    noise_mse: float

    @property
    def finished(self) -> tuple[Run, ...]:
        return tuple(one for one in self.runs if not one.problem)

    @property
    def problem(self) -> str:
        """Why there is no result at all."""
        return "" if self.finished else next((one.problem for one in self.runs), "not run")

    @property
    def rmse(self) -> float:
        return math.sqrt(max(self.mse, 0.0)) if math.isfinite(self.mse) else math.nan

    @property
    def rmse_error(self) -> float:
        """Standard error of `rmse`, by the slope of the root; nan where the estimate fell to 0."""
        return self.standard_error / (2 * self.rmse) if self.rmse > 0 else math.nan

    @property
    def gain_db(self) -> float:
        """How far the squared error lies below the noise's, dB; nan where the estimate fell to 0 or below."""
        return 10 * math.log10(self.noise_mse / self.mse) if self.mse > 0 else math.nan

    @property
    def gain_error(self) -> float:
        return 10 / math.log(10) * self.standard_error / self.mse if self.mse > 0 else math.nan

    @property
    def highest_rmse(self) -> float:
        """With 95 % certainty; nan where even that is below 0: the noise's level must be wrong."""
        highest = self.mse + SURE * self.standard_error
        return math.sqrt(highest) if highest >= 0 else math.nan

    @property
    def least_gain(self) -> float:
        """With 95 % certainty, dB: what can be said where the estimate fell to 0."""
        highest = self.mse + SURE * self.standard_error
        return 10 * math.log10(self.noise_mse / highest) if highest > 0 else math.nan

    def mean(self, key: Callable[[Run], float]) -> float:
        """Of a number over the runs that were finished; nan of none."""
        return float(np.mean([key(one) for one in self.finished])) if self.finished else math.nan

    @property
    def psnr(self) -> float:
        return self.mean(lambda one: one.psnr)

    @property
    def ssim(self) -> float:
        return self.mean(lambda one: one.ssim)

    @property
    def seconds(self) -> float:
        return self.mean(lambda one: one.seconds)


def contestant(one: Standing) -> Contestant:
    return Contestant(one.name, _losses(one.runs), len(one.fails), one.seconds)


def _losses(runs: Sequence[Run]) -> Array:
    """(seeds, regions); rows of nan where there is none."""
    count = max(len(one.cells) for one in runs)
    return np.stack([one.cells if len(one.cells) == count else np.full(count, np.nan) for one in runs])


def standing(name: str, runs: Sequence[Run], noise: Noise) -> Standing:
    audits = [one.audit for one in runs if one.audit]
    known = Contestant(name, _losses(runs))
    variance = next((one.noise_mse for one in runs if math.isfinite(one.noise_mse)), noise.std**2)
    found = columns.cells(audits) if audits else dict.fromkeys(COLUMNS, columns.NOTHING)
    return Standing(name, tuple(runs), found, columns.fails(audits), known.mse, uncertainty(known), variance)


NUMBERS = (
    "mse", "standard_error", "rmse", "rmse_error", "highest_rmse",
    "gain_db", "gain_error", "least_gain", "psnr", "ssim",
)  # fmt: skip


def row(one: Standing, ranking: Ranking | None) -> dict[str, Any]:
    """A standing in plain values; docs/compare.md says what each key means."""
    found = {each.name: each for each in ranking.differences} if ranking else {}
    apart = found.get(one.name)
    return {
        "name": one.name,
        "chosen": bool(ranking and one.name == ranking.chosen),
        "tie": bool(apart and apart.is_tie),
        **{key: getattr(one, key) for key in NUMBERS},
        "difference": apart.value if apart else math.nan,
        "difference_error": apart.standard_error if apart else math.nan,
        "fails": list(one.fails),
        "seconds": one.seconds,
        "problem": one.problem,
        "cells": {name: cell.as_dict() for name, cell in one.cells.items()},
        "runs": [_run(each) for each in one.runs],
    }


def _run(one: Run) -> dict[str, Any]:
    return {
        "seed": one.seed,
        "folder": one.folder.name,
        "mse": float(one.cells.mean()) if len(one.cells) else math.nan,
        "psnr": one.psnr,
        "ssim": one.ssim,
        "steps": one.steps,
        "seconds": one.seconds,
        "reason": one.reason,
        "verdict": one.audit["verdict"] if one.audit else None,
        "counts": one.audit["counts"] if one.audit else None,
        "problem": one.problem,
        "untold": one.untold,
    }


def flat(told: dict[str, Any]) -> dict[str, Any]:
    """The same as a line of a table: three entries per column of the audit, fails in words, no runs."""
    line = {key: value for key, value in told.items() if key not in ("cells", "runs", "fails")}
    line |= {key: "" for key, value in line.items() if isinstance(value, float) and not math.isfinite(value)}
    line["fails"] = "; ".join(told["fails"])
    for name, cell in told["cells"].items():
        line[name] = cell["verdict"]
        line[f"{name}: value"] = "" if cell["value"] is None else cell["value"]
        line[f"{name}: unit"] = cell["unit"]
    return line
