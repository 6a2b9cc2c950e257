"""Fixed patterns in one frame: here lattices, the peaks of the spectrum; stripes and seams from `lines`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from scipy.signal.windows import tukey

from meeum.noise.lines import Seam, Stripes, box, find_seams, find_stripes, flattened, known

__all__ = ["Lattice", "Seam", "Stripes", "contrast", "find_lattice", "find_seams", "find_stripes"]

Array = NDArray[Any]
FALSE_ALARMS = 1e-4  # expected number of peaks that noise alone raises in one image
FAINTEST = 0.025  # of the noise's standard deviation: fainter patterns change nothing
LEAST_CONTRAST = 40.0  # and cells, whose spectra are rougher than noise, stay under this
FEWEST_CYCLES = 8  # across the field: slower waves cannot be told from cells
MOST_LATTICES = 8


@dataclass(frozen=True)
class Lattice:
    """A cosine that runs through the whole field, as one peak of the spectrum."""

    period: float  # pixels
    direction: tuple[float, ...]  # unit vector of the frequency, one entry per axis
    word: str  # "along x", "along y" or "oblique"
    amplitude: float  # of the cosine, data units
    contrast: float  # peak of the power spectrum over the median around it
    p_value: float  # that coloured noise alone shows such a peak anywhere
    seen_in: str  # "the image", "the mean along z", "the maximum projection", "a wave along z"

    @property
    def sentence(self) -> str:
        return (
            f"A periodic pattern of period {self.period:.2f} pixels runs {self.word}, with amplitude "
            f"{self.amplitude:.2g}, in {self.seen_in} ({self.contrast:.0f} times the spectrum around it); "
            "unless the specimen itself repeats so, it comes from the instrument or the reconstruction; "
            "`meeum denoise --remove-lattice` takes it out first."
        )


def find_lattice(values: Array, valid: Array | None = None, *, axes: str = "ZYX") -> tuple[Lattice, ...]:
    """Peaks of the windowed periodogram, tested as exponential ordinates over a smooth coloured spectrum (Fisher 1929).

    A volume is looked at in its mean along z, in waves of up to four cycles along z, and in its maximum projection.
    """
    axes = axes[-values.ndim :]
    if min(values.shape[-2:]) < 4 * FEWEST_CYCLES:
        return ()
    residual, weight = flattened(values, valid)
    faintest = FAINTEST * float(np.sqrt((residual**2 * weight).sum() / max(weight.sum(), 1e-30)))
    found: list[Lattice] = []
    for view in _views(values, valid, (residual, weight)):
        found += [one for one in _peaks(*view) if one.amplitude > faintest]
    return _distinct(found, values.shape) if values.ndim == 3 else tuple(found)


def contrast(values: Array, valid: Array | None, lattice: Lattice) -> float:
    """Power at the frequency of a lattice over that around it, where it was seen; about 1 where there is none."""
    kz = lattice.direction[0] / lattice.period if len(lattice.direction) == 3 else 0.0
    for weighted, weight, cycles, seen_in in _views(values, valid, flattened(values, valid)):
        if seen_in == lattice.seen_in and abs(kz - cycles) * len(values) < 0.5:
            signal, _ = _windowed(weighted, weight)
            power = np.abs(scipy.fft.fft2(signal)) ** 2
            at = [
                round(part / lattice.period * n) % n
                for part, n in zip(lattice.direction[-2:], power.shape, strict=True)
            ]
            return float(power[at[0], at[1]] / _background(power)[at[0], at[1]] / np.log(2))
    return float("nan")


def _views(values: Array, valid: Array | None, flat: tuple[Array, Array]) -> Iterator[tuple[Array, Array, float, str]]:
    """Planes (Y, X) in which lattices show: weighted residual, weight, cycles per voxel along z, and its name."""
    residual, weight = flat
    if values.ndim == 2:
        yield residual * weight, weight, 0.0, "the image"
        return
    depth = len(values)
    for cycles in range(min(5, depth // 8 + 1)):
        wave = np.exp(-2j * np.pi * cycles / depth * np.arange(depth)) if cycles else np.ones(depth)
        seen_in = "a wave along z" if cycles else "the mean along z"
        yield np.tensordot(wave, residual * weight, 1), weight.sum(0), cycles / depth, seen_in
    highest = np.where(known(values, valid), values, -np.inf).max(0)
    residual, weight = flattened(highest, np.isfinite(highest))
    yield residual * weight, weight, 0.0, "the maximum projection"


def _windowed(weighted: Array, weight: Array) -> tuple[Array, Array]:
    """Signal and gain under a window, the mean taken off."""
    rows, columns = weighted.shape
    window = tukey(rows, 0.5)[:, None] * tukey(columns, 0.5)
    level = weighted.sum() / max(weight.sum(), 1e-30)
    return window * (weighted - level * weight), window * weight


def _peaks(weighted: Array, weight: Array, kz: float, seen_in: str) -> list[Lattice]:
    """The peaks of one plane (Y, X), the highest first, each subtracted before the next is sought."""
    rows, columns = weighted.shape
    signal, gain = _windowed(weighted, weight)
    background = _background(np.abs(scipy.fft.fft2(signal)) ** 2)
    searched = _searched(rows, columns, kz)
    found: list[Lattice] = []
    while len(found) < MOST_LATTICES and gain.sum() > 0:
        ratio = np.where(searched, np.abs(scipy.fft.fft2(signal)) ** 2 / background, 0)
        place = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
        p_value = float(min(1.0, searched.sum() * np.exp(-ratio[place])))
        contrast = float(ratio[place] / np.log(2))
        if p_value > FALSE_ALARMS or contrast < LEAST_CONTRAST * (
            1.5 if kz else 1
        ):  # waves along z cross more specimen
            break
        y, x, value = _refined(signal, (_signed(place[0], rows), _signed(place[1], columns)))
        wave = np.exp(2j * np.pi * (y * np.arange(rows)[:, None] + x * np.arange(columns)))
        both = 1 if _alternates((y, x), gain.shape) else 2  # a wave of period 2 is its own mirror image
        part = value / gain.sum() * gain * wave
        signal = signal - (part if kz else both * part.real)
        searched = searched & ~_beside(place, ratio.shape)
        kept = 1 - np.sinc(y * box(rows)) * np.sinc(x * box(columns))  # of it, after the local mean was taken away
        found.append(_lattice((kz, y, x), float(both * abs(value) / gain.sum() / kept), contrast, p_value, seen_in))
    return found


def _background(power: Array) -> Array:
    """Expected power of each frequency from those around it: the greatest of eight neighbouring boxes, logs averaged.

    The greatest, so that the edge of the optical support and the ridges of cells count as background; the mean of
    the log of an exponential lies Euler's constant under the log of its mean.
    """
    logs = uniform_filter(np.log(power + np.finfo(np.float64).tiny), 7, mode="wrap")
    shifts = [(a, b) for a in (-6, 0, 6) for b in (-6, 0, 6) if (a, b) != (0, 0)]
    return np.asarray(np.exp(np.max([np.roll(logs, shift, (0, 1)) for shift in shifts], axis=0) + np.euler_gamma))


def _searched(rows: int, columns: int, kz: float) -> Array:
    """Frequencies that can be told from the specimen; half of the plane where the other half mirrors it."""
    y, x = scipy.fft.fftfreq(rows, 1 / rows)[:, None], scipy.fft.fftfreq(columns, 1 / columns)
    searched = np.hypot(y, x) >= FEWEST_CYCLES
    last = (2 * np.abs(y) == rows) | (y > 0), (2 * np.abs(x) == columns) | (x > 0)  # period 2 is listed as negative
    return np.asarray(searched if kz else searched & (last[1] | ((x == 0) & last[0])))


def _alternates(wave: tuple[float, float], shape: tuple[int, ...]) -> bool:
    """Whether a wave flips sign from pixel to pixel, or not at all, along both axes, to half a cycle."""
    return all(abs(2 * k - round(2 * k)) * n < 1 for k, n in zip(wave, shape, strict=True))


def _beside(place: tuple[Any, ...], shape: tuple[int, ...]) -> Array:
    """Frequencies within two of `place`, round the edges: the main lobe of the window."""
    near = [np.abs((np.arange(n) - p + n // 2) % n - n // 2) <= 2 for n, p in zip(shape, place, strict=True)]
    return np.asarray(near[0][:, None] & near[1])


def _signed(index: Any, size: int) -> float:
    return float((index + size // 2) % size - size // 2) / size


def _refined(signal: Array, start: tuple[float, float]) -> tuple[float, float, complex]:
    """Frequency (cycles per pixel) of the highest Fourier value within a bin of `start`, and that value."""
    best = np.array(start)
    for reach in (1.0, 0.2, 0.04):
        steps = [b + np.linspace(-reach, reach, 11) / n for b, n in zip(best, signal.shape, strict=True)]
        left, right = (
            np.exp(-2j * np.pi * np.outer(s, np.arange(n))) for s, n in zip(steps, signal.shape, strict=True)
        )
        field = left @ signal @ right.T
        top = np.unravel_index(int(np.argmax(np.abs(field))), field.shape)
        best = np.array([steps[0][top[0]], steps[1][top[1]]])
    return float(best[0]), float(best[1]), complex(field[top])


def _lattice(wave: tuple[float, float, float], *numbers: Any) -> Lattice:
    frequency = np.array(wave if numbers[-1] != "the image" else wave[1:])
    length = float(np.linalg.norm(frequency))
    direction = frequency / length
    slope = np.abs(direction[-2:]) / max(np.hypot(*direction[-2:]), 1e-12)
    word = "along y" if slope[0] > 0.99 else "along x" if slope[1] > 0.99 else "oblique"
    return Lattice(1 / length, tuple(direction.tolist()), word, *numbers)


def _distinct(found: list[Lattice], shape: tuple[int, ...]) -> tuple[Lattice, ...]:
    """Of lattices of the same frequency in plane, to two cycles per field, that of the highest contrast."""
    kept: list[Lattice] = []
    for lattice in sorted(found, key=lambda one: -one.contrast):
        plane = [np.array(one.direction[1:]) / one.period for one in (lattice, *kept)]
        apart = [min(np.abs((plane[0] + s * k) * shape[1:]).max() for s in (-1, 1)) for k in plane[1:]]
        if all(distance > 2 for distance in apart):
            kept.append(lattice)
    return tuple(kept[:MOST_LATTICES])
