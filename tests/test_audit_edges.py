"""Blur and sharpening are found, with and without the denoiser, and honest results pass."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scenes import paired, simulated, simulated_plane, white_noise
from scipy import ndimage

from meeum.auditing.edges import _sentence, edges
from meeum.auditing.finding import worst
from meeum.auditing.pair import Pair
from meeum.auditing.transfer import Transfer, taper
from meeum.noise import Noise
from meeum.volume import Volume


def sharpened(values):
    return values + 1.5 * (values - ndimage.gaussian_filter(values, 1))


BENIGN = {
    "nothing": lambda values: values,
    "slight blur": partial(ndimage.gaussian_filter, sigma=0.6),
    "median": partial(ndimage.median_filter, size=3),
    "blur of one voxel": partial(ndimage.gaussian_filter, sigma=1.0),
}


def case(axes: str, colour: str, std: float = 2e-3) -> tuple[Volume, np.ndarray, Noise]:
    """Noisy image, truth and noise of a band-limited phantom, or of one plane of it with noise of its own."""
    if axes == "ZYX":
        noisy, truth, noise = simulated((20, 64, 64), 2, noise_std=std, noise_colour=colour)
    else:
        noisy, truth, noise = simulated_plane((16, 128, 128), 2, std)
    return noisy, truth.read(), noise


def pair(noisy: Volume, denoised: np.ndarray, noise: Noise, denoise=None) -> Pair:
    return paired(noisy, denoised, noise=noise, denoise=denoise)


def test_where_all_of_the_detail_is_left_no_blur_is_named() -> None:
    noisy, truth, noise = case("YX", "white")
    found = Transfer(0.997, 0.01, 0.0, 0.5, 0.97, np.array([[0.05, 0.1], [1, 1], [0, 0]]))
    kept = _sentence(pair(noisy, truth, noise), found, "")
    lost = _sentence(pair(noisy, truth, noise), replace(found, share=0.99), "")
    assert "100 %" in kept and "no blur" in kept and "Gaussian" not in kept
    assert "99 %" in lost and "Gaussian blur of 0.5 voxels" in lost


CASES = [("ZYX", "white"), ("ZYX", "optical"), ("YX", "white")]


@pytest.mark.parametrize("asked", [False, True], ids=["given", "asked"])
@pytest.mark.parametrize(("axes", "colour"), CASES)
def test_a_blur_of_one_and_a_half_voxels_is_caught(axes: str, colour: str, asked: bool) -> None:
    noisy, _, noise = case(axes, colour)
    blur = partial(ndimage.gaussian_filter, sigma=1.5)
    found = edges(pair(noisy, blur(noisy.read()), noise, blur if asked else None))
    plane = found[0]
    assert plane.verdict == "fail"
    assert plane.p_value < 1e-6
    assert plane.details["equivalent_blur_voxels"] == pytest.approx(1.5, abs=0.12)
    assert ("weaker" in plane.title) is not asked
    assert "Gaussian blur of 1." in plane.sentence


@pytest.mark.parametrize("asked", [False, True], ids=["given", "asked"])
@pytest.mark.parametrize(("axes", "colour"), CASES)
def test_sharpening_is_caught(axes: str, colour: str, asked: bool) -> None:
    noisy, truth, noise = case(axes, colour)
    given = sharpened(truth)
    found = edges(pair(noisy, given, noise, (lambda values: given) if asked else None))
    assert found[0].verdict == "fail"
    assert found[0].value > 1.15
    assert "was added" in found[0].sentence


@pytest.mark.parametrize("name", BENIGN)
@pytest.mark.parametrize(("axes", "colour"), CASES)
def test_honest_filters_do_not_fail(axes: str, colour: str, name: str) -> None:
    noisy, _, noise = case(axes, colour)
    denoise = BENIGN[name]
    for asked in (None, denoise):
        found = edges(pair(noisy, denoise(noisy.read()), noise, asked))
        mild = ("pass",) if name in ("nothing", "slight blur") else ("pass", "warn")
        assert worst([one.verdict for one in found]) in mild, [one.sentence for one in found]


@pytest.mark.parametrize(("axes", "colour"), CASES)
def test_the_truth_passes(axes: str, colour: str) -> None:
    noisy, truth, noise = case(axes, colour, 1.5e-3)  # stronger noise hides what little detail so small a volume holds
    for asked in (None, lambda values: truth):
        for one in edges(pair(noisy, truth, noise, asked)):
            assert one.verdict == "pass"
            assert one.value == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("asked", [False, True], ids=["given", "asked"])
def test_the_transfer_of_a_gaussian_is_the_gaussian(asked: bool) -> None:
    """By hand: a Gaussian of sigma s keeps exp(-2 pi² s² k²) of the frequency k."""
    noisy, _, noise = case("YX", "white", 3e-4)
    blur = partial(ndimage.gaussian_filter, sigma=1.0)
    one = edges(pair(noisy, blur(noisy.read()), noise, blur if asked else None))[0]
    frequency, kept = np.array(one.details["frequency"]), np.array(one.details["transfer"])
    assert len(frequency) > 5
    assert kept == pytest.approx(np.exp(-2 * (np.pi * frequency) ** 2), abs=0.06)


def test_noise_left_in_is_not_taken_for_detail() -> None:
    """A mixture of truth and noisy image keeps all detail, however much noise it keeps."""
    noisy, truth, noise = case("YX", "white")
    one = edges(pair(noisy, (truth + noisy.read()) / 2, noise))[0]
    assert one.verdict == "pass"
    assert one.value == pytest.approx(1, abs=0.01)


def test_a_result_without_detail_fails() -> None:
    noisy, _, noise = case("ZYX", "white")
    flat = np.full_like(noisy.read(), 1.34)
    for asked in (None, lambda values: np.full_like(values, 1.34)):
        assert worst([one.verdict for one in edges(pair(noisy, flat, noise, asked))]) == "fail"


def test_a_blur_along_z_alone_is_found_along_z() -> None:
    noisy, truth, noise = case("ZYX", "white")
    plane, axial = edges(pair(noisy, ndimage.gaussian_filter(truth, (3, 0, 0)), noise))
    assert axial.verdict == "fail"
    assert plane.verdict != "fail"
    assert "along z" in axial.title


def test_voxels_without_data_are_no_edges(rng: np.random.Generator) -> None:
    """Values left at 0 around a field would be its sharpest edges, and are the same before and after."""
    noisy, _, noise = case("YX", "white")
    framed = noisy.read()
    framed[:, :24] = framed[90:, 60:] = 0
    image = replace(noisy, data=framed, no_data=0.0)
    blurred = np.where(framed == 0, 0, ndimage.gaussian_filter(noisy.read(), 1.5))
    blur = partial(ndimage.gaussian_filter, sigma=1.5)
    for asked in (None, blur):
        one = edges(pair(image, blurred, noise, asked))[0]
        assert one.verdict == "fail"
        assert one.details["equivalent_blur_voxels"] == pytest.approx(1.5, abs=0.25)


def test_what_cannot_be_told_has_a_reason(rng: np.random.Generator) -> None:
    noise = rng.normal(0, 1, (64, 64)).astype(np.float32)
    tiny, flat = rng.normal(0, 1, (4, 5)).astype(np.float32), np.full((32, 32), 2.0, np.float32)
    for values in (noise, tiny, flat):
        known = white_noise(1.0, tuple(min(16, n // 2 * 2) for n in values.shape))
        for asked in (None, lambda given: given):
            (one,) = edges(pair(Volume(values, "YX"), values, known, asked))
            assert one.verdict == "cannot tell"
            assert one.reason
            assert math.isnan(one.value)


def test_detail_below_the_noise_is_not_passed() -> None:
    """Smooth structure under strong noise: whether anything finer was there, and is lost, nobody can see."""
    rng = np.random.default_rng(4)
    smooth = ndimage.gaussian_filter(rng.normal(0, 1, (128, 128)), 6)
    truth = (10 * smooth / smooth.std()).astype(np.float32)
    noisy = Volume(truth + rng.normal(0, 5, truth.shape).astype(np.float32), "YX")
    (one,) = edges(pair(noisy, truth, white_noise(5.0, (32, 32))))
    assert one.value == pytest.approx(1, abs=0.05)
    assert one.verdict == "cannot tell"
    assert "would hardly show" in one.reason
    (gone,) = edges(pair(noisy, np.zeros_like(truth), white_noise(5.0, (32, 32))))
    assert gone.verdict == "fail"


def test_several_frames_and_no_change_of_what_is_given() -> None:
    noisy, _, noise = case("YX", "white")
    frames = np.stack([noisy.read()] * 3)
    after = ndimage.gaussian_filter(frames, (0, 1.5, 1.5))
    kept = frames.copy(), after.copy()
    image = Volume(frames, "TYX", noisy.voxel_size_um)
    one = edges(pair(image, after, noise, partial(ndimage.gaussian_filter, sigma=1.5)))[0]
    assert one.verdict == "fail"
    assert edges(pair(image, after, noise))[0].verdict == "fail"
    assert np.array_equal(frames, kept[0])
    assert np.array_equal(after, kept[1])


def test_the_window_keeps_away_from_what_was_not_measured() -> None:
    valid = np.ones((48, 48), bool)
    valid[:, :10] = False
    window = taper(valid, (1.0, 1.0))
    assert window is not None
    assert not window[:, :10].any()
    assert window[24, 11] < 0.05 * window.max()
    assert np.abs(np.diff(window, axis=1)).max() < 0.15
    assert taper(np.zeros((48, 48), bool), (1.0, 1.0)) is None
    assert taper(np.ones((48, 8), bool), (1.0, 1.0)) is None
