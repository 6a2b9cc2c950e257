"""Prediction: tiles cover an image exactly once within the memory, and tiled equals whole."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from meeum.checkpoint import Model
from meeum.errors import UsageError
from meeum.networks import Shape, build
from meeum.patches import Normalisation
from meeum.predict import fill, plan_tiles, predict
from meeum.settings import Settings
from meeum.volume import Volume

torch.set_num_threads(1)

# --- planning


@st.composite
def plans(draw):
    axes = draw(st.integers(2, 3))
    longest = 60 if axes == 2 else 16
    each = [
        (draw(st.integers(1, longest)), draw(st.sampled_from([1, 2, 4, 8])), draw(st.integers(0, 14)))
        for _ in range(axes)
    ]
    shape, stride, reach = (tuple(numbers) for numbers in zip(*each, strict=True))
    return shape, stride, reach, draw(st.floats(0, 1))


def multiple(n, stride):
    return -(-n // stride) * stride


def least_and_whole(shape, stride, reach):
    """Voxels of the smallest tile there can be, and of the whole image, padded to the stride."""
    whole = [multiple(n, s) for n, s in zip(shape, stride, strict=True)]
    least = [min(s + 2 * multiple(r, s), n) for s, r, n in zip(stride, reach, whole, strict=True)]
    return math.prod(least), math.prod(whole)


@given(plans())
@settings(max_examples=300, deadline=None)
def test_tiles_cover_every_voxel_once_with_their_reach_within_the_budget(plan):
    shape, stride, reach, part = plan
    least, whole = least_and_whole(shape, stride, reach)
    budget = round(least + part**3 * (whole - least))
    seen = np.zeros(shape, dtype=int)
    for tile in plan_tiles(shape, stride, reach, most_voxels=budget):
        seen[tile.keep] += 1
        sides = [r.stop - r.start + pad for r, pad in zip(tile.read, tile.pad, strict=True)]
        assert math.prod(sides) <= budget
        for n, s, far, side, read, keep, inner, pad in zip(
            shape, stride, reach, sides, tile.read, tile.keep, tile.inner, tile.pad, strict=True
        ):
            assert side % s == 0 and read.start % s == 0 and keep.start % s == 0
            assert 0 <= read.start <= keep.start < keep.stop <= read.stop <= n
            assert (inner.start + read.start, inner.stop + read.start) == (keep.start, keep.stop)
            assert read.start == 0 or keep.start - read.start >= far
            assert read.stop == n or read.stop - keep.stop >= far
            assert pad == (multiple(n, s) - n if read.stop + s > n and read.stop == n else 0)
    assert (seen == 1).all()


@pytest.mark.parametrize("units", [5, 7, 20, 100, 183])
def test_of_all_cuts_one_is_taken_that_reads_least(units):
    """Parts at the ends have a halo on one side only: two halves may do where three parts with two halos do not."""
    for room in range(min(5, units), units + 1):
        tiles = plan_tiles((4 * units, 4), (4, 4), (8, 4), most_voxels=16 * room)
        read = sum(tile.read[0].stop - tile.read[0].start for tile in tiles) // 4
        assert read <= 1.02 * least_read(units, 2, room)  # even parts are tried only


def least_read(units, halo, room):
    """Of all lengths of parts, those whose reads fit into `room`: the fewest units read in all."""
    totals = []
    for core in range(1, units + 1):
        reads = [min(units, first + core + halo) - max(0, first - halo) for first in range(0, units, core)]
        totals += [sum(reads)] if max(reads) <= room else []
    return min(totals)


def test_a_budget_for_the_whole_takes_one_tile():
    (tile,) = plan_tiles((5, 37, 41), (1, 4, 4), (10, 32, 32), most_voxels=5 * 40 * 44)
    assert tile.read == tile.keep == tile.inner == (slice(0, 5), slice(0, 37), slice(0, 41))
    assert tile.pad == (0, 3, 3)


def test_only_axes_whose_cutting_saves_memory_are_cut():
    tiles = plan_tiles((60, 200, 200), (4, 4, 4), (32, 8, 8), most_voxels=60 * 36 * 36)
    assert all(tile.keep[0] == slice(0, 60) for tile in tiles)


@pytest.mark.parametrize(
    ("shape", "stride", "reach"), [((40, 40), (4, 4), (8, 8)), ((9, 50, 50), (1, 2, 2), (2, 5, 5))]
)
def test_too_little_memory_is_refused_with_how_much_more_would_do(shape, stride, reach):
    least, _ = least_and_whole(shape, stride, reach)
    assert plan_tiles(shape, stride, reach, most_voxels=least)
    for budget in (least - 1, least // 3, 0):
        with pytest.raises(UsageError) as refused:
            plan_tiles(shape, stride, reach, most_voxels=budget)
        text = str(refused.value)
        assert "[prediction] memory_gb" in text and f"room for {budget} voxels" in text and str(least) in text
    with pytest.raises(UsageError, match=r"at least 3\.\d times"):
        plan_tiles(shape, stride, reach, most_voxels=least // 3)


# --- tiled equals whole

PER_GB = 2**30 / build("unet", Shape(3, ((2, 2),), 2), seed=0).voxel_bytes  # voxels of a tile
IMAGES = [  # shape, halvings, voxels of a tile
    ((61, 67), ((2, 2),), 34 * 40),
    ((97, 101), ((2, 2), (2, 2)), 76 * 80),
    ((1, 97), ((2, 2),), 80),
    ((1, 53, 47), ((1, 2, 2),), 36 * 36),
    ((1, 41, 43), ((2, 2, 2),), 2 * 34 * 34),
    ((5, 41, 37), ((1, 2, 2),), 5 * 32 * 32),
    ((5, 43, 41), ((2, 2, 2),), 6 * 32 * 36),
    ((31, 37, 29), ((2, 2, 2),), 27000),
    ((2, 7, 3), ((2, 2, 2), (2, 2, 2)), 4 * 8 * 4),
    ((29, 44, 41), ((1, 2, 2),), 20 * 34 * 34),
]
EVERY = pytest.mark.parametrize(("shape", "levels", "room"), IMAGES, ids=str)


def model(levels, axes, *, room=10**9, offset=0.2, scale=1.5, precision="float32", top_skip=False):
    made = Shape(3, levels, axes, top_skip)
    network = build("unet", made, seed=2)
    with torch.no_grad():  # outputs of about the size of the input, and biases that are not zero
        for name, weight in network.named_parameters():
            weight.add_(0.1 if name.endswith("bias") else 0)
    chosen = Settings().changed("prediction", memory_gb=room * 1.0001 / PER_GB, precision=precision)
    return Model(network, chosen, made, Normalisation(offset, scale), "ZYX"[-axes:])


def image(shape, seed=0, **more):
    values = np.random.default_rng(seed).uniform(0, 1, shape).astype(np.float32)
    return Volume(values, "ZYX"[-len(shape) :], **more)


def denoised(volume, using):
    """The whole result and how many tiles it was made of; every voxel is given exactly once."""
    result, times = np.full(volume.shape, np.nan, dtype=np.float32), np.zeros(volume.shape, dtype=int)
    tiles = 0
    for region, values in predict(volume, using, device="cpu"):
        assert values.dtype == np.float32
        result[region], tiles = values, tiles + 1
        times[region] += 1
    assert (times == 1).all()
    return result, tiles


@EVERY
def test_tiled_equals_whole(shape, levels, room):
    whole, one = denoised(image(shape), model(levels, len(shape)))
    tiled, several = denoised(image(shape), model(levels, len(shape), room=room))
    assert one == 1 and (several > 1 or math.prod(shape) < 100)
    assert np.ptp(whole) > 0.05
    assert abs(tiled - whole).max() <= 1e-6 * np.ptp(image(shape).data)


def test_tiled_equals_whole_for_refractive_indices_but_for_the_last_bit_of_float32():
    values = np.random.default_rng(0).normal(1.337, 0.004, (67, 71)).astype(np.float32)
    results = [
        denoised(Volume(values, "YX"), model(((2, 2),), 2, room=room, offset=1.337, scale=0.004))[0]
        for room in (10**9, 34 * 40)
    ]
    assert abs(results[0] - results[1]).max() <= max(1e-6 * np.ptp(values), np.spacing(np.float32(1.4)))


@EVERY
def test_the_whole_is_the_network_applied_to_the_normalised_image(shape, levels, room):
    volume, using = image(shape), model(levels, len(shape), top_skip=True)
    pad = [(0, multiple(n, s) - n) for n, s in zip(shape, using.network.stride, strict=True)]
    padded = np.pad((volume.data - 0.2) / 1.5, pad, mode="reflect")
    with torch.no_grad():
        output = using.network(torch.from_numpy(padded)[None, None])[0, 0].numpy() * 1.5 + 0.2
    expected = output[tuple(slice(0, n) for n in shape)]
    np.testing.assert_allclose(denoised(volume, using)[0], expected, atol=1e-5)


def test_low_precision_is_near_but_not_the_same():
    exact, low = (denoised(image((40, 40)), model(((2, 2),), 2, precision=p))[0] for p in ("float32", "bfloat16"))
    assert low.dtype == np.float32 and 0 < abs(exact - low).max() < 0.1 * np.ptp(exact) + 0.02


# --- voxels without data


@pytest.mark.parametrize("no_data", [0.0, math.nan, -7.5])
@pytest.mark.parametrize("room", [10**9, 34 * 40])
def test_voxels_without_data_stay_exactly_that(no_data, room):
    volume = image((61, 67), no_data=no_data)
    volume.data[np.random.default_rng(3).random((61, 67)) < 0.2] = no_data
    volume.data[:45, :50] = no_data
    before, valid = volume.data.copy(), volume.valid(volume.data)
    result, _ = denoised(volume, model(((2, 2),), 2, room=room))
    np.testing.assert_array_equal(result[~valid], np.float32(no_data))
    assert np.isfinite(result[valid]).all() and volume.valid(result)[valid].all()
    np.testing.assert_array_equal(volume.data, before)


def test_what_stands_for_no_data_does_not_matter():
    holes = np.random.default_rng(3).random((61, 67)) < 0.2
    results = []
    for no_data in (0.0, math.nan, 1e6):
        volume = image((61, 67), no_data=no_data)
        volume.data[holes] = no_data
        results.append(denoised(volume, model(((2, 2),), 2, room=34 * 40))[0][~holes])
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_tiles_without_any_data_are_not_computed(monkeypatch):
    calls = []
    using = model(((2, 2),), 2, room=34 * 40)
    monkeypatch.setattr(using.network, "forward", lambda x: calls.append(x.shape) or nn.Identity()(x))
    volume = image((61, 67), no_data=0.0)
    volume.data[:] = 0
    result, tiles = denoised(volume, using)
    assert tiles > 4 and not calls and not result.any()
    volume.data[0, 0] = 1
    denoised(volume, using)
    assert len(calls) == 1


# --- frames


@pytest.mark.parametrize("axes", ["TYX", "TZYX"])
def test_every_frame_is_denoised_on_its_own_and_the_share_done_grows_to_one(axes):
    shape = (3, 37, 41) if axes == "TYX" else (2, 5, 21, 23)
    stack = np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)
    using = model((((2, 2) if axes == "TYX" else (1, 2, 2)),), len(shape) - 1, room=5 * 30 * 30)
    result = np.zeros_like(stack)
    shares = list(fill(result, Volume(stack, axes), using, device="cpu"))
    assert shares == sorted(shares) and shares[0] > 0 and shares[-1] == 1
    for frame, made in zip(stack, result, strict=True):
        np.testing.assert_array_equal(denoised(Volume(frame, axes[1:]), using)[0], made)
