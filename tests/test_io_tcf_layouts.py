"""TCF files in every encoding, built by hand from the layout notes; and the stand-in files against them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from meeum.io import read

SHAPE = (7, 10, 12)


QUANTUM = {"A": 1e-7, "B": 1e-4, "C": 1e-7, "D": 1e-4, "E": 1e-3}


LOWEST = 1.3251  # RIMin of encoding E


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
