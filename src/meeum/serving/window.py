"""The first window of a viewer, from the middle plane: reading all of a large image would take minutes."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from meeum.report.previews import residual_limits, shared_limits
from meeum.serving.planes import Asked, Ends, Images, dimensions, plane
from meeum.volume import Volume

LOOKED_AT = 1024  # voxels a side


def limits(images: Images) -> tuple[tuple[float, float], float]:
    """The report's rule for one plane: limits that noisy and denoised share, and the size of their difference."""
    looks = [_middle(name, levels) for name, levels in images.items()]
    noisy, denoised = looks[:1], looks[-1:]
    return shared_limits(noisy, denoised), residual_limits(noisy, denoised)[1]


def _middle(name: str, levels: Sequence[Volume]) -> NDArray[np.float32]:
    shape = dimensions(levels[0])
    asked = Asked(name, "z", index=shape["Z"] // 2, rows=_around(shape["Y"]), columns=_around(shape["X"]))
    return plane(levels, asked, Lock()).values


def _around(length: int) -> Ends:
    first = max(0, length // 2 - LOOKED_AT // 2)
    return first, min(length, first + LOOKED_AT)
