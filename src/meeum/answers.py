"""What a network answers to noise added to its input: the wrong way round, where it was trained with too much of it.

A network trained with noise of power M answers noise of power N, where it knows of no structure, by
(N - M) / (N + alpha² M). Where no block of an image is empty, what the emptiest hold is noise and detail. So in a first
training, every so often, what was answered the wrong way round is lowered by as much, frequency by frequency; what is
left is the noise and the detail that the network cannot predict. Where values were cut off, no level is right, since
noise has lost one side there, and the longer a network is trained the more it makes of that: a first training tells
after how many steps it turns, and the one that counts takes no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import scipy.fft
import torch
from torch import Tensor

from meeum import training
from meeum.noise import Noise
from meeum.noise.blocks import Array, cycles, multiplicity
from meeum.noise.measure import LOWERED
from meeum.objectives import Answer, Objective
from meeum.patches import TRAIN, Batch, Pool, draw
from meeum.settings import TrainingSettings
from meeum.training import State

Asking = Callable[[Batch, torch.Generator], tuple[Tensor, Tensor, Tensor]]  # an `Answer` of one network

STEPS, ROUNDS = 80, 10  # between two looks at what the network answers, and how many
SHELLS = np.array([0.06, 0.10, 0.14, 0.18, 0.22, 0.26, 0.30, 0.35, 0.40, 0.50])  # cycles per voxel, between two shells
BATCHES, FEWER, PATCHES = 12, 4, 4  # that are looked at: for a spectrum, for one number; patches of each
LOOK = 100  # steps between two looks at whether a network has turned
TRIED = 1500  # steps at most
CLIPPED = 0.8  # of the full level: less where values were cut off
ERROR = 0.1  # answer that may be error left, not noise: what a network makes of noise that it was trained with
STRUCTURE = 0.4  # answer from which a shell holds mostly structure: it follows the next finer one
LONG = 0.18  # cycles per voxel below which structure is everywhere: shells follow the next finer one, too


def lowered(
    noise: Noise,
    state: State,
    pool: Pool,
    settings: TrainingSettings,
    asked: Callable[[Noise], tuple[Objective, Answer]],
) -> Noise:
    """As much of `noise`, which may be too much, as a training from `state` on `pool` bears out.

    `asked` makes the objective and the question what becomes of noise, both for some noise; `settings.steps` in all.
    """
    steps = training.settled(settings.steps, "steps")
    found, factors = noise, np.ones(len(SHELLS) + 1)
    while state.step < steps:
        objective, ask = asked(found)
        here = replace(pool, levels=tuple(level * (found.std / noise.std) for level in pool.levels))
        _train(state, here, objective, settings, STEPS)
        answers = _answers(partial(ask, state.average), here, settings.seed)
        factors = _followed(factors * borne_out(answers - ERROR, settings.alpha), answers)
        found = noise.with_power(noise.std**2 * noise.spectrum * factors[_shells(noise.sides)])
    return replace(found, source=LOWERED)


def turn(state: State, pool: Pool, settings: TrainingSettings, objective: Objective, ask: Answer) -> int | None:
    """Steps of a training from `state` on after which noise is answered the wrong way round where it was clipped.

    None if `TRIED` steps, or all that are planned, are not enough for that.
    """
    steps = min(training.settled(settings.steps, "steps"), TRIED)
    while state.step + LOOK <= steps:
        _train(state, pool, objective, settings, LOOK)
        if _beside_the_clip(partial(ask, state.average), pool, settings.seed) < 0:
            return state.step
    return None


def _train(state: State, pool: Pool, objective: Objective, settings: TrainingSettings, count: int) -> None:
    """So many steps, without a look at held-out voxels."""
    steps = training.settled(settings.steps, "steps")
    for _ in range(min(count, steps - state.step)):
        rate = training.schedule(state.step, steps) * settings.learning_rate
        training.take_step(state, pool, objective, settings, rate)


def _beside_the_clip(ask: Asking, pool: Pool, seed: int) -> float:
    """What is let through of noise where its level is lower than elsewhere; summed, not over its power."""
    least = CLIPPED * max(float(level.max()) for level in pool.levels)
    looks = _asked(ask, pool, seed, FEWER)
    return sum(float((noise * answered)[batch.level < least].sum()) for batch, noise, answered in looks)


def borne_out(answers: Array, alpha: float) -> Array:
    """Share of the assumed power of noise that answers of the wrong sign leave: 1 where they have the right one."""
    wrong = np.minimum(answers, 0)
    return np.asarray((1 + alpha**2 * wrong) / (1 - wrong))


def _followed(factors: Array, answers: Array) -> Array:
    """Shells that hold mostly structure say little: their noise is lowered as much as that of the next finer one."""
    factors = factors.copy()
    for shell in reversed(range(len(factors) - 1)):
        if answers[shell] > STRUCTURE or SHELLS[shell] <= LONG:
            factors[shell] = min(factors[shell], factors[shell + 1])
    return factors


def _answers(ask: Asking, pool: Pool, seed: int) -> Array:
    """What part of noise like the assumed one a network lets through, per shell of frequencies."""
    sums = np.zeros((2, len(SHELLS) + 1))
    for _, noise, answered in _asked(ask, pool, seed, BATCHES):
        given, got = (_spectra(part.cpu().numpy()) for part in (noise, answered))
        sums += [_over_shells((given.conj() * part).real.sum(axis=0), noise.shape[1:]) for part in (given, got)]
    return np.asarray(sums[1] / np.maximum(sums[0], 1e-30))


def _asked(ask: Asking, pool: Pool, seed: int, batches: int) -> Iterator[tuple[Batch, Tensor, Tensor]]:
    """Batches, the noise drawn for them, and what a network made of it."""
    generator = torch.Generator(pool.blocks[0].device).manual_seed(seed)
    for first in range(0, batches * PATCHES, PATCHES):
        batch = draw(pool, range(first, first + PATCHES), role=TRAIN, seed=seed)
        with torch.no_grad():
            _, noise, answered = ask(batch, generator)
        yield batch, noise, answered


def _spectra(patches: Array) -> Array:
    """(B, *S) -> (B, *half), under a Hann window."""
    for axis, side in enumerate(patches.shape[1:], start=1):
        window = np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2
        patches = patches * window.reshape([-1 if a == axis else 1 for a in range(patches.ndim)])
    return np.asarray(scipy.fft.rfftn(patches, axes=tuple(range(1, patches.ndim))))


def _over_shells(power: Array, sides: tuple[int, ...]) -> Array:
    weighted = (power * multiplicity(sides)).ravel()
    return np.bincount(_shells(sides).ravel(), weighted, minlength=len(SHELLS) + 1)


def _shells(sides: tuple[int, ...]) -> Array:
    """Number of the shell of each frequency (*half)."""
    return np.asarray(np.digitize(cycles(sides), SHELLS))
