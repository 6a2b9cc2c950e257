"""Read a TIFF: its axes and voxel size from ImageJ's or OME's metadata, its pixels lazily."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from meeum.errors import MeeumError, UsageError
from meeum.io.arrangement import arrange
from meeum.io.tiff.pages import MappedSeries, PagedSeries, opened
from meeum.volume import LazyArray, Volume

MICROMETRES = {
    "µm": 1.0,
    "μm": 1.0,
    "um": 1.0,
    "\\u00B5m": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "nm": 1e-3,
    "mm": 1e3,
    "cm": 1e4,
    "m": 1e6,
    "inch": 25400.0,
}
SECONDS = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "min": 60.0, "h": 3600.0}


def read(path: Path, *, dataset: str | None = None, channel: int | None = None) -> Volume:
    """The first image of a TIFF as (T)(Z)YX; `channel` chooses among several or the colours of a picture."""
    if dataset is not None:
        raise UsageError(f"{path}: dataset={dataset!r} was asked for; a TIFF has no datasets, its first image is read")
    with opened(path) as tif:
        if not len(tif.series):
            raise MeeumError(f"{path}: the TIFF holds no image")
        _check_complete(tif, path)
        note = _note(tif)
        stored, letters = _stored(tif, path, keep_z="Z" in str(note.get("axes")))
        data, axes, warnings = arrange(stored, letters, where=str(path), channel=channel)
        sizes, interval = _sizes(tif)
        voxel_size = [sizes.get(axis) for axis in axes if axis != "T"]
        return Volume(
            data,
            axes,
            voxel_size_um=tuple(size for size in voxel_size if size) if all(voxel_size) else None,
            quantity=str(note.get("quantity", "intensity")),
            medium_index=_noted_number(note, "medium_index"),
            no_data=_noted_number(note, "no_data"),
            frame_interval_s=interval if axes.startswith("T") else None,
            source=path,
            stored_dtype=stored.dtype.name,
            details=_details(tif, letters),
            warnings=warnings + _warnings(tif, voxel_size),
        )


def _stored(tif: Any, path: Path, *, keep_z: bool) -> tuple[LazyArray, str]:
    """The first series as a lazy array and its axes, without those of length 1 (Z may be one that counts)."""
    series = tif.series[0]
    _check_codec(series.keyframe, path)
    if series.dtype is None or 0 in series.shape:
        raise MeeumError(f"{path}: the pixels are of no type meeum can read, or there are none")
    pairs = list(zip(series.get_axes(squeeze=False), series.get_shape(squeeze=False), strict=True))
    kept = [(axis, n) for axis, n in pairs if n > 1 or axis in ("YXZ" if keep_z else "YX")]
    letters, shape = "".join(axis for axis, _ in kept), tuple(int(n) for _, n in kept)
    dtype = np.dtype(series.dtype)
    if series.dataoffset is not None and not series.is_multifile:
        return MappedSeries(path, series.dataoffset, shape, dtype.newbyteorder(tif.byteorder)), letters
    dimensions = len(
        [n for axis, n in zip(series.keyframe.axes, series.keyframe.shape, strict=True) if n > 1 or axis in "YX"]
    )
    if math.prod(shape[: len(shape) - dimensions]) != len(series.pages):
        raise MeeumError(
            f"{path}: {len(series.pages)} pages do not make up an image of shape {shape}, axes {letters!r}"
        )
    return PagedSeries(path, shape, dtype.newbyteorder("="), dimensions), letters


def _check_complete(tif: Any, path: Path) -> None:
    """The chain of pages must end with 0; a truncated file's points past its end, and tifffile reads what is left."""
    tif.filehandle.seek(tif.pages.next_page_offset)
    if any(tif.filehandle.read(8 if tif.is_bigtiff else 4)):
        raise MeeumError(f"{path}: truncated: it names further pages than it holds; copy it again from where it came")


def _check_codec(keyframe: Any, path: Path) -> None:
    known = import_module("tifffile").TIFF
    try:
        if keyframe.compression != 1:
            known.DECOMPRESSORS[keyframe.compression]
        if keyframe.predictor != 1:
            known.UNPREDICTORS[keyframe.predictor]
    except KeyError as error:
        raise MeeumError(
            f"{path}: compressed; reading it takes the imagecodecs package: pip install imagecodecs ({error.args[0]})"
        ) from error


def _sizes(tif: Any) -> tuple[dict[str, float | None], float | None]:
    """Micrometres per axis letter and seconds per frame, as far as they are stated."""
    if tif.is_ome:
        return _ome_sizes(tif.ome_metadata)
    if tif.is_imagej:
        return _imagej_sizes(tif)
    return {}, None  # resolution tags of plain TIFF are for printers (72 dpi)


def _ome_sizes(xml: str) -> tuple[dict[str, float | None], float | None]:
    pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
    stated = {} if pixels is None else pixels.attrib
    sizes = {
        axis: _scaled(stated.get(f"PhysicalSize{axis}"), MICROMETRES, stated.get(f"PhysicalSize{axis}Unit", "µm"))
        for axis in "ZYX"
    }
    return sizes, _scaled(stated.get("TimeIncrement"), SECONDS, stated.get("TimeIncrementUnit", "s"))


def _imagej_sizes(tif: Any) -> tuple[dict[str, float | None], float | None]:
    stated, tags = tif.imagej_metadata, tif.pages[0].tags
    unit = str(stated.get("unit", ""))
    sizes = {"Z": _scaled(stated.get("spacing"), MICROMETRES, unit)}
    for axis in "YX":
        per_unit = tags.valueof(f"{axis}Resolution")
        pixel = per_unit[1] / per_unit[0] if per_unit and per_unit[0] else None
        sizes[axis] = _scaled(pixel, MICROMETRES, unit)
    return sizes, _scaled(stated.get("finterval"), SECONDS, "s")


def _scaled(value: Any, units: Mapping[str, float], unit: str) -> float | None:
    """A positive number in our unit; None if it is none, or if the unit is unknown."""
    try:
        number = float(value) * units[unit]
    except (TypeError, ValueError, KeyError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def _note(tif: Any) -> dict[str, Any]:
    """What meeum's own writer said beyond ImageJ's and OME's terms: axes, quantity, medium index, no-data value."""
    said = tif.imagej_metadata.get("meeum") if tif.is_imagej else None
    if tif.is_ome:
        description = ElementTree.fromstring(tif.ome_metadata).find("./{*}Image/{*}Description")
        said = None if description is None else description.text
    try:
        note = json.loads(said) if isinstance(said, str) else None
    except json.JSONDecodeError:
        return {}
    return note if isinstance(note, dict) else {}


def _noted_number(note: dict[str, Any], name: str) -> float | None:
    value = note.get(name)
    return float(value) if isinstance(value, int | float) else None


def _details(tif: Any, letters: str) -> dict[str, str]:
    kind = "OME-TIFF" if tif.is_ome else "ImageJ TIFF" if tif.is_imagej else "TIFF"
    compression = getattr(tif.series[0].keyframe.compression, "name", "unknown").lower()
    return {
        "format": f"{kind} (BigTIFF)" if tif.is_bigtiff else kind,
        "axes in the file": letters,
        "compression": "uncompressed" if compression == "none" else compression,
    }


def _warnings(tif: Any, voxel_size: list[float | None]) -> tuple[str, ...]:
    unknown = ("no voxel size is stated in a unit of length",) if not all(voxel_size) else ()
    several = (f"the file holds {len(tif.series)} images; the first is read",) if len(tif.series) > 1 else ()
    return unknown + several
