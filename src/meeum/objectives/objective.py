"""What every objective is: from settings and subject to a loss of (network, batch, generator)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from meeum.noise import Noise
from meeum.patches import Batch, Normalisation

Network = Callable[[Tensor], Tensor]
Objective = Callable[[Network, Batch, torch.Generator], Tensor]


@dataclass(frozen=True)
class Subject:
    """What an objective may know of the image: sides of the smallest frame, affine of its values, its noise.

    `drawn` is noise that was drawn beforehand, by sides and seed: all that is made of the same subject shares it.
    """

    name: str
    shape: tuple[int, ...]
    normalisation: Normalisation
    noise: Noise | None = None
    drawn: dict[tuple[tuple[int, ...], int], Tensor] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )
