"""The predictable share against cases with a known answer."""

import numpy as np
import pytest
import scipy.fft

from meeum import phantom
from meeum.errors import UsageError
from meeum.noise import Noise, measure
from meeum.noise.share import predictable_share, sharpened, smallest_footprint
from meeum.volume import Volume

SIDES = (32, 32, 32)
FOOTPRINTS = ((0, 0, 0), (1, 1, 1), (2, 2, 2))


def as_measured(power):
    """Noise of the full power spectrum `power`, blurred as windowed blocks are: a taper of its autocorrelation."""
    covariance = np.fft.ifftn(power).real
    for axis, side in enumerate(power.shape):
        turn = np.cos(2 * np.pi * np.arange(side) / side)
        taper = (2 / 3 + turn / 3) * (1 / 3 + 2 * turn / 3)
        covariance = covariance * taper.reshape([-1 if a == axis else 1 for a in range(power.ndim)])
    spectrum = np.fft.fftn(covariance).real[..., : power.shape[-1] // 2 + 1]
    return noise_of(spectrum / covariance.flat[0], power.shape)


def noise_of(spectrum, sides):
    return Noise(1.0, spectrum, sides, "nothing", (), 0.0, 0.0, "a test", 1.0, 0.0, 0.0, 1.0)


def autoregressive(rho, sides):
    """Power of an autoregressive process of first order along the last axis, white along the others."""
    along = 1 / (1 - 2 * rho * np.cos(2 * np.pi * np.fft.fftfreq(sides[-1])) + rho**2)
    return np.broadcast_to(along, sides)


@pytest.mark.parametrize("sides", [(32, 32), (8, 24, 24), (1, 32, 32)])
def test_white_noise_gives_nothing_away(sides):
    white = noise_of(np.ones((*sides[:-1], sides[-1] // 2 + 1)), sides)
    assert [predictable_share(white, (half,) * len(sides)) for half in (0, 1, 2)] == pytest.approx([0, 0, 0], abs=1e-9)
    assert smallest_footprint(white) == (0,) * len(sides)


@pytest.mark.parametrize("rho", [0.2, 0.5, 0.8])
def test_autoregressive_noise_gives_away_what_theory_says(rho):
    """Both neighbours k steps off recover rho^2k 2 / (1 + rho^2k) of the variance, whatever lies behind them."""
    noise = as_measured(autoregressive(rho, (8, 32, 32)))
    assert predictable_share(noise, (0, 0, 0)) == pytest.approx(1 - (1 - rho**2) / (1 + rho**2), abs=0.01)
    for half in (1, 2, 3):
        known = 2 * rho ** (2 * half + 2) / (1 + rho ** (2 * half + 2))
        assert predictable_share(noise, (2, 1, half)) == pytest.approx(known, abs=0.015), half


def test_smallest_footprint_hides_no_more_than_it_must():
    noise = as_measured(autoregressive(0.5, (8, 32, 32)))  # 0.40, 0.118, 0.031
    assert smallest_footprint(noise) == (0, 0, 2)
    assert smallest_footprint(noise, 0.2) == (0, 0, 1)
    assert smallest_footprint(as_measured(autoregressive(0.95, (8, 32, 32)))) is None


def test_a_single_wave_is_all_predictable():
    power = np.full((16, 16), 1e-9)
    power[0, 3] = power[0, -3] = 1
    spectrum = power[:, :9] / power.mean()
    assert predictable_share(noise_of(spectrum, (16, 16)), (2, 2)) > 0.97


def test_directions_count_each_for_itself():
    noise = as_measured(autoregressive(0.8, (8, 32, 32)))
    assert predictable_share(noise, (3, 3, 0)) == pytest.approx(predictable_share(noise, (0, 0, 0)), abs=0.01)


def test_hiding_the_whole_block_leaves_nothing_to_predict_from():
    assert predictable_share(as_measured(autoregressive(0.8, (8, 16))), (4, 8)) == pytest.approx(0, abs=1e-9)


def conditional_share(power, footprint):
    """By brute force: the Gaussian conditional on every voxel of the periodic block outside the box."""
    sides = power.shape
    covariance = np.fft.ifftn(power).real
    places = np.indices(sides).reshape(len(sides), -1)
    full = covariance[tuple((places[:, :, None] - places[:, None]) % np.reshape(sides, (-1, 1, 1)))]
    off = [np.minimum(line, side - line) for line, side in zip(places, sides, strict=True)]
    seen = np.any([line > half for line, half in zip(off, footprint, strict=True)], axis=0)
    known = full[0, seen] @ np.linalg.solve(full[np.ix_(seen, seen)], full[seen, 0])
    return known / full[0, 0]


def test_brute_force_agrees():
    y, x = np.meshgrid(np.fft.fftfreq(24), np.fft.fftfreq(24), indexing="ij")
    power = np.exp(-((12 * y) ** 2) - (9 * x) ** 2 - 20 * x * y) + 0.02  # smooth, with a direction
    for footprint in ((0, 0), (0, 1), (1, 1), (2, 1)):
        expected = conditional_share(power, footprint)
        assert 0.05 < expected < 0.99
        assert predictable_share(as_measured(power), footprint) == pytest.approx(expected, abs=0.03), footprint


@pytest.mark.parametrize(
    ("optics", "known"),  # of a block of 64 voxels a side that is not blurred, computed in the same periodic way
    [("ht-2h", (0.945, 0.892, 0.677)), ("ht-x1", (0.922, 0.469, 0.199))],
)
def test_optical_noise_is_predictable(optics, known):
    """The sharp edges of the support are seen blurred: right for one voxel, too low for boxes."""
    noise = as_measured(phantom.optical_support(SIDES, phantom.OPTICS[optics]) + 0.01)
    shares = [predictable_share(noise, box) for box in ((0, 0, 0), (1, 1, 1), (2, 2, 2))]
    assert shares[0] == pytest.approx(known[0], abs=0.05)
    for share, right in zip(shares[1:], known[1:], strict=True):
        assert 0.4 * right < share < right + 0.03
    assert shares[0] > shares[1] > shares[2]


def test_sharpening_restores_correlations():
    power = autoregressive(0.8, SIDES)
    blurred = as_measured(power)
    assert blurred.lag(2, 4) < 0.9 * 0.8**4
    for distance in (1, 2, 4, 6):
        assert sharpened(blurred).lag(2, distance) == pytest.approx(0.8**distance, abs=0.015)
    counts = np.full(blurred.spectrum.shape, 2.0)
    counts[..., [0, -1]] = 1
    assert (sharpened(blurred).spectrum * counts).sum() / np.prod(SIDES) == pytest.approx(1)


def test_measured_noise_gives_away_as_much(rng):
    """The whole way: 0.5 along x, from a volume of nothing but noise."""
    values = phantom.coloured_noise(autoregressive(0.5, (16, 96, 96)), rng)
    noise = measure(Volume(values, "ZYX"))
    assert predictable_share(noise, (0, 0, 0)) == pytest.approx(0.4, abs=0.02)
    assert predictable_share(noise, (0, 0, 1)) == pytest.approx(0.118, abs=0.02)
    assert scipy.fft.irfftn(sharpened(noise).spectrum, s=noise.sides).flat[0] == pytest.approx(1)


@pytest.mark.parametrize("footprint", [(1, 1), (0, -1, 0)])
def test_a_footprint_that_does_not_fit_is_refused(footprint):
    white = noise_of(np.ones((8, 8, 5)), (8, 8, 8))
    with pytest.raises(UsageError, match="3 half-widths of 0 or more"):
        predictable_share(white, footprint)
