"""`Noise`: what was measured of an image's noise, and what follows from it: levels, correlation, samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.typing import NDArray

from meeum.noise.blocks import multiplicity
from meeum.noise.clipping import left_by
from meeum.volume import Region

Array = NDArray[Any]
Ints = tuple[int, ...]

SMOOTHING = 2.0  # voxels over which the signal is averaged where the noise depends on it
LEAST = 0.1  # of `std`: levels go no lower where they follow the signal
FEW = 15  # photons per voxel below which noise is skewed, and its level too rough to follow
IMPULSIVE = 2.2  # tails above which few voxels may be far off


@dataclass(frozen=True)
class Noise:
    """Additive noise of zero mean: one spectrum, and a level that is constant, or follows the place or the signal.

    std          root mean square over the image, data units
    spectrum     (*half) variance per frequency of blocks of `sides` voxels, mean 1 over the full spectrum
    follows      "nothing"; "place": log variance is a quadratic in position; "signal": variance = read + gain * value
    place        its coefficients, in the order of `place_terms`; empty if the level does not follow the place
    read         variance at value 0, data units squared (may be negative where 0 lies below the darkest value)
    gain         variance per data unit of signal
    source       what it was measured from
    evidence     share of the noise's energy seen where there is no signal, 0 to 1
    doubt        energy that may be noise or fine structure, as a share of the noise's
    uncertainty  relative standard error of `std`
    tails        about 1 for Gaussian noise, above 2 where few voxels are far off (salt and pepper, hot pixels)
    clip         value up to which voxels were cut off, if many were: `std` is that of the noise before
    rest_std     standard deviation of the noise beside the few voxels that are far off, if there are such
    detail       power of the image over that of the noise at fine frequencies (geometric mean); 1: noise alone is fine
    """

    std: float
    spectrum: Array
    sides: Ints
    follows: str
    place: tuple[float, ...]
    read: float
    gain: float
    source: str
    evidence: float
    doubt: float
    uncertainty: float
    tails: float
    clip: float | None = None
    rest_std: float | None = None
    detail: float = 1.0

    def __repr__(self) -> str:
        colour = "white" if self.is_white else "correlated"
        return f"<Noise: std {self.std:.4g} (± {self.uncertainty:.2g} of it), {colour}, follows {self.follows}>"

    @property
    def is_white(self) -> bool:
        """Whether no two voxels' noise is correlated, as far as could be seen."""
        return bool(np.ptp(self.spectrum) == 0)

    @property
    def is_impulsive(self) -> bool:
        """Whether few voxels are far off, rather than all a little."""
        return self.rest_std is not None

    @property
    def is_lopsided(self) -> bool:
        """Whether voxels far off make up most of it: then it may pull means and contrast one way."""
        return self.is_impulsive and self.std > 2 * (self.rest_std or 0.0)

    @property
    def is_counted(self) -> bool:
        """Whether it grows with the signal, as the noise of counting photons does."""
        return self.follows == "signal" and self.gain > 0

    @property
    def photons(self) -> float:
        """Mean number of events per voxel if the noise is that of counting them, variance over gain squared."""
        return (self.std / self.gain) ** 2 if self.is_counted else float("inf")

    @property
    def not_gaussian(self) -> str:
        """Why the noise is far from Gaussian, in words; empty where nothing speaks against it."""
        if self.is_impulsive:
            return "few voxels are far off"
        return f"few photons (about {self.photons:.2g} per voxel)" if self.photons < FEW else ""

    def as_dict(self) -> dict[str, Any]:
        """All but the spectrum, in plain values."""
        return {key: value for key, value in vars(self).items() if key != "spectrum"}

    @classmethod
    def from_dict(cls, plain: dict[str, Any], spectrum: Array) -> Noise:
        """The inverse of `as_dict`."""
        sequences = {key: tuple(plain[key]) for key in ("sides", "place")}
        return cls(**{**plain, **sequences}, spectrum=spectrum)

    def correlation(self) -> Array:
        """Autocorrelation (*sides), lag 0 in the middle (at side // 2), 1 there."""
        covariance = scipy.fft.irfftn(self.spectrum, s=self.sides, axes=_all(self.sides))
        return np.asarray(scipy.fft.fftshift(covariance) / covariance.flat[0])

    def lag(self, axis: int, distance: int = 1) -> float:
        """Correlation of voxels `distance` apart along an axis."""
        if self.sides[axis] <= 2 * distance:
            return 0.0
        place = tuple(side // 2 + distance * (a == axis) for a, side in enumerate(self.sides))
        return float(self.correlation()[place])

    def with_power(self, power: Array) -> Noise:
        """The same with another power per frequency (*half), data units squared, and the level that goes with it."""
        variance, spectrum = level_and_shape(power, self.sides)
        return replace(self.with_level(float(np.sqrt(variance))), spectrum=spectrum)

    def with_level(self, std: float) -> Noise:
        """The same with another level, which follows the same place or signal."""
        factor = (std / self.std) ** 2
        place = (self.place[0] + float(np.log(factor)), *self.place[1:]) if self.place else ()
        rest = None if self.rest_std is None else self.rest_std * std / self.std
        return replace(self, std=std, place=place, read=self.read * factor, gain=self.gain * factor, rest_std=rest)

    def levels(self, values: Array, region: Region, shape: Ints) -> Array:
        """Standard deviation per voxel, data units, of `values` read from `region` of a frame of `shape`.

        Broadcasts to the values' shape; where the level follows nothing it is a single number.
        """
        level = self._unclipped(values, region, shape)
        if self.clip is None:
            return level
        return np.asarray(np.maximum(left_by(values <= self.clip), LEAST) * level, dtype=np.float32)

    def _unclipped(self, values: Array, region: Region, shape: Ints) -> Array:
        if self.follows == "place":
            return np.asarray(np.exp(_surface(self.place, region, shape) / 2), dtype=np.float32)
        if self.follows == "signal":
            signal = scipy.ndimage.gaussian_filter(values.astype(np.float32), SMOOTHING)
            variance = np.maximum(self.read + self.gain * signal, (LEAST * self.std) ** 2)
            return np.asarray(np.sqrt(variance), dtype=np.float32)
        return np.full((1,) * len(shape), self.std, dtype=np.float32)

    def sample(self, shape: Ints, rng: np.random.Generator) -> NDArray[np.float32]:
        """Gaussian noise (*shape) with this spectrum and variance 1, periodic; multiply by `levels`."""
        (drawn,) = self.samples(1, shape, rng)
        return np.asarray(drawn)

    def samples(self, count: int, shape: Ints, rng: np.random.Generator) -> NDArray[np.float32]:
        """The same so many times (count, *shape)."""
        gain = np.sqrt(self.spectrum_on(shape))
        drawn = np.empty((count, *shape), np.float32)
        for sample in drawn:
            white = scipy.fft.rfftn(rng.standard_normal(shape, dtype=np.float32))
            sample[...] = scipy.fft.irfftn(white * gain, s=shape, axes=_all(shape))
        return drawn

    def spectrum_on(self, shape: Ints) -> Array:
        """The spectrum on another grid (*half of `shape`), by way of the autocorrelation, which is cut or padded."""
        centred = scipy.fft.fftshift(scipy.fft.irfftn(self.spectrum, s=self.sides, axes=_all(self.sides)))
        result = np.zeros(shape)
        inner, outer = [], []
        for old, new in zip(self.sides, shape, strict=True):
            reach = min(old, new)
            inner.append(slice(old // 2 - reach // 2, old // 2 - reach // 2 + reach))
            outer.append(slice(new // 2 - reach // 2, new // 2 - reach // 2 + reach))
        result[tuple(outer)] = centred[tuple(inner)]
        power = np.maximum(scipy.fft.rfftn(scipy.fft.ifftshift(result)).real, 0)
        return np.asarray(power / scipy.fft.irfftn(power, s=shape, axes=_all(shape)).flat[0])


def level_and_shape(power: Array, sides: Ints) -> tuple[float, Array]:
    """Variance and spectrum of mean 1 from power per frequency (*half): the mean of a block says nothing of noise."""
    counts = multiplicity(sides)
    variance = float((power * counts).sum() / counts.sum())
    spectrum = power / variance
    if spectrum.size > 1:
        spectrum.flat[0] = spectrum.flat[1]
    return variance, spectrum


def place_terms(centres: Array) -> Array:
    """(N, axes) positions from -1 to 1 -> (N, terms): 1, each coordinate, and every product of two."""
    squares = [a * b for i, a in enumerate(centres.T) for b in centres.T[i:]]
    return np.stack([np.ones(len(centres)), *centres.T, *squares], axis=1)


def _surface(coefficients: tuple[float, ...], region: Region, shape: Ints) -> Array:
    """The quadratic of `place_terms` on the voxels of a region."""
    grids = []
    for axis, (part, size) in enumerate(zip(region, shape, strict=True)):
        start, stop, _ = part.indices(size)
        line = (np.arange(start, stop) + 0.5) / size * 2 - 1
        grids.append(line.reshape([-1 if a == axis else 1 for a in range(len(shape))]))
    squares = [a * b for i, a in enumerate(grids) for b in grids[i:]]
    terms = [np.ones(()), *grids, *squares]
    return np.asarray(sum(c * term for c, term in zip(coefficients, terms, strict=True)))


def _all(shape: Ints) -> Ints:
    return tuple(range(len(shape)))
