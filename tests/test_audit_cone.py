"""Energy in the missing cone: none may be made up; what cannot be told is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.fft
from scenes import paired, simulated
from scipy import ndimage

from meeum import Volume
from meeum.auditing.cone import _frequencies, cone
from meeum.auditing.finding import Finding
from meeum.noise import Noise


def scene(seed: int, colour: str, optics: str = "ht-2h") -> tuple[Volume, Volume, Noise]:
    return simulated((32, 96, 96), seed, noise_std=2e-3, noise_colour=colour, optics=optics, cells=2)


def finding(noisy: Volume, denoised, noise: Noise) -> Finding:
    (found,) = cone(paired(noisy, denoised, noise=noise))
    return found


@pytest.mark.parametrize("colour", ["white", "optical"])
@pytest.mark.parametrize("seed", range(5))
def test_truth_and_mild_filters_put_nothing_there(seed: int, colour: str) -> None:
    noisy, truth, noise = scene(seed, colour, ("ht-2h", "ht-x1")[seed % 2])
    values = noisy.read()
    for image in (truth.read(), ndimage.gaussian_filter(values, 0.5), ndimage.gaussian_filter(values, 1)):
        found = finding(noisy, image, noise)
        assert found.verdict in ("pass", "cannot tell") and found.value < 1
    found = finding(noisy, values, noise)
    assert found.value == 1 and found.effect == 0 and found.verdict in ("pass", "cannot tell")


@pytest.mark.parametrize("colour", ["white", "optical"])
@pytest.mark.parametrize("optics", ["ht-2h", "ht-x1"])
def test_sharp_edges_fill_the_cone(colour: str, optics: str) -> None:
    noisy, truth, noise = scene(1, colour, optics)
    truth = truth.read()
    for damaged in (np.where(truth > 1.355, 1.375, 1.337), 1.337 + (truth - 1.337) ** 3 / 0.025**2):
        found = finding(noisy, damaged, noise)
        assert found.verdict == "fail" and found.value > 2 and found.p_value < 1e-3
        assert "made it up" in found.sentence
        assert found.details["after"] == pytest.approx(found.value * found.details["before"], rel=1e-3)
        assert found.details["not from the input"] > 0.5 * found.details["after"]


def test_noise_put_into_the_cone_is_measured() -> None:
    noisy, truth, noise = scene(0, "white")
    rng = np.random.default_rng(0)
    axial, row, column = _frequencies(noisy.shape, noisy.voxel_size_um)
    steep = np.hypot(row, column) < np.abs(axial)  # wider than the cone
    white = scipy.fft.rfftn(rng.standard_normal(noisy.shape) * 2e-3) * steep
    added = scipy.fft.irfftn(white, s=noisy.shape)
    found = finding(noisy, truth.read() + 2 * added, noise)
    assert found.verdict == "fail"
    clean = finding(noisy, truth.read(), noise)
    rise = (found.details["after"] - clean.details["after"]) * noise.std**2
    assert rise == pytest.approx(4 * 2e-3**2, rel=0.25)


def test_the_angle_of_the_cone_is_seen_in_the_input() -> None:
    angles = {}
    for optics in ("ht-2h", "ht-x1"):
        noisy, truth, noise = scene(1, "optical", optics)
        found = finding(noisy, truth.read(), noise)
        assert found.details["cone seen in the input"]
        angles[optics] = found.details["half angle (degrees)"]
    # 90 degrees less the aperture's: arcsin(1.2 / 1.337) = 64, arcsin(0.54 / 1.337) = 24
    assert angles["ht-2h"] <= 26 and 26 < angles["ht-x1"] <= 66


def test_next_to_nothing_made_is_no_failure() -> None:
    noisy, truth, noise = scene(0, "optical")
    grain = np.random.default_rng(1).normal(0, 0.15 * noise.std, noisy.shape)
    found = finding(noisy, truth.read() + grain, noise)
    assert found.verdict != "fail" and found.effect < 0.05


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"quantity": "intensity"}, "refractive index"),
        ({"voxel_size_um": None}, "voxel size"),
    ],
)
def test_what_has_no_cone_to_judge(change: dict[str, object], words: str) -> None:
    noisy, _, noise = scene(0, "white")
    noisy = replace(noisy, **change)
    found = finding(noisy, noisy.read(), noise)
    assert found.verdict == "cannot tell" and words in found.reason


def test_projections_and_thin_stacks_have_none() -> None:
    noisy, _, noise = scene(0, "white")
    for region, axes, words in (((8,), "YX", "projection"), ((slice(0, 10),), "ZYX", "do not resolve")):
        values = noisy.read()[region]
        size = noisy.voxel_size_um[-values.ndim :]
        thin = Volume(values, axes, size, "refractive index")
        found = finding(thin, values, noise)
        assert found.verdict == "cannot tell" and words in found.reason


def test_constant_images() -> None:
    noisy, _, noise = scene(0, "white")
    flat = np.full(noisy.shape, 1.337, np.float32)
    assert finding(noisy, flat, noise).value == 0
    assert finding(noisy.with_data(flat), flat, noise).verdict == "cannot tell"
