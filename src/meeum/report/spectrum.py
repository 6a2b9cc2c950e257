"""Power spectra of a noisy image, its denoised version and their difference, in planes through frequency 0."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.signal import windows

from meeum.volume import Region, Volume

Array = NDArray[Any]
Images = Mapping[str, Array]

MOST = 256  # voxels a side that are looked at: the middle of larger images
MOST_VOXELS = 2**22
LEAST = 8  # voxels along an axis, below which a spectrum says nothing
NEAR = 2  # steps of frequency to each side of ky = 0 that the section through a volume is the mean of
KINDS = ("noisy", "denoised", "residual")
FLOOR = 1e-12


@dataclass(frozen=True)
class Plane:
    """Power of three images (rows, columns) over that of white noise of variance 1; frequency 0 at side // 2.

    axes   letters of rows and columns
    edges  of a voxel along rows and columns, in `unit`: frequencies are in cycles per unit
    near   cycles per voxel across the plane up to which frequencies are in it; infinite where all are
    """

    title: str
    axes: str
    power: Images
    edges: tuple[float, float]
    unit: str
    near: float = math.inf

    @property
    def sides(self) -> tuple[int, int]:
        rows, columns = self.power[KINDS[0]].shape
        return rows, columns


def planes(noisy: Volume, denoised: Volume) -> list[Plane]:
    """The middle XY plane of the first frame, and of a volume the section ky = 0 of its spectrum, as far as it is read.

    A plane cut out of a volume holds frequencies of every kz; what optics do along kz only a section of the volume's
    own spectrum shows.
    """
    pair = noisy.frame(0), denoised.frame(0)
    shape, sizes = pair[0].shape, noisy.voxel_size_um
    edges, unit = sizes or (1.0,) * len(shape), "µm" if sizes else "voxel"
    middle = tuple(_middle(n, MOST) for n in shape)
    if min(shape[-2:]) < LEAST:
        return []
    flat: Region = middle if len(shape) == 2 else (_middle(shape[0], 1), *middle[1:])
    images = {name: values.reshape(values.shape[-2:]) for name, values in _images(pair, flat).items()}
    title = "middle XY plane" if len(shape) == 3 and shape[0] > 1 else "image"
    found = [Plane(title, "YX", {k: periodogram(v) for k, v in images.items()}, (edges[-2], edges[-1]), unit)]
    if len(shape) == 3 and shape[0] >= LEAST:
        depth, _, width = (part.stop - part.start for part in middle)
        rows = min(shape[1], max(LEAST, MOST_VOXELS // (depth * width)))
        box = _images(pair, (middle[0], _middle(shape[1], rows), middle[2]))
        power = {name: section(values) for name, values in box.items()}
        found.append(Plane("section ky = 0", "ZX", power, (edges[0], edges[2]), unit, (NEAR + 0.5) / rows))
    return found


def periodogram(values: Array) -> Array:
    """Power (rows, columns) of a plane under a window with low side lobes: mean 1 for white noise of variance 1."""
    window = np.outer(*(_window(n) for n in values.shape))
    return np.asarray(np.abs(scipy.fft.fftshift(scipy.fft.fft2((values - values.mean()) * window))) ** 2)


def section(values: Array) -> Array:
    """Power of a volume (Z, Y, X) at kz (rows) and kx (columns), the mean over the `NEAR` frequencies ky around 0."""
    depth, rows, width = values.shape
    steps = np.arange(-NEAR, NEAR + 1)[:, None] / rows
    waves = _window(rows) * np.exp(-2j * np.pi * steps * np.arange(rows))
    sums = np.tensordot(waves.astype(np.complex64), values - values.mean(dtype=np.float64), axes=(1, 1))
    window = np.outer(_window(depth), _window(width))
    spectra = scipy.fft.fftshift(scipy.fft.fft2(sums * window), axes=(1, 2))
    return np.asarray((np.abs(spectra) ** 2).mean(0))


def decades(power: Array, variance: float) -> Array:
    """Decimal logarithm of power over that of white noise of this variance, of 1 where it is 0 or nan."""
    level = variance if math.isfinite(variance) and variance > 0 else 1.0
    return np.asarray(np.log10(np.maximum(power / level, FLOOR)))


def _window(length: int) -> Array:
    """Four-term Blackman-Harris (Harris 1978), its squares adding to one; the middle of a side of one voxel is 1."""
    window = windows.blackmanharris(length + 2, sym=True)[1:-1]
    return np.asarray(window / math.sqrt(float(np.square(window).sum())))


def _middle(count: int, most: int) -> slice:
    start = max(0, (count - most) // 2) if most > 1 else count // 2
    return slice(start, min(count, start + most))


def _images(pair: tuple[Volume, Volume], region: Region) -> dict[str, Array]:
    """Noisy, denoised and difference; where either was not measured all have their mean, which adds no power."""
    noisy, denoised = (volume.read(region) for volume in pair)
    known = pair[0].valid(noisy) & pair[1].valid(denoised) & np.isfinite(noisy) & np.isfinite(denoised)
    values = (noisy, denoised, noisy - denoised)
    return {name: _filled(image, known) for name, image in zip(KINDS, values, strict=True)}


def _filled(values: Array, known: Array) -> Array:
    mean = values[known].mean(dtype=np.float64) if known.any() else 0.0
    return np.asarray(np.where(known, values, np.float32(mean)), dtype=np.float32)
