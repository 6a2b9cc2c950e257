"""Zarr folders: the library, groups and their attributes, and arrays that open the folder at each access."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from meeum.errors import MeeumError
from meeum.io.regions import Ranges, select, slices
from meeum.volume import Array

Attributes = Mapping[str, Any]
REMEDY = "install it with: pip install 'zarr>=3'"
UNREADABLE = (OSError, RuntimeError, ValueError, KeyError, TypeError)  # what zarr and its codecs raise


@dataclass(frozen=True)
class StoredArray:
    """An array of a Zarr folder that opens it at each access, so it can be pickled and read in any process."""

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __getitem__(self, region: Any, /) -> Any:
        return select(region, self.shape, self._read)

    def _read(self, wanted: Ranges) -> Array:
        with reading(self.path):
            return np.asarray(library(self.path).open_array(self.path, path=self.name, mode="r")[slices(wanted)])


def library(path: Path) -> Any:
    """zarr, imported when first needed; it is an extra."""
    try:
        zarr = import_module("zarr")
    except ImportError:
        raise MeeumError(f"{path}: OME-Zarr needs the library zarr; {REMEDY}") from None
    if int(zarr.__version__.partition(".")[0]) < 3:
        raise MeeumError(f"{path}: OME-Zarr needs zarr 3 or later, and {zarr.__version__} is installed; {REMEDY}")
    return zarr


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What zarr cannot read or decode in the block becomes an error that names the folder; its hints are not shown."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except UNREADABLE as error:
            why = " ".join(str(error).split())[:200] or type(error).__name__
            raise MeeumError(
                f"{path}: Zarr could not read part of it, it may be damaged or cut short ({why})"
            ) from error


def is_store(path: Path) -> bool:
    """Whether a folder is a Zarr group or array."""
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray"))


def attributes(path: Path, group: str = "") -> Attributes:
    """What a group says of itself; empty if there is no such group."""
    if not is_store(path / group):
        return {}
    with reading(path):
        node = library(path).open(path, path=group, mode="r")
        return dict(node.attrs)


def array(path: Path, name: str) -> StoredArray:
    with reading(path):
        node = library(path).open_array(path, path=name, mode="r")
        return StoredArray(path, name, tuple(node.shape), np.dtype(node.dtype))


def members(path: Path) -> list[str]:
    """Names of the groups and arrays in a folder, in the order of their numbers where they have some."""
    found = [child.name for child in path.iterdir() if child.is_dir() and is_store(child)]
    return sorted(found, key=lambda name: (len(name), name) if name.isdecimal() else (1000, name))
