"""The band limit: where the noisy image's spectrum is empty, the denoised one may hold no more."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from meeum.noise import Noise
from meeum.volume import Volume

Array = NDArray[Any]

EMPTY = 0.1  # of the noise's mean power: a frequency that holds less was not passed by the instrument
BYTES = 20  # per voxel


def obstacle(noisy: Volume, noise: Noise, *, memory_gb: float) -> str:
    """Why the band limit is not kept for frames of this image; empty where it is."""
    if noise.is_white:
        return "the noise is white, so that no frequency is empty"
    needed = math.prod(noisy.spatial_shape) * BYTES / 2**30
    if needed > memory_gb:
        return f"the spectrum of a frame needs {needed:.1f} GiB, and prediction.memory_gb allows {memory_gb:g}"
    return ""


def keep_within(denoised: Array, noisy: Array, noise: Noise) -> None:
    """Lower, in place, every empty frequency of a denoised frame to what the noisy one holds there; any axes.

    Optics pass a band with a missing cone, and what a network puts outside of it is an error whatever the truth. The
    noise fills the band, so that emptiness is seen in the data: |Y|² below a tenth of the noise's mean power. The mean
    of the frame becomes that of the noisy one, which a network may miss.
    """
    mean = np.float32(noisy.mean(dtype=np.float64))
    before, after = (scipy.fft.rfftn(image - mean) for image in (noisy, denoised))
    power = np.abs(before) ** 2
    held = np.abs(after) ** 2
    over = (power < EMPTY * noise.std**2 * noisy.size) & (held > power)
    after[over] *= np.sqrt(power[over] / held[over])
    denoised[...] = scipy.fft.irfftn(after, s=noisy.shape, axes=tuple(range(noisy.ndim))) + mean
