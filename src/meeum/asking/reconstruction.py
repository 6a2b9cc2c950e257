"""Reconstruction of what the optics do not pass, by a constraint on the values."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

Array = NDArray[Any]
Mask = NDArray[np.bool_]

ITERATIONS = 30


def gerchberg_papoulis(measured: Array, support: Mask, medium: float, iterations: int = ITERATIONS) -> Array:
    """Fill what the optics do not pass so that no index lies below the medium's (Gerchberg 1974, Papoulis 1975).

    In turns: the spectrum within the support (FFT order) is that measured; no value lies below `medium`. The second
    holds exactly in the end, the first as far as the two can be reconciled.
    """
    data = scipy.fft.fftn(measured.astype(float) - medium)
    contrast = measured.astype(float) - medium
    for _ in range(iterations):
        spectrum = np.where(support, data, scipy.fft.fftn(contrast))
        contrast = np.maximum(scipy.fft.ifftn(spectrum).real, 0)
    return np.maximum((contrast + medium).astype(np.float32), np.float32(medium))


def misfit(values: Array, measured: Array, support: Mask) -> float:
    """Energy of the difference of two volumes within the support, over that of the second, without its mean."""
    difference, whole = (scipy.fft.fftn(image.astype(float)) for image in (values - measured, measured))
    whole[0, 0, 0] = 0
    return float(np.square(np.abs(difference[support])).sum() / np.square(np.abs(whole[support])).sum())
