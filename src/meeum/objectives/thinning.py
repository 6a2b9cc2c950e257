"""The thinning objective: the photons of each voxel are dealt to an input and a target, for noise of counting."""

from __future__ import annotations

import torch
from torch import Tensor

from meeum.errors import UsageError
from meeum.objectives.objective import Network, Objective, Subject
from meeum.patches import Batch
from meeum.settings import Settings

GIVEN = 0.5  # share of the photons that the network is given


def thinning(settings: Settings, subject: Subject) -> Objective:
    """Binomial thinning: from a part of the counted photons predict the rest (photon accumulation: Krull 2023).

    Parts of a Poisson count are independent of each other, so that the minimiser is that of training with clean
    targets. The image becomes counts by the measured gain and the value at which the noise's variance is 0.
    """
    black, gain = _counting(subject)
    affine = subject.normalisation

    def in_network_units(counts: Tensor) -> Tensor:
        return (counts * gain + black - affine.offset) / affine.scale

    def loss(network: Network, batch: Batch, generator: torch.Generator) -> Tensor:
        counts = (batch.image * affine.scale + affine.offset - black) / gain
        given = thinned(counts, generator)
        target = in_network_units((counts - given) / (1 - GIVEN))
        error = (network(in_network_units(given / GIVEN)[:, None])[:, 0] - target) ** 2
        return torch.where(batch.allowed, error, 0).sum() / batch.allowed.sum().clamp(min=1)

    return loss


def thinned(counts: Tensor, generator: torch.Generator) -> Tensor:
    """Of each count every photon with probability `GIVEN`; what lies between two counts becomes one or the other.

    Of a value below zero, which no count has, it is that share: on the average `GIVEN` of any value; means are kept.
    """
    here = counts.to(generator.device)
    chance = torch.rand(here.shape, generator=generator, device=generator.device)
    whole = torch.floor(here.clamp(min=0) + chance)
    share = torch.full_like(whole, GIVEN)
    given = torch.binomial(whole, share, generator=generator) + GIVEN * here.clamp(max=0)
    return given.to(counts.device)


def _counting(subject: Subject) -> tuple[float, float]:
    """Value without a photon, and data units per photon."""
    noise = subject.noise
    if noise is None:
        raise UsageError("[training] objective: thinning needs a measurement of the noise; none was made")
    if not noise.is_counted:
        raise UsageError(
            f"[training] objective: thinning deals out photons, but the noise of {subject.name} does not grow with the "
            "signal; try objective = auto"
        )
    return -noise.read / noise.gain, noise.gain
