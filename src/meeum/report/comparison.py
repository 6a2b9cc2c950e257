"""The page of a comparison: the table, and for every setting pictures at one colour scale; one offline file."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from PIL import Image

from meeum.auditing.table import SYMBOLS
from meeum.io.files import replacing
from meeum.report.figures import IMAGE_COLORMAP, RESIDUAL_COLORMAP, Limits, VoxelSize, preview
from meeum.report.html import describe
from meeum.report.templates import render
from meeum.volume import Region, Volume

Array = NDArray[Any]

MOST = 256  # voxels a side that are shown: more, thinned out to fit a row, would show lattices that are not there
PERCENTILES = (0.1, 99.9)
RESIDUAL_PERCENTILE = 99.0  # of its size
DECADES = 5.0  # of power that are shown
MOST_OF = 97.0  # percentile of the noisy image that the colours reach


@dataclass(frozen=True)
class Shown:
    """A setting for display: its result, and where its own report lies."""

    name: str
    denoised: Volume
    report: str


@dataclass(frozen=True)
class Figure:
    """A picture as a data URI."""

    title: str
    uri: str = field(repr=False)


@dataclass(frozen=True)
class _View:
    """A plane through an image: what it is called, where it lies, edges of its voxels (rows, columns), µm."""

    title: str
    region: Region
    voxel_size: VoxelSize


def write_comparison(
    path: Path, told: Mapping[str, Any], *, noisy: Volume, shown: Sequence[Shown], asks: Mapping[str, str], command: str
) -> None:
    """Write the page of a comparison that is `told` in plain values, as its JSON; `asks` says what each column is."""
    page = render(
        "comparison.html.jinja",
        told=told,
        image=describe(noisy),
        rows=_rows(noisy, shown),
        reports={one.name: one.report for one in shown},
        asks=asks,
        symbols=SYMBOLS,
        command=command,
    )
    with replacing(path, overwrite=True) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _rows(noisy: Volume, shown: Sequence[Shown]) -> list[tuple[str, str, list[Figure | None]]]:
    """Name, link and pictures: the noisy image first, then every setting."""
    first = noisy.frame(0)
    views = _views(first)
    before = [_plane(first, view) for view in views]
    results = [[_plane(one.denoised.frame(0), view) for view in views] for one in shown]
    limits, spread = _limits(before, results), _spread(before, results)
    top = max(float(_log_power(plane).max()) for plane in (before[0], *(planes[0] for planes in results)))
    scale = (limits, spread, (top - DECADES, top))
    rows = [("noisy", "", _figures(before, None, views, scale, noisy.quantity))]
    for one, planes in zip(shown, results, strict=True):
        rows.append((one.name, one.report, _figures(planes, before, views, scale, noisy.quantity)))
    return rows


def _views(frame: Volume) -> list[_View]:
    """The middle of the XY plane, and of the XZ plane where there is one that is no line."""
    size = frame.voxel_size_um
    middle = tuple(_middle(n) for n in frame.shape)
    flat = (size[-2], size[-1]) if size else None
    if "Z" not in frame.axes:
        return [_View("XY", middle, flat)]
    z, y = frame.shape[:2]
    planes = [_View(f"XY at z = {z // 2}", (slice(z // 2, z // 2 + 1), *middle[1:]), flat)]
    if z > 1:
        upright = (size[0], size[2]) if size else None
        planes.append(_View(f"XZ at y = {y // 2}", (middle[0], slice(y // 2, y // 2 + 1), middle[2]), upright))
    return planes


def _middle(count: int) -> slice:
    start = max(0, (count - MOST) // 2)
    return slice(start, min(count, start + MOST))


def _plane(frame: Volume, view: _View) -> Array:
    values = frame.read(view.region)
    return np.squeeze(np.where(frame.valid(values), values, np.nan), axis=_lines(view.region, values.shape))


def _lines(region: Region, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axis across a plane; an image that is one voxel wide along another keeps that."""
    return tuple(axis for axis in range(len(shape)) if len(shape) == 3 and region[axis].stop - region[axis].start == 1)[
        :1
    ]


def _limits(before: Sequence[Array], results: Sequence[Sequence[Array]]) -> Limits:
    """What the results span, in the median over them, and most of what the noisy image spans."""
    spans = [_percentiles(planes) for planes in results]
    low, high = _percentiles(before, MOST_OF)
    low, high = min([low, *_medians(spans, 0)]), max([high, *_medians(spans, 1)])
    margin = 0.05 * (high - low)
    return low - margin, high + margin


def _medians(spans: Sequence[Limits], end: int) -> list[float]:
    return [float(np.median([span[end] for span in spans]))] if spans else []


def _spread(before: Sequence[Array], results: Sequence[Sequence[Array]]) -> Limits:
    """Symmetric around 0, the median over settings."""
    found = [
        _percentiles([abs(b - a) for b, a in zip(before, planes, strict=True)], RESIDUAL_PERCENTILE)[1]
        for planes in results
    ]
    high = float(np.median(found)) if found else 0.0
    return (-high, high) if high > 0 else (-1e-6, 1e-6)


def _percentiles(planes: Sequence[Array], highest: float = PERCENTILES[1]) -> Limits:
    values = np.concatenate([plane[np.isfinite(plane)] for plane in planes])
    if not values.size:
        return 0.0, 1.0
    low, high = np.percentile(values, (100 - highest, highest))
    return float(low), float(high)


def _log_power(plane: Array) -> Array:
    """log10 of the power spectrum of a plane under a Hann window, frequency 0 in the middle; the mean is taken off."""
    known = np.isfinite(plane)
    mean = float(plane[known].mean()) if known.any() else 0.0
    window = np.outer(*(np.hanning(n + 2)[1:-1] for n in plane.shape))
    power = np.abs(scipy.fft.fftshift(scipy.fft.fft2(np.where(known, plane - mean, 0) * window))) ** 2
    return np.asarray(np.log10(np.maximum(power / plane.size, 1e-30)))


def _figures(
    planes: Sequence[Array],
    before: Sequence[Array] | None,
    views: Sequence[_View],
    scale: tuple[Limits, Limits, Limits],
    unit: str,
) -> list[Figure | None]:
    """The planes, what was taken away in the first one, and its spectrum."""
    limits, spread, powers = scale
    found: list[Figure | None] = [
        _figure(plane, view.title, IMAGE_COLORMAP, limits, unit, view.voxel_size)
        for plane, view in zip(planes, views, strict=True)
    ]
    if before is None:
        found.append(None)  # keeps pictures of one kind below each other
    else:
        taken, first = before[0] - planes[0], views[0]
        found.append(
            _figure(taken, f"noisy - denoised, {first.title}", RESIDUAL_COLORMAP, spread, unit, first.voxel_size)
        )
    found.append(
        _figure(_log_power(planes[0]), f"spectrum, {views[0].title}", IMAGE_COLORMAP, powers, "log10 power", None)
    )
    return found


def _figure(values: Array, title: str, colormap: str, limits: Limits, unit: str, voxel_size: VoxelSize) -> Figure:
    picture = preview(values, colormap=colormap, limits=limits, title=title, unit_label=unit, voxel_size=voxel_size)
    file = io.BytesIO()
    few = picture.quantize(255, Image.Quantize.MAXCOVERAGE)  # a page holds dozens of them; rare colours stay
    few.save(file, format="PNG", optimize=True)
    return Figure(title, f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}")
