"""What the best linear filter leaves of a bead, against integrals of spectra that are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import grain, paired, white_noise

from meeum.auditing.linear import left_of_bead

SIGMA = 1.5


def left(image, noise, *, valid=None) -> float:
    pair = paired(image, image, noise=noise, **({} if valid is None else {"no_data": 0.0}))
    return left_of_bead(pair, pair.pieces[0], tuple(slice(0, n) for n in image.shape), sigma=SIGMA)


def by_hand(shape, coarse: float, strength: float) -> float:
    """Grain smoothed with a Gaussian of `coarse` voxels in white noise of 1: B S / (S + 1) over B."""
    squares = sum(line**2 for line in np.ix_(*(np.fft.fftfreq(n) for n in shape)))
    signal = np.exp(-4 * (np.pi * coarse) ** 2 * squares)
    signal *= strength**2 / signal.mean()
    bead = np.exp(-2 * (np.pi * SIGMA) ** 2 * squares)
    return float((bead * signal / (signal + 1)).sum() / bead.sum())


@pytest.mark.parametrize("shape", [(200, 180), (40, 60, 60)])
@pytest.mark.parametrize(("coarse", "strength"), [(6.0, 2.0), (2.0, 2.0), (1.0, 5.0)])
def test_it_is_the_wiener_filters(shape, coarse: float, strength: float) -> None:
    """Where little is left, noise that is taken for structure leaves more: it excuses too little, not too much."""
    rng = np.random.default_rng(1)
    image = strength * grain(rng, shape, coarse) + grain(rng, shape)
    found = left(image, white_noise(1.0, (16,) * len(shape)))
    hand = by_hand(shape, coarse, strength)
    assert hand - 0.02 < found < hand + 0.25 * (1 - hand)


def test_noise_alone_leaves_nearly_nothing_and_no_noise_all() -> None:
    image = grain(np.random.default_rng(2), (128, 128))
    assert left(image, white_noise(1.0, (16, 16))) < 0.1
    assert left(image, white_noise(1e-6, (16, 16))) == pytest.approx(1, abs=1e-6)


def test_the_colour_of_the_noise_counts() -> None:
    """White structure under noise that lies where beads do, or beyond."""
    rng = np.random.default_rng(3)
    sides = (128, 128)
    low = np.mean([np.abs(np.fft.rfft2(grain(rng, sides, 2.0))) ** 2 for _ in range(100)], axis=0) / 128**2
    high = np.maximum(2 - low, 0.05)
    structure = grain(rng, sides)
    found = []
    for spectrum in (low, high):
        noise = np.fft.irfft2(np.fft.rfft2(grain(rng, sides)) * np.sqrt(spectrum), s=sides)
        found.append(left(structure + noise, replace(white_noise(1.0, sides), spectrum=spectrum)))
    assert found[0] < 0.4 < found[1]


def test_a_region_that_is_too_small_excuses_nothing() -> None:
    image = grain(np.random.default_rng(4), (12, 12))
    assert left(image, white_noise(1.0, (8, 8))) == 1.0
