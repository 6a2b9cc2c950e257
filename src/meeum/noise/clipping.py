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
TAIL = 0.05  # quantile of the values above the lowest that tells how closely they follow
RARE = 1 / 3  # of the lowest value's share, at most, is the next one's where whole numbers were clipped
CROWD, RARER = 0.02, 5  # share of a block that one value fills, and how many times more it is met than any other
SIDE_BY_SIDE = 0.6  # share of its voxels whose neighbour has it, too
AROUND = 2.0  # voxels around each in which the share of the clipped is taken


def clip_of(values: Array) -> float:
    """The lowest of a block's values if a share of `CLIPPED` was cut off there, else nan."""
    lowest = float(values.min())
    above = values[values > lowest]
    few = above.size > (1 - CLIPPED) * values.size
    return lowest if not few and _is_close(lowest, above) and not _counts_nothing(values) else float("nan")


def is_crowded(values: Array) -> bool:
    """Whether one value fills a part of a block, as padding and saturation do, or a background that was set to it.

    Its voxels lie side by side, and others are met less often by far. A clip from below is no such value, nor are
    whole numbers as of counts, where hardly anything was counted.
    """
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) < 3:
        return False
    most = int(np.argmax(counts))
    if counts[most] <= max(CROWD * values.size, RARER * np.delete(counts, most).max()):
        return False
    there, others = values == distinct[most], np.delete(distinct, most)
    pairs = max(_pairs(there, axis) for axis in range(there.ndim))
    counted = bool((values == np.rint(values)).all()) and np.abs(others - distinct[most]).min() <= 1
    return (
        pairs > SIDE_BY_SIDE * counts[most]
        and not counted
        and not (most == 0 and _is_close(float(distinct[0]), values[~there]))
    )


def _pairs(there: NDArray[np.bool_], axis: int) -> int:
    """How many of the marked voxels have a marked neighbour after them along an axis."""
    lines = np.moveaxis(there, axis, 0)
    return int((lines[1:] & lines[:-1]).sum())


def _is_close(lowest: float, above: Array) -> bool:
    """Whether the values above it follow close upon the lowest, as noise does upon a clip but not upon padding."""
    return above.size > 0 and bool(np.quantile(above, TAIL) - lowest < above.std())


def _counts_nothing(values: Array) -> bool:
    """Whether whole numbers are counts whose lowest is that of dark pixels, which looks like a clip.

    That is 0, or a camera's offset, above which counts get rarer and rarer; noise that was clipped is spread evenly.
    """
    if (values != np.rint(values)).any():
        return False
    lowest, counts = values.min(), np.unique(values, return_counts=True)[1][:3]
    return bool(lowest == 0 or len(counts) < 3 or counts[1] > RARE * counts[0] or counts[1] > 2 * counts[2])


def left_by(clipped: NDArray[np.bool_]) -> Array:
    """Per voxel, the standard deviation of Gaussian noise after clipping over the one before.

    From the share clipped around it, which says how far the clip lies above the mean: 0.58 where that is a half.
    """
    share = np.clip(scipy.ndimage.gaussian_filter(clipped.astype(np.float32), AROUND), 1e-6, 1 - 1e-6)
    return left_of(share)


def left_of(shares: Array | float) -> Array:
    """The same of shares that were clipped."""
    return np.asarray(np.interp(shares, *_LEFT))


def _left(shares: Array) -> Array:
    """The moments of a Gaussian above the quantile t, what is below it put at t."""
    t = ndtri(shares)
    above, density = ndtr(-t), np.exp(-(t**2) / 2) / np.sqrt(2 * np.pi)
    mean = density - t * above
    square = (1 + t**2) * above - t * density
    return np.asarray(np.sqrt(np.maximum(square - mean**2, 0)))


_SHARES = ndtr(np.linspace(-5, 5, 201))
_LEFT = _SHARES, _left(_SHARES)
