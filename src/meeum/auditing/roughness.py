"""What lattices are looked for in: the values of a pair, and how rough they are from voxel to voxel."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from meeum.auditing.combs import high_passed
from meeum.auditing.pair import Piece

Array = NDArray[Any]
FIELDS = ("values", "second differences", "first differences")
FAINT = 1e-3  # of sigma, or of the log of a squared difference: fainter waves are none
FLAT = 0.01  # sigma: smaller differences are those of a flat image
LOCAL = 9  # pixels over which roughness is measured
SMOOTH = 2  # times the weights are averaged
FEWEST = 8  # voxels along an axis whose differences are taken


@dataclass(frozen=True)
class View:
    """One field of both images, high-passed, and what the method took of it.

    after, before  values, data units, or logs of squared differences
    taken          the residual; of differences, the share of the residual in the denoised image's own differences: it
                   is negative where the method made them, and nothing where they are the specimen's
    unit           of values, sigma; of logs, the typical squared difference in sigma's square
    """

    name: str
    after: Array
    before: Array
    taken: Array
    weight: Array
    unit: float

    @property
    def faint(self) -> float:
        return FAINT * (self.unit if self.name == FIELDS[0] else 1)

    def amplitude(self, wave: float) -> float:
        """Of a wave, in sigma; of a log, that of random signs whose differences would be as uneven."""
        if self.name == FIELDS[0]:
            return wave / self.unit
        return math.sqrt(self.unit * min(math.expm1(min(wave, 2.0)), 2.0) / 2)


def views(piece: Piece, sigma: float) -> Iterator[View]:
    """Values (lattices of one sign), second differences (of random sign), first differences (copied voxels)."""
    # Twice, because weights that are not smooth spread what coarse waves are left.
    after, before = (
        high_passed(high_passed(image, piece.valid), piece.valid) for image in (piece.denoised, piece.noisy)
    )
    yield View(FIELDS[0], after, before, before - after, quiet(piece, sigma), sigma)
    for name, order in zip(FIELDS[1:], (2, 1), strict=True):
        valid = differenced(piece.valid, order)
        fields, typical = roughness(piece, order, FLAT * sigma)
        after, before, taken = (high_passed(field, valid) for field in fields)
        yield View(name, after, before, taken, valid.astype(np.float32), typical / sigma**2)


def quiet(piece: Piece, sigma: float) -> Array:
    """Weights that fall where the specimen is rough in the denoised image."""
    values = high_passed(piece.denoised, piece.valid, LOCAL)
    box = [min(LOCAL, (side - 1) // 2 * 2 + 1) for side in values.shape]
    variance = uniform_filter(values**2, box)
    typical = max(float(np.quantile(variance[piece.valid], 0.2)), (0.1 * sigma) ** 2)
    weight = typical / (typical + np.maximum(variance, 0))
    for _ in range(SMOOTH):  # what is rough in the weights would spread the specimen's coarse waves over all others
        weight = uniform_filter(weight, box)
    return np.asarray(piece.valid * weight, np.float32)


def roughness(piece: Piece, order: int, faint: float) -> tuple[tuple[Array, Array, Array], float]:
    """Logs of the squared differences of an order, summed over the axes on an equal footing, of both images; the
    share of the residual in those of the denoised one; and their typical square."""
    after, before, share = (np.zeros(piece.valid.shape, np.float32) for _ in range(3))
    sizes = []
    for axis, side in enumerate(piece.valid.shape):
        if side >= FEWEST:
            left, right = (_differences(image, order, axis) for image in (piece.denoised, piece.noisy))
            scales = [math.pi / 2 * float(np.mean(np.abs(one))) ** 2 + faint**2 for one in (left, right)]
            sizes.append(scales[0])
            after += (left**2 + np.float32(faint**2)) / np.float32(scales[0])
            before += (right**2 + np.float32(faint**2)) / np.float32(scales[1])
            share += left * (right - left) / np.float32(scales[0])
    share /= np.sqrt(np.maximum(after, 1e-12))
    return (np.log(np.maximum(after, 1e-12)), np.log(np.maximum(before, 1e-12)), share), float(np.mean(sizes))


def differenced(valid: Array, order: int) -> Array:
    """Voxels whose differences are known along every axis."""
    kept = valid.copy()
    for axis, side in enumerate(valid.shape):
        if side >= FEWEST:
            line = np.arange(side).reshape([-1 if a == axis else 1 for a in range(valid.ndim)])
            kept &= (line < side - 1) & (line >= order - 1)
            for step in (-1, 1)[:order]:
                kept &= np.roll(valid, step, axis)
    return np.asarray(kept)


def _differences(values: Array, order: int, axis: int) -> Array:
    """To the next voxel (order 1), or of the two around (order 2); 0 where one is missing."""
    found = np.zeros(values.shape, np.float32)
    inner = [slice(None)] * values.ndim
    inner[axis] = slice(order - 1, -1)
    found[tuple(inner)] = np.diff(values, order, axis=axis)
    return found
