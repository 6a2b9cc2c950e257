"""A volume in pieces small enough for memory, and its values in the number type of the file it came from."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from meeum.errors import MeeumError
from meeum.volume import Array, Region, Volume

SLAB_BYTES = 64 * 2**20
CHUNK_PLANES = 8  # slabs are whole multiples, so that no chunk is compressed twice


def slabs(volume: Volume) -> Iterator[tuple[Region, NDArray[np.float32]]]:
    """Regions and their values, in the order of storage: frame by frame, some planes at a time."""
    planes = max(1, SLAB_BYTES // (4 * volume.shape[-2] * volume.shape[-1]) // CHUNK_PLANES) * CHUNK_PLANES
    steps = {"T": 1, "Z": planes}
    leading = [
        [slice(i, min(i + steps[letter], size)) for i in range(0, size, steps[letter])]
        for letter, size in zip(volume.axes[:-2], volume.shape[:-2], strict=True)
    ]
    for parts in product(*leading):
        region = (*parts, slice(None), slice(None))
        yield region, volume.read(region)


def chunk_shape(volume: Volume) -> tuple[int, ...]:
    """Chunks for compressed storage: about 100 kB, one frame thick."""
    wanted = {"T": 1, "Z": CHUNK_PLANES, "Y": 64, "X": 64} if "Z" in volume.axes else {"T": 1, "Y": 256, "X": 256}
    return tuple(min(wanted[letter], size) for letter, size in zip(volume.axes, volume.shape, strict=True))


def storage_dtype(volume: Volume) -> np.dtype[np.generic]:
    """The integer type of the source, if its values are grey values; else float32: a refractive index has decimals."""
    stored = np.dtype(volume.stored_dtype)
    grey = stored.kind in "ui" and volume.quantity != "refractive index"
    return stored if grey else np.dtype(np.float32)


def as_stored(values: NDArray[np.float32], dtype: np.dtype[np.generic], *, where: str) -> Array:
    """Values rounded and clipped to an integer type, or as floats."""
    if dtype.kind not in "ui":
        return values.astype(dtype)
    if np.isnan(values).any():
        raise MeeumError(f"{where}: the values contain nan, which {dtype} cannot hold; write .h5 instead")
    limits = np.iinfo(dtype.name)
    return np.clip(np.rint(values.astype(np.float64)), limits.min, limits.max).astype(dtype)
