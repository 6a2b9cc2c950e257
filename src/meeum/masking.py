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

from meeum.neighbourhood import Neighbourhood


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

    At most one site per cell of a grid of random phase (stratified sampling, Krull 2019), kept as often as
    makes every voxel, edges too, a site with probability `share`.
    """
    batch, size, device = shape[0], shape[1:], generator.device
    spacing = site_spacing(size, share)
    firsts = (torch.arange(-(-n // s) + 1, device=device) * s for n, s in zip(size, spacing, strict=True))
    cells = torch.cartesian_prod(*firsts).reshape(-1, len(size))
    side = torch.tensor(spacing, device=device)
    phase = (torch.rand(batch, 1, len(size), generator=generator, device=device) * side).long()
    within = (torch.rand(batch, *cells.shape, generator=generator, device=device) * side).long()
    place = cells - phase + within
    kept = torch.rand(place.shape[:-1], generator=generator, device=device) < share * math.prod(spacing)
    kept &= ((place >= 0) & (place < torch.tensor(size, device=device))).all(-1)
    flat = torch.arange(batch, device=device)[:, None].expand(kept.shape)
    for axis, n in enumerate(size):
        flat = flat * n + place[..., axis]
    sites = torch.zeros(math.prod(shape) + 1, dtype=torch.bool, device=device)
    sites[torch.where(kept, flat, math.prod(shape)).reshape(-1)] = True
    return sites[:-1].reshape(shape), kept.numel()


def site_spacing(size: tuple[int, ...], share: float) -> tuple[int, ...]:
    """Sides of the cells, as even as they can be: their product is at most 1 / share, none is longer than the image."""
    spacing: dict[int, int] = {}
    left = 1 / share
    for axis in sorted(range(len(size)), key=lambda axis: size[axis]):
        even = left ** (1 / (len(size) - len(spacing)))
        spacing[axis] = min(size[axis], max(1, math.floor(even + 1e-9)))
        left /= spacing[axis]
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
