"""Writing TCF: the copy that carries denoised values, and new files."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from test_io_tcf_layouts import SHAPE, Style, build, truth

from meeum.errors import MeeumError, UsageError
from meeum.io import read, write
from meeum.volume import Volume, maximum_projection


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
