"""Damages as denoising does them, planted into a clean image to see whether the audit finds them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from meeum.auditing.pair import Piece
from meeum.auditing.sampling import Floats, Mask, low_pass
from meeum.errors import UsageError

Rng = np.random.Generator
INVERTED_RADIUS = 4.0  # all radii in units of the shortest voxel edge
INVENTED_RADIUS = 5.0
FEWEST_CYCLES = 8  # along an axis: a slower lattice could be structure
STRUCTURED = 0.02  # share of the voxels that differ most from what is around them: what can be inverted


@dataclass(frozen=True)
class Scene:
    """What a damage is planted into; arrays (Y, X) or (Z, Y, X) of one shape, data units, 0 where not valid.

    level   standard deviation of the noise, root mean square over the image
    ratios  voxel edge per axis over the shortest
    """

    clean: Floats
    noisy: Floats
    valid: Mask
    background: Mask
    level: float
    ratios: tuple[float, ...]

    @classmethod
    def of(cls, piece: Piece, ratios: tuple[float, ...]) -> Scene:
        """The denoised image of a piece, taken as what is true."""
        level = float(np.sqrt(np.square(piece.level[piece.valid], dtype=np.float64).mean()))
        return cls(piece.denoised, piece.noisy, piece.valid, piece.background, level, ratios)


Plant = Callable[[Scene, float, Rng], NDArray[Any]]


@dataclass(frozen=True)
class Damage:
    """One way to spoil a clean image.

    words     what it is, with its strength as {strength:g}; `unit` what the strength counts
    default   the strength at which the audit is meant to find it; `grid` those of a detection curve
    measures  of the audit, that are meant to find it
    axes      fewest axes of an image it can be planted into
    """

    name: str
    words: str
    unit: str
    plant: Plant
    default: float
    grid: tuple[float, ...]
    measures: tuple[str, ...]
    axes: int = 2

    def sentence(self, strength: float | None = None) -> str:
        """What is planted, with its strength."""
        return self.words.format(strength=self.default if strength is None else strength)


def plant(name: str, scene: Scene, *, rng: Rng, strength: float | None = None) -> Floats:
    """The clean image with one damage of `DAMAGES`; voxels that are not valid stay as they are."""
    if name not in DAMAGES:
        raise UsageError(f"planted damage: {name!r} is not known; known are {', '.join(DAMAGES)}")
    damage = DAMAGES[name]
    if scene.clean.ndim < damage.axes:
        raise UsageError(f"planted damage: {name} needs {damage.axes} axes, the image has {scene.clean.ndim}")
    damaged = damage.plant(scene, damage.default if strength is None else strength, rng)
    return np.where(scene.valid, damaged, scene.clean).astype(np.float32)


def _lattice(scene: Scene, strength: float, rng: Rng, *, period: float) -> NDArray[Any]:
    """A cosine along one axis or oblique in plane, `strength` its amplitude in standard deviations of the noise."""
    wave = np.zeros(scene.clean.ndim)
    axes = [axis for axis, length in enumerate(scene.clean.shape) if length >= FEWEST_CYCLES * period]
    choice = int(rng.integers(len(axes) + 1))
    if choice < len(axes):
        wave[axes[choice]] = 1 / period
    else:
        angle = rng.uniform(0, np.pi)
        wave[-2:] = np.sin(angle) / period, np.cos(angle) / period
    shift = 0.0 if np.isin(wave, (0, 0.5)).all() else rng.uniform(0, 2 * np.pi)  # at Nyquist a shift only weakens it
    phase = sum(2 * np.pi * k * line for k, line in zip(wave, _grid(scene.clean.shape), strict=True))
    return np.asarray(scene.clean + strength * scene.level * np.cos(phase + shift))


def _inverted(scene: Scene, strength: float, rng: Rng) -> NDArray[Any]:
    """Contrast flipped about the mean around it, in a ball of radius `strength` over something that has contrast."""
    sigma = [strength / ratio for ratio in scene.ratios]
    around = low_pass([scene.clean], scene.valid, sigma=sigma)[0]
    contrast = np.abs(ndimage.gaussian_filter(scene.clean - around, [s / 2 for s in sigma])) * scene.valid
    inside = contrast * _inner(scene, strength)
    centre = _site(inside >= max(float(np.quantile(inside, 1 - STRUCTURED)), np.finfo(np.float32).tiny), rng)
    distance = _distance(scene, centre)
    weight = np.clip(strength + 0.5 - distance, 0, 1)
    near = (distance <= 2 * strength) & scene.valid
    mean = float(scene.clean[near].mean(dtype=np.float64))
    return np.asarray(scene.clean + 2 * weight * (mean - scene.clean))


def _negative(scene: Scene, strength: float, _: Rng) -> NDArray[Any]:
    """All contrast times minus `strength`."""
    return _scaled(scene, -strength)


def _gain(scene: Scene, strength: float, _: Rng) -> NDArray[Any]:
    return _scaled(scene, strength)


def _scaled(scene: Scene, factor: float) -> NDArray[Any]:
    mean = np.float32(scene.clean[scene.valid].mean(dtype=np.float64))
    return np.asarray(mean + np.float32(factor) * (scene.clean - mean))


def _doughnut(scene: Scene, strength: float, rng: Rng) -> NDArray[Any]:
    """A ring, in a volume a shell, around a middle that stays as it was."""
    radius = _distance(scene, _invented_at(scene, rng)) / INVENTED_RADIUS
    return np.asarray(scene.clean + strength * scene.level * np.exp(-0.5 * ((radius - 0.7) / 0.2) ** 2))


def _blob(scene: Scene, strength: float, rng: Rng) -> NDArray[Any]:
    radius = _distance(scene, _invented_at(scene, rng)) / INVENTED_RADIUS
    return np.asarray(scene.clean + strength * scene.level * np.exp(-0.5 * (radius / 0.5) ** 2))


def _offset(scene: Scene, strength: float, _: Rng) -> NDArray[Any]:
    return np.asarray(scene.clean + np.float32(strength * scene.level))


def _blur(scene: Scene, strength: float, _: Rng) -> NDArray[Any]:
    return low_pass([scene.clean], scene.valid, sigma=[strength / ratio for ratio in scene.ratios])[0]


def _seam(scene: Scene, strength: float, rng: Rng) -> NDArray[Any]:
    """Two by two tiles in plane whose offsets alternate: every seam is a step of `strength`."""
    cuts = [round(n * share) for n, share in zip(scene.clean.shape[-2:], rng.uniform(0.3, 0.7, 2), strict=True)]
    y, x = _grid(scene.clean.shape)[-2:]
    return np.asarray(scene.clean + strength * scene.level * (((y >= cuts[0]) ^ (x >= cuts[1])) - 0.5))


def _stripes(scene: Scene, strength: float, rng: Rng) -> NDArray[Any]:
    """An offset for each row of the image, the same in every plane; `strength` is their standard deviation."""
    return np.asarray(scene.clean + strength * scene.level * rng.standard_normal((scene.clean.shape[-2], 1)))


def _planes(scene: Scene, strength: float, rng: Rng) -> NDArray[Any]:
    """An offset for each plane, as of a scale fitted to each; `strength` is their standard deviation."""
    return np.asarray(scene.clean + strength * scene.level * rng.standard_normal((len(scene.clean), 1, 1)))


def _noise_left(scene: Scene, strength: float, _: Rng) -> NDArray[Any]:
    return np.asarray(scene.clean + np.float32(strength) * (scene.noisy - scene.clean))


def _invented_at(scene: Scene, rng: Rng) -> Sequence[int]:
    """Where nothing is, if there is such a place."""
    inner = _inner(scene, INVENTED_RADIUS)
    empty = inner & scene.background
    return _site(empty if empty.any() else inner, rng)


def _inner(scene: Scene, radius: float) -> Mask:
    """Valid voxels `radius` away from the border, as far as the image is large enough for that."""
    inner = np.zeros_like(scene.valid)
    reach = [min(math.ceil(radius / q), (n - 1) // 2) for n, q in zip(scene.valid.shape, scene.ratios, strict=True)]
    box = tuple(slice(r, n - r) for r, n in zip(reach, scene.valid.shape, strict=True))
    inner[box] = scene.valid[box]
    return inner if inner.any() else scene.valid


def _site(mask: Mask, rng: Rng) -> tuple[int, ...]:
    """One voxel of the mask, or of the whole image if the mask is empty."""
    places = np.flatnonzero(mask) if mask.any() else np.arange(mask.size)
    return tuple(int(at) for at in np.unravel_index(int(rng.choice(places)), mask.shape))


def _distance(scene: Scene, centre: Sequence[int]) -> Floats:
    """From `centre`, in units of the shortest voxel edge."""
    lines = _grid(scene.clean.shape)
    squares = [((line - at) * q) ** 2 for line, at, q in zip(lines, centre, scene.ratios, strict=True)]
    return np.asarray(np.sqrt(sum(squares[1:], squares[0])), dtype=np.float32)


def _grid(shape: Sequence[int]) -> tuple[NDArray[np.intp], ...]:
    return tuple(np.ogrid[tuple(slice(n) for n in shape)])


PERIODS = (2, 3, 4, 8, 9.14)
AMPLITUDES = (0.0125, 0.025, 0.05, 0.1, 0.2, 0.5)
LATTICES = tuple(
    Damage(
        f"lattice-{period:g}",
        f"a lattice of period {period:g} and amplitude {{strength:g}} of the noise",
        "sigma",
        partial(_lattice, period=period),
        0.05,
        AMPLITUDES,
        ("lattice",),
    )
    for period in PERIODS
)
OTHERS = (
    Damage("inverted", "a spot of radius {strength:g} voxels with its contrast inverted", "voxels",
           _inverted, INVERTED_RADIUS, (2, 3, 4, 6), ("inversion", "invented")),
    Damage("negative", "all contrast inverted, times {strength:g}", "times",
           _negative, 1, (0.25, 0.5, 1), ("inversion",)),
    Damage("doughnut", "an invented ring of {strength:g} times the noise", "sigma",
           _doughnut, 2, (0.5, 1, 2, 4), ("invented",)),
    Damage("blob", "an invented blob of {strength:g} times the noise", "sigma",
           _blob, 2, (0.5, 1, 2, 4), ("invented",)),
    Damage("offset", "an offset of {strength:g} times the noise", "sigma",
           _offset, 0.2, (0.05, 0.1, 0.2, 0.4), ("values",)),
    Damage("gain", "contrast {strength:g} times the true one", "times",
           _gain, 1.1, (0.8, 0.9, 0.95, 1.05, 1.1, 1.2), ("values",)),
    Damage("blur", "a Gaussian blur of {strength:g} voxels", "voxels",
           _blur, 1.5, (1, 1.5, 2, 3), ("edges",)),
    Damage("seam", "seams between tiles, steps of {strength:g} times the noise", "sigma",
           _seam, 0.5, (0.125, 0.25, 0.5, 1), ("lines",)),
    Damage("stripes", "rows offset by {strength:g} times the noise", "sigma",
           _stripes, 0.2, (0.05, 0.1, 0.2, 0.4), ("lines",)),
    Damage("planes", "planes offset by {strength:g} times the noise", "sigma",
           _planes, 0.3, (0.1, 0.3, 1), ("lines", "values"), axes=3),
    Damage("noise-left", "{strength:g} of the noise left in", "of the noise",
           _noise_left, 0.3, (0.1, 0.2, 0.3, 0.5, 0.9), ("leftover",)),
)  # fmt: skip
DAMAGES: dict[str, Damage] = {damage.name: damage for damage in (*OTHERS, *LATTICES)}
