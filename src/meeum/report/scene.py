"""What the viewer shows: two images as 16-bit numbers, exact where they are such, with all it must know of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from meeum.auditing.amounts import REFRACTIVE, RI_INCREMENT
from meeum.errors import UsageError
from meeum.report.figures import Limits
from meeum.report.part import Part, choose, read
from meeum.report.sixteen import pack
from meeum.volume import Volume

MOST_BYTES = 64 * 2**20  # of a page
BYTES_PER_VOXEL = 8 / 3  # of an image, at most: 16 bits that do not compress, in base64
Scene = dict[str, Any]
Spots = Sequence[Mapping[str, Any]]  # label, verdict, at: t, z, y, x in the whole image


def embedded(
    noisy: Volume,
    denoised: Volume | None = None,
    *,
    limits: Limits,
    residual_limit: float,
    spots: Spots = (),
    most_bytes: int = MOST_BYTES,
) -> Scene:
    """A scene that holds its images, as much of them as fits into `most_bytes`: the middle, at full resolution."""
    images = named(noisy, denoised)
    part = choose(noisy, int(most_bytes / BYTES_PER_VOXEL / len(images)))
    scene = _described(noisy, part, limits=limits, residual_limit=residual_limit, spots=spots)
    packed = {name: {"title": name, **pack(*read(volume, part))} for name, volume in images.items()}
    return {**scene, "source": "embedded", "images": packed}


def served(
    noisy: Volume, denoised: Volume | None = None, *, limits: Limits, residual_limit: float, spots: Spots = ()
) -> Scene:
    """A scene whose planes are asked for one by one, as float32."""
    scene = _described(noisy, choose(noisy), limits=limits, residual_limit=residual_limit, spots=spots)
    asked = {"scale": None, "offset": 0.0, "no_data": None, "exact": True}
    images = {name: {"title": name, **asked} for name in named(noisy, denoised)}
    return {**scene, "source": "served", "images": images}


def named(noisy: Volume, denoised: Volume | None) -> dict[str, Volume]:
    """The images of a scene by name; UsageError unless their shapes agree."""
    if denoised is None:
        return {"noisy": noisy}
    if denoised.shape != noisy.shape:
        raise UsageError(
            f"{noisy.name} has shape {noisy.shape} and {denoised.name} {denoised.shape}; the viewer compares images "
            "of one shape: give the result of this very image"
        )
    return {"noisy": noisy, "denoised": denoised}


def _described(noisy: Volume, part: Part, *, limits: Limits, residual_limit: float, spots: Spots) -> Scene:
    refractive = noisy.quantity == REFRACTIVE
    return {
        "version": 1,
        "shape": list(part.shape),
        "axes": noisy.axes,
        "voxel_um": _edges(noisy),
        "frame_interval_s": noisy.frame_interval_s,
        "quantity": noisy.quantity,
        "unit": "",
        "medium_index": noisy.medium_index,
        "alpha": RI_INCREMENT if refractive else None,
        "part": part.described(),
        "limits": _finite(limits),
        "residual_limit": abs(_finite((0.0, residual_limit))[1]),
        "spots": [{**spot, "at": [int(index) for index in spot["at"]]} for spot in spots],
    }


def _edges(volume: Volume) -> list[float] | None:
    """Edges of a voxel along z, y and x, µm; a flat image is as thick as it is wide."""
    edges = volume.voxel_size_um
    if edges is None:
        return None
    return [float(edge) for edge in (edges if len(edges) == 3 else (edges[-1], *edges))]


def _finite(limits: Limits) -> list[float]:
    """Limits that JSON can hold, whatever an image without data gave."""
    low, high = (float(np.float64(limit)) for limit in limits)
    return [low, high] if math.isfinite(low) and math.isfinite(high) else [0.0, 1.0]
