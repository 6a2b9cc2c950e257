"""Pictures of image planes with a colour bar in data units and a scale bar."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from cmap import Colormap
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from meeum.report.ticks import Tick, ticks

IMAGE_COLORMAP = "viridis"
RESIDUAL_COLORMAP = "crameri:vik"  # diverging and safe for colour-blind readers (Crameri 2018)
NO_DATA = (150, 150, 150)
SHORTEST, LONGEST = 400, 720  # pixels of a picture's longer side: small images are enlarged, large ones thinned out

_PAGE, _INK, _FRAME = (255, 255, 255), (34, 34, 34), (120, 120, 120)
_MICRO = "µμ"  # the micro sign and the Greek letter
_WIDEST_LABEL = "-0.0000"  # room is kept for it, so that pictures side by side have one size

Limits = tuple[float, float]
VoxelSize = tuple[float, float] | None
Place = tuple[int, int]  # x, y


@dataclass(frozen=True)
class Layout:
    """Where things go on the canvas, in pixels; all but the picture grows with `scale`, to stay legible when shrunk."""

    height: int  # of the picture
    width: int

    @property
    def scale(self) -> float:
        return max(1.0, max(self.height, self.width) / 480)

    @property
    def origin(self) -> Place:
        return self.sized(12), self.sized(38)

    @property
    def bar(self) -> Place:
        return self.origin[0] + max(self.width, self.sized(130)) + self.sized(14), self.origin[1]

    @property
    def bar_height(self) -> int:
        return max(self.height, self.sized(170))

    @property
    def font(self) -> int:
        return self.sized(17)

    def sized(self, pixels: float) -> int:
        return round(pixels * self.scale)


def preview(
    values2d: NDArray[Any], *, colormap: str, limits: Limits, title: str, unit_label: str, voxel_size: VoxelSize
) -> Image.Image:
    """A plane (rows, columns), nan where there is no data, in physical proportions; `voxel_size` in µm."""
    layout, limits = arrange(values2d.shape, voxel_size), _widened(limits)
    unit = upright_text(unit_label, layout.font)
    labels = _tick_labels(limits, layout)
    right = layout.bar[0] + layout.sized(35) + max(text_width(text, layout.font) for text in (_WIDEST_LABEL, *labels))
    width = max(right + unit.width, layout.origin[0] + text_width(title, layout.sized(18))) + layout.sized(12)
    bottom = max(
        layout.origin[1] + layout.height + layout.sized(34 if voxel_size else 12),
        layout.bar[1] + layout.bar_height + layout.sized(12),
    )
    canvas = Image.new("RGB", (width, max(bottom, layout.bar[1] + unit.height) + layout.sized(2)), _PAGE)
    draw = ImageDraw.Draw(canvas)
    write_text(draw, (layout.origin[0], layout.sized(19)), title, layout.sized(18))
    canvas.paste(coloured(resized(values2d, layout.height, layout.width), colormap, limits), layout.origin)
    _draw_colour_bar(canvas, layout, colormap, limits)
    canvas.paste(unit, (right, layout.bar[1] + max(0, layout.bar_height - unit.height) // 2))
    if voxel_size:
        _draw_scale_bar(draw, layout, layout.width / (values2d.shape[1] * voxel_size[1]))
    return canvas


def arrange(shape: tuple[int, ...], voxel_size: VoxelSize) -> Layout:
    """The picture in physical proportions, a whole number of pixels per voxel where it is enlarged."""
    edges = voxel_size or (1.0, 1.0)
    sides = [n * edge / min(edges) for n, edge in zip(shape, edges, strict=True)]
    longer = max(sides)
    factor = LONGEST / longer if longer > LONGEST else min(100, math.ceil(SHORTEST / longer))
    height, width = (max(1, round(side * factor)) for side in sides)
    return Layout(height, width)


def resized(values: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """The nearest voxel for each pixel: an average would hide the very noise that is to be seen."""
    rows = (np.arange(height) + 0.5) * values.shape[0] // height
    columns = (np.arange(width) + 0.5) * values.shape[1] // width
    nearest: NDArray[Any] = values[rows.astype(int)[:, None], columns.astype(int)]
    return nearest


def coloured(values: NDArray[Any], colormap: str, limits: Limits) -> Image.Image:
    known = np.isfinite(values)
    share = np.where(known, (values.astype(np.float64) - limits[0]) / (limits[1] - limits[0]), 0).clip(0, 1)
    colours = np.asarray(Colormap(colormap)(share, bytes=True))[..., :3]
    return Image.fromarray(np.where(known[..., None], colours, np.array(NO_DATA)).astype(np.uint8))


def _widened(limits: Limits) -> Limits:
    """Limits some float32 steps apart at least, so that a constant image has an axis too."""
    least = max(1e-6 * max(abs(limits[0]), abs(limits[1])), 1e-12)
    middle, half = sum(limits) / 2, max(limits[1] - limits[0], least) / 2
    return middle - half, middle + half


def _ticks(limits: Limits, layout: Layout) -> list[Tick]:
    return ticks(*limits, count=max(2, min(7, round(layout.bar_height / layout.sized(55)))))


def _tick_labels(limits: Limits, layout: Layout) -> list[str]:
    return [mark.label for mark in _ticks(limits, layout)]


def _draw_colour_bar(canvas: Image.Image, layout: Layout, colormap: str, limits: Limits) -> None:
    """The highest value on top, ticks and their labels to the right."""
    (x, y), height, width = layout.bar, layout.bar_height, layout.sized(18)
    ramp = np.linspace(limits[1], limits[0], height)[:, None].repeat(width, axis=1)
    canvas.paste(coloured(ramp, colormap, limits), (x, y))
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((x, y, x + width - 1, y + height - 1), outline=_FRAME)
    for mark in _ticks(limits, layout):
        level = y + round((limits[1] - mark.value) / (limits[1] - limits[0]) * (height - 1))
        draw.line((x + width, level, x + width + layout.sized(5), level), fill=_FRAME)
        write_text(draw, (x + width + layout.sized(9), level), mark.label, layout.font)


def upright_text(text: str, size: int) -> Image.Image:
    """Text from bottom to top."""
    flat = Image.new("RGB", (max(1, text_width(text, size)), size + 6), _PAGE)
    write_text(ImageDraw.Draw(flat), (0, (size + 6) // 2), text, size)
    return flat.rotate(90, expand=True)


def _draw_scale_bar(draw: ImageDraw.ImageDraw, layout: Layout, pixels_per_um: float) -> None:
    """A bar of a round length, at most a third of the picture, beneath it."""
    longest = layout.width / 3 / pixels_per_um
    power = 10.0 ** math.floor(math.log10(longest))
    length = max(factor * power for factor in (1, 2, 5) if factor * power <= longest * (1 + 1e-9))
    x, y = layout.origin[0], layout.origin[1] + layout.height + layout.sized(12)
    end = x + max(1, round(length * pixels_per_um))
    draw.rectangle((x, y, end - 1, y + layout.sized(3)), fill=_INK)
    write_text(draw, (end + layout.sized(8), y + layout.sized(2)), f"{length:.6g} µm", layout.font)


def write_text(draw: ImageDraw.ImageDraw, place: Place, text: str, size: int) -> None:
    """Text from x on, its digits centred on y."""
    font, baseline = ImageFont.load_default(size), place[1] + round(0.36 * size)
    draw.text((place[0], baseline), _drawable(text), font=font, fill=_INK, anchor="ls")
    for index in (i for i, letter in enumerate(text) if letter in _MICRO):
        stem = place[0] + text_width(text[:index], size) + 1
        draw.line((stem, baseline - 2, stem, baseline + round(0.22 * size)), fill=_INK)


def _drawable(text: str) -> str:
    """The font that comes with pillow has ASCII only; a micro sign becomes a u, to which `write_text` adds the tail."""
    return text.translate(dict.fromkeys(map(ord, _MICRO), "u")).encode("ascii", "replace").decode()


def text_width(text: str, size: int) -> int:
    return math.ceil(ImageFont.load_default(size).getlength(_drawable(text)))
