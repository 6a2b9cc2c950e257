"""Blocks that were clipped (a constraint of non-negativity, a detector's zero): noise there has lost its lower half."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

CLIPPED = 0.1  # share of a block's voxels at the clip that changes its noise, and of blocks that changes the floor
SIDE = 8  # voxels: of blocks small enough to lie between the clipped ones
TAIL = 0.05  # quantile of the values above the lowest; noise follows close upon a clip, but not upon padding


def clipped_share(values: NDArray[Any]) -> float:
    """Share of a block's values at the lowest of them, if that is a clip; 0 below `CLIPPED`.

    Of whole numbers it is 0 too: dark pixels that counted nothing look like clipped ones.
    """
    lowest = values.min()
    above = values[values > lowest]
    share = 1 - above.size / values.size
    if share < CLIPPED or above.size == 0 or (values == np.rint(values)).all():
        return 0.0
    return share if np.quantile(above, TAIL) - lowest < above.std() else 0.0
