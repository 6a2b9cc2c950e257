"""Training: a generator of progress records over a state that can be saved between any two steps."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace

import torch
from torch import Tensor, nn

from meeum.checkpoint import Model
from meeum.errors import MeeumError
from meeum.networks import build, place
from meeum.objectives import Objective
from meeum.optimiser import Muon
from meeum.patches import TRAIN, Pool, draw, judged
from meeum.settings import Settings, TrainingSettings

VALIDATION_PATCHES = 16
TRIAL_STEPS = 6  # of each precision, to see which is faster
LEAST_BETWEEN = 25  # steps between two of them
VALIDATIONS = 40  # how often, over a whole run, the held-out loss is taken


@dataclass(frozen=True)
class Progress:
    """One step: its loss, and every so often the loss on held-out voxels under fixed masks (nan in between)."""

    step: int
    steps: int
    loss: float
    validation: float
    learning_rate: float
    seconds: float


@dataclass
class State:
    """All that a run is between two steps; everything random follows from seed and step."""

    network: nn.Module
    average: nn.Module
    optimiser: Muon
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


def start(model: Model, device: str) -> State:
    """A state to train `model` from: fresh, or where its saved training state left off."""
    average = place(copy.deepcopy(model.network), model.shape.axes, device)
    network = copy.deepcopy(average)
    optimiser = Muon(network.parameters(), lr=model.settings.training.learning_rate)
    if model.state:
        _restore(network, optimiser, model.state)
    return State(network, average, optimiser, model.step, [dict(row) for row in model.history])


def snapshot(model: Model, state: State) -> Model:
    """The model as trained so far (averaged weights), with what `start` needs to go on exactly."""
    kept = {f"last/{name}": value.clone() for name, value in state.network.state_dict().items()}
    for index, moments in state.optimiser.state_dict()["state"].items():
        kept |= {f"moments/{index}/{name}": value.clone() for name, value in moments.items()}
    network = build(model.settings.network.network, model.shape, seed=0)
    network.load_state_dict(state.average.state_dict())
    return replace(model, network=network, step=state.step, history=tuple(state.history), state=kept)


def _restore(network: nn.Module, optimiser: Muon, kept: Mapping[str, Tensor]) -> None:
    network.load_state_dict({k.removeprefix("last/"): v for k, v in kept.items() if k.startswith("last/")})
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in kept.items():
        if name.startswith("moments/"):
            _, index, key = name.split("/")
            moments.setdefault(int(index), {})[key] = value
    if moments:
        optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})


def run(state: State, pool: Pool, objective: Objective, settings: TrainingSettings) -> Iterator[Progress]:
    """Train from `state.step` up to `settings.steps`, one record a step; stop between any two."""
    steps = _settled(settings.steps, "steps")
    began = time.monotonic()
    before = state.history[-1]["seconds"] if state.history else 0.0
    while state.step < steps:
        rate = schedule(state.step, steps) * settings.learning_rate
        loss = _step(state, pool, objective, settings, rate)
        due = state.step == steps or state.step % max(LEAST_BETWEEN, steps // VALIDATIONS) == 0
        validation = validate(state.average, pool, objective, settings) if due else math.nan
        record = Progress(state.step, steps, loss, validation, rate, before + time.monotonic() - began)
        state.history.append({key: value for key, value in asdict(record).items() if key != "steps"})
        yield record


def _settled(value: int | None, key: str) -> int:
    if value is None:
        raise MeeumError(f"training.{key} is empty; `session.prepare` settles it")
    return value


def schedule(step: int, steps: int) -> float:
    """Share of the highest learning rate: a short linear rise, then a half cosine towards zero."""
    rise = min(100, max(1, steps // 20))
    return min(1.0, (step + 1) / rise) * 0.5 * (1 + math.cos(math.pi * step / steps))


def _step(state: State, pool: Pool, objective: Objective, settings: TrainingSettings, rate: float) -> float:
    for group in state.optimiser.param_groups:
        group["lr"] = rate
    size = _settled(settings.batch, "batch")
    indices = range(state.step * size, (state.step + 1) * size)
    batch = draw(pool, indices, role=TRAIN, seed=settings.seed)
    generator = torch.Generator(batch.image.device).manual_seed(_mixed(settings.seed, state.step))
    state.optimiser.zero_grad(set_to_none=True)
    with _precision(settings.precision, batch.image.device):
        loss = objective(state.network, batch, generator)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(state.network.parameters(), 1.0)
    state.optimiser.step()
    state.step += 1
    _average(state, settings.averaging)
    value = float(loss.detach())
    if not math.isfinite(value):
        raise MeeumError(
            f"training diverged at step {state.step} (loss {value}); try --set training.learning_rate="
            f"{settings.learning_rate / 4:g} or training.precision=float32"
        )
    return value


def _average(state: State, width: float) -> None:
    """Power-law average of the weights (Karras 2024): about the last `width` of the run so far counts."""
    keep = (1 - 1 / state.step) ** (1 / width)
    with torch.no_grad():
        for mean, now in zip(state.average.parameters(), state.network.parameters(), strict=True):
            mean.lerp_(now, 1 - keep)


def validate(network: nn.Module, pool: Pool, objective: Objective, settings: TrainingSettings) -> float:
    """The objective on held-out voxels, with the same patches and masks whenever it is asked."""
    role = judged(pool)
    losses = []
    size = _settled(settings.batch, "batch")
    for first in range(0, VALIDATION_PATCHES, size):
        indices = range(first, min(first + size, VALIDATION_PATCHES))
        batch = draw(pool, indices, role=role, seed=settings.seed)
        generator = torch.Generator(batch.image.device).manual_seed(_mixed(settings.seed, -1 - first))
        with torch.no_grad(), _precision(settings.precision, batch.image.device):
            losses.append(float(objective(network, batch, generator)))
    return sum(losses) / len(losses)


def plan_steps(state: State, pool: Pool, objective: Objective, settings: Settings) -> Settings:
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
    steps = training.steps or _steps_in(left / each, _settled(training.batch, "batch"))
    return settings.changed("training", precision=precision, steps=steps)


def _steps_in(room: float, batch: int) -> int:
    """How many steps fit into the time of `room` bare ones, validations (a third of a step a batch) included."""
    validation = math.ceil(VALIDATION_PATCHES / batch) / 3
    between = max(LEAST_BETWEEN, room / VALIDATIONS)
    return max(1, round(room / (1 + validation / between)))


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
            _step(state, pool, objective, trial, 1e-6)
        except (RuntimeError, MeeumError):
            if precision == "float32":
                raise
            yield math.inf
        else:
            yield time.monotonic() - began


def _mixed(seed: int, step: int) -> int:
    return (seed * 1_000_003 + step) % 2**63


def _precision(precision: str, device: torch.device) -> AbstractContextManager[None]:
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
