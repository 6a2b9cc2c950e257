"""Lattices: planted ones are found, as strong as they are, and laid at the right door; none in what is clean."""

from functools import lru_cache

import numpy as np
import pytest
from scenes import paired, volume_of
from scipy.ndimage import gaussian_filter, median_filter

from meeum import phantom
from meeum.auditing.lattice import lattice
from meeum.auditing.pair import gather
from meeum.auditing.shift import shift_test
from meeum.auditing.tails import fit_tail
from meeum.noise import measure
from meeum.volume import Volume

SIGMA, SHAPE, DEEP = 1.0, (12, 160, 160), (24, 64, 64)


def smooth(shape, seed):
    """A texture without fine structure, two sigma strong."""
    field = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 10, mode="wrap")
    return 2 * SIGMA * field / field.std()


@lru_cache(maxsize=4)
def case(shape=SHAPE, seed=0):
    truth = smooth(shape, seed)
    noise = np.random.default_rng([seed, 1]).standard_normal(shape)
    white = measure(volume_of(noise))
    return truth, truth + SIGMA * noise, white


def cosine(shape, period, axis=-1):
    place = np.arange(shape[axis]).reshape([-1 if a == axis % len(shape) else 1 for a in range(len(shape))])
    return np.broadcast_to(np.cos(2 * np.pi * place / period + 0.3), shape)


def audited(noisy, denoised, noise, denoise=None):
    found = lattice(paired(noisy, denoised, noise=noise, denoise=denoise))
    return {one.title.removeprefix("lattice ").split()[0]: one for one in found}


@pytest.mark.parametrize("period", [2, 3, 4, 8, 9.14])
def test_a_lattice_is_laid_at_the_right_door(period):
    truth, noisy, noise = case()
    wave = 0.05 * SIGMA * cosine(SHAPE, period)
    size = 0.05 * abs(np.cos(0.3)) if period == 2 else 0.05
    made = audited(noisy, truth + wave, noise)["made"]
    assert made.verdict == "fail" and "the method made it" in made.sentence
    assert made.value == pytest.approx(size, rel=0.25)
    assert made.details["waves"][0]["period"] == pytest.approx(period, rel=0.01)
    assert made.details["waves"][0]["direction"] == "along x"
    found = audited(noisy + wave, truth + wave, noise)
    assert found["made"].verdict == "pass"
    assert found["in"].verdict == "warn" and "already" in found["in"].sentence
    assert found["in"].details["waves"][0]["period"] == pytest.approx(period, rel=0.01)


def test_a_lattice_that_grew_is_amplified_and_one_taken_out_is_not_held_against_the_method():
    truth, noisy, noise = case()
    wave = SIGMA * cosine(SHAPE, 4, axis=-2)
    grown = audited(noisy + 0.1 * wave, truth + 0.3 * wave, noise)
    assert grown["made"].verdict == "fail" and "in the noisy image" in grown["made"].sentence
    assert grown["made"].value == pytest.approx(0.3 - 1.1 * 0.1, abs=0.03)
    gone = audited(noisy + 0.1 * wave, truth, noise)
    assert gone["made"].verdict == "pass"
    assert gone["in"].verdict == "pass" and "took it out" in gone["in"].sentence


def test_directions_in_three_dimensions_and_in_images():
    truth, noisy, noise = case()
    both = 0.1 * SIGMA * cosine(SHAPE, 4, -1) * cosine(SHAPE, 4, -2)
    made = audited(noisy, truth + both, noise)["made"]
    assert made.verdict == "fail" and made.details["waves"][0]["direction"] == "oblique, in y and x"
    truth, noisy, noise = case(DEEP)
    made = audited(noisy, truth + 0.1 * SIGMA * cosine(DEEP, 3, 0), noise)["made"]
    assert made.verdict == "fail" and made.details["waves"][0]["direction"] == "along z"
    truth, noisy, noise = case((256, 240))
    made = audited(noisy, truth + 0.05 * SIGMA * cosine((256, 240), 3, -2), noise)["made"]
    assert made.verdict == "fail" and made.details["waves"][0]["direction"] == "along y"
    row, column, _ = made.picture.marks[0]
    assert (row, column) == pytest.approx((128 + 256 / 3, 120), abs=1) or row == pytest.approx(128 - 256 / 3, abs=1)
    assert made.picture.values.shape == (256, 240)


@pytest.mark.parametrize("denoise", [None, lambda v: gaussian_filter(v, 0.7), lambda v: median_filter(v, 3)])
def test_honest_results_are_not_accused(denoise):
    for seed in range(3):
        settings = phantom.PhantomSettings(
            noise_std=(3e-4, 1e-3, 5e-3)[seed], noise_colour=("white", "optical")[seed % 2]
        )
        made = phantom.make((16, 64, 64), seed=seed, settings=settings)
        volume, plane = made.noisy.read(), made.noisy.read()[8]
        for noisy, truth in ((volume, made.truth.read()), (plane, made.truth.read()[8])):
            noise = measure(volume_of(noisy))
            found = audited(noisy, truth if denoise is None else denoise(noisy), noise)
            assert found["made"].verdict in ("pass", "cannot tell"), found["made"].sentence
            assert found["in"].verdict != "fail"


def test_the_truth_passes():
    for shape in (DEEP, (256, 256)):
        for seed in range(3):
            truth, noisy, noise = case(shape, seed)
            assert audited(noisy, truth, noise)["made"].verdict == "pass"
    truth, noisy, noise = case((40, 40))
    assert audited(noisy, noisy, noise)["made"].verdict == "pass"


def test_a_lattice_of_random_signs_and_copied_voxels_are_found():
    truth, noisy, noise = case(DEEP)
    spots = np.zeros(DEEP)
    spots[:, ::4, ::4] = 0.2 * SIGMA * np.random.default_rng(3).choice([-1, 1], spots[:, ::4, ::4].shape)
    made = audited(noisy, truth + spots, noise)["made"]
    assert made.verdict == "fail" and made.details["waves"][0]["field"] != "values"
    assert made.details["waves"][0]["period"] == pytest.approx(4, rel=0.02)
    assert audited(noisy + spots, truth + spots, noise)["made"].verdict == "pass"
    copies = np.repeat(np.repeat(gaussian_filter(noisy, 1)[:, ::2, ::2], 2, 1), 2, 2)
    found = audited(noisy, copies, noise)["made"]
    assert found.verdict == "fail" and found.details["waves"][0]["period"] == pytest.approx(2, rel=0.06)


def pooled(values):
    """Means of 2 x 2 voxels, copied back: a network of stride 2."""
    sides = [n - n % 2 for n in values.shape[-2:]]
    part = values[..., : sides[0], : sides[1]]
    mean = (part[..., ::2, ::2] + part[..., 1::2, ::2] + part[..., ::2, 1::2] + part[..., 1::2, 1::2]) / 4
    found = values.copy()
    found[..., : sides[0], : sides[1]] = np.repeat(np.repeat(mean, 2, -2), 2, -1)
    return found


def stained(values):
    """Every third column is a little bright."""
    found = gaussian_filter(values, 1)
    found[..., ::3] += 0.3 * SIGMA
    return found


@pytest.mark.parametrize("shape", [(24, 56, 56), (140, 150)])
def test_what_does_not_move_with_its_input_fails_the_shift_test(shape):
    truth, noisy, noise = case(shape)
    calls = []

    def counted(values):
        calls.append(values.shape)
        return gaussian_filter(values, 1)

    passed = shift_test(paired(noisy, truth, noise=noise, denoise=counted))
    assert passed.verdict == "pass" and passed.limit < 1e-2
    assert len(calls) <= 2 * noisy.ndim and all(np.prod(one) <= 48**3 for one in calls)
    for denoise, period in ((pooled, 2), (stained, 3)):
        found = shift_test(paired(noisy, truth, noise=noise, denoise=denoise))
        assert found.verdict == "fail" and found.details["period"] == pytest.approx(period, rel=0.03)
    # The sum of cosines that makes every third column bright: an amplitude of 2/3 of the stain.
    assert found.value == pytest.approx(2 / 3 * 0.3, rel=0.2)
    assert "shift" in audited(noisy, truth, noise, denoise=counted)


def test_where_nothing_can_be_told_it_is_said():
    rng = np.random.default_rng(0)
    for shape in ((20, 20), (3, 30, 40), (1, 64)):
        noisy = rng.standard_normal(shape)
        found = audited(noisy, noisy * 0.5, case()[2], denoise=lambda v: v)
        assert {one.verdict for one in found.values()} == {"cannot tell"} and all(one.reason for one in found.values())
    flat = np.full((64, 64), 1.337)
    noise = measure(volume_of(rng.standard_normal((64, 64))))
    assert audited(flat, flat, noise)["made"].verdict in ("pass", "cannot tell")
    assert audited(flat + rng.standard_normal(flat.shape), flat, noise)["made"].verdict in ("pass", "cannot tell")


def test_voxels_without_data_and_several_frames():
    truth, noisy, noise = case()
    y, x = np.mgrid[:160, :160]
    disc = np.broadcast_to(np.hypot(y - 80, x - 80) < 76, SHAPE)
    wave = 0.1 * SIGMA * cosine(SHAPE, 4)
    for result, verdict in ((truth, "pass"), (truth + wave, "fail")):
        holed = [np.where(disc, one + 50, 0) for one in (noisy, result)]
        assert lattice(paired(*holed, noise=noise, no_data=0))[0].verdict == verdict
    film = [Volume(np.stack([one[4], one[8]]).astype(np.float32), "TYX") for one in (noisy, truth + 4 * wave)]
    found = lattice(gather(*film, noise=measure(film[0])))[0]
    assert found.verdict == "fail" and found.details["waves"][0]["period"] == pytest.approx(4, rel=0.02)


def test_the_law_of_independent_bins_is_exponential():
    rng = np.random.default_rng(0)
    radius = rng.uniform(0, 0.5, 50_000)
    law = fit_tail(rng.exponential(size=radius.size), radius, np.ones(radius.size, bool))
    fresh = law.chance(rng.exponential(size=400_000).astype(np.float32), rng.uniform(0, 0.5, 400_000))
    for chance in (1e-2, 1e-3, 1e-4):
        assert 0.4 * chance < np.mean(fresh < chance) < 1.5 * chance
    assert law.chance(np.array([20.0]), np.array([0.2]))[0] < 1e-6
    assert law.chance(np.array([law.needed(1e-5, 0.2)]), np.array([0.2]))[0] == pytest.approx(1e-5, rel=0.01)
