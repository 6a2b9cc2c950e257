"""TCF: every encoding built here by hand from the layout notes, and the copy that carries denoised values."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meeum.errors import MeeumError, UsageError
from meeum.io import read, write
from meeum.volume import Volume, maximum_projection

SHAPE = (7, 10, 12)
QUANTUM = {"A": 1e-7, "B": 1e-4, "C": 1e-7, "D": 1e-4, "E": 1e-3}
LOWEST = 1.3251  # RIMin of encoding E

tiny = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass(frozen=True)
class Style:
    """How a file spells its attributes and compresses its data."""

    arrays: bool = True  # 1-element arrays, else scalars
    lower: bool = False  # RImin instead of RIMin
    compression: Any = "gzip"

    def put(self, node: Any, **values: Any) -> None:
        for name, value in values.items():
            spelled = name.replace("RIM", "RIm") if self.lower else name
            stored = np.bytes_(value) if isinstance(value, str) else value
            node.attrs[spelled] = np.array([stored]) if self.arrays else stored


def truth(frames: int = 2) -> np.ndarray:
    return np.random.default_rng(3).uniform(1.33, 1.42, (frames, *SHAPE))


def stored(values: np.ndarray, encoding: str) -> np.ndarray:
    if encoding in "AC":
        return (values * (1 if encoding == "A" else 1e4)).astype(np.float32)
    if encoding == "E":
        return np.round((values - LOWEST) * 1e3).astype(np.uint8)
    return np.round(values * 1e4).astype(np.uint16)


def build(
    path: Path, values: np.ndarray, encoding: str, *, style: Style = Style(), splits: Any = ((4,), (5,), (6,))
) -> Path:
    """A TCF with fluorescence, bright field and metadata beside the frames."""
    with h5py.File(path, "w") as file:
        style.put(file, FormatVersion="1.10", SoftwareVersion="2.0.1", Title="cells")
        stack = file.create_group("Data/3D")
        style.put(
            stack, DataCount=len(values), ResolutionX=0.1, ResolutionY=0.11, ResolutionZ=0.2, RIMin=1.3, RIMax=1.5
        )
        style.put(stack, TimeInterval=2.0)
        for axis, size in zip("ZYX", SHAPE, strict=True):
            style.put(stack, **{f"Size{axis}": size})
        for number, frame in enumerate(values):
            put_frame(stack, f"{number:06d}", stored(frame, encoding), encoding, style, splits)
            style.put(stack[f"{number:06d}"], RIMin=LOWEST, RIMax=1.5, Time=2.0 * number, RecordingTime="2024-01-01")
            mip = file.create_dataset(f"Data/2DMIP/{number:06d}", data=stored(frame, encoding).max(axis=0))
            style.put(mip, RIMin=LOWEST, RIMax=1.5, PositionX=1.5)
        file["Data/3DFL/CH0/000000"] = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
        file["Data/BF/000000"] = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
        style.put(file.create_group("Info/Device"), RI=1.337, NA=1.2)
        file["Info/MetaData/Notes"] = "text of any length"
        file["Info/MetaData"].attrs["vlen"] = "é text"
        file["Info/MetaData"].attrs["empty"] = h5py.Empty("f4")
    return path


def put_frame(stack: Any, name: str, frame: np.ndarray, encoding: str, style: Style, splits: Any) -> None:
    if encoding in "ABC":
        stack.create_dataset(name, data=frame, chunks=(4, 5, 6), compression=style.compression)
        return
    group = stack.create_group(name)
    style.put(group, DataSizeZ=SHAPE[0], DataSizeY=SHAPE[1], DataSizeX=SHAPE[2], ScalarType=int(encoding == "E"))
    edges = [[0, *split, size] for split, size in zip(splits, SHAPE, strict=True)]
    corners = [
        [(a[i], b[j], c[k]), (a[i + 1], b[j + 1], c[k + 1])]
        for a, b, c in [edges]
        for i in range(len(a) - 1)
        for j in range(len(b) - 1)
        for k in range(len(c) - 1)
    ]
    style.put(group, NumberOfTiles=len(corners) + 1)
    digits = 3 if style.lower else 2
    for number, (start, stop) in enumerate(corners):
        wider = tuple(max(0, a - 1) for a in start)  # tiles overlap by one voxel
        put_tile(group, f"TILE_{number:0{digits}d}", frame, wider, stop, style)
    coarse = np.full((4, 4, 4), 77, frame.dtype)
    tile = group.create_dataset(f"TILE_{len(corners):0{digits}d}", data=coarse)
    place_tile(tile, (0, 0, 0), SHAPE, style, step=2)


def put_tile(group: Any, name: str, frame: np.ndarray, start: Any, stop: Any, style: Style) -> None:
    padded = np.full((9, 11, 13), 99, frame.dtype)
    inside = frame[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    padded[tuple(slice(n) for n in inside.shape)] = inside
    tile = group.create_dataset(name, data=padded, chunks=(4, 5, 6), compression=style.compression)
    place_tile(tile, start, stop, style, step=1)


def place_tile(tile: Any, start: Any, stop: Any, style: Style, *, step: int) -> None:
    style.put(tile, SamplingStep=step)
    for axis, first, end in zip("ZYX", start, stop, strict=True):
        style.put(tile, **{f"DataIndexOffsetPoint{axis}": first, f"DataIndexLastPoint{axis}": end - 1})


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def everything(path: Path) -> dict[str, Any]:
    """All datasets and attributes of a file, with types, as plain values."""
    found: dict[str, Any] = {}

    def note(name: str, node: Any) -> None:
        for key in node.attrs:
            kind = node.attrs.get_id(key)
            found[f"{name}@{key}"] = (str(kind.dtype), kind.shape, kind.get_type().encode(), str(node.attrs[key]))
        if isinstance(node, h5py.Dataset):
            found[name] = (str(node.dtype), node.shape, node.chunks, node.compression, str(node[()]))

    with h5py.File(path) as file:
        note("", file)
        file.visititems(note)
    return found


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


@pytest.mark.parametrize("encoding", "ABCDE")
def test_clone_and_patch(encoding: str, tmp_path: Path) -> None:
    style = Style(arrays=encoding != "A", lower=encoding == "C")
    source = build(tmp_path / "cell.TCF", truth(), encoding, style=style)
    before, held = digest(source), everything(source)
    volume = read(source)
    clean = (truth() + 0.0123).astype(np.float32)
    write(volume.with_data(clean), tmp_path / "clean.TCF", noisy=volume, provenance={"Masking": "UPS"})
    assert digest(source) == before
    back = read(tmp_path / "clean.TCF")
    quantum = 1e-7 if encoding in "AC" else 1e-4
    assert np.abs(back.read() - clean.astype(float)).max() <= quantum / 2 + 2e-7
    assert replace(back, data=volume.data, source=source, details={}, stored_dtype="") == replace(
        volume, details={}, stored_dtype=""
    )
    now = everything(tmp_path / "clean.TCF")
    for name, value in held.items():
        if not name.startswith(("Data/3D/", "Data/2DMIP/")) and not name.casefold().endswith(("@rimin", "@rimax")):
            assert now[name] == value, name
    spelled = "RIm" if style.lower else "RIM"
    with h5py.File(tmp_path / "clean.TCF") as file:
        for number in range(2):
            frame, mip = file[f"Data/3D/{number:06d}"], file[f"Data/2DMIP/{number:06d}"]
            assert frame.dtype == mip.dtype == (np.float32 if encoding in "AC" else np.uint16)
            assert (frame.shape, frame.compression) == (SHAPE, "gzip")
            np.testing.assert_array_equal(mip[()], frame[()].max(axis=0))
            scale = 1 if encoding == "A" else 1e4
            for node in (frame, mip):
                assert np.ravel(node.attrs[f"{spelled}in"])[0] == pytest.approx(frame[()].min() / scale, abs=1e-7)
                assert np.ravel(node.attrs[f"{spelled}ax"])[0] == pytest.approx(frame[()].max() / scale, abs=1e-7)
                assert np.shape(node.attrs[f"{spelled}ax"]) == ((1,) if style.arrays else ())
            assert np.ravel(frame.attrs["RecordingTime"])[0] == b"2024-01-01"
            assert not {"NumberOfTiles", "ScalarType", "DataSizeX"} & set(frame.attrs)
        assert np.ravel(file["Data/3D"].attrs[f"{spelled}ax"])[0] == pytest.approx(clean.max(), abs=1e-4)
        done = file["Info/Processing"].attrs
        assert (done["Software"][0], done["SourceFile"][0], done["Masking"][0]) == (b"meeum", b"cell.TCF", b"UPS")
    assert (tmp_path / "clean.TCF").stat().st_size < source.stat().st_size + 20_000


def test_cloning_a_clone_keeps_both_records(tmp_path: Path) -> None:
    once = write(read(build(tmp_path / "cell.TCF", truth(), "B")), tmp_path / "once.TCF")
    twice = write(read(once), tmp_path / "twice.TCF")
    with h5py.File(twice) as file:
        assert file["Info/Processing"].attrs["SourceFile"][0] == b"cell.TCF"
        assert file["Info/Processing_2"].attrs["SourceFile"][0] == b"once.TCF"
    np.testing.assert_array_equal(read(twice).read(), read(once).read())


@pytest.mark.parametrize("encoding", "ABCD")
def test_voxels_without_data_stay_exactly_zero(encoding: str, tmp_path: Path) -> None:
    values = truth()
    hole = np.random.default_rng(5).uniform(size=values.shape) < 0.3
    hole[:, :, 0, 0] = True
    values[hole] = 0
    volume = read(build(tmp_path / "cell.TCF", values, encoding))
    np.testing.assert_array_equal(volume.read() == 0, hole)
    np.testing.assert_array_equal(volume.valid(volume.read()), ~hole)
    filled = volume.with_data(np.full(values.shape, 1.35, np.float32))
    back = read(write(filled, tmp_path / "clean.TCF"))
    np.testing.assert_array_equal(back.read() == 0, hole)
    assert back.read()[~hole] == pytest.approx(1.35, abs=1e-6)
    with h5py.File(tmp_path / "clean.TCF") as file:
        assert file["Data/3D"].attrs["RIMin"][0] == pytest.approx(1.35, abs=1e-6)
        assert file["Data/2DMIP/000000"][0, 0] == 0


def test_voxels_given_up_by_the_result_become_zero(tmp_path: Path) -> None:
    volume = read(build(tmp_path / "cell.TCF", truth(), "B"))
    values = volume.read()
    values[1, 2, 3, 4] = 0  # this volume's no-data value
    back = read(write(volume.with_data(values), tmp_path / "clean.TCF")).read()
    assert np.argwhere(back == 0).tolist() == [[1, 2, 3, 4]]


def test_a_range_stated_in_stored_units_stays_in_them(tmp_path: Path) -> None:
    path = build(tmp_path / "cell.TCF", truth(), "C")
    with h5py.File(path, "a") as file:
        file["Data/3D"].attrs["RIMin"], file["Data/3D"].attrs["RIMax"] = np.array([13000.0]), np.array([15000.0])
    volume = read(path)
    write(volume.with_data(np.full((2, *SHAPE), 1.36, np.float32)), tmp_path / "clean.TCF")
    with h5py.File(tmp_path / "clean.TCF") as file:
        assert file["Data/3D"].attrs["RIMax"] == pytest.approx([13600], abs=0.01)
        assert file["Data/3D/000000"].attrs["RIMax"] == pytest.approx([1.36], abs=1e-6)


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


def test_a_new_tcf_from_nothing(tmp_path: Path) -> None:
    values = truth().astype(np.float32)
    values[0, 0, 0, :3] = np.nan
    volume = Volume(
        values,
        "TZYX",
        voxel_size_um=(0.2, 0.1, 0.15),
        quantity="refractive index",
        medium_index=1.337,
        no_data=np.nan,
        frame_interval_s=3.0,
    )
    path = write(volume, tmp_path / "phantom.TCF", provenance={"Seed": "7"})
    back = read(path)
    assert (back.voxel_size_um, back.medium_index, back.frame_interval_s) == ((0.2, 0.1, 0.15), 1.337, 3.0)
    assert (back.warnings, back.stored_dtype, back.no_data) == ((), "uint16", 0.0)
    np.testing.assert_array_equal(back.read() == 0, np.isnan(values))
    assert np.nanmax(np.abs(np.where(np.isnan(values), np.nan, back.read()) - values)) < 0.51e-4
    with h5py.File(path) as file:
        assert file["Data/3D"].attrs["SizeZ"].tolist() == [7]
        assert file["Data/3D"].attrs["DataCount"].tolist() == [2]
        assert file["Data/3D/000001"].attrs["Time"].tolist() == [3.0]
        assert file["Info/Processing"].attrs["Seed"][0] == b"7"
        for number in range(2):
            expected = file[f"Data/3D/{number:06d}"][()].max(axis=0)
            np.testing.assert_array_equal(file[f"Data/2DMIP/{number:06d}"][()], expected)
        groups = [file, file["Data/3D"], file["Data/2DMIP"], file["Info/Device"], file["Data/3D/000000"]]
        for group in groups:
            assert len(group.attrs) > 0
            assert all(group.attrs[name].shape == (1,) for name in group.attrs)


def test_what_a_tcf_cannot_hold(tmp_path: Path) -> None:
    volume = read(build(tmp_path / "cell.TCF", truth(), "B"))
    path = tmp_path / "clean.TCF"
    with pytest.raises(UsageError, match=r"shape \(7, 10, 12\).*cell\.TCF has \(2, 7, 10, 12\)"):
        write(volume.frame(0), path)
    with pytest.raises(UsageError, match="holds volumes"):
        write(maximum_projection(volume), path)
    with pytest.raises(UsageError, match="refractive index, this is intensity"):
        write(Volume(np.ones(SHAPE, np.float32), "ZYX"), path)
    for wrong in (np.nan, 7.0, -1.0, 0.0):
        values = volume.read()
        values[1, 2, 3, 4] = wrong
        with pytest.raises(MeeumError, match=r"0\.0001 to 6\.5535"):
            write(replace(volume, data=values, no_data=None), path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["cell.TCF"]


@pytest.mark.parametrize(
    ("name", "encoding", "bound"),
    [
        ("hl60_float_v1.2", "A", 1e-6),
        ("hl60_uint16_v1.3", "B", 0.51e-4),
        ("hl60_tiled_u16", "D", 0.51e-4),
        ("hl60_tiled_u8", "E", 0.51e-3),
    ],
)
def test_shared_layouts_hold_the_cell(
    name: str, encoding: str, bound: float, shared_data: Path, tmp_path: Path
) -> None:
    volume = read(shared_data / "tcf" / f"{name}.TCF")
    assert (volume.shape, volume.axes) == ((2, 80, 140, 140), "TZYX")
    assert volume.details["encoding"][0] == encoding
    cell = read(shared_data / "hl60" / "hl60_full140.h5").read()
    assert np.abs(volume.frame(0).read() - cell[30:110]).max() <= bound
    exact = read(shared_data / "tcf" / "hl60_float_v1.2.TCF").frame(1).read()  # the cell again, with other noise
    assert 5e-5 < (exact - cell[30:110]).std() < 2e-4
    assert np.abs(volume.frame(1).read() - exact).max() <= bound
    assert (volume.voxel_size_um, volume.medium_index) == ((0.139, 0.139, 0.139), 1.335)
