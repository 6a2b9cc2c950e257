"""Read a TCF: find its frames, decide their encoding by dtype and values, gather what it states."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from meeum.errors import MeeumError, UsageError
from meeum.io import h5file
from meeum.io.tcf.frames import ENCODINGS, Frame, TcfArray, Tile
from meeum.volume import Volume

AXES = "ZYX"
SCALED_FROM = 100.0  # refractive index lies near 1.3, scaled values near 13 000


def read(path: Path, *, dataset: str | None = None, channel: int | None = None) -> Volume:
    """The 3D refractive index of a TCF, lazily, (Z, Y, X) or (T, Z, Y, X), voxel sizes in µm."""
    for option, value in (("dataset", dataset), ("channel", channel)):
        if value is not None:
            raise UsageError(
                f"{path}: {option}={value!r} was asked for; of a TCF meeum reads the refractive index in Data/3D. "
                "For its other contents give a copy of the file that ends in .h5"
            )
    with h5file.reading(path) as file:
        stack = _stack(file, path)
        array = TcfArray(path, _frames(file, path))
        device = h5file.child(file, "Info", "Device")
        sizes = [h5file.number(stack, f"Resolution{axis}") for axis in AXES]
        return Volume(
            array,
            "ZYX" if len(array.frames) == 1 else "TZYX",
            voxel_size_um=tuple(size for size in sizes if size) if all(size and size > 0 for size in sizes) else None,
            quantity="refractive index",
            medium_index=h5file.number(device, "RI"),
            no_data=0.0,
            frame_interval_s=_frame_interval(stack, array.frames),
            source=path,
            stored_dtype=array.frames[0].dtype.name,
            details=_details(file, stack, array.frames),
            warnings=tuple(_warnings(file, stack, array.frames)),
        )


def frame_array(path: Path) -> TcfArray:
    """The frames alone."""
    with h5file.reading(path) as file:
        return TcfArray(path, _frames(file, path))


def _stack(file: Any, path: Path) -> Any:
    stack = h5file.child(file, "Data", "3D")
    if stack is None or h5file.is_dataset(stack):
        groups: list[str] = []
        file.visit(lambda name: groups.append(name) if name.count("/") < 2 else None)
        held = ", ".join(sorted(groups)) or "nothing"
        raise MeeumError(f"{path}: no group Data/3D, so no 3D refractive index; the file holds {held}")
    return stack


def _frames(file: Any, path: Path) -> tuple[Frame, ...]:
    stack = _stack(file, path)
    names = sorted((name for name in stack if name.isdecimal()), key=int)
    if not names:
        raise MeeumError(f"{path}: Data/3D has no frame (000000, 000001, ...); it holds {sorted(stack) or 'nothing'}")
    frames = tuple(_frame(stack, name, path) for name in names)
    for frame in frames:
        if frame.shape != frames[0].shape:
            raise MeeumError(
                f"{path}: frame {frame.name} has shape {frame.shape}, frame {names[0]} has {frames[0].shape}; "
                "meeum takes frames of one shape"
            )
    return frames


def _frame(stack: Any, name: str, path: Path) -> Frame:
    node = stack[name]
    where = f"{path}, frame {name}"
    tiled = not h5file.is_dataset(node)
    if not tiled and node.ndim != 3:
        raise MeeumError(f"{where}: an array of shape {node.shape} was found; a TCF frame has 3 dimensions (Z, Y, X)")
    tiles = _tiles(stack, node, where) if tiled else (Tile(node.name, (0, 0, 0), node.shape),)
    shape = _tiled_shape(stack, node, tiles) if tiled else node.shape
    dtype = stack.file[tiles[0].dataset].dtype
    encoding = _encoding(stack.file, tiles, tiled=tiled, where=where)
    lowest = _stated_lowest(node, where) if encoding == "E" else 0.0
    return Frame(name, shape, encoding, tiles, np.dtype(dtype), lowest)


def _encoding(file: Any, tiles: tuple[Tile, ...], *, tiled: bool, where: str) -> str:
    """The letter in ENCODINGS; by dtype and values, since versions are stated unreliably."""
    dtype = file[tiles[0].dataset].dtype
    if dtype.kind == "f":
        return "C" if _is_scaled(file, tiles) else "A"
    if dtype.kind in "ui" and dtype.itemsize > 1:
        return "D" if tiled else "B"
    if dtype == np.uint8 and tiled:
        return "E"
    known = "; ".join(ENCODINGS.values())
    raise MeeumError(f"{where}: stored as {'tiles of ' if tiled else ''}{dtype}; the known encodings are {known}")


def _is_scaled(file: Any, tiles: tuple[Tile, ...]) -> bool:
    """Whether the first plane with data, from the middle outwards, holds values about 13 000."""
    for tile in tiles:
        depth = tile.stop[0] - tile.start[0]
        for plane in sorted(range(depth), key=lambda z: abs(2 * z - depth)):
            values = np.asarray(file[tile.dataset][plane])
            values = values[np.isfinite(values) & (values != 0)]
            if values.size:
                return bool(np.median(values) > SCALED_FROM)
    return False


def _stated_lowest(node: Any, where: str) -> float:
    lowest = h5file.number(node, "RIMin")
    if lowest is None:
        raise MeeumError(
            f"{where}: tiles of uint8 count in steps of 0.001 from the frame's RIMin, and this frame states none, "
            "so its refractive index is unknown; export the file again with its attributes"
        )
    return lowest


def _tiles(stack: Any, node: Any, where: str) -> tuple[Tile, ...]:
    names = sorted(name for name in node if name.upper().startswith("TILE") and h5file.is_dataset(node[name]))
    full = [node[name] for name in names if h5file.number(node[name], "SamplingStep") in (1.0, None)]
    if not full:
        raise MeeumError(f"{where}: a group without a tile of SamplingStep 1; it holds {sorted(node) or 'nothing'}")
    limits = [h5file.number(node, f"DataSize{axis}") for axis in AXES]
    placed = [_placed(tile, limits, where) for tile in full]
    filled = tuple(tile for tile in placed if all(a < b for a, b in zip(tile.start, tile.stop, strict=True)))
    if not filled:
        raise MeeumError(f"{where}: no tile lies within the frame of (Z, Y, X) size {limits}")
    return filled


def _placed(tile: Any, limits: list[float | None], where: str) -> Tile:
    """The voxels a tile fills: its first and last (inclusive) point, within its array and within the frame."""
    if tile.ndim != 3:
        raise MeeumError(f"{where}, {tile.name}: a tile has 3 dimensions (Z, Y, X); this one has shape {tile.shape}")
    starts, stops = [], []
    for axis, size, limit in zip(AXES, tile.shape, limits, strict=True):
        first = h5file.number(tile, f"DataIndexOffsetPoint{axis}")
        last = h5file.number(tile, f"DataIndexLastPoint{axis}")
        if first is None or last is None or first < 0:
            raise MeeumError(
                f"{where}, {tile.name}: attributes DataIndexOffsetPoint{axis} and DataIndexLastPoint{axis} must say "
                f"which voxels the tile fills; they are {first} and {last}"
            )
        starts.append(int(first))
        stops.append(int(min(last + 1, first + size, limit or np.inf)))
    return Tile(tile.name, (starts[0], starts[1], starts[2]), (stops[0], stops[1], stops[2]))


def _tiled_shape(stack: Any, node: Any, tiles: tuple[Tile, ...]) -> tuple[int, int, int]:
    sizes = []
    for place, axis in enumerate(AXES):
        stated = h5file.number(node, f"DataSize{axis}") or h5file.number(stack, f"Size{axis}")
        sizes.append(int(stated or max(tile.stop[place] for tile in tiles)))
    return sizes[0], sizes[1], sizes[2]


def _frame_interval(stack: Any, frames: tuple[Frame, ...]) -> float | None:
    """Seconds between frames: as stated for the file, else the median difference of the frames' times."""
    if len(frames) == 1:
        return None
    stated = h5file.number(stack, "TimeInterval")
    if stated and stated > 0:
        return stated
    times = [h5file.number(stack[frame.name], "Time") for frame in frames]
    known = [time for time in times if time is not None]
    interval = float(np.median(np.diff(known))) if len(known) == len(frames) else 0.0
    return interval if interval > 0 else None


def _details(file: Any, stack: Any, frames: tuple[Frame, ...]) -> dict[str, str]:
    low, high = (h5file.number(stack, name) for name in ("RIMin", "RIMax"))
    device = h5file.child(file, "Info", "Device")
    stated = {
        "format": "TCF",
        "encoding": ", ".join(ENCODINGS[letter] for letter in sorted({frame.encoding for frame in frames})),
        "frames": str(len(frames)),
        "also in the file": ", ".join(_other_contents(file)),
        "stated range": f"{low:.6g} to {high:.6g}" if low is not None and high is not None else None,
        "format version": h5file.text(file, "FormatVersion"),
        "software": h5file.text(file, "SoftwareVersion"),
        "recorded": h5file.text(file, "RecordingTime"),
        "title": h5file.text(file, "Title"),
        "NA": h5file.text(device, "NA"),
        "magnification": h5file.text(device, "Magnification"),
        "wavelength (µm)": h5file.text(device, "Wavelength"),
    }
    return {name: value for name, value in stated.items() if value}


def _other_contents(file: Any) -> Iterable[str]:
    """Everything in Data but the 3D frames: projections, fluorescence channels, bright field."""
    data: Any = h5file.child(file, "Data")
    for name in data:
        if name.casefold() == "3d":
            continue
        inside = () if h5file.is_dataset(data[name]) else data[name]
        channels = [inner for inner in inside if inner.upper().startswith("CH")]
        yield from (f"{name}/{channel}" for channel in channels) if channels else [name]


def _warnings(file: Any, stack: Any, frames: tuple[Frame, ...]) -> Iterable[str]:
    for axis in AXES:
        size = h5file.number(stack, f"Resolution{axis}")
        if size is None or size <= 0:
            yield f"Data/3D states no Resolution{axis}: the voxel size is unknown"
    if h5file.number(h5file.child(file, "Info", "Device"), "RI") is None:
        yield "Info/Device states no RI: the refractive index of the medium is unknown"
    for limit in ("RIMin", "RIMax"):
        if h5file.number(stack, limit) is None:
            yield f"Data/3D states no {limit}"
    count = h5file.number(stack, "DataCount")
    if count is not None and count != len(frames):
        yield f"Data/3D states {count:.0f} frames and holds {len(frames)}"
    if len({frame.encoding for frame in frames}) > 1:
        yield "the frames are stored in different encodings"
    for frame in frames:
        covered = sum(int(np.prod(np.subtract(tile.stop, tile.start))) for tile in frame.tiles)
        if covered < np.prod(frame.shape):
            yield f"frame {frame.name}: tiles of full resolution do not cover it; the rest is without data"
