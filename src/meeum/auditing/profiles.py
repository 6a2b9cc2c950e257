"""Means along the rows, columns and planes of a pair, in segments."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meeum.auditing.pair import Piece
from meeum.noise.lines import flattened

Array = NDArray[Any]
FEWEST = 24  # lines
SEGMENTS = {2: 8, 3: 4}  # of each line, along every other axis of that many times 8 voxels
MOST_VOXELS = 2**22  # of each piece; of larger ones planes are left out


@dataclass(frozen=True)
class Profile:
    """Means of the lines of both images, sigma: (planes or 1, lines, segments), along one axis, and their weights."""

    axis: str
    denoised: Array
    residual: Array
    weight: Array


def profiles(piece: Piece, *, per_plane: bool) -> list[Profile]:
    """Along every axis of enough lines; voxels count less where the specimen is."""
    level = float(np.sqrt(np.mean(np.square(piece.level[piece.valid], dtype=np.float64)))) if piece.valid.any() else 0.0
    found = []
    for axis, letter in enumerate("ZYX"[-piece.valid.ndim :]):
        if piece.valid.shape[axis] < FEWEST or not level > 0 or (per_plane and letter == "Z"):
            continue
        step = math.ceil(piece.valid.size / MOST_VOXELS) if piece.valid.ndim == 3 else 1
        part = (slice(None), slice(None, None, step)) if letter == "Z" else (slice(None, None, step),)
        valid, noisy, denoised = piece.valid[part], piece.noisy[part], piece.denoised[part]
        # The same for every line: weights that follow a line's own noise would tie its mean to its offset.
        weight = flattened(noisy, valid)[1].mean(axis, keepdims=True) * valid
        fields = (weight, weight * denoised / level, weight * (noisy - denoised) / level)
        sums = [_segments(np.asarray(one, np.float32), axis, per_plane=per_plane) for one in fields]
        size = np.maximum(sums[0], 1e-3 * max(float(sums[0].mean()), 1e-30))
        found.append(Profile(letter, sums[1] / size, sums[2] / size, sums[0]))
    return found


def _segments(values: Array, axis: int, *, per_plane: bool) -> Array:
    """Sums over the segments of each line: (planes or 1, lines, segments)."""
    lines_first = np.moveaxis(values, axis, 0) if not per_plane else np.moveaxis(values, axis, 1)
    first = 2 if per_plane else 1
    total = lines_first
    for other in range(first, total.ndim):
        side = total.shape[other]
        most = SEGMENTS[values.ndim]
        count = most if side >= 8 * most else 1
        total = np.add.reduceat(total, np.arange(count) * side // count, axis=other, dtype=np.float64)
    return total.reshape(total.shape[0] if per_plane else 1, total.shape[first - 1], -1)
