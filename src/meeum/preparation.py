"""Before a training: the noise is measured, and set right by a first training where it is uncertain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from meeum import answers, training
from meeum.checkpoint import Model
from meeum.noise import Noise
from meeum.noise import measure as measure_noise
from meeum.noise.measure import ROUGH, is_uncertain
from meeum.objectives import NEEDS_NOISE, OBJECTIVES, Answer, Objective, answer
from meeum.patches import measure
from meeum.routing import fine
from meeum.session import Session, assemble, device, refuse
from meeum.settings import Settings
from meeum.volume import Volume

BETTER, ENDING = "to know the noise better", "to see how long to train"  # what first trainings are for


@dataclass(frozen=True)
class Prepared:
    """What is known of the noise so far; after how many steps, of how many at most, of a first training for what.

    At last (and of `noises` never) the session. `begun` is what the first training made of the network.
    """

    noise: Noise | None
    purpose: str = ""
    step: int = 0
    steps: int = 0
    begun: Model | None = None
    session: Session | None = None


def prepare(volumes: Sequence[Volume], settings: Settings, *, noise: Noise | None = None) -> Session:
    """Set up training on one or more images of the same axes; the noise (unless given), steps and precision are
    measured here.
    """
    *_, last = preparing(volumes, settings, noise=noise)
    assert last.session is not None  # the last record always holds it
    return last.session


def preparing(volumes: Sequence[Volume], settings: Settings, *, noise: Noise | None = None) -> Iterator[Prepared]:
    """The same, with a record whenever a first training was looked at; the last holds the session."""
    refuse(volumes, settings)
    patient = settings.training.patience is not None
    needed = settings.training.objective in NEEDS_NOISE or settings.prediction.mixing or patient
    begun = None
    if needed and noise is None:
        for now in noises(volumes, settings):
            yield now
            noise, begun = now.noise, now.begun
    ready = assemble(volumes, settings, noise, begun=begun)
    if not settings.training.steps and _is_clipped(ready):
        yield from _ended_in_time(ready)
    else:
        yield Prepared(noise, session=ready)


def noise_of(volumes: Sequence[Volume], settings: Settings, *, show: Callable[[Prepared], None] | None = None) -> Noise:
    """As measured; where that is uncertain, what a first training bears out."""
    for now in noises(volumes, settings):
        if show:
            show(now)
    assert now.noise is not None
    return now.noise


def noises(volumes: Sequence[Volume], settings: Settings) -> Iterator[Prepared]:
    """The same, with a record whenever a first training was looked at; the last holds the noise to take."""
    measure(volumes)  # refuses what is constant or no number, in words that say so
    noise = measure_noise(volumes)
    yield Prepared(noise)
    if settings.training.objective in ("auto", "recorrupted") and is_uncertain(noise):
        yield from borne_out(volumes, settings, noise)


def borne_out(volumes: Sequence[Volume], settings: Settings, noise: Noise) -> Iterator[Prepared]:
    """What a first training for recorrupted-to-recorrupted, which begins with `noise`, bears out, if time is enough."""
    first = assemble(volumes, fine(settings, noise), noise)  # a network that can answer at all frequencies
    steps = answers.steps_before(first.settings.training.steps or 0, guess=noise.source == ROUGH)
    if not steps:
        return

    def asked(found: Noise) -> tuple[Objective, Answer]:
        about = replace(first.subject, noise=found)
        return OBJECTIVES["recorrupted"](first.settings, about), answer(first.settings, about)

    yield Prepared(noise, BETTER, 0, steps)
    chosen = first.settings.changed("training", steps=steps).training
    for found in answers.borne_out(noise, first.state, first.pool, chosen, asked):
        begun = replace(first.model, network=first.state.average)
        yield Prepared(found, BETTER, first.state.step, steps, begun)


def _is_clipped(ready: Session) -> bool:
    noise = ready.model.noise
    return noise is not None and noise.clip is not None and ready.settings.training.objective == "recorrupted"


def _ended_in_time(first: Session) -> Iterator[Prepared]:
    """With no more steps than a first training tells, before noise is answered the wrong way round."""
    noise, planned = first.model.noise, first.settings.training
    ask = answer(first.settings, first.subject)
    steps, most = min(planned.steps or 0, answers.TRIED), None
    yield Prepared(noise, ENDING, 0, steps)
    for turned in answers.turned(first.state, first.pool, planned, first.objective, ask):
        yield Prepared(noise, ENDING, first.state.step, steps)
        most = turned
    yield Prepared(noise, session=_no_longer_than(first, most))


def _no_longer_than(first: Session, most: int | None) -> Session:
    """A training anew of `most` steps where there is time for it; else the first goes on, and ends soon after them."""
    planned = first.settings.training.steps or 0
    if most is None:
        return first
    if 2 * most <= planned:
        state = training.start(first.model, device(first.settings))
        return replace(first, model=_of_steps(first.model, most), state=state, most_steps=most)
    return replace(first, model=_of_steps(first.model, min(planned, most + answers.LOOK)), most_steps=most)


def _of_steps(model: Model, steps: int) -> Model:
    return replace(model, settings=model.settings.changed("training", steps=steps))
