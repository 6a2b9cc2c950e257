"""Write a TIFF that ImageJ opens with axes and voxel size; OME-TIFF by name, or where ImageJ's format ends."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from meeum.io.slabs import as_stored, slabs, storage_dtype
from meeum.volume import Array, Volume

CLASSIC_LIMIT = 2**32 - 2**25  # bytes; above them only BigTIFF, which ImageJ's own format is not
IMAGEJ_TYPES = ("uint8", "uint16", "int16", "float32")
OME_TYPES = (*IMAGEJ_TYPES, "int8", "int32", "uint32")


def write(
    volume: Volume, path: Path, *, noisy: Volume | None = None, provenance: Mapping[str, str] | None = None
) -> None:
    """Plane by plane, in the source's integer type for grey values, else float32."""
    stored = storage_dtype(volume)
    dtype = stored if stored.name in OME_TYPES else np.dtype(np.float32)
    big = math.prod(volume.shape) * dtype.itemsize > CLASSIC_LIMIT
    ome = path.name.lower().endswith((".ome.tif", ".ome.tiff")) or big or dtype.name not in IMAGEJ_TYPES
    sizes = dict(zip(volume.spatial_axes, volume.voxel_size_um or (), strict=False))
    with import_module("tifffile").TiffWriter(path, imagej=not ome, ome=ome, bigtiff=big) as tif:
        tif.write(
            _planes(volume, dtype),
            shape=volume.shape,
            dtype=dtype,
            photometric="minisblack",
            resolution=(1 / sizes["X"], 1 / sizes["Y"]) if sizes and not ome else None,
            metadata=_ome_metadata(volume, sizes) if ome else _imagej_metadata(volume, sizes),
        )


def _planes(volume: Volume, dtype: np.dtype[Any]) -> Iterator[Array]:
    for _, values in slabs(volume):
        yield from as_stored(values, dtype, where=volume.name).reshape(-1, *volume.shape[-2:])


def _imagej_metadata(volume: Volume, sizes: dict[str, float]) -> dict[str, Any]:
    stated = {
        "axes": volume.axes,
        "unit": "um" if sizes else None,
        "spacing": sizes.get("Z"),
        "finterval": volume.frame_interval_s,
        "meeum": _note(volume),
    }
    return {name: value for name, value in stated.items() if value is not None}


def _ome_metadata(volume: Volume, sizes: dict[str, float]) -> dict[str, Any]:
    stated: dict[str, Any] = {"axes": volume.axes, "Description": _note(volume)}
    for axis, size in sizes.items():
        stated |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "µm"}
    if volume.frame_interval_s:
        stated |= {"TimeIncrement": volume.frame_interval_s, "TimeIncrementUnit": "s"}
    return stated


def _note(volume: Volume) -> str:
    """What neither format has a term for, as one line of JSON."""
    stated = {
        "axes": volume.axes,
        "quantity": volume.quantity,
        "medium_index": volume.medium_index,
        "no_data": volume.no_data,
    }
    return json.dumps({name: value for name, value in stated.items() if value is not None})
