"""The band limit: nothing is added where the input's spectrum is empty, and nothing changes elsewhere."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import scipy.fft

from meeum import api, band, phantom, predict
from meeum.noise import measure
from meeum.settings import assumed, override
from meeum.volume import Volume

SHAPE = (24, 64, 64)


@pytest.fixture(scope="module")
def made():
    return phantom.make(SHAPE, seed=1, settings=phantom.PhantomSettings(noise_std=2e-3))


@pytest.fixture(scope="module")
def noise(made):
    return measure(made.noisy)


def spectrum(image):
    return scipy.fft.rfftn(image.astype(float) - image.mean(dtype=float))


def spoiled(made, rng):
    """The truth with errors at every frequency, as a network makes them."""
    return (made.truth.read() + rng.normal(0, 1e-3, SHAPE)).astype(np.float32)


def test_no_empty_frequency_holds_more_than_the_input(made, noise, rng):
    image, noisy = spoiled(made, rng), made.noisy.read()
    before, power = np.abs(spectrum(image)) ** 2, np.abs(spectrum(noisy)) ** 2
    empty = power < band.EMPTY * noise.std**2 * noisy.size
    assert empty.mean() > 0.3 and before[empty].sum() > 4 * power[empty].sum()
    band.keep_within(image, noisy, noise)
    after = np.abs(spectrum(image)) ** 2
    assert after[empty].sum() <= 1.01 * power[empty].sum()
    np.testing.assert_allclose(after[~empty], before[~empty], rtol=0.02, atol=1e-3 * before.mean())


def test_the_missing_cone_stays_empty_and_the_result_comes_nearer_to_the_truth(made, noise, rng):
    image, truth = spoiled(made, rng), made.truth.read()
    outside = ~phantom.optical_support(SHAPE, made.optics)[..., : SHAPE[-1] // 2 + 1]
    error = np.square(image - truth).mean()
    band.keep_within(image, made.noisy.read(), noise)
    assert np.square(image - truth).mean() < 0.7 * error
    before, after = ((np.abs(spectrum(one)[outside]) ** 2).sum() for one in (made.noisy.read(), image))
    assert after <= 1.06 * before  # frequencies at the edge of the support are not quite empty


def test_a_result_that_adds_nothing_is_left_alone(made, noise):
    image = made.noisy.read()
    band.keep_within(image, made.noisy.read(), noise)
    np.testing.assert_allclose(image, made.noisy.read(), atol=1e-6)


def cut(made):
    """A part of the field, which does not repeat at its borders; and the truth there."""
    part = (slice(2, 22), slice(3, 57), slice(5, 60))
    return made.noisy.with_data(made.noisy.read(part)), made.truth.read(part)


def test_blocks_see_emptiness_where_a_frame_does_not_repeat(made, noise, rng):
    noisy, truth = cut(made)
    image = (truth + rng.normal(0, 1e-3, truth.shape)).astype(np.float32)
    errors = {"none": np.square(image - truth).mean()}
    for name, blocks in (("frame", False), ("both", True)):
        done = image.copy()
        band.keep_within(done, noisy.read(), noise)
        if blocks:
            band.keep_within_blocks(done, noisy, noise)
        errors[name] = np.square(done - truth).mean()
    assert errors["both"] < 0.85 * errors["frame"] < 0.85 * errors["none"]


@pytest.mark.parametrize("shape", [(24, 64, 64), (7, 33, 20), (1, 40, 40), (50, 47), (130, 30, 20)])
def test_blocks_equal_those_of_the_mirrored_frame(shape, noise, rng, monkeypatch):
    """Slab by slab, in place, as one by one on a copy with borders; a result that adds nothing is left alone."""
    monkeypatch.setattr(band, "BLOCK", 16)
    noisy = Volume(rng.normal(0, noise.std / 5, shape).astype(np.float32), "ZYX"[-len(shape) :])
    image = rng.normal(0, noise.std, shape).astype(np.float32)
    halves = [min(16, max(size, 2)) // 2 for size in shape]
    borders = [(half, 2 * half) for half in halves]
    before, after = (np.pad(one, borders, mode="reflect") for one in (noisy.read(), image))
    window = band._outer([band._window(2 * half) for half in halves])
    empty = band.EMPTY * noise.std**2 * float((window**2).sum())
    excess = np.zeros(after.shape)
    for corner in np.ndindex(*(-(-(size + half) // half) for size, half in zip(shape, halves, strict=True))):
        block = tuple(slice(c * h, c * h + 2 * h) for c, h in zip(corner, halves, strict=True))
        excess[block] += band._excess_of_block(before[block], after[block], window, empty)
    inner = tuple(slice(half, half + size) for half, size in zip(halves, shape, strict=True))
    expected = image - excess[inner]
    band.keep_within_blocks(image, noisy, noise)
    np.testing.assert_allclose(image, expected, atol=1e-6)
    assert not np.allclose(expected, after[inner], atol=1e-4)
    same = noisy.read()
    band.keep_within_blocks(same, noisy, noise)
    np.testing.assert_allclose(same, noisy.read(), atol=1e-7)


@pytest.mark.parametrize("blocks", [False, True])
def test_no_more_memory_is_taken_than_stated(noise, rng, monkeypatch, blocks):
    """Per voxel that is changed at a time, beyond the result; what is fainter than the noise is empty everywhere."""
    monkeypatch.setattr(band, "BLOCK", 16)
    result = rng.standard_normal((48, 192, 192), dtype=np.float32)
    noisy = Volume(1e-3 * noise.std * result, "ZYX")
    tracemalloc.start()
    if blocks:
        band.keep_within_blocks(result, noisy, noise)
    else:
        band.keep_within(result, noisy.read().copy(), noise)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    changed = result.size * (16 if blocks else 48) // 48
    assert 0.6 * band.BYTES < peak / changed <= band.BYTES


def test_white_noise_and_lack_of_memory_are_obstacles(made, noise):
    assert band.obstacle(made.noisy, noise, memory_gb=2) == ""
    flat = replace(noise, spectrum=np.ones_like(noise.spectrum))
    assert "white" in band.obstacle(made.noisy, flat, memory_gb=2)
    assert "memory_gb" in band.obstacle(made.noisy, noise, memory_gb=1e-4)
    assert band.obstacle(made.noisy, noise, memory_gb=1e-3, planes=8) == ""  # where not all 24 planes fit
    assert "8 planes" in band.obstacle(made.noisy, noise, memory_gb=1e-4, planes=8)
    assert "24 planes" in band.obstacle(made.noisy, noise, memory_gb=1e-3, planes=64)


@pytest.mark.parametrize("part", ["all", "with a hole"])
def test_prediction_keeps_within_the_band_where_all_was_measured(made, part):
    volume = made.noisy if part == "all" else made.noisy.with_data(np.where(np.arange(64) < 4, 0, made.noisy.read()))
    volume = volume if part == "all" else replace(volume, no_data=0.0)
    words = ["training.objective=auto", "training.steps=8", "training.precision=float32", "prediction.flips=False"]
    model = api.train(volume, override(assumed(SHAPE), words))
    free = replace(model, settings=model.settings.changed("prediction", band_limit=False))
    kept, unkept = (api.denoise(volume, m).read() for m in (model, free))
    if part == "all":
        by_hand = unkept.copy()
        band.keep_within(by_hand, volume.read(), model.noise)
        band.keep_within_blocks(by_hand, volume, model.noise)
        np.testing.assert_array_equal(kept, by_hand)
        assert not np.array_equal(kept, unkept)
    else:  # only the blocks that begin in the middle hold nothing of the hole
        np.testing.assert_array_equal(kept[..., :32], unkept[..., :32])
        assert not np.array_equal(kept[..., 32:], unkept[..., 32:])


def test_who_asked_for_the_band_limit_or_the_means_is_told_where_memory_does_not_allow_them(made, monkeypatch):
    words = ["training.objective=auto", "training.steps=1", "prediction.flips=False"]
    model = api.train(made.noisy, override(assumed(SHAPE), words))
    assert predict.left_out(made.noisy, model) == ()
    scarce = replace(model, settings=model.settings.changed("prediction", memory_gb=1e-4))
    told = predict.left_out(made.noisy, scarce)
    assert len(told) == 2 and all("prediction.memory_gb allows 0.0001" in one for one in told)
    assert told[0].startswith("local means are not kept") and told[1].startswith("the band limit is not kept")
    monkeypatch.setattr(band, "BLOCK", 8)
    less = replace(model, settings=model.settings.changed("prediction", memory_gb=1e-3))
    assert predict.left_out(made.noisy, less)[1].startswith("the band limit is kept in blocks only: 24 planes")
    unasked = replace(scarce, settings=scarce.settings.changed("prediction", band_limit=False, keep_means=0.0))
    assert predict.left_out(made.noisy, unasked) == ()
