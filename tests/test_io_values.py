"""Which arrays are taken, and in which number type values are stored."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from test_io_formats import refractive

from meeum.errors import MeeumError, UsageError
from meeum.io import read, write
from meeum.volume import Volume


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


@pytest.mark.parametrize("axes", ["ZYX", "YX"])
@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.h5", "a.tcf"])
def test_single_plane_keeps_its_axes(name: str, axes: str, tmp_path: Path) -> None:
    if name == "a.tcf" and axes == "YX":
        pytest.skip("a TCF holds volumes")
    volume = Volume(np.full((1, 5, 6)[-len(axes) :], 1.34, np.float32), axes, quantity="refractive index")
    back = read(write(volume, tmp_path / name))
    assert (back.axes, back.shape) == (axes, volume.shape)
    assert back.voxel_size_um is None


def test_real_images(shared_data: Path) -> None:
    volume = read(shared_data / "fmd" / "fish_noisy.tif")
    np.testing.assert_array_equal(volume.read(), tifffile.imread(shared_data / "fmd" / "fish_noisy.tif"))
    cell = read(shared_data / "hl60" / "hl60_full140.h5")
    assert (cell.axes, cell.shape, cell.medium_index) == ("ZYX", (140, 140, 140), 1.335)
    assert (cell.voxel_size_um, cell.quantity) == ((0.139, 0.139, 0.139), "refractive index")
