"""Read OME-Zarr: the finest level of a multiscale image as a volume, and the coarser ones for overviews."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meeum.errors import MeeumError, UsageError
from meeum.io.arrangement import arrange
from meeum.io.ome_zarr import store
from meeum.volume import Volume

VERSIONS = ("0.4", "0.5")
MICROMETRES = {
    "angstrom": 1e-4,
    "picometer": 1e-6,
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "meter": 1e6,
    "inch": 25400.0,
    "pm": 1e-6,
    "nm": 1e-3,
    "um": 1.0,
    "µm": 1.0,
    "μm": 1.0,
    "micron": 1.0,
    "mm": 1e3,
}
SECONDS = {"nanosecond": 1e-9, "microsecond": 1e-6, "millisecond": 1e-3, "second": 1.0, "minute": 60.0, "hour": 3600.0}
SECONDS |= {"day": 86400.0, "ms": 1e-3, "s": 1.0}
LETTERS = {"time": "T", "channel": "C"}


@dataclass(frozen=True)
class _Image:
    """A multiscale image: the folder, the group in it, what the group says and, of that, the first multiscale."""

    path: Path
    group: str
    said: Mapping[str, Any]
    scales: Mapping[str, Any]

    @property
    def where(self) -> str:
        return f"{self.path}, image {self.group}" if self.group else str(self.path)

    @property
    def ome(self) -> Mapping[str, Any]:
        """0.5 keeps everything under `ome`, 0.4 beside it."""
        inner = self.said.get("ome")
        return inner if isinstance(inner, dict) else self.said


def read(path: Path, *, dataset: str | None = None, channel: int | None = None) -> Volume:
    """The finest level; `dataset` names the image where the folder holds several."""
    image = _opened(path, dataset)
    return _level(image, _datasets(image)[0], channel)


def levels(path: Path, *, dataset: str | None = None, channel: int | None = None) -> tuple[Volume, ...]:
    """The image and its coarser versions, finest first."""
    image = _opened(path, dataset)
    found = tuple(_level(image, one, channel) for one in _datasets(image))
    return tuple(one for one in found if one.axes == found[0].axes)


def _opened(path: Path, dataset: str | None) -> _Image:
    store.library(path)
    if not path.is_dir() or not store.is_store(path):
        raise MeeumError(f"{path}: not a Zarr folder (it has no zarr.json, .zgroup or .zarray)")
    group = (dataset or "").strip("/")
    if ".." in group.split("/"):
        raise UsageError(f"{path}: dataset={dataset!r} leads out of the folder")
    found = _image(path, group)
    if found or group:
        return found or _no_image(path, dataset)
    images = [one for name in store.members(path) if (one := _image(path, name))]
    if len(images) > 1:
        names = ", ".join(one.group for one in images)
        raise UsageError(f"{path}: holds {len(images)} images; pick one with dataset=... (--dataset): {names}")
    return images[0] if images else _no_image(path, dataset)


def _no_image(path: Path, dataset: str | None) -> _Image:
    what = f"dataset={dataset!r} is no image" if dataset else "holds no image"
    raise UsageError(
        f"{path}: {what} with OME-Zarr metadata (multiscales, version 0.4 or 0.5); it holds "
        f"{', '.join(store.members(path)) or 'nothing'}"
    )


def _image(path: Path, group: str) -> _Image | None:
    """The image of a group, if it is one."""
    said = store.attributes(path, group)
    inner = said.get("ome")
    scales = (inner if isinstance(inner, dict) else said).get("multiscales")
    if not (isinstance(scales, list) and scales and isinstance(scales[0], dict)):
        return None
    image = _Image(path, group, said, scales[0])
    version = str(image.ome.get("version") or scales[0].get("version") or "0.4")
    if version.partition("-")[0] not in VERSIONS:
        raise MeeumError(f"{image.where}: OME-Zarr {version}; meeum reads {' and '.join(VERSIONS)}")
    return image


def _datasets(image: _Image) -> list[Mapping[str, Any]]:
    found = image.scales.get("datasets")
    if not isinstance(found, list) or not found or not all(isinstance(one, dict) and "path" in one for one in found):
        raise MeeumError(f"{image.where}: its multiscales name no datasets")
    return found


def _level(image: _Image, dataset: Mapping[str, Any], channel: int | None) -> Volume:
    stored = store.array(image.path, "/".join(part for part in (image.group, str(dataset["path"])) if part))
    axes = _axes(image, len(stored.shape))
    letters = "".join(letter for letter, _ in axes)
    data, seen, warnings = arrange(stored, letters, where=image.where, channel=channel)
    sizes, interval = _sizes(axes, _scale(image, dataset, len(axes)))
    known = [sizes[letter] for letter in seen if letter in "ZYX"]
    mine = image.said.get("meeum")
    mine = mine if isinstance(mine, dict) else {}
    return Volume(
        data,
        seen,
        voxel_size_um=tuple(size for size in known if size) if all(known) else None,
        quantity=str(mine.get("quantity") or "intensity"),
        medium_index=_number(mine.get("medium_index")),
        no_data=math.nan if mine.get("no_data") == "nan" else _number(mine.get("no_data")),
        frame_interval_s=interval if "T" in seen else None,
        source=image.path,
        stored_dtype=stored.dtype.name,
        details=_details(image, letters),
        warnings=warnings + (() if all(known) else ("no voxel size is stated in a unit of length",)),
    )


def _axes(image: _Image, count: int) -> list[tuple[str, str]]:
    """A letter and a unit per axis; 0.4 and 0.5 name space z, y and x, and say which axis is time or channel."""
    found = image.scales.get("axes")
    if not isinstance(found, list) or not all(isinstance(axis, dict) and "name" in axis for axis in found):
        raise MeeumError(f"{image.where}: its multiscales name no axes as OME-Zarr 0.4 and 0.5 do")
    if len(found) != count:
        raise MeeumError(f"{image.where}: {len(found)} axes are stated for an array of {count} dimensions")
    letters = [LETTERS.get(str(axis.get("type")), str(axis["name"]).upper()[:1] or "?") for axis in found]
    return [(letter, str(axis.get("unit") or "").strip()) for letter, axis in zip(letters, found, strict=True)]


def _scale(image: _Image, dataset: Mapping[str, Any], count: int) -> list[float]:
    """Length of a step along each axis: the level's own scale times the one that holds for all levels; nan if none."""
    own = _stated_scale(image, dataset.get("coordinateTransformations"), count)
    shared = _stated_scale(image, image.scales.get("coordinateTransformations"), count)
    if own is None:
        return [math.nan] * count
    return [one * other for one, other in zip(own, shared or [1.0] * count, strict=True)]


def _stated_scale(image: _Image, steps: object, count: int) -> list[float] | None:
    for step in steps if isinstance(steps, list) else []:
        if isinstance(step, dict) and step.get("type") == "scale":
            numbers = [_number(one) for one in step.get("scale") or ()]
            if len(numbers) != count or not all(one and one > 0 for one in numbers):
                raise MeeumError(f"{image.where}: scale {step.get('scale')} does not fit {count} axes")
            return [float(one or 0) for one in numbers]
    return None


def _sizes(axes: Sequence[tuple[str, str]], scale: Sequence[float]) -> tuple[dict[str, float | None], float | None]:
    """Voxel size in µm per spatial axis and seconds between frames; None where no known unit is stated."""
    sizes: dict[str, float | None] = {}
    interval = None
    for (letter, unit), step in zip(axes, scale, strict=True):
        if letter == "T":
            interval = _number(step * SECONDS.get(unit, math.nan))
        elif letter in "ZYX":
            sizes[letter] = _number(step * MICROMETRES.get(unit, math.nan))
    return sizes, interval


def _number(value: object) -> float | None:
    """A finite number, or None."""
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    return number if math.isfinite(number) else None


def _details(image: _Image, letters: str) -> dict[str, str]:
    version = image.ome.get("version") or image.scales.get("version") or "0.4"
    details = {"format": f"OME-Zarr {version}", "axes in the file": letters, "levels": str(len(_datasets(image)))}
    omero = image.ome.get("omero")
    channels = omero.get("channels") if isinstance(omero, dict) else None
    labels = [str(one["label"]) for one in channels or () if isinstance(one, dict) and one.get("label")]
    return details | ({"channels": ", ".join(labels)} if labels else {})
