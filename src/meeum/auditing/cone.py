"""Whether energy was put where the optics let nothing through: the missing cone about the axial frequencies."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from meeum.auditing.finding import Finding, Kind, Picture
from meeum.auditing.means import Estimate, judged_ratio
from meeum.auditing.pair import Pair, Piece
from meeum.auditing.sampling import Floats

Array = NDArray[Any]

LEAST_PLANES = 16
WINDOW = (0.35875, -0.48829, 0.14128, -0.01168)
NEAR = 5  # axial frequencies below this many steps are not looked at: the window spreads what lies beside them
STEP, WIDEST = 5, 65  # degrees; a numerical aperture of half the medium's index leaves a cone of 60
NARROW = 10  # degrees: the cone's heart, and the narrowest cone that is judged
ASSUMED = 20  # degrees, where the noise hides the cone; NA 1.2 in water leaves one of 26
RISE = 1.5  # of the input's power over that at the heart of the cone, which ends there
FEWEST = 8  # frequencies of which a median is taken
CORRELATED = 2.0  # how much less the window lets neighbouring frequencies differ
SECTORS, LAYERS = 8, 3  # parts of the cone whose scatter gives the error

CONE = Kind("cone", "energy in the missing cone", "times the input's", 1.0, "above", "of the noise's energy", 0.05)


def cone(pair: Pair) -> list[Finding]:
    """Energy of the output over that of the input within the missing cone; ideal below 1, and must never rise above.

    The cone is found in the input itself: the angle about the kz axis up to which its power is no higher than on the
    axis. Files do not say enough of the optics (NA is the condenser's in some). What was added counts against white
    noise as strong as that measured, or against what the input holds there if that is more: of next to nothing, a
    multiple is nothing.
    """
    reason = _reason(pair)
    if reason:
        return [CONE.untold(reason)]
    rows = [_Modes.of(piece, pair.noisy.voxel_size_um or ()) for piece in pair.pieces]
    modes = _Modes(*(np.concatenate(parts) for parts in zip(*(vars(one).values() for one in rows), strict=True)))
    angle, seen = cone_angle(modes)
    inside = modes.angle < angle
    if np.count_nonzero(inside) < 4 * SECTORS * LAYERS or not modes.before[inside].sum() > 0:
        return [CONE.untold("too few frequencies lie within the missing cone in so small an image")]
    estimate = _ratio(modes, inside)
    sentence = (
        f"Within {angle:.0f} degrees of the axial frequencies, where optics pass nothing, the output has "
        f"{estimate.value:.2f} times the input's energy."
    )
    found = judged_ratio(CONE, estimate, sentence, weight=min(1.0, float(modes.before[inside].mean())))
    details = {"half angle (degrees)": angle, "cone seen in the input": seen, **_densities(modes, inside)}
    if found.verdict in ("warn", "fail"):
        found = replace(found, sentence=f"{sentence} The method made it up.")
    return [replace(found, details=details, picture=_picture(pair))]


def _densities(modes: _Modes, inside: Array) -> dict[str, float]:
    """Energy per frequency over that of white noise as strong as the noise measured."""
    made = modes.after[inside] - modes.shared[inside]
    means = {"before": modes.before[inside], "after": modes.after[inside], "not from the input": made}
    beside = {"before, beside the cone": modes.before[~inside], "after, beside the cone": modes.after[~inside]}
    return {name: float(energy.mean()) if energy.size else math.nan for name, energy in {**means, **beside}.items()}


def _reason(pair: Pair) -> str:
    """Why nothing can be said, where nothing can."""
    if pair.noisy.quantity != "refractive index":
        return "only refractive index from tomography has a missing cone that must stay empty"
    if "Z" not in pair.noisy.axes:
        return "a projection or single plane has no axial frequencies"
    if pair.noisy.voxel_size_um is None:
        return "angles between frequencies need the voxel size"
    if max(min(piece.noisy.shape) for piece in pair.pieces) < LEAST_PLANES:
        return f"fewer than {LEAST_PLANES} voxels along an axis do not resolve the missing cone"
    return ""


@dataclass(frozen=True)
class _Modes:
    """Frequencies near the kz axis, one row per piece: all (N,).

    angle   from the kz axis, degrees
    part    number of the part of the cone
    before, after  energy of the noisy and the denoised image, 1 for white noise; `shared` of what they share
    """

    angle: Array
    part: Array
    before: Array
    after: Array
    shared: Array

    @classmethod
    def of(cls, piece: Piece, edges: tuple[float, ...]) -> _Modes:
        axial, row, column = _frequencies(piece.noisy.shape, edges)
        angle = np.degrees(np.arctan2(np.hypot(row, column), np.abs(axial)))
        index = np.abs(np.rint(axial * piece.noisy.shape[0] * edges[0]))
        kept = (angle < WIDEST) & (index >= NEAR)
        turn = np.broadcast_to(np.arctan2(row, column) / np.pi % 1, angle.shape)[kept]
        layer = np.broadcast_to(np.log(index / NEAR, where=index >= NEAR, out=np.zeros_like(index)), angle.shape)[kept]
        layer = layer / max(float(layer.max(initial=0.0)), 1e-9)
        part = (turn * SECTORS).astype(int) * LAYERS + np.minimum(layer * LAYERS, LAYERS - 1).astype(int)
        level = math.sqrt(float(np.square(piece.level).mean(dtype=np.float64))) or 1.0
        before, after = (_transform(image)[kept] / level for image in (piece.noisy, piece.denoised))
        shared = (before * after.conj()).real
        return cls(angle[kept], part, np.abs(before) ** 2, np.abs(after) ** 2, shared)


def _frequencies(shape: tuple[int, ...], edges: tuple[float, ...]) -> tuple[Array, Array, Array]:
    """Spatial frequencies per axis, 1/µm, of a half spectrum; they broadcast."""
    axial, row = (scipy.fft.fftfreq(n, edge) for n, edge in zip(shape[:2], edges[:2], strict=True))
    column = scipy.fft.rfftfreq(shape[2], edges[2])
    return axial[:, None, None], row[None, :, None], column[None, None, :]


def _transform(image: Floats) -> Array:
    """Half spectrum under a window with low side lobes; white noise of variance 1 has a mean power of 1."""
    windowed = image - image.mean(dtype=np.float64).astype(np.float32)
    for axis, length in enumerate(image.shape):
        window = _window(length)
        windowed *= window.reshape([-1 if number == axis else 1 for number in range(image.ndim)])
    return np.asarray(scipy.fft.rfftn(windowed, workers=2))


def _window(length: int) -> Floats:
    """Four-term Blackman-Harris (Harris 1978), its squares adding to one."""
    turn = 2 * np.pi * (np.arange(length) + 0.5) / length
    window = sum(weight * np.cos(number * turn) for number, weight in enumerate(WINDOW))
    return np.asarray(window / np.sqrt(np.sum(np.square(window))), dtype=np.float32)


def cone_angle(modes: _Modes) -> tuple[float, bool]:
    """Half angle of the empty cone in the input, degrees, and whether it was seen rather than assumed.

    By medians in each layer, since few frequencies hold most of the energy.
    """
    layers = modes.part % LAYERS
    for start in range(NARROW, WIDEST, STEP):
        shell, heart = (modes.angle >= start) & (modes.angle < start + STEP), modes.angle < NARROW
        for layer in range(LAYERS):
            one, other = modes.before[heart & (layers == layer)], modes.before[shell & (layers == layer)]
            if min(one.size, other.size) >= FEWEST and np.median(other) > _rise(one.size) * np.median(one):
                return float(max(start - STEP, NARROW)), True
    return float(ASSUMED), False


def _rise(count: int) -> float:
    """How far the power of noise may rise by chance, seen at `count` frequencies near the axis."""
    return RISE * math.exp(4 * CORRELATED / math.sqrt(count))


def _ratio(modes: _Modes, inside: Array) -> Estimate:
    """Energy after over before, with the error of its logarithm: jackknife over parts (Quenouille 1956)."""
    count = SECTORS * LAYERS
    part = modes.part[inside]
    before, after = (np.bincount(part, energy[inside], count) for energy in (modes.before, modes.after))
    left = np.log(np.maximum(after.sum() - after, 1e-300) / np.maximum(before.sum() - before, 1e-300))
    error = math.sqrt(float(((left - left.mean()) ** 2).sum()) * (count - 1) / count)
    return Estimate(float(after.sum() / before.sum()), max(error, 1e-6), count / 2)


def _picture(pair: Pair) -> Picture:
    """The change of energy by axial (rows, 0 in the middle) and lateral frequency, decades."""
    piece = max(pair.pieces, key=lambda one: one.noisy.size)
    before, after = (np.square(np.abs(_transform(image))).mean(axis=1) for image in (piece.noisy, piece.denoised))
    change = np.log10(np.maximum(after, 1e-30) / np.maximum(before, 1e-30))
    return Picture("energy after over before", scipy.fft.fftshift(change, axes=0), "decades", diverging=True)
