"""Which part of a pair of images the audit reads, and the low-pass that leaves out what was never measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from meeum.errors import MeeumError
from meeum.volume import Region, Volume

SAMPLE_VOXELS = 8 * 2**20  # about 0.6 GB of working memory and some five seconds on one core
SLAB_PLANES = 5  # fewer neighbouring planes would make the axial low-pass and slopes meaningless

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Sample:
    """The regions read (one slice per axis each, one frame each), their share of all voxels, and the same in words."""

    regions: tuple[Region, ...]
    share: float
    description: str


@dataclass(frozen=True)
class Block:
    """One region of a pair, (Y, X) or (Z, Y, X), less a common offset; `lost` voxels were measured but not returned."""

    noisy: Floats
    denoised: Floats
    valid: Mask
    lost: int


def plan_sample(volume: Volume, limit: int = SAMPLE_VOXELS) -> Sample:
    """At most about `limit` voxels: whole frames where a frame fits, else slabs of whole planes, spread evenly."""
    frame_voxels = math.prod(volume.spatial_shape)
    if frame_voxels > limit:
        return _slabs(volume, limit)
    count = min(volume.frame_count, limit // max(frame_voxels, 1))
    whole = tuple(slice(0, n) for n in volume.spatial_shape)
    regions = tuple(_region(volume, int((i + 0.5) * volume.frame_count / count), whole) for i in range(count))
    words = f"{count} of {volume.frame_count} frames, spread evenly"
    return Sample(regions, count / volume.frame_count, "all voxels" if count == volume.frame_count else words)


def _slabs(volume: Volume, limit: int) -> Sample:
    """Slabs of neighbouring planes at evenly spread heights; frames follow a golden-ratio sequence over the heights."""
    planes = volume.spatial_shape[0] if "Z" in volume.axes else 1
    window = _central_window(volume.spatial_shape[-2:], limit // min(planes, SLAB_PLANES))
    area = math.prod(part.stop - part.start for part in window)
    count = max(1, limit // (min(planes, SLAB_PLANES) * area))
    depth = min(planes, limit // (count * area))
    regions = []
    for i in range(count):
        start = int(i * planes / count + (planes / count - depth) / 2)
        height = (slice(start, start + depth),) if "Z" in volume.axes else ()
        regions.append(_region(volume, int((0.5 + 0.618034 * i) % 1 * volume.frame_count), (*height, *window)))
    share = count * depth * area / math.prod(volume.shape)
    return Sample(tuple(regions), share, _slabs_in_words(volume, count=count, depth=depth, window=window))


def _central_window(shape: tuple[int, ...], limit: int) -> Region:
    """The middle of a plane (Y, X), cut down in proportion until it holds at most `limit` pixels."""
    rows = min(shape[0], max(1, int(shape[0] * math.sqrt(limit / math.prod(shape)))))
    columns = min(shape[1], max(1, limit // rows))
    return tuple(slice((n - kept) // 2, (n - kept) // 2 + kept) for n, kept in zip(shape, (rows, columns), strict=True))


def _slabs_in_words(volume: Volume, *, count: int, depth: int, window: Region) -> str:
    parts = []
    if "Z" in volume.axes:
        parts.append(f"{count} x {depth} of {volume.spatial_shape[0]} z-planes, spread evenly")
    if volume.frame_count > 1:
        parts.append(f"in {min(count, volume.frame_count)} of {volume.frame_count} frames")
    sides = tuple(part.stop - part.start for part in window)
    if sides != volume.spatial_shape[-2:]:
        parts.append(f"the central {sides[0]} x {sides[1]} pixels")
    return ", ".join(parts)


def _region(volume: Volume, frame: int, spatial: Region) -> Region:
    return (slice(frame, frame + 1), *spatial) if volume.axes.startswith("T") else spatial


def read_blocks(noisy: Volume, denoised: Volume, *, regions: Sequence[Region]) -> tuple[list[Block], float]:
    """The sampled regions of both images and the offset taken off them, which keeps float32 sums exact."""
    if noisy.axes != denoised.axes or noisy.shape != denoised.shape:
        raise MeeumError(
            f"{denoised.name}: axes {denoised.axes!r}, shape {denoised.shape} cannot be compared with {noisy.name}: "
            f"axes {noisy.axes!r}, shape {noisy.shape}; give the denoised image of the very same field"
        )
    blocks = [_read_block(noisy, denoised, region) for region in regions]
    offset = next((float(b.noisy[b.valid].mean(dtype=np.float64)) for b in blocks if b.valid.any()), 0.0)
    exact = float(np.float32(offset))
    return [_less(block, exact) for block in blocks], exact


def _less(block: Block, offset: float) -> Block:
    """Voxels that are not valid stay 0: the low-pass counts on it."""
    noisy, denoised = (np.where(block.valid, image - offset, 0) for image in (block.noisy, block.denoised))
    return replace(block, noisy=noisy, denoised=denoised)


def _read_block(noisy: Volume, denoised: Volume, region: Region) -> Block:
    before, after = noisy.read(region), denoised.read(region)
    measured = noisy.valid(before) & np.isfinite(before)
    returned = denoised.valid(after) & np.isfinite(after)
    valid, shape = measured & returned, before.shape[-len(noisy.spatial_axes) :]
    lost = int(np.count_nonzero(measured & ~returned))
    clean = [np.where(valid, image, 0).astype(np.float32).reshape(shape) for image in (before, after)]
    return Block(clean[0], clean[1], valid.reshape(shape), lost)


def voxel_ratios(volume: Volume) -> tuple[float, ...]:
    """Voxel edge per spatial axis in units of the shortest edge; ones where the voxel size is unknown."""
    edges = volume.voxel_size_um
    return tuple(edge / min(edges) for edge in edges) if edges else (1.0,) * len(volume.spatial_axes)


def low_pass(images: Sequence[Floats], valid: Mask, *, sigma: Sequence[float]) -> list[Floats]:
    """Gaussian mean of the measured voxels around each voxel (normalised convolution: Knutsson and Westin 1993)."""
    weight = _gaussian(valid, sigma)
    return [
        np.divide(_gaussian(image, sigma), weight, out=np.zeros_like(image), where=weight > 1e-6) for image in images
    ]


def _gaussian(image: NDArray[Any], sigma: Sequence[float]) -> Floats:
    smooth: Floats = ndimage.gaussian_filter(image.astype(np.float32), sigma, mode="constant", truncate=3.0)
    return smooth


def mean_std(values: Floats) -> tuple[float, float]:
    """Mean and standard deviation, summed in double precision; nan for none."""
    if values.size == 0:
        return math.nan, math.nan
    mean = float(values.mean(dtype=np.float64))
    return mean, float(np.sqrt(np.square(values - mean).mean(dtype=np.float64)))


def quotient(numerator: float, denominator: float) -> float:
    """Their quotient; nan where the denominator is not above 0."""
    return numerator / denominator if denominator > 0 else math.nan
