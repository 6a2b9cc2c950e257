"""The self-test, by measures made up here whose answers are known."""

import dataclasses
import json
import math

import numpy as np
import pytest
import scipy.ndimage
from scenes import paired

from meeum import phantom
from meeum.auditing.finding import Kind
from meeum.auditing.judge import MEASURES, judge
from meeum.auditing.pair import gather
from meeum.auditing.planting import DAMAGES
from meeum.auditing.selftest import crop, selftest, surrogate
from meeum.errors import MeeumError

STD = 0.2


def pair(shape=(96, 96), *, hole=False, seed=0):
    """A bright disc or ball beside its noisy image, about a large offset; without data in a corner."""
    rng = np.random.default_rng(seed)
    places = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1)
    distance = np.linalg.norm(places - np.array(shape) * 0.7, axis=-1)
    clean = 100 + 5 * scipy.ndimage.gaussian_filter((distance < min(shape[-2:]) / 5).astype(float), 2)
    noisy = clean + STD * rng.standard_normal(shape)
    if hole:
        clean[..., :9, :9] = noisy[..., :9, :9] = 0
    return paired(noisy, clean, no_data=0.0 if hole else None)


def finding(name, effect, p_value=math.nan, bound=0.15):
    return Kind(name, name, "", 0.0, "both", "", bound).finding(effect, effect, "It.", p_value=p_value)


def shift(one):
    """Fails where the mean residual is beyond 0.15 standard deviations of the noise."""
    (piece,) = one.pieces
    return [finding("values", abs(float((piece.residual / piece.level)[piece.valid].mean())))]


def blind(_):
    return [finding("edges", 0.0)]


def wolf(_):
    return [finding("lines", 1.0)]


def broken(_):
    raise MeeumError("too small for this measure")


FAKES = {"values": shift, "edges": blind, "lines": wolf, "inversion": broken}


def test_what_is_caught_what_is_not_and_who_cries_wolf():
    result = selftest(pair(), FAKES, damages=["offset", "gain", "blur", "stripes", "inverted"])
    verdicts = {trial.damage: (trial.verdict, trial.by) for trial in result.trials}
    assert verdicts["offset"] == ("fail", ("values",))
    assert verdicts["gain"] == ("pass", ())  # about the mean: nothing this measure could see
    assert verdicts["blur"] == ("pass", ())
    assert verdicts["stripes"] == ("cannot tell", ())  # this measure fails whatever it sees
    assert verdicts["inverted"] == ("cannot tell", ())
    assert [trial.damage for trial in result.having("fail")] == ["offset"]
    assert (result.draws, result.alarms, result.warnings) == (3, {"lines": 3}, {})


def test_the_sentence_names_each():
    result = selftest(pair(), FAKES, damages=["offset", "blur", "gain", "inverted"])
    assert result.sentence == (
        "On your data this audit would have caught an offset of 0.2 times the noise. It could not have told, and "
        "would have said so, of a spot of radius 4 voxels with its contrast inverted. It would not have caught a "
        "Gaussian blur of 1.5 voxels and contrast 1.1 times the true one. On 3 perfect results it raised false "
        "alarms: lines 3."
    )


def test_a_surrogate_is_the_denoised_image_with_noise_as_was_measured():
    whole = crop(pair(hole=True))
    made = surrogate(whole, rng=np.random.default_rng(1))
    (piece,), (original,) = made.pieces, whole.pieces
    np.testing.assert_array_equal(piece.denoised, original.denoised)
    assert (piece.residual / piece.level)[piece.valid].std() == pytest.approx(1, abs=0.03)
    assert piece.level.mean() == pytest.approx(STD, rel=0.1)
    np.testing.assert_array_equal(piece.residual[~piece.valid], 0)
    assert np.count_nonzero(~piece.valid) == 81
    np.testing.assert_array_equal(made.noisy.valid(made.noisy.read()), piece.valid)
    np.testing.assert_allclose(made.noisy.read()[piece.valid], piece.noisy[piece.valid] + made.offset, rtol=1e-6)


def test_of_a_large_image_the_cells_are_used():
    large = pair((700, 600))
    whole = crop(large)
    (piece,) = whole.pieces
    assert whole.noisy.shape == piece.noisy.shape == (512, 512)
    assert np.count_nonzero(piece.cells) == np.count_nonzero(large.pieces[0].cells)
    np.testing.assert_allclose(whole.noisy.read(), large.noisy.read()[188:, 88:], rtol=1e-6)
    assert whole.denoise is None


def test_volumes_and_their_planes():
    result = selftest(pair((9, 48, 56)), FAKES, damages=["planes", "offset"], draws=1)
    assert [trial.damage for trial in result.trials] == ["planes", "offset"]
    assert result.shape == (9, 48, 56)
    assert [trial.damage for trial in selftest(pair(), {}, damages=["planes", "offset"]).trials] == ["offset"]


def test_time_is_kept_and_what_was_not_tried_is_said():
    result = selftest(pair(), FAKES, seconds=0)
    assert result.trials == ()
    assert result.untried == tuple(name for name, damage in DAMAGES.items() if damage.axes == 2)
    assert result.sentence.startswith("The time did not suffice to try inverted, negative, ")
    assert result.sentence.endswith("False alarms were not counted.")


def test_the_same_seed_gives_the_same_answer_and_json_takes_it():
    one, two = (selftest(pair(), FAKES, damages=["offset", "stripes"], draws=1).as_dict() for _ in range(2))
    for told in (one, two):
        told.pop("seconds")
    assert one == two == json.loads(json.dumps(one))
    assert one["trials"][0]["caught"] is True
    assert one["level"] == pytest.approx(STD, rel=0.1)


@pytest.fixture(scope="module")
def specimen():
    """A phantom and its middle plane, each taken as what is true."""
    made = phantom.make((16, 72, 72), seed=2, settings=phantom.PhantomSettings(noise_std=1e-3, noise_colour="white"))
    wide = phantom.make((16, 160, 160), seed=2, settings=phantom.PhantomSettings(noise_std=1e-3, noise_colour="white"))
    planes = [
        dataclasses.replace(image, data=image.read()[8], axes="YX", voxel_size_um=image.voxel_size_um[1:])
        for image in (wide.noisy, wide.truth)
    ]
    return {2: crop(gather(*planes)), 3: crop(gather(made.noisy, made.truth))}


def failed(one, names):
    """Which of the measures of these names fail a pair."""
    return {name for name in names if judge(one, {name: MEASURES[name]}).verdict == "fail"}


@pytest.mark.parametrize("name", DAMAGES)
def test_strong_damage_is_caught_by_the_measure_meant_for_it(name, specimen):
    damage = DAMAGES[name]
    one = surrogate(specimen[damage.axes], rng=np.random.default_rng(4), damage=name, strength=damage.grid[-1])
    assert failed(one, damage.measures)


def test_no_measure_fails_the_truth(specimen):
    for one in specimen.values():
        assert not failed(surrogate(one, rng=np.random.default_rng(4)), MEASURES)


def test_no_measure_fails_whatever_it_is_shown(specimen):
    shown = [surrogate(specimen[2], rng=np.random.default_rng(4), damage=name) for name in ("offset", "lattice-3")]
    shifted, wavy = (failed(one, MEASURES) for one in shown)
    assert "values" in shifted
    assert not shifted & wavy
