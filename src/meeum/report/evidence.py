"""The pictures of an audit: the plane or spectrum that shows a finding, its places circled."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from meeum.auditing import Audit, Finding, Picture
from meeum.errors import UsageError
from meeum.io.files import replacing
from meeum.report.figures import IMAGE_COLORMAP, RESIDUAL_COLORMAP, Layout, Limits, arrange, preview

LONGEST = 512  # elements of a picture's longer side
PERCENTILES = (0.1, 99.9)  # of the values that the colours span
HALO, STROKE = (20, 20, 20), (255, 255, 255)

Plane = NDArray[Any]
Marks = Sequence[tuple[float, float, float]]


@dataclass(frozen=True)
class Evidence:
    """A finding's picture as PNG."""

    verdict: str
    title: str
    png: bytes = field(repr=False)


def evidence(audit: Audit, *, most: int) -> list[Evidence]:
    """Pictures of the gravest findings that did not pass."""
    return [Evidence(one.verdict, _title(one, what), _png(one, what)) for one, what in shown(audit, most=most)]


def kept(folder: Path, *, most: int) -> list[Evidence]:
    """The same from a folder of `write_evidence`: each file says whose picture it is."""
    found = []
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as image:
            told = image.info
        found.append(Evidence(told.get("Comment", "pass"), told.get("Title", path.stem), path.read_bytes()))
    return [one for one in found if one.verdict != "pass"][:most]


def shown(audit: Audit, *, most: int | None = None) -> list[tuple[Finding, Picture]]:
    """The findings that have a picture, the gravest first; at most `most`, of those that did not pass, if given."""
    pairs = [(one, one.picture) for one in audit.graded if one.picture is not None]
    return pairs if most is None else [pair for pair in pairs if pair[0].verdict != "pass"][:most]


def refuse_evidence(folder: Path, *, overwrite: bool) -> None:
    """Say no to a folder that holds something already (unless it may be replaced), or that is none."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file; give the name of a folder for the pictures")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise UsageError(f"{folder}: is not empty; give another folder, or --overwrite to replace pictures in it")


def write_evidence(folder: Path, audit: Audit, *, overwrite: bool = False) -> list[Path]:
    """One PNG per finding that has a picture, numbered from the gravest on."""
    refuse_evidence(folder, overwrite=overwrite)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number, (finding, picture) in enumerate(shown(audit), 1):
        path = folder / f"{number:02d}_{finding.measure.replace(' ', '_')}.png"
        with replacing(path, overwrite=overwrite) as temporary:
            temporary.write_bytes(_png(finding, picture))
        written.append(path)
    return written


def _title(finding: Finding, picture: Picture) -> str:
    return f"{finding.title}: {picture.title}"


def _png(finding: Finding, picture: Picture) -> bytes:
    """The file says of itself what it shows, so that a report can be made of it again."""
    facts, file = PngInfo(), io.BytesIO()
    facts.add_itxt("Title", _title(finding, picture))
    facts.add_itxt("Comment", finding.verdict)
    draw(picture).save(file, format="PNG", pnginfo=facts)
    return file.getvalue()


def draw(picture: Picture) -> Image.Image:
    """Values in colours, with a colour bar; a circle around each mark."""
    values, step = _shrunk(np.atleast_2d(np.asarray(picture.values, dtype=np.float32)))
    canvas = preview(
        values,
        colormap=RESIDUAL_COLORMAP if picture.diverging else IMAGE_COLORMAP,
        limits=_limits(values, diverging=picture.diverging),
        title=picture.title,
        unit_label=picture.unit,
        voxel_size=None,
    )
    layout = arrange(values.shape, None)
    _circle(canvas, picture.marks, layout, pixels=layout.width / values.shape[1] / step)
    return canvas


def _shrunk(values: Plane) -> tuple[Plane, int]:
    """At most `LONGEST` elements a side, and how many became one: that farthest from the rest, lest a peak is lost."""
    step = -(-max(values.shape) // LONGEST)
    if step == 1:
        return values, 1
    padding = [(0, -n % step) for n in values.shape]
    padded = np.pad(values, padding, constant_values=np.nan)
    rows, columns = (n // step for n in padded.shape)
    cells = padded.reshape(rows, step, columns, step).swapaxes(1, 2).reshape(rows, columns, step * step)
    far = np.abs(cells - np.nanmedian(values)) if np.isfinite(values).any() else np.zeros_like(cells)
    chosen = np.where(np.isnan(far), -1, far).argmax(axis=-1)
    return np.take_along_axis(cells, chosen[..., None], axis=-1)[..., 0], step


def _limits(values: Plane, *, diverging: bool) -> Limits:
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    if diverging:
        high = float(np.percentile(np.abs(finite), PERCENTILES[1])) or float(np.abs(finite).max()) or 1.0
        return -high, high
    low, high = np.percentile(finite, PERCENTILES)
    return float(low), float(high)


def _circle(canvas: Image.Image, marks: Marks, layout: Layout, *, pixels: float) -> None:
    """`pixels` per element of the picture; a light line on a dark one is seen on any colour."""
    pen = ImageDraw.Draw(canvas)
    for row, column, radius in marks:
        x, y = (origin + (at + 0.5) * pixels for origin, at in zip(layout.origin, (column, row), strict=True))
        reach = max((radius + 0.5) * pixels, 4.0 * layout.scale)
        for colour, width in ((HALO, 5), (STROKE, 2.5)):
            edge = reach + (width - 2.5) / 2
            pen.ellipse((x - edge, y - edge, x + edge, y + edge), outline=colour, width=layout.sized(width))
