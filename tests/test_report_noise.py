"""What the report says of frequencies, of the residual's correlation and of the input file is what was put in."""

import hashlib
import re
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from scenes import white_noise
from scipy import ndimage

from meeum.noise import Noise
from meeum.report import file_facts
from meeum.report.autocorrelation import correlation, lags
from meeum.report.marks import known, marks, outline
from meeum.report.panels import picture, spectra
from meeum.report.spectrum import MOST, decades, periodogram, planes, section
from meeum.volume import Volume


def volume(values, **more):
    return Volume(np.asarray(values, np.float32), "ZYX"[-np.ndim(values) :], **more)


def audit_of(measure, **details):
    """As much of an audit as marks look at."""
    return SimpleNamespace(findings=(SimpleNamespace(measure=measure, details=details),))


def wave(shape, frequency):
    """cos(2 pi k x) of k in cycles per voxel."""
    phase = sum(k * axis for k, axis in zip(frequency, np.indices(shape), strict=True))
    return np.cos(2 * np.pi * phase)


# Spectra


@pytest.mark.parametrize("shape", [(64, 48), (33, 70)])
def test_white_noise_of_variance_one_has_power_one_everywhere(rng, shape):
    power = np.mean([periodogram(rng.normal(3, 1, shape)) for _ in range(200)], axis=0)
    away = np.ones(shape, bool)
    away[shape[0] // 2 - 4 : shape[0] // 2 + 5, shape[1] // 2 - 4 : shape[1] // 2 + 5] = False  # the mean is taken off
    assert power[away].mean() == pytest.approx(1, abs=0.02)
    assert power[away].min() > 0.6 and power[away].max() < 1.5


def test_a_section_of_white_noise_has_power_one(rng):
    power = np.mean([section(rng.normal(0, 2, (20, 24, 28)) / 2) for _ in range(100)], axis=0)
    power[5:15, 9:19] = 1
    assert power.mean() == pytest.approx(1, abs=0.05)


def peak(power):
    """Row and column of the highest element in the half of positive columns, and of its mirror image."""
    rows, columns = power.shape
    away = power.copy()
    away[rows // 2 - 5 : rows // 2 + 6, columns // 2 - 5 : columns // 2 + 6] = 0
    away[:, : columns // 2] = 0
    return np.unravel_index(int(np.argmax(away)), power.shape)


@pytest.mark.parametrize(("shape", "cycles"), [((64, 80), (0.25, 0.1875)), ((65, 81), (-9 / 65, 20 / 81))])
def test_the_peak_of_a_planted_lattice_lies_in_the_middle_of_its_circle(rng, shape, cycles):
    image = volume(rng.normal(0, 1, shape) + wave(shape, cycles))
    (plane,) = planes(image, image)
    row, column = peak(plane.power["noisy"])
    assert (row - shape[0] // 2, column - shape[1] // 2) == pytest.approx(np.multiply(cycles, shape))
    size = (260.0, 200.0)
    found = known(image, None, audit_of("lattice", waves=[{"field": "values", "wave": cycles}]))
    drawn = marks(plane, found, size).circles
    assert len(drawn) == 2
    x, y = ((at + 0.5) / n * length for at, n, length in zip((column, row), shape[::-1], size[::-1], strict=True))
    assert drawn[0] == pytest.approx((x, y))


def test_only_waves_of_the_values_and_of_the_plane_are_marked():
    shape = (32, 40, 48)
    image = volume(wave(shape, (0.25, 0, 0.125)))
    flat, upright = planes(image, image)
    assert (flat.axes, upright.axes) == ("YX", "ZX")
    assert peak(upright.power["noisy"]) in ((8, 30), (24, 30))
    waves = [
        {"field": "values", "wave": (0.25, 0.0, 0.125)},
        {"field": "values", "wave": (0.0, 0.2, 0.2)},
        {"field": "second differences", "wave": (0.1, 0.1, 0.1)},
    ]
    found = known(image, None, audit_of("lattice", waves=waves))
    assert found.lattices == ((0.25, 0.0, 0.125), (0.0, pytest.approx(0.2), pytest.approx(0.2)))
    assert [len(marks(plane, found, (100, 100)).circles) for plane in (flat, upright)] == [4, 2]
    assert "the 2 waves of lattices" in " ".join(found.sentences)


def test_the_residual_has_the_spectrum_of_what_was_taken_out(rng):
    shape = (64, 64)
    kept, taken = wave(shape, (0, 0.25)), wave(shape, (0.25, 0))
    (plane,) = planes(volume(kept + taken), volume(kept))
    assert plane.power["residual"][48, 32] > 1e3 * plane.power["residual"][32, 48]
    assert plane.power["denoised"][32, 48] > 1e3 * plane.power["denoised"][48, 32]
    assert plane.power["noisy"][48, 32] == pytest.approx(plane.power["residual"][48, 32], rel=1e-3)


def test_large_images_are_read_in_part():
    asked = []

    class Watched:
        shape, dtype = (300, 2000, 3000), np.dtype(np.float32)

        def __getitem__(self, region):
            asked.append(tuple(part.stop - part.start for part in region))
            return np.ones(asked[-1], np.float32)

    image = Volume(Watched(), "ZYX")
    assert [plane.sides for plane in planes(image, image)] == [(MOST, MOST), (MOST, MOST)]
    lags(image, image, None)
    assert max(np.prod(shape, dtype=float) for shape in asked) <= 2**22


def test_voxels_without_data_add_no_power(rng):
    values = rng.normal(5, 1, (64, 64)).astype(np.float32)
    holed = values.copy()
    holed[20:30, 20:30] = 0
    (plane,) = planes(Volume(holed, "YX", no_data=0.0), Volume(holed, "YX", no_data=0.0))
    (raw,) = planes(volume(holed), volume(holed))
    assert plane.power["noisy"].max() < 30 < raw.power["noisy"].max()


def test_decades_are_those_over_the_noise():
    assert decades(np.array([4.0, 400.0, 0.0]), 4.0) == pytest.approx([0, 2, -12])
    assert decades(np.array([100.0]), float("nan")) == pytest.approx([2])


# Marks


def test_the_cone_is_marked_where_it_was_seen_and_as_wide(rng):
    edges = (0.2, 0.1, 0.1)
    image = volume(rng.normal(0, 1, (32, 32, 32)), voxel_size_um=edges)
    flat, upright = planes(image, image)
    seen = known(image, None, audit_of("cone", **{"half angle (degrees)": 30.0, "cone seen in the input": True}))
    assumed = known(image, None, audit_of("cone", **{"half angle (degrees)": 20.0, "cone seen in the input": False}))
    size = (130.0, 260.0)
    assert marks(flat, seen, size).cone == ""
    assert marks(upright, assumed, size).cone == ""
    assert "not marked" in " ".join(assumed.sentences)
    rays = np.array(re.findall(r"M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)", marks(upright, seen, size).cone), float)
    assert rays.shape == (4, 4)
    across, along = np.abs(rays[:, 2:] - rays[:, :2]).T  # one unit is the same frequency along both: 10 / 260
    assert np.degrees(np.arctan2(across, along)) == pytest.approx([30] * 4, abs=0.2)


def coloured(sigma, sides=(32, 32, 32)):
    """Noise of a Gaussian spectrum, as if it had been measured."""
    ks = [np.fft.fftfreq(n) for n in sides[:-1]] + [np.fft.rfftfreq(sides[-1])]
    square = sum(np.square(k).reshape([-1 if a == b else 1 for b in range(len(sides))]) for a, k in enumerate(ks))
    spectrum = np.exp(-4 * np.pi**2 * sigma**2 * square)
    weight = np.full(spectrum.shape, 2.0)
    weight[..., 0] = weight[..., -1] = 1
    spectrum /= (spectrum * weight).sum() / weight.sum()
    return Noise(1.0, spectrum, sides, "nothing", (), 0.0, 0.0, "known", 1.0, 0.0, 0.02, 1.0)


def test_the_outline_of_the_noise_lies_where_its_spectrum_is_a_tenth_of_its_mean(rng):
    sigma, noise = 1.5, coloured(1.5)
    image = volume(rng.normal(0, 1, (32, 64, 64)))
    flat = planes(image, image)[0]
    path = marks(flat, known(image, noise, None), (128.0, 128.0)).support
    points = np.array([(float(x), float(y)) for x, y in re.findall(r"M([\d.]+) ([\d.]+)", path)])
    radius = np.hypot(*(points - 65).T) / 128  # frequency 0 is the middle of element 32 of 64
    mean = 1 / (np.sqrt(4 * np.pi) * sigma) ** 2  # of exp(-4 pi² sigma² k²) over a plane
    assert radius.mean() == pytest.approx(np.sqrt(np.log(1 / (0.1 * mean))) / (2 * np.pi * sigma), rel=0.03)
    assert radius.std() < 0.01


def test_white_noise_has_no_outline(rng):
    image = volume(rng.normal(0, 1, (64, 64)))
    found = known(image, white_noise(1.0, (16, 16)), None)
    assert marks(planes(image, image)[0], found, (100, 100)).support == ""
    assert "reaches every frequency" in " ".join(found.sentences)


def test_what_the_file_states_is_marked_as_stated(rng):
    optics = {"NA": "1.2", "wavelength (µm)": "0.5"}
    image = volume(rng.normal(0, 1, (16, 64, 64)), voxel_size_um=(0.2, 0.08, 0.08), details=optics)
    found = known(image, None, None)
    assert found.stated == pytest.approx(4.8)
    flat, upright = (marks(plane, found, (125.0, 125.0)) for plane in planes(image, image))
    radius = 4.8 * 0.08 * 125
    assert f"a{radius:.1f} {radius:.1f}" in flat.stated
    assert upright.stated.count("V125.0") == 2
    bare = known(volume(rng.normal(0, 1, (64, 64)), details={"NA": "1.2"}), None, None)
    assert np.isnan(bare.stated) and bare.sentences == ()


def test_an_outline_goes_once_round_its_mask():
    inside = np.zeros((4, 5), bool)
    inside[1:3, 1:4] = True
    assert outline(inside, (4.0, 5.0)) == "M1.0 1.0H4.0M1.0 3.0H4.0M1.0 1.0V3.0M4.0 1.0V3.0"
    assert outline(~inside, (4.0, 5.0)) == outline(inside, (4.0, 5.0))
    assert outline(np.ones((3, 3), bool), (3.0, 3.0)) == ""


def test_panels_share_one_scale_and_decode(rng, tmp_path):
    image = volume(rng.normal(0, 1, (20, 40, 40)), voxel_size_um=(0.4, 0.1, 0.1))
    told = spectra(image, image.with_data(image.data * 0), noise=white_noise(1.0, (16, 16, 16)), audit=None)
    assert [row.title for row in told.rows] == ["middle XY plane", "section ky = 0"]
    flat, upright = told.rows
    assert (flat.height, flat.width) == (260, 260)
    assert (upright.height, upright.width) == (65, 260)  # frequencies along z reach a quarter as far
    assert [panel.kind for panel in flat.panels] == ["noisy", "denoised", "residual"]
    assert flat.panels[0].uri == flat.panels[2].uri  # nothing was left
    assert "white noise" in told.unit
    assert spectra(volume(np.ones((2, 3))), volume(np.ones((2, 3))), noise=None, audit=None).rows == ()


def test_ticks_stand_at_their_frequencies(rng):
    image = volume(rng.normal(0, 1, (50, 40)), voxel_size_um=(0.2, 0.1))
    (row,) = spectra(image, image, noise=None, audit=None).rows
    assert row.labels == ("ky, cycles per µm", "kx, cycles per µm")
    assert (row.height, row.width) == (130, 260)
    down, across = ({float(tick.label): tick.value for tick in one} for one in (row.row_ticks, row.column_ticks))
    assert down[2] - down[0] == pytest.approx(0.4 * 130)  # of 5 cycles per µm from edge to edge
    assert across[4] - across[0] == pytest.approx(0.4 * 260)  # of 10
    assert (down[0], across[0]) == pytest.approx((25.5 / 50 * 130, 20.5 / 40 * 260))


def test_a_picture_of_values_spans_the_colours():
    import base64
    import io

    data = base64.b64decode(picture(np.array([[-1.0, 0.0], [1.0, 9.0]]), (-1.0, 1.0)).partition(",")[2])
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert pixels[1, 0] == pytest.approx(pixels[1, 1])  # beyond the limits
    assert pixels[0, 0].sum() < pixels[0, 1].sum() < pixels[1, 0].sum()  # viridis gets lighter


# Autocorrelation


def test_a_white_residual_is_correlated_with_nothing_but_itself(rng):
    found = correlation(rng.normal(3, 2, (24, 48, 48)), np.ones((24, 48, 48), bool), 1)
    assert found[0] == pytest.approx(1)
    assert np.abs(found[1:]).max() < 5 / np.sqrt(24 * 48 * 48)
    assert len(found) == 11


def test_the_correlation_of_smoothed_noise_is_that_of_its_kernel(rng):
    values = ndimage.convolve1d(rng.normal(0, 1, (200, 300)), [1, 1], axis=1)
    assert correlation(values, np.ones(values.shape, bool), 1)[:3] == pytest.approx([1, 0.5, 0], abs=0.02)
    assert correlation(values, np.ones(values.shape, bool), 0)[:2] == pytest.approx([1, 0], abs=0.02)


def test_voxels_without_data_do_not_count(rng):
    values = ndimage.convolve1d(rng.normal(0, 1, (200, 300)), [1, 1], axis=1)
    valid = rng.random(values.shape) < 0.7
    found = correlation(np.where(valid, values, 1e6), valid, 1)
    assert found[:3] == pytest.approx([1, 0.5, 0], abs=0.03)
    assert all(np.isnan(one) for one in correlation(values, np.zeros(values.shape, bool), 0))
    assert all(np.isnan(one) for one in correlation(np.ones((4, 4)), np.ones((4, 4), bool), 0))


def test_the_measured_noise_stands_beside_the_residual(rng):
    noise = coloured(1.0, (16, 16, 16))
    image = volume(noise.sample((32, 32, 32), rng), voxel_size_um=(0.4, 0.1, 0.2))
    along_z, along_y, along_x = lags(image, image.with_data(image.data * 0), noise)
    assert [one.axis for one in (along_z, along_y, along_x)] == ["z", "y", "x"]
    assert [one.edge for one in (along_z, along_y, along_x)] == [0.4, 0.1, 0.2]
    for one in (along_z, along_y, along_x):
        assert one.noise[:4] == pytest.approx(np.exp(-(np.arange(4) ** 2) / 4), abs=0.03)  # of exp(-4 pi² k²)
        assert one.residual[:4] == pytest.approx(one.noise[:4], abs=0.1)
        assert len(one.noise) == 8
    assert lags(image, image, None)[0].noise == ()


# The input file


def test_the_hash_of_a_file_is_its_sha256(tmp_path):
    path = tmp_path / "a.TCF"
    path.write_bytes(b"abc")
    told = file_facts(path)
    assert told.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, example B.1
    assert (told.name, told.size, told.part, told.problem) == ("a.TCF", 3, "the whole file", "")


def test_of_a_large_file_the_ends_are_hashed_as_the_recipe_says(rng, tmp_path):
    path, end = tmp_path / "large.bin", 5000
    path.write_bytes(rng.bytes(40_000))
    told = file_facts(path, whole=30_000, end=end)
    content = path.read_bytes()
    assert told.sha256 == hashlib.sha256(b"40000\n" + content[:end] + content[-end:]).hexdigest()
    recipe = told.part[told.part.index("(echo") :].replace("FILE", str(path))
    said = subprocess.run(["sh", "-c", recipe], capture_output=True, text=True, check=True).stdout
    assert said.split()[0] == told.sha256
    middle = bytearray(content)
    middle[20_000] ^= 1
    path.write_bytes(middle)
    assert file_facts(path, whole=30_000, end=end).sha256 == told.sha256
    assert file_facts(path).sha256 == hashlib.sha256(middle).hexdigest()


def test_what_cannot_be_hashed_says_why(tmp_path):
    assert "could not be read" in file_facts(tmp_path / "gone").problem
    assert "folder" in file_facts(tmp_path).problem
