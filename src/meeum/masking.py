"""Masking: sites are drawn, their footprint is hidden, and a scheme fills what is hidden.

A scheme is a function `(neighbourhood, std, generator) -> values`, one value per hidden voxel; it stands
with what it needs and what it leaks in `SCHEMES` at the foot of this room. Images are (B, Y, X) or
(B, Z, Y, X) tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
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


def ups(around: Neighbourhood, std: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform pixel selection: a uniformly chosen voxel of the window, itself included (Krull 2019)."""
    return around.draw_from_window(generator, hidden_too=True)


def ups_nocentre(around: Neighbourhood, std: Tensor, generator: torch.Generator) -> Tensor:
    """A uniformly chosen visible voxel of the window, never itself: needed against outliers."""
    return around.draw_from_window(generator, hidden_too=False)


def gaussian(around: Neighbourhood, std: Tensor, generator: torch.Generator) -> Tensor:
    """G: its own value plus N(0, std²), std in data units; the value leaks by definition (lab note 2019)."""
    own = around.own()
    return own + std[0] * torch.randn(own.shape, generator=generator, device=own.device)


def gaussian_fit(around: Neighbourhood, std: Tensor, generator: torch.Generator) -> Tensor:
    """GF: a draw from N(mean, std²) of the window, itself included (lab note 2019)."""
    centre = around.window_mean(hidden_too=True)
    variance = (around.window_mean(hidden_too=True, power=2) - centre**2).clamp(min=0)
    return centre + variance.sqrt() * torch.randn(centre.shape, generator=generator, device=centre.device)


def gaussian_selection(around: Neighbourhood, std: Tensor, generator: torch.Generator) -> Tensor:
    """GPS: the value at i + round(N(0, std² I)), std in pixels, redrawn until not i and inside (lab note 2019)."""
    return around.draw_displaced(std, generator)


def mean(around: Neighbourhood, std: Tensor, generator: torch.Generator) -> Tensor:
    """Mean of the window's visible voxels (Höck 2022)."""
    return around.window_mean(hidden_too=False)


def median(around: Neighbourhood, std: Tensor, generator: torch.Generator) -> Tensor:
    """Median of the window's visible voxels, the mean of the middle two where they are even (Höck 2022)."""
    values, usable = around.window_values(hidden_too=False)
    count = usable.sum(1, keepdim=True)
    ordered = values.masked_fill(~usable, math.inf).sort(1).values
    middle = torch.cat([(count - 1).clamp(min=0) // 2, count // 2], 1).clamp(max=values.shape[1] - 1)
    return torch.where(count[:, 0] > 0, ordered.gather(1, middle).mean(1), around.window_mean(hidden_too=False))


@dataclass(frozen=True)
class Masking:
    """A scheme with its numbers: half-widths per axis and std per axis (G: one, in the image's units)."""

    scheme: Scheme
    share: float
    footprint: tuple[int, ...]
    window: tuple[int, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Masked:
    """A masked batch: what the network sees, where it is judged and all that was replaced, each (B, *S)."""

    image: Tensor
    sites: Tensor
    hidden: Tensor


def mask(image: Tensor, masking: Masking, generator: torch.Generator, *, allowed: Tensor | None = None) -> Masked:
    """Draw sites in a batch (B, *S), only where `allowed`, hide their footprint and fill it by the scheme."""
    sites, most = draw_sites(image.shape, masking.share, generator)
    if allowed is not None:
        sites = sites & allowed
    return fill(image, sites, masking, generator, most_sites=most)


def fill(image: Tensor, sites: Tensor, masking: Masking, generator: torch.Generator, *, most_sites: int) -> Masked:
    """Hide the footprint of `sites` (B, *S) bool and fill it; `most_sites` bounds their number."""
    hidden = _grown(sites, masking.footprint)
    room = min(most_sites * math.prod(2 * half + 1 for half in masking.footprint), image.numel())
    # Rows beyond the last hidden voxel point one past the end: a fixed size needs no word from the device.
    flat = torch.nonzero_static(hidden.reshape(-1), size=room, fill_value=image.numel())[:, 0]
    place = torch.stack(torch.unravel_index(flat.clamp(max=image.numel() - 1), image.shape), 1)
    around = Neighbourhood(image, hidden, place, masking.window, any(masking.footprint))
    std = torch.tensor(masking.std, device=image.device)
    filled = functional.pad(image.reshape(-1), (0, 1))
    filled[flat] = masking.scheme.fill(around, std, generator)
    return Masked(filled[:-1].reshape(image.shape), sites, hidden)


def draw_sites(shape: tuple[int, ...], share: float, generator: torch.Generator) -> tuple[Tensor, int]:
    """Spread sites evenly but randomly over each image of (B, *S): a bool tensor, and the most there can be.

    One site per cell of a grid of real-valued spacing and random phase (stratified sampling, Krull 2019),
    so that every voxel, edges too, is a site with probability `share`.
    """
    batch, size = shape[0], torch.tensor(shape[1:], device=generator.device)
    spacing = torch.tensor(site_spacing(tuple(shape[1:]), share), device=generator.device)
    cells = torch.cartesian_prod(
        *(
            torch.arange(math.ceil(n / s) + 1, device=generator.device)
            for n, s in zip(shape[1:], spacing.tolist(), strict=True)
        )
    ).reshape(-1, len(size))
    phase = torch.rand(batch, 1, len(size), generator=generator, device=generator.device)
    jitter = torch.rand(batch, *cells.shape, generator=generator, device=generator.device)
    place = ((cells - phase + jitter) * spacing).floor().long()
    inside = ((place >= 0) & (place < size)).all(-1)
    flat = torch.arange(batch, device=generator.device)[:, None].expand(inside.shape)
    for axis in range(len(size)):
        flat = flat * size[axis] + torch.minimum(place[..., axis].clamp(min=0), size[axis] - 1)
    sites = torch.zeros(math.prod(shape) + 1, dtype=torch.bool, device=generator.device)
    sites[torch.where(inside, flat, math.prod(shape)).reshape(-1)] = True
    return sites[:-1].reshape(shape), inside.numel()


def site_spacing(size: tuple[int, ...], share: float) -> tuple[float, ...]:
    """Grid spacing per axis whose product is 1 / share; axes shorter than it get one cell."""
    spacing: dict[int, float] = {}
    while len(spacing) < len(size):
        free = [axis for axis in range(len(size)) if axis not in spacing]
        even = max(1.0, (1 / share / math.prod(spacing.values())) ** (1 / len(free)))
        short = [axis for axis in free if size[axis] < even]
        spacing |= {axis: float(size[axis]) for axis in short} if short else dict.fromkeys(free, even)
    return tuple(spacing[axis] for axis in range(len(size)))


def _grown(sites: Tensor, footprint: tuple[int, ...]) -> Tensor:
    """Boolean dilation by a box of the given half-widths, one axis at a time."""
    grown = sites
    for axis, half in enumerate(footprint, start=1):
        if half:
            lines = grown.movedim(axis, -1)
            pooled = functional.max_pool1d(lines.flatten(0, -2).float(), 2 * half + 1, stride=1, padding=half)
            grown = (pooled > 0).reshape(lines.shape).movedim(-1, axis)
    return grown


@dataclass(frozen=True)
class Scheme:
    """A way to fill hidden voxels, the settings it cannot do without, and what it leaks by definition."""

    fill: Callable[[Neighbourhood, Tensor, torch.Generator], Tensor]
    needs: tuple[str, ...]
    leak: str = ""  # empty: the network's input does not depend on anything hidden


SCHEMES = {
    "UPS": Scheme(ups, ("mask_size",), "may draw itself or another site, unless a footprint is given"),
    "G": Scheme(gaussian, ("mask_std",), "keeps its own value under the noise"),
    "GF": Scheme(gaussian_fit, ("mask_size",), "mean and std include itself, unless a footprint is given"),
    "GPS": Scheme(gaussian_selection, ("mask_std",), "may draw another site, unless a footprint is given"),
    "mean": Scheme(mean, ("mask_size",)),
    "median": Scheme(median, ("mask_size",)),
    "UPS_nocentre": Scheme(ups_nocentre, ("mask_size",)),
}
