"""What a masking scheme may look at: the hidden voxels of a batch and the window around each of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

# Redraws until a permitted voxel is met are bounded, so that no step waits for the device to report back.
TRIES = 24


@dataclass(frozen=True)
class Neighbourhood:
    """The hidden voxels of a batch, and what a scheme may look at around each of them.

    A voxel is usable when it is visible; where only single voxels are hidden, the schemes of 2019 may by
    their definition use hidden ones too (`hidden_too`). Edges are reflected.
    """

    image: Tensor  # (B, *S) values
    hidden: Tensor  # (B, *S) bool
    place: Tensor  # (M, 1 + D) image of the batch and coordinates of each hidden voxel
    window: tuple[int, ...]  # half-widths, one per axis
    visible_only: bool  # True where neighbours are hidden too: then nothing hidden may be used

    def own(self) -> Tensor:
        """(M,) the hidden values themselves: only a scheme that leaks by definition asks for them."""
        return self.image[tuple(self.place.T)]

    def window_values(self, *, hidden_too: bool) -> tuple[Tensor, Tensor]:
        """(M, W) values of each window, edges by reflection, and (M, W) whether they may be used."""
        places = self._centres()[:, None] + self._offsets()
        usable = self._reflected(self._usable(hidden_too))
        return self._reflected(self.image).flatten()[places], usable.flatten()[places] > 0

    def window_mean(self, *, hidden_too: bool, power: int = 1) -> Tensor:
        """(M,) mean of the usable values (to a power) of each window; of all that is visible if there are none."""
        usable = self._usable(hidden_too)
        total = self._window_sum(torch.where(usable, self.image, 0) ** power)
        count = self._window_sum(usable.float()).round()
        return torch.where(count > 0, total / count.clamp(min=1), self._visible_mean(power))

    def draw_from_window(self, generator: torch.Generator, *, hidden_too: bool) -> Tensor:
        """(M,) value at a usable voxel drawn uniformly from each window, edges by reflection."""
        tries = 1 if hidden_too and not self.visible_only else TRIES
        offsets = self._offsets()
        drawn = torch.rand(len(self.place), tries, generator=generator, device=self.place.device) * len(offsets)
        places = self._centres()[:, None] + offsets[drawn.long().clamp(max=len(offsets) - 1)]
        usable = self._reflected(self._usable(hidden_too)).flatten()[places] > 0
        return self._first(self._reflected(self.image).flatten()[places], usable)

    def draw_displaced(self, std: Tensor, generator: torch.Generator) -> Tensor:
        """(M,) value at a voxel displaced by a rounded N(0, std²), never itself, never outside."""
        centre = self.place[:, None, 1:]
        size = torch.tensor(self.image.shape[1:], device=centre.device)
        lowest, highest = (torch.special.ndtr(edge / std) for edge in (-centre - 0.5, size - centre - 0.5))
        uniform = torch.rand(len(centre), TRIES, len(size), generator=generator, device=centre.device)
        steps = (torch.special.ndtri(lowest + uniform * (highest - lowest)) * std).round().long()
        places = torch.minimum((centre + steps).clamp(min=0), size - 1)
        where = (self.place[:, :1].expand(places.shape[:-1]), *places.unbind(-1))
        return self._first(self.image[where], (places != centre).any(-1) & self._usable(hidden_too=True)[where])

    def _usable(self, hidden_too: bool) -> Tensor:
        return torch.ones_like(self.hidden) if hidden_too and not self.visible_only else ~self.hidden

    def _visible_mean(self, power: int = 1) -> Tensor:
        axes = tuple(range(1, self.image.dim()))
        total = (torch.where(self.hidden, 0, self.image) ** power).sum(axes)
        return (total / (~self.hidden).sum(axes).clamp(min=1))[self.place[:, 0]]

    def _first(self, values: Tensor, usable: Tensor) -> Tensor:
        """(M,) the first usable of several values (M, K); the visible mean where none is."""
        first = values.gather(1, usable.int().argmax(1, keepdim=True))[:, 0]
        return torch.where(usable.any(1), first, self._visible_mean())

    def _reflected(self, image: Tensor) -> Tensor:
        pad = [half for half in reversed(self.window) for _ in range(2)]
        return functional.pad(image.float()[:, None], pad, mode="reflect")[:, 0]

    def _window_sum(self, image: Tensor) -> Tensor:
        total = self._reflected(image)
        for axis, half in enumerate(self.window, start=1):
            total = total.unfold(axis, 2 * half + 1, 1).sum(-1)
        return total[tuple(self.place.T)]

    def _centres(self) -> Tensor:
        """(M,) place of each hidden voxel in the flattened, reflected image."""
        flat = self.place[:, 0]
        for axis, (size, half) in enumerate(zip(self.image.shape[1:], self.window, strict=True), start=1):
            flat = flat * (size + 2 * half) + self.place[:, axis] + half
        return flat

    def _offsets(self) -> Tensor:
        """(W,) steps from a window's centre to its voxels, in the flattened, reflected image."""
        steps = torch.zeros(1, dtype=torch.long, device=self.place.device)
        for size, half in zip(self.image.shape[1:], self.window, strict=True):
            across = torch.arange(-half, half + 1, device=steps.device)
            steps = (steps[:, None] * (size + 2 * half) + across).flatten()
        return steps
