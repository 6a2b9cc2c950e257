"""The pages of a TIFF as one lazy array: mapped when they lie in one piece, else only the tiles that are touched."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from meeum.errors import MeeumError
from meeum.io.regions import Ranges, overlap, select, slices
from meeum.volume import Array

JPEG = {6, 7, 33007, 34892}  # their tiles share tables kept in the page: decoded page by page


@dataclass(frozen=True)
class MappedSeries:
    """Uncompressed pages in one piece, mapped anew at each access."""

    path: Path
    offset: int
    shape: tuple[int, ...]
    stored: np.dtype[Any]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.stored.newbyteorder("=")

    def __getitem__(self, region: Any, /) -> Any:
        try:
            mapped = np.memmap(self.path, dtype=self.stored, mode="r", offset=self.offset, shape=self.shape)
        except (ValueError, OSError) as error:
            raise MeeumError(f"{self.path}: cannot be read, it may be cut short ({error})") from error
        return np.array(mapped[region], dtype=self.dtype)


@dataclass(frozen=True)
class PagedSeries:
    """Pages of `page_dimensions` axes each, stacked along the axes before them."""

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    page_dimensions: int

    def __getitem__(self, region: Any, /) -> Any:
        return select(region, self.shape, self._read)

    def _read(self, wanted: Ranges) -> Array:
        cut = len(self.shape) - self.page_dimensions
        values = np.zeros([len(axis) for axis in wanted], dtype=self.dtype)
        with opened(self.path) as tif:
            pages = tif.series[0].pages
            for place in np.ndindex(values.shape[:cut]):
                stored = tuple(axis[i] for axis, i in zip(wanted, place, strict=False))
                page = pages[int(np.ravel_multi_index(stored, self.shape[:cut])) if cut else 0]
                if page is not None:  # an OME-TIFF may lack planes
                    values[place] = page_region(page, wanted[cut:])
        return values


def page_region(page: Any, wanted: Ranges) -> Array:
    """A region of one page, from the tiles or strips it touches."""
    keyframe = page.keyframe
    if keyframe.compression in JPEG:
        return np.asarray(page.asarray()[slices(wanted)])
    counts = keyframe.chunked
    size = (1,) * (len(counts) - len(keyframe.chunks)) + tuple(keyframe.chunks)  # planes of colours lack their axis
    values = np.zeros([len(axis) for axis in wanted], dtype=keyframe.dtype)
    touched = [
        range(axis[0] // step, axis[-1] // step + 1) if axis else axis for axis, step in zip(wanted, size, strict=True)
    ]
    for place in product(*touched):
        start = tuple(i * step for i, step in zip(place, size, strict=True))
        stop = tuple(min(a + step, n) for a, step, n in zip(start, size, keyframe.shape, strict=True))
        places = overlap(wanted, start, stop)
        segment = _segment(page, int(np.ravel_multi_index(place, counts))) if places else None
        if places and segment is not None:
            there, here = places
            values[there] = _cropped(segment, keyframe.axes, tuple(np.subtract(stop, start).tolist()))[here]
    return values


def _cropped(segment: Array, axes: str, shape: tuple[int, ...]) -> Array:
    """A decoded segment (depth, length, width, samples) without the padding of tiles at the border, in page axes."""
    sizes = dict(zip(axes, shape, strict=True))
    return segment[tuple(slice(sizes.get(axis, 1)) for axis in "ZYXS")].reshape(shape)


def _segment(page: Any, index: int) -> Array | None:
    """One decoded tile or strip; None for one that was never written."""
    count = page.databytecounts[index]
    if not count:
        return None
    file = page.parent.filehandle
    file.seek(page.dataoffsets[index])
    encoded = file.read(count)
    if len(encoded) < count:
        raise ValueError(f"{count - len(encoded)} bytes are missing at the end of the file")
    decoded = page.keyframe.decode(encoded, index)[0]
    return None if decoded is None else np.asarray(decoded)


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The file, open for reading; what cannot be decoded in the block becomes an error that names the file."""
    tifffile = import_module("tifffile")  # when first needed: the command line starts faster
    try:
        with tifffile.TiffFile(path) as tif:
            yield tif
    except (ValueError, OSError, struct.error, IndexError, zlib.error, tifffile.TiffFileError) as error:
        raise MeeumError(f"{path}: cannot be read as TIFF, it may be damaged or cut short ({error})") from error
