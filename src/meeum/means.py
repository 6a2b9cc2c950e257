"""Local means: what a network misses over long distances is put back from the noisy image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from meeum.volume import Volume

Array = NDArray[Any]

TRUNCATED = 4  # sigmas at which the Gaussian ends
SLAB = 2**24  # voxels changed at a time
BYTES = 21  # per voxel of a slab and of what the Gaussian reaches on both sides


def obstacle(noisy: Volume, sigma: float, *, memory_gb: float) -> str:
    """Why the local means of frames of this image are not kept; empty where they are."""
    reach, step = _sizes(noisy.spatial_shape, sigma)
    count = min(noisy.spatial_shape[0], step + 2 * reach)
    needed = count * math.prod(noisy.spatial_shape[1:]) * BYTES / 2**30
    if needed > memory_gb:
        return f"{count} planes at a time need {needed:.1f} GiB, and prediction.memory_gb allows {memory_gb:g}"
    return ""


def keep(denoised: Array, noisy: Volume, sigma: float) -> None:
    """Add, in place, to a denoised frame the Gaussian mean of `noisy - denoised` over `sigma` voxels.

    Over many voxels noise averages out, and a network, which sees some dozens of them at once, errs by more than what
    is left of it. Voxels without data count for nothing and stay as they are.
    """
    reach, step = _sizes(denoised.shape, sigma)
    for part, missed, known in _slabs(denoised, noisy, reach, step):
        smooth = _mean(missed, sigma)
        if not known.all():
            smooth /= np.maximum(_mean(known.astype(np.float32), sigma), 1e-3)
            smooth[~known] = 0
        first = min(reach, part.start)
        denoised[part] += smooth[first : first + part.stop - part.start]


def _sizes(shape: tuple[int, ...], sigma: float) -> tuple[int, int]:
    """How far the Gaussian reaches, and how many planes are changed at a time."""
    return int(TRUNCATED * sigma + 0.5), max(1, SLAB // math.prod(shape[1:]))


def _slabs(denoised: Array, noisy: Volume, reach: int, step: int) -> Iterator[tuple[slice, Array, Array]]:
    """Slabs of planes, and the residual in and `reach` around each, 0 where nothing was measured, before any change."""
    count = len(denoised)
    missed = known = np.empty((0, *denoised.shape[1:]))
    for start in range(0, count, step):
        part = slice(start, min(start + step, count))
        seen, end = max(0, start - reach) + len(missed), min(part.stop + reach, count)
        fresh = noisy.read((slice(seen, end), *(slice(None) for _ in denoised.shape[1:])))
        valid = noisy.valid(fresh)
        fresh -= denoised[seen:end]
        fresh[~valid] = 0
        missed = np.concatenate([missed, fresh]) if len(missed) else fresh
        known = np.concatenate([known, valid]) if len(known) else valid
        yield part, missed, known
        done = max(0, part.stop - reach) - max(0, start - reach)
        missed, known = missed[done:], known[done:]


def _mean(values: Array, sigma: float) -> Array:
    result: Array = scipy.ndimage.gaussian_filter(values, sigma, truncate=TRUNCATED, mode="nearest")
    return result
