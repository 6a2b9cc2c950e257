"""Planted damages: each does what its words say, where it says, and nothing else."""

import numpy as np
import pytest
import scipy.ndimage

from meeum.auditing.planting import DAMAGES, Scene, plant
from meeum.errors import UsageError

LEVEL = 0.25
SHAPES = {2: (96, 80), 3: (12, 72, 80)}
RATIOS = {2: (1.0, 1.0), 3: (2.5, 1.0, 1.0)}


def scene(axes=2, *, hole=False):
    """A smooth field of contrast 10 times the noise; half of it counts as background."""
    rng = np.random.default_rng(axes)
    field = scipy.ndimage.gaussian_filter(rng.standard_normal(SHAPES[axes]), 4 / np.array(RATIOS[axes]), mode="wrap")
    clean = (10 * LEVEL * field / field.std()).astype(np.float32)
    valid = np.ones(clean.shape, bool)
    if hole:
        valid[..., 10:20, 10:20] = False
    clean[~valid] = 0
    noisy = (clean + LEVEL * rng.standard_normal(clean.shape) * valid).astype(np.float32)
    return Scene(clean, noisy, valid, (clean < 0) & valid, LEVEL, RATIOS[axes])


def change(name, *, axes=2, strength=None, seed=3):
    """What planting adds, in standard deviations of the noise."""
    at = scene(axes)
    damaged = plant(name, at, rng=np.random.default_rng(seed), strength=strength)
    return (damaged.astype(float) - at.clean) / LEVEL


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("name", DAMAGES)
def test_each_damage_changes_what_was_measured_and_nothing_else(name, axes):
    at = scene(axes, hole=True)
    if axes < DAMAGES[name].axes:
        with pytest.raises(UsageError, match=f"{name} needs 3 axes"):
            plant(name, at, rng=np.random.default_rng(0))
        return
    before = at.clean.copy()
    first, again = (plant(name, at, rng=np.random.default_rng(7)) for _ in range(2))
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(at.clean, before)
    np.testing.assert_array_equal(first[~at.valid], 0)
    assert np.abs(first - before).max() > 0.03 * LEVEL


@pytest.mark.parametrize("name", DAMAGES)
def test_more_strength_is_more_damage_and_the_words_tell_it(name):
    damage = DAMAGES[name]
    axes = max(damage.axes, 2)
    away = sorted(damage.grid, key=lambda s: abs(s - (1 if name == "gain" else 0)))
    energies = [np.square(change(name, axes=axes, strength=s)).sum() for s in (away[0], away[-1])]
    assert energies[1] > energies[0]
    assert damage.default in damage.grid
    assert f"{damage.default:g}" in damage.sentence()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("period", [2, 3, 4, 8])
def test_a_lattice_is_one_wave_of_its_period_and_amplitude(period, seed):
    added = change(f"lattice-{period}", strength=0.2, seed=seed)
    window = np.hanning(96)[:, None] * np.hanning(80)
    power = np.abs(np.fft.rfft2(added * window, s=(960, 960)))
    row, column = np.unravel_index(power.argmax(), power.shape)
    frequency = np.hypot(np.fft.fftfreq(960)[row], np.fft.rfftfreq(960)[column])
    assert frequency == pytest.approx(1 / period, abs=0.004)
    assert np.abs(added).max() == pytest.approx(0.2, rel=0.15)


def test_lattices_run_along_every_axis_and_obliquely():
    directions = set()
    for seed in range(30):
        added = change("lattice-2", seed=seed, axes=3)
        flat = tuple(bool(np.allclose(np.ptp(added, axis=axis), 0, atol=1e-4)) for axis in range(3))
        directions.add(flat)
    assert directions == {(True, False, True), (True, True, False), (True, False, False)}  # z holds too few cycles


@pytest.mark.parametrize("axes", [2, 3])
def test_an_inverted_spot_turns_its_contrast_and_leaves_the_rest(axes):
    at = scene(axes)
    for seed in range(5):
        added = change("inverted", axes=axes, seed=seed)
        places = np.argwhere(np.abs(added) > 0)
        middle = (places.min(axis=0) + places.max(axis=0)) / 2
        distance = np.sqrt((((places - middle) * RATIOS[axes]) ** 2).sum(axis=1))
        assert distance.max() < 5.5
        inside = tuple(places[distance < 3].T)
        mean = (at.clean[inside].astype(float) + at.clean[inside] + LEVEL * added[inside]) / 2
        assert np.ptp(mean) < 1e-4  # every voxel and its damaged value lie either side of one mean
        assert np.abs(added).max() > 4


def test_inverting_everything_turns_all_contrast_about_the_mean():
    at = scene()
    damaged = plant("negative", at, rng=np.random.default_rng(0))
    np.testing.assert_allclose(damaged, 2 * at.clean.mean(dtype=float) - at.clean, atol=1e-5)


def test_gain_and_offset_are_exact():
    at, rng = scene(), np.random.default_rng(0)
    gain, mean = plant("gain", at, rng=rng), at.clean.mean(dtype=float)
    assert np.polyfit(at.clean.ravel(), gain.ravel(), 1) == pytest.approx([1.1, -0.1 * mean], abs=1e-4)
    np.testing.assert_allclose(change("offset", strength=0.4), 0.4, atol=1e-5)


def test_a_doughnut_has_a_hole_and_a_blob_has_none():
    for name, middle in (("doughnut", 0.0), ("blob", 2.0)):
        added = change(name)
        mass = scipy.ndimage.center_of_mass(added)
        assert added[tuple(round(at) for at in mass)] == pytest.approx(middle, abs=0.15)
        assert added.max() == pytest.approx(2, rel=0.05)
        assert scene().background[tuple(round(at) for at in mass)]


def test_seams_are_steps_and_stripes_and_planes_are_flat():
    assert sorted(set(np.round(change("seam", strength=0.5), 5).ravel())) == [-0.25, 0.25]
    rows, planes = change("stripes", axes=3), change("planes", axes=3)
    assert np.ptp(rows, axis=(0, 2)).max() < 1e-5
    assert rows[0, :, 0].std() == pytest.approx(0.2, rel=0.3)
    assert np.ptp(planes, axis=(1, 2)).max() < 1e-5
    drawn = np.stack([change("planes", axes=3, seed=seed)[:, 0, 0] for seed in range(20)])
    assert drawn.std() == pytest.approx(0.3, rel=0.15)


def test_a_blur_is_shorter_along_long_voxels():
    at = scene(3)
    expected = scipy.ndimage.gaussian_filter(at.clean, [2 / 2.5, 2, 2], truncate=4)
    inner = (slice(3, -3), slice(8, -8), slice(8, -8))
    damaged = plant("blur", at, rng=np.random.default_rng(0), strength=2)
    np.testing.assert_allclose(damaged[inner], expected[inner], atol=0.1 * LEVEL)


def test_noise_left_is_a_share_of_the_noise():
    at = scene()
    np.testing.assert_allclose(change("noise-left", strength=0.5), 0.5 * (at.noisy - at.clean) / LEVEL, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (1, 1, 1), (2, 5, 4)])
@pytest.mark.parametrize("name", DAMAGES)
def test_the_smallest_and_constant_images_can_be_damaged_too(name, shape):
    if len(shape) >= DAMAGES[name].axes:
        flat = np.ones(shape, np.float32)
        nothing = np.zeros(shape, bool)
        at = Scene(flat, flat, ~nothing, nothing, LEVEL, (1.0,) * len(shape))
        assert np.isfinite(plant(name, at, rng=np.random.default_rng(0))).all()


def test_an_unknown_damage_is_refused():
    with pytest.raises(UsageError, match="'scratch' is not known; known are inverted"):
        plant("scratch", scene(), rng=np.random.default_rng(0))
