"""Write a TCF: a copy of the source with other 3D values, or a new minimal one when there is no source.

That a vendor's software opens these files has not been tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

import numpy as np

from meeum import __version__
from meeum.errors import UsageError
from meeum.io import h5file
from meeum.io.tcf.frames import Frame, TcfArray
from meeum.io.tcf.reader import frame_array
from meeum.io.tcf.storage import (
    UINT16,
    Written,
    now,
    put_number,
    put_provenance,
    put_range,
    put_text,
    storage_of,
    write_frame,
)
from meeum.volume import Volume

TILE_ATTRIBUTES = {"numberoftiles", "datasizex", "datasizey", "datasizez", "scalartype"}  # of no meaning once plain


def write(
    volume: Volume, path: Path, *, noisy: Volume | None = None, provenance: Mapping[str, str] | None = None
) -> None:
    """Refractive index (Z, Y, X) or (T, Z, Y, X) as a TCF; clone-and-patch if the volume came from one."""
    if "Z" not in volume.axes:
        raise UsageError(
            f"{volume.name}: a TCF holds volumes and this image has axes {volume.axes!r}; write it as .h5 or .tif"
        )
    if volume.quantity != "refractive index":
        raise UsageError(f"{volume.name}: a TCF holds refractive index, this is {volume.quantity}; write it as .h5")
    if volume.source is not None and volume.source.suffix.lower() == ".tcf":
        _clone(volume, volume.source, path, provenance=provenance)
    else:
        _create(volume, path, provenance=provenance)


def _clone(volume: Volume, source: Path, path: Path, *, provenance: Mapping[str, str] | None) -> None:
    """Everything of the source but the frames and projections, which are written anew: no dead data stays behind."""
    array = frame_array(source)
    if volume.shape != array.shape:
        raise UsageError(
            f"{volume.name}: the volume has shape {volume.shape}, its source {source} has {array.shape}; a TCF is "
            "written as a copy of its source, so all frames and their whole size are needed; write .h5 instead"
        )
    with h5file.opened(source) as old, h5file.library().File(path, "w") as new:
        projections = _projections(old, array)
        anew = {f"{_stack(old).name}/{frame.name}" for frame in array.frames} | {
            node.name for node in projections if node
        }
        _copy_except(old, new, anew)
        _patch(volume, old, new, array)
        put_provenance(new, source, provenance)


def _patch(volume: Volume, old: Any, new: Any, array: TcfArray) -> None:
    written = []
    for index, (frame, projection) in enumerate(zip(array.frames, _projections(old, array), strict=True)):
        measured = Volume(TcfArray(array.path, (frame,)), "ZYX", no_data=0.0, source=array.path)
        written.append(_patch_frame(volume.frame(index), _stack(old)[frame.name], new, frame, measured))
        if projection is not None:
            _patch_projection(new, projection, written[-1])
    for name in ("3D", "2DMIP"):
        group = h5file.child(new, "Data", name)
        if group is not None:
            put_range(group, min(one.lowest for one in written), max(one.highest for one in written))


def _patch_frame(values: Volume, old: Any, new: Any, frame: Frame, measured: Volume) -> Written:
    stack = _stack(new)
    written = write_frame(stack, frame.name, values, storage=storage_of(frame), measured=measured)
    _copy_attributes(old, stack[frame.name], without=TILE_ATTRIBUTES if not h5file.is_dataset(old) else set())
    put_range(stack[frame.name], written.lowest, written.highest)
    return written


def _patch_projection(new: Any, old: Any, written: Written) -> None:
    group = new[old.parent.name]
    name = old.name.rsplit("/", 1)[1]
    group.create_dataset(name, data=written.projection, compression="gzip", chunks=True)
    _copy_attributes(old, group[name], without=TILE_ATTRIBUTES if not h5file.is_dataset(old) else set())
    put_range(group[name], written.lowest, written.highest)


def _stack(file: Any) -> Any:
    return h5file.child(file, "Data", "3D")


def _projections(file: Any, array: TcfArray) -> list[Any]:
    """The node in Data/2DMIP of each frame; None where there is none."""
    return [h5file.child(file, "Data", "2DMIP", frame.name) for frame in array.frames]


def _copy_except(old: Any, new: Any, without: Set[str]) -> None:
    """Copy a group's attributes and members byte for byte, but for the nodes named by their full path."""
    _copy_attributes(old, new)
    for name in old:
        full = f"{old.name.rstrip('/')}/{name}"
        link = old.get(name, getlink=True)
        if full in without:
            continue
        if not isinstance(link, h5file.library().HardLink):
            new[name] = link
        elif any(other.startswith(f"{full}/") for other in without):
            _copy_except(old[name], new.create_group(name), without)
        else:
            old.copy(name, new, name=name)


def _copy_attributes(old: Any, new: Any, without: Set[str] = frozenset()) -> None:
    """Attributes with their exact HDF5 type and shape."""
    attributes = h5file.library().h5a
    for name in old.attrs:
        if name.casefold() in without:
            continue
        source = attributes.open(old.id, name.encode())
        target = attributes.create(new.id, name.encode(), source.get_type(), source.get_space())
        if source.shape is not None:
            values = np.empty(source.shape, dtype=source.dtype)
            source.read(values)
            target.write(values)


def _create(volume: Volume, path: Path, *, provenance: Mapping[str, str] | None) -> None:
    """A new TCF: uint16 frames, projections, and the attributes that readers look for."""
    with h5file.library().File(path, "w") as file:
        _describe_file(file, volume)
        groups = {name: file.create_group(f"Data/{name}") for name in ("3D", "2DMIP")}
        written = [
            write_frame(groups["3D"], f"{i:06d}", volume.frame(i), storage=UINT16, measured=volume.frame(i))
            for i in range(volume.frame_count)
        ]
        for i, one in enumerate(written):
            groups["2DMIP"].create_dataset(f"{i:06d}", data=one.projection, compression="gzip", chunks=True)
        for name, group in groups.items():
            _describe_group(group, volume, "ZYX" if name == "3D" else "YX", written)
        put_provenance(file, volume.source, provenance)


def _describe_file(file: Any, volume: Volume) -> None:
    texts = {"FormatVersion": "1.3", "CreateDate": now(), "RecordingTime": now(), "Title": volume.name}
    for name, value in (texts | {"SoftwareVersion": f"meeum {__version__}"}).items():
        put_text(file, name, value)
    device = file.create_group("Info/Device")
    if volume.medium_index is not None:
        put_number(device, "RI", volume.medium_index)


def _describe_group(group: Any, volume: Volume, axes: str, written: list[Written]) -> None:
    sizes = dict(zip("ZYX", volume.spatial_shape, strict=True))
    steps = dict(zip("ZYX", volume.voxel_size_um or (), strict=False))
    for axis in axes:
        group.attrs[f"Size{axis}"] = np.array([sizes[axis]])
        if axis in steps:
            put_number(group, f"Resolution{axis}", steps[axis])
    group.attrs["DataCount"] = np.array([len(written)])
    interval = volume.frame_interval_s or 0.0
    if interval:
        put_number(group, "TimeInterval", interval)
    put_range(group, min(one.lowest for one in written), max(one.highest for one in written))
    for name, number, one in _numbered(group, written):
        put_number(group[name], "Time", number * interval)
        put_range(group[name], one.lowest, one.highest)


def _numbered(group: Any, written: list[Written]) -> Iterator[tuple[str, int, Written]]:
    yield from ((name, number, one) for number, (name, one) in enumerate(zip(sorted(group), written, strict=True)))
