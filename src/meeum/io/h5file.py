"""HDF5 files opened for as long as one access takes, their attributes whatever their form, their datasets lazily."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from meeum.errors import MeeumError
from meeum.io.regions import Ranges, select, slices
from meeum.volume import Array


@dataclass(frozen=True)
class StoredDataset:
    """A dataset as an array that opens the file at each access, so it can be pickled and read in any process."""

    path: Path
    dataset: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __getitem__(self, region: Any, /) -> Any:
        return select(region, self.shape, self._read)

    def _read(self, wanted: Ranges) -> Array:
        with reading(self.path) as file:
            return np.asarray(file[self.dataset][slices(wanted)])


def library() -> Any:
    """h5py, imported when first needed (it takes a third of a second), after the plug-in with more compressions."""
    import_module("hdf5plugin")
    return import_module("h5py")


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The file, open for reading."""
    h5py = library()
    try:
        with path.open("rb"):
            file = h5py.File(path, "r")
    except OSError as error:
        raise MeeumError(_why_not(path, error)) from error
    with file:
        yield file


@contextmanager
def reading(path: Path) -> Iterator[Any]:
    """The file, open for reading; what HDF5 cannot decode in the block becomes an error that names the file."""
    with opened(path) as file:
        try:
            yield file
        except (OSError, RuntimeError) as error:
            raise MeeumError(
                f"{path}: HDF5 could not read part of it, it may be damaged or cut short ({error})"
            ) from error


def _why_not(path: Path, error: OSError) -> str:
    if error.filename is None and not library().is_hdf5(path):
        return f"{path}: not an HDF5 file, or one without its beginning; .TCF, .h5 and .hdf files are HDF5"
    if "truncated" in str(error):
        return f"{path}: the HDF5 file is truncated, part of it is missing ({error}); copy it again from where it came"
    return f"{path}: cannot be opened ({error.strerror or error})"


def is_dataset(node: Any) -> bool:
    return isinstance(node, library().Dataset)


def datasets(group: Any) -> list[Any]:
    """All datasets below a group, by name."""
    found: list[Any] = []
    group.visititems(lambda _, node: found.append(node) if is_dataset(node) else None)
    return sorted(found, key=lambda node: str(node.name))


def find(names: Iterable[str], name: str) -> str | None:
    """The name as the file spells it: exact if there, else whatever its case."""
    spelled = list(names)
    if name in spelled:
        return name
    return next((other for other in spelled if other.casefold() == name.casefold()), None)


def child(group: Any, *names: str) -> Any | None:
    """The node at names[0]/names[1]/..., or None."""
    for name in names:
        spelled = None if group is None or is_dataset(group) else find(group.keys(), name)
        group = None if spelled is None else group.get(spelled)
    return group


def text(node: Any | None, name: str) -> str | None:
    """An attribute as text, be it a string, bytes or a number, in an array or not; None if absent or empty."""
    value = _first(node, name)
    if value is None:
        return None
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)).strip("\0 ") or None


def number(node: Any | None, name: str) -> float | None:
    """An attribute as a finite number; None if absent or no number."""
    try:
        value = float(_first(node, name))
    except (TypeError, ValueError):
        return None
    return value if np.isfinite(value) else None


def _first(node: Any | None, name: str) -> Any:
    spelled = None if node is None else find(node.attrs.keys(), name)
    if spelled is None or node is None:
        return None
    values = np.ravel(node.attrs[spelled])
    return values[0] if values.size else None
