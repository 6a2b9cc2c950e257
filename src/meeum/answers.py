"""What a network answers to noise added to its input: the wrong way round, where it was trained with too much of it.

A network trained with noise of power M answers noise of power N, where it knows of no structure, by
(N - M) / (N + alpha² M). Where no block of an image is empty, what the emptiest hold is noise and detail. A network
predicts much of the detail, and where it predicts most its answer tells how much of the rest is noise. So a first
training is asked every so often, frequency by frequency, and goes on with the noise that its answer bears out. Where
values were cut off, no level is right, since noise has lost one side there, and the longer a network is trained the
more it makes of that: a first training tells after how many steps it turns. It goes on where it does not; where it
does, the one that counts takes no more steps, or, if there is no time for one anew, the first ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import scipy.fft
import torch
from torch import Tensor

from meeum import training
from meeum.noise import Noise
from meeum.noise.blocks import Array, cycles, multiplicity
from meeum.noise.measure import TRAINED
from meeum.objectives import Answer, Objective
from meeum.patches import TRAIN, Batch, Pool, draw
from meeum.settings import TrainingSettings
from meeum.training import State

Asking = Callable[[Batch, torch.Generator], tuple[Tensor, Tensor, Tensor]]  # an `Answer` of one network

STEPS, ROUNDS = 80, 10  # between two looks at what the network answers, and how many
SHELLS = np.array([0.06, 0.10, 0.14, 0.18, 0.22, 0.26, 0.30, 0.35, 0.40, 0.50])  # cycles per voxel, between two shells
BATCHES, PATCHES = 4, 4  # that are looked at, and patches of each
DRAWS = 4  # of noise, for a spectrum: half of them tell where to look, half what is seen there
WINDOW, LEAST = 16, 0.2  # voxels a side, and share of the windows in which the least is let through
ERROR = 0.05  # answer that is error left
ALONE = 0.2  # answer up to which a shell holds noise and hardly anything else
STRUCTURE = 0.4  # answer from which a shell holds mostly structure: it follows the next finer one
LONG = 0.18  # cycles per voxel below which structure is everywhere: shells follow the next finer one, too
FINE = 0.35  # cycles per voxel above which it is rare: what was lowered too far there is raised again
AWAKE, RIPE = 320, 480  # steps before which a network lets too much through to raise noise that was lowered; any noise
DETAIL = 0.1  # answer at all frequencies at least, beyond which even noise that was measured is raised
PART = 3  # a first training takes one of so many steps at most, unless noise is but a guess
RISE = 2.0  # of a power, at most, at one look
SETTLED = 0.03  # relative change of all shells below which no more looks are taken
TRUSTED = 0.12  # relative error of a level that was borne out, as found on phantoms
LOOK = 100  # steps between two looks at whether a network has turned
TRIED = 1500  # steps at most
CLIPPED = 0.8  # of the full level: less where values were cut off


def steps_before(planned: int, *, guess: bool) -> int:
    """Steps of a first training before one of `planned` steps; 0 where these are too few for that.

    Noise that is but a `guess` is worth as many as there are; any other, no more than a third.
    """
    steps = min(STEPS * ROUNDS, planned if guess else planned // PART)
    return steps if steps >= (AWAKE if guess else RIPE) else 0


def borne_out(
    noise: Noise,
    state: State,
    pool: Pool,
    settings: TrainingSettings,
    asked: Callable[[Noise], tuple[Objective, Answer]],
) -> Iterator[Noise]:
    """The noise that a training from `state` on `pool` bears out, at every look; the last is the one to take.

    It begins with `noise`; `asked` makes the objective and the question what becomes of noise, both for some noise;
    `settings.steps` in all.
    """
    steps = training.settled(settings.steps, "steps")
    found, factors, most, settled = noise, np.ones(len(SHELLS) + 1), 1.0, False
    while state.step < steps and not settled:
        objective, ask = asked(found)
        here = replace(pool, levels=tuple(level * (found.std / noise.std) for level in pool.levels))
        _train(state, here, objective, settings, STEPS)
        answers, before = _answers(partial(ask, state.average), here, settings.seed), factors
        rise = _rise(answers, settings.alpha) if state.step >= RIPE else 1.0
        most *= rise
        changed = factors * rise * _change(answers, settings.alpha, awake=state.step >= AWAKE)
        factors = _followed(np.minimum(changed, most), answers)
        found = noise.with_power(noise.std**2 * noise.spectrum * factors[_shells(noise.sides)])
        found = replace(found, source=TRAINED)
        settled = state.step > RIPE and bool(np.abs(factors / before - 1).max() < SETTLED)
        yield _trusted(found, answers) if state.step >= RIPE else found  # before, nobody can say how well it is known


def turned(
    state: State, pool: Pool, settings: TrainingSettings, objective: Objective, ask: Answer
) -> Iterator[int | None]:
    """Steps of a training from `state` on after which noise is answered the wrong way round where it was clipped.

    None at every look before; for good if `TRIED` steps, or all that are planned but one, are not enough for that.
    """
    steps = min(training.settled(settings.steps, "steps") - 1, TRIED)
    while state.step + LOOK <= steps:
        _train(state, pool, objective, settings, LOOK)
        if _beside_the_clip(partial(ask, state.average), pool, settings.seed) < 0:
            yield state.step
            return
        yield None


def _trusted(noise: Noise, answers: Array) -> Noise:
    evidence = max(noise.evidence, _seen(noise, answers))
    return replace(noise, uncertainty=min(noise.uncertainty, TRUSTED), evidence=evidence)


def _train(state: State, pool: Pool, objective: Objective, settings: TrainingSettings, count: int) -> None:
    """So many steps, without a look at held-out voxels."""
    steps = training.settled(settings.steps, "steps")
    for _ in range(min(count, steps - state.step)):
        rate = training.schedule(state.step, steps) * settings.learning_rate
        training.take_step(state, pool, objective, settings, rate)


def _beside_the_clip(ask: Asking, pool: Pool, seed: int) -> float:
    """What is let through of noise where its level is lower than elsewhere; summed, not over its power."""
    least = CLIPPED * max(float(level.max()) for level in pool.levels)
    looks = _asked(ask, pool, seed, draws=1)
    return sum(float((noise * answered)[batch.level < least].sum()) for batch, ((noise, answered),) in looks)


def true_over_assumed(answers: Array, alpha: float) -> Array:
    """Power of noise over the assumed one that answers where there is no structure tell."""
    return np.asarray((1 + alpha**2 * answers) / np.maximum(1 - answers, 1e-6))


def _seen(noise: Noise, answers: Array) -> float:
    """Share of the noise's energy in shells in which windows hold hardly anything else."""
    energy = _over_shells(noise.spectrum[None], noise.sides)[0]
    return float(energy[np.abs(answers) < ALONE].sum() / energy.sum())


def _change(answers: Array, alpha: float, *, awake: bool) -> Array:
    """Lower where the answer is the wrong way round; at fine frequencies raise again where it is not."""
    beyond = np.sign(answers) * np.maximum(np.abs(answers) - ERROR, 0)
    fine = np.append(SHELLS, np.inf) > FINE
    return np.where((beyond < 0) | (fine & awake), np.minimum(true_over_assumed(beyond, alpha), RISE), 1)


def _rise(answers: Array, alpha: float) -> float:
    """Factor for noise that is let through at all frequencies, and so too weak at all."""
    least = max(float(answers[:-1].min()) - DETAIL, 0)
    return min(float(true_over_assumed(np.array(least), alpha)), RISE)


def _followed(factors: Array, answers: Array) -> Array:
    """Shells that hold mostly structure say little: their noise is lowered as much as that of the next finer one."""
    factors = factors.copy()
    for shell in reversed(range(len(factors) - 1)):
        if answers[shell] > STRUCTURE or SHELLS[shell] <= LONG:
            factors[shell] = min(factors[shell], factors[shell + 1])
    return factors


def _answers(ask: Asking, pool: Pool, seed: int) -> Array:
    """What part of noise like the assumed one a network lets through, per shell, in windows where that is least.

    Each half of the draws chooses the windows for the other, so that chance is not taken for little. 1 in shells
    without a frequency.
    """
    powers = np.concatenate([_powers(draws) for _, draws in _asked(ask, pool, seed, draws=DRAWS)], axis=2)
    given, got = _least(powers[0], powers[1]) + _least(powers[1], powers[0])
    return np.where(given > 0, got / np.maximum(given, 1e-30), 1.0)


def _powers(draws: Sequence[tuple[Tensor, Tensor]]) -> Array:
    """(2 halves of the draws, noise and its part that is let through, W windows, S shells)"""
    rows = []
    for noise, answered in draws:
        given, got = (_windows(part.cpu().numpy()) for part in (noise, answered))
        spectrum = _spectra(given)
        crossed = [(spectrum.conj() * part).real for part in (spectrum, _spectra(got))]
        rows.append([_over_shells(part, given.shape[1:]) for part in crossed])
    return np.array([np.sum(rows[half::2], axis=0) for half in (0, 1)])


def _least(told: Array, seen: Array) -> Array:
    """(2, S) sums of what is `seen` (2, W, S) in the windows for which less than elsewhere was `told`."""
    order = np.argsort(told[1] / np.maximum(told[0], 1e-30), axis=0)[: max(1, round(LEAST * told.shape[1]))]
    return np.asarray(np.take_along_axis(seen, order[None], axis=1).sum(axis=1))


def _windows(patches: Array) -> Array:
    """(B, *S) -> (W, *sides): cut into windows side by side, what is over left out."""
    for axis in range(1, patches.ndim):
        side = min(WINDOW, patches.shape[axis])
        count = patches.shape[axis] // side
        parts = np.split(patches.take(np.arange(count * side), axis=axis), count, axis=axis)
        patches = np.concatenate(parts)
    return patches


def _asked(ask: Asking, pool: Pool, seed: int, *, draws: int) -> Iterator[tuple[Batch, list[tuple[Tensor, Tensor]]]]:
    """Batches, and for each so many times noise and what a network made of it."""
    generator = torch.Generator(pool.blocks[0].device).manual_seed(seed)
    for first in range(0, BATCHES * PATCHES, PATCHES):
        batch = draw(pool, range(first, first + PATCHES), role=TRAIN, seed=seed)
        with torch.no_grad():
            yield batch, [ask(batch, generator)[1:] for _ in range(draws)]


def _spectra(patches: Array) -> Array:
    """(B, *S) -> (B, *half), under a Hann window."""
    for axis, side in enumerate(patches.shape[1:], start=1):
        window = np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2
        patches = patches * window.reshape([-1 if a == axis else 1 for a in range(patches.ndim)])
    return np.asarray(scipy.fft.rfftn(patches, axes=tuple(range(1, patches.ndim))))


def _over_shells(power: Array, sides: tuple[int, ...]) -> Array:
    """(W, *half) -> (W, S) sums."""
    flat = (power * multiplicity(sides)).reshape(len(power), -1)
    return np.asarray(flat @ np.eye(len(SHELLS) + 1)[_shells(sides).ravel()])


def _shells(sides: tuple[int, ...]) -> Array:
    """Number of the shell of each frequency (*half)."""
    return np.asarray(np.digitize(cycles(sides), SHELLS))
