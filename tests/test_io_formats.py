"""One battery over every format, then what is particular to HDF5, TIFF and NPY."""

import hashlib
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meeum.errors import MeeumError, UsageError
from meeum.io import READERS, WRITERS, read, write, write_frames
from meeum.io.files import replacing
from meeum.volume import Volume, maximum_projection

NAMES = [*(f"image{suffix}" for suffix in WRITERS), "image.ome.tif", "image.ome.tiff"]
AXES = ["ZYX", "TZYX", "YX", "TYX"]
SIZES = {"T": 3, "Z": 11, "Y": 13, "X": 17}
VOXEL = {"Z": 0.37, "Y": 0.139, "X": 0.1234}

tiny = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def refractive(axes: str, rng: np.random.Generator) -> Volume:
    values = rng.uniform(1.32, 1.42, [SIZES[axis] for axis in axes]).astype(np.float32)
    return Volume(
        values,
        axes,
        voxel_size_um=tuple(VOXEL[axis] for axis in axes if axis != "T"),
        quantity="refractive index",
        medium_index=1.337,
        frame_interval_s=2.5 if "T" in axes else None,
    )


def cases() -> list[tuple[str, str]]:
    return [(name, axes) for name in NAMES for axes in AXES if "Z" in axes or not name.endswith(".tcf")]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Broken:
    """An array whose second half cannot be read."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape, self.dtype, self.reads = shape, np.dtype(np.float32), 0

    def __getitem__(self, region: object) -> np.ndarray:
        self.reads += 1
        if self.reads > 1:
            raise ArithmeticError("the middle of the prediction")
        return np.full(self.shape, 1.34, np.float32)[region]


def test_every_reader_has_a_writer() -> None:
    assert list(READERS) == list(WRITERS)
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in READERS)


def test_import_stays_light() -> None:
    code = "import sys, meeum.io; print([m for m in ('h5py', 'hdf5plugin', 'tifffile', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("name", "axes"), cases())
def test_round_trip(name: str, axes: str, tmp_path: Path, rng: np.random.Generator) -> None:
    volume = refractive(axes, rng)
    original = np.array(volume.data)
    assert write(volume, tmp_path / name) == tmp_path / name
    assert [path.name for path in tmp_path.iterdir()] == [name]
    back = read(tmp_path / name)
    assert (back.shape, back.source) == (volume.shape, tmp_path / name)
    bound = 0.5e-4 + 2e-7 if name.endswith(".tcf") else 0
    assert np.abs(back.read().astype(np.float64) - original).max() <= bound
    np.testing.assert_array_equal(volume.data, original)
    if name.endswith(".npy"):  # has no place for anything else
        assert back.axes == axes.replace("TYX", "ZYX")
        return
    assert back.axes == axes
    assert back.voxel_size_um == pytest.approx(volume.voxel_size_um, rel=1e-6)
    assert (back.quantity, back.medium_index) == ("refractive index", 1.337)
    assert back.frame_interval_s == volume.frame_interval_s
    assert back.details["format"]


@pytest.mark.parametrize("name", NAMES)
@tiny
@given(data=st.data())
def test_region_equals_slice_of_whole(name: str, data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / name
    if not path.exists():
        write(refractive("TZYX", np.random.default_rng(1)), path)
    volume = read(path)
    whole = volume.read()
    part = st.one_of(
        st.slices(17),
        st.integers(0, 2),
        st.just(slice(None)),
    )
    region = tuple(data.draw(st.lists(part, max_size=4)))
    cut = data.draw(st.integers(0, len(region)))
    region = (*region[:cut], Ellipsis, *region[cut:])
    np.testing.assert_array_equal(np.asarray(volume.data[region], np.float32), whole[region])
    assert np.shape(volume.data[region]) == whole[region].shape


@pytest.mark.parametrize("name", NAMES)
def test_lazy_array_travels_to_another_process(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    write(refractive("ZYX", rng), tmp_path / name)
    volume = read(tmp_path / name)
    packed = pickle.dumps(volume)
    assert len(packed) < 2000 < volume.read().nbytes  # the path, not the values
    np.testing.assert_array_equal(pickle.loads(packed).read(), volume.read())


@pytest.mark.parametrize("name", NAMES)
def test_index_out_of_bounds(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    write(refractive("ZYX", rng), tmp_path / name)
    data = read(tmp_path / name).data
    with pytest.raises(IndexError):
        data[11]
    with pytest.raises(IndexError):
        data[0, 0, 0, 0]


@pytest.mark.parametrize("name", NAMES)
def test_existing_output_is_refused(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / name
    path.write_bytes(b"precious")
    with pytest.raises(UsageError, match="--overwrite"):
        write(refractive("ZYX", rng), path)
    assert path.read_bytes() == b"precious"
    write(refractive("ZYX", rng), path, overwrite=True)
    assert read(path).shape == (11, 13, 17)


@pytest.mark.parametrize("name", NAMES)
def test_failing_half_way_leaves_nothing(name: str, tmp_path: Path) -> None:
    broken = Volume(Broken((2, 4, 5, 6)), "TZYX", quantity="refractive index")
    with pytest.raises(ArithmeticError, match="middle"):
        write(broken, tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / name).write_bytes(b"precious")
    with pytest.raises(ArithmeticError):
        write(Volume(Broken((2, 4, 5, 6)), "TZYX", quantity="refractive index"), tmp_path / name, overwrite=True)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"precious"]


@pytest.mark.parametrize("name", NAMES)
def test_full_disk(name: str, tmp_path: Path) -> None:
    code = f"""
import resource, sys, numpy as np
from meeum.errors import MeeumError
from meeum.io import write
from meeum.volume import Volume
values = np.random.default_rng(0).uniform(1.3, 1.4, (40, 64, 64)).astype(np.float32)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
try:
    write(Volume(values, "ZYX", quantity="refractive index"), {str(tmp_path / name)!r})
except MeeumError as error:
    print("refused:", error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.startswith(f"refused: {tmp_path / name}: could not be written"), done
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_source_is_never_changed(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    path = write(refractive("ZYX", rng), tmp_path / name)
    before = digest(path)
    volume = read(path)
    with pytest.raises(UsageError, match="inputs are never changed"):
        write(volume, path, overwrite=True)
    result = replace(volume, data=volume.read() + np.float32(0.001), quantity="refractive index")
    for suffix in WRITERS:
        other = write(result, tmp_path / f"other{suffix}", noisy=volume)
        back = read(other, dataset="output" if READERS[suffix] is READERS[".h5"] else None)
        assert np.abs(back.read() - result.data).max() < 1.1e-4
        with pytest.raises(UsageError, match="inputs are never changed"):
            write(replace(result, source=None), path, noisy=volume, overwrite=True)
    assert digest(path) == before


@pytest.mark.parametrize("suffix", READERS)
def test_damaged_files(suffix: str, tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / f"bad{suffix}"
    for content in (b"", b"this is a text about cells, and no image at all " * 20):
        path.write_bytes(content)
        with pytest.raises(MeeumError, match=path.name):
            read(path)
    whole = write(refractive("ZYX", rng), tmp_path / f"good{suffix}").read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])
    with pytest.raises(MeeumError, match=path.name):
        read(path).read()


def test_paths_that_cannot_be(tmp_path: Path, rng: np.random.Generator) -> None:
    volume = refractive("ZYX", rng)
    with pytest.raises(UsageError, match=r"\.tcf, \.h5, \.hdf, \.hdf5, \.tif, \.tiff, \.npy"):
        read(tmp_path / "image.czi")
    with pytest.raises(UsageError, match=r"\.tcf, \.h5"):
        write(volume, tmp_path / "image")
    with pytest.raises(UsageError, match="no such file"):
        read(tmp_path / "absent.TCF")
    with pytest.raises(UsageError, match="does not exist"):
        write(volume, tmp_path / "absent" / "image.h5")
    (tmp_path / "folder.h5").mkdir()
    for verb in (read, lambda path: write(volume, path, overwrite=True)):
        with pytest.raises(UsageError, match="is a folder"):
            verb(tmp_path / "folder.h5")


def test_replacing_reports_where(tmp_path: Path) -> None:
    with (
        pytest.raises(MeeumError, match=r"out\.h5: could not be written \(No space left"),
        replacing(tmp_path / "out.h5", overwrite=False) as temporary,
    ):
        temporary.write_bytes(b"x")
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_no_data_can_be_stated(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[0, 1], [2, 3]], np.float32))
    volume = read(tmp_path / "a.npy", no_data=0.0)
    assert volume.valid(volume.read()).tolist() == [[False, True], [True, True]]


@pytest.mark.parametrize("suffix", [".npy", ".h5"])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((4, 5), np.complex64), "complex64"),
        (np.zeros((4, 5), [("ri", "f4"), ("phase", "f4")]), "named fields"),
        (np.zeros(7, np.float32), r"1 dimension.*shape \(7,\)"),
        (np.zeros((2, 2, 2, 5, 6), np.float32), r"5 dimension.*channel=0"),
        (np.zeros((9, 8, 3), np.uint8), r"RGB.*channel=0 \.\.\. 2"),
        (np.zeros((5, 9, 8, 4), np.uint8), r"RGB.*channel=0 \.\.\. 3"),
        (np.zeros((0, 5), np.float32), "empty"),
        (np.zeros((4, 5), np.bool_), "bool"),
    ],
)
def test_arrays_that_are_no_volume(suffix: str, values: np.ndarray, message: str, tmp_path: Path) -> None:
    path = tmp_path / f"odd{suffix}"
    if suffix == ".npy":
        np.save(path, values)
    else:
        with h5py.File(path, "w") as file:
            file["odd"] = values
    with pytest.raises(MeeumError, match=message):
        read(path)


def test_a_colour_can_be_picked(tmp_path: Path, rng: np.random.Generator) -> None:
    picture = rng.integers(0, 255, (9, 8, 3), dtype=np.uint8)
    np.save(tmp_path / "rgb.npy", picture)
    tifffile.imwrite(tmp_path / "rgb.tif", picture, photometric="rgb")
    tifffile.imwrite(tmp_path / "planar.tif", picture.transpose(2, 0, 1), photometric="rgb", compression="zlib")
    for name in ("rgb.npy", "rgb.tif", "planar.tif"):
        volume = read(tmp_path / name, channel=2)
        assert volume.axes == "YX"
        np.testing.assert_array_equal(volume.read(), picture[..., 2])
        with pytest.raises(UsageError, match=r"0 \.\.\. 2"):
            read(tmp_path / name, channel=3)
        with pytest.raises(UsageError, match="RGB"):
            read(tmp_path / name)


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}, None]), allow_pickle=True)
    with pytest.raises(MeeumError, match="Python objects"):
        read(tmp_path / "objects.npy")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("name", ["a.npy", "a.tif", "a.ome.tif"])
def test_stored_type_is_kept(name: str, dtype: str, tmp_path: Path) -> None:
    np.save(tmp_path / "source.npy", np.arange(20, dtype=dtype).reshape(4, 5))
    source = read(tmp_path / "source.npy")
    assert source.stored_dtype == dtype
    values = source.read() * np.float32(1.3) - 5  # fractions and, for the unsigned, negative values
    write(source.with_data(values), tmp_path / name)
    raw = np.load(tmp_path / name) if name == "a.npy" else tifffile.imread(tmp_path / name)
    if dtype.startswith("float"):
        assert raw.dtype == np.float32
        np.testing.assert_array_equal(raw, values)
        return
    assert raw.dtype == dtype
    lowest = 0 if dtype.startswith("u") else -5
    np.testing.assert_array_equal(raw, np.maximum(np.round(values), lowest))


def test_refractive_index_never_becomes_an_integer(tmp_path: Path, rng: np.random.Generator) -> None:
    volume = replace(refractive("ZYX", rng), stored_dtype="uint16")
    for name in ("a.npy", "a.tif", "a.ome.tif"):
        np.testing.assert_array_equal(read(write(volume, tmp_path / name)).read(), volume.data)


def test_nan_has_no_integer(tmp_path: Path) -> None:
    volume = Volume(np.array([[1, np.nan]], np.float32), "YX", stored_dtype="uint8")
    with pytest.raises(MeeumError, match="nan"):
        write(volume, tmp_path / "a.npy")


# ---- HDF5


def test_hdf5_is_the_lab_notes(tmp_path: Path, rng: np.random.Generator) -> None:
    noisy, clean = refractive("ZYX", rng), refractive("ZYX", rng)
    write(clean, tmp_path / "0.hdf", noisy=noisy, provenance={"model": "ups"})
    with h5py.File(tmp_path / "0.hdf") as file:
        assert sorted(file) == ["input", "output"]
        assert file.attrs["model"] == "ups"
        for name, volume in (("input", noisy), ("output", clean)):
            assert (file[name].dtype, file[name].compression) == (np.float32, "gzip")
            np.testing.assert_array_equal(file[name][()], volume.data)
            assert file[name].attrs["axes"] == "ZYX"
            assert file[name].attrs["quantity"] == "refractive index"
            assert file[name].attrs["medium_index"] == 1.337
            np.testing.assert_array_equal(file[name].attrs["voxel_size_um"], [0.37, 0.139, 0.1234])
    np.testing.assert_array_equal(read(tmp_path / "0.hdf").read(), noisy.data)
    np.testing.assert_array_equal(read(tmp_path / "0.hdf", dataset="output").read(), clean.data)
    with pytest.raises(UsageError, match="shape"):
        write(clean, tmp_path / "1.hdf", noisy=noisy.frame(0).with_data(noisy.read()[:3]))


def test_hdf5_one_file_per_frame(tmp_path: Path, rng: np.random.Generator) -> None:
    noisy, clean = refractive("TZYX", rng), refractive("TZYX", rng)
    (tmp_path / "2.hdf").write_bytes(b"precious")
    with pytest.raises(UsageError, match="--overwrite"):
        write_frames(tmp_path, clean, noisy=noisy)
    assert [path.name for path in tmp_path.iterdir()] == ["2.hdf"]
    paths = write_frames(tmp_path, clean, noisy=noisy, overwrite=True)
    assert [path.name for path in paths] == ["0.hdf", "1.hdf", "2.hdf"]
    for index, path in enumerate(paths):
        assert read(path).axes == "ZYX"
        np.testing.assert_array_equal(read(path).read(), noisy.data[index])
        np.testing.assert_array_equal(read(path, dataset="output").read(), clean.data[index])
    projected = write_frames(tmp_path, maximum_projection(clean), overwrite=True)
    np.testing.assert_array_equal(read(projected[1]).read(), clean.data[1].max(axis=0))


def test_hdf5_chooses_a_dataset(tmp_path: Path) -> None:
    path = tmp_path / "many.h5"
    with h5py.File(path, "w") as file:
        file["group/first"] = np.ones((4, 5), np.float32)
        file["names"] = ["a", "b"]
    assert read(path).details["dataset"] == "/group/first"
    with h5py.File(path, "a") as file:
        file["second"] = np.full((2, 4, 5), 2, np.int16)
    with pytest.raises(UsageError, match=r"--dataset.*group/first \(4, 5\) float32.*second \(2, 4, 5\) int16"):
        read(path)
    assert read(path, dataset="second").read().max() == 2
    assert read(path, dataset="second").stored_dtype == "int16"
    with pytest.raises(UsageError, match=r"no dataset 'third'.*group/first"):
        read(path, dataset="third")
    with h5py.File(path, "a") as file:
        file["output"] = np.full((4, 5), 3.0)
    assert read(path).read().max() == 3
    with h5py.File(path, "a") as file:
        file["input"] = np.full((4, 5), 4.0)
    assert read(path).read().max() == 4
    with h5py.File(tmp_path / "none.h5", "w") as file:
        file.create_group("Data")
    with pytest.raises(MeeumError, match="no dataset at all"):
        read(tmp_path / "none.h5")


def test_hdf5_axes_in_another_order(tmp_path: Path, rng: np.random.Generator) -> None:
    values = rng.uniform(size=(7, 8, 2, 5)).astype(np.float32)
    with h5py.File(tmp_path / "xyz.h5", "w") as file:
        file["stack"] = values
        file["stack"].attrs["axes"] = np.bytes_("XYCZ")
        file["stack"].attrs["voxel_size_um"] = [1.0, 2.0, 3.0]
    volume = read(tmp_path / "xyz.h5", channel=1)
    assert (volume.axes, volume.shape, volume.voxel_size_um) == ("ZYX", (5, 8, 7), (3.0, 2.0, 1.0))
    np.testing.assert_array_equal(volume.read(), values[:, :, 1].transpose(2, 1, 0))
    np.testing.assert_array_equal(volume.data[1, ::-2, 3], values[3, ::-2, 1, 1])
    with pytest.raises(UsageError, match="2 channels"):
        read(tmp_path / "xyz.h5")


def test_hdf5_no_data_travels(tmp_path: Path, rng: np.random.Generator) -> None:
    for no_data in (0.0, np.nan):
        path = write(replace(refractive("ZYX", rng), no_data=no_data), tmp_path / "a.h5", overwrite=True)
        np.testing.assert_equal(read(path).no_data, no_data)


def test_hdf5_voxel_size_that_does_not_fit(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["input"] = np.ones((4, 5))
        file["input"].attrs["voxel_size_um"] = [0.1, 0.1, 0.1]
    volume = read(tmp_path / "a.h5")
    assert volume.voxel_size_um is None
    assert "does not fit" in volume.warnings[0]


def test_hdf5_reads_only_the_touched_chunks(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("input", data=np.ones((32, 32)), chunks=(8, 8), compression="gzip")
        places = [file["input"].id.get_chunk_info(i) for i in range(16)]
    damaged = bytearray(path.read_bytes())
    for place in places:
        if place.chunk_offset != (8, 16):
            damaged[place.byte_offset : place.byte_offset + place.size] = b"\xff" * place.size
    path.write_bytes(damaged)
    assert read(path).data[8:16, 17:20].tolist() == np.ones((8, 3)).tolist()
    with pytest.raises(MeeumError, match=r"a\.h5.*damaged"):
        read(path).data[7:16, 17:20]


# ---- TIFF


def test_imagej_hyperstack(tmp_path: Path, rng: np.random.Generator) -> None:
    values = rng.integers(0, 4000, (2, 3, 4, 9, 8), dtype=np.uint16)  # TZCYX
    tifffile.imwrite(
        tmp_path / "hyper.tif",
        values,
        imagej=True,
        resolution=(1 / 0.1, 1 / 0.2),
        metadata={"axes": "TZCYX", "spacing": 0.5, "unit": "micron", "finterval": 3.0},
    )
    with pytest.raises(UsageError, match=r"4 channels.*channel=0 \.\.\. 3"):
        read(tmp_path / "hyper.tif")
    volume = read(tmp_path / "hyper.tif", channel=2)
    assert volume.axes == "TZYX"
    np.testing.assert_array_equal(volume.read(), values[:, :, 2])
    assert volume.voxel_size_um == pytest.approx((0.5, 0.2, 0.1), rel=1e-6)
    assert (volume.frame_interval_s, volume.stored_dtype) == (3.0, "uint16")
    assert volume.details["format"] == "ImageJ TIFF"


def test_imagej_reads_ours(tmp_path: Path, rng: np.random.Generator) -> None:
    path = write(refractive("TZYX", rng), tmp_path / "ours.tif")
    with tifffile.TiffFile(path) as tif:
        assert tif.is_imagej
        assert tif.series[0].axes == "TZYX"
        assert {"frames": 3, "slices": 11, "spacing": 0.37, "unit": "um"}.items() <= tif.imagej_metadata.items()


def test_ome_tiff(tmp_path: Path, rng: np.random.Generator) -> None:
    values = rng.integers(0, 4000, (3, 2, 9, 8), dtype=np.uint16)
    tifffile.imwrite(
        tmp_path / "a.ome.tif",
        values,
        bigtiff=True,
        compression="zlib",
        tile=(16, 16),
        metadata={
            "axes": "ZCYX",
            "PhysicalSizeX": 100.0,
            "PhysicalSizeXUnit": "nm",
            "PhysicalSizeY": 0.2,
            "PhysicalSizeZ": 0.5,
        },
    )
    volume = read(tmp_path / "a.ome.tif", channel=1)
    assert (volume.axes, volume.voxel_size_um) == ("ZYX", pytest.approx((0.5, 0.2, 0.1)))
    assert volume.details["format"] == "OME-TIFF (BigTIFF)"
    np.testing.assert_array_equal(volume.read(), values[:, 1])
    ours = write(refractive("TZYX", rng), tmp_path / "ours.ome.tif")
    with tifffile.TiffFile(ours) as tif:
        assert tif.is_ome
        assert 'PhysicalSizeX="0.1234"' in tif.ome_metadata


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib"},
        {"compression": "zlib", "tile": (16, 32)},
        {"compression": "zlib", "rowsperstrip": 7},
        {"compression": "zlib", "predictor": True, "tile": (32, 16)},
        {"tile": (16, 16)},
        {"byteorder": ">"},
        {"byteorder": ">", "compression": "zlib", "rowsperstrip": 9},
        {"bigtiff": True, "metadata": None},
        {"volumetric": True, "tile": (16, 16, 16), "compression": "zlib"},
    ],
    ids=str,
)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_tiff_storage(options: dict[str, object], data: st.DataObject, tmp_path: Path) -> None:
    values = np.random.default_rng(2).integers(0, 60000, (5, 37, 45), dtype=np.uint16)
    path = tmp_path / "a.tif"
    if not path.exists():
        tifffile.imwrite(path, values, photometric="minisblack", **options)
    volume = read(path)
    assert volume.axes == "ZYX"
    assert volume.data.dtype.isnative
    region = tuple(data.draw(st.slices(size)) for size in values.shape)
    np.testing.assert_array_equal(volume.data[region], values[region])
    np.testing.assert_array_equal(volume.read(), values)


def test_tiff_reads_only_the_touched_tiles(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((3, 48, 48), np.uint16), photometric="minisblack", compression="zlib", tile=(16, 16))
    with tifffile.TiffFile(path) as tif:
        places = [
            (page, tile, offset, count)
            for page, frame in enumerate(tif.series[0].pages)
            for tile, (offset, count) in enumerate(zip(frame.dataoffsets, frame.databytecounts, strict=True))
        ]
    damaged = bytearray(path.read_bytes())
    for page, tile, offset, count in places:
        if (page, tile) != (1, 5):
            damaged[offset : offset + count] = b"\xff" * count
    path.write_bytes(damaged)
    assert read(path).data[1, 16:32, 40:42].tolist() == np.ones((16, 2)).tolist()
    with pytest.raises(MeeumError, match=r"a\.tif"):
        read(path).data[1, 15:32, 40:42]


def test_tiff_pages_without_a_name_are_z(tmp_path: Path) -> None:
    values = np.arange(4 * 6 * 7, dtype=np.uint8).reshape(4, 6, 7)
    with tifffile.TiffWriter(tmp_path / "pages.tif") as tif:
        for page in values:
            tif.write(page, contiguous=False, metadata=None, compression="zlib")
    volume = read(tmp_path / "pages.tif")
    assert (volume.axes, volume.voxel_size_um) == ("ZYX", None)
    np.testing.assert_array_equal(volume.read(), values)
    assert any("taken as Z" in warning for warning in volume.warnings)
    assert any("voxel size" in warning for warning in volume.warnings)


@pytest.mark.parametrize("axes", ["ZYX", "YX"])
@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.h5", "a.tcf"])
def test_single_plane_keeps_its_axes(name: str, axes: str, tmp_path: Path) -> None:
    if name == "a.tcf" and axes == "YX":
        pytest.skip("a TCF holds volumes")
    volume = Volume(np.full((1, 5, 6)[-len(axes) :], 1.34, np.float32), axes, quantity="refractive index")
    back = read(write(volume, tmp_path / name))
    assert (back.axes, back.shape) == (axes, volume.shape)
    assert back.voxel_size_um is None


def test_tiff_codec_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((5, 6), np.uint8), metadata=None)
    raw = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        place = tif.pages[0].tags["Compression"].valueoffset
    raw[place : place + 2] = (34934).to_bytes(2, sys.byteorder)  # PNG in TIFF
    path.write_bytes(raw)
    monkeypatch.setattr(type(tifffile.TIFF.DECOMPRESSORS), "__getitem__", _without_codecs)
    with pytest.raises(MeeumError, match=r"pip install .meeum\[tiff\]"):
        read(path)


def _without_codecs(_: object, key: int) -> None:
    raise KeyError(f"{key} requires the 'imagecodecs' package")


def test_tiff_has_no_datasets(tmp_path: Path) -> None:
    for name in ("a.tif", "a.npy"):
        write(Volume(np.ones((5, 6), np.float32), "YX"), tmp_path / name)
        with pytest.raises(UsageError, match="dataset='input'"):
            read(tmp_path / name, dataset="input")


def test_real_images(shared_data: Path) -> None:
    volume = read(shared_data / "fmd" / "fish_noisy.tif")
    np.testing.assert_array_equal(volume.read(), tifffile.imread(shared_data / "fmd" / "fish_noisy.tif"))
    cell = read(shared_data / "hl60" / "hl60_full140.h5")
    assert (cell.axes, cell.shape, cell.medium_index) == ("ZYX", (140, 140, 140), 1.335)
    assert (cell.voxel_size_um, cell.quantity) == ((0.139, 0.139, 0.139), "refractive index")
