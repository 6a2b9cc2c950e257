"""Lattices, stripes and seams: planted ones are found where and as strong as they are, and none in cells and noise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meeum.noise.patterns import find_lattice, find_seams, find_stripes
from meeum.phantom import PhantomSettings, make

SIGMA, PERIOD, SHAPE = 4e-4, 9.14, (24, 96, 96)
WIDE = (24, 128, 128)
COLOURS = ("white", "optical", "directional")
FINDERS = (find_lattice, find_stripes, find_seams)


def simulated(seed, shape=SHAPE, **changes):
    """Of all noise colours and numbers of cells, as the seed says."""
    plan = {"optics": "ht-x1", "noise_colour": COLOURS[seed % 3], "cells": (1, 1, 0, 4)[seed % 4], "noise_std": SIGMA}
    return make(shape, seed=seed, settings=PhantomSettings(**plan | changes)).noisy.read()


def test_cells_and_coloured_noise_raise_no_alarm():
    for seed in range(20):
        volume = simulated(seed, optics=("ht-x1", "ht-2h")[seed // 10])
        for values in (volume, volume.max(0), volume[12]):
            assert [find(values) for find in FINDERS] == [(), (), ()], f"seed {seed}, shape {values.shape}"


def test_noise_alone_raises_no_alarm(rng):
    for size in (64, 128, 192):
        for _ in range(15):
            noise = rng.standard_normal((size, size)).astype(np.float32)
            assert [find(noise) for find in FINDERS] == [(), (), ()]


def test_faint_lattices_of_phantoms_are_found():
    """An amplitude of 0.2 sigma in 20 volumes: nearly all of them, with the right period, and nothing besides."""
    hits = 0
    for seed in range(20):
        found = find_lattice(simulated(seed, WIDE, cells=1, lattice_period=PERIOD, lattice_amplitude=0.2 * SIGMA))
        right = [one for one in found if abs(one.period - PERIOD) < 0.1 and one.word in ("along x", "along y")]
        assert len(right) == len(found), [one.sentence for one in found]
        hits += {one.word for one in found} == {"along x", "along y"}
    assert hits >= 18


@settings(max_examples=10, deadline=None)
@given(period=st.floats(2.5, 25), angle=st.floats(0, np.pi), seed=st.integers(0, 1000))
def test_a_lattice_under_the_noise_is_measured(period, angle, seed):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:256, :200]
    wave = np.cos(2 * np.pi * (np.cos(angle) * x + np.sin(angle) * y) / period + seed)
    (found,) = find_lattice((rng.standard_normal(y.shape) + 0.2 * wave).astype(np.float32))
    assert found.period == pytest.approx(period, rel=0.004 * max(period / 9, 1))
    assert abs(np.dot(found.direction, (np.sin(angle), np.cos(angle)))) > 0.999
    assert found.amplitude == pytest.approx(0.2, abs=0.05)
    assert found.p_value < 1e-4 and found.contrast > 40 and f"{found.period:.2f}" in found.sentence


def test_a_lattice_that_drifts_along_z_is_found(rng):
    """Its mean along z vanishes: the phase turns twice through the depth."""
    z, _, x = np.mgrid[:32, :96, :96]
    wave = np.cos(2 * np.pi * (x / PERIOD + 2 * z / 32))
    (found,) = find_lattice((rng.standard_normal(z.shape) + 0.15 * wave).astype(np.float32))
    assert found.seen_in == "a wave along z" and found.word == "along x"
    assert 1 / np.hypot(2 / 32, 1 / PERIOD) == pytest.approx(found.period, rel=0.01)


@pytest.mark.parametrize(("axis", "number"), [("Y", 1), ("X", 2)])
def test_rows_and_columns_with_offsets_are_found(rng, axis, number):
    hits = 0
    for seed in range(6):
        shape = [1, 1, 1]
        shape[number] = SHAPE[number]
        offsets = 0.4 * SIGMA * rng.standard_normal(shape)
        found = find_stripes((simulated(seed, cells=1) + offsets).astype(np.float32))
        hits += [one.across for one in found] == [axis]
        assert all(one.amplitude == pytest.approx(0.4 * SIGMA, rel=0.3) for one in found if one.across == axis)
    assert hits >= 5


def test_stripes_of_images_and_of_each_plane_are_found(rng):
    (image,) = find_stripes(rng.standard_normal((200, 160)) + 0.2 * rng.standard_normal((200, 1)))
    assert image.across == "Y" and image.amplitude == pytest.approx(0.2, rel=0.2) and "Rows" in image.sentence
    found = find_stripes(rng.standard_normal(SHAPE) + 0.5 * rng.standard_normal((24, 1, 96)))
    assert {one.across: one.per_plane for one in found if one.across != "Z"} == {"X": True}
    assert next(one for one in found if one.across == "X").amplitude == pytest.approx(0.5, rel=0.2)


def test_planes_with_offsets_are_found(rng):
    (found,) = find_stripes(rng.standard_normal((40, 64, 64)) + 0.2 * rng.standard_normal((40, 1, 1)))
    assert found.across == "Z" and found.amplitude == pytest.approx(0.2, rel=0.35) and "Planes" in found.sentence


@settings(max_examples=10, deadline=None)
@given(place=st.integers(8, 85), axis=st.sampled_from([1, 2]), height=st.floats(3, 10), seed=st.integers(0, 10))
def test_a_seam_is_found_where_it_is(place, axis, height, seed):
    volume = simulated(seed, cells=0)
    after = np.moveaxis(volume, axis, 0)[place:]
    after += np.float32(height * SIGMA)
    (found,) = find_seams(volume)
    assert (found.axis, found.position) == ("ZYX"[axis], place)
    assert found.height == pytest.approx(height * SIGMA, rel=0.2) and str(place) in found.sentence


def test_seams_of_a_mosaic_with_cells_are_found():
    volume = simulated(1, cells=1)
    volume[:, :, 48:] += np.float32(3 * SIGMA)
    volume[:, 60:] -= np.float32(3 * SIGMA)
    assert [(one.axis, one.position) for one in find_seams(volume)] == [("Y", 60), ("X", 48)]


def test_one_odd_line_is_no_seam(rng):
    image = rng.standard_normal((128, 128))
    image[70] += 5
    assert find_seams(image) == ()


def test_voxels_without_data_and_constant_images_raise_no_alarm(rng):
    y, x = np.mgrid[:200, :200]
    disc = np.hypot(y - 100, x - 100) < 80
    for outside in (0, np.nan):
        image = np.where(disc, 1.337 + SIGMA * rng.standard_normal(disc.shape), outside).astype(np.float32)
        assert [find(image, disc) for find in FINDERS] == [(), (), ()]
    lattice = np.where(disc, image + np.float32(0.4 * SIGMA) * np.cos(2 * np.pi * x / PERIOD), np.nan)
    assert [one.word for one in find_lattice(lattice, disc)] == ["along x"]
    for shape in ((3, 3), (64, 64), (5, 5, 5), (30, 40, 50)):
        for valid in (None, np.zeros(shape, dtype=bool)):
            assert [find(np.full(shape, 1.337, np.float32), valid) for find in FINDERS] == [(), (), ()]


def test_inputs_stay_as_they_are():
    volume = simulated(0)
    before = volume.copy()
    for find in FINDERS:
        find(volume, axes="ZYX")
    np.testing.assert_array_equal(volume, before)
