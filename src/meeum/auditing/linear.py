"""What the best linear filter would leave: of beads that differ from everything else an image holds, no more is due."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy import ndimage

from meeum.auditing.pair import Pair, Piece
from meeum.auditing.transfer import lengths, spectrum, taper
from meeum.volume import Region

Array = NDArray[Any]

WIDTH = 1 / 64  # sigma of the Gaussian that smooths spectra, cycles per voxel


def left_of_bead(pair: Pair, piece: Piece, region: Region, *, sigma: float) -> float:
    """Share of a Gaussian bead's height, 0 to 1, after S / (S + N) of that region (Wiener 1949), S + N its spectrum.

    It is what the spectra of the noisy image and of its noise tell alone; a little too much where little is left, as
    what noise adds by chance is taken for structure. 1 where the region is too small to tell.
    """
    window = taper(piece.valid[region], pair.ratios)
    if window is None:
        return 1.0
    power = _smooth(np.abs(spectrum(piece.noisy[region], window)) ** 2, window.shape)
    strength = float(((piece.level[region] * window) ** 2).sum())
    noise = _smooth(strength * pair.noise.spectrum_on(window.shape), window.shape)
    kept = np.maximum(1 - noise / np.maximum(power, np.finfo(np.float32).tiny), 0)
    bead = _bead(window.shape, sigma)
    return float((bead * kept).sum() / bead.sum())


def _smooth(half: Array, shape: tuple[int, ...]) -> Array:
    """A half spectrum; its last axis is mirrored at both ends, which is nearly what the other half holds."""
    modes = ["wrap"] * (half.ndim - 1) + ["mirror"]
    return np.asarray(ndimage.gaussian_filter(half, [n * WIDTH for n in shape], mode=modes))


def _bead(shape: tuple[int, ...], sigma: float) -> Array:
    """Half spectrum of a Gaussian bead in the middle of nothing, each frequency as often as the whole one has it."""
    last = scipy.fft.rfftfreq(shape[-1])
    twice = np.where((last == 0) | (last == 0.5), 1, 2)
    return np.asarray(np.exp(-2 * (np.pi * sigma * lengths(shape, [1.0] * len(shape))) ** 2) * twice)
