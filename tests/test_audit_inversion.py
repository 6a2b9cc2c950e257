"""Inverted contrast: found where it is planted, and not in results that are true or mildly filtered."""

from dataclasses import replace

import numpy as np
import pytest
from scenes import cells, distance, filtered, paired
from scipy import ndimage

from meeum.auditing.inversion import inversion
from meeum.auditing.layers import FINE, SMOOTH, ball, layers
from meeum.auditing.surrogates import null_of

EDGES = {2: None, 3: (0.2, 0.1, 0.1)}
SHAPES = ((96, 96), (20, 48, 48))


def pair_of(noisy, denoised, **more):
    return paired(noisy, denoised, voxel_size_um=EDGES[noisy.ndim], **more)


def flipped(truth, radius):
    """The truth with its contrast inverted in a ball around its steepest place away from the border."""
    inside = np.zeros(truth.shape)
    core = tuple(slice(n // 5, n - n // 5) for n in truth.shape)
    inside[core] = np.abs(truth - ndimage.gaussian_filter(truth, 3))[core]
    centre = np.unravel_index(inside.argmax(), truth.shape)
    apart = distance(truth.shape, centre)
    return np.where(apart <= radius, 2 * truth[apart <= 2 * radius].mean() - truth, truth), centre


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(2))
def test_a_spot_of_inverted_contrast_is_found_at_its_place(shape, seed):
    truth, noisy = cells(shape, seed)
    denoised, centre = flipped(truth, 4)
    (found,) = inversion(pair_of(noisy, denoised))
    assert found.verdict == "fail"
    assert found.p_value < 1e-3
    assert found.effect > found.bound
    assert min(np.linalg.norm(np.subtract(place.centre, centre)) for place in found.places) < 6
    assert len(found.places) <= 20
    assert found.picture is not None
    assert found.picture.values.ndim == 2
    assert f"{found.effect:.1f} times the noise" in found.sentence


@pytest.mark.parametrize("shape", SHAPES)
def test_an_image_inverted_as_a_whole_is_said_to_be(shape):
    truth, noisy = cells(shape, 0)
    (found,) = inversion(pair_of(noisy, -truth))
    assert found.verdict == "fail"
    assert "throughout" in found.sentence or "changed places" in found.sentence


def test_cells_and_background_that_changed_places_are_found_though_edges_were_blurred_away():
    rng = np.random.default_rng(0)
    y, x = np.indices((256, 256))
    truth = 20 * np.exp(-((y - 128) ** 2 + (x - 128) ** 2) / (2 * 60**2))
    (found,) = inversion(pair_of(truth + rng.standard_normal(truth.shape), -truth))
    assert found.verdict == "fail"


@pytest.mark.parametrize(("shape", "colour", "seeds"), [((96, 96), 0.0, 3), ((96, 96), 0.8, 2), ((12, 40, 40), 0.0, 1)])
def test_honest_results_raise_no_alarm(shape, colour, seeds):
    for seed in range(seeds):
        truth, noisy = cells(shape, 100 + seed, colour)
        for name, denoised in (filtered(truth, noisy) | {"flat": np.zeros_like(noisy)}).items():
            (found,) = inversion(pair_of(noisy, denoised))
            assert found.verdict in ("pass", "cannot tell"), (name, seed, found.sentence)
            assert found.effect == 0


def test_white_noise_leaves_no_doubt_in_a_volume():
    truth, noisy = cells((24, 48, 48), 5)
    (found,) = inversion(pair_of(noisy, truth))
    assert found.verdict == "pass"
    assert found.limit < found.bound


def test_voxels_without_data_are_no_structure():
    truth, noisy = (image + 50 for image in cells((96, 96), 1))
    hole = np.zeros(truth.shape, bool)
    hole[:30, :40] = True
    (found,) = inversion(pair_of(np.where(hole, 0, noisy), np.where(hole, 0, truth), no_data=0.0))
    assert found.effect == 0
    turned, centre = flipped(truth, 5)
    assert not hole[centre]
    (found,) = inversion(pair_of(np.where(hole, 0, noisy), np.where(hole, 0, turned), no_data=0.0))
    assert found.verdict == "fail"
    assert not any(hole[tuple(int(c) for c in place.centre)] for place in found.places)


@pytest.mark.parametrize("shape", [(17, 18), (3, 24, 24)])
def test_small_images_do_not_crash(shape):
    rng = np.random.default_rng(0)
    noisy = rng.standard_normal(shape)
    (found,) = inversion(pair_of(noisy, 0.5 * noisy))
    assert found.verdict in ("pass", "cannot tell")


def test_where_the_noise_is_unknown_nothing_is_told():
    truth, noisy = cells((48, 48), 0)
    pair = pair_of(noisy, truth)
    (found,) = inversion(replace(pair, noise=replace(pair.noise, std=float("nan"))))
    assert found.verdict == "cannot tell"
    assert "noise" in found.reason


def test_the_same_pair_is_judged_the_same_twice():
    truth, noisy = cells((64, 64), 3)
    pair = pair_of(noisy, truth)
    assert inversion(pair)[0].limit == inversion(pair)[0].limit


@pytest.mark.parametrize("ratios", [(1.0, 1.0), (2.0, 1.0, 1.0), (4.3, 1.0, 1.0)])
def test_the_slope_is_the_factor_between_input_and_output(ratios):
    rng = np.random.default_rng(0)
    output = ndimage.gaussian_filter(rng.standard_normal((32,) * len(ratios)), 2).astype(np.float32)
    valid = np.ones(output.shape, bool)
    for factor in (-1.0, 0.0, 0.5, 1.0, 2.0):
        residual = np.float32(factor - 1) * output  # so that the input is factor times the output
        for layer in layers(output, residual, valid, ratios, boxes=FINE):
            assert np.allclose(layer.slope[layer.energy > 1e-10], factor, atol=1e-3)


def test_a_ball_of_twice_the_contrast_has_twice_the_amplitude():
    (gain, height), *_ = ball((1.0, 1.0), SMOOTH)
    y, x = np.ogrid[-24:25, -24:25]
    disc = 2 * np.clip(4.5 - np.hypot(y, x), 0, 1).astype(np.float32)
    layer = next(layers(disc, 0 * disc, np.ones(disc.shape, bool), (1.0, 1.0), boxes=SMOOTH))
    assert layer.amplitude.max() == pytest.approx(2 * gain, rel=1e-4)
    assert layer.output.max() == pytest.approx(2 * height, rel=1e-4)


def test_p_values_and_thresholds_of_the_null_are_inverse():
    truth, noisy = cells((64, 64), 3)
    null = null_of(pair_of(noisy, truth), FINE)
    for p_value in (0.05, 1e-3, 1e-6):
        assert null.p_value(null.threshold(p_value, 5000), 5000) == pytest.approx(p_value, rel=1e-3)
    assert 0 < null.rate <= 1
