"""The neighbours objective (Neighbor2Neighbor): white noise of any level and law, without masks."""

from __future__ import annotations

import torch
from torch import Tensor

from meeum.errors import UsageError
from meeum.objectives.objective import Network, Objective, Subject
from meeum.patches import Batch
from meeum.settings import Settings

# Corners of a cell of 2x2 in reading order (0 1 / 2 3): every ordered pair that shares an edge.
FIRST = (0, 0, 1, 1, 2, 2, 3, 3)
SECOND = (1, 2, 0, 3, 0, 3, 1, 2)
CONSISTENCY = 1.0  # weight of the second term


def neighbours(settings: Settings, subject: Subject) -> Objective:
    """Neighbor2Neighbor (Huang 2021): of two half-size images of adjacent voxels, predict one from the other.

    Assumes noise that is independent between adjacent voxels of a plane, and a mean of zero. The consistency term
    takes out what the two voxels differ by without noise. Pairs lie in the plane in 3D too: z is often sampled more
    coarsely, so that its neighbours differ most, and cells of 2x2x2 would leave half as many targets.
    """
    _refuse_narrow(subject)
    depth = settings.network.depth

    def loss(network: Network, batch: Batch, generator: torch.Generator) -> Tensor:
        image, allowed = fitting(batch.image, depth), fitting(batch.allowed, depth)
        with torch.no_grad():
            whole = network(image[:, None])[:, 0].float()
        pair = draw_pairs(image, generator)
        given, target = pick(image, pair)
        error = network(given[:, None])[:, 0].float() - target
        before, after = pick(whole, pair)
        first, second = pick(allowed, pair)
        judged = error**2 + CONSISTENCY * (error - (before - after)) ** 2
        return torch.where(first & second, judged, 0).sum() / (first & second).sum().clamp(min=1)

    return loss


def _refuse_narrow(subject: Subject) -> None:
    if min(subject.shape[-2:]) < 2:
        raise UsageError(
            f"[training] objective: neighbours pairs adjacent voxels in y and x, but {subject.name} has sides "
            f"{'x'.join(map(str, subject.shape))}; both must be at least 2; try objective = masked"
        )


def fitting(image: Tensor, depth: int) -> Tensor:
    """As much of (B, *S) as leaves, at half its sides in y and x, whole strides of a network of that depth."""
    for axis in (-2, -1):
        side = image.shape[axis]
        # A side too short for that many halvings was not halved so often: see `networks.halvings`.
        multiple = min(2 ** (depth + 1), 2 ** max(1, side.bit_length() - 2))
        image = image.narrow(axis, 0, side // multiple * multiple)
    return image


def draw_pairs(image: Tensor, generator: torch.Generator) -> Tensor:
    """For every 2x2 cell of (B, *S), two different corners that share an edge, all eight ways equally likely.

    Gives (2, B, *S') with y and x halved: which corner is given, and which is the target.
    """
    size = (*image.shape[:-2], image.shape[-2] // 2, image.shape[-1] // 2)
    choice = torch.randint(len(FIRST), size, generator=generator, device=image.device)
    return torch.tensor((FIRST, SECOND), device=image.device)[:, choice]


def pick(image: Tensor, pair: Tensor) -> tuple[Tensor, Tensor]:
    """The two half-size images (B, *S') that a drawn pair takes from (B, *S)."""
    *leading, y, x = image.shape
    cells = image.reshape(*leading, y // 2, 2, x // 2, 2).transpose(-3, -2).flatten(-2)
    first, second = (cells.gather(-1, corner[..., None])[..., 0] for corner in pair)
    return first, second
