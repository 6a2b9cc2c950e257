"""Local means: what a network misses over long distances is put back from the noisy image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from meeum.volume import Volume

Array = NDArray[Any]

TRUNCATED = 4  # sigmas at which the Gaussian ends
SLAB = 2**24  # voxels in memory at a time, and the Gaussian's reach on both sides


def keep(denoised: Array, noisy: Volume, sigma: float) -> None:
    """Add, in place, to a denoised frame the Gaussian mean of `noisy - denoised` over `sigma` voxels.

    Over many voxels noise averages out, and a network, which sees some dozens of them at once, errs by more than what
    is left of it. Voxels without data count for nothing and stay as they are.
    """
    reach = int(TRUNCATED * sigma + 0.5)
    for part, missed, known in _slabs(denoised, noisy, reach):
        smooth = _mean(missed, sigma)
        if not known.all():
            smooth /= np.maximum(_mean(known.astype(np.float32), sigma), 1e-3)
            smooth[~known] = 0
        first = min(reach, part.start)
        denoised[part] += smooth[first : first + part.stop - part.start]


def _slabs(denoised: Array, noisy: Volume, reach: int) -> Iterator[tuple[slice, Array, Array]]:
    """Slabs of planes, and the residual in and `reach` around each, 0 where nothing was measured, before any change."""
    count = len(denoised)
    step = max(1, SLAB * count // denoised.size)
    missed = known = np.empty((0, *denoised.shape[1:]))
    for start in range(0, count, step):
        part = slice(start, min(start + step, count))
        seen, end = max(0, start - reach) + len(missed), min(part.stop + reach, count)
        values = noisy.read((slice(seen, end), *(slice(None) for _ in denoised.shape[1:])))
        valid = noisy.valid(values)
        fresh = np.where(valid, values - denoised[seen:end], np.float32(0))
        missed, known = np.concatenate([missed, fresh]), np.concatenate([known.astype(bool), valid])
        yield part, missed, known
        done = max(0, part.stop - reach) - max(0, start - reach)
        missed, known = missed[done:], known[done:]


def _mean(values: Array, sigma: float) -> Array:
    result: Array = scipy.ndimage.gaussian_filter(values, sigma, truncate=TRUNCATED, mode="nearest")
    return result
