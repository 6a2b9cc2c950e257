"""Structure without support, and structure lost: found where planted, and not in true or mildly filtered results."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scenes import cells, distance, filtered, paired
from scipy import ndimage

from meeum.auditing.invented import invented

SHAPES = ((96, 96), (20, 48, 48))
scene = partial(cells, corner=True)


def doughnut(shape, centre, *, radius=5.0, contrast=2.0):
    """A ring of some contrast around an inverted centre."""
    apart = distance(shape, centre)
    return contrast * (
        np.exp(-0.5 * ((apart - radius) / 1.2) ** 2) - 0.7 * np.exp(-0.5 * (apart / (radius / 2.2)) ** 2)
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_four_of_five_doughnuts_are_found_at_their_place(shape):
    centre, caught = [round(0.35 * n) for n in shape], 0
    for seed in range(5):
        truth, noisy = scene(shape, seed)
        made, lost = invented(paired(noisy, truth + doughnut(shape, centre, radius=4.0 + 0.5 * seed)))
        near = any(np.linalg.norm(np.subtract(place.centre, centre)) < 9 for place in made.places)
        caught += made.verdict == "fail" and made.p_value < 1e-3 and near
        assert lost.verdict in ("pass", "cannot tell")
    assert caught >= 4


def test_what_is_found_is_described():
    truth, noisy = scene((96, 96), 0)
    made, _ = invented(paired(noisy, truth + doughnut((96, 96), (30, 30), contrast=4.0)))
    assert made.title == "structure without support in the input"
    assert 1.5 < made.effect < 6
    assert made.details["slopes"][0] < 0.5
    assert made.picture is not None
    row, column, radius = made.picture.marks[0]
    assert made.picture.values.shape[0] > row
    assert made.picture.values.shape[1] > column
    assert radius > 0
    assert "does not support" in made.sentence


def test_in_strongly_correlated_noise_a_faint_doughnut_cannot_be_told():
    truth, noisy = scene((96, 96), 1, colour=1.5)
    made, _ = invented(paired(noisy, truth + doughnut((96, 96), (30, 30), contrast=1.0)))
    assert made.verdict == "cannot tell"
    assert made.limit > made.bound


@pytest.mark.parametrize(("shape", "colour", "seeds"), [((96, 96), 0.0, 3), ((96, 96), 0.8, 2), ((12, 40, 40), 0.0, 1)])
def test_honest_results_raise_no_alarm(shape, colour, seeds):
    for seed in range(seeds):
        truth, noisy = scene(shape, 100 + seed, colour)
        for name, denoised in filtered(truth, noisy).items():
            for found in invented(paired(noisy, denoised)):
                assert found.verdict in ("pass", "cannot tell"), (name, seed, found.sentence)


def test_white_noise_leaves_no_doubt_in_a_volume():
    truth, noisy = scene((24, 48, 48), 5)
    made, lost = invented(paired(noisy, truth))
    assert (made.verdict, lost.verdict) == ("pass", "pass")
    assert made.limit < made.bound
    assert lost.limit < lost.bound


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("contrast", [5.0, -5.0])
def test_a_blob_that_the_output_lacks_is_lost(shape, contrast):
    truth, noisy = scene(shape, 2)
    centre = [round(0.3 * n) for n in shape]
    blob = contrast * np.exp(-0.5 * (distance(shape, centre) / 2.5) ** 2)
    made, lost = invented(paired(noisy + blob, truth))
    assert lost.verdict == "fail"
    assert made.verdict in ("pass", "cannot tell")
    assert np.linalg.norm(np.subtract(lost.places[0].centre, centre)) < 4
    assert "missing" in lost.sentence


@pytest.mark.parametrize("shape", SHAPES)
def test_a_flat_output_has_lost_the_cell_and_made_up_nothing(shape):
    _, noisy = scene(shape, 3)
    made, lost = invented(paired(noisy, np.full(shape, 3.0)))
    assert lost.verdict == "fail"
    assert made.effect == 0


def test_a_filter_far_too_wide_loses_structure():
    _, noisy = scene((96, 96), 4)
    _, lost = invented(paired(noisy, ndimage.gaussian_filter(noisy, 4.0)))
    assert lost.verdict == "fail"
    assert np.linalg.norm(np.subtract(lost.places[0].centre, (72, 72))) < 16


def test_voxels_without_data_are_no_structure():
    truth, noisy = (image + 50 for image in scene((96, 96), 1))
    hole = np.zeros(truth.shape, bool)
    hole[:, :25] = hole[60:, 20:40] = True
    empty = (np.where(hole, 0, image) for image in (noisy, truth))
    assert all(found.effect == 0 for found in invented(paired(*empty, no_data=0.0)))
    spoilt = truth + doughnut(truth.shape, (30, 50), contrast=4.0)
    made, _ = invented(paired(np.where(hole, 0, noisy), np.where(hole, 0, spoilt), no_data=0.0))
    assert made.verdict == "fail"


@pytest.mark.parametrize("shape", [(17, 18), (3, 24, 24)])
def test_small_images_do_not_crash(shape):
    noisy = np.random.default_rng(0).standard_normal(shape)
    for found in invented(paired(noisy, 0.5 * noisy)):
        assert found.verdict in ("pass", "cannot tell")


def test_where_the_noise_is_unknown_nothing_is_told():
    truth, noisy = scene((48, 48), 0)
    pair = paired(noisy, truth)
    found = invented(replace(pair, noise=replace(pair.noise, std=0.0)))
    assert [one.verdict for one in found] == ["cannot tell"] * 2
    assert all("noise" in one.reason for one in found)
