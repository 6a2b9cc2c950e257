"""NumPy's own files (.npy): one array without axes or voxel size, read through a memory map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from meeum.errors import MeeumError, UsageError
from meeum.io.arrangement import arrange
from meeum.io.slabs import as_stored, slabs, storage_dtype
from meeum.volume import Array, Volume


@dataclass(frozen=True)
class NpyArray:
    """The array in a .npy file, mapped anew at each access."""

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __getitem__(self, region: Any, /) -> Any:
        return np.array(_mapped(self.path)[region])


def read(path: Path, *, dataset: str | None = None, channel: int | None = None) -> Volume:
    """A .npy file of 2 (YX), 3 (ZYX) or 4 (TZYX) dimensions."""
    if dataset is not None:
        raise UsageError(f"{path}: dataset={dataset!r} was asked for; a .npy file holds one array without a name")
    mapped = _mapped(path)
    stored = NpyArray(path, mapped.shape, mapped.dtype)
    data, axes, warnings = arrange(stored, None, where=str(path), channel=channel)
    return Volume(data, axes, source=path, stored_dtype=stored.dtype.name, warnings=warnings)


def write(
    volume: Volume, path: Path, *, noisy: Volume | None = None, provenance: Mapping[str, str] | None = None
) -> None:
    """The values alone: integers if the source held integer grey values, else float32."""
    dtype = storage_dtype(volume)
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": volume.shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for _, values in slabs(volume):  # plain writes: a memory map would crash on a full disk
            file.write(as_stored(values, dtype, where=volume.name).tobytes())


def _mapped(path: Path) -> Array:
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        why = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
        raise MeeumError(
            f"{path}: cannot be read as a .npy array of numbers{why}; it may be truncated, no .npy file, or hold "
            "Python objects, which meeum never loads"
        ) from error
    if not isinstance(loaded, np.ndarray):
        loaded.close()
        raise MeeumError(f"{path}: an archive of several arrays (.npz) under the name .npy; save one with numpy.save")
    return loaded
