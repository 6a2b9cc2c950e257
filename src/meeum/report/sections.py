"""Sections through a function of lags or frequencies, side by side, with axes and one colour bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from meeum.report.figures import Limits, coloured, resized, text_width, upright_text, write_text
from meeum.report.ticks import Tick, ticks

Place = tuple[int, int]  # x, y

HEIGHT = 320  # pixels of the tallest section
WIDEST = 960  # of all sections together
FONT, TITLE = 15, 18
TICK, ROOM, GAP = 5, 46, 30  # length of a tick; space for the labels beside it; between sections
_PAGE, _INK, _FRAME = (255, 255, 255), (34, 34, 34), (120, 120, 120)


@dataclass(frozen=True)
class Axis:
    """What a side of a section shows: its ends are the outer edges of the first and the last voxel.

    `um` is the size of one unit in µm, for a second scale on the opposite side; `stretch` how long a unit is drawn.
    """

    label: str
    low: float
    high: float
    um: float | None = None
    stretch: float = 1.0

    @property
    def length(self) -> float:
        return (self.high - self.low) * self.stretch


@dataclass(frozen=True)
class Section:
    """Values (rows, columns) and what rows and columns are; the first row is drawn on top."""

    values: NDArray[Any]
    rows: Axis
    columns: Axis


def draw(sections: Sequence[Section], *, title: str, colormap: str, limits: Limits, unit_label: str) -> Image.Image:
    """One picture of all sections, to one scale."""
    scale = _scale(sections)
    sizes = [(round(s.columns.length * scale), round(s.rows.length * scale)) for s in sections]
    top, tallest = 24 + TITLE + (ROOM if any(s.columns.um for s in sections) else 0), max(h for _, h in sizes)
    lefts = _lefts(sections, [width for width, _ in sizes])
    bar = lefts[-1] + GAP
    right = max(bar + 18 + TICK + 10 + _widest(limits, tallest) + FONT + 6, lefts[0] + text_width(title, TITLE)) + 12
    canvas = Image.new("RGB", (right, top + tallest + ROOM + 8), _PAGE)
    pen = ImageDraw.Draw(canvas)
    write_text(pen, (lefts[0], 12 + TITLE // 2), title, TITLE)
    for section, left, (width, height) in zip(sections, lefts, sizes, strict=False):
        canvas.paste(coloured(resized(section.values, height, width), colormap, limits), (left, top))
        pen.rectangle((left, top, left + width - 1, top + height - 1), outline=_FRAME)
        _draw_columns(pen, section.columns, (left, top), (width, height))
        _draw_rows(canvas, section.rows, (left, top), (width, height))
    _draw_bar(canvas, (bar, top), tallest, colormap=colormap, limits=limits, unit_label=unit_label)
    return canvas


def _scale(sections: Sequence[Section]) -> float:
    """Pixels per stretched unit."""
    return min(HEIGHT / max(s.rows.length for s in sections), WIDEST / sum(s.columns.length for s in sections))


def _lefts(sections: Sequence[Section], widths: Sequence[int]) -> list[int]:
    """Left edge of each section, and the right edge of all with their labels."""
    lefts, edge = [], 0
    for section, width in zip(sections, widths, strict=True):
        lefts.append(edge + GAP + ROOM)
        edge = lefts[-1] + width + (ROOM + 12 if section.rows.um else 0)
    return [*lefts, edge]


def _scales(axis: Axis) -> list[tuple[Axis, bool]]:
    """The axis itself, and its second scale in µm, drawn on the opposite side."""
    scales = [(axis, False)]
    if axis.um:
        scales.append((Axis("µm", axis.low * axis.um, axis.high * axis.um), True))
    return scales


def _marks(axis: Axis, pixels: int, apart: int) -> list[tuple[Tick, int]]:
    """Ticks and how many pixels from the low end they are."""
    found = ticks(axis.low, axis.high, count=max(2, min(7, pixels // apart)))
    return [(mark, round((mark.value - axis.low) / (axis.high - axis.low) * pixels)) for mark in found]


def _draw_columns(pen: ImageDraw.ImageDraw, axis: Axis, origin: Place, size: Place) -> None:
    """Ticks and labels beneath the section, those in µm above it."""
    (left, top), (width, height) = origin, size
    for scale, opposite in _scales(axis):
        edge, way = (top, -1) if opposite else (top + height, 1)
        for mark, along in _marks(scale, width, 52):
            pen.line((left + along, edge, left + along, edge + way * TICK), fill=_FRAME)
            write_text(
                pen, (left + along - text_width(mark.label, FONT) // 2, edge + way * (TICK + 10)), mark.label, FONT
            )
        write_text(
            pen, (left + (width - text_width(scale.label, FONT)) // 2, edge + way * (TICK + 29)), scale.label, FONT
        )


def _draw_rows(canvas: Image.Image, axis: Axis, origin: Place, size: Place) -> None:
    """Ticks and labels to the left of the section, those in µm to the right."""
    (left, top), (width, height) = origin, size
    pen = ImageDraw.Draw(canvas)
    for scale, opposite in _scales(axis):
        edge, way = (left + width, 1) if opposite else (left, -1)
        for mark, along in _marks(scale, height, 34):
            pen.line((edge, top + along, edge + way * TICK, top + along), fill=_FRAME)
            start = edge + TICK + 4 if opposite else edge - TICK - 4 - text_width(mark.label, FONT)
            write_text(pen, (start, top + along), mark.label, FONT)
        word = upright_text(scale.label, FONT)
        x = edge + ROOM - 4 if opposite else edge - ROOM - word.width + 2
        canvas.paste(word, (x, top + (height - word.height) // 2))


def _draw_bar(
    canvas: Image.Image, origin: Place, height: int, *, colormap: str, limits: Limits, unit_label: str
) -> None:
    """The highest value on top."""
    (x, y), width = origin, 18
    ramp = np.linspace(limits[1], limits[0], height)[:, None].repeat(width, axis=1)
    canvas.paste(coloured(ramp, colormap, limits), origin)
    pen = ImageDraw.Draw(canvas)
    pen.rectangle((x, y, x + width - 1, y + height - 1), outline=_FRAME)
    for mark, along in _marks(Axis("", *limits), height, 45):
        level = y + height - 1 - min(along, height - 1)
        pen.line((x + width, level, x + width + TICK, level), fill=_FRAME)
        write_text(pen, (x + width + TICK + 4, level), mark.label, FONT)
    word = upright_text(unit_label, FONT)
    canvas.paste(word, (x + width + TICK + 10 + _widest(limits, height), y + max(0, (height - word.height) // 2)))


def _widest(limits: Limits, height: int) -> int:
    """Pixels of the longest label of the colour bar."""
    return max(text_width(mark.label, FONT) for mark, _ in _marks(Axis("", *limits), height, 45))
