"""The measurement of the noise: level, spectrum and dependences against what was put in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import scipy.ndimage

from meeum import Volume, phantom
from meeum.errors import MeeumError, UsageError
from meeum.noise import Noise, measure
from meeum.noise.blocks import block_spectra, multiplicity
from meeum.noise.clipping import clip_of
from meeum.noise.findings import reliability
from meeum.noise.measure import EMPTY, REPEATS, ROUGH, TIMES, UNCLIPPED

SHAPE = (32, 128, 128)


@lru_cache(maxsize=64)
def phantom_of(seed: int, colour: str, std: float, **more: float) -> phantom.Phantom:
    return phantom.make(SHAPE, seed=seed, settings=phantom.PhantomSettings(noise_colour=colour, noise_std=std, **more))


def true_noise(made: phantom.Phantom) -> np.ndarray:
    return made.noisy.read().astype(float) - made.truth.read()


def log_error(noise: Noise, error: np.ndarray) -> float:
    """Rms difference of log spectra, weighted by energy, where there is at least 1 % of the greatest density."""
    found = noise.spectrum * noise.std**2
    true = block_spectra([Volume(error.astype(np.float32), "ZYX"[-error.ndim :])]).power.mean(0)
    counts = multiplicity(noise.sides)
    used = (counts > 0) & (true > 0.01 * true.max())
    return float(np.sqrt(np.average(np.log(found / true)[used] ** 2, weights=(counts * true)[used])))


@pytest.mark.parametrize("colour", ["white", "optical", "directional"])
@pytest.mark.parametrize("optics", ["ht-2h", "ht-x1"])
def test_level_within_five_per_cent_and_spectrum(colour: str, optics: str) -> None:
    """Four phantoms each, background around the cells."""
    levels, errors = [], []
    for seed in range(4):
        made = phantom_of(seed, colour, 4e-3, optics=optics)
        noise, error = measure(made.noisy), true_noise(made)
        levels.append(noise.std / error.std())
        errors.append(log_error(noise, error))
        assert abs(noise.std / error.std() - 1) < max(0.05, 2 * noise.uncertainty)
        assert noise.is_white == (colour == "white")
    assert abs(np.median(levels) - 1) < 0.05, levels
    assert max(errors) < 0.35, errors


def test_fields_full_of_cells() -> None:
    """Nine cells touch: hardly any block is empty."""
    for seed in range(3):
        made = phantom_of(seed, "white", 2e-3, cells=9)
        assert abs(measure(made.noisy).std / 2e-3 - 1) < 0.05


@pytest.mark.parametrize("colour", ["white", "optical"])
@pytest.mark.parametrize("std", [4e-4, 4e-3])
def test_long_waves_that_all_blocks_hold_are_not_taken_for_noise(colour: str, std: float) -> None:
    """Nine cells in a thin volume: no block is empty; the level once came out 2 to 17 times too high, without doubt."""
    made = phantom_of(4, colour, std, cells=9)
    noise, error = measure(made.noisy), true_noise(made)
    assert noise.std / error.std() < (1.2 if std == 4e-3 else 3.5)
    assert noise.doubt > 0.5 and noise.source == ROUGH


@pytest.mark.parametrize(("shape", "seed"), [((24, 64, 64), 1), ((24, 96, 96), 0)])
@pytest.mark.parametrize("std", [4e-4, 4e-3])
def test_nor_in_volumes_for_short_blocks(shape: tuple[int, ...], seed: int, std: float) -> None:
    """In blocks of 16 voxels hardly a wave is as long as in larger ones."""
    made = phantom.make(shape, seed=seed, settings=phantom.PhantomSettings(cells=9, noise_std=std))
    noise = measure(made.noisy)
    assert noise.sides == (16, 16, 16)
    assert noise.std / std < (1.2 if std == 4e-3 else 4)
    assert noise.doubt > 0.5 and noise.source == ROUGH


@pytest.mark.parametrize(("sigma", "shape"), [(1.5, (24, 64, 64)), (2.0, (24, 64, 64)), (2.0, (256, 256))])
def test_the_level_of_smooth_noise_is_not_said_to_be_known(sigma: float, shape: tuple[int, ...]) -> None:
    """Blocks lack its longest waves: the level comes out too low, once with 3 % stated."""
    white = np.random.default_rng(0).standard_normal(shape)
    smooth = scipy.ndimage.gaussian_filter(white, sigma, mode="wrap")
    noise = measure(Volume((smooth / smooth.std()).astype(np.float32), "ZYX"[-len(shape) :]))
    assert noise.std < 0.95
    assert 1 - noise.std < 1.5 * noise.uncertainty


def test_coloured_noise_in_textured_images() -> None:
    """Textures in four blocks of five; the level is known to 8 %, and the correlation too."""
    rng = np.random.default_rng(5)
    volumes, errors = [], []
    for _ in range(30):
        texture = scipy.ndimage.gaussian_filter(rng.standard_normal((128, 128)), 0.7) * rng.uniform(20, 80)
        texture *= scipy.ndimage.gaussian_filter((rng.random((128, 128)) > 0.998) * 1.0, 12) > 1e-3
        error = scipy.ndimage.gaussian_filter(rng.standard_normal((128, 128)), 1, mode="wrap") * 88
        volumes.append(Volume((texture + error).astype(np.float32), "YX"))
        errors.append(error)
    noise = measure(volumes)
    assert noise.std == pytest.approx(np.std(errors), rel=0.08)
    assert [noise.lag(1, d) for d in (1, 2)] == pytest.approx([np.exp(-0.25), np.exp(-1)], abs=0.08)
    assert noise.detail > 2


def test_says_so_where_no_block_is_empty() -> None:
    """Weak noise within the optics' support, signal all over it: fine structure or noise, nobody can tell."""
    made = phantom_of(3, "optical", 2e-4)
    noise = measure(made.noisy)
    assert noise.doubt > 0.5 and noise.evidence == 0 and noise.source == ROUGH
    assert abs(noise.std / 2e-4 - 1) < 3 * noise.uncertainty


@pytest.mark.parametrize("std", [1.0, 25.0])
def test_pure_noise_in_two_dimensions(std: float) -> None:
    for seed in range(5):
        values = np.random.default_rng(seed).normal(100, std, (160, 192)).astype(np.float32)
        noise = measure(Volume(values, "YX"))
        assert abs(noise.std / std - 1) < 0.05
        assert noise.is_white and noise.follows == "nothing" and noise.evidence > 0.9


def test_coloured_noise_in_two_dimensions() -> None:
    white = np.random.default_rng(0).standard_normal((256, 256))
    values = scipy.ndimage.gaussian_filter(white, 1, mode="wrap")
    values /= values.std()
    noise = measure(Volume(values.astype(np.float32), "YX"))
    exact = np.exp(-(np.arange(4) ** 2) / 4)  # the autocorrelation of a Gaussian filter of width 1
    assert not noise.is_white
    assert abs(noise.std - 1) < 0.05
    np.testing.assert_allclose([noise.lag(1, d) for d in range(4)], exact, atol=0.08)
    np.testing.assert_allclose([noise.lag(0, d) for d in range(4)], exact, atol=0.08)


def test_noise_that_grows_with_the_signal() -> None:
    rng = np.random.default_rng(1)
    signal = 20 + 180 * scipy.ndimage.gaussian_filter((rng.random((320, 320)) > 0.995) * 60.0, 12)
    gain, read = 2.5, 4.0
    values = gain * rng.poisson(signal / gain) + rng.normal(0, read, signal.shape)
    noise = measure(Volume(values.astype(np.float32), "YX"))
    assert noise.follows == "signal" and noise.is_white
    assert abs(noise.gain / gain - 1) < 0.15
    levels = noise.levels(values, (slice(None), slice(None)), values.shape)
    true = np.sqrt(gain * signal + read**2)
    assert abs(np.median(levels / true) - 1) < 0.05
    assert np.corrcoef(levels.ravel(), true.ravel())[0, 1] > 0.8


def test_noise_that_grows_towards_the_middle() -> None:
    rng = np.random.default_rng(2)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in (48, 96, 96)), indexing="ij", sparse=True)
    true = 1e-3 * np.exp(-0.6 * (z**2 + y**2 + x**2))
    noise = measure(Volume((1.337 + true * rng.standard_normal(true.shape)).astype(np.float32), "ZYX"))
    assert noise.follows == "place"
    whole = (slice(None),) * 3
    np.testing.assert_allclose(noise.levels(true, whole, true.shape), true, rtol=0.12)
    part = (slice(8, 16), slice(90, 96), slice(0, 7))
    np.testing.assert_allclose(
        noise.levels(true[part], part, true.shape), noise.levels(true, whole, true.shape)[part], rtol=1e-5
    )


def test_repeats_and_time_points_tell_noise_from_structure() -> None:
    made = phantom_of(3, "optical", 2e-4)
    second = phantom.make(SHAPE, seed=99, settings=replace(made.settings)).noisy.read()
    noise_only = second - phantom.make(SHAPE, seed=99, settings=made.settings).truth.read()
    other = made.noisy.with_data((made.truth.read() + noise_only).astype(np.float32))
    found = measure(made.noisy, repeat=other)
    assert found.source == REPEATS and abs(found.std / 2e-4 - 1) < 0.05
    stack = Volume(np.stack([made.noisy.read(), other.read()]), "TZYX")
    found = measure(stack)
    assert found.source == TIMES and abs(found.std / 2e-4 - 1) < 0.05
    copies = Volume(np.stack([made.noisy.read()] * 2), "TZYX")
    assert measure(copies).std == pytest.approx(measure(made.noisy).std, rel=0.1)
    with pytest.raises(MeeumError, match="constant"):
        measure(made.noisy, repeat=made.noisy)
    with pytest.raises(UsageError, match="32x128x128"):
        measure(made.noisy, repeat=Volume(np.zeros((8, 8, 8), np.float32), "ZYX"))


def test_samples_have_the_spectrum_that_was_measured() -> None:
    made = phantom_of(1, "optical", 4e-3)
    noise = measure(made.noisy)
    assert noise.source == EMPTY
    drawn = noise.sample((64, 64, 64), np.random.default_rng(0))
    assert abs(drawn.std() - 1) < 0.03
    again = measure(Volume(drawn, "ZYX"))
    for axis in range(3):
        assert abs(again.lag(axis) - noise.lag(axis)) < 0.05
    assert noise.correlation()[tuple(side // 2 for side in noise.sides)] == pytest.approx(1) and noise.lag(
        0, 0
    ) == pytest.approx(1)


def far_off(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    chance = rng.random(values.shape)
    return np.where(chance < 0.03, 0.0, np.where(chance > 0.97, 255.0, values))


@pytest.mark.parametrize(("change", "heavy"), [(far_off, True), (lambda values, rng: values, False)])
def test_tails(change: Callable[[np.ndarray, np.random.Generator], np.ndarray], heavy: bool) -> None:
    rng = np.random.default_rng(4)
    signal = 128 + 60 * scipy.ndimage.gaussian_filter(rng.standard_normal((200, 200)), 8) * 20
    noise = measure(Volume(change(signal + rng.normal(0, 5, signal.shape), rng).astype(np.float32), "YX"))
    assert (noise.tails > 2.2) == heavy


@pytest.mark.parametrize("std", [2.0, 8.0])
@pytest.mark.parametrize("axes", ["YX", "ZYX"])
def test_noise_beside_voxels_that_are_far_off(std: float, axes: str) -> None:
    rng = np.random.default_rng(4)
    shape = (200, 200) if axes == "YX" else (24, 80, 80)
    signal = 128 + 60 * scipy.ndimage.gaussian_filter(rng.standard_normal(shape), 8) * 20
    noise = measure(Volume(far_off(signal + rng.normal(0, std, shape), rng).astype(np.float32), axes))
    assert noise.rest_std == pytest.approx(std, rel=0.08) and noise.std > 3 * std
    assert measure(Volume(rng.normal(128, 5, shape).astype(np.float32), axes)).rest_std is None


def test_voxels_without_data_do_not_count() -> None:
    values = np.random.default_rng(5).normal(1.337, 1e-3, (24, 96, 96)).astype(np.float32)
    values[:, :40] = 0
    holed = Volume(values, "ZYX", no_data=0)
    assert abs(measure(holed).std / 1e-3 - 1) < 0.05
    values[:] = 0
    with pytest.raises(MeeumError, match="never measured"):
        measure(holed)


def test_small_images_and_constants_do_not_crash() -> None:
    for shape in ((3, 5), (1, 40, 40), (2, 2, 2), (5, 64, 9), (30, 30, 1), (40, 1)):
        values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        assert measure(Volume(values, "ZYX"[-len(shape) :])).std > 0
    with pytest.raises(MeeumError, match="constant"):
        measure(Volume(np.full((40, 40), 7, np.float32), "YX"))


def test_frequencies_that_hold_nothing_at_all() -> None:
    """Rows that are all alike, and an image whose upper half of frequencies was cut off."""
    rng = np.random.default_rng(9)
    rows = np.repeat(rng.standard_normal((200, 1)), 160, axis=1)
    cut = np.fft.rfft2(rng.standard_normal((192, 192)))
    cut[48:-48], cut[:, 48:] = 0, 0
    for values, allowed in ((rows, 0.35), (np.fft.irfft2(cut), 0.15)):
        assert measure(Volume(values.astype(np.float32), "YX")).std == pytest.approx(values.std(), rel=allowed)


def test_clipped_background_does_not_count() -> None:
    """Half of the field is exactly 0, as in fluorescence with too high an offset."""
    values = np.random.default_rng(6).normal(50, 5, (200, 200))
    values[:, :110] = 0
    assert abs(measure(Volume(values.astype(np.float32), "YX")).std / 5 - 1) < 0.2


@pytest.mark.parametrize(("level", "allowed"), [(1e-3, 0.1), (4e-3, 0.3)])
def test_noise_is_measured_beside_what_a_constraint_cut_off(level: float, allowed: float) -> None:
    """In the background half of it is gone: its level there is 0.4 to 0.6 of the true one."""
    chosen = phantom.PhantomSettings(noise_std=level, clip_non_negative=True, cells=2)
    clipped = phantom.make((48, 128, 128), seed=1, settings=chosen).noisy
    noise = measure(clipped)
    assert abs(noise.std / level - 1) < allowed
    assert noise.source == UNCLIPPED and not noise.is_white
    assert any("cut off" in sentence for sentence in reliability(noise, clipped.shape)[1])
    corner = clipped.read()[:, :24, :24]  # nothing but background: no block beside the clip
    assert measure(Volume(corner, "ZYX")).source != UNCLIPPED


def test_what_lies_lowest_is_not_always_clipped() -> None:
    rng = np.random.default_rng(7)
    noise = rng.standard_normal((32, 32))
    for values, clip in (
        (np.maximum(noise, 0.1), 0.1),
        (np.round(np.maximum(noise, -0.5), 1), -0.5),  # quantised
        (noise, np.nan),
        (np.where(noise < 0, 0.0, 50 + noise), np.nan),  # padding
        (4 + 3.0 * rng.poisson(0.5, (32, 32)), np.nan),  # dark pixels that counted nothing
        (np.maximum(noise, -2.0), np.nan),  # too little to matter
    ):
        assert clip_of(values) == pytest.approx(clip, nan_ok=True)


@pytest.mark.parametrize("clip", [-1.0, 0.0, 1.0])
def test_what_a_clip_leaves_of_the_noise(clip: float) -> None:
    """Beside a half that no clip reaches, whose noise stays what it was."""
    noise = np.random.default_rng(8).standard_normal((40, 80, 40))
    noise[:, 40:] += 50
    values = np.maximum(noise, clip)
    level = known(clip=clip).levels(values, tuple(slice(0, n) for n in values.shape), values.shape)
    assert np.median(level[:, :30]) == pytest.approx(values[:, :30].std(), rel=0.05)
    assert np.abs(level[:, 50:] - 1).max() < 0.01


def known(**changes: object) -> Noise:
    flat = Noise(1.0, np.ones((8, 8, 5)), (8, 8, 8), "nothing", (), 0.0, 0.0, "test", 1.0, 0.0, 0.02, 1.0)
    return replace(flat, **changes)  # type: ignore[arg-type]


def test_kept_as_plain_values_and_spectrum() -> None:
    noise = measure(phantom_of(0, "optical", 4e-3).noisy)
    again = Noise.from_dict(json.loads(json.dumps(noise.as_dict())), noise.spectrum)
    assert again.as_dict() == noise.as_dict() and again.sides == noise.sides
