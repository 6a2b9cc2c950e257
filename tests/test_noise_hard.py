"""The noise of images that are padded, cut off, sloped, dotted, thin, sparse or salted: right, or said to be unsure."""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.ndimage

from meeum import Volume, phantom
from meeum.errors import MeeumError, UsageError
from meeum.noise import Noise, measure
from meeum.noise.clipping import is_crowded
from meeum.noise.findings import reliability
from meeum.noise.measure import CUT, PADDED, REPEATS, ROUGH, TIMES
from meeum.noise.values import describe_values
from meeum.patches import measure as normalise
from meeum.routing import route
from meeum.settings import assumed

Array = np.ndarray
PLANE, STACK = (192, 192), (24, 96, 96)
STD = 5.0


def volume(values: Array, axes: str = "") -> Volume:
    return Volume(values.astype(np.float32), axes or "ZYX"[-values.ndim :])


def cells(shape: tuple[int, ...], count: int, rng: np.random.Generator) -> Array:
    """Bright balls of 8 to 16 voxels with soft edges."""
    grid, found = np.indices(shape), np.zeros(shape)
    for _ in range(count):
        centre = rng.uniform(0, 1, len(shape)) * shape
        distance = np.sqrt(sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)))
        found += 50 / (1 + np.exp((distance - rng.uniform(8, 16)) / 1.5))
    return found


def gaussian(shape: tuple[int, ...], rng: np.random.Generator, count: int = 6) -> Array:
    return cells(shape, count, rng) + STD * rng.standard_normal(shape)


def off_centre(shape: tuple[int, ...]) -> Array:
    return np.hypot(*(place - side / 2 for place, side in zip(np.indices(shape)[-2:], shape[-2:], strict=True)))


@pytest.mark.parametrize("shape", [PLANE, STACK])
@pytest.mark.parametrize("around", [0.0, 7.5])
def test_what_lies_around_a_round_field_is_no_noise(shape: tuple[int, ...], around: float) -> None:
    values = gaussian(shape, np.random.default_rng(1))
    noise = measure(volume(np.where(off_centre(shape) < 0.46 * shape[-1], values, around)))
    assert noise.std == pytest.approx(STD, rel=0.05) and noise.is_white


def test_where_every_block_is_padded_smaller_ones_tell() -> None:
    values = gaussian(STACK, np.random.default_rng(1))
    values[12:] = 0
    assert measure(volume(values)).std == pytest.approx(STD, rel=0.05)
    stripes = gaussian(PLANE, np.random.default_rng(1))
    stripes[np.indices(PLANE)[1] % 12 < 6] = 0
    noise = measure(volume(stripes))
    assert noise.source == PADDED and noise.uncertainty >= 0.5
    assert any("--no-data" in sentence for sentence in reliability(noise, PLANE)[1])


def test_what_fills_a_part_of_a_block() -> None:
    rng = np.random.default_rng(2)
    noise = rng.standard_normal((32, 32))
    part, scattered = np.zeros((32, 32), bool), rng.random((32, 32)) < 0.1
    part[:16] = True
    for values, crowded in (
        (np.where(part, 0.0, noise), True),
        (np.where(part, 9.0, noise), True),  # saturated
        (np.where(scattered, 9.0, noise), False),  # salt
        (np.maximum(noise, 0.0), False),  # a clip
        (rng.poisson(0.05, (32, 32)), False),
        (np.where(part, 0.0, np.rint(200 + 5 * noise)), True),
        (np.rint(noise * 4) / 4, False),
    ):
        assert is_crowded(values) == crowded


@pytest.mark.parametrize("clip", [-5.0, 0.0, 5.0])
def test_noise_that_was_cut_off_everywhere(clip: float) -> None:
    noise = measure(volume(np.maximum(STD * np.random.default_rng(3).standard_normal(STACK), clip)))
    assert noise.source == CUT and noise.clip == pytest.approx(clip, abs=0.01)
    assert noise.std == pytest.approx(STD, rel=0.1) and noise.uncertainty >= 0.5
    assert not noise.is_impulsive


def test_whole_numbers_can_be_cut_off_too() -> None:
    chosen = phantom.PhantomSettings(cells=3, noise_std=8e-4, clip_non_negative=True)
    made = phantom.make((32, 96, 96), seed=1, settings=chosen).noisy.read()
    noise = measure(volume(np.rint(made.astype(float) * 1e4)))
    assert noise.clip == pytest.approx(13370, abs=0.1)
    assert abs(noise.std / 8 - 1) < 0.2


def test_a_slope_is_no_noise() -> None:
    rng = np.random.default_rng(4)
    for shape in (PLANE, STACK):
        noise = measure(volume(gaussian(shape, rng) + 4 * np.indices(shape)[-1]))
        assert noise.std == pytest.approx(STD, rel=0.03) and noise.is_white


@pytest.mark.parametrize("depth", [1, 2, 3, 6])
def test_few_planes(depth: int) -> None:
    rng = np.random.default_rng(5)
    planes = np.broadcast_to(cells((128, 128), 8, rng), (depth, 128, 128))
    noise = measure(volume(planes + STD * rng.standard_normal(planes.shape)))
    assert noise.std == pytest.approx(STD, rel=0.05) and noise.uncertainty < 0.2 and noise.source != ROUGH


def test_counting_in_few_cells_of_a_dark_field() -> None:
    rng = np.random.default_rng(8)
    for shape, count in ((PLANE, 3), (STACK, 3)):
        true = cells(shape, count, rng) + 4
        noise = measure(volume(rng.poisson(true).astype(float)))
        assert noise.follows == "signal" and noise.gain == pytest.approx(1, abs=0.25)
        assert noise.std == pytest.approx(np.sqrt(true.mean()), rel=0.08)
        level = measure(volume(gaussian(shape, rng, count)))
        assert level.follows == "nothing"


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_the_unit_does_not_matter(scale: float) -> None:
    counts = np.random.default_rng(9).poisson(cells(PLANE, 12, np.random.default_rng(9)) + 5).astype(float)
    one, other = measure(volume(counts)), measure(volume(counts * scale))
    assert one.follows == other.follows == "signal"
    assert other.std == pytest.approx(one.std * scale, rel=1e-3)
    assert (other.gain, other.read) == pytest.approx((one.gain * scale, one.read * scale**2), rel=0.01)


def film(rng: np.random.Generator, frames: int = 6) -> Array:
    return 100 + cells((96, 96), 6, rng) + STD * rng.standard_normal((frames, 96, 96))


@pytest.mark.parametrize("black", [slice(0, 1), slice(2, 3), slice(1, None, 2)])
def test_black_frames_of_a_film_do_not_count(black: slice) -> None:
    values = film(np.random.default_rng(10))
    values[black] = 0
    noise = measure(volume(values, "TYX"))
    assert noise.source == TIMES and noise.std == pytest.approx(STD, rel=0.05)


def salted(values: Array, rng: np.random.Generator) -> Array:
    return np.where(rng.random(values.shape) < 0.01, 255.0, values)


@pytest.mark.parametrize(
    ("make", "axes"),
    [
        (lambda rng: cells(PLANE, 6, rng) + 60, "YX"),
        (lambda rng: cells(STACK, 3, rng) + 60, "ZYX"),
        (lambda rng: np.broadcast_to(cells((96, 96), 6, rng) + 60, (6, 96, 96)), "TYX"),
    ],
)
def test_voxels_far_off_and_the_noise_beside_them(make: Callable[[np.random.Generator], Array], axes: str) -> None:
    rng = np.random.default_rng(11)
    true = make(rng)
    values = salted(true + STD * rng.standard_normal(true.shape), rng)
    noise = measure(volume(values, axes))
    assert noise.is_impulsive and noise.rest_std == pytest.approx(STD, rel=0.05)
    assert noise.std == pytest.approx(np.sqrt(np.mean((values - true) ** 2)), rel=0.1)
    _, reason = route(assumed(true.shape[-len(axes.strip("T")) :]), noise, normalise([volume(values, axes)]))
    assert "few voxels are far off" in reason


def test_voxels_far_off_in_a_padded_field() -> None:
    rng = np.random.default_rng(20)
    values = np.where(off_centre(PLANE) < 80, salted(60 + STD * rng.standard_normal(PLANE), rng), 0)
    noise = measure(volume(values))
    assert noise.is_impulsive and noise.rest_std == pytest.approx(STD, rel=0.05)


def test_what_is_no_repeat_is_refused() -> None:
    image = volume(gaussian(PLANE, np.random.default_rng(21)))
    with pytest.raises(UsageError, match="nothing was recorded in it"):
        measure(image, repeat=volume(np.zeros(PLANE)))
    with pytest.raises(MeeumError, match="as if both were the same recording"):
        measure(image, repeat=image)


def dots(count: int, width: float, rng: np.random.Generator) -> Array:
    places = np.zeros(PLANE)
    places[tuple(rng.integers(0, 192, (2, count)))] = 1
    return scipy.ndimage.gaussian_filter(places, width) * 200 * 2 * np.pi * width**2


def test_dots_are_not_voxels_far_off_and_if_many_are_said_to_hide_the_noise() -> None:
    rng = np.random.default_rng(12)
    for count, width in ((40, 1.0), (400, 0.8), (400, 1.2)):
        noise = measure(volume(dots(count, width, rng) + STD * rng.standard_normal(PLANE)))
        assert not noise.is_impulsive
        assert noise.std == pytest.approx(STD, rel=0.1) or noise.source == ROUGH


def test_a_maximum_projection_is_not_taken_for_dots() -> None:
    stack = np.random.default_rng(13).standard_normal((40, *PLANE))
    smooth = scipy.ndimage.gaussian_filter(stack, (0, 0.8, 0.8))
    assert measure(volume(smooth.max(axis=0))).source != ROUGH


def test_another_level_goes_with_all_that_it_follows() -> None:
    rng = np.random.default_rng(14)
    counted = measure(volume(rng.poisson(cells(PLANE, 12, rng) + 5).astype(float)))
    rising = measure(volume((1 + np.indices(PLANE)[1] / 64) * rng.standard_normal(PLANE)))
    assert (counted.follows, rising.follows) == ("signal", "place")
    whole, values = (slice(0, 192), slice(0, 192)), cells(PLANE, 12, rng) + 5
    for noise in (counted, rising):
        half: Noise = noise.with_power(noise.std**2 * noise.spectrum / 4)
        assert half.std == pytest.approx(noise.std / 2)
        np.testing.assert_allclose(half.levels(values, whole, PLANE), noise.levels(values, whole, PLANE) / 2, rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda values: np.minimum(values, 8), "saturated"),
        (lambda values: np.rint(values / 15) * 15, "rounding hides it"),
        (lambda values: np.maximum(np.rint(values), 0), "lie at the lowest value"),
        (lambda values: values + 1e7, "subtract a constant"),
    ],
)
def test_what_the_values_no_longer_tell_is_said(change: Callable[[Array], Array], word: str) -> None:
    """And an image of which they tell all is not said to lack anything."""
    values = cells(PLANE, 6, np.random.default_rng(15)) + STD * np.random.default_rng(16).standard_normal(PLANE)
    for image, lacking in ((values, False), (np.asarray(change(values), np.float32), True)):
        trust, untold = reliability(measure(volume(image)), PLANE, describe_values(image))
        assert any(word in sentence for sentence in untold) == lacking
        assert (trust == "good") == (not lacking)


def test_two_recordings_of_films() -> None:
    one, other = (film(np.random.default_rng(17)), film(np.random.default_rng(17)) + 0.0)
    other += STD * np.random.default_rng(18).standard_normal(other.shape)
    noise = measure(volume(one, "TYX"), repeat=volume(other, "TYX"))
    assert noise.source == REPEATS and noise.std == pytest.approx(STD / np.sqrt(2), rel=0.05)


def test_values_too_large_to_compute_with_are_refused() -> None:
    with pytest.raises(MeeumError, match="too large to compute with; divide"):
        measure(volume(gaussian(PLANE, np.random.default_rng(19)) * 1e30))
