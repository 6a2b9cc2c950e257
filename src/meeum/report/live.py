"""The page that shows a training while it goes on; a browser reads it again every few seconds by itself."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from meeum.report import curves
from meeum.report.figures import IMAGE_COLORMAP, Limits, VoxelSize, preview
from meeum.report.templates import asset, duration, render, typeset

AGAIN = 5  # seconds until a browser reads the page again
PERCENTILES = (0.5, 99.5)

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Picture:
    """A picture as a data URI."""

    title: str
    uri: str = field(repr=False)


@dataclass(frozen=True)
class Standing:
    """How far a run is: what is being done and its share, steps, seconds left (nan: not known), the curves' rows.

    `ended` is empty while the run goes on, and then says how it ended; `report` whether there is one to link to.
    """

    title: str
    command: str
    doing: str
    share: float
    step: int = 0
    steps: int = 0
    seconds_left: float = math.nan
    metrics: Sequence[Mapping[str, object]] = ()
    pictures: Sequence[Picture] = ()
    caption: str = ""
    notes: Sequence[str] = ()
    ended: str = ""
    report: bool = False


def page(told: Standing) -> str:
    """HTML that needs nothing but itself."""
    return render(
        "live.html.jinja",
        told=told,
        again=AGAIN,
        style=asset("page.css"),
        left=duration(told.seconds_left) if math.isfinite(told.seconds_left) else "",
        charts=[(one, curves.draw(one)) for one in curves.training(told.metrics)],
        canvas=curves,
        last=_last(told.metrics),
    )


def pictures(noisy: Plane, denoised: Plane, *, unit: str, voxel_size: VoxelSize) -> list[Picture]:
    """A plane before and after, in one colour scale: that of the noisy one, which does not change while training."""
    limits = _limits(noisy)
    return [
        Picture(title, _uri(values, title, limits, unit, voxel_size))
        for title, values in (("noisy", noisy), ("denoised so far", denoised))
    ]


def _uri(values: Plane, title: str, limits: Limits, unit: str, voxel_size: VoxelSize) -> str:
    file = io.BytesIO()
    picture = preview(
        values, colormap=IMAGE_COLORMAP, limits=limits, title=title, unit_label=unit, voxel_size=voxel_size
    )
    picture.save(file, format="PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def _limits(values: Plane) -> Limits:
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, PERCENTILES) if known.size else (0.0, 1.0)
    return float(low), float(high)


def _last(metrics: Sequence[Mapping[str, object]]) -> dict[str, str]:
    """The newest number of each kind."""
    names = {"loss": "Training loss", "validation": "Validation loss", "error_left": "Estimated error left"}
    found: dict[str, str] = {}
    for key, words in names.items():
        numbers = [float(str(row[key])) for row in metrics[-500:] if row.get(key) not in (None, "")]
        known = [number for number in numbers if math.isfinite(number)]
        if known:
            found[words] = typeset(f"{known[-1]:.4g}")
    return found
