"""A comparison: every setting of a grid with every seed as a run of its own, resumable, side by side where asked."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meeum import api, folder, results
from meeum.auditing import psnr
from meeum.comparing import scores, workers
from meeum.comparing.columns import COLUMNS
from meeum.comparing.conclusion import Result, conclude
from meeum.comparing.grid import Setting
from meeum.comparing.standings import Standing
from meeum.comparing.workers import Task
from meeum.errors import MeeumError, UsageError
from meeum.folder import MODEL_FILE
from meeum.job import Event
from meeum.noise import Noise
from meeum.report.comparison import Shown, write_comparison
from meeum.settings import InputSettings, Settings
from meeum.volume import Volume

GRID, JSON, TABLE, PAGE = "grid.json", "comparison.json", "comparison.csv", "comparison.html"
VERSION = 1  # of grid.json
REPORT_MB = 8.0  # of a run's report at most: there are dozens of them


@dataclass(frozen=True)
class Plan:
    """What is compared: one image, a grid, seeds; `jobs` runs at a time; `stop` is asked between steps."""

    file: Path
    folder: Path
    grid: tuple[Setting, ...]
    seeds: int
    noise: Noise
    command: str
    truth: Path | None = None
    jobs: int = 1
    overwrite: bool = False
    stop: Callable[[], bool] = lambda: False

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Seed by seed, so that all settings can be told apart early."""
        return tuple(self._task(one, seed) for seed in range(self.seeds) for one in self.grid)

    def _task(self, one: Setting, seed: int) -> Task:
        name, settings = f"{one.name}-seed{seed}", _seeded(one.settings, seed)
        return Task(name, one.name, seed, self.file, self.folder / name, settings, self.noise, self.command)


@dataclass(frozen=True)
class Step:
    """Which run goes on, how many of all are done, what it says, and the time left for all of them, seconds.

    result  of the last step, unless it was stopped
    """

    run: str
    done: int
    count: int
    event: Event
    seconds_left: float
    result: Result | None = None


def _seeded(settings: Settings, seed: int) -> Settings:
    """With the seed, and with results in the format that pictures and scores are read from."""
    formats = tuple(dict.fromkeys(("hdf", *(one for one in settings.output.formats if one != "same"))))
    seeded = settings.changed("training", seed=settings.training.seed + seed)
    return seeded.changed("output", formats=formats, report_mb=min(REPORT_MB, settings.output.report_mb))


def check(plan: Plan) -> None:
    """Refuse what cannot be compared, before anything is written."""
    where, path = plan.folder, plan.folder / GRID
    if where.exists() and not where.is_dir():
        raise UsageError(f"{where}: is a file; choose a folder with --out")
    folder.refuse_place(where)
    if not where.exists() or not any(where.iterdir()):
        return
    if not path.is_file():
        raise UsageError(f"{where}: exists and holds no comparison ({GRID}); choose another folder with --out")
    if plan.file.resolve().is_relative_to(where.resolve()):
        raise UsageError(f"{where}: holds {plan.file}, which is read; choose another folder with --out")
    if not plan.overwrite and _as_stored(path) != _as_plain(plan):
        raise UsageError(
            f"{where}: holds another comparison (its {GRID} differs: image, settings or seeds); choose another folder "
            "with --out, or begin anew there with --overwrite"
        )


def _as_stored(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MeeumError(f"{path}: not readable ({error}); begin anew with --overwrite, or in another --out") from None


def _as_plain(plan: Plan) -> dict[str, Any]:
    """What must be the same for a comparison to be gone on with."""
    return {
        "version": VERSION,
        "file": plan.file.name,
        "bytes": plan.file.stat().st_size,
        "seeds": plan.seeds,
        "settings": {one.name: one.settings.model_dump(mode="json") for one in plan.grid},
    }


def start(plan: Plan) -> Iterator[Step]:
    """Do what is not done yet, one step at a time; then write the table and the page."""
    check(plan)
    plan.folder.mkdir(parents=True, exist_ok=True)
    if plan.overwrite:
        _forget(plan)
    folder.put(plan.folder / GRID, json.dumps(_as_plain(plan), indent=1) + "\n")
    failed: dict[str, str] = {}
    for step in _timed(plan, [task for task in plan.tasks if not workers.is_done(task)]):
        if step.event.stage == "failed":
            failed[step.run] = step.event.text
        yield step
        if step.event.stage == "stopped":
            return
    count = len(plan.tasks)
    yield Step("", count, count, Event("report", text="table, pictures and report"), 0.0)
    yield Step("", count, count, Event("done", 1.0, str(plan.folder)), 0.0, result=finish(plan, failed))


def finish(plan: Plan, failed: Mapping[str, str]) -> Result:
    """Rank what was run, and write it: CSV, JSON and the page."""
    first = plan.grid[0].settings
    noisy = results.as_trained_on(api.read_chosen(plan.file, first.input), first)
    truth, before = read_truth(plan), (math.nan, math.nan)
    runs = [
        scores.read_run(one.setting, one.seed, one.folder, truth=truth, problem=failed.get(one.name, ""))
        for one in plan.tasks
    ]
    if truth:
        before = (psnr(truth, noisy.frame(0)), scores.ssim(truth, noisy))
    result = conclude(noisy, plan.noise, runs, truth=before)
    told = result.as_dict()
    folder.put(plan.folder / JSON, json.dumps(told, indent=1, allow_nan=False) + "\n")
    folder.put(plan.folder / TABLE, result.as_csv())
    shown = [_shown(one, noisy) for one in result.standings if one.finished]
    asks = {name: column.asks for name, column in COLUMNS.items()}
    write_comparison(plan.folder / PAGE, told, noisy=noisy, shown=shown, asks=asks, command=plan.command)
    return result


def _shown(one: Standing, noisy: Volume) -> Shown:
    first = one.finished[0]
    return Shown(one.name, scores.denoised(first.folder, no_data=noisy.no_data), f"{first.folder.name}/{folder.REPORT}")


def read_truth(plan: Plan) -> Volume | None:
    """The truth of the first frame, where it was given: of the same shape as the image's."""
    if plan.truth is None:
        return None
    noisy = api.read_chosen(plan.file, plan.grid[0].settings.input)
    truth = api.read_chosen(plan.truth, InputSettings(projection=plan.grid[0].settings.input.projection))
    if truth.spatial_shape != noisy.spatial_shape:
        raise UsageError(
            f"--truth {plan.truth}: {truth.spatial_shape} voxels, but {noisy.name} has {noisy.spatial_shape}; give the "
            "clean image of the very same field"
        )
    return truth.frame(0)


def _forget(plan: Plan) -> None:
    """Begin anew: what says that a run is finished, or can be gone on with, goes."""
    for task in plan.tasks:
        for name in (folder.REPORT, MODEL_FILE, scores.FILE):
            (task.folder / name).unlink(missing_ok=True)


def _timed(plan: Plan, waiting: Sequence[Task]) -> Iterator[Step]:
    """Every event with how much is done and how much time is left, by the runs that are finished."""
    began, count, done = time.monotonic(), len(plan.tasks), len(plan.tasks) - len(waiting)
    finished = 0
    each = sum(_expected(task, plan.jobs) for task in waiting) / max(len(waiting), 1)
    for name, event in _events(plan, waiting):
        if event.stage in ("scored", "failed"):
            finished += 1
            each = (time.monotonic() - began) / finished
        left = each * (len(waiting) - finished)
        if not finished:
            left -= time.monotonic() - began
        yield Step(name, done + finished, count, event, max(left, 0.0))


def _expected(task: Task, jobs: int) -> float:
    """Seconds, before any run has been finished; nan where the number of steps is given."""
    training = task.settings.training
    return math.nan if training.steps else training.minutes * 75 / jobs


def _events(plan: Plan, waiting: Sequence[Task]) -> Iterator[workers.Told]:
    if plan.jobs > 1 and len(waiting) > 1:
        return workers.side_by_side(waiting, min(plan.jobs, len(waiting)), plan.stop)
    return workers.one_by_one(waiting, plan.stop)
