"""Write OME-Zarr 0.5: the image in compressed chunks, coarser levels made from it, and what the values mean."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meeum import __version__
from meeum.io.ome_zarr import pyramid, store
from meeum.io.slabs import as_stored, storage_dtype
from meeum.volume import Region, Volume

CHUNK = {"T": 1, "Z": 16, "Y": 128, "X": 128}  # 1 MiB: a plane in any direction touches few of them
CHUNK_2D = {"T": 1, "Y": 512, "X": 512}
LEVEL = 1  # of zstd: noise hardly compresses
WINDOW = (0.1, 99.9)  # percentiles of the values a viewer shows at first
AT_ONCE = 2**24  # voxels in memory while the finest level is written,
MEANS = 2**22  # and while means are made of them, which takes several numbers per voxel
LOOKS = 32  # blocks looked at for the window


def write(
    volume: Volume, path: Path, *, noisy: Volume | None = None, provenance: Mapping[str, str] | None = None
) -> None:
    """In the source's integer type for grey values, else float32; some planes at a time."""
    group = store.library(path).create_group(path, zarr_format=3)
    found = pyramid.factors(volume)
    level = volume
    _store(group, "0", level, most=AT_ONCE)
    for number, step in enumerate(pyramid.steps(found), start=1):
        below = level.with_data(store.array(path, str(number - 1)))
        level = pyramid.coarser(below, step)
        _store(group, str(number), level, most=MEANS // math.prod(step))
    last = level.with_data(store.array(path, str(len(found))))
    group.attrs.put(_attributes(volume, found, _window(last), provenance or {}))


def _store(group: Any, name: str, volume: Volume, *, most: int) -> None:
    """One level, `most` voxels at a time as far as whole chunks allow."""
    dtype = storage_dtype(volume)
    chunk = _chunk(volume)
    array = group.create_array(
        name,
        shape=volume.shape,
        dtype=dtype,
        chunks=chunk,
        compressors=import_module("zarr.codecs").ZstdCodec(level=LEVEL),
        fill_value=0,
        dimension_names=tuple(volume.axes.lower()),
    )
    for region in blocks(volume.shape, chunk, most=most):
        array[region] = as_stored(volume.read(region), dtype, where=volume.name)


def _chunk(volume: Volume) -> tuple[int, ...]:
    wanted = CHUNK if "Z" in volume.axes else CHUNK_2D
    return tuple(min(wanted[letter], size) for letter, size in zip(volume.axes, volume.shape, strict=True))


def blocks(shape: Sequence[int], chunk: Sequence[int], *, most: int) -> list[Region]:
    """Regions of whole chunks that cover an array, each of `most` voxels, or of one chunk if that is more."""
    side = list(chunk)
    for axis in reversed(range(1 if len(shape) == 4 else 0, len(shape))):
        room = most // math.prod(side)
        side[axis] = min(shape[axis], side[axis] * max(1, room))
        if side[axis] < shape[axis]:
            break
    starts = [range(0, n, step) for n, step in zip(shape, side, strict=True)]
    return [
        tuple(slice(first, min(first + step, n)) for first, step, n in zip(corner, side, shape, strict=True))
        for corner in product(*starts)
    ]


def _attributes(
    volume: Volume, found: Sequence[pyramid.Ints], window: tuple[float, float, float, float], made: Mapping[str, str]
) -> dict[str, Any]:
    levels = [tuple(1 for _ in volume.shape), *found]
    scales = {
        "name": volume.name,
        "axes": [_axis(volume, letter) for letter in volume.axes],
        "datasets": [_dataset(volume, str(number), level) for number, level in enumerate(levels)],
        "type": "mean",
    }
    lowest, highest, start, end = window
    shown = {"min": lowest, "max": highest, "start": start, "end": end}
    channel = {"label": volume.quantity, "color": "FFFFFF", "active": True, "window": shown}
    ome = {"version": "0.5", "multiscales": [scales], "omero": {"channels": [channel], "rdefs": {"model": "greyscale"}}}
    return {"ome": ome, "meeum": _meaning(volume, made)}


def _axis(volume: Volume, letter: str) -> dict[str, str]:
    kind, unit = ("time", "second") if letter == "T" else ("space", "micrometer")
    stated = volume.frame_interval_s if letter == "T" else volume.voxel_size_um
    return {"name": letter.lower(), "type": kind} | ({"unit": unit} if stated else {})


def _dataset(volume: Volume, path: str, level: pyramid.Ints) -> dict[str, Any]:
    """Where a level lies, how large its voxels are, and where the first of them has its centre."""
    sizes = volume.voxel_size_um or (1.0,) * len(volume.spatial_axes)
    finest = ([volume.frame_interval_s or 1.0] if volume.axes.startswith("T") else []) + list(sizes)
    steps: list[dict[str, Any]] = [
        {"type": "scale", "scale": [size * factor for size, factor in zip(finest, level, strict=True)]}
    ]
    if max(level) > 1:
        centre = [(factor - 1) / 2 * size for size, factor in zip(finest, level, strict=True)]
        steps.append({"type": "translation", "translation": centre})
    return {"path": path, "coordinateTransformations": steps}


def _meaning(volume: Volume, made: Mapping[str, str]) -> dict[str, Any]:
    """What OME has no term for."""
    stated = {
        "version": __version__,
        "quantity": volume.quantity,
        "medium_index": volume.medium_index,
        "no_data": "nan" if volume.no_data is not None and math.isnan(volume.no_data) else volume.no_data,
        "provenance": dict(made) or None,
    }
    return {name: value for name, value in stated.items() if value is not None}


def _window(level: Volume) -> tuple[float, float, float, float]:
    """Lowest, highest and the ends of what is shown first, from the coarsest level."""
    regions = blocks(level.shape, _chunk(level), most=2**20)
    looked_at = regions[:: max(1, len(regions) // LOOKS)]
    values = np.concatenate([_known(level, level.read(region)) for region in looked_at])
    if values.size == 0:
        return 0.0, 1.0, 0.0, 1.0
    start, end = np.percentile(values, WINDOW)
    return float(values.min()), float(values.max()), float(start), float(end)


def _known(level: Volume, values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values[level.valid(values) & np.isfinite(values)]
