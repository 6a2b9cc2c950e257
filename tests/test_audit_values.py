"""Values stay where they were: planted shifts, gains and losses are found, and chance is not taken for one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import paired, scene
from scipy import ndimage, stats

from meeum import Volume, phantom
from meeum.auditing.amounts import apart
from meeum.auditing.finding import Finding, Kind
from meeum.auditing.judge import judge
from meeum.auditing.means import Estimate, cell_means, cell_sums, judged, masked_mean, widening
from meeum.auditing.pair import Pair, gather
from meeum.auditing.values import values
from meeum.noise import Noise, measure

SHAPE = (24, 96, 96)
STD = 5e-3
ALWAYS = {"offset", "gain", "range", "mean of cells", "mean of background", "voxels without data"}


def pair_of(seed: int, damage=lambda truth: truth, *, colour: str = "optical") -> Pair:
    noisy, truth, noise = scene(seed, colour)
    return paired(noisy, damage(truth.read()), noise=noise)


def findings(pair: Pair) -> dict[str, Finding]:
    return {one.title: one for one in values(pair)}


def test_salt_and_pepper_pull_the_contrast_of_the_input_not_of_the_result() -> None:
    """The truth itself as the result: nothing fails; exact facts are still told, and so is inverted contrast."""
    truth = 100 + 50 * ndimage.gaussian_filter(np.random.default_rng(0).standard_normal((192, 192)), 6) * 20
    rng = np.random.default_rng(1)
    values_, chance = truth + rng.normal(0, 1, truth.shape), rng.random(truth.shape)
    noisy = Volume(np.where(chance < 0.08, 255, values_).astype(np.float32), "YX")
    found = judge(gather(noisy, noisy.with_data(truth.astype(np.float32))))
    assert found.verdict in ("pass", "cannot tell") and found.noise is not None and found.noise.is_lopsided
    untold = {one.title: one.reason for one in found.findings if one.verdict == "cannot tell"}
    assert all("far off" in untold[title] for title in ("offset", "gain", "range"))
    upside_down = judge(gather(noisy, noisy.with_data((2 * truth.mean() - truth).astype(np.float32))))
    assert "inverted contrast" in {one.title for one in upside_down.findings if one.verdict == "fail"}


@pytest.mark.parametrize("colour", ["white", "optical"])
@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4, 100, 101, 102, 103, 104])
def test_truth_and_mild_filters_do_not_fail(seed: int, colour: str) -> None:
    noisy, truth, noise = scene(seed, colour)
    for image in (truth.read(), ndimage.gaussian_filter(noisy.read(), 0.5), noisy.read()):
        found = findings(gather(noisy, noisy.with_data(image), noise=noise))
        assert set(found) >= ALWAYS
        assert not [one for one in found.values() if one.verdict == "fail"]
        assert found["offset"].verdict == "pass"


@pytest.mark.parametrize("seed", [0, 100])
@pytest.mark.parametrize("colour", ["white", "optical"])
@pytest.mark.parametrize("shift", [0.15, -0.15])
def test_an_offset_is_found_and_measured(seed: int, colour: str, shift: float) -> None:
    noise = scene(seed, colour)[2]
    found = findings(pair_of(seed, lambda truth: truth + shift * noise.std, colour=colour))["offset"]
    assert found.verdict == "fail" and found.value == pytest.approx(shift, abs=0.04)
    assert found.interval[0] < shift < found.interval[1] or abs(found.value - shift) < 0.02
    assert found.picture is not None and found.picture.values.ndim == 2


@pytest.mark.parametrize("seed", [0, 1, 100, 101])
@pytest.mark.parametrize(("factor", "verdicts"), [(1.1, {"fail"}), (0.9, {"fail"}), (1.05, {"fail", "warn"})])
def test_a_gain_is_found_and_measured(seed: int, factor: float, verdicts: set[str]) -> None:
    found = findings(pair_of(seed, lambda truth: truth.mean() + factor * (truth - truth.mean())))["gain"]
    assert found.verdict in verdicts and found.value == pytest.approx(factor, abs=0.02)


def test_blur_is_not_taken_for_gain() -> None:
    for seed in (0, 100):
        assert findings(pair_of(seed, lambda truth: ndimage.gaussian_filter(truth, 1)))["gain"].verdict == "pass"


def test_a_gain_that_noise_hides_is_not_passed() -> None:
    noisy = Volume(np.random.default_rng(0).normal(0, 1, (96, 96)).astype(np.float32), "YX")
    weak = ndimage.gaussian_filter(np.random.default_rng(1).normal(0, 1, (96, 96)), 6).astype(np.float32)
    assert findings(gather(noisy, noisy.with_data(weak)))["gain"].verdict == "cannot tell"


def test_a_wider_range_is_found_and_placed() -> None:
    def overshoot(truth):
        image = truth.copy()
        image[7, 30, 40] = 1.7
        return image

    found = findings(pair_of(0, overshoot))["range"]
    assert found.verdict == "fail" and found.value > 1.5
    assert found.places[0].centre == (7, 30, 40) and found.places[0].strength > 0.2
    stretched = findings(pair_of(100, lambda truth: truth.mean() + 4 * (truth - truth.mean())))["range"]
    assert stretched.verdict == "fail" and stretched.details["percentile ratio"] > 1.5


def test_drift_from_plane_to_plane() -> None:
    shifts = np.random.default_rng(3).normal(0, 0.5 * STD, (SHAPE[0], 1, 1))
    found = findings(pair_of(0, lambda truth: truth + shifts))
    assert found["drift between planes"].verdict == "fail"
    expected = (shifts.ravel() - np.median(shifts)) / scene(0)[2].std
    assert np.corrcoef(found["drift between planes"].details["shifts"], expected)[0, 1] > 0.97
    assert "drift between planes" not in findings(pair_of(100))


def test_one_plane_that_moved_is_found_among_all() -> None:
    def moved(truth):
        image = truth.copy()
        image[9] -= 0.5 * STD
        return image

    found = findings(pair_of(1, moved))["drift between planes"]
    assert found.verdict == "fail" and int(np.argmin(found.details["shifts"])) == 9
    assert found.value * scene(1)[2].std == pytest.approx(-0.5 * STD, rel=0.25)


def test_flicker_of_the_input_that_is_taken_out_is_no_drift() -> None:
    noisy, truth, noise = scene(2)
    flicker = np.random.default_rng(4).normal(0, 0.5 * STD, (SHAPE[0], 1, 1)).astype(np.float32)
    pair = gather(noisy.with_data(noisy.read() + flicker), truth, noise=noise)
    assert findings(pair)["drift between planes"].verdict != "fail"


def test_frames_that_drift() -> None:
    rng = np.random.default_rng(5)
    truth = np.tile(ndimage.gaussian_filter(rng.normal(0, 100, (64, 64)), 4), (6, 1, 1)).astype(np.float32)
    noisy = Volume(truth + rng.normal(0, 1, truth.shape).astype(np.float32), "TYX")
    noise = measure(noisy)
    drifting = truth.copy()
    drifting[4] += 1
    still, moved = (findings(gather(noisy, noisy.with_data(v), noise=noise)) for v in (truth, drifting))
    assert still["drift between frames"].verdict != "fail" and "drift between planes" not in still
    assert moved["drift between frames"].verdict == "fail" and "frame" in moved["drift between frames"].sentence


def weak_noise(seed: int = 3) -> tuple[phantom.Phantom, Noise]:
    made = phantom.make(SHAPE, seed=seed, settings=phantom.PhantomSettings(noise_std=2e-4, noise_colour="white"))
    return made, replace(measure(made.noisy), std=2e-4, follows="nothing")


def test_dry_mass_and_the_mean_of_cells() -> None:
    made, noise = weak_noise()
    truth, medium = made.truth.read(), made.optics.medium_index
    for factor in (1.02, 0.98):
        changed = medium + factor * (truth - medium)
        found = findings(gather(made.noisy, made.noisy.with_data(changed), noise=noise))["dry mass"]
        assert found.verdict == "fail" and found.value == pytest.approx(100 * (factor - 1), abs=0.2)
        ratio = found.details["mass after (pg)"] / found.details["mass before (pg)"]
        assert ratio == pytest.approx(factor, abs=0.002)
    found = findings(gather(made.noisy, made.noisy.with_data(truth + np.float32(4e-4)), noise=noise))
    assert found["mean of cells"].verdict == found["mean of background"].verdict == "fail"
    assert found["mean of cells"].value == pytest.approx(4e-4, abs=5e-5) and found["mean of cells"].unit == "RI"
    found = findings(gather(made.noisy, made.noisy.with_data(truth + np.float32(1.3e-4)), noise=noise))
    assert found["mean of cells"].verdict == "warn"
    found = findings(gather(made.noisy, made.truth, noise=noise))
    assert found["dry mass"].verdict == found["mean of cells"].verdict == found["mean of background"].verdict == "pass"


@pytest.mark.parametrize(
    ("value", "words"),
    [(-0.5004, "-0.5004"), (-0.4996, "-0.4996"), (0.50002, "+0.50002"), (0.5, "+0.50"), (1.234, "+1.23")],
)
def test_a_number_near_its_bound_has_the_digits_to_tell_its_side(value: float, words: str) -> None:
    assert apart(value, 0.5) == words


def test_dry_mass_says_from_where_on_it_is_warned_of() -> None:
    made, noise = weak_noise()
    found = findings(gather(made.noisy, made.truth, noise=noise))["dry mass"]
    assert "more than 0.25 % is worth a warning, more than 0.5 % fails" in found.sentence


def test_dry_mass_says_what_it_lacks() -> None:
    made, noise = weak_noise()
    for missing in ({"medium_index": None}, {"voxel_size_um": None}):
        found = findings(gather(replace(made.noisy, **missing), made.truth, noise=noise))["dry mass"]
        assert found.verdict == "cannot tell" and "medium" in found.reason
    assert "dry mass" not in findings(pair_of(100))


def test_cells_and_background_elsewhere_count_in_noise() -> None:
    found = findings(pair_of(101, lambda truth: truth + 1.2, colour="white"))
    assert found["mean of background"].verdict == "fail" and found["mean of background"].unit == "sigma"
    assert found["mean of background"].value == pytest.approx(0.3, abs=0.05)


def test_voxels_without_data_stay_so() -> None:
    made, noise = weak_noise()
    values_, truth = made.noisy.read(), made.truth.read()
    values_[:, :30], truth[:, :30] = 0, 0
    noisy = replace(made.noisy.with_data(values_), no_data=0.0)
    found = findings(gather(noisy, noisy.with_data(truth), noise=noise))
    assert found["voxels without data"].verdict == "pass"
    filled, lost = truth.copy(), truth.copy()
    filled[3, 5, 6:10] = 1.337
    lost[3, 50, 6:9] = np.nan
    for image, key, count in ((filled, "filled", 4), (lost, "lost", 3)):
        for no_data in (0.0, None):
            after = replace(noisy.with_data(image), no_data=no_data)
            one = findings(gather(noisy, after, noise=noise))["voxels without data"]
            assert one.verdict == "fail" and one.value == count and one.details[key] == count


def test_voxel_size_and_storage() -> None:
    noisy, truth, noise = scene(0)
    changes = {"voxel_size_um": (0.2, 0.095, 0.095), "stored_dtype": "uint8"}
    for key, value in changes.items():
        found = findings(gather(noisy, replace(truth, **{key: value}), noise=noise))["voxel size and storage"]
        assert found.verdict == "fail" and found.value == 1
    for same in ({"stored_dtype": "uint16"}, {"voxel_size_um": None}, {"voxel_size_um": (0.19, 0.09500001, 0.095)}):
        found = findings(gather(noisy, replace(truth, **same), noise=noise))["voxel size and storage"]
        assert found.verdict == "pass"


@pytest.mark.parametrize("shape", [(4, 4), (7, 9), (1, 40), (3, 6, 6), (1, 24, 24), (2, 8, 40)])
def test_tiny_images_are_not_passed_by_ignorance(shape: tuple[int, ...]) -> None:
    noise = scene(100)[2] if len(shape) == 2 else scene(0)[2]
    image = np.random.default_rng(0).normal(1, noise.std, shape).astype(np.float32)
    noisy = Volume(image, "ZYX"[-len(shape) :])
    found = findings(gather(noisy, noisy.with_data(np.full_like(image, 1)), noise=noise))
    assert found["gain"].verdict == "cannot tell" and found["gain"].reason
    assert not [one for one in found.values() if one.verdict == "fail"]


def test_constant_images() -> None:
    noise = scene(100)[2]
    flat = Volume(np.full((64, 64), 3.0, np.float32), "YX")
    assert findings(gather(flat, flat, noise=noise))["range"].verdict == "cannot tell"
    noisy = flat.with_data(np.random.default_rng(0).normal(3, 4, (64, 64)).astype(np.float32))
    assert findings(gather(noisy, flat, noise=noise))["gain"].verdict == "cannot tell"
    assert findings(gather(noisy, flat, noise=replace(noise, std=0.0)))["range"].value == 0


def test_cells_of_voxels_and_their_means() -> None:
    image = np.arange(35, dtype=np.float32).reshape(5, 7)
    sums = cell_sums(image, (2, 3))
    assert sums.shape == (3, 3)
    assert sums[0, 0] == image[:2, :3].sum() and sums[2, 2] == image[4, 6] and sums[1, 2] == image[2:4, 6].sum()
    valid = np.ones((5, 7), dtype=bool)
    valid[:2, :3] = False
    means = cell_means(np.where(valid, image, 0), valid, (2, 3))
    assert np.isnan(means[0, 0]) and means[0, 1] == image[:2, 3:6].mean() and np.isnan(means[2, 2])


@pytest.mark.parametrize("colour", ["white", "optical"])
def test_errors_of_means_are_those_seen(colour: str) -> None:
    noise = measure([scene(seed, colour)[0] for seed in (100, 101)])
    rng, scores = np.random.default_rng(1), []
    for _ in range(120):
        image = noise.sample((64, 64), rng)
        mask = np.zeros(image.shape, dtype=bool)
        mask[8:50, 10:55] = True
        sums, counts = (cell_sums(v, (8, 8)).ravel() for v in (np.where(mask, image, 0), mask.astype(np.float32)))
        estimate = masked_mean(sums, counts, wide=widening(noise, (8, 8)))
        assert estimate.value == pytest.approx(image[mask].mean(), abs=1e-5)
        scores.append(estimate.value / estimate.error)
    assert 0.6 < np.std(scores) < 1.25


def test_judging_an_estimate() -> None:
    kind = Kind("values", "offset", "sigma", 0.0, "both", "sigma", 0.1)
    assert judged(kind, Estimate(0.2, 0.01, 50), "").verdict == "fail"
    assert judged(kind, Estimate(0.2, 0.1, 50), "").verdict == "cannot tell"
    assert judged(kind, Estimate(0.2, 0.01, 50, bias=0.15), "").effect == pytest.approx(0.05)
    assert judged(kind, Estimate(0.2, 0.01, 50, bias=-0.15), "").effect == pytest.approx(0.2)
    one, many = (judged(kind, Estimate(0.2, 0.05, 50), "", tests=n).p_value for n in (1, 30))
    assert many == pytest.approx(30 * one) and one == pytest.approx(2 * stats.t.sf(4, 50))
