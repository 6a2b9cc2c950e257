"""The pace of a training: which precision is faster on this machine, and how many steps fit into the time."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Sequence

from meeum.errors import MeeumError
from meeum.objectives import Objective
from meeum.patches import Pool
from meeum.settings import Settings
from meeum.training import LEAST_BETWEEN, VALIDATION_PATCHES, VALIDATIONS, State, settled, take_step

TRIAL_STEPS = 6  # of each precision, to see which is faster
VALIDATED, ERROR_TAKEN = 1 / 3, 1.0  # what a batch of held-out patches takes for its loss and estimated error, steps


def plan_steps(
    state: State, pool: Pool, objective: Objective, settings: Settings, *, error: Objective | None = None
) -> Settings:
    """Choose precision by measuring it, and the number of steps that fill `training.minutes`, on this machine.

    The fastest step decides between precisions, the median one how many fit: other work on the machine slows some.
    """
    training = settings.training
    choices = ["float32", "bfloat16"] if training.precision == "auto" else [training.precision]
    began = time.monotonic()
    seconds = _trial_seconds(state, pool, objective, settings, choices)
    precision = min(seconds, key=lambda choice: min(seconds[choice]))
    left = max(training.minutes * 60 - (time.monotonic() - began), 0.0)
    each = sorted(seconds[precision])[len(seconds[precision]) // 2]
    batches = math.ceil(VALIDATION_PATCHES / settled(training.batch, "batch"))
    steps = training.steps or _steps_in(left / each, batches * (VALIDATED + (ERROR_TAKEN if error else 0)))
    return settings.changed("training", precision=precision, steps=steps)


def _steps_in(room: float, judging: float) -> int:
    """How many steps fit into the time of `room` bare ones, where judging held-out voxels takes that of `judging`."""
    between = max(LEAST_BETWEEN, room / VALIDATIONS)
    return max(1, round(room / (1 + judging / between)))


def _trial_seconds(
    state: State, pool: Pool, objective: Objective, settings: Settings, choices: Sequence[str]
) -> dict[str, list[float]]:
    """Times of a few steps of each precision, in turns; the first of each, which sets things up, left out."""
    trials = {choice: _timed_steps(copy.deepcopy(state), pool, objective, settings, choice) for choice in choices}
    times: dict[str, list[float]] = {choice: [] for choice in choices}
    began = time.monotonic()
    for _ in range(TRIAL_STEPS):
        for choice, trial in trials.items():
            times[choice].append(next(trial))
        if time.monotonic() - began > settings.training.minutes * 3 * len(choices):
            break
    return {choice: row[1:] or row for choice, row in times.items()}


def _timed_steps(state: State, pool: Pool, objective: Objective, settings: Settings, precision: str) -> Iterator[float]:
    """Seconds of each step; infinite where the precision does not work here."""
    trial = settings.training.model_copy(update={"precision": precision, "steps": 1_000_000})
    while True:
        began = time.monotonic()
        try:
            take_step(state, pool, objective, trial, 1e-6)
        except (RuntimeError, MeeumError):
            if precision == "float32":
                raise
            yield math.inf
        else:
            yield time.monotonic() - began
