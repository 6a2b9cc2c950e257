"""The predictable share: how much of the noise at a hidden voxel its unhidden neighbours give away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import scipy.fft
import scipy.linalg
from numpy.typing import NDArray
from scipy.ndimage import convolve1d

from meeum.errors import UsageError
from meeum.noise.noise import Noise

Array = NDArray[Any]
Ints = tuple[int, ...]

LEAST_DENSITY = 0.01  # of the mean spectrum; counting on less is to extrapolate waves, which networks do not do
WIDEST = 4  # half-width of the largest box that is tried
ROUNDS = 20  # after these, edges hardly become sharper, but chance does
BLUR = np.convolve([1 / 6, 2 / 3, 1 / 6], [1 / 3, 1 / 3, 1 / 3])  # of a block's spectrum: Hann window, then `smooth`


def predictable_share(noise: Noise, footprint: Ints) -> float:
    """Share of the noise variance that a linear predictor recovers at the centre of a hidden box, 0 to 1.

    `footprint` holds the half-widths of the box, one per axis; all other voxels of a periodic block are seen. A
    perfect blind-spot network leaves that share in. Too low for large boxes where the true spectrum has sharp edges.
    """
    if len(footprint) != len(noise.sides) or min(footprint) < 0:
        axes = len(noise.sides)
        raise UsageError(f"footprint: expected {axes} half-widths of 0 or more, one per axis, was given {footprint}")
    return _share(noise)(footprint)


def smallest_footprint(noise: Noise, share: float = 0.1) -> Ints | None:
    """Half-widths of the box of fewest voxels whose predictable share is under `share`; None if (4, 4, 4) is not."""
    tried = sorted(product(range(WIDEST + 1), repeat=len(noise.sides)), key=lambda one: (_size(one), one))
    known = _share(noise)
    if known(tried[-1]) >= share:  # a box gives away no more than any other one in it
        return None
    return next(one for one in tried if known(one) < share)


def sharpened(noise: Noise) -> Noise:
    """The same noise, its spectrum freed from the blur of windowed blocks (Richardson 1972, Lucy 1974).

    The blur cuts correlations by 2 % between neighbours and by half at a quarter of the block.
    """
    spectrum = noise.spectrum
    for _ in range(0 if noise.is_white else ROUNDS):
        spectrum = spectrum * _blurred(noise.spectrum / _blurred(spectrum))
    return replace(noise, spectrum=spectrum / _inverse(spectrum, noise.sides).flat[0])


def _blurred(half: Array) -> Array:
    for axis in range(half.ndim):
        half = convolve1d(half, BLUR, axis=axis, mode="mirror" if axis == half.ndim - 1 else "wrap")
    return half


def _share(noise: Noise) -> Callable[[Ints], float]:
    """Footprint -> predictable share.

    The covariance of the hidden voxels given all others is the inverse of their part of the precision matrix, which
    is circulant with the spectrum 1 / density (Rue and Held 2005).
    """
    density = np.maximum(sharpened(noise).spectrum, LEAST_DENSITY)
    variance, precision = _inverse(density, noise.sides).flat[0], _inverse(1 / density, noise.sides)
    return lambda footprint: float(np.clip(1 - _left(precision, _hidden(footprint, noise.sides)) / variance, 0, 1))


def _inverse(half: Array, sides: Ints) -> Array:
    return np.asarray(scipy.fft.irfftn(half, s=sides, axes=tuple(range(len(sides)))))


def _left(precision: Array, hidden: Array) -> float:
    """Variance of the first of the hidden voxels given all that are not hidden."""
    sides = np.array(precision.shape)
    places = np.moveaxis((hidden[:, None] - hidden[None]) % sides, -1, 0)
    first = np.zeros(len(hidden))
    first[0] = 1
    return float(scipy.linalg.solve(precision[tuple(places)], first, assume_a="pos")[0])


def _hidden(footprint: Ints, sides: Ints) -> Array:
    """(voxels, axes): places in the box around voxel 0 of a periodic block, voxel 0 first, none twice."""
    lines = [
        sorted({step % side for step in range(-half, half + 1)}) for half, side in zip(footprint, sides, strict=True)
    ]
    return np.array(list(product(*lines)))


def _size(footprint: Ints) -> int:
    return int(np.prod([2 * half + 1 for half in footprint]))
