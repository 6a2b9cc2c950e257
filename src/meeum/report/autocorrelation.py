"""What was taken out of an image, compared with its noise: how both are correlated along each axis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meeum.noise import Noise
from meeum.volume import Region, Volume

Array = NDArray[Any]

FARTHEST = 10  # voxels
MOST_VOXELS = 2**22


@dataclass(frozen=True)
class Lags:
    """Correlation of voxels 0, 1, 2, ... apart along an axis; nan where it was not seen; `edge` of a voxel, µm."""

    axis: str
    edge: float
    residual: tuple[float, ...]
    noise: tuple[float, ...]


def lags(noisy: Volume, denoised: Volume, noise: Noise | None) -> tuple[Lags, ...]:
    """Of the first frame's difference, over the noise's level where that is known, in the middle of a large image."""
    pair, shape = (noisy.frame(0), denoised.frame(0)), noisy.spatial_shape
    region = _middle(shape)
    before, after = (volume.read(region) for volume in pair)
    valid = pair[0].valid(before) & pair[1].valid(after) & np.isfinite(before) & np.isfinite(after)
    residual = np.where(valid, before - after, np.float32(0))
    if noise is not None and noise.std > 0:
        residual = residual / noise.levels(before, region, shape)
    edges = noisy.voxel_size_um or (math.nan,) * len(shape)
    return tuple(
        Lags(letter, edges[axis], correlation(residual, valid, axis), _of_noise(noise, axis, shape[axis]))
        for axis, letter in enumerate(noisy.spatial_axes.lower())
        if shape[axis] > 2
    )


def correlation(values: Array, valid: Array, axis: int) -> tuple[float, ...]:
    """Mean product of values that many voxels apart over the mean square, about their mean; where both are valid."""
    if not valid.any():
        return (math.nan,)
    centred = np.where(valid, values - values[valid].mean(dtype=np.float64), 0).astype(np.float32)
    power = float(np.square(centred, dtype=np.float64).sum() / np.count_nonzero(valid))
    if not power > 0:
        return (math.nan,)
    found = []
    for lag in range(min(FARTHEST, values.shape[axis] // 2) + 1):
        near, far = (_cut(values.ndim, axis, part) for part in (slice(values.shape[axis] - lag), slice(lag, None)))
        count = int(np.count_nonzero(valid[near] & valid[far]))
        found.append(float(np.vdot(centred[near], centred[far])) / count / power if count else math.nan)
    return tuple(found)


def _cut(axes: int, axis: int, part: slice) -> Region:
    return tuple(part if number == axis else slice(None) for number in range(axes))


def _of_noise(noise: Noise | None, axis: int, length: int) -> tuple[float, ...]:
    """As measured in blocks, as far as these reach."""
    if noise is None:
        return ()
    place = tuple(side // 2 for number, side in enumerate(noise.sides))
    line = np.moveaxis(noise.correlation(), axis, 0)[(slice(None), *np.delete(place, axis))]
    reach = min(FARTHEST, length // 2, (noise.sides[axis] - 1) // 2)
    return tuple(float(value) for value in line[place[axis] : place[axis] + reach + 1])


def _middle(shape: tuple[int, ...]) -> Region:
    """The middle of an image, at most about `MOST_VOXELS`, of sides in proportion to its own."""
    share = min(1.0, MOST_VOXELS / math.prod(shape)) ** (1 / len(shape))
    kept = [max(1, int(n * share)) if share < 1 else n for n in shape]
    return tuple(slice((n - k) // 2, (n - k) // 2 + k) for n, k in zip(shape, kept, strict=True))
