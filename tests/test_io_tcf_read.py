"""Reading TCF: every encoding, whatever the attributes, compression and tiles."""

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_io_tcf_layouts import QUANTUM, SHAPE, Style, build, stored, truth

from meeum.errors import MeeumError, UsageError
from meeum.io import read, write

tiny = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


split = st.sets(st.integers(1, 6), max_size=2).map(sorted)


@tiny
@given(
    encoding=st.sampled_from("ABCDE"),
    style=st.builds(
        Style,
        arrays=st.booleans(),
        lower=st.booleans(),
        compression=st.sampled_from(["gzip", hdf5plugin.Blosc(), hdf5plugin.Zstd(), None]),
    ),
    frames=st.integers(1, 3),
    splits=st.tuples(split, split, split),
    data=st.data(),
)
def test_every_encoding(encoding: str, style: Style, frames: int, splits: Any, data: Any, tmp_path: Path) -> None:
    values = truth(frames)
    volume = read(build(tmp_path / "cell.TCF", values, encoding, style=style, splits=splits))
    assert volume.axes == ("ZYX" if frames == 1 else "TZYX")
    expected = values[0] if frames == 1 else values
    assert volume.read().dtype == np.float32
    assert np.abs(volume.read() - expected).max() <= QUANTUM[encoding] / 2 + 2e-7
    region = tuple(data.draw(st.slices(size)) for size in volume.shape)
    np.testing.assert_array_equal(volume.data[region], volume.read()[region])
    assert volume.voxel_size_um == (0.2, 0.11, 0.1)
    assert (volume.medium_index, volume.quantity, volume.no_data) == (1.337, "refractive index", 0.0)
    assert volume.frame_interval_s == (None if frames == 1 else 2.0)
    assert volume.details["encoding"].startswith(f"{encoding}: ")
    assert volume.details["also in the file"] == "2DMIP, 3DFL/CH0, BF"
    assert volume.details["format version"] == "1.10"
    assert volume.details["stated range"] == "1.3 to 1.5"
    assert volume.stored_dtype == str(stored(values[:1], encoding).dtype)
    assert volume.warnings == ()


@pytest.mark.parametrize("encoding", "DE")
def test_a_missing_tile_is_no_data(encoding: str, tmp_path: Path) -> None:
    values = truth(1)
    path = build(tmp_path / "cell.TCF", values, encoding, splits=((), (), (6,)))
    with h5py.File(path, "a") as file:
        del file["Data/3D/000000/TILE_01"]
    volume = read(path)
    assert (volume.read()[..., 6:] == 0).all()
    assert np.abs(volume.read()[..., :6] - values[0, ..., :6]).max() < 0.51e-3
    assert any("do not cover" in warning for warning in volume.warnings)
    back = read(write(volume.with_data(np.full(SHAPE, 1.4, np.float32)), tmp_path / "clean.TCF"))
    assert (back.read()[..., 6:] == 0).all()
    assert (back.read()[..., :6] == np.float32(1.4)).all()


def test_frames_are_sorted_as_numbers(tmp_path: Path) -> None:
    values = truth(3)
    path = build(tmp_path / "cell.TCF", values, "B")
    with h5py.File(path, "a") as file:
        for old, new in (("000001", "10"), ("000000", "9"), ("000002", "100")):
            file["Data/3D"].move(old, new)
        del file["Data/3D"].attrs["TimeInterval"]
    volume = read(path)
    assert np.abs(volume.read() - values).max() < 0.6e-4
    assert volume.frame_interval_s == 2.0  # from the frames' times


@pytest.mark.parametrize("encoding", "ABCDE")
def test_missing_attributes_give_warnings(encoding: str, tmp_path: Path) -> None:
    path = build(tmp_path / "cell.TCF", truth(1), encoding)
    with h5py.File(path, "a") as file:
        for name in list(file["Data/3D"].attrs):
            del file["Data/3D"].attrs[name]
        del file["Info"], file.attrs["FormatVersion"]
    volume = read(path)
    assert (volume.voxel_size_um, volume.medium_index) == (None, None)
    for word in ("ResolutionX", "ResolutionY", "ResolutionZ", "RI:", "RIMin", "RIMax"):
        assert any(word in warning for warning in volume.warnings), word
    assert np.abs(volume.read() - truth(1)[0]).max() < 0.51e-3
    assert read(write(volume, tmp_path / "clean.TCF")).shape == SHAPE


def test_uint8_without_its_offset_is_an_error(tmp_path: Path) -> None:
    path = build(tmp_path / "cell.TCF", truth(1), "E")
    with h5py.File(path, "a") as file:
        del file["Data/3D/000000"].attrs["RIMin"]
    with pytest.raises(MeeumError, match=r"frame 000000: tiles of uint8.*RIMin"):
        read(path)


def edit_shape(file: Any) -> None:
    file["Data/3D"].create_dataset("000002", data=np.ones((2, 3, 4), np.uint16))


def edit_flat(file: Any) -> None:
    del file["Data/3D/000000"]
    file["Data/3D"].create_dataset("000000", data=np.ones((3, 4), np.uint16))


def edit_bytes(file: Any) -> None:
    del file["Data/3D/000000"]
    file["Data/3D"].create_dataset("000000", data=np.ones(SHAPE, np.uint8))


def edit_frames(file: Any) -> None:
    del file["Data/3D/000000"], file["Data/3D/000001"]


def edit_stack(file: Any) -> None:
    del file["Data/3D"]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (edit_shape, r"frame 000002 has shape \(2, 3, 4\)"),
        (edit_flat, r"shape \(3, 4\)"),
        (edit_bytes, "stored as uint8; the known encodings"),
        (edit_frames, "has no frame"),
        (edit_stack, r"no group Data/3D.*Data/2DMIP, Data/3DFL, Data/BF, Info"),
    ],
)
def test_what_is_no_tomogram(edit: Any, message: str, tmp_path: Path) -> None:
    path = build(tmp_path / "cell.TCF", truth(), "B")
    with h5py.File(path, "a") as file:
        edit(file)
    with pytest.raises(MeeumError, match=message):
        read(path)


def test_not_hdf5_and_truncated(tmp_path: Path) -> None:
    (tmp_path / "text.TCF").write_text("no HDF5 at all")
    with pytest.raises(MeeumError, match=r"text\.TCF: not an HDF5 file"):
        read(tmp_path / "text.TCF")
    whole = build(tmp_path / "cell.TCF", truth(), "B").read_bytes()
    (tmp_path / "cut.TCF").write_bytes(whole[:-500])
    with pytest.raises(MeeumError, match=r"cut\.TCF: the HDF5 file is truncated"):
        read(tmp_path / "cut.TCF")
    with pytest.raises(UsageError, match="channel=1"):
        read(tmp_path / "cell.TCF", channel=1)


def test_only_touched_chunks_are_read(tmp_path: Path) -> None:
    path = build(tmp_path / "cell.TCF", truth(), "B")
    with h5py.File(path) as file:
        frames = [file[f"Data/3D/{number:06d}"].id for number in range(2)]
        places = [(n, f.get_chunk_info(i)) for n, f in enumerate(frames) for i in range(f.get_num_chunks())]
    damaged = bytearray(path.read_bytes())
    for number, place in places:
        if (number, place.chunk_offset) != (1, (4, 5, 6)):
            damaged[place.byte_offset : place.byte_offset + place.size] = b"\xff" * place.size
    path.write_bytes(damaged)
    expected = truth()[1, 4:, 5:, 6:]
    assert np.abs(read(path).data[1, 4:, 5:, 6:] - expected).max() < 0.6e-4
    with pytest.raises(MeeumError, match=r"cell\.TCF.*damaged"):
        read(path).data[1, 3:, 5:, 6:]
