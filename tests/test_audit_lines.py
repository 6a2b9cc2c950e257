"""Stripes and seams that a method made are found where they are; those of the input are not held against it."""

import numpy as np
import pytest
from scenes import paired, simulated, volume_of
from scipy.ndimage import gaussian_filter, median_filter

from meeum import phantom
from meeum.auditing.lines import lines
from meeum.auditing.pair import gather
from meeum.noise import measure
from meeum.volume import Volume

SIGMA, SHAPE = 3e-3, (32, 96, 96)


def case(colour="white"):
    noisy, truth, noise = simulated(SHAPE, 2, noise_std=SIGMA, noise_colour=colour)
    return truth.read(), noisy.read(), noise


def audited(noisy, denoised, noise, **more):
    stripes, seams = lines(paired(noisy, denoised, noise=noise, **more))
    assert (stripes.title, seams.title) == ("stripes made by the method", "seams made by the method")
    return stripes, seams


def offsets(number, size, seed=0):
    """Offsets of standard deviation `size` (sigma) along one axis."""
    values = np.random.default_rng(seed).standard_normal(SHAPE[number])
    values -= values.mean()
    return SIGMA * size * (values / values.std()).reshape([-1 if a == number else 1 for a in range(3)])


@pytest.mark.parametrize(("number", "name"), [(0, "planes"), (1, "rows"), (2, "columns")])
def test_stripes_that_were_made_are_found(number, name):
    truth, noisy, noise = case()
    stripes, _ = audited(noisy, truth + offsets(number, 0.1), noise)
    assert stripes.verdict == "fail" and stripes.sentence.startswith(f"The {name} of the result")
    assert stripes.value == pytest.approx(0.1, rel=0.25)
    assert stripes.limit < 0.05


def test_stripes_of_each_plane_are_found_in_a_filtered_result():
    _, noisy, noise = case("optical")
    own = 0.2 * SIGMA * np.random.default_rng(1).standard_normal((SHAPE[0], SHAPE[1], 1))
    stripes, _ = audited(noisy, gaussian_filter(noisy, 1) + own, noise)
    assert stripes.verdict == "fail" and "other ones in each plane" in stripes.sentence
    assert stripes.value == pytest.approx(0.2, rel=0.25)


@pytest.mark.parametrize(("axis", "number", "name"), [("Y", 1, "rows"), ("X", 2, "columns")])
def test_the_seam_of_two_tiles_is_found_where_it_is(axis, number, name):
    truth, noisy, noise = case()
    step = np.zeros(SHAPE, np.float32)
    np.moveaxis(step, number, 0)[60:] = 0.3 * SIGMA
    for result in (truth, gaussian_filter(noisy, 1)):
        _, seams = audited(noisy, result + step, noise)
        assert seams.verdict == "fail" and f"between the {name} 59 and 60" in seams.sentence
        assert seams.value == pytest.approx(0.3, rel=0.2)
        assert seams.places[0].centre[number] == 60 and seams.picture.values.shape == SHAPE[1:]
        assert seams.details["made"][0]["axis"] == axis


def test_tiles_with_offsets_of_their_own_are_found():
    truth, noisy, noise = case()
    heights = np.random.default_rng(0).choice([-0.4, 0.4], (2, 3))
    tiles = SIGMA * np.kron(heights, np.ones((48, 32)))[None]
    _, seams = audited(noisy, truth + tiles, noise)
    assert seams.verdict == "fail"
    found = {(mark["axis"], mark["place"][1]) for mark in seams.details["made"]}
    assert found and found <= {("Y", 48), ("X", 32), ("X", 64)}


def test_what_is_in_the_input_is_not_held_against_the_method():
    truth, noisy, noise = case()
    step = np.zeros(SHAPE, np.float32)
    step[:, 60:] = 3 * SIGMA
    pattern = step + offsets(2, 0.5)
    for result in (truth + pattern, truth, gaussian_filter(noisy + pattern, 1)):  # kept, taken out, blurred
        stripes, seams = audited(noisy + pattern, result, noise)
        assert {stripes.verdict, seams.verdict} <= {"pass", "cannot tell"}, stripes.sentence + seams.sentence
        assert stripes.sentence.startswith("No new stripes. Any of ") or stripes.value > 0
    assert any("Columns" in one for one in stripes.details["in the input"])
    assert any("y = 59 and 60" in one for one in seams.details["in the input"])


@pytest.mark.parametrize("colour", ["white", "optical", "directional"])
def test_honest_results_are_not_accused(colour):
    denoisers = (lambda v: gaussian_filter(v, 0.5), lambda v: gaussian_filter(v, 1), lambda v: median_filter(v, 3))
    for seed in range(2):
        settings = phantom.PhantomSettings(noise_std=(3e-4, 5e-3)[seed], noise_colour=colour)
        made = phantom.make((24, 64, 64), seed=seed, settings=settings)
        for noisy, truth in ((made.noisy.read(), made.truth.read()), (made.noisy.read()[12], made.truth.read()[12])):
            noise = measure(volume_of(noisy))
            for result in (truth, *(denoise(noisy) for denoise in denoisers)):
                for found in audited(noisy, result, noise):
                    assert found.verdict != "fail", found.sentence


def test_the_truth_passes_and_so_does_the_input_itself():
    truth, noisy, noise = case()
    for result in (truth, noisy):
        stripes, seams = audited(noisy, result, noise)
        assert (stripes.verdict, seams.verdict) == ("pass", "pass")
        assert stripes.effect == seams.effect == 0


def test_where_nothing_can_be_told_it_is_said(rng):
    _, _, noise = case()
    for shape in ((20, 20), (3, 10, 12)):
        for found in audited(rng.standard_normal(shape), np.zeros(shape), noise):
            assert found.verdict == "cannot tell" and found.reason
    flat = np.full((4, 40, 40), 1.337)
    for found in audited(flat + 1e-3 * rng.standard_normal(flat.shape), flat, noise):
        assert found.verdict in ("pass", "cannot tell")


def test_voxels_without_data_and_several_frames():
    truth, noisy, noise = case()
    y, x = np.mgrid[: SHAPE[1], : SHAPE[2]]
    disc = np.broadcast_to(np.hypot(y - 48, x - 48) < 44, SHAPE)
    striped = truth + offsets(1, 0.3)
    for result, verdicts in ((truth, {"pass", "cannot tell"}), (striped, {"fail"})):
        holed = [np.where(disc, one, 0) for one in (noisy, result)]
        assert audited(*holed, noise, no_data=0)[0].verdict in verdicts
    film = [Volume(np.stack([one, one]).astype(np.float32), "TZYX") for one in (noisy, striped)]
    assert lines(gather(*film, noise=noise))[0].verdict == "fail"
