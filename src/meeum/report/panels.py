"""The pictures of a pair's spectra: coloured planes with frequency axes, and the marks upon them, as parts of SVG."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from cmap import Colormap
from numpy.typing import NDArray
from PIL import Image

from meeum.auditing import Audit
from meeum.noise import Noise
from meeum.report.figures import IMAGE_COLORMAP, Limits
from meeum.report.marks import Known, Marks, known, marks
from meeum.report.spectrum import KINDS, Plane, decades, planes
from meeum.report.ticks import Tick, ticks
from meeum.volume import Volume

Array = NDArray[Any]

LONGER, SHORTEST = 260, 60  # of a panel's sides, SVG units
DECADES = 6.0  # shown at most
HIGHEST, LOWEST = 99.5, 2.0  # percentiles of the power that the colours span
COLOURS = 256


@dataclass(frozen=True)
class Panel:
    """One spectrum: its picture as a data URI."""

    kind: str
    uri: str = field(repr=False)


@dataclass(frozen=True)
class Row:
    """The spectra of noisy, denoised and residual in one plane, to one scale.

    height, width, ticks and marks in SVG units within the picture; `labels` of rows and columns
    """

    title: str
    panels: tuple[Panel, ...]
    height: float
    width: float
    row_ticks: tuple[Tick, ...]
    column_ticks: tuple[Tick, ...]
    labels: tuple[str, str]
    marks: Marks
    bar: str = field(repr=False)
    bar_ticks: tuple[Tick, ...]  # share of the bar from its low end, per cent


@dataclass(frozen=True)
class Spectra:
    """All rows, and what is to be said of them."""

    rows: tuple[Row, ...]
    sentences: tuple[str, ...]
    unit: str


def spectra(noisy: Volume, denoised: Volume, *, noise: Noise | None, audit: Audit | None) -> Spectra:
    """Spectra of a pair; power is told in the noise's where that is known."""
    level = noise.std**2 if noise is not None and noise.std > 0 else math.nan
    found = known(noisy, noise, audit)
    rows = tuple(_row(plane, found, level) for plane in planes(noisy, denoised))
    unit = "power over that of white noise as strong as measured, log10" if level > 0 else "power, log10"
    return Spectra(rows, found.sentences if rows else (), unit)


def _row(plane: Plane, found: Known, level: float) -> Row:
    logs = [decades(plane.power[kind], level) for kind in KINDS]
    limits, size = _limits(logs), _size(plane)
    ramp = np.linspace(*limits, COLOURS)[None]
    return Row(
        title=plane.title,
        panels=tuple(Panel(kind, picture(values, limits)) for kind, values in zip(KINDS, logs, strict=True)),
        height=size[0],
        width=size[1],
        row_ticks=_ticks(plane, 0, size[0]),
        column_ticks=_ticks(plane, 1, size[1]),
        labels=tuple(f"k{letter.lower()}, cycles per {plane.unit}" for letter in plane.axes),  # type: ignore[arg-type]
        marks=marks(plane, found, size),
        bar=picture(ramp, limits),
        bar_ticks=tuple(
            Tick(100 * (one.value - limits[0]) / (limits[1] - limits[0]), one.label) for one in ticks(*limits, count=6)
        ),
    )


def _limits(logs: Sequence[Array]) -> Limits:
    """Common to all three images, rounded to half a decade."""
    high = math.ceil(2 * float(np.percentile(logs[0], HIGHEST))) / 2
    low = math.floor(2 * min(float(np.percentile(one, LOWEST)) for one in logs)) / 2
    return max(low, high - DECADES) if low < high else high - 1, high


def _size(plane: Plane) -> tuple[float, float]:
    """Height and width: to one scale of frequency along both axes, as far as neither gets too short to be seen."""
    sides = [1 / edge for edge in plane.edges]
    height, width = (max(SHORTEST, LONGER * side / max(sides)) for side in sides)
    return float(height), float(width)


def _ticks(plane: Plane, axis: int, length: float) -> tuple[Tick, ...]:
    """Frequencies in cycles per unit; frequency 0 is the middle of element side // 2."""
    edge, side = plane.edges[axis], plane.sides[axis]
    zero, highest = (side // 2 + 0.5) / side * length, 0.5 / edge
    found = ticks(-highest, highest, count=max(2, min(5, round(length / 45))))
    return tuple(Tick(zero + one.value * edge * length, one.label) for one in found)


def picture(values: Array, limits: Limits) -> str:
    """Values in the colours of images as the data URI of a PNG with a palette."""
    share = np.clip((values - limits[0]) / (limits[1] - limits[0]), 0, 1)
    image = Image.fromarray(np.round(share * (COLOURS - 1)).astype(np.uint8)).convert("P")
    colours = np.asarray(Colormap(IMAGE_COLORMAP)(np.linspace(0, 1, COLOURS), bytes=True))[:, :3]
    image.putpalette(colours.astype(np.uint8).tobytes())
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
