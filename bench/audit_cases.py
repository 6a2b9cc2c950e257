"""What `audit_calibration.py` judges: images whose truth is known, their noise, and filters that do no harm."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import scipy.fft
import scipy.ndimage

from meeum import phantom
from meeum.volume import Volume

IMAGES = ("volume", "slice", "projection", "texture")
NOISES = ("white", "optical", "strong", "signal")
HARM = 1.5  # standard deviations of the noise: detail that a result may lack and still be well
FILTERS = ("truth", "gaussian", "median", "mixture", "wiener")
LATTICES = (False, True)
CYCLE = len(IMAGES) * len(NOISES) * len(FILTERS) * len(LATTICES)
STRIDE = 67  # shares no factor with the cycle: the first few cases hold some of everything
LEVELS = (3e-4, 5e-3)  # refractive index
CONTRAST = 0.02  # of a texture
STRONG = 1.5  # voxels: sigma of the Gaussian that noise is smoothed with; neighbours correlate by 0.9
PERIODS = (3, 4, 8, 9.14)
IN_INPUT = 0.3  # amplitude of the lattice that the input has, standard deviations of the noise


def case(index):
    """What image, noise and filter a number stands for."""
    left, chosen = index * STRIDE % CYCLE, {}
    for key, choices in (("image", IMAGES), ("noise", NOISES), ("filter", FILTERS), ("lattice", LATTICES)):
        left, place = divmod(left, len(choices))
        chosen[key] = choices[place]
    return chosen


@dataclass(frozen=True)
class Case:
    """A true image, a noisy one of it and a filter's result; `harm`: what the filter does to the truth, in `level`."""

    truth: Volume
    noisy: Volume
    clean: Volume
    level: float  # root mean square of the noise
    harm: float


def make(chosen, rng):
    """Where a fixed filter would take visible detail away, the noise is raised until it hides that."""
    truth, optics = subject(chosen["image"], rng)
    values, level = truth.read().astype(float), float(np.exp(rng.uniform(*np.log(LEVELS))))
    spectrum = power(chosen["noise"], values.shape, optics)
    if chosen["filter"] in FIXED:
        apply = FIXED[chosen["filter"]](truth, rng)
        level = max(level, moved(apply, values) / HARM)
    else:
        apply = FITTED[chosen["filter"]](values, level**2 * values.size * spectrum / spectrum.mean())
    noisy = values + disturbance(values, level, chosen, spectrum, rng)
    images = (truth.with_data(image.astype(np.float32)) for image in (noisy, apply(noisy)))
    return Case(truth, *images, level, moved(apply, values) / level)


def moved(apply, values):
    """How far a filter moves the true values, all but one in a thousand."""
    return float(np.quantile(np.abs(apply(values) - values), 0.999))


def disturbance(values, level, chosen, spectrum, rng):
    """Noise and, where there is one, the lattice."""
    noise = level * phantom.coloured_noise(spectrum, rng)
    if chosen["noise"] == "signal":
        variance = 0.3 + np.clip((values - values.min()) / (np.quantile(values, 0.99) - values.min()), 0, 2)
        noise *= np.sqrt(variance / variance.mean())
    if not chosen["lattice"]:
        return noise
    y, x = np.ogrid[tuple(slice(n) for n in values.shape[-2:])]
    period, shifts = rng.choice(PERIODS), rng.uniform(0, 2 * np.pi, 2)
    waves = [np.cos(2 * np.pi * at / period + shift) for at, shift in zip((y, x), shifts, strict=True)]
    return noise + IN_INPUT * level * sum(waves)


def subject(image, rng):
    """A volume of 24x96x96 voxels, a plane or the maximum projection of a larger one, or a smooth random field.

    The field has empty places: one that is the same everywhere cannot be told from noise, by anybody.
    """
    name = str(rng.choice(list(phantom.OPTICS)))
    optics, seed = phantom.OPTICS[name], int(rng.integers(2**31))
    if image == "texture":
        field = scipy.ndimage.gaussian_filter(rng.standard_normal((192, 192)), rng.uniform(2, 5), mode="wrap")
        patches = scipy.ndimage.gaussian_filter(rng.standard_normal((192, 192)), 24, mode="wrap")
        values = 1.35 + CONTRAST / 2 * field / field.std() * smoothstep(patches / patches.std())
        return Volume(values.astype(np.float32), "YX", optics.voxel_size_um[1:]), optics
    settings = phantom.PhantomSettings(optics=name, noise_std=0, cells=1 if image == "volume" else 3)
    truth = phantom.make((24, 96, 96) if image == "volume" else (24, 192, 192), seed=seed, settings=settings).truth
    if image == "volume":
        return truth, optics
    volume = truth.read()
    plane = volume[12] if image == "slice" else volume.max(axis=0)  # noise comes later: projecting it would shift it
    return replace(truth, data=plane, axes="YX", voxel_size_um=optics.voxel_size_um[1:]), optics


def smoothstep(values):
    """0 below 0, 1 above 1, smooth between."""
    share = np.clip(values, 0, 1)
    return share**2 * (3 - 2 * share)


def power(noise, shape, optics):
    """Spectrum of the noise on the grid of the image; of a plane, that of the optics' support in plane."""
    if noise == "optical":
        return phantom.optical_support((1,) * (3 - len(shape)) + shape, optics).reshape(shape) + 0.01
    if noise == "strong":
        lines = np.ix_(*[scipy.fft.fftfreq(n) for n in shape])
        return np.exp(-((2 * np.pi * STRONG) ** 2) * sum(line**2 for line in lines)) + 1e-3
    return np.ones(shape)


def gaussian(truth, rng):
    """Sigma 0.5 to 0.8 pixels, along z as long in µm."""
    width = rng.uniform(0.5, 0.8)
    sigma = [width * min(truth.voxel_size_um) / edge for edge in truth.voxel_size_um]
    return lambda image: scipy.ndimage.gaussian_filter(image, sigma, mode="reflect")


def median(truth, rng):
    """3 by 3 in each plane: along z a voxel is longer than the droplets."""
    return lambda image: scipy.ndimage.median_filter(image, (1, 3, 3)[-len(truth.shape) :])


def wiener(values, noise):
    """The best linear filter (Wiener 1949), for the noise or, till it does no harm, a quarter of it again and again."""
    mean, level = values.mean(), np.sqrt(noise.mean() / values.size)
    signal = scipy.ndimage.uniform_filter(np.abs(scipy.fft.fftn(values - mean)) ** 2, 5, mode="wrap")
    for share in 0.5 ** np.arange(0, 20, 2):
        gain = signal / (signal + share * noise)
        apply = partial(filtered, gain=gain, mean=mean)
        if moved(apply, values) <= HARM * level:
            break
    return apply


def filtered(image, gain, mean):
    return scipy.fft.ifftn(scipy.fft.fftn(image - mean) * gain).real + mean


FIXED = {"gaussian": gaussian, "median": median}
FITTED = {
    "truth": lambda values, noise: lambda image: values,
    "mixture": lambda values, noise: lambda image: 0.9 * values + 0.1 * image,
    "wiener": wiener,
}
