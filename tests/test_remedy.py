"""The remedy for a lattice: a planted one goes, cells, edges and dry mass stay, and it can be put back."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
from command import TINY, TWO_STEPS, call
from scipy.ndimage import binary_dilation, binary_erosion

from meeum import api, checkpoint, io, remedy, request, results, run
from meeum.noise.patterns import find_lattice
from meeum.phantom import PhantomSettings, make
from meeum.volume import Volume, maximum_projection

SIGMA, PERIOD, SHAPE = 4e-4, 9.14, (24, 128, 128)


@pytest.fixture(scope="module")
def phantom():
    return make(SHAPE, seed=1, settings=PhantomSettings(optics="ht-x1", noise_std=SIGMA))


def wave(shape, period, angle=0.0, phase=0.4):
    """A cosine of amplitude 1 that runs along x, or turned from there."""
    y, x = np.mgrid[: shape[-2], : shape[-1]]
    turns = (np.cos(angle) * x + np.sin(angle) * y) / period
    plane = np.cos(np.pi * x) if period == 2 else np.cos(2 * np.pi * turns + phase)
    return np.broadcast_to(plane, shape).astype(np.float32)


def cleaned(noisy):
    found = remedy.measure(noisy)
    return found, remedy.remove(noisy, found)


def rms(values):
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


@pytest.mark.parametrize(
    ("period", "angle", "strength"),
    [(PERIOD, 0, 0.3), (PERIOD, 0.6, 1), (PERIOD, 0, 2), (2, 0, 0.3), (3, 0, 0.3), (4, 0, 2), (8, 0, 0.3), (8, 0, 2)],
)
def test_a_planted_lattice_goes_and_the_cell_stays(phantom, period, angle, strength):
    alone = phantom.noisy.read()
    planted = SIGMA * strength * wave(SHAPE, period, angle)
    found, clean = cleaned(phantom.noisy.with_data(alone + planted))
    (one,) = found.removed
    assert one.wave.amplitude == pytest.approx(strength * SIGMA, rel=0.1)
    assert one.period == pytest.approx(period, rel=0.002)
    assert one.after < 3 < one.lattice.contrast
    change = clean.read() - alone
    assert rms(change) < (0.1 if strength < 1 else 0.03) * rms(planted)
    assert find_lattice(clean.read()) == ()
    cell = phantom.cell_mask
    assert abs(change[cell].mean(dtype=float)) < 1e-5
    assert abs(change[~cell].mean(dtype=float)) < 1e-5
    mass = (phantom.truth.read() - phantom.truth.medium_index)[cell].sum(dtype=float)
    assert abs(change[cell].sum(dtype=float)) < 0.005 * mass
    edge = binary_dilation(cell) & ~binary_erosion(cell)
    before, after = (steepness(values)[edge].mean() for values in (phantom.truth.read(), phantom.truth.read() + change))
    assert after == pytest.approx(before, rel=0.02)


def steepness(values):
    return np.hypot(*np.gradient(values.astype(float), axis=(1, 2)))


@pytest.mark.parametrize(("period", "strength"), [(PERIOD, 1), (PERIOD, 2), (2, 0.3), (3, 0.3), (4, 1), (8, 2)])
def test_a_planted_lattice_goes_from_a_projection_and_from_a_plane(phantom, period, strength):
    for alone in (maximum_projection(phantom.noisy).read(), phantom.noisy.read()[4]):
        planted = SIGMA * strength * wave(alone.shape, period)
        found, clean = cleaned(Volume(alone + planted, "YX"))
        assert [one.lattice.seen_in for one in found.removed] == ["the image"]
        assert rms(clean.read() - alone) < 0.15 * rms(planted)
        assert find_lattice(clean.read()) == ()


def test_harmonics_and_crossed_lattices_go(phantom):
    alone = phantom.noisy.read()
    planted = SIGMA * (0.4 * wave(SHAPE, PERIOD) + 0.2 * wave(SHAPE, PERIOD / 2) + 0.4 * wave(SHAPE, PERIOD, np.pi / 2))
    found, clean = cleaned(phantom.noisy.with_data(alone + planted))
    assert len(found.removed) == 3 and found.sentence.count("a lattice of period") == 3
    assert rms(clean.read() - alone) < 0.1 * rms(planted)


@pytest.mark.parametrize(
    ("envelope", "left"),
    [
        (lambda z, x: np.exp(-z / 8) + 0 * x, 0.15),
        (lambda z, x: 0.2 + x / 128 + 0 * z, 0.1),
        (lambda z, x: np.exp(2j * np.pi * 2.3 * z / 24) + 0 * x, 0.1),
    ],
    ids=["fades along z", "grows along x", "turns along z"],
)
def test_the_envelope_follows_what_the_image_shows(phantom, envelope, left):
    alone = phantom.noisy.read()
    z, _, x = np.ogrid[:24, :128, :128]
    turning = np.exp(2j * np.pi * x / PERIOD + 1j)
    planted = (0.7 * SIGMA * (envelope(z, x) * turning).real * np.ones(SHAPE)).astype(np.float32)
    _, clean = cleaned(phantom.noisy.with_data(alone + planted))
    assert rms(clean.read() - alone) < left * rms(planted)


@pytest.mark.parametrize(("turn", "sets"), [(0.0, 1), (1.0, 3)], ids=["the same in all", "another in each"])
def test_frames_share_a_lattice_unless_they_differ(rng, turn, sets):
    alone = rng.standard_normal((3, 96, 96)).astype(np.float32)
    planted = np.stack([0.5 * wave((96, 96), PERIOD, phase=turn * time) for time in range(3)])
    found, clean = cleaned(Volume(alone + planted, "TYX"))
    (one,) = found.removed
    assert len(one.wave.coefficients) == sets
    assert rms(clean.read() - alone) < 0.15 * rms(planted)


def test_without_a_lattice_the_image_is_the_very_same(phantom):
    for noisy in (phantom.noisy, maximum_projection(phantom.noisy)):
        found, clean = cleaned(noisy)
        assert clean is noisy
        assert found.sentence == "no lattice was found; nothing was removed"


def test_a_pattern_of_the_noise_is_left_where_it_is_no_wave(rng):
    """Noise that is stronger in every ninth column shows in the projection, where no wave can take it out."""
    values = (rng.standard_normal((32, 128, 128)) * (1 + 0.35 * wave(SHAPE[1:], PERIOD))).astype(np.float32)
    found, clean = cleaned(Volume(values, "ZYX"))
    assert found.removed == () and {one.seen_in for one in found.kept} == {"the maximum projection"}
    assert "was left" in found.sentence and clean.data is values
    flat, smooth = cleaned(maximum_projection(Volume(values, "ZYX")))
    assert len(flat.removed) == 1 and find_lattice(smooth.read()) == ()


def test_what_was_removed_can_be_put_back_from_any_region(rng):
    values = rng.standard_normal((2, 16, 96, 80)).astype(np.float32) + wave((2, 16, 96, 80), PERIOD, 0.4) + 7
    values[:, 3:6, 20:40, 50:] = 0
    noisy = Volume(values.copy(), "TZYX", no_data=0.0)
    found, clean = cleaned(noisy)
    removed = remedy.pattern(noisy, found)
    assert len(found.removed) == 1
    np.testing.assert_array_equal(noisy.data, values)
    whole, part = clean.read(), removed.read()
    np.testing.assert_allclose(whole + part, values, rtol=2e-7)
    assert (whole[values == 0] == 0).all() and (part[values == 0] == 0).all()
    for region in (np.s_[1, 2:9, 7:50, 3:], np.s_[:, 5], np.s_[:1, :, 95:, 20:21], np.s_[0, 15, 0, 0]):
        np.testing.assert_array_equal(clean.data[region], whole[region])
        np.testing.assert_array_equal(removed.data[region], part[region])
    np.testing.assert_array_equal(clean.frame(1).read((slice(2, 4), slice(5), slice(None))), whole[1, 2:4, :5])


# A run

WORDS = ("--remove-lattice", *TINY)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two tomograms with lattices of their own, and a finished run on the first."""
    place, small = tmp_path_factory.mktemp("lattice"), (8, 64, 64)
    least, most = results.LEAST, results.MOST
    results.LEAST = results.MOST = 0.5  # seconds: how the audit questions a network is not asked here
    for name, period in (("A", 6.5), ("B", 5.0)):
        made = make(small, seed=2, settings=PhantomSettings(cells=0, noise_std=SIGMA))
        planted = made.noisy.read() + np.float32(SIGMA) * wave(small, period)
        io.write(made.noisy.with_data(planted), place / f"{name}.h5")
    outcome = call("denoise", place / "A.h5", "--out", place / "run", *WORDS, *TWO_STEPS)
    assert outcome.code == 0
    yield place, outcome.err + outcome.out
    results.LEAST, results.MOST = least, most


def test_a_run_stores_what_it_removed(files):
    place, said = files
    before = io.read(place / "A.h5").read()
    with h5py.File(place / "run" / "results" / "0.hdf") as file:
        stored = {name: file[name][:] for name in file}
    assert set(stored) == {"input", "output", "removed"}
    np.testing.assert_array_equal(stored["input"], before)
    assert rms(stored["removed"]) == pytest.approx(SIGMA / np.sqrt(2), rel=0.1)
    found, _ = cleaned(io.read(place / "A.h5"))
    told = [json.loads((place / "run" / name).read_text(encoding="utf-8"))["removed"] for name in NAMES]
    assert told[0] == told[1] == {"sentence": found.sentence, "lattices": [one.as_dict() for one in found.removed]}
    texts = [said, *((place / "run" / name).read_text(encoding="utf-8") for name in ("log.txt", "report.html"))]
    assert all(found.sentence in text for text in texts) and "A lattice of period 9.14" not in said
    assert "taken out before training, XY" in texts[2]


NAMES = ("audit.json", "summary.json")


def test_a_model_removes_the_lattice_of_each_image(files, tmp_path):
    place, _ = files
    outcome = call("denoise", place / "B.h5", "--model", place / "run", "--out", tmp_path / "B")
    assert outcome.code == 0 and "period 5.00" in outcome.err + outcome.out
    with h5py.File(tmp_path / "B" / "results" / "0.hdf") as file:
        assert rms(file["removed"][:]) == pytest.approx(SIGMA / np.sqrt(2), rel=0.1)


def test_a_resumed_run_ends_as_an_uninterrupted_one(files, tmp_path):
    place, _ = files
    words = tuple(word for word in (*TINY, *TWO_STEPS) if word != "--set")
    asked = request.Request((place / "A.h5",), tmp_path / "out", "meeum", None, ("input.remove_lattice=True", *words))
    asked_once = []
    job = replace(request.training(asked), stop=lambda: not asked_once and not asked_once.append(1))
    assert list(run.start(job))[-1].stage == "stopped"
    again = request.going_on(request.Request((place / "A.h5",), tmp_path / "out", "meeum"))
    assert list(run.start(again))[-1].stage == "done"
    assert checkpoint.weights_equal(api.load(tmp_path / "out"), api.load(place / "run"))


def test_settings_are_compared_on_the_image_without_its_lattice(files, tmp_path):
    place, _ = files
    vary = ("--vary", "training.objective=masked,recorrupted")
    outcome = call("compare", place / "A.h5", "--out", tmp_path / "out", *WORDS, *TWO_STEPS, *vary)
    assert outcome.code == 0
    clean, _, _ = results.remedied([io.read(place / "A.h5")])
    judged = json.loads((tmp_path / "out" / "comparison.json").read_text(encoding="utf-8"))
    scored = json.loads((tmp_path / "out" / "objective=masked-seed0" / "score.json").read_text(encoding="utf-8"))
    assert scored["noise_std"] == pytest.approx(api.measure_noise(clean[0]).std, rel=1e-6)
    assert len(judged["settings"]) == 2
    with h5py.File(tmp_path / "out" / "objective=masked-seed0" / "results" / "0.hdf") as file:
        assert rms(file["removed"][:]) == pytest.approx(SIGMA / np.sqrt(2), rel=0.1)
