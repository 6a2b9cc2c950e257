"""Images of single time points seen as one film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from meeum.errors import UsageError
from meeum.io import hdf5
from meeum.io.regions import Ranges, select, slices
from meeum.volume import Array, Volume


@dataclass(frozen=True)
class _Film:
    frames: tuple[Volume, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.frames), *self.frames[0].shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float32)

    def __getitem__(self, region: Any, /) -> Any:
        return select(region, self.shape, self._read)

    def _read(self, wanted: Ranges) -> Array:
        return np.stack([self.frames[index].read(slices(wanted[1:])) for index in wanted[0]])


def film(frames: Sequence[Volume]) -> Volume:
    """Images of the same shape, one per time point, as one lazy volume; a single one as it is."""
    first = frames[0]
    if len(frames) == 1:
        return first
    for other in frames:
        if (other.axes, other.shape) != (first.axes, first.shape) or "T" in other.axes:
            raise UsageError(f"{other.name}: {other.axes} {other.shape} is no frame beside {first.axes} {first.shape}")
    return replace(first, data=_Film(tuple(frames)), axes=f"T{first.axes}")


def read_frames(folder: str | Path, *, dataset: str) -> Volume:
    """What `write_frames` wrote, 0.hdf, 1.hdf, ..., as one volume: `input`, `output` or `removed`."""
    found = {int(path.stem): path for path in Path(folder).glob("*.hdf") if path.stem.isdecimal()}
    if not found:
        raise UsageError(f"{folder}: holds no 0.hdf")
    return film([hdf5.read(found[index], dataset=dataset) for index in sorted(found)])
