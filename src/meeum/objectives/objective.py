"""What every objective is: from settings and subject to a loss of (network, batch, generator)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from meeum.patches import Batch, Normalisation

Network = Callable[[Tensor], Tensor]
Objective = Callable[[Network, Batch, torch.Generator], Tensor]


@dataclass(frozen=True)
class Subject:
    """What an objective may know of the image: sides of the smallest frame, scale and spread of its values."""

    name: str
    shape: tuple[int, ...]
    normalisation: Normalisation
