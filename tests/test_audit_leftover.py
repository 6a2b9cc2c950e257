"""Noise that was left in is named, and a residual that is noise passes."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from scipy import ndimage

from meeum import Volume, phantom
from meeum.auditing.finding import Finding
from meeum.auditing.leftover import Part, expected, leftover
from meeum.auditing.pair import gather
from meeum.noise import Noise, measure


@lru_cache(maxsize=32)
def scene(seed: int, colour: str) -> tuple[Volume, Volume, Noise]:
    """Noisy, true, and the noise as measured: in 3D; seeds of 100 and above in 2D."""
    if seed < 100:
        settings = phantom.PhantomSettings(noise_std=5e-3, noise_colour=colour, cells=4)
        made = phantom.make((24, 96, 96), seed=seed, settings=settings)
        return made.noisy, made.truth, measure(made.noisy)
    rng, size = np.random.default_rng(seed), 224
    y, x = np.indices((size, size))
    truth = np.zeros((size, size))
    for _ in range(9):
        row, column = rng.uniform(0, size, 2)
        truth += rng.uniform(5, 30) * (np.hypot(y - row, x - column) < rng.uniform(6, 24))
    truth, noise = ndimage.gaussian_filter(truth, 1), rng.standard_normal(truth.shape)
    if colour == "optical":
        noise = ndimage.gaussian_filter(noise, 0.8, mode="wrap")
    noisy, clean = (Volume((i).astype(np.float32), "YX") for i in (truth + 4 * noise / noise.std(), truth))
    return noisy, clean, measure(noisy)


def findings(noisy: Volume, denoised, noise: Noise) -> list[Finding]:
    return leftover(gather(noisy, noisy.with_data(np.asarray(denoised, np.float32)), noise=noise))


@pytest.mark.parametrize("colour", ["white", "optical"])
@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4, 100, 101, 102, 103, 104])
def test_the_truth_left_no_noise_in(seed: int, colour: str) -> None:
    noisy, truth, noise = scene(seed, colour)
    level, alike = findings(noisy, truth.read(), noise)
    assert level.verdict == "pass" or (level.verdict == "cannot tell" and "known to" in level.reason)
    assert level.value == pytest.approx(1, abs=0.3) and level.interval[0] < 1 < level.interval[1]
    assert alike.verdict in ("pass", "cannot tell") and abs(alike.value) < 0.15


@pytest.mark.parametrize("colour", ["white", "optical"])
@pytest.mark.parametrize("seed", [0, 100])
@pytest.mark.parametrize("left", [1.0, 0.9, 0.7, 0.5, 0.3])
def test_noise_left_in_is_measured(seed: int, colour: str, left: float) -> None:
    noisy, truth, noise = scene(seed, colour)
    level, alike = findings(noisy, truth.read() + left * (noisy.read() - truth.read()), noise)
    share = (1 - left) ** 2
    assert level.verdict == "fail" and level.value == pytest.approx(share, rel=0.35, abs=1e-6)
    if left >= 0.7:
        assert "Hardly denoised" in level.sentence and f"{100 * level.value:.2g} %" in level.sentence
    else:
        assert "Noise was left in" in level.sentence
    assert (alike.verdict, alike.reason) == ("cannot tell", "nothing was taken out") or left < 1


def test_a_weak_filter_takes_out_grain_only() -> None:
    noisy, _, noise = scene(100, "white")
    level, alike = findings(noisy, ndimage.gaussian_filter(noisy.read(), 0.5), noise)
    assert level.verdict == "fail" and level.value < 0.4
    assert alike.verdict == "warn" and alike.value < -0.15 and "finest grain" in alike.sentence


def test_structure_that_was_taken_out_shows() -> None:
    noisy, truth, noise = scene(100, "white")
    field = ndimage.gaussian_filter(np.random.default_rng(7).standard_normal(noisy.shape), 3)
    level, alike = findings(noisy, truth.read() - 1.2 * noise.std * field / field.std(), noise)
    assert level.value > 1.4 and level.verdict == "fail" and "structure was lost" in level.sentence
    assert alike.verdict == "warn" and "structure may" in alike.sentence


def test_little_is_said_where_the_noise_is_hardly_known() -> None:
    noisy, truth, noise = scene(0, "white")
    half = 0.5 * (noisy.read() + truth.read())
    for doubtful in (replace(noise, uncertainty=0.3), replace(noise, evidence=0.0)):
        assert findings(noisy, half, doubtful)[0].verdict in ("cannot tell", "warn")
        level, alike = findings(noisy, truth.read(), doubtful)
        assert level.verdict == alike.verdict == "cannot tell" and "known to" in level.reason
        assert findings(noisy, noisy.read(), doubtful)[0].verdict == "fail"  # nothing at all was taken out


def test_tiny_and_constant_images() -> None:
    noise = scene(100, "white")[2]
    small = Volume(np.random.default_rng(0).normal(0, 4, (9, 9)).astype(np.float32), "YX")
    for one in findings(small, np.zeros((9, 9)), noise):
        assert one.verdict == "cannot tell" and "too few voxels" in one.reason
    flat = Volume(np.full((64, 64), 3, np.float32), "YX")
    assert findings(flat, flat.read(), noise)[0].verdict == "fail"
    assert findings(flat, flat.read(), replace(noise, std=0.0))[0].verdict == "cannot tell"


def test_voxels_without_data_do_not_count() -> None:
    noisy, truth, noise = scene(101, "white")
    values, clean = noisy.read() + 500, truth.read() + 500
    values[:80], clean[80:] = 0, clean[80:]
    holed = replace(noisy.with_data(values), no_data=0.0)
    level, _ = leftover(gather(holed, truth.with_data(clean), noise=noise))
    assert level.value == pytest.approx(1, abs=0.15)


def test_products_of_neighbours() -> None:
    values = np.array([[1, 2, 0, 4]], np.float32)
    part = Part(values, values > 0)
    assert part.product(1, 1) == (2.0, 1) and part.product(1, 2) == (8.0, 1) and part.product(0, 0) == (21.0, 3)


def test_the_noise_s_correlation_is_freed_of_the_window() -> None:
    rng = np.random.default_rng(2)
    image = ndimage.gaussian_filter(rng.standard_normal((256, 256)), 1.5, mode="wrap")
    noise = measure(Volume(image.astype(np.float32), "YX"))
    for lag in (1, 2):
        true = np.exp(-(lag**2) / (4 * 1.5**2))
        assert expected(noise, 0, lag) == pytest.approx(true, abs=0.06)
        assert abs(expected(noise, 0, lag) - true) < abs(noise.lag(0, lag) - true)
