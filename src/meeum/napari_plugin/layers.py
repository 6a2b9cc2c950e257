"""Images as napari layers and back: lazy arrays, scale, units, colours and limits, and which file a layer came from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from cmap import Colormap

from meeum.errors import UsageError
from meeum.report.figures import IMAGE_COLORMAP, RESIDUAL_COLORMAP
from meeum.volume import Array, Volume, difference

KEY = "meeum"  # in a layer's metadata: its `Opened`
CHUNK = 2**24  # bytes of a piece that is read at once
PERCENTILES = (0.1, 99.9)
RESIDUAL_PERCENTILE = 99.0  # of its size
MICROMETRES = {"nanometer": 1e-3, "nm": 1e-3, "micrometer": 1.0, "um": 1.0, "µm": 1.0, "millimeter": 1e3, "mm": 1e3}
SYMBOLS = {"fail": "disc", "warn": "square"}  # outlines of a hot spot: shapes, for who sees no colours
COLOURS = {"fail": "#ff5050", "warn": "#ffc800"}

Limits = tuple[float, float]
LayerData = tuple[Any, dict[str, Any], str]  # what napari's readers return


@dataclass(frozen=True)
class Opened:
    """What a layer shows: an image, the very array that napari holds, and the file with this image alone.

    `words` are the `section.key=value` that choose the image inside the file; of a result, `run` is its folder.
    """

    volume: Volume
    data: Any = field(repr=False)
    file: Path | None = None
    words: tuple[str, ...] = ()
    run: Path | None = None


@dataclass(frozen=True)
class _Readable:
    """A volume as dask wants it: float32, read region by region."""

    volume: Volume

    @property
    def shape(self) -> tuple[int, ...]:
        return self.volume.shape

    @property
    def ndim(self) -> int:
        return len(self.volume.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float32)

    def __getitem__(self, region: Any, /) -> Array:
        return np.asarray(self.volume.data[region], dtype=np.float32)


def lazily(volume: Volume) -> Any:
    """An array napari can show: the volume's own if it is in memory, else one of dask, read piece by piece."""
    if isinstance(volume.data, np.ndarray):
        return volume.data
    from dask.array import from_array

    empty = np.empty((0,) * len(volume.shape), np.float32)
    return from_array(_Readable(volume), chunks=chunks(volume.shape), name=False, asarray=False, meta=empty)


def chunks(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Whole planes (Y, X) of one frame, as many as make `CHUNK` bytes."""
    if len(shape) == 2:
        return shape
    planes = max(1, min(shape[-3], CHUNK // (4 * shape[-2] * shape[-1])))
    return (*(1 for _ in shape[:-3]), planes, *shape[-2:])


def opened(volume: Volume, file: Path | None = None, *, words: Sequence[str] = (), run: Path | None = None) -> Opened:
    return Opened(volume, lazily(volume), file, tuple(words), run)


def placement(volume: Volume) -> dict[str, Any]:
    """Scale, units and axis labels: µm and seconds, or pixels where the file does not say."""
    sizes, unit = volume.voxel_size_um or (1.0,) * len(volume.spatial_axes), "um" if volume.voxel_size_um else "pixel"
    scale, units = list(sizes), [unit] * len(sizes)
    if volume.axes.startswith("T"):
        scale.insert(0, volume.frame_interval_s or 1.0)
        units.insert(0, "s" if volume.frame_interval_s else "pixel")
    return {"scale": tuple(scale), "units": tuple(units), "axis_labels": tuple(volume.axes.lower())}


def image_layer(
    shown: Opened, name: str, limits: Limits, *, told: Mapping[str, Any] | None = None, visible: bool = True
) -> LayerData:
    """An image layer; `told` goes into its metadata."""
    attributes = {
        "name": name,
        **placement(shown.volume),
        "contrast_limits": limits,
        "colormap": IMAGE_COLORMAP,
        "visible": visible,
        "metadata": {KEY: shown, "quantity": shown.volume.quantity, **(told or {})},
    }
    return shown.data, attributes, "image"


def pair_layers(noisy: Opened, denoised: Opened, *, told: Mapping[str, Any], prefix: str = "") -> list[LayerData]:
    """Residual, noisy and denoised, lowest first: the images with shared limits, the residual with symmetric ones."""
    limits = image_limits(noisy.volume, denoised.volume)
    return [
        residual_layer(noisy.volume, denoised.volume, f"{prefix}residual"),
        image_layer(noisy, f"{prefix}noisy", limits),
        image_layer(denoised, f"{prefix}denoised", limits, told=told),
    ]


def residual_layer(noisy: Volume, denoised: Volume, name: str) -> LayerData:
    """noisy - denoised, hidden at first, in diverging colours around 0."""
    shown = opened(replace(difference(noisy, denoised), source=None))
    data, attributes, kind = image_layer(shown, name, residual_limits(noisy, denoised), visible=False)
    return data, {**attributes, "colormap": Colormap(RESIDUAL_COLORMAP).to_napari()}, kind


def image_limits(noisy: Volume, denoised: Volume | None = None) -> Limits:
    """What the middle plane spans; of a pair, what the denoised one does, a quarter of the noisy span at least."""
    low, high = _span(middle(noisy))
    if denoised is not None:
        inner, outer = _span(middle(denoised)), (low, high)
        half = max(1.2 * (inner[1] - inner[0]), 0.25 * (outer[1] - outer[0])) / 2
        low, high = (inner[0] + inner[1]) / 2 - half, (inner[0] + inner[1]) / 2 + half
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def residual_limits(noisy: Volume, denoised: Volume) -> Limits:
    """Symmetric around 0."""
    away = np.abs(middle(noisy) - middle(denoised))
    away = away[np.isfinite(away)]
    high = float(np.percentile(away, RESIDUAL_PERCENTILE)) if away.size else 0.0
    return (-high, high) if high > 0 else (-1e-6, 1e-6)


def middle(volume: Volume) -> Array:
    """The middle plane (Y, X) of the first frame, nan where nothing was measured."""
    frame = volume.frame(0)
    whole = (slice(None), slice(None))
    z = frame.shape[0] // 2
    values = frame.read((slice(z, z + 1), *whole) if "Z" in frame.axes else whole)
    return np.where(frame.valid(values), values, np.nan).reshape(values.shape[-2:])


def _span(values: Array) -> Limits:
    known = values[np.isfinite(values)]
    if known.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(known, PERCENTILES)
    return float(low), float(high)


def spots_layer(audit: Mapping[str, Any], volume: Volume, name: str = "hot spots") -> LayerData | None:
    """Where the audit found something, as points: a circle where a measure failed, a square for a warning."""
    found = [
        (((float(place["frame"]),) if volume.axes.startswith("T") else ()) + tuple(place["centre"]), place, finding)
        for finding in audit["findings"]
        if finding["verdict"] in SYMBOLS
        for place in finding["places"]
    ]
    if not found:
        return None
    verdicts = [finding["verdict"] for _, _, finding in found]
    attributes = {
        "name": name,
        **placement(volume),
        "features": {"verdict": verdicts, "measure": [finding["title"] for _, _, finding in found]},
        "symbol": [SYMBOLS[verdict] for verdict in verdicts],
        "border_color": [COLOURS[verdict] for verdict in verdicts],
        "face_color": "transparent",
        "border_width": 0.06,
        "size": [max(3 * float(place["radius"]), 8.0) for _, place, _ in found],
    }
    return np.rint([at for at, _, _ in found]), attributes, "points"


def recovered(data: Any, attributes: Mapping[str, Any]) -> Opened:
    """What a layer shows, from its data and attributes; a layer not of meeum's making, or changed, has no file."""
    known = attributes.get("metadata", {}).get(KEY)
    if isinstance(known, Opened) and known.data is data:
        return known
    if attributes.get("rgb"):
        raise UsageError(f"{attributes.get('name')}: a colour picture; split it into channels and choose one of them")
    values = data[0] if attributes.get("multiscale") else data
    if isinstance(known, Opened) and known.volume.shape == values.shape:
        return Opened(replace(known.volume, data=values, source=None), values)
    return Opened(_plain(values, attributes), values)


def _plain(values: Any, attributes: Mapping[str, Any]) -> Volume:
    labels = "".join(str(label) for label in attributes.get("axis_labels") or ()).upper()
    axes = labels if labels in ("YX", "ZYX", "TYX", "TZYX") else {2: "YX", 3: "ZYX", 4: "TZYX"}.get(values.ndim, "?")
    spatial = len(axes.removeprefix("T"))
    return Volume(values, axes, _voxel_size(attributes, spatial))


def _voxel_size(attributes: Mapping[str, Any], spatial: int) -> tuple[float, ...] | None:
    """µm per spatial axis; a scale without a unit is taken to be in µm, as most readers mean it; 1 says nothing."""
    scale = [float(size) for size in attributes.get("scale", ())][-spatial:]
    units = [str(unit) for unit in attributes.get("units") or ()][-spatial:] or ["pixel"] * spatial
    if len(scale) < spatial or (all(unit not in MICROMETRES for unit in units) and scale == [1.0] * spatial):
        return None
    sizes = tuple(size * MICROMETRES.get(unit, 1.0) for size, unit in zip(scale, units, strict=True))
    return sizes if all(size > 0 and math.isfinite(size) for size in sizes) else None
