"""The residual against the measured noise: a good denoiser agrees, each wrong one is named."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage

from meeum import Volume, phantom
from meeum.audit import residual
from meeum.noise import measure


@pytest.fixture(scope="module")
def made() -> phantom.Phantom:
    return phantom.make((32, 128, 128), seed=1, settings=phantom.PhantomSettings(noise_std=4e-3))


def test_the_truth_agrees(made: phantom.Phantom) -> None:
    found = residual(made.noisy, made.truth, measure(made.noisy))
    assert found is not None and found.agrees and "looks like the noise" in found.sentence
    assert found.level == pytest.approx(1, abs=0.08)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda v: scipy.ndimage.gaussian_filter(v, 6), "more was taken out"),
        (lambda v: v, "noise was left in"),
        (lambda v: scipy.ndimage.gaussian_filter(v, 0.55), "noise was left in"),
    ],
)
def test_wrong_ones_are_named(made: phantom.Phantom, damage, words: str) -> None:
    after = made.noisy.with_data(damage(made.noisy.read()).astype(np.float32) + np.float32(1e-9))
    found = residual(made.noisy, after, measure(made.noisy))
    assert found is None or (not found.agrees and words in found.sentence)


def test_white_noise_taken_out_of_coloured_is_unlike_it(made: phantom.Phantom) -> None:
    white = np.random.default_rng(0).normal(0, 4e-3, made.noisy.shape).astype(np.float32)
    found = residual(made.noisy, made.noisy.with_data(made.noisy.read() - white), measure(made.noisy))
    assert found is not None and not found.agrees and "unlike the noise" in found.sentence


def test_voxels_without_data_do_not_count() -> None:
    values = np.random.default_rng(5).normal(1.337, 1e-3, (96, 96)).astype(np.float32)
    values[:40] = 0
    holed = Volume(values, "YX", no_data=0)
    found = residual(holed, holed.with_data(np.where(values > 0, np.float32(1.337), 0)), measure(holed))
    assert found is not None and found.agrees
