"""TIFF: plain, ImageJ, OME and BigTIFF."""

import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_io_formats import refractive

from meeum.errors import MeeumError, UsageError
from meeum.io import read, write
from meeum.volume import Volume


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


def test_tiff_codec_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((5, 6), np.uint8), metadata=None)
    raw = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        place = tif.pages[0].tags["Compression"].valueoffset
    raw[place : place + 2] = (34934).to_bytes(2, sys.byteorder)  # PNG in TIFF
    path.write_bytes(raw)
    monkeypatch.setattr(type(tifffile.TIFF.DECOMPRESSORS), "__getitem__", _without_codecs)
    with pytest.raises(MeeumError, match="pip install imagecodecs"):
        read(path)


def _without_codecs(_: object, key: int) -> None:
    raise KeyError(f"{key} requires the 'imagecodecs' package")


def test_tiff_has_no_datasets(tmp_path: Path) -> None:
    for name in ("a.tif", "a.npy"):
        write(Volume(np.ones((5, 6), np.float32), "YX"), tmp_path / name)
        with pytest.raises(UsageError, match="dataset='input'"):
            read(tmp_path / name, dataset="input")
