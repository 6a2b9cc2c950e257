"""Cells and background, told apart in the low-passed input, and what became of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from meeum.auditing.sampling import Block, Floats, Mask, mean_std, quotient

MARGIN = 6.0  # distance from cells at which background begins, in units of the shortest voxel edge


@dataclass(frozen=True)
class Part:
    """One kind of region, found in the low-passed input: its share of the voxels, mean and std before and after."""

    share: float
    mean_before: float
    mean_after: float
    std_before: float
    std_after: float


def find_parts(
    blocks: Sequence[Block], smooth: Sequence[Floats], *, offset: float, margin: Sequence[float]
) -> dict[str, Any]:
    """Background and cells by one threshold for all blocks."""
    pairs = list(zip(blocks, smooth, strict=True))
    threshold = otsu_threshold(np.concatenate([low[block.valid] for block, low in pairs]))
    cells = [(low > threshold) & block.valid for block, low in pairs]
    away = [
        b.valid & ~_widened(c, margin) if math.isfinite(threshold) else c for b, c in zip(blocks, cells, strict=True)
    ]
    return {
        "threshold": threshold + offset,
        "cells": _part(blocks, cells, offset),
        "background": _part(blocks, away, offset),
    }


def _widened(mask: Mask, margin: Sequence[float]) -> Mask:
    size = [2 * math.ceil(reach) + 1 for reach in margin]
    wide: NDArray[np.uint8] = ndimage.maximum_filter(mask.astype(np.uint8), size)
    return wide > 0


def _part(blocks: Sequence[Block], masks: Sequence[Mask], offset: float) -> Part:
    before = np.concatenate([block.noisy[mask] for block, mask in zip(blocks, masks, strict=True)])
    after = np.concatenate([block.denoised[mask] for block, mask in zip(blocks, masks, strict=True)])
    (mean_before, std_before), (mean_after, std_after) = mean_std(before), mean_std(after)
    share = quotient(before.size, sum(int(np.count_nonzero(block.valid)) for block in blocks))
    return Part(share, mean_before + offset, mean_after + offset, std_before, std_after)


def otsu_threshold(values: Floats, bins: int = 256) -> float:
    """The value that parts `values` with the greatest between-class variance (Otsu 1979); nan if constant."""
    if values.size == 0 or np.ptp(values) == 0:
        return math.nan
    counts, edges = np.histogram(values, bins)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above, mass = values.size - below, np.cumsum(counts * centres)
    difference = mass[:-1] / np.maximum(below, 1) - (mass[-1] - mass[:-1]) / np.maximum(above, 1)
    return float(edges[1 + np.argmax(below * above * difference**2.0)])
