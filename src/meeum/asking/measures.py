"""What is measured of an output: noise kept, response to its own voxel, fine detail, a lattice of known frequency."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Array = NDArray[Any]
Mask = NDArray[np.bool_]

BLOCK = 16  # pixels a side of the blocks whose scatter gives the error of a slope
STEP = 0.1  # of the noise's standard deviation: how far the image is moved to see the denoiser's response
GAP = 3  # pixels between planes of a picture
FINE = 1.5  # sigma, voxels, of the blur whose remainder is fine detail


def noise_kept(noisy: Array, output: Array, truth: Array) -> tuple[float, float]:
    """Slope of output - truth on noisy - truth, and its error: 1 keeps all noise, 0 none that is recognisable as such.

    slope = sum n r / sum n², n = noisy - truth, r = output - truth; error by jackknife over blocks.
    """
    noise, left = (image.astype(float) - truth for image in (noisy, output))
    noise, left = noise - noise.mean(), left - left.mean()
    return _slope(noise, left)


def _slope(x: Array, y: Array) -> tuple[float, float]:
    """Of y on x through 0, and its error by jackknife over blocks (Quenouille 1956)."""
    tops, bottoms = _blocks(x * y), _blocks(x * x)
    top, bottom = tops.sum(), bottoms.sum()
    if not bottom > 0:
        return math.nan, math.nan
    without = (top - tops) / np.maximum(bottom - bottoms, 1e-300)
    count = len(tops)
    error = math.sqrt((count - 1) / count * float(((without - without.mean()) ** 2).sum())) if count > 2 else math.nan
    return float(top / bottom), error


def _blocks(values: Array) -> Array:
    """Sums over blocks of the last two axes."""
    rows, columns = (max(1, n // BLOCK) for n in values.shape[-2:])
    parts = (part for band in np.array_split(values, rows, axis=-2) for part in np.array_split(band, columns, axis=-1))
    return np.array([part.sum() for part in parts])


def centre_gain(ask: Callable[[Array], Array], noisy: Array, std: float, *, seed: int) -> float:
    """Mean diagonal of the Jacobian (Hutchinson 1990): how far a voxel's output follows its own input; 1 copies it."""
    probe = np.random.default_rng([seed, 11]).standard_normal(noisy.shape).astype(np.float32)
    step = np.float32(STEP * std)
    moved = ask(noisy + step * probe).astype(float) - ask(noisy)
    return float((probe * moved).sum() / step / np.square(probe, dtype=float).sum())


def detail_kept(output: Array, truth: Array) -> float:
    """Slope of the output's fine detail on the truth's: 1 keeps it all."""
    fine = [image.astype(float) - gaussian_filter(image.astype(float), FINE) for image in (output, truth)]
    return _slope(fine[1], fine[0])[0]


def truth_slope(output: Array, truth: Array) -> float:
    """Slope of the output on the truth: 1 is faithful, 0 has lost all contrast, below 0 is inverted."""
    x, y = (image.astype(float) - image.astype(float).mean() for image in (truth, output))
    return _slope(x, y)[0]


def decibel(image: Array, truth: Array) -> float:
    """Peak signal-to-noise ratio, dB, on the truth's range."""
    error = float(np.mean((image.astype(float) - truth) ** 2))
    return float(10 * np.log10(float(np.ptp(truth)) ** 2 / max(error, 1e-300)))


def lock_in(image: Array, mask: Mask, wave: tuple[float, float]) -> tuple[float, float]:
    """Amplitude of the cosine of a known frequency (cycles per pixel) where `mask` is True, and the spread of the rest.

    Least squares beside a quadratic surface, so that slow background does not count as a lattice.
    """
    rows, columns = (np.linspace(-1, 1, n) for n in image.shape)
    y, x = (grid[mask] for grid in np.meshgrid(rows, columns, indexing="ij"))
    phase = 2 * np.pi * np.add.outer(wave[0] * np.arange(image.shape[0]), wave[1] * np.arange(image.shape[1]))[mask]
    design = np.stack([np.cos(phase), np.sin(phase), np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    values = image[mask].astype(float)
    found = np.linalg.lstsq(design, values, rcond=None)[0]
    return float(np.hypot(*found[:2])), float((values - design @ found).std())


def correlation(values: Array, mask: Mask, axis: int) -> float:
    """Correlation of neighbours along an axis where both lie in the mask."""
    ends = [tuple([slice(None)] * axis + [end]) for end in (slice(1, None), slice(None, -1))]
    both = mask[ends[0]] & mask[ends[1]]
    one, other = (values[end][both].astype(float) for end in ends)
    if both.sum() < 10 or one.std() == 0 or other.std() == 0:
        return math.nan
    return float(np.corrcoef(one, other)[0, 1])


def panel(planes: list[Array]) -> Array:
    """Planes of one shape in two rows, in reading order, with gaps that hold no data."""
    columns = -(-len(planes) // 2)
    rows, side = planes[0].shape
    canvas = np.full((2 * rows + GAP, columns * (side + GAP) - GAP), np.nan, np.float32)
    for number, plane in enumerate(planes):
        down, right = (number // columns) * (rows + GAP), (number % columns) * (side + GAP)
        canvas[down : down + rows, right : right + side] = plane
    return canvas
