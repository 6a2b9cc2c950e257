"""Previews of a pair: the middle planes and the maximum projection, each noisy, denoised and their difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from meeum.errors import UsageError
from meeum.io.files import replacing
from meeum.report.figures import IMAGE_COLORMAP, RESIDUAL_COLORMAP, Limits, VoxelSize, preview
from meeum.volume import Region, Volume

PERCENTILES = (0.1, 99.9)
RESIDUAL_PERCENTILE = 99.0  # of its size: a few large voxels must not turn the rest white
PROJECTION_PLANES = 16  # read at a time

Plane = NDArray[Any]


@dataclass(frozen=True)
class Preview:
    """A picture on disk: its plane in words, and which of noisy, denoised and residual it shows."""

    path: Path
    title: str
    plane: str
    kind: str


@dataclass(frozen=True)
class _View:
    """One plane of the pair, nan where there is no data; `voxel_size` of rows and columns in µm."""

    key: str
    plane: str
    noisy: Plane
    denoised: Plane
    voxel_size: VoxelSize


def write_previews(folder: Path, noisy: Volume, denoised: Volume, *, overwrite: bool = False) -> list[Preview]:
    """PNG pictures of the first frame, and of the last when there are several; slices share their colour limits."""
    views = _all_views(noisy, denoised)
    unit = noisy.quantity
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for group in ("slice", "projection"):
        members = [view for view in views if view.key.endswith("max") == (group == "projection")]
        if members:
            found += _write_group(folder, members, unit=unit, overwrite=overwrite)
    order = [view.plane for view in views]
    return sorted(found, key=lambda item: order.index(item.plane))


def write_removed(folder: Path, removed: Volume, *, overwrite: bool = False) -> Preview:
    """A picture of what was taken out of the first frame before training, in its middle plane."""
    first = removed.frame(0)
    view = _frame_views(first, first)[0]
    limits = residual_limits([view.noisy], [np.zeros_like(view.denoised)])
    title = f"removed: {view.plane}"
    picture = preview(
        view.noisy,
        colormap=RESIDUAL_COLORMAP,
        limits=limits,
        title=title,
        unit_label=removed.quantity,
        voxel_size=view.voxel_size,
    )
    path = folder / f"{view.key}_removed.png"
    _save(picture, path, overwrite=overwrite)
    return Preview(path, title, f"taken out before training, {view.plane}", "removed")


def _write_group(folder: Path, views: Sequence[_View], *, unit: str, overwrite: bool) -> list[Preview]:
    planes = [view.noisy for view in views], [view.denoised for view in views]
    limits, spread = shared_limits(*planes), residual_limits(*planes)
    written = []
    for view in views:
        pictures = (
            ("noisy", "noisy", view.noisy, IMAGE_COLORMAP, limits),
            ("denoised", "denoised", view.denoised, IMAGE_COLORMAP, limits),
            ("residual", "noisy - denoised", view.noisy - view.denoised, RESIDUAL_COLORMAP, spread),
        )
        for kind, words, values, colormap, ends in pictures:
            title = f"{words}: {view.plane}"
            picture = preview(
                values, colormap=colormap, limits=ends, title=title, unit_label=unit, voxel_size=view.voxel_size
            )
            path = folder / f"{view.key}_{kind}.png"
            _save(picture, path, overwrite=overwrite)
            written.append(Preview(path, title, view.plane, kind))
    return written


def _save(picture: Image.Image, path: Path, *, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise UsageError(f"{path}: exists already; give another folder, or --overwrite to replace it")
    with replacing(path, overwrite=True) as temporary:
        picture.save(temporary, format="PNG")


def windows(noisy: Volume, denoised: Volume) -> tuple[Limits, float]:
    """Limits that noisy and denoised share in the middle planes, and that of their difference to both sides of 0."""
    frames = sorted({0, noisy.frame_count - 1})
    views = [view for index in frames for view in _slices(noisy.frame(index), denoised.frame(index))]
    planes = [view.noisy for view in views], [view.denoised for view in views]
    return shared_limits(*planes), residual_limits(*planes)[1]


def shared_limits(noisy: Sequence[Plane], denoised: Sequence[Plane]) -> Limits:
    """What the denoised image spans (0.1-99.9 percentiles and a tenth more), a quarter of the noisy span at least."""
    low, high = _percentiles(denoised)
    noisy_low, noisy_high = _percentiles(noisy)
    half = max(1.2 * (high - low), 0.25 * (noisy_high - noisy_low)) / 2 or 0.5
    return (low + high) / 2 - half, (low + high) / 2 + half


def residual_limits(noisy: Sequence[Plane], denoised: Sequence[Plane]) -> Limits:
    """Symmetric around 0."""
    sizes = [np.abs(before - after) for before, after in zip(noisy, denoised, strict=True)]
    _, high = _percentiles(sizes, (0, RESIDUAL_PERCENTILE))
    return (-high, high) if high > 0 else (-1e-6, 1e-6)


def _percentiles(planes: Sequence[Plane], shares: Limits = PERCENTILES) -> Limits:
    values = np.concatenate([plane[np.isfinite(plane)] for plane in planes])
    if values.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(values, shares)
    return float(low), float(high)


def _all_views(noisy: Volume, denoised: Volume) -> list[_View]:
    if noisy.frame_count == 1:
        return _frame_views(noisy.frame(0), denoised.frame(0))
    views: list[_View] = []
    for index in (0, noisy.frame_count - 1):
        found = _frame_views(noisy.frame(index), denoised.frame(index))
        views += [replace(v, key=f"frame{index}_{v.key}", plane=f"frame {index}, {v.plane}") for v in found]
    return views


def _frame_views(noisy: Volume, denoised: Volume) -> list[_View]:
    """Middle planes and projection of one frame, (Y, X) or (Z, Y, X)."""
    views = _slices(noisy, denoised)
    if len(views) == 1:
        return views
    return [*views, _View("max", "maximum along z", _projected(noisy), _projected(denoised), views[0].voxel_size)]


def _slices(noisy: Volume, denoised: Volume) -> list[_View]:
    """Middle planes of one frame: one of (Y, X), three of (Z, Y, X)."""
    if "Z" not in noisy.axes or noisy.shape[0] == 1:
        flat = (slice(None),) * len(noisy.axes)
        size = noisy.voxel_size_um
        return [_view("xy", "XY", (noisy, denoised), flat, (size[-2], size[-1]) if size else None)]
    z, y, x = (length // 2 for length in noisy.shape)
    whole, pair, size = slice(None), (noisy, denoised), noisy.voxel_size_um or (1.0, 1.0, 1.0)
    edges = {"xy": (size[1], size[2]), "xz": (size[0], size[2]), "yz": (size[0], size[1])}
    known = {key: value if noisy.voxel_size_um else None for key, value in edges.items()}
    return [
        _view("xy", f"XY at z = {z}", pair, (slice(z, z + 1), whole, whole), known["xy"]),
        _view("xz", f"XZ at y = {y}", pair, (whole, slice(y, y + 1), whole), known["xz"]),
        _view("yz", f"YZ at x = {x}", pair, (whole, whole, slice(x, x + 1)), known["yz"]),
    ]


def _view(key: str, plane: str, pair: tuple[Volume, Volume], region: Region, voxel_size: VoxelSize) -> _View:
    single = tuple(axis for axis, part in enumerate(region) if part != slice(None))
    noisy, denoised = (_measured(volume, region) for volume in pair)
    shape = tuple(n for axis, n in enumerate(noisy.shape) if axis not in single)[-2:]
    return _View(key, plane, noisy.reshape(shape), denoised.reshape(shape), voxel_size)


def _measured(volume: Volume, region: Region) -> Plane:
    values = volume.read(region)
    return np.where(volume.valid(values), values, np.nan)


def _projected(volume: Volume) -> Plane:
    """Maximum along z, some planes at a time; nan where no plane has data."""
    highest = np.full(volume.shape[1:], np.nan, dtype=np.float32)
    for start in range(0, volume.shape[0], PROJECTION_PLANES):
        stop = min(start + PROJECTION_PLANES, volume.shape[0])
        part = _measured(volume, (slice(start, stop), slice(None), slice(None)))
        highest = np.fmax(highest, np.fmax.reduce(part, axis=0))
    return highest
