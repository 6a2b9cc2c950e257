"""How much of each spatial frequency of one image is found in another one: spectra, binned by shell and direction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy import ndimage

from meeum.auditing.sampling import Floats, Mask

Array = NDArray[Any]
Triple = tuple[Array, Array, Array]

SHELLS, TOP = 24, 0.5  # of |k|, cycles per shortest voxel edge
BINS, FASTEST = 48, math.sqrt(3) / 2  # of |k|, cycles per voxel of each axis
FLAT, STEEP = 0.45, 0.7  # sine of the angle to the plane, up to which it is in plane, and from which it is along z
ABOVE = 5.0  # times the noise, from where on a shell is judged: the best linear filter keeps 86 % of detail there
BLUR = 1.25  # Gaussian sigma, voxels
TAPER = 4  # shortest voxel edges from what was not measured
LEAST = 16  # voxels a side in plane, and frequencies to a shell
SIGMAS = np.linspace(0, 8, 161)


@dataclass(frozen=True)
class Sums:
    """Sums over the frequencies in each (direction, shell, bin) of products of spectra.

    binned  "cross": Re X Y*, the denoised against the noisy image; "power": of the noisy image, or of a recorrupted
            pair their cross spectrum, which is free of noise in the mean; "noise": power of the noise; "count"; and
            "cross2", "mixed", "power2": of the squares and the product of the first two
    leak    how often "power" holds the noise: 1 or 0
    spread  how many frequencies the window makes one
    """

    binned: Mapping[str, Array]
    leak: int
    spread: float

    def shells(self, direction: int) -> dict[str, Array]:
        """Summed over the bins of one direction."""
        return {name: part[direction].sum(axis=1) for name, part in self.binned.items()}


@dataclass(frozen=True)
class Transfer:
    """Share of the detail kept in one direction: sum k² <X Y*> / sum k² (<|Y|²> - <|N|²>) over the judged shells.

    share      ideal 1; below 1 blurred, above 1 sharpened
    error      standard error by chance
    per_noise  change of `share` per relative error of the noise's level, at most
    blur       Gaussian sigma (voxels) that leaves as much; `allowed` the share that one of `BLUR` leaves
    curve      frequency (cycles per shortest voxel edge), transfer and standard error of each judged shell
    """

    share: float
    error: float
    per_noise: float
    blur: float
    allowed: float
    curve: tuple[Array, Array, Array]


def taper(valid: Mask, ratios: Sequence[float]) -> Floats | None:
    """Hann window that also falls off towards what was not measured; None where nearly nothing would be left."""
    window = np.ones((), np.float32)
    for n in valid.shape:
        window = np.multiply.outer(window, np.sin(np.pi * (np.arange(n, dtype=np.float32) + 0.5) / n) ** 2)
    if not valid.all():
        size = [2 * math.ceil(TAPER / ratio) + 1 for ratio in ratios]
        inner = ndimage.minimum_filter(valid.astype(np.float32), [2 * n - 1 for n in size])
        for _ in range(2):
            inner = ndimage.uniform_filter(inner, size)
        window = window * np.where(valid, inner, 0)
    wide = min(valid.shape[-2:]) >= LEAST and np.count_nonzero(window > 0.1) >= LEAST**2
    return np.asarray(window, dtype=np.float32) if wide else None


def sums(images: Sequence[Triple], noise: Array, *, window: Array, ratios: Sequence[float]) -> Sums:
    """Of (denoised, noisy, other noisy), the last two one image or a recorrupted pair; of several their mean."""
    cross, power = np.mean([_products(triple, window) for triple in images], axis=0)
    rows = {"count": np.ones_like(cross), "cross": cross, "power": power}
    rows |= {"noise": np.abs(spectrum(noise, window)) ** 2}
    rows |= {"cross2": cross**2, "mixed": cross * power, "power2": power**2}
    place, size = _places(window.shape, ratios)
    binned = {
        name: np.bincount(place, row.ravel(), size)[:-1].reshape(-1, SHELLS, BINS).astype(np.float64)
        for name, row in rows.items()
    }
    square, fourth = (float((window.astype(np.float64) ** order).sum()) for order in (2, 4))
    return Sums(binned, int(images[0][1] is images[0][2]), window.size * fourth / square**2)


def _products(triple: Triple, window: Array) -> tuple[Array, Array]:
    """Re X Y*, and the power of Y or, of a recorrupted pair, the cross spectrum of both."""
    x, y, other = triple
    denoised, noisy = spectrum(x, window), spectrum(y, window).conj()
    twin = noisy.conj() if other is y else spectrum(other, window)
    return (denoised * noisy).real, (twin * noisy).real


def together(parts: Sequence[Sums]) -> Sums:
    """Of several pieces of one image."""
    binned = {name: np.sum([part.binned[name] for part in parts], axis=0) for name in parts[0].binned}
    return Sums(binned, parts[0].leak, float(np.mean([part.spread for part in parts])))


def transfer(found: Sums, direction: int) -> Transfer | None:
    """Of a direction (0 in plane, 1 along z); None where no shell stands clear of the noise.

    Noise that was left in adds to the cross spectrum unless the images are a recorrupted pair; so without one the share
    is what lies closest to 1 between none of the noise left in and as much of it as of the signal.
    """
    part = found.shells(direction)
    signal = part["power"] - found.leak * part["noise"]
    shells = _judged((signal > ABOVE * part["noise"]) & (part["count"] >= LEAST))
    if not shells.any():
        return None
    middle = (np.arange(SHELLS) + 0.5) / SHELLS * TOP
    weight = np.where(shells, middle**2, 0)
    sides = weight @ part["cross"] / np.array([weight @ part["power"], weight @ signal])
    share = _closest(*sides) if found.leak else float(sides[1])
    ratio = part["cross"] / np.where(shells, signal, 1)
    variance = _variances(part, ratio, found)
    whole = float(weight @ signal)
    blur, allowed = _as_blur(found, direction, weight, share)
    low = part["cross"][shells] / part["power"][shells] if found.leak else ratio[shells]
    each = np.median([low, ratio[shells], np.ones_like(low)], axis=0) if found.leak else ratio[shells]
    return Transfer(
        share=share,
        error=math.sqrt(float(weight**2 @ variance)) / whole,
        per_noise=2 * abs(share) * float(weight @ part["noise"]) / whole,
        blur=blur,
        allowed=allowed,
        curve=(middle[shells], each, np.sqrt(variance[shells]) / signal[shells]),
    )


def _judged(clear: Array) -> Array:
    """The shells that stand clear of the noise, up to where two in a row do not.

    Beyond, where the optics pass neither signal nor noise, next to nothing stands clear of nothing.
    """
    shells = clear.copy()
    shells[0] = False  # as slow as the image is wide
    gaps = np.flatnonzero(~shells[:-1] & ~shells[1:])
    gaps = gaps[gaps > int(np.argmax(shells))]
    if len(gaps):
        shells[gaps[0] :] = False
    return np.asarray(shells)


def _closest(one: float, other: float) -> float:
    """To 1, of all between both."""
    return float(np.median([one, other, 1.0]))


def _variances(part: Mapping[str, Array], ratio: Array, found: Sums) -> Array:
    """Of each shell's cross spectrum about its own `ratio` to the signal, which it should be proportional to."""
    less = found.leak * part["noise"] / np.maximum(part["count"], 1)
    mixed = part["mixed"] - less * part["cross"]
    square = part["power2"] - 2 * less * part["power"] + part["count"] * less**2
    return np.asarray(np.maximum(part["cross2"] - 2 * ratio * mixed + ratio**2 * square, 0) * found.spread)


def _as_blur(found: Sums, direction: int, weight: Array, share: float) -> tuple[float, float]:
    """Sigma of the Gaussian, in voxels of each axis, that keeps `share`; and what one of `BLUR` keeps."""
    power, noise = (found.binned[name][direction] for name in ("power", "noise"))
    signal = weight @ (power - found.leak * noise)
    frequency = (np.arange(BINS) + 0.5) * FASTEST / BINS
    kept = np.exp(-2 * (np.pi * np.multiply.outer(SIGMAS, frequency)) ** 2) @ signal / signal.sum()
    falling = np.minimum.accumulate(kept)
    falling = falling / falling[0]
    return float(np.interp(-share, -falling, SIGMAS)), float(np.interp(BLUR, SIGMAS, falling))


def spectrum(image: Array, window: Array) -> Array:
    """Half spectrum of an image under a window, its mean under that window taken away."""
    mean = np.float32((image * window).sum(dtype=np.float64) / window.sum(dtype=np.float64))
    return np.asarray(scipy.fft.rfftn(((image - mean) * window).astype(np.float32)))


def _places(shape: tuple[int, ...], ratios: Sequence[float]) -> tuple[Array, int]:
    """Which of (direction, shell, bin) each frequency of a half spectrum falls into, the last being none; how many."""
    voxel = lengths(shape, [1.0] * len(shape))
    shell = (lengths(shape, ratios) / TOP * SHELLS).astype(np.int32)
    direction = np.zeros(voxel.shape, np.int32)
    if len(shape) == 3:
        axial = np.abs(scipy.fft.fftfreq(shape[0])).reshape(-1, 1, 1)
        direction = (axial > FLAT * voxel).astype(np.int32)
        shell[(direction == 1) & (axial < STEEP * voxel)] = SHELLS
    bins = np.minimum((voxel / FASTEST * BINS).astype(np.int32), BINS - 1)
    size = (len(shape) - 1) * SHELLS * BINS + 1
    place = np.where(shell < SHELLS, (direction * SHELLS + shell) * BINS + bins, size - 1)
    return place.ravel(), size


def lengths(shape: tuple[int, ...], spacing: Sequence[float]) -> Array:
    """Length of the frequency vector at each place of a half spectrum, in cycles per unit of `spacing`."""
    axes = [scipy.fft.fftfreq(n, d) for n, d in zip(shape[:-1], spacing[:-1], strict=True)]
    lines = np.ix_(*axes, scipy.fft.rfftfreq(shape[-1], spacing[-1]))
    return np.asarray(np.sqrt(sum((line.astype(np.float32) ** 2 for line in lines), np.zeros((), np.float32))))
