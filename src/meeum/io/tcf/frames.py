"""The 3D frames of a TCF as one lazy array of refractive index, whatever their encoding."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meeum.io import h5file
from meeum.io.regions import Ranges, overlap, select
from meeum.volume import Array

ENCODINGS = {
    "A": "A: float, refractive index as it is",
    "B": "B: uint16, refractive index = value * 1e-4",
    "C": "C: float, refractive index = value * 1e-4",
    "D": "D: tiles of uint16, refractive index = value * 1e-4",
    "E": "E: tiles of uint8, refractive index = value * 1e-3 + RIMin",
}
STEPS_PER_INDEX = {"A": 1.0, "B": 1e4, "C": 1e4, "D": 1e4, "E": 1e3}  # stored units per unit of refractive index


@dataclass(frozen=True)
class Tile:
    """A dataset and the voxels [start, stop) of the frame that it fills, (Z, Y, X); the rest of it is padding."""

    dataset: str
    start: tuple[int, int, int]
    stop: tuple[int, int, int]


@dataclass(frozen=True)
class Frame:
    """One time point: its name under Data/3D, its encoding and its tiles (a plain dataset is one tile)."""

    name: str
    shape: tuple[int, int, int]
    encoding: str
    tiles: tuple[Tile, ...]
    dtype: np.dtype[Any]
    lowest: float = 0.0  # the refractive index of a stored 0: RIMin in encoding E


@dataclass(frozen=True)
class TcfArray:
    """(T)ZYX of refractive index, float32; 0 where no tile has data; opens the file at each access."""

    path: Path
    frames: tuple[Frame, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        one = self.frames[0].shape
        return one if len(self.frames) == 1 else (len(self.frames), *one)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float32)

    def __getitem__(self, region: Any, /) -> Any:
        return select(region, self.shape, self._read)

    def _read(self, wanted: Ranges) -> Array:
        times, box = (wanted[0], wanted[1:]) if len(wanted) == 4 else (range(1), wanted)
        values = np.zeros((len(times), *map(len, box)), dtype=np.float32)
        with h5file.reading(self.path) as file:
            for place, time in enumerate(times):
                fill(values[place], file, self.frames[time], box)
        return values.reshape([len(axis) for axis in wanted])


def fill(values: NDArray[np.float32], file: Any, frame: Frame, box: Ranges) -> None:
    """Assign the refractive index of a box; overlapping tiles state the same voxels, so they are never added."""
    for tile in frame.tiles:
        places = overlap(box, tile.start, tile.stop)
        if places is not None:
            there, here = places
            values[there] = decode(np.asarray(file[tile.dataset][here]), frame)


def decode(stored: Array, frame: Frame) -> NDArray[np.float32]:
    """Refractive index of stored values, float32, correctly rounded; a stored 0 in B, C and D stays 0: no data."""
    steps = np.float32(STEPS_PER_INDEX[frame.encoding])
    index = np.divide(stored, steps, dtype=np.float32, casting="same_kind")
    return np.add(index, np.float32(frame.lowest), dtype=np.float32) if frame.lowest else index
