"""Plain HDF5: the lab note's files, and any others."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from test_io_formats import refractive

from meeum.errors import MeeumError, UsageError
from meeum.io import read, write, write_frames
from meeum.volume import maximum_projection


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
