"""The recorrupted objective: add noise like the measured one, and ask for the image with that noise taken away."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from meeum.errors import UsageError
from meeum.objectives.objective import Network, Objective, Subject
from meeum.patches import Batch
from meeum.settings import Settings

BANK_BYTES = 2**26  # of noise drawn beforehand

Answer = Callable[[Network, Batch, torch.Generator], tuple[Tensor, Tensor, Tensor]]


def recorrupted(settings: Settings, subject: Subject) -> Objective:
    """Recorrupted-to-recorrupted (Pang 2021): from y + alpha z predict y - z / alpha, z drawn like the noise.

    For Gaussian noise of the measured covariance its minimiser is that of training with clean targets. Every patch
    comes with z and with -z: half as many patches, less scatter.
    """
    draw, alpha = _drawing(settings, subject, "recorrupted"), settings.training.alpha

    def loss(network: Network, batch: Batch, generator: torch.Generator) -> Tensor:
        noise = draw(batch, generator)
        noise, image = torch.cat([noise, -noise]), batch.image.repeat(2, *(1 for _ in batch.image.shape[1:]))
        error = (network((image + alpha * noise)[:, None])[:, 0] - image + noise / alpha) ** 2
        allowed = batch.allowed.repeat(2, *(1 for _ in batch.image.shape[1:]))
        return torch.where(allowed, error, 0).sum() / allowed.sum().clamp(min=1)

    return loss


def sure(settings: Settings, subject: Subject) -> Objective:
    """Stein's unbiased risk (Stein 1981), its divergence by a random direction z drawn like the noise (Ramani 2008).

    |f(y) - y|² + 2 z (f(y + h z) - f(y)) / h per voxel, up to the noise's own variance: an estimate of the error.
    """
    stein = _stein(settings, subject, "sure")

    def loss(network: Network, batch: Batch, generator: torch.Generator) -> Tensor:
        return torch.where(batch.allowed, stein(network, batch, generator), 0).sum() / batch.allowed.sum().clamp(min=1)

    return loss


def error_left(settings: Settings, subject: Subject) -> Objective:
    """Stein's estimate of the squared error of any network, over the noise's variance: 1 is no better than nothing."""
    stein = _stein(settings, subject, "the estimated error")

    def share(network: Network, batch: Batch, generator: torch.Generator) -> Tensor:
        variance = torch.where(batch.allowed, batch.level**2, 0).sum()
        found = torch.where(batch.allowed, stein(network, batch, generator), 0).sum()
        return found / variance.clamp(min=1e-30) - 1

    return share


def answer(settings: Settings, subject: Subject, name: str = "the answer to noise") -> Answer:
    """What a network makes of a batch, noise z (B, *S) drawn for it, and what becomes of z: (f(y + h z) - f(y)) / h."""
    draw, step = _drawing(settings, subject, name), 0.1

    def answers(network: Network, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        noise = draw(batch, generator)
        plain, moved = network(torch.cat([batch.image, batch.image + step * noise])[:, None])[:, 0].float().chunk(2)
        return plain, noise, (moved - plain) / step

    return answers


def _stein(settings: Settings, subject: Subject, name: str) -> Objective:
    """The terms of Stein's risk for each voxel (B, *S), without the noise's variance."""
    ask = answer(settings, subject, name)

    def terms(network: Network, batch: Batch, generator: torch.Generator) -> Tensor:
        plain, noise, answered = ask(network, batch, generator)
        return (plain - batch.image) ** 2 + 2 * noise * answered

    return terms


def _drawing(settings: Settings, subject: Subject, name: str) -> Callable[[Batch, torch.Generator], Tensor]:
    """Noise for a batch, in network units: from a bank of samples, at random places, times the levels there."""
    if subject.noise is None:
        raise UsageError(f"[training] objective: {name} needs a measurement of the noise; none was made")
    patch, seed = settings.training.patch, settings.training.seed
    assert patch is not None  # the session has filled it in

    def draw(batch: Batch, generator: torch.Generator) -> Tensor:
        return _pieces(_bank(subject, patch, seed, batch.image.device), batch.image, generator) * batch.level

    return draw


def _pieces(bank: Tensor, like: Tensor, generator: torch.Generator) -> Tensor:
    """(B, *S) noise: each piece from a random sample, place and sign."""
    room = [n - s + 1 for n, s in zip(bank.shape[1:], like.shape[1:], strict=True)]
    high = torch.tensor([len(bank), *room, 2], device=generator.device)
    chance = torch.rand((len(like), len(high)), generator=generator, device=generator.device)
    pieces = []
    for which, *corner, sign in (chance * high).long().tolist():
        region = tuple(slice(c, c + s) for c, s in zip(corner, like.shape[1:], strict=True))
        pieces.append(bank[(which, *region)] * (2 * sign - 1))
    return torch.stack(pieces)


def _bank(subject: Subject, patch: tuple[int, ...], seed: int, device: torch.device) -> Tensor:
    """(N, *sides) samples of variance 1, drawn when they are first needed."""
    assert subject.noise is not None
    sides = tuple(2 * side for side in patch)
    if (sides, seed) not in subject.drawn:
        count = min(64, max(4, BANK_BYTES // (4 * math.prod(sides))))
        samples = subject.noise.samples(count, sides, np.random.default_rng([seed, 1]))
        subject.drawn[sides, seed] = torch.from_numpy(samples).to(device)
    return subject.drawn[sides, seed].to(device)
