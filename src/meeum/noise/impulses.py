"""Voxels far off (salt and pepper, hot pixels): whether there are such, and an image without them."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

Array = NDArray[Any]

FAR = 5.0  # typical deviations from the median of 3x3 beyond which a voxel is replaced by it


def tails_of(values: Array) -> float:
    """How much larger the deviations from a median of 3x3 are than their median says; nan where most are 0."""
    plane = values[len(values) // 2] if values.ndim == 3 else values
    off = np.abs(plane - _around(plane))
    typical = _typical(off)
    return float(np.sqrt(np.mean(off**2))) / typical if typical > 0 else float("nan")


def without_impulses(values: Array) -> Array:
    """(*S) with voxels that are far from the median of 3x3 around them in their plane replaced by it."""
    around = _around(values)
    off = np.abs(values - around)
    return np.where(off > FAR * _typical(off[off > 0]), around, values) if off.any() else values


def _around(values: Array) -> Array:
    return np.asarray(scipy.ndimage.median_filter(values, (1,) * (values.ndim - 2) + (3, 3)))


def _typical(deviations: Array) -> float:
    return 1.4826 * float(np.median(deviations))
