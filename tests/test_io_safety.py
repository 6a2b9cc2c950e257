"""Inputs are never changed, outputs appear whole or not at all, damage is reported with the name of the file."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_io_formats import NAMES, refractive

from meeum.errors import MeeumError, UsageError
from meeum.io import READERS, WRITERS, read, write
from meeum.io.files import replacing
from meeum.volume import Volume


def digest(path: Path) -> str:
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    return hashlib.sha256(b"".join(one.read_bytes() for one in files)).hexdigest()


class Broken:
    """An array whose second half cannot be read."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape, self.dtype, self.reads = shape, np.dtype(np.float32), 0

    def __getitem__(self, region: object) -> np.ndarray:
        self.reads += 1
        if self.reads > 1:
            raise ArithmeticError("the middle of the prediction")
        return np.full(self.shape, 1.34, np.float32)[region]


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
    whole = write(refractive("ZYX", rng), tmp_path / f"good{suffix}")
    path.unlink()
    whole.rename(path)
    for part in list(path.rglob("c/*/*/*")) if path.is_dir() else [path]:  # of a folder, its chunks
        part.write_bytes(part.read_bytes()[: part.stat().st_size * 6 // 10])
    with pytest.raises(MeeumError, match=path.name):
        read(path).read()


def test_paths_that_cannot_be(tmp_path: Path, rng: np.random.Generator) -> None:
    volume = refractive("ZYX", rng)
    (tmp_path / "image.czi").touch()
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
