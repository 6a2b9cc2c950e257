"""The first window of a viewer, from the middle plane: reading all of a large image would take minutes."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from meeum.serving.planes import Asked, Ends, Images, dimensions, plane
from meeum.volume import Volume

PERCENTILES, RESIDUAL_PERCENTILE = (0.1, 99.9), 99.0
LOOKED_AT = 1024  # voxels a side


def limits(images: Images) -> tuple[tuple[float, float], float]:
    """What the denoised image spans and a tenth more, a quarter of the noisy span at least; the residual's size."""
    looks = {name: _middle(name, levels) for name, levels in images.items()}
    ends = [np.nanpercentile(values, PERCENTILES) for values in looks.values() if np.isfinite(values).any()]
    if not ends:
        return (0.0, 1.0), 1.0
    low, high = ends[-1]
    half = max(0.6 * (high - low), 0.125 * (ends[0][1] - ends[0][0])) or 0.5
    window = (float((low + high) / 2 - half), float((low + high) / 2 + half))
    return window, _residual(list(looks.values())) or 1e-6


def _residual(looks: Sequence[NDArray[np.float32]]) -> float:
    sizes = np.abs(looks[0] - looks[-1])
    return float(np.nanpercentile(sizes, RESIDUAL_PERCENTILE)) if np.isfinite(sizes).any() else 0.0


def _middle(name: str, levels: Sequence[Volume]) -> NDArray[np.float32]:
    shape = dimensions(levels[0])
    asked = Asked(name, "z", index=shape["Z"] // 2, rows=_around(shape["Y"]), columns=_around(shape["X"]))
    return plane(levels, asked, Lock()).values


def _around(length: int) -> Ends:
    first = max(0, length // 2 - LOOKED_AT // 2)
    return first, min(length, first + LOOKED_AT)
