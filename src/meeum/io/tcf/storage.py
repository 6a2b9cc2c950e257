"""How refractive index is put into a TCF: number type, scale, the frame with its projection and stated range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meeum import __version__
from meeum.errors import MeeumError
from meeum.io import h5file
from meeum.io.slabs import chunk_shape, slabs
from meeum.io.tcf.frames import STEPS_PER_INDEX, Frame
from meeum.io.tcf.reader import SCALED_FROM
from meeum.volume import Array, Volume


@dataclass(frozen=True)
class Storage:
    """Number type and stored units per unit of refractive index."""

    dtype: np.dtype[Any]
    steps: float


@dataclass(frozen=True)
class Written:
    """What a frame came out as: maximum projection (Y, X) in stored values, lowest and highest refractive index."""

    projection: Array
    lowest: float
    highest: float


UINT16 = Storage(np.dtype(np.uint16), STEPS_PER_INDEX["B"])


def storage_of(frame: Frame) -> Storage:
    """Floats keep their type and scale; everything else, tiles and uint8 too, becomes plain uint16."""
    if frame.encoding in "AC":
        return Storage(np.result_type(frame.dtype.newbyteorder("="), np.float32), STEPS_PER_INDEX[frame.encoding])
    return UINT16


def write_frame(group: Any, name: str, frame: Volume, *, storage: Storage, measured: Volume) -> Written:
    """A (Z, Y, X) frame, slab by slab, exactly 0 where `frame` or `measured` has no data."""
    dataset = group.create_dataset(
        name,
        shape=frame.shape,
        dtype=storage.dtype,
        chunks=chunk_shape(frame),
        compression="gzip",
        compression_opts=4,
        shuffle=True,
    )
    projection = np.zeros(frame.shape[1:], dtype=storage.dtype)
    lowest, highest = np.inf, -np.inf
    for region, values in slabs(frame):
        there = frame.valid(values) & measured.valid(measured.read(region))
        stored = encode(values, there, storage=storage, where=frame.name)
        dataset[region] = stored
        np.maximum(projection, stored.max(axis=0), out=projection)
        if there.any():
            lowest = min(lowest, float(stored[there].min()) / storage.steps)
            highest = max(highest, float(stored.max()) / storage.steps)
    return Written(projection, lowest if np.isfinite(lowest) else 0.0, max(highest, 0.0))


def encode(values: NDArray[np.float32], there: NDArray[np.bool_], *, storage: Storage, where: str) -> Array:
    """Refractive index in stored units, rounded if they are integers; 0 where nothing was measured."""
    scaled = np.where(there, values, 0).astype(np.float64) * storage.steps
    lowest, highest = 1e-30, 1e30
    if storage.dtype.kind != "f":
        scaled, lowest, highest = np.rint(scaled), 1.0, float(np.iinfo(storage.dtype.name).max)
    if not ((scaled >= lowest) & (scaled <= highest))[there].all():  # nan fails it too
        found = values[there]
        raise MeeumError(
            f"{where}: values from {found.min():.6g} to {found.max():.6g} are no refractive index that "
            f"{storage.dtype} can hold ({lowest / storage.steps:.4g} to {highest / storage.steps:.5g}); write .h5"
        )
    return scaled.astype(storage.dtype)


def put_number(node: Any, name: str, value: float) -> None:
    """Set a number in the form (name's case, type, shape) it has in the file; a new one as a 1-element array."""
    spelled = h5file.find(node.attrs.keys(), name) or name
    shape, dtype = (1,), np.dtype(np.float64)
    if spelled in node.attrs:
        old = node.attrs.get_id(spelled)
        if old.dtype.kind == "f" and old.shape is not None:
            shape, dtype = old.shape, old.dtype
    node.attrs.create(spelled, np.full(shape, value), dtype=dtype)


def put_text(node: Any, name: str, value: str) -> None:
    """Set a text as the instruments do: a byte string in a 1-element array."""
    node.attrs.create(name, np.array([value.encode() or b" "]))


def put_range(node: Any, lowest: float, highest: float) -> None:
    """RIMin and RIMax, in the units in which they were stated."""
    stated = h5file.number(node, "RIMax")
    scale = STEPS_PER_INDEX["C"] if stated is not None and stated > SCALED_FROM else 1.0
    put_number(node, "RIMin", lowest * scale)
    put_number(node, "RIMax", highest * scale)


def put_provenance(file: Any, source: Path | None, provenance: Mapping[str, str] | None) -> None:
    """Say in Info/Processing, or Info/Processing_2 ... if taken, what made these values."""
    info = h5file.child(file, "Info")
    info = file.create_group("Info") if info is None else info
    names = ["Processing", *(f"Processing_{n}" for n in range(2, len(info) + 3))]
    group = info.create_group(next(name for name in names if h5file.find(info.keys(), name) is None))
    stated = {
        "Software": "meeum",
        "SoftwareVersion": __version__,
        "Date": now(),
        "SourceFile": source.name if source is not None else "none",
    }
    for name, value in (stated | dict(provenance or {})).items():
        put_text(group, name, value)


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
