"""Voxels far off (salt and pepper, hot pixels): an image without them, to measure the noise beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

Array = NDArray[Any]

FAR = 5.0  # typical deviations from the median of 3x3 beyond which a voxel is replaced by it


def without_impulses(values: Array) -> Array:
    """(*S) with voxels that are far from the median of 3x3 around them in their plane replaced by it."""
    around = scipy.ndimage.median_filter(values, (1,) * (values.ndim - 2) + (3, 3))
    off = np.abs(values - around)
    typical = 1.4826 * float(np.median(off[off > 0])) if off.any() else 0.0
    return np.where(off > FAR * typical, around, values)
