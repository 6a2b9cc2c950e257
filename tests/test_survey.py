"""The survey of an image's noise: what is said, on images of which it is known."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from meeum import api, phantom, survey
from meeum.errors import UsageError
from meeum.noise import measure
from meeum.noise.findings import box, number, percent
from meeum.noise.measure import TRAINED
from meeum.noise.share import predictable_share
from meeum.phantom import PhantomSettings
from meeum.volume import Volume, maximum_projection

DOCUMENT = Path(__file__).parents[1] / "docs" / "noise.md"
SHAPE = (16, 64, 64)
BLOB = np.exp(-((np.arange(160) - 80) ** 2) / 300)


def index(noise, **more):
    """A refractive index volume of nothing but noise."""
    return Volume((1.337 + noise).astype(np.float32), "ZYX", (0.2, 0.1, 0.1), "refractive index", 1.337, **more)


def streaks(rng, shape=SHAPE):
    power = np.broadcast_to(1 / (1.25 - np.cos(2 * np.pi * np.fft.fftfreq(shape[-1]))), shape)  # 0.5 along x
    return phantom.coloured_noise(power, rng)


def said(found, word):
    """The one finding with a word."""
    (sentence,) = [sentence for sentence in found.findings if word in sentence]
    return sentence


@pytest.fixture(scope="module")
def white():
    return survey.survey(index(4e-4 * np.random.default_rng(0).standard_normal(SHAPE)))


def test_white_noise(white):
    level = re.fullmatch(
        r"The noise has a standard deviation of (\S+) RI, known to about (\d+) %\.", said(white, "standard deviation")
    )
    assert float(level[1]) == pytest.approx(4e-4, rel=0.06)
    assert float(level[2]) == pytest.approx(100 * white.noise.uncertainty, abs=0.51)
    assert "hiding one voxel is enough" in said(white, "independent")
    assert white.smallest == (0, 0, 0)
    assert [footprint for footprint, _ in white.shares] == [(0, 0, 0), (0, 1, 1), (1, 1, 1), (2, 2, 2), (2, 3, 3)]
    assert [share for _, share in white.shares] == pytest.approx([0] * 5, abs=1e-9)
    assert white.level_range == (white.noise.std, white.noise.std)
    assert white.patterns == ()
    assert len(white.findings) == 2


def test_numbers_are_those_of_measure(white, rng):
    volume = index(4e-4 * np.random.default_rng(0).standard_normal(SHAPE))
    assert white.noise.std == measure(volume).std == api.measure_noise(volume).std
    assert white.values.count == np.prod(SHAPE)
    assert white.values.minimum == volume.read().min()
    other = index(8e-4 * rng.standard_normal(SHAPE))
    known = api.measure_noise(volume, other)
    assert survey.survey(volume, known).noise is known
    assert known.std != measure(volume).std
    assert known.source == "repeats of the same field"


def test_correlated_noise_says_what_a_blind_spot_leaves(rng):
    found = survey.survey(index(1e-3 * streaks(rng, (16, 96, 96))))
    sentence = said(found, "blind spot")
    lags = re.search(r"correlation (\S+)/(\S+)/(\S+) along z/y/x", sentence).groups()
    assert [float(lag) for lag in lags] == pytest.approx([0, 0, 0.5], abs=0.05)
    left = float(re.search(r"would leave up to (\d+) % of it in", sentence)[1])
    assert left == pytest.approx(40, abs=3)  # 1 - (1 - 0.25) / (1 + 0.25)
    assert found.smallest[:2] == (0, 0)
    assert f"hiding {box(found.smallest)} voxels leaves less than 10 %" in sentence
    assert found.shares[2] == ((1, 1, 1), predictable_share(found.noise, (1, 1, 1)))


def test_noise_that_grows_with_the_signal(rng):
    clean = 40 + 400 * np.outer(BLOB, BLOB)
    noisy = clean + np.sqrt(9 + 2 * clean) * rng.standard_normal(clean.shape)
    found = survey.survey(Volume(noisy.astype(np.float32), "YX"))
    assert found.noise.follows == "signal"
    sentence = said(found, "stronger where the signal is")
    assert float(re.search(r"grows by (\S+) per unit of signal", sentence)[1]) == pytest.approx(2, rel=0.15)
    low, high = found.level_range
    assert low == pytest.approx(np.sqrt(9 + 2 * 40), rel=0.1)
    assert high == pytest.approx(np.sqrt(9 + 2 * clean.max()), rel=0.15)
    assert f"{number(low)} at" in sentence and f"{number(high)} at" in sentence
    assert "pixel" in said(found, "neighbouring") and "voxel" not in said(found, "neighbouring")


def test_noise_that_varies_over_the_field(rng):
    ramp = np.exp(np.linspace(-0.7, 0.7, 96))
    found = survey.survey(index(1e-3 * ramp * rng.standard_normal((16, 96, 96))))
    assert found.noise.follows == "place"
    sentence = said(found, "varies over the field")
    low, high = (float(value) for value in re.findall(r"(\d\.\de-\d) RI", sentence))
    assert (low, high) == pytest.approx((0.5e-3, 2e-3), rel=0.25)
    assert (low, high) == pytest.approx(found.level_range, rel=0.05)
    assert re.search(r"from .*low x\) to .*high x\)", sentence)


def test_patterns_are_told_once(rng):
    values = 1e-3 * rng.standard_normal((24, 96, 96))
    values[:, 40:] += 2e-3
    found = survey.survey(index(values))
    assert [(one.axis, one.position) for one in found.patterns] == [("Y", 40)]
    assert found.patterns[0].sentence in found.findings


def test_patterns_of_the_projection_are_told_too(rng, monkeypatch):
    """A seam outside the planes that are searched is found in the projection."""
    monkeypatch.setattr(survey, "SEARCHED", 24 * 96 * 96)
    values = 1e-3 * rng.standard_normal((64, 96, 96))
    values[0] += 0.02
    values[0, 40:] += 0.005
    (seam,) = survey.find_patterns(index(values))
    assert (seam.axis, seam.position) == ("Y", 40)
    assert survey.find_patterns(index(values[1:])) == ()


def test_doubt_is_said(rng):
    made = phantom.make((16, 64, 64), seed=0, settings=PhantomSettings(noise_std=2e-4))
    found = survey.survey(made.noisy)
    assert found.noise.doubt > 0.5
    assert found.reliability == "poor"
    assert any("may still be signal" in sentence and "--repeat" in sentence for sentence in found.untold)
    again = made.noisy.with_data(
        phantom.make((16, 64, 64), seed=0, settings=PhantomSettings(noise_std=3e-4)).noisy.data
    )
    trained = survey.survey(made.noisy, replace(found.noise, source=TRAINED, uncertainty=0.1))
    assert trained.reliability == "fair"
    assert any("first training bore out" in sentence for sentence in trained.untold)
    known = survey.survey(made.noisy, measure(made.noisy, repeat=again))
    assert known.reliability != "poor"
    assert not any("may still be signal" in sentence for sentence in known.untold)


def test_films_small_images_and_projections_are_cautioned(rng):
    film = Volume(rng.standard_normal((3, 48, 48)).astype(np.float32), "TYX")
    found = survey.survey(film)
    assert any("moved between the time points" in sentence for sentence in found.untold)
    assert any("9 separate blocks of 16 x 16 pixels" in sentence for sentence in found.untold)
    assert found.reliability == "fair"
    assert survey.PROJECTED in survey.survey(maximum_projection(index(streaks(rng)))).untold
    assert survey.PROJECTED not in found.untold


def test_voxels_without_data_are_not_values(rng):
    values = 1.337 + 1e-3 * rng.standard_normal((16, 96, 96))
    values[:, :20] = 0
    found = survey.survey(Volume(values.astype(np.float32), "ZYX", None, "refractive index", 1.337, 0.0))
    assert found.values.minimum > 1.3
    assert found.noise.std == pytest.approx(1e-3, rel=0.06)
    assert found.patterns == ()


def test_json_holds_plain_finite_values(white):
    told = json.loads(json.dumps(white.as_dict(), allow_nan=False))
    assert told["version"] == 1
    assert told["shape"] == list(SHAPE)
    assert told["noise"]["std"] == white.noise.std
    assert told["noise"]["correlation"]["x"] == [white.noise.lag(2, n) for n in (1, 2, 3, 4)]
    assert list(told["noise"]["correlation"]) == ["z", "y", "x"]
    assert told["predictable_share"][1]["footprint"] == [0, 1, 1]
    assert told["findings"] == list(white.findings)
    assert survey._plain({"a": (np.float32("nan"), np.int64(3)), "b": [float("inf")]}) == {"a": [None, 3], "b": [None]}


def test_every_key_is_documented(white):
    document = DOCUMENT.read_text(encoding="utf-8")
    told = white.as_dict()
    keys = [*told, *told["noise"], *told["values"]]
    assert len(keys) > 40
    assert [key for key in keys if f"`{key}`" not in document] == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(4.06e-4, "4.1e-4"), (0.0123, "0.012"), (19.3, "19"), (0, "0"), (131072, "1.3e5"), (-0.5, "-0.5"), (250, "250")],
)
def test_numbers_are_short(value, text):
    assert number(value) == text


def test_words():
    assert box((0, 1, 2)) == "1 x 3 x 5"
    assert percent(0.947) == "95 %"


def test_a_repeat_of_another_shape_is_refused(rng):
    with pytest.raises(UsageError, match="must have the shape of the image"):
        api.measure_noise(index(rng.standard_normal(SHAPE)), index(rng.standard_normal((8, 64, 64))))


def test_a_repeat_and_a_first_training_are_not_both_asked_for(rng):
    volume = index(rng.standard_normal(SHAPE))
    with pytest.raises(UsageError, match="not both"):
        api.measure_noise(volume, volume, trained=True)
