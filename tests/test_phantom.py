"""Phantoms: every number a phantom claims to know is checked against the arrays it returns."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from meeum.errors import UsageError
from meeum.phantom import NOISE_COLOURS, OPTICS, Phantom, PhantomSettings, coloured_noise, make, optical_support
from meeum.volume import maximum_projection

SHAPE = (32, 96, 96)
EMPTY = PhantomSettings(cells=0)


@cache
def default_phantom() -> Phantom:
    return make(SHAPE, seed=3)


def noise_of(phantom: Phantom) -> np.ndarray:
    return phantom.noisy.read().astype(np.float64) - phantom.truth.read()


def lag_one(noise: np.ndarray) -> list[float]:
    centred = noise - noise.mean()
    return [float((centred * np.roll(centred, 1, axis)).mean() / centred.var()) for axis in range(3)]


def test_same_seed_gives_the_same_phantom_and_another_seed_another():
    first, again, other = make((16, 48, 48), seed=5), make((16, 48, 48), seed=5), make((16, 48, 48), seed=6)
    generator = make((16, 48, 48), seed=np.random.default_rng(5))
    for name in ("truth", "object", "noisy"):
        values = getattr(first, name).read()
        np.testing.assert_array_equal(values, getattr(again, name).read())
        np.testing.assert_array_equal(values, getattr(generator, name).read())
        assert not np.array_equal(values, getattr(other, name).read())
    assert first.droplets == again.droplets != other.droplets


def test_the_specimen_does_not_depend_on_noise_or_artefacts():
    plain = default_phantom()
    settings = PhantomSettings(noise_std=2e-3, noise_colour="white", lattice_amplitude=1e-3, fringe_amplitude=1e-3)
    disturbed = make(SHAPE, seed=3, settings=settings)
    np.testing.assert_array_equal(plain.truth.read(), disturbed.truth.read())
    np.testing.assert_array_equal(plain.object.read(), disturbed.object.read())
    assert disturbed.dry_mass_pg == plain.dry_mass_pg
    assert not np.array_equal(plain.noisy.read(), disturbed.noisy.read())


@pytest.mark.parametrize("colour", NOISE_COLOURS)
@pytest.mark.parametrize("std", [2e-4, 1e-3])
def test_noise_has_the_standard_deviation_asked_for(colour, std):
    phantom = make(SHAPE, seed=1, settings=PhantomSettings(noise_std=std, noise_colour=colour))
    assert phantom.noise_std == std
    assert noise_of(phantom).std() == pytest.approx(std, rel=0.03)
    assert abs(noise_of(phantom).mean()) < 0.05 * std


def test_no_noise_gives_the_truth():
    phantom = make((16, 48, 48), settings=PhantomSettings(noise_std=0))
    np.testing.assert_array_equal(phantom.noisy.read(), phantom.truth.read())


@pytest.mark.parametrize("name", OPTICS)
def test_support_is_what_random_pairs_of_waves_reach(name):
    optics, rng = OPTICS[name], np.random.default_rng(0)
    size = np.array(SHAPE) * optics.voxel_size_um

    def waves(aperture: float) -> np.ndarray:
        sine = aperture / optics.medium_index * np.sqrt(rng.uniform(size=1_000_000))
        angle = rng.uniform(0, 2 * np.pi, sine.size)
        directions = np.stack([np.sqrt(1 - sine**2), sine * np.sin(angle), sine * np.cos(angle)])
        return directions * optics.medium_index / optics.wavelength_um

    sites = np.rint((waves(optics.objective_na) - waves(optics.condenser_na)) * size[:, None]).astype(int)
    sites = sites[:, (np.abs(sites) < np.array(SHAPE)[:, None] // 2).all(axis=0)]
    reached = np.zeros(SHAPE, dtype=bool)
    reached[tuple(sites)] = reached[tuple(-sites)] = True
    support = optical_support(SHAPE, optics)
    # sites are rounded to the grid, so the two differ by up to one voxel at the border of the support
    grown = np.zeros_like(support)
    for axis in range(3):
        for step in (-1, 0, 1):
            grown |= np.roll(support, step, axis)
    assert not (reached & ~grown).any()
    assert (reached & support).sum() > 0.9 * support.sum()


def test_ring_illumination_passes_less_than_a_filled_condenser():
    disc = replace(OPTICS["ht-2h"], condenser_na=0.9)
    ring = replace(disc, condenser_inner_na=0.9)
    filled, hollow = optical_support(SHAPE, disc), optical_support(SHAPE, ring)
    assert hollow.sum() < filled.sum()
    assert not (hollow & ~filled).any()
    assert hollow[0, 0, 0]


def test_truth_has_no_energy_in_the_missing_cone_and_the_object_has():
    phantom = default_phantom()
    fz, fy, fx = (np.fft.fftfreq(n, size) for n, size in zip(SHAPE, phantom.optics.voxel_size_um, strict=True))
    axial, lateral = np.abs(fz)[:, None, None], np.hypot(fy[:, None], fx)[None]
    # near the mean the cone's edge is at K_r / K_z = cot(64°) = 0.49, the aperture angle being asin(1.2 / 1.337)
    cone = (axial > 0) & (lateral < 0.3 * axial) & (axial < 1.5)
    assert cone.sum() > 50

    def energy(values: np.ndarray) -> np.ndarray:
        return np.abs(np.fft.fftn(values.astype(np.float64) - phantom.optics.medium_index)) ** 2

    truth, sharp = energy(phantom.truth.read()), energy(phantom.object.read())
    assert truth[cone].sum() < 1e-8 * sharp[cone].sum()
    assert sharp[cone].sum() > 0.01 * sharp.sum()
    assert truth[~optical_support(SHAPE, phantom.optics)].sum() < 1e-8 * truth.sum()
    assert truth[0, 0, 0] == pytest.approx(sharp[0, 0, 0], rel=1e-3)  # the mean passes


def test_optical_noise_is_flat_within_the_support_with_a_floor_of_one_per_cent():
    phantom = make(SHAPE, seed=2, settings=EMPTY)
    power = np.abs(np.fft.fftn(noise_of(phantom))) ** 2
    support = optical_support(SHAPE, phantom.optics)
    lateral = np.hypot(np.fft.fftfreq(SHAPE[1])[:, None], np.fft.fftfreq(SHAPE[2]))[None]
    inner, outer = support & (lateral < 0.2), support & (lateral >= 0.2)
    assert power[inner].mean() == pytest.approx(power[outer].mean(), rel=0.06)
    assert power[~support].mean() == pytest.approx(0.01 * power[support].mean(), rel=0.06)


def test_lag_one_correlations_of_each_noise_colour():
    def measured(colour: str) -> list[float]:
        return lag_one(noise_of(make(SHAPE, seed=2, settings=replace(EMPTY, noise_colour=colour))))

    assert np.abs(measured("white")).max() < 0.01
    axial, *in_plane = measured("optical")
    assert axial == pytest.approx(0.67, abs=0.05)
    assert in_plane == pytest.approx([0.4, 0.4], abs=0.05)
    assert measured("directional") == pytest.approx([0, 0, 0.8], abs=0.02)


def test_a_callable_serves_as_noise_colour():
    def along_z(support: np.ndarray) -> np.ndarray:
        return np.where(np.abs(np.fft.fftfreq(support.shape[0]))[:, None, None] < 0.25, 1.0, 0.0) + 0 * support

    axial, *in_plane = lag_one(noise_of(make(SHAPE, settings=replace(EMPTY, noise_colour=along_z))))
    assert axial == pytest.approx(2 / np.pi, abs=0.05)  # of a half-band process: sin(π/2) / (π/2)
    assert np.abs(in_plane).max() < 0.02


def test_coloured_noise_ignores_the_scale_of_its_spectrum():
    power = np.random.default_rng(0).uniform(0.1, 1, (8, 8, 16))
    power += np.roll(power[::-1, ::-1, ::-1], 1, (0, 1, 2))  # a real field's spectrum is even
    draws = np.stack([coloured_noise(7 * power, np.random.default_rng(seed)) for seed in range(200)])
    assert draws.var() == pytest.approx(1, rel=0.02)
    spectrum = (np.abs(np.fft.fftn(draws, axes=(1, 2, 3))) ** 2).mean(axis=0) / power.size
    np.testing.assert_allclose(spectrum / (power / power.mean()), 1, atol=0.6)
    assert np.corrcoef(spectrum.ravel(), power.ravel())[0, 1] > 0.9


def test_lattice_of_the_stated_period_appears_only_when_asked_for():
    def peak_over_background(amplitude: float, axis: int) -> float:
        settings = replace(EMPTY, lattice_amplitude=amplitude, frames=1)
        profile = make((8, 160, 160), seed=4, settings=settings).noisy.read().astype(np.float64).mean(axis=(0, axis))
        places = np.arange(profile.size)
        window = np.hanning(profile.size)

        def at(period: float) -> float:
            return abs(np.sum(window * (profile - profile.mean()) * np.exp(-2j * np.pi * places / period)))

        return at(9.14) / np.median([at(p) for p in (6.5, 7.0, 7.5, 11.5, 12.5, 14.0)])

    for axis in (1, 2):
        assert peak_over_background(5e-4, axis) > 10
        assert peak_over_background(0.0, axis) < 4


def test_lattice_period_is_a_setting():
    phantom = make((8, 60, 60), settings=replace(EMPTY, noise_std=0, lattice_amplitude=1e-3, lattice_period=6))
    added = noise_of(phantom)
    assert np.abs(added).max() <= 2.01e-3
    np.testing.assert_allclose(np.roll(added, 6, axis=2), added, atol=3e-7)
    spectrum = np.abs(np.fft.rfft(added.mean(axis=(0, 1))))
    assert spectrum.argmax() == 10


def test_fringes_have_the_amplitude_asked_for():
    settings = replace(EMPTY, noise_std=0, fringe_amplitude=2e-3)
    added = noise_of(make(SHAPE, settings=settings))
    assert np.abs(added).max() == pytest.approx(2e-3, rel=0.01)
    assert added.std() == pytest.approx(2e-3 / np.sqrt(2), rel=0.05)


def test_clipping_leaves_nothing_below_the_medium_and_moves_the_background_mean():
    settings = replace(EMPTY, noise_std=1e-3, clip_non_negative=True)
    phantom = make(SHAPE, settings=settings)
    values, medium = phantom.noisy.read(), np.float32(phantom.optics.medium_index)
    assert values.min() == medium
    assert np.mean(values == medium) == pytest.approx(0.5, abs=0.03)
    assert values.mean(dtype=np.float64) - medium == pytest.approx(1e-3 / np.sqrt(2 * np.pi), rel=0.05)
    free = make(SHAPE, settings=replace(settings, clip_non_negative=False))
    np.testing.assert_allclose(values, np.maximum(free.noisy.read(), medium), atol=2e-7)


def test_clipping_acts_on_the_truth_as_on_the_measurement():
    clipped = make(SHAPE, seed=3, settings=PhantomSettings(clip_non_negative=True))
    medium = np.float32(clipped.optics.medium_index)
    assert default_phantom().truth.read().min() < medium - 5e-3  # the missing cone's shadows
    np.testing.assert_array_equal(clipped.truth.read(), np.maximum(default_phantom().truth.read(), medium))
    assert clipped.object.read().min() < medium  # the specimen's vacuole stays


def test_quantised_values_are_multiples_of_1e_4_and_stay_clipped():
    settings = PhantomSettings(quantise=True, clip_non_negative=True)
    phantom = make(SHAPE, seed=3, settings=settings)
    steps = phantom.noisy.read().astype(np.float64) * 1e4
    assert np.abs(steps - np.rint(steps)).max() < 2e-3  # float32 keeps 1.4 to 1.2e-7
    assert np.unique(np.rint(steps)).size > 100
    assert np.rint(steps).min() == 13370
    unrounded = make(SHAPE, seed=3, settings=replace(settings, quantise=False)).noisy.read()
    assert np.abs(phantom.noisy.read() - unrounded).max() < 0.502e-4


def test_dry_mass_is_the_sum_over_the_cell():
    phantom = make(SHAPE, seed=3, settings=PhantomSettings(noise_std=5e-3))
    z, y, x = phantom.optics.voxel_size_um
    excess = phantom.object.read().astype(np.float64)[phantom.cell_mask] - 1.337
    assert phantom.dry_mass_pg == pytest.approx(excess.sum() * z * y * x / 0.19, rel=1e-5)
    assert phantom.dry_mass_pg == default_phantom().dry_mass_pg
    # a typical cell: 10 to 25 % of its volume in µm³ is its dry mass in pg
    assert 0.1 < phantom.dry_mass_pg / (phantom.cell_mask.sum() * z * y * x) < 0.25


def test_outside_the_cells_is_nothing_but_medium():
    phantom = default_phantom()
    far = phantom.object.read()[~phantom.cell_mask]
    assert np.mean(np.abs(far - 1.337) < 1e-6) > 0.9  # the rest is the outer half of the soft membrane
    inside = phantom.object.read()[phantom.cell_mask]
    assert np.median(inside) == pytest.approx(1.366, abs=0.008)


def test_no_cells_is_an_empty_field():
    phantom = make((8, 16, 16), settings=replace(EMPTY, noise_std=0))
    assert phantom.dry_mass_pg == 0
    assert not phantom.cell_mask.any() and phantom.droplets == () == phantom.vacuoles
    np.testing.assert_allclose(phantom.truth.read(), 1.337, atol=1e-6)


@pytest.mark.parametrize("optics", OPTICS)
def test_droplets_and_vacuoles_are_where_the_lists_say(optics):
    phantom = make((32, 128, 128), seed=7, settings=PhantomSettings(optics=optics, cells=3))
    values, medium = phantom.object.read(), phantom.optics.medium_index
    assert len(phantom.droplets) >= 20 and len(phantom.vacuoles) == 3
    for sphere in phantom.droplets + phantom.vacuoles:
        assert values[sphere.centre_voxel] == pytest.approx(sphere.refractive_index, abs=1e-6)
        assert sphere.centre_um == pytest.approx(np.multiply(sphere.centre_voxel, phantom.optics.voxel_size_um))
        assert phantom.cell_mask[sphere.centre_voxel]
    assert all(1.40 <= droplet.refractive_index <= 1.48 for droplet in phantom.droplets)
    assert all(values[vacuole.centre_voxel] < medium - 2e-3 for vacuole in phantom.vacuoles)


def test_a_droplet_fills_its_radius():
    phantom = make((48, 96, 96), seed=1, settings=PhantomSettings(droplets_per_cell=1))
    (droplet,) = phantom.droplets
    axes = [np.arange(n) * size for n, size in zip((48, 96, 96), phantom.optics.voxel_size_um, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    distance = np.linalg.norm(grid - droplet.centre_um, axis=-1)
    values = phantom.object.read()
    inside, outside = distance < droplet.radius_um - 0.11, distance > droplet.radius_um + 0.11
    np.testing.assert_allclose(values[inside], droplet.refractive_index, atol=1e-6)
    assert values[outside].max() < 1.395


def test_frames_share_the_specimen_and_have_independent_noise():
    phantom = make((16, 64, 64), seed=3, settings=PhantomSettings(frames=3, noise_colour="white"))
    assert phantom.noisy.axes == phantom.truth.axes == "TZYX"
    assert phantom.noisy.frame_count == 3 and phantom.cell_mask.shape == (3, 16, 64, 64)
    truth = phantom.truth.read()
    np.testing.assert_array_equal(truth[0], truth[2])
    alone = make((16, 64, 64), seed=3, settings=PhantomSettings(noise_colour="white"))
    np.testing.assert_array_equal(phantom.noisy.frame(0).read(), alone.noisy.read())
    correlation = np.corrcoef(noise_of(phantom).reshape(3, -1)) - np.eye(3)
    assert np.abs(correlation).max() < 0.02  # 65 536 voxels: standard deviation 0.004


def test_cells_drift_and_take_their_mask_along():
    phantom = make((16, 64, 64), seed=3, settings=PhantomSettings(frames=3, drift=1.5))
    for known in (phantom.truth.read(), phantom.object.read(), phantom.cell_mask):
        for frame, shift in ((1, 2), (2, 3)):
            np.testing.assert_array_equal(known[frame], np.roll(known[0], shift, axis=2))


def test_volumes_carry_what_the_optics_say():
    phantom = make((12, 40, 48), settings=PhantomSettings(optics="ht-x1"))
    for volume in (phantom.truth, phantom.object, phantom.noisy):
        assert volume.axes == "ZYX" and volume.shape == (12, 40, 48)
        assert volume.voxel_size_um == (0.84, 0.196, 0.196)
        assert volume.medium_index == 1.337 and volume.quantity == "refractive index"
        assert np.asarray(volume.data[:]).dtype == np.float32
    assert maximum_projection(phantom.noisy).shape == (40, 48)
    np.testing.assert_array_equal(maximum_projection(phantom.truth).read(), phantom.truth.read().max(axis=0))


@pytest.mark.parametrize("shape", [(8, 8, 8), (9, 31, 47), (13, 40, 17)])
def test_small_and_odd_shapes_work(shape):
    phantom = make(shape, settings=PhantomSettings(cells=2))
    assert phantom.noisy.shape == shape and np.isfinite(phantom.noisy.read()).all()
    assert phantom.cell_mask.any()


def test_what_cannot_be_made_is_refused_with_what_would_work():
    with pytest.raises(UsageError, match=r"expected \(Z, Y, X\).*was given \(96, 96\)"):
        make((96, 96))
    with pytest.raises(UsageError, match="'pink' is not known; known are white, optical, directional"):
        make((8, 8, 8), settings=PhantomSettings(noise_colour="pink"))
    with pytest.raises(UsageError, match="optics: 'ht-9' is not known; known are ht-2h, ht-x1"):
        make((8, 8, 8), settings=PhantomSettings(optics="ht-9"))
    with pytest.raises(UsageError, match="noise_std: expected 0 or more, was given -1"):
        PhantomSettings(noise_std=-1)
    with pytest.raises(UsageError, match="frames: expected 1 or more, was given 0"):
        PhantomSettings(frames=0)
