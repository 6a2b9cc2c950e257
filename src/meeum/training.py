"""Training: a generator of progress records over a state that can be saved between any two steps."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping
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
from meeum.settings import TrainingSettings

VALIDATION_PATCHES = 16
LEAST_BETWEEN = 25  # steps between two of them
VALIDATIONS = 40  # how often, over a whole run, held-out voxels are judged


@dataclass(frozen=True)
class Progress:
    """One step: its loss, and every so often (nan in between) two numbers of the held-out voxels.

    validation  the loss under fixed masks
    error_left  Stein's estimate of the squared error over the noise's variance, where the noise is known
    """

    step: int
    steps: int
    loss: float
    validation: float
    error_left: float
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
    best: Mapping[str, Tensor] = field(default_factory=dict)  # averaged weights of the least estimated error so far
    finished: bool = False  # of a model whose training is over, be it before the last step


def start(model: Model, device: str) -> State:
    """A state to train `model` from: fresh, or where its saved training state left off."""
    average = place(copy.deepcopy(model.network), model.shape.axes, device)
    network = copy.deepcopy(average)
    optimiser = Muon(network.parameters(), lr=model.settings.training.learning_rate)
    if model.state:
        _restore(network, average, optimiser, model.state)
    best = {k.removeprefix("best/"): v for k, v in model.state.items() if k.startswith("best/")}
    history = [dict(row) for row in model.history]
    return State(network, average, optimiser, model.step, history, best, model.is_finished)


def snapshot(model: Model, state: State) -> Model:
    """The model as trained so far (averaged weights, the best where these are kept), with what `start` needs to go on
    exactly.
    """
    kept = {f"last/{name}": value.clone() for name, value in state.network.state_dict().items()}
    kept |= {f"average/{name}": value.clone() for name, value in state.average.state_dict().items() if state.best}
    kept |= {f"best/{name}": value for name, value in state.best.items()}
    for index, moments in state.optimiser.state_dict()["state"].items():
        kept |= {f"moments/{index}/{name}": value.clone() for name, value in moments.items()}
    network = build(model.settings.network.network, model.shape, seed=0)
    network.load_state_dict(state.best or state.average.state_dict())
    return replace(model, network=network, step=state.step, history=tuple(state.history), state=kept)


def _restore(network: nn.Module, average: nn.Module, optimiser: Muon, kept: Mapping[str, Tensor]) -> None:
    network.load_state_dict({k.removeprefix("last/"): v for k, v in kept.items() if k.startswith("last/")})
    mean = {k.removeprefix("average/"): v for k, v in kept.items() if k.startswith("average/")}
    if mean:
        average.load_state_dict(mean)
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in kept.items():
        if name.startswith("moments/"):
            _, index, key = name.split("/")
            moments.setdefault(int(index), {})[key] = value
    if moments:
        optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})


def run(
    state: State, pool: Pool, objective: Objective, settings: TrainingSettings, *, error: Objective | None = None
) -> Iterator[Progress]:
    """Train from `state.step` up to `settings.steps`, or until `settings.patience` is lost, one record a step.

    None where the model is finished already. `error` estimates the error that is left; stop between any two records.
    """
    steps = settled(settings.steps, "steps")
    began = time.monotonic()
    before = state.history[-1]["seconds"] if state.history else 0.0
    while state.step < steps and not state.finished and not _lost_patience(state, settings):
        rate = schedule(state.step, steps) * settings.learning_rate
        loss = take_step(state, pool, objective, settings, rate)
        due = state.step == steps or state.step % max(LEAST_BETWEEN, steps // VALIDATIONS) == 0
        validation = validate(state.average, pool, objective, settings) if due else math.nan
        exact = settings.model_copy(update={"precision": "float32"})  # a small difference over a small step
        left = validate(state.average, pool, error, exact) if due and error else math.nan
        if settings.patience is not None and left <= _least(state)[1]:
            state.best = {name: value.clone() for name, value in state.average.state_dict().items()}
        record = Progress(state.step, steps, loss, validation, left, rate, before + time.monotonic() - began)
        state.history.append({key: value for key, value in asdict(record).items() if key != "steps"})
        yield record


def _least(state: State) -> tuple[int, float]:
    """The step at which the estimated error was least, and that error; infinite before the first."""
    told = [(row.get("error_left", math.nan), row["step"]) for row in state.history]
    known = [(left, step) for left, step in told if not math.isnan(left)]
    left, step = min(known, default=(math.inf, 0))
    return int(step), left


def _lost_patience(state: State, settings: TrainingSettings) -> bool:
    if settings.patience is None or settings.steps is None or not state.best:
        return False
    return state.step - _least(state)[0] > settings.patience * settings.steps


def settled(value: int | None, key: str) -> int:
    if value is None:
        raise MeeumError(f"training.{key} is empty; `preparation.prepare` settles it")
    return value


def schedule(step: int, steps: int) -> float:
    """Share of the highest learning rate: a short linear rise, then a half cosine towards zero."""
    rise = min(100, max(1, steps // 20))
    return min(1.0, (step + 1) / rise) * 0.5 * (1 + math.cos(math.pi * step / steps))


def take_step(state: State, pool: Pool, objective: Objective, settings: TrainingSettings, rate: float) -> float:
    for group in state.optimiser.param_groups:
        group["lr"] = rate
    size = settled(settings.batch, "batch")
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
    """The objective on held-out voxels, with the same patches and masks whenever it is asked.

    A batch counts by its voxels that are judged. Patches are not turned, since noise that is drawn for them is not.
    """
    role = judged(pool)
    losses, counts = [], []
    size = settled(settings.batch, "batch")
    for first in range(0, VALIDATION_PATCHES, size):
        indices = range(first, min(first + size, VALIDATION_PATCHES))
        batch = draw(pool, indices, role=role, seed=settings.seed, turned=False)
        generator = torch.Generator(batch.image.device).manual_seed(_mixed(settings.seed, -1 - first))
        with torch.no_grad(), _precision(settings.precision, batch.image.device):
            losses.append(float(objective(network, batch, generator)))
        counts.append(float(batch.allowed.sum()))
    return sum(loss * count for loss, count in zip(losses, counts, strict=True)) / max(1.0, sum(counts))


def _mixed(seed: int, step: int) -> int:
    return (seed * 1_000_003 + step) % 2**63


def _precision(precision: str, device: torch.device) -> AbstractContextManager[None]:
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
