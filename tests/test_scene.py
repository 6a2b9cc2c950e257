"""The scene of a page: which part it holds, and its values as 16-bit numbers."""

import base64
import json
import zlib

import numpy as np
import pytest

from meeum.errors import UsageError
from meeum.report import scene, sixteen, viewer
from meeum.report.part import choose
from meeum.volume import Volume

WINDOW = {"limits": (0.0, 1.0), "residual_limit": 0.5}


def unpacked(image, shape):
    """Values as the page makes them: float32 of offset + scale * stored."""
    stored = np.frombuffer(zlib.decompress(base64.b64decode(image["data"]), wbits=-15), dtype="<u2").reshape(shape)
    values = (image["offset"] + image["scale"] * stored.astype(np.float64)).astype(np.float32)
    return values if image["no_data"] is None else np.where(stored == image["no_data"], np.float32(np.nan), values)


def packed(values, *, valid=None):
    values = np.asarray(values, dtype=np.float32)
    known = np.isfinite(values) if valid is None else valid
    image = sixteen.pack(values, known)
    return image, unpacked(image, values.shape)


@pytest.mark.parametrize(
    ("low", "high", "step"),
    [(0, 65535, 1), (-32768, 32767, 1), (1000, 1400, 1), (13000, 14500, 1e-4), (-40, 900, 0.25)],
)
def test_values_on_a_lattice_come_back_exactly(rng, low, high, step):
    values = (np.append(rng.integers(low, high + 1, 4000), [low, high]) * step).astype(np.float32)
    image, back = packed(values)
    assert image["exact"]
    assert image["scale"] == pytest.approx(step, rel=1e-9)
    assert np.array_equal(back, values)


def test_refractive_index_as_files_hold_it_is_exact_in_few_values():
    values = (np.array([13370, 13372, 13391, 13420, 13371]) / 10000).astype(np.float32)
    image, back = packed(values)
    assert image["exact"]
    assert np.array_equal(back, values)


def test_other_values_are_within_half_a_step(rng):
    values = rng.normal(1.34, 0.01, (3, 20, 20)).astype(np.float32)
    image, back = packed(values)
    assert not image["exact"]
    assert image["scale"] == pytest.approx(np.ptp(values.astype(np.float64)) / 65535)
    assert np.abs(back.astype(np.float64) - values).max() <= image["scale"] / 2 + np.spacing(values.max())


def test_no_data_has_a_number_of_its_own_and_takes_no_value_away():
    values = np.arange(65535, dtype=np.float32)
    values = np.append(values, np.float32(np.nan))
    image, back = packed(values)
    assert (image["exact"], image["no_data"]) == (True, 65535)
    assert np.array_equal(back, values, equal_nan=True)


@pytest.mark.parametrize("value", [0.0, 1.3371234, -7.5])
def test_a_constant_image_is_exact(value):
    image, back = packed(np.full((4, 5), value))
    assert image["exact"]
    assert (back == np.float32(value)).all()


def test_an_image_without_any_data_is_all_no_data():
    _, back = packed(np.full((4, 5), np.nan))
    assert np.isnan(back).all()


def test_the_volumes_no_data_value_is_not_a_value(rng):
    data = rng.integers(13300, 13500, (4, 6, 6)) / np.float32(10000)
    data[1, 2, 3] = 0
    noisy = Volume(data.astype(np.float32), "ZYX", no_data=0.0, quantity="refractive index")
    image = scene.embedded(noisy, **WINDOW)["images"]["noisy"]
    back = unpacked(image, data.shape)
    assert np.isnan(back[1, 2, 3])
    assert image["exact"]
    assert np.isnan(back).sum() == 1
    assert image["offset"] > 1.3


def test_what_a_scene_says(rng):
    data = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    details = {"voxel_size_um": (0.4, 0.2, 0.1), "quantity": "refractive index", "medium_index": 1.337}
    noisy = Volume(data, "TZYX", frame_interval_s=30.0, **details)
    spots = [{"label": "a", "verdict": "fail", "at": (np.int64(1), 2, 3, 4)}]
    made = scene.embedded(noisy, noisy, spots=spots, **WINDOW)
    assert made["shape"] == [2, 3, 4, 5]
    assert made["voxel_um"] == [0.4, 0.2, 0.1]
    assert made["alpha"] == 0.19
    assert made["part"] == {"origin": [0, 0, 0, 0], "step": [1, 1, 1, 1], "whole": [2, 3, 4, 5], "sentence": ""}
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    served = scene.served(noisy, noisy, spots=spots, **WINDOW)
    assert served["source"] == "served"
    assert all("data" not in image for image in served["images"].values())


def test_windows_that_are_no_numbers_become_some(rng):
    flat = Volume(rng.normal(size=(4, 5)).astype(np.float32), "YX", voxel_size_um=(0.2, 0.1))
    made = scene.embedded(flat, limits=(np.nan, np.nan), residual_limit=float("inf"))
    assert (made["limits"], made["shape"], made["voxel_um"]) == ([0.0, 1.0], [1, 1, 4, 5], [0.1, 0.2, 0.1])
    assert np.isfinite(made["residual_limit"])


def test_images_of_two_shapes_are_refused(rng):
    one, other = (Volume(rng.normal(size=shape).astype(np.float32), "YX") for shape in ((4, 5), (5, 4)))
    with pytest.raises(UsageError, match=r"\(4, 5\).*\(5, 4\)"):
        scene.embedded(one, other, **WINDOW)


class Recorded:
    """An array too large to be read at once, which knows what was read of it."""

    def __init__(self, shape):
        self.shape, self.dtype, self.read = shape, np.dtype(np.float32), 0

    def __getitem__(self, region):
        spans = [range(length)[part] for length, part in zip(self.shape, region, strict=True)]
        grids = np.meshgrid(*[np.asarray(span, dtype=np.float32) for span in spans], indexing="ij")
        self.read += grids[0].size
        return sum(grid * weight for grid, weight in zip(grids, (1000, 100, 10, 1)[-len(grids) :], strict=True))


def test_of_a_large_image_only_the_middle_is_read():
    data = Recorded((3000, 4000, 5000))
    made = scene.embedded(Volume(data, "ZYX"), limits=(0, 1), residual_limit=1, most_bytes=100_000)
    assert made["shape"] == [1, 33, 33, 33]
    assert data.read == 33**3
    assert len(made["images"]["noisy"]["data"]) <= 100_000
    origin = made["part"]["origin"]
    assert origin == [0, 1483, 1983, 2483]
    assert "33 × 33 × 33 of 3000 × 4000 × 5000 voxels" in made["part"]["sentence"]
    corner = unpacked(made["images"]["noisy"], (33, 33, 33))[0, 0, 0]
    step = made["images"]["noisy"]["scale"]
    assert corner == pytest.approx(1483 * 100 + 1983 * 10 + 2483, abs=step)


def test_a_long_film_loses_frames_before_it_loses_room():
    film = Volume(Recorded((100, 4, 10, 10)), "TZYX")
    part = choose(film, 400 * 20)
    assert (part.shape, part.step) == ((20, 4, 10, 10), (5, 1, 1, 1))
    assert "20 of 100 times (every 5th)" in part.sentence
    smaller = choose(film, 8 * 100)
    assert smaller.shape[0] == 8
    assert np.prod(smaller.shape) <= 800
    assert choose(film).sentence == ""


def test_scene_and_title_cannot_end_their_elements(rng):
    noisy = Volume(rng.normal(size=(4, 5)).astype(np.float32), "YX", quantity="</script><b>")
    page = viewer.page(scene.embedded(noisy, **WINDOW), title="<i>&")
    assert "</script><b>" not in page
    assert "&lt;i&gt;&amp;" in page
    assert "<i>" not in page
