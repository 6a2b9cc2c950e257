"""Patches: one robust affine, drawn the same whatever the batch, never judged where nothing may be judged."""

import math
import tracemalloc

import numpy as np
import pytest
import torch

from meeum import patches
from meeum.errors import MeeumError
from meeum.patches import HELD_OUT, TRAIN, Normalisation, draw, load, measure
from meeum.settings import TrainingSettings
from meeum.volume import Volume

torch.set_num_threads(1)

UNIT = Normalisation(0.0, 1.0)
GB_PER_VOXEL = 7 / 2**30  # float32, a byte for the role, float16 for the noise's level


def volume(values, axes=None, **more):
    values = np.asarray(values, dtype=np.float32)
    return Volume(values, axes or {2: "YX", 3: "ZYX"}[values.ndim], **more)


def numbered(*shape):
    """An image whose values say where they come from."""
    return np.arange(1, 1 + math.prod(shape), dtype=np.float32).reshape(shape)


def pool_of(*volumes, patch, **settings):
    return load(volumes, UNIT, patch=patch, settings=TrainingSettings(**settings), device="cpu")


class Guarded:
    """An array that keeps account of what is read of it."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.read = array, array.shape, array.dtype, 0

    def __getitem__(self, region):
        part = self.array[region]
        self.read += part.size
        return part


# --- normalisation


@pytest.mark.parametrize("shape", [(300, 400), (20, 80, 90)], ids=str)
def test_mean_and_std_are_measured(rng, shape):
    found = measure([volume(rng.normal(1.337, 0.004, shape))])
    assert found.offset == pytest.approx(1.337, abs=1e-4)
    assert found.scale == pytest.approx(0.004, rel=0.02)  # the outermost 0.2 % set aside: 1.1 % less


def test_voxels_without_data_do_not_count(rng):
    values = rng.normal(1.337, 0.004, (20, 80, 90)).astype(np.float32)
    whole = measure([volume(values)])
    for no_data in (0.0, math.nan):
        holed = values.copy()
        holed[:, :, :40] = no_data
        found = measure([volume(holed, no_data=no_data)])
        assert found.offset == pytest.approx(whole.offset, abs=1e-4)
        assert found.scale == pytest.approx(whole.scale, rel=0.02)
    holed[:, :, :40] = 0
    assert measure([volume(holed)]).scale > 100 * whole.scale


@pytest.mark.parametrize("outlier", [1e4, -1e4])
def test_one_in_a_thousand_outliers_do_not_count(rng, outlier):
    values = rng.normal(5, 2, (400, 500)).astype(np.float32)
    clean = measure([volume(values)])
    spoiled = values.copy()
    spoiled.ravel()[rng.choice(values.size, values.size // 1001, replace=False)] = outlier
    found = measure([volume(spoiled)])
    assert found.offset == pytest.approx(clean.offset, abs=0.02)
    assert found.scale == pytest.approx(clean.scale, rel=0.02)


def test_every_image_and_frame_counts(rng):
    low, high = (rng.normal(mean, 1, (2, 60, 60)) for mean in (0, 10))
    assert measure([volume(low), volume(high)]).offset == pytest.approx(5, abs=0.2)
    assert measure([volume(np.concatenate([low, high]), "TYX")]).offset == pytest.approx(5, abs=0.2)


def test_a_large_image_is_judged_by_several_planes_not_by_its_first(rng, monkeypatch):
    """The first plane may hold medium only, or nothing at all (mosaics)."""
    monkeypatch.setattr(patches, "SAMPLE", 400)
    values = (rng.normal(0, 1, (41, 30, 30)) + np.linspace(0, 20, 41)[:, None, None]).astype(np.float32)
    for axes in ("ZYX", "TYX"):
        data = Guarded(values)
        found = measure([Volume(data, axes)])
        assert found.scale == pytest.approx(values.std(), rel=0.25)
        assert data.read < 0.3 * values.size
    values[:5] = 0
    assert measure([volume(values, no_data=0.0)]).scale > 3


def test_of_large_planes_no_more_is_kept_than_is_asked_for(rng, monkeypatch):
    monkeypatch.setattr(patches, "SAMPLE", 8000)
    values = (rng.normal(0, 1, (30, 300, 300)) + np.linspace(0, 20, 30)[:, None, None]).astype(np.float32)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = patches._measured(volume(values), 8000)
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 4000 < len(kept) <= 16008 and kept.base is None
    assert after - before < 20 * 4 * 8000  # bytes
    assert peak - before < 4 * values[0].nbytes
    assert kept.mean() == pytest.approx(10, abs=0.2)  # of every plane alike


def test_apply_and_undo(rng):
    values = rng.normal(1.337, 0.004, (30, 30)).astype(np.float32)
    valid = values > 1.334
    units = Normalisation(1.337, 0.004)
    applied = units.apply(values, valid)
    assert applied.dtype == np.float32 and not applied[~valid].any()
    expected = (values.astype(float) - 1.337) / 0.004
    np.testing.assert_allclose(applied[valid], expected[valid], atol=1e-4)
    np.testing.assert_allclose(units.undo(applied)[valid], values[valid], rtol=2e-7)
    values[~valid] = np.nan
    assert np.isfinite(units.apply(values, valid)).all()


@pytest.mark.parametrize(
    ("values", "no_data", "words"),
    [
        (np.full((20, 20), 1.337), None, ["constant", "1.337"]),
        (np.zeros((20, 20)), None, ["constant"]),
        (np.zeros((20, 20)), 0.0, ["no voxel holds data", "0.0"]),
        (np.full((4, 20, 20), np.nan), math.nan, ["no voxel holds data", "nan"]),
        (np.where(np.eye(20) > 0, np.nan, 1.0), None, ["20 of 400 values", "nan", "input.no_data=nan"]),
        (np.where(np.eye(20) > 0, np.inf, 1.0), 0.0, ["20 of 400 values", "infinite"]),
        (np.array([[3.0]]), None, ["constant"]),
    ],
    ids=["constant", "zeros", "no data", "all nan", "nan", "inf", "one pixel"],
)
def test_images_that_hold_nothing_are_refused(values, no_data, words):
    with pytest.raises(MeeumError) as refused:
        measure([volume(values, no_data=no_data)])
    for word in ["array:", *words]:
        assert word in str(refused.value)


def test_a_nan_the_sample_missed_is_found_on_loading():
    values = numbered(20, 20)
    values[3, 3] = np.nan
    with pytest.raises(MeeumError, match="1 of 400 values"):
        pool_of(volume(values), patch=(8, 8))
    pool = pool_of(volume(values, no_data=math.nan), patch=(8, 8))
    assert pool.blocks[0].isfinite().all() and pool.roles[0][3, 3] == 0


def test_voxels_that_were_never_measured_have_no_noise():
    values = numbered(20, 20)
    levels = {"levels": lambda values, region, shape: np.full((1, 1), 3.0)}
    settings = {"patch": (8, 8), "settings": TrainingSettings(), "device": "cpu"}
    whole = load([volume(values)], Normalisation(0.0, 2.0), **settings, **levels)
    assert (whole.levels[0] == 1.5).all() and whole.levels[0].untyped_storage().nbytes() == 2
    values[3:9, :5] = 0
    holed = load([volume(values, no_data=0.0)], Normalisation(0.0, 2.0), **settings, **levels)
    assert torch.equal(holed.levels[0], torch.where(holed.roles[0] > 0, 1.5, 0.0).half())


# --- roles


def test_the_end_of_the_longest_axis_is_held_out():
    pool = pool_of(volume(numbered(30, 100)), patch=(8, 8), held_out=0.06)
    roles = pool.roles[0].numpy()
    assert (roles[:, :94] == TRAIN).all() and (roles[:, 94:] == HELD_OUT).all()
    everything = pool_of(volume(numbered(30, 100)), patch=(8, 8), held_out=0).roles[0]
    assert (everything == TRAIN).all()


CASES = [((40, 30), (16, 8)), ((30, 20), (30, 20)), ((10, 24, 20), (4, 8, 8))]


@pytest.mark.parametrize(("shape", "patch"), CASES, ids=str)
@pytest.mark.parametrize("role", [TRAIN, HELD_OUT])
def test_what_may_be_judged_is_measured_and_of_the_role_asked_for(rng, shape, patch, role):
    values = numbered(*shape)
    values[rng.random(shape) < 0.1] = 0
    pool = pool_of(volume(values, no_data=0.0), patch=patch, held_out=0.2)
    roles = dict(zip(pool.blocks[0].flatten().tolist(), pool.roles[0].flatten().tolist(), strict=True))
    batch = draw(pool, range(40), role=role, seed=3)
    assert batch.image.shape == batch.allowed.shape == (40, *patch) and batch.allowed.dtype == torch.bool
    for value, allowed in zip(batch.image.flatten().tolist(), batch.allowed.flatten().tolist(), strict=True):
        assert allowed == (value != 0 and roles[value] == role)
    assert batch.allowed.flatten(1).any(1).all()


def test_training_patches_are_looked_for_where_there_is_data():
    values = numbered(64, 64)
    values[:, :48] = 0
    batch = draw(pool_of(volume(values, no_data=0.0), patch=(8, 8)), range(50), role=TRAIN, seed=0)
    assert (batch.allowed.float().mean((1, 2)) >= 0.5).float().mean() > 0.9


@pytest.mark.parametrize("role", [TRAIN, HELD_OUT])
def test_every_patch_holds_some_of_a_small_field_in_a_large_frame(role):
    """Fewer than one random patch in twenty would, and none of it half."""
    values = np.zeros((6, 120, 128))
    values[2:4, 100:106, 118:] = numbered(2, 6, 10)
    values[:, 20:24, 126:] = 7000
    pool = pool_of(volume(values, no_data=0.0), volume(np.zeros((6, 40, 40)), no_data=0.0), patch=(2, 8, 8))
    batch = draw(pool, range(100), role=role, seed=0)
    assert batch.allowed.flatten(1).any(1).all()
    usable = set(
        torch.cat([block[roles == role] for block, roles in zip(pool.blocks, pool.roles, strict=True)]).tolist()
    )
    assert set(batch.image[batch.allowed].tolist()) == usable
    again = draw(pool, range(50, 100), role=role, seed=0)
    assert torch.equal(again.image, batch.image[50:])


def test_held_out_patches_are_looked_for_where_there_is_data():
    values = numbered(24, 64)
    values[:14, 56:] = 0
    batch = draw(pool_of(volume(values, no_data=0.0), patch=(8, 8), held_out=0.1), range(50), role=HELD_OUT, seed=0)
    assert batch.allowed.flatten(1).any(1).all()


def test_all_of_the_image_is_drawn():
    pool = pool_of(volume(numbered(12, 13)), volume(1000 + numbered(9, 9)), patch=(4, 4), held_out=0)
    batch = draw(pool, range(600), role=TRAIN, seed=0)
    assert set(batch.image.flatten().tolist()) == {*range(1, 157), *range(1001, 1082)}
    share = float((batch.image > 1000).float().mean())
    assert share == pytest.approx(81 / (81 + 156), abs=0.08)  # images count by their size


# --- drawing


@pytest.mark.parametrize(("shape", "patch"), CASES, ids=str)
def test_a_patch_depends_on_its_number_and_the_seed_only(shape, patch):
    pool = pool_of(volume(numbered(*shape)), patch=patch)
    together = draw(pool, range(8), role=TRAIN, seed=1)
    halves = [draw(pool, range(first, first + 4), role=TRAIN, seed=1) for first in (0, 4)]
    assert torch.equal(together.image, torch.cat([half.image for half in halves]))
    assert torch.equal(together.allowed, torch.cat([half.allowed for half in halves]))
    other = draw(pool, range(8), role=TRAIN, seed=2)
    assert not torch.equal(together.image, other.image)
    assert len({tuple(image.flatten().tolist()) for image in together.image}) > 1


def orientations(batch):
    """Signs of the steps along the axes of each patch, and whether x and y are swapped."""
    found = set()
    for image in batch.image.numpy():
        steps = [np.diff(image, axis=axis).flat[0] for axis in range(image.ndim)]
        found.add((*np.sign(steps).astype(int).tolist(), bool(abs(steps[-1]) > abs(steps[-2]))))
    return found


@pytest.mark.parametrize(
    ("turn", "flipped", "swaps"),
    [
        ("", (), False),
        ("none", (), False),
        ("X", (2,), False),
        ("Z", (0,), False),
        ("ZX", (0, 2), False),
        ("YX", (1, 2), True),
        ("ZYX", (0, 1, 2), True),
    ],
)
def test_patches_are_flipped_along_the_turning_axes_and_no_others(turn, flipped, swaps):
    settings = TrainingSettings(held_out=0).model_copy(update={"turn": turn})
    pool = load([volume(numbered(6, 16, 15))], UNIT, patch=(2, 4, 4), settings=settings, device="cpu")
    found = orientations(draw(pool, range(150), role=TRAIN, seed=0))
    assert len(found) == 2 ** (len(flipped) + swaps)
    for axis in range(3):
        assert {signs[axis] for signs in found} == ({-1, 1} if axis in flipped else {1})
    assert {signs[3] for signs in found} == ({False, True} if swaps else {False})


def test_a_turned_patch_is_a_patch_of_the_image_and_its_roles_turn_with_it():
    values = numbered(20, 21)
    pool = pool_of(volume(values), patch=(5, 5), held_out=0.3)
    role_of = dict(zip(values.ravel().tolist(), pool.roles[0].flatten().tolist(), strict=True))
    batch = draw(pool, range(60), role=TRAIN, seed=0)
    assert len(orientations(batch)) == 8
    for image, allowed in zip(batch.image.numpy(), batch.allowed.numpy(), strict=True):
        rows, columns = np.unravel_index(image.astype(int) - 1, values.shape)
        assert np.ptp(rows) == np.ptp(columns) == 4 and len(np.unique(image)) == 25
        assert (allowed == np.vectorize(lambda value: role_of[value] == TRAIN)(image)).all()


def test_patches_to_be_judged_by_may_stay_as_they_are():
    pool = pool_of(volume(numbered(20, 21)), patch=(5, 5), held_out=0.3)
    assert orientations(draw(pool, range(60), role=TRAIN, seed=0, turned=False)) == {(1, 1, False)}


def test_patches_that_are_not_square_are_never_swapped():
    pool = pool_of(volume(numbered(20, 21)), patch=(5, 6), held_out=0)
    assert {signs[2] for signs in orientations(draw(pool, range(60), role=TRAIN, seed=0))} == {False}


# --- images too large for memory


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(patches, "BLOCK", 8)


def test_images_that_fit_are_taken_whole(small_blocks):
    values = numbered(3, 40, 44)
    pool = pool_of(volume(values, "TYX"), patch=(6, 6), memory_gb=values.size * GB_PER_VOXEL * 1.001)
    assert [block.shape for block in pool.blocks] == [(40, 44)] * 3
    np.testing.assert_array_equal(torch.stack(pool.blocks).numpy(), values)


@pytest.mark.parametrize(("shape", "axes"), [((50, 60), "YX"), ((20, 30, 31), "ZYX"), ((4, 30, 31), "TYX")], ids=str)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_blocks_stay_within_the_memory_and_use_it(small_blocks, shape, axes, share):
    data = Guarded(numbered(*shape))
    room = int(share * data.array.size)
    settings = {"patch": (5,) * len(axes.removeprefix("T")), "memory_gb": room * GB_PER_VOXEL * 1.0001}
    pool = pool_of(Volume(data, axes), **settings)
    largest = max(block.numel() for block in pool.blocks)
    assert room - 3 * largest < sum(block.numel() for block in pool.blocks) <= room
    assert data.read <= room
    again = pool_of(Volume(data, axes), **settings)
    assert all(torch.equal(one, same) for one, same in zip(pool.blocks, again.blocks, strict=True))
    other = pool_of(Volume(data, axes), **settings, seed=1)
    assert [block.flatten()[0] for block in other.blocks] != [block.flatten()[0] for block in pool.blocks]


def test_blocks_hold_a_patch_and_do_not_overlap(small_blocks):
    """Where blocks overlapped, one would train on what another holds out."""
    pool = pool_of(volume(numbered(61, 70)), patch=(10, 12), memory_gb=3500 * GB_PER_VOXEL)
    assert len(pool.blocks) > 5
    assert all(block.shape[0] >= 10 and block.shape[1] >= 12 for block in pool.blocks)
    values = torch.cat([block.flatten() for block in pool.blocks])
    assert len(values.unique()) == len(values)
    for role in (TRAIN, HELD_OUT):
        assert draw(pool, range(20), role=role, seed=0).allowed.flatten(1).any(1).all()


def test_all_of_a_too_large_image_can_be_drawn(small_blocks):
    seen = set()
    for seed in range(12):
        pool = pool_of(volume(numbered(21, 30)), patch=(8, 8), memory_gb=400 * GB_PER_VOXEL, seed=seed)
        seen |= set(torch.cat([block.flatten() for block in pool.blocks]).tolist())
    assert len(seen) == 21 * 30


def test_there_is_one_block_however_little_memory(small_blocks):
    assert len(pool_of(volume(numbered(30, 30)), patch=(8, 8), memory_gb=1e-9).blocks) == 1
