"""Blocks that were clipped (a constraint of non-negativity, a detector's zero): noise there has lost its lower half."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri  # scipy.stats would take a second to import

Array = NDArray[Any]

CLIPPED = 0.1  # share of a block's voxels at the clip that changes its noise, and of blocks that changes the floor
SIDE = 8  # voxels: of blocks small enough to lie between the clipped ones
MORE = 10  # as many of them as of large ones are looked at: most are clipped
TAIL = 0.05  # quantile of the values above the lowest; noise follows close upon a clip, but not upon padding
AROUND = 2.0  # voxels around each in which the share of the clipped is taken


def clip_of(values: Array) -> float:
    """The lowest of a block's values if a share of `CLIPPED` was cut off there, else nan.

    Of whole numbers it is nan too: dark pixels that counted nothing look like clipped ones.
    """
    lowest = float(values.min())
    above = values[values > lowest]
    few = above.size > (1 - CLIPPED) * values.size
    if few or above.size == 0 or (values == np.rint(values)).all():
        return float("nan")
    return lowest if np.quantile(above, TAIL) - lowest < above.std() else float("nan")


def left_by(clipped: NDArray[np.bool_]) -> Array:
    """Per voxel, the standard deviation of Gaussian noise after clipping over the one before.

    From the share clipped around it, which says how far the clip lies above the mean: 0.58 where that is a half.
    """
    share = np.clip(scipy.ndimage.gaussian_filter(clipped.astype(np.float32), AROUND), 1e-6, 1 - 1e-6)
    return np.asarray(np.interp(share, *_LEFT))


def _left(shares: Array) -> Array:
    """The same of shares: the moments of a Gaussian above the quantile t, what is below it put at t."""
    t = ndtri(shares)
    above, density = ndtr(-t), np.exp(-(t**2) / 2) / np.sqrt(2 * np.pi)
    mean = density - t * above
    square = (1 + t**2) * above - t * density
    return np.asarray(np.sqrt(np.maximum(square - mean**2, 0)))


_SHARES = ndtr(np.linspace(-5, 5, 201))
_LEFT = _SHARES, _left(_SHARES)
