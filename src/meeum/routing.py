"""Routing: which objective the measured noise asks for, and why, in one sentence."""

from __future__ import annotations

import numpy as np

from meeum.noise import Noise
from meeum.noise.measure import TRAINED
from meeum.noise.noise import FEW
from meeum.patches import Normalisation
from meeum.settings import NetworkSettings, Settings

Ints = tuple[int, ...]

DRAWING = ("recorrupted", "sure")  # objectives that draw noise like the measured one
WIDE = 8  # voxels along y and x that pairs of neighbours need
UNKNOWN = 0.3  # relative error of the level above which training with it does more harm than good
NEAR = 3  # lags, voxels, at which directions are looked for
UNLIKE = 0.1  # difference of correlations that is not chance
STRONG = 0.15  # coloured noise, over the image's standard deviation, that the network for detail would keep
DETAILED = 3.0  # power over that of strong coloured noise at fine frequencies of a plane, from which detail is kept
FINE_WIDTH = {2: 32, 3: 16}  # by the number of axes
FLIPPED = 20_000_000  # voxels above which the four or eight passes cost more minutes than they are worth
MEANS = {2: 8.0, 3: 5.0}  # voxels: over longer distances a network's error is larger than the noise's mean
BATCH = {2: 4, 3: 1}  # patches, each with z and -z


def route(
    settings: Settings, noise: Noise | None, normalisation: Normalisation, *, voxels: int = 0
) -> tuple[Settings, str]:
    """Replace `objective = auto` by what suits the noise, with the network and the turns that go with it.

    Where an objective was chosen that draws noise, no more than the turns that suit it. `voxels` are those of the
    image: small ones are denoised as a mean over flips, others over two passes.
    """
    if settings.training.objective != "auto" or noise is None:
        return _chosen(settings, noise), ""
    small = voxels < FLIPPED
    if noise.is_impulsive and noise.is_white:
        return _impulsive(settings, noise, small), (
            f"masked (median, absolute loss): few voxels are far off (tails {noise.tails:.1f}, 1 for Gaussian noise); "
            "the others are kept as far as the noise beside them allows"
        )
    if noise.is_white and noise.photons < FEW:
        reason = f"thinning: the noise is that of few photons (about {noise.photons:.2g} per voxel)"
        return _thinned(settings, noise, small), reason
    if noise.is_white and noise.uncertainty > UNKNOWN and min(noise.sides[-2:]) >= WIDE:
        settings = fine(_passes(settings.changed("training", objective="neighbours"), small), noise)
        return settings, f"neighbours: the noise is white, but {_known(noise)} only"
    if noise.is_white and noise.is_counted:
        reason = f"thinning: the noise is white, stronger where the signal is, as that of counting, and {_known(noise)}"
        return fine(_thinned(settings, noise, small), noise), reason
    directions = directed(noise)
    settings = _recorrupted(settings, noise, directions, small)
    if noise.is_white or noise.std < STRONG * normalisation.scale:
        settings = fine(settings, noise)
    elif len(noise.sides) == 2 and noise.detail > DETAILED:
        settings = _with_skip(settings)
    return settings, _sentence(noise, directions)


def _chosen(settings: Settings, noise: Noise | None) -> Settings:
    """What somebody chose; where noise is drawn, with the turns that suit it."""
    return _turned(settings, noise) if noise and settings.training.objective in DRAWING else settings


def _thinned(settings: Settings, noise: Noise, small: bool) -> Settings:
    return _with_means(_passes(settings.changed("training", objective="thinning"), small), noise)


def _recorrupted(settings: Settings, noise: Noise, directions: str, small: bool) -> Settings:
    settings = _turned(settings.changed("training", objective="recorrupted"), noise)
    if settings.training.batch is None:
        settings = settings.changed("training", batch=BATCH[len(noise.sides)])
    return _with_means(_passes(settings, small and not directions), noise)


def _turned(settings: Settings, noise: Noise) -> Settings:
    """Patches are turned only where the noise stays what it is, since what is drawn for them is not turned."""
    directions = directed(noise)
    turn = "".join(axis for axis in settings.training.turn if axis not in directions) or "none"
    return settings.changed("training", turn=turn, swap=settings.training.swap and not anisotropic(noise))


def _with_means(settings: Settings, noise: Noise) -> Settings:
    """Over how far the noisy image's means are kept, where nobody has chosen."""
    if settings.prediction.keep_means is not None:
        return settings
    plane_of_long_waves = len(noise.sides) == 2 and not noise.is_white  # there the noise's mean is the larger one
    return settings.changed("prediction", keep_means=0.0 if plane_of_long_waves else MEANS[len(noise.sides)])


def _passes(settings: Settings, sensible: bool) -> Settings:
    """Whether the estimate is a mean over flips, or of two displaced passes at least, where nobody has chosen."""
    chosen = settings.prediction
    flips = sensible if chosen.flips is None else chosen.flips
    displaced = not flips if chosen.displaced is None else chosen.displaced
    return settings.changed("prediction", flips=flips, displaced=displaced)


def fine(settings: Settings, noise: Noise) -> Settings:
    """The network that keeps detail; where coloured noise is strong it would keep the noise's long correlations too."""
    if settings.network != NetworkSettings():  # somebody chose
        return settings
    return settings.changed("network", network="shuffle", width=FINE_WIDTH[len(noise.sides)])


def _with_skip(settings: Settings) -> Settings:
    """Fine detail stands above coloured noise, as in photographs: the finest level is passed across."""
    if settings.network != NetworkSettings():  # somebody chose
        return settings
    return settings.changed("network", top_skip=True)


def directed(noise: Noise) -> str:
    """Axes along which the noise looks different when flipped, as oblique streaks do."""
    axes = "ZYX"[-len(noise.sides) :]
    reach = [min(NEAR, (side - 1) // 2) for side in noise.sides]
    near = tuple(slice(side // 2 - r, side // 2 + r + 1) for side, r in zip(noise.sides, reach, strict=True))
    middle = noise.correlation()[near]
    return "".join(axis for number, axis in enumerate(axes) if _differs(middle, np.flip(middle, number)))


def anisotropic(noise: Noise) -> bool:
    """Whether neighbours along y are correlated unlike neighbours along x, as in streaks."""
    y, x = len(noise.sides) - 2, len(noise.sides) - 1
    return any(abs(noise.lag(y, distance) - noise.lag(x, distance)) > UNLIKE for distance in (1, 2))


def _differs(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.abs(one - other).sum() > 0.5 * np.abs(one).sum())


def _impulsive(settings: Settings, noise: Noise, small: bool) -> Settings:
    settings = settings.changed("masking", masking="median", mask_size=(5,), footprint=(0,))
    settings = settings.changed("training", objective="masked", loss="absolute")
    if settings.prediction.mixing is None:  # voxels that are not far off are mostly right as they are
        settings = settings.changed("prediction", mixing=True)
    return _passes(settings, small)


def fitting(settings: Settings, frame: Ints) -> Settings:
    """A window chosen here, narrower along axes on which the frame or the patch is shorter."""
    patch, sizes = settings.training.patch, settings.masking.mask_size
    if not patch or not sizes:
        return settings
    sizes = sizes * len(frame) if len(sizes) == 1 else sizes
    sides = zip(sizes, frame, patch, strict=True)
    window = tuple(min(size, n if n % 2 else n - 1, 2 * side - 1) for size, n, side in sides)
    return settings.changed("masking", mask_size=window)


def _sentence(noise: Noise, directions: str) -> str:
    axes = "zyx"[-len(noise.sides) :]
    lags = ", ".join(f"{noise.lag(number):.2f} along {axis}" for number, axis in enumerate(axes))
    parts = ["white" if noise.is_white else f"correlated between neighbours ({lags})"]
    if noise.follows == "signal":
        parts.append("stronger where the signal is" if noise.gain > 0 else "weaker where the signal is")
    if noise.follows == "place":
        parts.append("of a level that varies over the field")
    if anisotropic(noise) or directions:
        parts.append("with a direction")
    return f"recorrupted: the noise is {', '.join(parts)}, and {_known(noise)}"


def _known(noise: Noise) -> str:
    if noise.source == TRAINED:
        return "its level is what a first training bore out"
    return f"its level is known to {noise.uncertainty:.0%}"
