"""Lines that do not belong together: stripes (rows, columns or planes with offsets) and seams (steps between tiles)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

Array = NDArray[Any]
QUIET = 0.2  # this share of the field is taken to be free of specimen; the rest weighs less
FEW = 64  # lines or planes; the z-score of stripes cannot exceed the root of their number
STRIPE_SCORE, FEW_SCORE, SEAM_SCORE = 8.0, 3.0, 12.0  # in standard deviations; images of cells alone stay under these


@dataclass(frozen=True)
class Stripes:
    """Rows, columns or planes that each carry an offset of their own."""

    across: str  # the axis from stripe to stripe: "Y" for rows with offsets
    amplitude: float  # standard deviation of the offsets, data units
    z_score: float
    per_plane: bool  # the offsets differ from plane to plane

    @property
    def sentence(self) -> str:
        lines = {"Y": "Rows", "X": "Columns", "Z": "Planes"}[self.across]
        return (
            f"{lines} differ by offsets of standard deviation {self.amplitude:.2g}"
            f"{', other ones in each plane' if self.per_plane else ''}: stripes, {self.z_score:.0f} sigma above chance."
        )


@dataclass(frozen=True)
class Seam:
    """A step between the voxels `position - 1` and `position` of one axis, all along the other axes."""

    axis: str
    position: int
    height: float  # data units
    z_score: float

    @property
    def sentence(self) -> str:
        return (
            f"A step of {self.height:.2g} runs through the image between {self.axis.lower()} = {self.position - 1} "
            f"and {self.position}: the seam of two tiles, {self.z_score:.0f} sigma above the other lines."
        )


def find_stripes(values: Array, valid: Array | None = None, *, axes: str = "ZYX") -> tuple[Stripes, ...]:
    """Offsets that distant parts of one line share: their correlation at lag 0 against that at all other lags."""
    axes = axes[-values.ndim :]
    in_plane = flattened(values, valid)
    found = []
    for number, across in enumerate(axes):
        if values.shape[number] < 16:
            continue
        residual, weight = flattened(values, valid, along=number) if across == "Z" else in_plane
        choices = [_stripes(residual, weight, number, False)]
        if values.ndim == 3 and across != "Z":
            choices.append(_stripes(residual, weight, number, True))
        z_score, amplitude, sharp, per_plane = max(choices)
        if (sharp and z_score > FEW_SCORE) if values.shape[number] < FEW else z_score > STRIPE_SCORE:
            found.append(Stripes(across, amplitude, z_score, per_plane))
    return tuple(found)


def find_seams(values: Array, valid: Array | None = None, *, axes: str = "ZYX") -> tuple[Seam, ...]:
    """Places where the mean jump to the next line, segment by segment, sticks out of that of all other lines."""
    axes = axes[-values.ndim :]
    measured, weight = known(values, valid), flattened(values, valid)[1]
    lines = np.where(measured, values, 0).astype(np.float32)
    return tuple(
        Seam(axis, position, height, z_score)
        for number, axis in enumerate(axes)
        if values.shape[number] >= 24
        for position, height, z_score in _seams(np.moveaxis(lines, number, 0), np.moveaxis(weight, number, 0))
    )


def known(values: Array, valid: Array | None) -> Array:
    finite = np.isfinite(values)
    return finite if valid is None else finite & valid


def flattened(values: Array, valid: Array | None, along: int | None = None) -> tuple[Array, Array]:
    """Values less their local mean, in plane or along one axis, and weights that fall where the specimen is."""
    measured = known(values, valid)
    if not measured.any():
        return np.zeros(values.shape, np.float32), np.zeros(values.shape, np.float32)
    around = (values.ndim - 2, values.ndim - 1) if along is None else (along,)
    size = [box(n) if axis in around else 1 for axis, n in enumerate(values.shape)]
    centred = np.where(measured, values - np.mean(values, where=measured), 0).astype(np.float32)
    share = np.maximum(uniform_filter(measured.astype(np.float32), size), 1e-3) if not measured.all() else np.float32(1)
    residual = (centred - uniform_filter(centred, size) / share) * measured
    limit = 6 * float(np.median(np.abs(residual[measured])))  # four sigma
    residual = np.clip(residual, -limit, limit)
    variance = uniform_filter(residual**2, [1] * (values.ndim - 2) + [9, 9])
    typical = float(np.quantile(variance[measured], QUIET) or np.mean(variance[measured]))
    return residual, measured * typical / (np.maximum(variance, 0) + (typical or 1.0))


def box(length: int) -> int:
    """Pixels over which the local mean is taken, an odd number."""
    return int(np.clip(length // 10 * 2 + 1, 5, 31))


def _segments(values: Array, number: int, per_plane: bool) -> Array:
    """Sums over four to eight pieces of each line: (pieces, planes or 1, lines)."""
    lines = np.moveaxis(values, number, -1)
    lines = lines.reshape((-1, *lines.shape[-2:])) if per_plane or lines.ndim == 2 else lines.sum(0)[None]
    pieces = np.array_split(np.arange(lines.shape[1]), 4 if lines.shape[1] < 128 else 8)
    return np.stack([lines[:, piece].sum(1) for piece in pieces])


def _stripes(residual: Array, weight: Array, number: int, per_plane: bool) -> tuple[float, float, bool, bool]:
    """z-score and standard deviation of the offsets, from products of pieces that do not touch; sharp; per plane.

    `sharp`, for the few lines whose z-score cannot exceed their root: pieces agree and neighbouring lines do not.
    """
    size = _segments(weight, number, per_plane)
    means = _segments(residual * weight, number, per_plane) / np.maximum(size, 1e-30)
    means = means - uniform_filter(means, (1, 1, 9))
    limit = 4 * np.median(np.abs(means), axis=(1, 2), keepdims=True)
    means = np.clip(means, -limit, limit)
    spectra = scipy.fft.rfft(means, axis=-1)
    pairs = [(a, b) for a, b in combinations(range(len(means)), 2) if b - a > 1]
    cross = sum((np.conj(spectra[a]) * spectra[b]).sum(0) for a, b in pairs)
    curve = scipy.fft.irfft(cross, n=means.shape[-1]) / (len(pairs) * means[0].size)
    others = curve[5:-4]
    spread = max(1.4826 * float(np.median(np.abs(others - np.median(others)))), float(np.std(others)) / 2, 1e-30)
    power = float(np.mean(means**2))
    sharp = bool(curve[0] > 0.8 * power and max(curve[1:4]) < 0.4 * curve[0])
    z_score = float((curve[0] - np.median(others)) / spread)
    return z_score, float(np.sqrt(max(curve[0] * 9 / 8, 0))), sharp, per_plane


def _seams(lines: Array, weight: Array) -> list[tuple[int, float, float]]:
    """Position, height, z-score of the jumps that differ from both neighbouring jumps and dwarf those up to 8 away."""
    jumps = np.diff(lines, axis=0)
    weight = np.minimum(np.minimum(weight[:-3], weight[1:-2]), np.minimum(weight[2:-1], weight[3:]))
    bend = jumps[1:-1] - (jumps[:-2] + jumps[2:]) / 2
    limit = 6 * np.median(np.abs(bend))
    means = _piece_means(np.clip(bend, -limit, limit), weight)
    size = np.sqrt((means**2).mean(0))
    middle = float(np.median(size))
    z_score = (size - middle) / max(1.4826 * float(np.median(np.abs(size - middle))), 1e-30)
    found = []
    for place in (3 + np.flatnonzero(z_score[3:-3] > SEAM_SCORE)).tolist():  # the border has artefacts of its own
        near = np.arange(max(place - 8, 0), min(place + 9, len(size)))
        if size[place] < 2.5 * size[near[np.abs(near - place) > 1]].max() or size[near].max() > size[place]:
            continue
        three = _piece_means(bend[place - 1 : place + 2], weight[place - 1 : place + 2])
        # beside a step there is minus the half of it, beside a single odd line minus the whole
        if (three[:, ::2] * three[:, [1]]).sum(0).min() > -0.75 * (three[:, 1] ** 2).sum():
            found.append((place + 2, float(np.sqrt((three[:, 1] ** 2).mean())), float(z_score[place])))
    return found


def _piece_means(lines: Array, weight: Array) -> Array:
    """(lines, ..., length) -> weighted means of four to eight pieces of each line, (pieces, lines)."""
    pieces = np.array_split(np.arange(lines.shape[-1]), 4 if lines.shape[-1] < 128 else 8)
    total, size = ((v * weight).reshape(len(lines), -1, lines.shape[-1]).sum(1) for v in (lines, np.ones_like(lines)))
    return np.stack([total[:, piece].sum(1) / np.maximum(size[:, piece].sum(1), 1e-30) for piece in pieces])
