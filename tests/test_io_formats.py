"""One battery over every format: what goes in comes out, whole or by region."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meeum.io import READERS, WRITERS, read, write
from meeum.volume import Volume

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
