"""Planes of an image, as coarse as is wanted, read by region: no more than a few million voxels in memory at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from meeum.errors import UsageError
from meeum.io.ome_zarr.pyramid import block_means
from meeum.volume import Volume

LETTERS = "TZYX"
SIDES = {"z": "YX", "max": "YX", "y": "ZX", "x": "ZY"}  # rows and columns of a plane across each axis
MOST_PIXELS = 4096  # a side
AT_ONCE = 2**21  # voxels
BAND = 128  # rows read together at least: chunks of common files are no larger, so none is read twice
SLAB = 16  # planes that a maximum reads together at least, for the same reason

Ends = tuple[int, int]
Images = Mapping[str, Sequence[Volume]]  # noisy, and denoised if there is one: each its levels, finest first


@dataclass(frozen=True)
class Asked:
    """One plane: across which axis, at which index and time, which part of it, and how many pixels a side at most."""

    image: str
    axis: str  # a key of SIDES
    index: int = 0
    t: int = 0
    most: int = 2048
    rows: Ends | None = None
    columns: Ends | None = None


@dataclass(frozen=True)
class Plane:
    """Values (rows, columns), nan where nothing was measured; each is the mean of `step` voxels a side."""

    values: NDArray[np.float32]
    step: int


def plane(levels: Sequence[Volume], asked: Asked, lock: Lock) -> Plane:
    """The plane, from the coarsest level that loses nothing of what is asked for; `lock` is held while reading."""
    shape = dimensions(levels[0])
    rows, columns = _ends(asked, shape)
    step = _step(max(rows[1] - rows[0], columns[1] - columns[0]), min(asked.most, MOST_PIXELS))
    level, ratio = _suitable(levels, asked, step, corner=(rows[0], columns[0]))
    bands = [
        block_means(values, ~np.isnan(values), (step // ratio,) * 2, missing=np.nan) if step > ratio else values
        for values in _bands(level, asked, (_shrunk(rows, ratio), _shrunk(columns, ratio)), step // ratio, lock)
    ]
    return Plane(np.concatenate(bands), step)


def dimensions(volume: Volume) -> dict[str, int]:
    """Length of T, Z, Y and X; 1 where an axis is missing."""
    return dict.fromkeys(LETTERS, 1) | dict(zip(volume.axes, volume.shape, strict=True))


def _ends(asked: Asked, shape: Mapping[str, int]) -> tuple[Ends, Ends]:
    """Rows and columns asked for; refused if they, the index or the time lie outside."""
    sides = SIDES[asked.axis]
    places = {"t": (asked.t, shape["T"])}
    if asked.axis != "max":
        places["index"] = (asked.index, shape[asked.axis.upper()])
    for name, (index, count) in places.items():
        if not 0 <= index < count:
            raise UsageError(f"{name}={index}: there are {count}, from 0 to {count - 1}")
    found = []
    for name, given, letter in (("rows", asked.rows, sides[0]), ("columns", asked.columns, sides[1])):
        first, stop = given or (0, shape[letter])
        if not 0 <= first < stop <= shape[letter]:
            raise UsageError(f"{name}={first}:{stop}: expected a part of 0:{shape[letter]}")
        found.append((first, stop))
    return found[0], found[1]


def _step(longest: int, most: int) -> int:
    """The least power of two by which the longest side fits."""
    step = 1
    while -(-longest // step) > most:
        step *= 2
    return step


def _suitable(levels: Sequence[Volume], asked: Asked, step: int, *, corner: Ends) -> tuple[Volume, int]:
    """The coarsest level whose voxels average `ratio` voxels along rows and columns and none along other axes."""
    finest = dimensions(levels[0])
    sides = SIDES[asked.axis]
    best = levels[0], 1
    for level in levels[1:] if asked.axis != "max" else []:
        lengths = dimensions(level)
        ratio = round(finest[sides[1]] / lengths[sides[1]])
        even = ratio > 0 and step % ratio == 0 and all(first % ratio == 0 for first in corner)
        exact = all(lengths[letter] == -(-n // (ratio if letter in sides else 1)) for letter, n in finest.items())
        if even and exact and ratio > best[1]:
            best = level, ratio
    return best


def _shrunk(ends: Ends, ratio: int) -> Ends:
    return ends[0] // ratio, -(-ends[1] // ratio)


def _bands(
    level: Volume, asked: Asked, part: tuple[Ends, Ends], step: int, lock: Lock
) -> Iterator[NDArray[np.float32]]:
    """The part of the plane in bands of rows, each a multiple of `step` high but the last."""
    (top, bottom), (left, right) = part
    unit = max(BAND, step)
    height = unit if asked.axis == "max" else max(unit, AT_ONCE // (right - left) // unit * unit)
    for first in range(top, bottom, height):
        rows = slice(first, min(first + height, bottom))
        if asked.axis == "max":
            yield _highest(level, asked, rows, slice(left, right), lock)
        else:
            yield _values(level, asked, rows, slice(left, right), slice(asked.index, asked.index + 1), lock)


def _highest(level: Volume, asked: Asked, rows: slice, columns: slice, lock: Lock) -> NDArray[np.float32]:
    """Maximum along z, some planes at a time; nan where no plane has data."""
    count = dimensions(level)["Z"]
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    thick = max(SLAB, AT_ONCE // area // SLAB * SLAB)
    highest = np.full((rows.stop - rows.start, columns.stop - columns.start), np.nan, np.float32)
    for first in range(0, count, thick):
        part = _values(level, asked, rows, columns, slice(first, min(first + thick, count)), lock)
        highest = np.fmax(highest, np.fmax.reduce(part.reshape(-1, *highest.shape), axis=0))
    return highest


def _values(level: Volume, asked: Asked, rows: slice, columns: slice, across: slice, lock: Lock) -> NDArray[np.float32]:
    """(rows, columns), or (across, rows, columns) in a maximum; nan where nothing was measured."""
    sides = SIDES[asked.axis]
    places = {sides[0]: rows, sides[1]: columns, "T": slice(asked.t, asked.t + 1)}
    places["Z" if asked.axis == "max" else asked.axis.upper()] = across
    with lock:
        values = level.read(tuple(places[letter] for letter in level.axes))
    values[~level.valid(values) | ~np.isfinite(values)] = np.nan
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    return values.reshape((-1, *shape) if asked.axis == "max" else shape)
