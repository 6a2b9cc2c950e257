"""Local means: errors over long distances go, next to none of the noise comes back, and slabs equal the whole."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage

from meeum import api, means, phantom
from meeum.settings import assumed, override
from meeum.volume import Volume

SHAPE = (24, 48, 56)
SIGMA = 5.0


@pytest.fixture
def pair(rng):
    """A denoised image with an error that is slow along y, and the noisy one."""
    truth = scipy.ndimage.gaussian_filter(rng.standard_normal(SHAPE), 2).astype(np.float32)
    drift = np.sin(2 * np.pi * np.arange(SHAPE[1]) / 48)[:, None].astype(np.float32)
    return truth, (truth + drift).astype(np.float32), (truth + rng.standard_normal(SHAPE)).astype(np.float32)


def test_slow_errors_go_and_next_to_none_of_the_noise_comes_back(pair):
    truth, denoised, noisy = pair
    result = denoised.copy()
    means.keep(result, Volume(noisy, "ZYX"), SIGMA)
    assert np.square(denoised - truth).mean() > 0.4
    # White noise over a Gaussian: its variance over (4 pi sigma²)^(3/2), some times that at the borders; of a wave of
    # 48 voxels a share of 1 - exp(-2 pi² sigma² / 48²) stays, 0.19 of the amplitude.
    assert np.square(result - truth).mean() < 0.19**2 / 2 + 0.01


def test_what_is_fine_stays_as_it_is(rng):
    noisy = np.zeros(SHAPE, np.float32)
    fine = (0.1 * (-1.0) ** np.arange(SHAPE[2]) * np.ones(SHAPE)).astype(np.float32)
    result = fine.copy()
    means.keep(result, Volume(noisy, "ZYX"), SIGMA)
    np.testing.assert_allclose(result[..., 20:-20], fine[..., 20:-20], atol=1e-4)


@pytest.mark.parametrize("planes", [1, 5, 23])
@pytest.mark.parametrize("shape", [SHAPE, (64, 40)])
def test_slabs_equal_the_whole(rng, monkeypatch, planes, shape):
    values = rng.standard_normal((2, *shape)).astype(np.float32)
    values[0][rng.random(shape) < 0.2] = 0
    noisy = Volume(values[0], "ZYX"[-len(shape) :], no_data=0.0)
    whole, slabs = values[1].copy(), values[1].copy()
    means.keep(whole, noisy, SIGMA)
    monkeypatch.setattr(means, "SLAB", planes * values[0].size // shape[0])
    means.keep(slabs, noisy, SIGMA)
    np.testing.assert_allclose(slabs, whole, atol=1e-6)
    assert not np.array_equal(whole, values[1])


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_no_more_memory_is_taken_than_stated(rng, monkeypatch, share):
    """Per voxel of a slab and of what the Gaussian reaches, beyond the result, with or without unmeasured voxels."""
    values = rng.standard_normal((100, 80, 80), dtype=np.float32)
    values[rng.random(values.shape) < share] = 0
    result = np.ones_like(values)
    monkeypatch.setattr(means, "SLAB", 30 * 80 * 80)
    tracemalloc.start()
    means.keep(result, Volume(values, "ZYX", no_data=0.0), SIGMA)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    seen = (30 + 2 * 20) * 80 * 80
    assert 0.6 * means.BYTES < peak / seen <= means.BYTES


def test_voxels_without_data_count_for_nothing_and_stay(pair):
    truth, denoised, noisy = pair
    hole = np.zeros(SHAPE, bool)
    hole[:, 20:28] = True
    noisy[hole], denoised[hole] = np.nan, np.nan
    result = denoised.copy()
    means.keep(result, Volume(noisy, "ZYX", no_data=float("nan")), SIGMA)
    assert np.isnan(result[hole]).all() and np.isfinite(result[~hole]).all()
    beside = np.zeros(SHAPE, bool)
    beside[:, 17:20] = beside[:, 28:31] = True
    assert np.square(result - truth)[beside].mean() < 0.2 * np.square(denoised - truth)[beside].mean()


def test_a_constant_that_is_missed_comes_back_whole_beside_a_hole(rng):
    noisy = np.full(SHAPE, 3, np.float32)
    noisy[:, :10] = 0
    result = np.where(noisy == 0, 0, 1).astype(np.float32)
    means.keep(result, Volume(noisy, "ZYX", no_data=0.0), SIGMA)
    np.testing.assert_allclose(result, noisy, atol=1e-5)


def test_auto_keeps_the_means_of_volumes_and_prediction_does_it():
    made = phantom.make((16, 48, 48), seed=1, settings=phantom.PhantomSettings(noise_std=2e-3))
    words = ["training.steps=4", "training.precision=float32", "prediction.flips=False", "prediction.band_limit=False"]
    model = api.train(made.noisy, override(assumed(made.noisy.shape), words))
    assert model.settings.prediction.keep_means == 5
    off = replace(model, settings=model.settings.changed("prediction", keep_means=0.0))
    kept, plain = (api.denoise(made.noisy, one).read() for one in (model, off))
    by_hand = plain.copy()
    means.keep(by_hand, made.noisy, 5)
    np.testing.assert_array_equal(kept, by_hand)
    residuals = [made.noisy.read() - image for image in (kept, plain)]
    slow = [np.square(scipy.ndimage.gaussian_filter(one, 8)).mean() for one in residuals]
    assert slow[0] < 0.3 * slow[1]


def test_a_background_of_counts_keeps_its_mean(rng):
    """Asked with less noise than it was trained with, a network lifts it by a tenth of the noise and more."""
    rows, columns = np.indices((96, 128))
    true = 100 + 50 * (np.hypot(rows - 48, columns - 90) < 20)
    noisy = Volume(rng.poisson(true).astype(np.float32), "YX")
    model = api.train(noisy, override(assumed((96, 128)), ["training.steps=60", "network.width=8"]))
    assert (model.settings.training.objective, model.settings.prediction.keep_means) == ("thinning", 8)
    background = np.hypot(rows - 48, columns - 90) > 30
    moved = (api.denoise(noisy, model).read() - noisy.read())[background].mean()
    assert abs(moved) < 0.02 * np.sqrt(100)


def test_a_plane_of_coloured_noise_keeps_none(rng):
    noise = scipy.ndimage.gaussian_filter(rng.standard_normal((96, 96)), 0.8).astype(np.float32)
    model = api.train(Volume(noise, "YX"), override(assumed((96, 96)), ["training.steps=1", "network.width=4"]))
    assert (model.settings.training.objective, model.settings.prediction.keep_means) == ("recorrupted", 0)


def test_what_was_chosen_is_kept():
    made = phantom.make((16, 48, 48), seed=1, settings=phantom.PhantomSettings(noise_std=2e-3))
    for words, kept in (["prediction.keep_means=0"], 0), (["prediction.keep_means=3"], 3):
        model = api.train(made.noisy, override(assumed(made.noisy.shape), ["training.steps=1", *words]))
        assert model.settings.prediction.keep_means == kept
    words = ["training.steps=1", "training.objective=masked", "masking.mask_size=7"]
    assert not api.train(made.noisy, override(assumed(made.noisy.shape), words)).settings.prediction.keep_means
