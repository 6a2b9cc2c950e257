"""OME-Zarr: what is written, both versions read, coarser levels, and what is refused."""

import json
import math
import struct
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meeum import results
from meeum.errors import MeeumError, UsageError
from meeum.io import read, read_levels, write
from meeum.io.ome_zarr import pyramid, writer
from meeum.settings import OutputSettings
from meeum.volume import Volume

tiny = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def flat(shape: tuple[int, ...], **more: object) -> Volume:
    values = np.random.default_rng(0).normal(1.34, 0.01, shape).astype(np.float32)
    return Volume(values, "TZYX"[-len(shape) :], **more)


def metadata(path: Path) -> dict[str, dict]:
    return json.loads((path / "zarr.json").read_text())["attributes"]


def hand_written(path: Path, **changes: object) -> np.ndarray:
    """NGFF 0.4 as another program writes it, byte by byte: (t, c, z, y, x) = (1, 2, 2, 3, 4), big-endian, raw."""
    values = np.arange(48, dtype=">u2").reshape(1, 2, 2, 3, 4)
    (path / "deep" / "0").mkdir(parents=True)
    axes = [
        {"name": "t", "type": "time", "unit": "millisecond"},
        {"name": "c", "type": "channel"},
        *({"name": name, "type": "space", "unit": "nanometer"} for name in "zyx"),
    ]
    steps = [{"type": "scale", "scale": [1.0, 1.0, 250.0, 50.0, 40.0]}]
    scales = {
        "version": "0.4",
        "axes": axes,
        "datasets": [{"path": "deep/0", "coordinateTransformations": steps}],
        "coordinateTransformations": [{"type": "scale", "scale": [500.0, 1.0, 2.0, 2.0, 2.0]}],
    }
    omero = {"channels": [{"label": "phase", "color": "00FF00"}, {"label": "DAPI", "color": "0000FF"}]}
    attributes = {"multiscales": [scales | changes], "omero": omero}
    array = {
        "zarr_format": 2,
        "shape": [1, 2, 2, 3, 4],
        "chunks": [1, 1, 1, 3, 4],
        "dtype": ">u2",
        "compressor": None,
        "fill_value": 0,
        "filters": None,
        "order": "C",
        "dimension_separator": "/",
    }
    (path / ".zgroup").write_text('{"zarr_format": 2}')
    (path / ".zattrs").write_text(json.dumps(attributes))
    (path / "deep" / "0" / ".zarray").write_text(json.dumps(array))
    for channel in range(2):
        for plane in range(2):
            chunk = path / "deep" / "0" / "0" / str(channel) / str(plane) / "0" / "0"
            chunk.parent.mkdir(parents=True, exist_ok=True)
            chunk.write_bytes(struct.pack(">12H", *values[0, channel, plane].ravel().tolist()))
    return values


# What is written


def test_metadata_say_what_the_values_mean(tmp_path: Path) -> None:
    image = flat(
        (2, 20, 300, 520),
        voxel_size_um=(0.4, 0.1, 0.1),
        quantity="refractive index",
        medium_index=1.337,
        frame_interval_s=2.5,
        no_data=0.0,
    )
    path = write(image, tmp_path / "cell.ome.zarr", provenance={"command": "meeum denoise cell.TCF"})
    said = metadata(path)
    ome, scales = said["ome"], said["ome"]["multiscales"][0]
    assert ome["version"] == "0.5"
    assert scales["axes"] == [
        {"name": "t", "type": "time", "unit": "second"},
        *({"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"),
    ]
    steps = [one["coordinateTransformations"] for one in scales["datasets"]]
    assert steps[0] == [{"type": "scale", "scale": [2.5, 0.4, 0.1, 0.1]}]
    assert steps[1][0]["scale"] == pytest.approx([2.5, 0.4, 0.2, 0.2])  # z is four times as coarse as y and x
    assert steps[1][1] == {"type": "translation", "translation": [0.0, 0.0, 0.05, 0.05]}  # half a fine voxel
    window = ome["omero"]["channels"][0]["window"]
    assert 1.29 < window["min"] < window["start"] < 1.34 < window["end"] < window["max"] < 1.39
    assert said["meeum"] | {"version": ""} == {
        "version": "",
        "quantity": "refractive index",
        "medium_index": 1.337,
        "no_data": 0.0,
        "provenance": {"command": "meeum denoise cell.TCF"},
    }
    array = json.loads((path / "0" / "zarr.json").read_text())
    assert array["chunk_grid"]["configuration"]["chunk_shape"] == [1, 16, 128, 128]
    assert [codec["name"] for codec in array["codecs"]] == ["bytes", "zstd"]
    assert array["dimension_names"] == ["t", "z", "y", "x"]


def test_levels_are_means(tmp_path: Path) -> None:
    image = flat((5, 300, 601), voxel_size_um=(0.1, 0.1, 0.1))
    levels = read_levels(write(image, tmp_path / "a.zarr"))
    assert [level.shape for level in levels] == [(5, 300, 601), (3, 150, 301), (2, 75, 151)]
    assert levels[2].voxel_size_um == pytest.approx((0.4, 0.4, 0.4))
    values, mean = image.read().astype(np.float64), levels[1].read()
    assert mean[1, 7, 9] == pytest.approx(values[2:4, 14:16, 18:20].mean(), rel=1e-6)
    assert mean[2, 7, 300] == pytest.approx(values[4:, 14:16, 600:].mean(), rel=1e-6)  # the ends are odd
    assert levels[2].read()[0, 0, 0] == pytest.approx(values[:4, :4, :4].mean(), rel=1e-6)


def test_levels_keep_out_what_was_not_measured(tmp_path: Path) -> None:
    for no_data in (0.0, math.nan):
        values = np.full((2, 300, 300), 1.34, np.float32)
        values[0, :2, 0], values[:, 10:12, 10:12] = no_data, no_data
        image = Volume(values, "ZYX", no_data=no_data, quantity="refractive index")
        _, coarse = read_levels(write(image, tmp_path / f"{no_data}.zarr"))
        assert repr(coarse.no_data) == repr(no_data)
        mean = coarse.read()
        assert mean[0, 0, 0] == pytest.approx(1.34)
        assert not coarse.valid(mean)[0, 5, 5]
        assert coarse.valid(mean).sum() == mean.size - 1


@given(
    sides=st.lists(st.integers(1, 700), min_size=2, max_size=3),
    edges=st.tuples(*[st.floats(0.05, 5)] * 3),
)
@tiny
def test_pyramid_halves_to_a_small_picture(sides: list[int], edges: tuple[float, float, float]) -> None:
    image = Volume(np.empty(sides, np.float32), "ZYX"[-len(sides) :], voxel_size_um=edges[-len(sides) :])
    found = pyramid.factors(image)
    last = found[-1] if found else (1,) * len(sides)
    assert max(-(-n // f) for n, f in zip(sides[-2:], last[-2:], strict=True)) <= 256
    assert all(step in (1, 2) for ratio in pyramid.steps(found) for step in ratio)
    for before, now in pairwise(found):
        assert now > before
    if len(sides) == 3 and edges[0] > 1.5 * max(edges[1:]) and found:
        assert found[0][0] == 1


@given(
    shape=st.lists(st.integers(1, 40), min_size=2, max_size=4),
    chunk=st.lists(st.integers(1, 9), min_size=4, max_size=4),
    most=st.integers(1, 3000),
)
@tiny
def test_blocks_cover_each_voxel_once_in_whole_chunks(shape: list[int], chunk: list[int], most: int) -> None:
    chunk = [1, *chunk[1:]][: len(shape)] if len(shape) == 4 else chunk[: len(shape)]
    chunk = [min(c, n) for c, n in zip(chunk, shape, strict=True)]
    seen = np.zeros(shape, int)
    for region in writer.blocks(shape, chunk, most=most):
        seen[region] += 1
        assert all(part.start % c == 0 for part, c in zip(region, chunk, strict=True))
        assert seen[region].size <= max(most, math.prod(chunk))
    assert (seen == 1).all()


@given(
    axes=st.sampled_from(["YX", "ZYX", "TYX", "TZYX"]),
    sides=st.lists(st.integers(1, 20), min_size=4, max_size=4),
    dtype=st.sampled_from(["uint8", "int16", "uint16", "float32"]),
    sized=st.booleans(),
)
@tiny
def test_round_trip(axes: str, sides: list[int], dtype: str, sized: bool, tmp_path: Path) -> None:
    shape = [side + (letter == "T") for side, letter in zip(sides, axes, strict=False)]
    values = np.random.default_rng(1).integers(0, 100, shape).astype(dtype)
    size = (0.3, 0.2, 0.1)[-len(axes.strip("T")) :] if sized else None
    image = Volume(values, axes, voxel_size_um=size, stored_dtype=dtype, no_data=math.nan)
    back = read(write(image, tmp_path / "a.zarr", overwrite=True))
    np.testing.assert_array_equal(back.read(), values)
    assert (back.axes, back.voxel_size_um, back.stored_dtype) == (axes, size, dtype)
    assert (back.quantity, back.medium_index, back.frame_interval_s) == ("intensity", None, None)
    assert math.isnan(back.no_data or 0)
    assert bool(back.warnings) is not sized


def test_little_is_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Watched:
        shape, dtype = (40, 400, 400), np.dtype(np.float32)

        def __getitem__(self, region: tuple[slice, ...]) -> np.ndarray:
            sides = [len(range(n)[part]) for n, part in zip(self.shape, region, strict=True)]
            asked.append(math.prod(sides))
            return np.ones(sides, np.float32)

    monkeypatch.setattr(writer, "AT_ONCE", 16 * 128 * 512)
    back = read(write(Volume(Watched(), "ZYX"), tmp_path / "a.zarr"))
    assert max(asked) == 16 * 128 * 400
    assert sum(asked) == math.prod(Watched.shape)
    assert (back.read() == 1).all()


def test_folder_is_replaced_only_when_asked(tmp_path: Path) -> None:
    path = write(flat((4, 5)), tmp_path / "a.zarr")
    with pytest.raises(UsageError, match="--overwrite"):
        write(flat((6, 7)), path)
    assert read(path).shape == (4, 5)
    write(flat((6, 7)), path, overwrite=True)
    assert read(path).shape == (6, 7)
    with pytest.raises(UsageError, match="inputs are never changed"):
        write(read(path), path, overwrite=True)
    (tmp_path / "mine.zarr").mkdir()
    (tmp_path / "mine.zarr" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="is a folder"):
        write(flat((6, 7)), tmp_path / "mine.zarr", overwrite=True)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.zarr", "mine.zarr"]


# What others have written


def test_version_04_written_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "phase.zarr"
    values = hand_written(path)
    with pytest.raises(UsageError, match=r"2 channels .*--channel"):
        read(path)
    image = read(path, channel=1)
    np.testing.assert_array_equal(image.read(), values[0, 1].astype(np.float32))
    assert (image.axes, image.shape, image.stored_dtype) == ("ZYX", (2, 3, 4), "uint16")
    assert image.voxel_size_um == pytest.approx((0.5, 0.1, 0.08))  # nm, times the scale that holds for all levels
    assert image.frame_interval_s is None  # there is one frame
    assert image.details == {
        "format": "OME-Zarr 0.4",
        "axes in the file": "TCZYX",
        "levels": "1",
        "channels": "phase, DAPI",
    }


def test_time_in_milliseconds(tmp_path: Path) -> None:
    path = tmp_path / "film.zarr"
    hand_written(path)
    said = json.loads((path / ".zattrs").read_text())
    axes = said["multiscales"][0]["axes"]
    axes[0], axes[1] = axes[1], axes[0]  # the two of length 1 and 2 change places
    (path / ".zattrs").write_text(json.dumps(said))
    image = read(path)
    assert (image.axes, image.shape) == ("TZYX", (2, 2, 3, 4))
    assert image.frame_interval_s == pytest.approx(0.001)
    np.testing.assert_array_equal(read_levels(path)[0].read(), image.read())


def test_several_images_in_one_folder(tmp_path: Path) -> None:
    path = tmp_path / "plate.zarr"
    root = zarr.create_group(path, zarr_format=3)
    root.create_group("labels")
    for name, side in (("0", 4), ("1", 6)):
        write(flat((side, side)), tmp_path / "one.zarr", overwrite=True).rename(path / name)
    with pytest.raises(UsageError, match=r"holds 2 images; pick one .*: 0, 1"):
        read(path)
    assert read(path, dataset="1").shape == (6, 6)
    with pytest.raises(UsageError, match=r"dataset='labels' is no image"):
        read(path, dataset="labels")
    with pytest.raises(UsageError, match="leads out of the folder"):
        read(path, dataset="../one.zarr")


def test_what_names_no_unit_has_no_size(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    hand_written(path, axes=[{"name": name} for name in "tczyx"])
    image = read(path, channel=0)
    assert image.voxel_size_um is None
    assert image.warnings == ("no voxel size is stated in a unit of length",)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": "0.1"}, r"OME-Zarr 0\.1; meeum reads 0\.4 and 0\.5"),
        ({"axes": ["t", "c", "z", "y", "x"]}, "name no axes"),
        ({"axes": [{"name": "y"}, {"name": "x"}]}, "2 axes are stated for an array of 5"),
        ({"axes": [{"name": name} for name in "tczyy"]}, "name one axis twice|needs Y and X"),
        ({"datasets": []}, "name no datasets"),
        ({"datasets": [{"path": "absent"}]}, "could not read"),
        ({"coordinateTransformations": [{"type": "scale", "scale": [1, 2]}]}, "does not fit 5 axes"),
        ({"coordinateTransformations": [{"type": "scale", "scale": [1, 1, 1, 0, 1]}]}, "does not fit 5 axes"),
    ],
)
def test_bad_metadata_are_told(changes: dict[str, object], words: str, tmp_path: Path) -> None:
    hand_written(tmp_path / "bad.zarr", **changes)
    with pytest.raises(MeeumError, match=words) as told:
        read(tmp_path / "bad.zarr", channel=0)
    assert "bad.zarr" in str(told.value)


def test_what_is_no_image_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(MeeumError, match=r"empty\.zarr: not a Zarr folder"):
        read(tmp_path / "empty.zarr")
    zarr.create_array(tmp_path / "bare.zarr", shape=(3, 4), dtype="f4", chunks=(3, 4))
    with pytest.raises(UsageError, match=r"bare\.zarr: holds no image with OME-Zarr metadata"):
        read(tmp_path / "bare.zarr")
    (tmp_path / "broken.zarr").mkdir()
    (tmp_path / "broken.zarr" / "zarr.json").write_text("{")
    with pytest.raises(MeeumError, match=r"broken\.zarr: Zarr could not read"):
        read(tmp_path / "broken.zarr")


@pytest.mark.parametrize("found", [None, "2.18.0"])
def test_missing_library_names_the_extra(found: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(flat((4, 5)), tmp_path / "a.zarr")
    old = type(sys)("zarr")
    old.__version__ = found or ""
    monkeypatch.setitem(sys.modules, "zarr", old if found else None)
    for verb in (read, lambda path: write(flat((4, 5)), path, overwrite=True)):
        with pytest.raises(MeeumError, match=r"pip install 'zarr>=3'"):
            verb(path)
    monkeypatch.undo()
    assert read(path).shape == (4, 5)


# As a result of a run


def test_result_of_a_run(tmp_path: Path) -> None:
    assert OutputSettings(formats="same, zarr").formats == ("same", "zarr")
    noisy = replace(flat((3, 8, 9)), source=tmp_path / "cell.ome.zarr")
    assert results.suffixes(("same", "zarr"), noisy) == [".ome.zarr"]
    made = {"command": "c"}
    for _ in range(2):  # the second replaces the first
        (path,) = results.write(
            tmp_path / "results", noisy, noisy=noisy, formats=("zarr",), provenance={"command": "c"}
        )
    assert path.name == "cell_denoised.ome.zarr"
    np.testing.assert_array_equal(read(path).read(), noisy.data)
    assert metadata(path)["meeum"]["provenance"] == made
