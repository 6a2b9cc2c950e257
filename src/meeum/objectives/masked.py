"""The masked objective (Noise2Void), and the masking settings checked against the image."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor

from meeum.errors import UsageError, among
from meeum.masking import SCHEMES, Masking, mask
from meeum.objectives.objective import Network, Objective, Subject
from meeum.patches import Batch
from meeum.settings import MaskingSettings, Settings

Number = TypeVar("Number", int, float)


def masked(settings: Settings, subject: Subject) -> Objective:
    """Noise2Void (Krull 2019): predict the hidden voxel at each site from what is visible.

    Assumes noise that is independent between a site and everything outside its footprint.
    """
    masking = plan_masking(settings.masking, subject)
    absolute = settings.training.loss == "absolute"

    def loss(network: Network, batch: Batch, generator: torch.Generator) -> Tensor:
        hidden = mask(batch.image, masking, generator, allowed=batch.allowed)
        error = network(hidden.image[:, None])[:, 0] - batch.image
        error = error.abs() if absolute else error**2
        return torch.where(hidden.sites, error, 0).sum() / hidden.sites.sum().clamp(min=1)

    return loss


def plan_masking(settings: MaskingSettings, subject: Subject) -> Masking:
    """Check the masking settings against the image and bring `mask_std` of G into network units."""
    scheme = SCHEMES[_known(settings.masking)]
    for key in scheme.needs:
        if getattr(settings, key) is None:
            raise UsageError(_missing(settings.masking, key, subject))
    axes = len(subject.shape)
    footprint = _per_axis(settings.footprint, axes, "footprint")
    _refuse_blinding(footprint, subject)
    window = _window(settings, subject, footprint)
    std = _per_axis(settings.mask_std or (1.0,), axes, "mask_std")
    _check_std(settings.masking, std)
    if settings.masking.upper() == "G":
        std = tuple(value / subject.normalisation.scale for value in std)
    return Masking(scheme, settings.share or _share(footprint), footprint, window, std)


def _known(name: str) -> str:
    for known in SCHEMES:
        if known.lower() == name.lower():
            return known
    raise UsageError(f"[masking] masking: unknown scheme {name!r}; {among(name, SCHEMES)}")


def _missing(scheme: str, key: str, subject: Subject) -> str:
    if key == "mask_size":
        return f"[masking] mask_size: masking = {scheme} needs mask_size, the side of the window in pixels (odd); try 5"
    if scheme.upper() == "GPS":
        return "[masking] mask_std: masking = GPS needs mask_std, the std of the displacement in pixels; try 5"
    half = subject.normalisation.scale / 2
    return (
        f"[masking] mask_std: masking = {scheme} needs mask_std, the standard deviation of the added noise in data "
        f"units; try {half:.2g}, half of the standard deviation of {subject.name}"
    )


def _window(settings: MaskingSettings, subject: Subject, footprint: tuple[int, ...]) -> tuple[int, ...]:
    if settings.mask_size is None:
        return tuple(0 for _ in subject.shape)
    sizes = _per_axis(settings.mask_size, len(subject.shape), "mask_size")
    needs_window = "mask_size" in SCHEMES[_known(settings.masking)].needs
    for size, side in zip(sizes, subject.shape, strict=True):
        if size < 1 or size % 2 == 0:
            raise UsageError(
                f"[masking] mask_size: {size} is not odd; a window is centred on a pixel, so try {max(size + 1, 3)}"
            )
        if size > side:
            most = side if side % 2 else side - 1
            raise UsageError(
                f"[masking] mask_size: {size} is larger than {subject.name}, whose sides are "
                f"{'x'.join(map(str, subject.shape))}; at most {most} here (one number per axis may be given)"
            )
    if needs_window and not any(size // 2 > half for size, half in zip(sizes, footprint, strict=True)):
        wide = ", ".join(str(2 * half + 3) for half in footprint)
        raise UsageError(
            f"[masking] mask_size: a window of {', '.join(map(str, sizes))} lies inside the footprint "
            f"{', '.join(map(str, footprint))}, so nothing visible is left in it; try {wide}"
        )
    return tuple(size // 2 for size in sizes)


def _refuse_blinding(footprint: tuple[int, ...], subject: Subject) -> None:
    """A footprint that covers the whole image leaves nothing to predict from."""
    if any(footprint) and all(2 * half + 1 >= side for half, side in zip(footprint, subject.shape, strict=True)):
        raise UsageError(
            f"[masking] footprint: half-widths {', '.join(map(str, footprint))} hide all of {subject.name}, whose "
            f"sides are {'x'.join(map(str, subject.shape))}; try 0"
        )


def _check_std(scheme: str, std: tuple[float, ...]) -> None:
    if min(std) <= 0:
        raise UsageError(f"[masking] mask_std: {min(std):g} is no standard deviation; it must be above 0")
    if scheme.upper() == "GPS" and min(std) < 0.5:
        raise UsageError(f"[masking] mask_std: {min(std):g} pixels hardly leave the pixel; GPS needs at least 0.5")
    if scheme.upper() == "G" and len(set(std)) > 1:
        raise UsageError(f"[masking] mask_std: {len(std)} numbers given; G adds noise of one standard deviation")


def _share(footprint: tuple[int, ...]) -> float:
    """As many sites as leave most of the image visible: about a sixth hidden, at most one voxel in twenty a site."""
    volume = 1
    for half in footprint:
        volume *= 2 * half + 1
    return min(0.05, 0.18 / volume)


def _per_axis(values: tuple[Number, ...], axes: int, key: str) -> tuple[Number, ...]:
    if len(values) not in (1, axes):
        raise UsageError(
            f"[masking] {key}: {len(values)} numbers given for an image with {axes} axes; give 1 or {axes}"
        )
    return values * axes if len(values) == 1 else values
