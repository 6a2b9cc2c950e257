"""Coarser versions of an image: means of two voxels along some axes, block by block, never with voxels without data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from meeum.volume import Array, Volume

SMALLEST = 256  # voxels: where the longer side of a plane is no more, no coarser level is made
NEAR = 1.5  # a voxel no more than this many times as high as wide is near isotropic

Ints = tuple[int, ...]


def factors(volume: Volume) -> list[Ints]:
    """For each level after the first, the voxels of the first it averages along each axis: y and x always, z once
    voxels are near isotropic.
    """
    found: list[Ints] = []
    now = tuple(1 for _ in volume.shape)
    sizes = dict(zip(volume.spatial_axes, volume.voxel_size_um or (1.0,) * len(volume.spatial_axes), strict=True))
    while max(-(-n // f) for n, f in zip(volume.shape[-2:], now[-2:], strict=True)) > SMALLEST:
        edges = {letter: sizes[letter] * f for letter, f in zip(volume.axes, now, strict=True) if letter in sizes}
        thin = edges.get("Z", 0) <= NEAR * max(edges["Y"], edges["X"])
        halved = "ZYX" if thin else "YX"
        now = tuple(
            2 * f if letter in halved and -(-n // f) > 1 else f
            for letter, n, f in zip(volume.axes, volume.shape, now, strict=True)
        )
        found.append(now)
    return found


def coarser(volume: Volume, ratio: Ints) -> Volume:
    """The image with means of `ratio` voxels along each axis, lazily; what is cut at the end is averaged as it is."""
    sizes = volume.voxel_size_um
    spatial = ratio[-len(volume.spatial_axes) :]
    return replace(
        volume,
        data=Averaged(volume, ratio),
        voxel_size_um=tuple(s * r for s, r in zip(sizes, spatial, strict=True)) if sizes else None,
    )


class Averaged:
    """Means of blocks of a volume, computed where they are asked for by plain slices without steps."""

    def __init__(self, volume: Volume, ratio: Ints) -> None:
        self.volume, self.ratio = volume, ratio
        self.shape: Ints = tuple(-(-n // r) for n, r in zip(volume.shape, ratio, strict=True))
        self.dtype = np.dtype(np.float32)

    def __getitem__(self, region: Sequence[slice], /) -> Array:
        ends = [part.indices(n) for part, n in zip(region, self.shape, strict=True)]
        fine = tuple(
            slice(start * r, min(stop * r, n))
            for (start, stop, _), r, n in zip(ends, self.ratio, self.volume.shape, strict=True)
        )
        values = self.volume.read(fine)
        known = self.volume.valid(values) & ~np.isnan(values)
        missing = np.nan if self.volume.no_data is None else self.volume.no_data
        return block_means(values, known, self.ratio, missing=missing)


def block_means(values: Array, known: NDArray[np.bool_], ratio: Ints, *, missing: float) -> NDArray[np.float32]:
    """Means of the known voxels of each block; `missing` where there are none."""
    total, count = np.where(known, values, 0).astype(np.float64), known.astype(np.float64)
    for axis, step in enumerate(ratio):
        if step > 1:
            starts = np.arange(0, values.shape[axis], step)
            total, count = (np.add.reduceat(array, starts, axis=axis) for array in (total, count))
    means = np.divide(total, count, out=np.full(total.shape, missing, np.float64), where=count > 0)
    return means.astype(np.float32)


def steps(factors_found: Sequence[Ints]) -> Iterator[Ints]:
    """From each level to the next, the voxels averaged along each axis."""
    before: Ints | None = None
    for now in factors_found:
        yield now if before is None else tuple(n // b for n, b in zip(now, before, strict=True))
        before = now
