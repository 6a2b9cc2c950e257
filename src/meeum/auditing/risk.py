"""Stein's unbiased risk: the mean squared error of any denoiser, in data units, without truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meeum.errors import MeeumError
from meeum.noise import Noise
from meeum.volume import Region, Volume

Array = NDArray[Any]
Denoiser = Callable[[Array], Array]

SIDE = {2: 256, 3: 64}  # of the pieces that are looked at, voxels
PIECES = 4
STEP = 0.1  # of the noise's standard deviation: how far the image is moved to see the denoiser's response
MISPLACED = 0.1  # share of a coloured noise's power that is measured at wrong frequencies (phantoms: docs/log.md)
CELL = {2: 16, 3: 8}  # sides of the cells whose scatter gives the standard error


@dataclass(frozen=True)
class Risk:
    """Estimated mean squared error, data units squared.

    mse             of the estimate against the unknown truth; may come out below 0 where the error is tiny
    standard_error  of `mse` by chance
    systematic      what an error of one standard error in the noise's level would change: the same for every
                    denoiser of one image, so it does not matter when they are compared
    noise_mse       the noise's own variance: what doing nothing would leave
    """

    mse: float
    standard_error: float
    systematic: float
    noise_mse: float

    @property
    def rmse(self) -> float:
        """Root of the estimated error, data units; 0 where the estimate fell below 0."""
        return math.sqrt(max(self.mse, 0.0))

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True)
class Losses:
    """Estimated squared error cell by cell: what pairs two denoisers of one image, since both see the same cells.

    cells      mean loss of each cell, data units squared, all pieces one after the other
    noise_mse  the noise's variance, a mean over the pieces
    """

    cells: Array
    noise_mse: float

    @property
    def mse(self) -> float:
        return float(self.cells.mean())

    @property
    def standard_error(self) -> float:
        """Of `mse` by chance; nan for a single cell."""
        return float(self.cells.std(ddof=1) / math.sqrt(len(self.cells))) if len(self.cells) > 1 else math.nan


def obstacle(noise: Noise) -> str:
    """Why the estimate does not hold in this noise; empty where nothing speaks against it."""
    return f"{noise.not_gaussian}, and the estimate holds for Gaussian noise only" if noise.not_gaussian else ""


def doubt(noise: Noise) -> float:
    """By how much estimates for two denoisers may be wrong against each other, data units squared.

    What the measured correlation of the noise leaves open; infinite where the estimate does not hold.
    """
    if obstacle(noise):
        return math.inf
    return 0.0 if noise.is_white else MISPLACED * noise.std**2


def unbiased_risk(noisy: Volume, denoise: Denoiser, noise: Noise, *, seed: int = 0) -> Risk:
    """Risk of `denoise` (an array in data units to one of the same shape) on pieces of one image.

    |f(y) - y|² - variance + 2 z (f(y + h z) - f(y)) / h per voxel (Stein 1981; Ramani 2008), z drawn with the measured
    spectrum and levels. Exact in the mean for Gaussian noise so measured; MeeumError if no piece was measured.
    """
    found = cell_losses(noisy, denoise, noise, seed=seed)
    return Risk(found.mse, found.standard_error, 2 * noise.uncertainty * found.noise_mse, found.noise_mse)


def cell_losses(noisy: Volume, denoise: Denoiser, noise: Noise, *, seed: int = 0) -> Losses:
    """The same before the mean over cells is taken; one seed means the same pieces and directions z for everyone."""
    rng = np.random.default_rng(seed)
    cells, variances = [], []
    for piece, levels in _pieces(noisy, noise, rng):
        direction = noise.sample(piece.shape, rng) * levels
        plain, moved = denoise(piece), denoise(piece + np.float32(STEP) * direction)
        loss = (plain.astype(float) - piece) ** 2 - levels**2 + 2 * direction * (moved.astype(float) - plain) / STEP
        cells.append(_cell_means(loss))
        variances.append(float(np.mean(np.broadcast_to(levels.astype(float) ** 2, piece.shape))))
    if not cells:
        raise MeeumError(f"{noisy.name}: the error cannot be estimated: no piece was measured throughout")
    return Losses(np.concatenate(cells), float(np.mean(variances)))


def _pieces(noisy: Volume, noise: Noise, rng: np.random.Generator) -> Iterator[tuple[Array, Array]]:
    """Values and levels of at most `PIECES` pieces without missing voxels."""
    shape = noisy.spatial_shape
    side = SIDE[len(shape)]
    grid = [range(0, max(1, n - side // 2), side) for n in shape]
    places = [(t, corner) for t in range(noisy.frame_count) for corner in product(*grid)]
    found = 0
    for index in rng.permutation(len(places)):
        frame, corner = noisy.frame(places[index][0]), places[index][1]
        region: Region = tuple(slice(c, min(c + side, n)) for c, n in zip(corner, shape, strict=True))
        values = frame.read(region)
        if frame.valid(values).all():
            yield values, noise.levels(values, region, shape)
            found += 1
        if found == PIECES:
            return


def _cell_means(loss: Array) -> Array:
    """Means over cells wide enough that their errors are nearly independent."""
    side = CELL[loss.ndim]
    trimmed = loss[tuple(slice(0, max(1, n // side) * side) for n in loss.shape)]
    split: list[int] = []
    for n in trimmed.shape:
        split += [n // side, side] if n >= side else [1, n]
    return np.asarray(trimmed.reshape(split).mean(axis=tuple(range(1, 2 * loss.ndim, 2))).ravel())
