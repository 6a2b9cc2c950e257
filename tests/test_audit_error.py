"""The estimated error as a finding: worse than the input fails, better passes, and doubt is said."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from importlib import import_module

import numpy as np
import pytest
from scenes import simulated, simulated_plane
from scipy import ndimage

from meeum.auditing.error import error
from meeum.auditing.judge import OutOfTimeError, judge
from meeum.auditing.pair import Pair, gather
from meeum.auditing.risk import Risk
from meeum.auditing.table import table
from meeum.noise import Noise
from meeum.volume import Volume

STD = 4e-3
room = import_module("meeum.auditing.error")  # the function has the room's name


def case(axes: str) -> tuple[Volume, np.ndarray, Noise]:
    if axes == "ZYX":
        noisy, truth, noise = simulated((24, 64, 64), 1, noise_std=STD, noise_colour="white")
    else:
        noisy, truth, noise = simulated_plane((16, 192, 192), 1, STD)
    return noisy, truth.read(), noise


def asked(noisy: Volume, noise: Noise, denoise) -> Pair:
    return gather(noisy, noisy, noise=noise, denoise=denoise)


@pytest.mark.parametrize("axes", ["YX", "ZYX"])
def test_a_good_filter_passes_with_its_true_error(axes: str) -> None:
    noisy, truth, noise = case(axes)
    blur = partial(ndimage.gaussian_filter, sigma=0.8)
    (found,) = error(asked(noisy, noise, blur))
    true = float(np.mean((blur(noisy.read()).astype(float) - truth) ** 2))
    assert found.verdict == "pass"
    chance = math.hypot(found.details["standard_error"], found.details["systematic"])
    assert chance < 0.2 * STD**2
    assert found.details["mse"] == pytest.approx(true, abs=3 * chance)
    assert found.interval[0] <= found.value <= found.interval[1]
    assert found.details["mse"] == pytest.approx(found.value**2)
    assert "of the noise's squared error is left" in found.sentence


@pytest.mark.parametrize("axes", ["YX", "ZYX"])
def test_one_value_is_worse_than_the_input(axes: str) -> None:
    noisy, truth, noise = case(axes)
    (found,) = error(asked(noisy, noise, lambda values: np.full_like(values, 1.2)))
    assert found.verdict == "fail"
    assert found.p_value < 1e-6
    assert found.value == pytest.approx(math.sqrt(np.mean((truth - 1.2) ** 2)), rel=0.02)
    assert "times the noise's" in found.sentence


@pytest.mark.parametrize("axes", ["YX", "ZYX"])
def test_doing_nothing_cannot_be_told_from_the_input(axes: str) -> None:
    noisy, _, noise = case(axes)
    (found,) = error(asked(noisy, noise, lambda values: values))
    assert found.verdict == "cannot tell"
    assert found.effect == pytest.approx(1, abs=0.05)
    assert "uncertain" in found.reason


def test_without_a_denoiser_or_gaussian_noise_nothing_is_told() -> None:
    noisy, _, noise = case("YX")
    blur = partial(ndimage.gaussian_filter, sigma=0.8)
    for pair in (asked(noisy, noise, None), asked(noisy, replace(noise, rest_std=noise.std / 3), blur)):
        (found,) = error(pair)
        assert (found.verdict, found.effect) == ("cannot tell", pytest.approx(math.nan, nan_ok=True))
        assert found.reason
    assert "--model" in error(asked(noisy, noise, None))[0].reason


@pytest.mark.parametrize(("mse", "chance"), [(-0.02, 0.05), (-0.5, 0.05)])
def test_an_estimate_below_zero_gives_a_bound_or_nothing(monkeypatch, mse: float, chance: float) -> None:
    noisy, _, noise = case("YX")
    risk = Risk(mse * STD**2, chance * STD**2, 0.0, STD**2)
    monkeypatch.setattr(room, "unbiased_risk", lambda *given, **more: risk)
    pair = asked(noisy, noise, lambda values: values)
    (found,) = error(pair)
    shown = table(judge(pair, {"error": error}))[0].value
    highest = mse + 1.96 * chance  # of the noise's variance
    if highest < 0:
        assert found.verdict == "cannot tell" and "weaker than was measured" in found.reason and shown == "–"
        return
    assert found.verdict == "pass" and found.interval == (0, pytest.approx(math.sqrt(highest) * STD))
    assert f"at most {math.sqrt(highest) * STD:.2g} from the truth" in found.sentence
    assert f"at most {100 * highest:.2g} % of the noise" in found.sentence and "estimated to be 0" not in found.sentence
    assert shown.startswith(f"at most {math.sqrt(highest) * STD:.3g} ")


def test_tiny_images_and_images_full_of_holes() -> None:
    noisy, _, noise = case("YX")
    values = noisy.read()
    tiny = Volume(values[:6, :7], "YX")
    holed = Volume(np.where(values > np.median(values), values, 0), "YX", no_data=0.0)
    for image in (tiny, holed):
        (found,) = error(asked(image, noise, partial(ndimage.gaussian_filter, sigma=0.8)))
        assert found.verdict == "cannot tell"
        assert found.reason


def test_a_denoiser_out_of_time_says_so_itself() -> None:
    noisy, _, noise = case("YX")

    def late(values):
        raise OutOfTimeError("no time left")

    with pytest.raises(OutOfTimeError):
        error(asked(noisy, noise, late))
