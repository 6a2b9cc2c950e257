"""Noise that was left in is named, and a residual that is noise passes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import grain, paired, scene, volume_of
from scipy import ndimage

from meeum import Volume
from meeum.auditing.finding import Finding
from meeum.auditing.leftover import Part, expected, leftover
from meeum.noise import Noise, measure


def findings(noisy: Volume, denoised, noise: Noise) -> list[Finding]:
    return leftover(paired(noisy, denoised, noise=noise))


@pytest.mark.parametrize("colour", ["white", "optical"])
@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4, 100, 101, 102, 103, 104])
def test_the_truth_left_no_noise_in(seed: int, colour: str) -> None:
    noisy, truth, noise = scene(seed, colour)
    level, alike = findings(noisy, truth.read(), noise)
    assert level.verdict == "pass" or (level.verdict == "cannot tell" and "known to" in level.reason)
    assert level.value == pytest.approx(1, abs=0.3) and level.interval[0] < 1 < level.interval[1]
    assert level.title == "noise taken out"  # of which 1 is all
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


def test_a_copy_has_nothing_taken_out_and_no_interval_beside_its_value() -> None:
    noisy, _, noise = scene(100, "white")
    level, _ = findings(noisy, noisy.read(), noise)
    assert level.verdict == "fail" and level.value == 0 and np.isnan(level.interval).all()


@pytest.mark.parametrize(
    ("excess", "words"),
    [(0, "about all of the noise"), (0.3, "structure may have been taken out"), (-0.3, "may have been left in")],
)
def test_the_sentence_says_what_the_share_means(excess: float, words: str) -> None:
    noisy, truth, noise = scene(100, "white")
    level, _ = findings(noisy, truth.read(), noise)
    scale = np.float32(np.sqrt((1 + excess) / level.value))
    level, _ = findings(noisy, noisy.read() - scale * (noisy.read() - truth.read()), noise)
    assert level.value == pytest.approx(1 + excess, rel=0.01) and words in level.sentence


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
    small = volume_of(np.random.default_rng(0).normal(0, 4, (9, 9)))
    for one in findings(small, np.zeros((9, 9)), noise):
        assert one.verdict == "cannot tell" and "too few voxels" in one.reason
    flat = volume_of(np.full((64, 64), 3))
    assert findings(flat, flat.read(), noise)[0].verdict == "fail"
    assert findings(flat, flat.read(), replace(noise, std=0.0))[0].verdict == "cannot tell"


def test_voxels_without_data_do_not_count() -> None:
    noisy, truth, noise = scene(101, "white")
    values = noisy.read()
    values[:80] = 0
    level, _ = findings(replace(noisy.with_data(values), no_data=0.0), truth.read(), noise)
    assert level.value == pytest.approx(1, abs=0.15)


def test_products_of_neighbours() -> None:
    values = np.array([[1, 2, 0, 4]], np.float32)
    part = Part(values, values > 0)
    assert part.product(1, 1) == (2.0, 1) and part.product(1, 2) == (8.0, 1) and part.product(0, 0) == (21.0, 3)


def test_the_noise_s_correlation_is_freed_of_the_window() -> None:
    rng = np.random.default_rng(2)
    noise = measure(volume_of(grain(rng, (256, 256), 1.5)))
    for lag in (1, 2):
        true = np.exp(-(lag**2) / (4 * 1.5**2))
        assert expected(noise, 0, lag) == pytest.approx(true, abs=0.06)
        assert abs(expected(noise, 0, lag) - true) < abs(noise.lag(0, lag) - true)
