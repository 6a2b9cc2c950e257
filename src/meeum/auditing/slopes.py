"""How steep the edges of the input still are after denoising."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meeum.auditing.sampling import Block, Floats, low_pass, quotient

FINE_LOW_PASS = 1.0  # sigma at which slopes are compared, in units of the shortest voxel edge
EDGE_SHARE = 0.02  # the steepest voxels count as edges


def edge_ratio(blocks: Sequence[Block], smooth: Sequence[Floats], *, ratios: Sequence[float]) -> dict[str, Any]:
    """The edge ratio; formula at `PairStatistics`."""
    sums = [_slope_products(block, low, ratios=ratios) for block, low in zip(blocks, smooth, strict=True)]
    steepness, before, after = (np.concatenate(part) for part in zip(*sums, strict=True))
    if steepness.size == 0 or steepness.max() == 0:
        return {"edge_ratio": math.nan, "edge_voxels": 0}
    chosen = steepness >= max(np.quantile(steepness, 1 - EDGE_SHARE), np.finfo(np.float32).tiny)
    ratio = quotient(float(after[chosen].sum(dtype=np.float64)), float(before[chosen].sum(dtype=np.float64)))
    return {"edge_ratio": ratio, "edge_voxels": int(np.count_nonzero(chosen))}


def _slope_products(block: Block, smooth: Floats, *, ratios: Sequence[float]) -> tuple[Floats, Floats, Floats]:
    """G.G, G.g_before and G.g_after where all neighbours were measured; an axis under 3 voxels has no slope."""
    fine = low_pass([block.noisy, block.denoised], block.valid, sigma=[FINE_LOW_PASS / ratio for ratio in ratios])
    axes = [axis for axis, length in enumerate(smooth.shape) if length >= 3]
    valid = _shifted(block.valid, axes)
    total = [np.zeros(valid.shape, dtype=np.float32) for _ in range(3)]
    for axis in axes:
        valid = valid & _shifted(block.valid, axes, axis, 1) & _shifted(block.valid, axes, axis, -1)
        steep, *others = (
            (_shifted(image, axes, axis, 1) - _shifted(image, axes, axis, -1)) / (2 * ratios[axis])
            for image in (smooth, *fine)
        )
        total = [kept + steep * slope for kept, slope in zip(total, (steep, *others), strict=True)]
    return total[0][valid], total[1][valid], total[2][valid]


def _shifted(image: NDArray[Any], axes: Sequence[int], axis: int = -1, step: int = 0) -> NDArray[Any]:
    """The image less its rim along `axes`, seen `step` voxels further along `axis`."""
    cut = [slice(1, n - 1) if i in axes else slice(None) for i, n in enumerate(image.shape)]
    if step:
        cut[axis] = slice(1 + step, image.shape[axis] - 1 + step)
    return image[tuple(cut)]
