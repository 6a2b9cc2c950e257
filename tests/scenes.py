"""Images whose truth is known, and the pairs that the tests of the audit make of them."""

from functools import lru_cache

import numpy as np
from scipy import ndimage

from meeum import Volume, phantom
from meeum.auditing.pair import Pair, gather
from meeum.noise import Noise, measure


def volume_of(values, **more) -> Volume:
    """(Y, X) or (Z, Y, X)."""
    return Volume(np.asarray(values, np.float32), "ZYX"[-np.ndim(values) :], **more)


def paired(noisy, denoised, *, noise: Noise | None = None, denoise=None, **more) -> Pair:
    """Of two arrays, `more` being said of both, or of a volume and the values it was given."""
    before = noisy if isinstance(noisy, Volume) else volume_of(noisy, **more)
    return gather(before, before.with_data(np.asarray(denoised, np.float32)), noise=noise, denoise=denoise)


def white_noise(std: float, sides: tuple[int, ...]) -> Noise:
    """White noise as if it had been measured without doubt."""
    half = (*sides[:-1], sides[-1] // 2 + 1)
    return Noise(std, np.ones(half), sides, "nothing", (), 0.0, 0.0, "known", 1.0, 0.0, 0.02, 1.0)


def grain(rng, shape, colour: float = 0.0):
    """Noise of standard deviation 1; of some colour it was smoothed with a Gaussian of that sigma."""
    noise = rng.standard_normal(shape)
    if colour:
        noise = ndimage.gaussian_filter(noise, colour, mode="wrap")
    return noise / noise.std()


def distance(shape, centre):
    return np.sqrt(sum((axis - at) ** 2 for axis, at in zip(np.indices(shape), centre, strict=True)))


def cells(shape, seed: int, colour: float = 0.0, *, corner: bool = False):
    """Three soft discs or balls, or one in a corner, contrast 10, texture inside; and the same with noise of std 1."""
    rng = np.random.default_rng(seed)
    texture = ndimage.gaussian_filter(rng.standard_normal(shape), 2)
    if corner:
        places = [([0.75 * n for n in shape], 12.0)]
    else:
        places = [([rng.uniform(0.15 * n, 0.85 * n) for n in shape], rng.uniform(8, 13)) for _ in range(3)]
    inside = np.max([np.clip(radius - distance(shape, centre), 0, 1) for centre, radius in places], axis=0)
    truth = ndimage.gaussian_filter(inside * (10 + 3 * texture / texture.std()), 1.0)
    return truth, truth + grain(rng, shape, colour)


def filtered(truth, noisy):
    """Results that are well, by name."""
    return {
        "truth": truth,
        "gaussian 0.5": ndimage.gaussian_filter(noisy, 0.5),
        "gaussian 1": ndimage.gaussian_filter(noisy, 1.0),
        "median": ndimage.median_filter(noisy, 3),
        "identity": noisy,
        "a tenth of the noise": 0.9 * truth + 0.1 * noisy,
    }


@lru_cache(maxsize=32)
def simulated(shape, seed: int, **settings) -> tuple[Volume, Volume, Noise]:
    """Noisy and true phantom, and the noise as measured."""
    made = phantom.make(shape, seed=seed, settings=phantom.PhantomSettings(**settings))
    return made.noisy, made.truth, measure(made.noisy)


@lru_cache(maxsize=8)
def simulated_plane(shape, seed: int, std: float) -> tuple[Volume, Volume, Noise]:
    """The same of one plane, with white noise of its own."""
    made = phantom.make(shape, seed=seed, settings=phantom.PhantomSettings(noise_std=0, noise_colour="white"))
    truth = Volume(made.truth.read()[shape[0] // 2], "YX", made.truth.voxel_size_um[1:], "refractive index")
    white = np.random.default_rng(3).normal(0, std, truth.shape).astype(np.float32)
    noisy = truth.with_data(truth.read() + white)
    return noisy, truth, measure(noisy)


@lru_cache(maxsize=32)
def scene(seed: int, colour: str = "optical") -> tuple[Volume, Volume, Noise]:
    """Noisy, true, and the noise as measured: in 3D; seeds of 100 and above in 2D, discs in arbitrary units."""
    if seed < 100:
        return simulated((24, 96, 96), seed, noise_std=5e-3, noise_colour=colour, cells=4)
    rng, shape = np.random.default_rng(seed), (256, 256)
    truth = np.zeros(shape)
    for radius in rng.uniform(6, 24, 12):
        centre = rng.uniform(0, shape[0], 2)
        truth += rng.uniform(5, 30) * (distance(shape, centre) < radius)
    truth = ndimage.gaussian_filter(truth, 1)
    noisy = volume_of(500 + truth + 4 * grain(rng, shape, 0.8 if colour == "optical" else 0.0))
    return noisy, volume_of(500 + truth), measure(noisy)
