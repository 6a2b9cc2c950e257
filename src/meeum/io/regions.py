"""Basic indexing worked out as one range of indices per axis, so that a reader touches only what is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from meeum.volume import Array

Ranges = tuple[range, ...]


def select(region: Any, shape: tuple[int, ...], read: Callable[[Ranges], Array]) -> Any:
    """The values of a region in numpy's basic indexing; `read` is asked for ascending ranges only."""
    wanted, dropped = ranges(region, shape)
    flips = tuple(slice(None, None, -1 if axis.step < 0 else 1) for axis in wanted)
    values = read(tuple(axis[::-1] if axis.step < 0 else axis for axis in wanted))
    return np.squeeze(values[flips], axis=dropped)[()]


def ranges(region: Any, shape: tuple[int, ...]) -> tuple[Ranges, tuple[int, ...]]:
    """One range of indices per axis, and the axes that single integers drop."""
    parts = list(region) if isinstance(region, tuple) else [region]
    missing = [slice(None)] * (len(shape) - sum(part is not Ellipsis for part in parts))
    cut = next((i for i, part in enumerate(parts) if part is Ellipsis), len(parts))
    parts = [*parts[:cut], *missing, *parts[cut + 1 :]]
    if len(parts) != len(shape):
        raise IndexError(f"{len(parts)} indices given for an array of shape {shape}")
    dropped = tuple(axis for axis, part in enumerate(parts) if not isinstance(part, slice))
    return tuple(_axis_range(part, size) for part, size in zip(parts, shape, strict=True)), dropped


def _axis_range(part: Any, size: int) -> range:
    chosen = range(size)[part]
    return chosen if isinstance(chosen, range) else range(chosen, chosen + 1)


def slices(wanted: Ranges) -> tuple[slice, ...]:
    """Ascending ranges as slices."""
    return tuple(slice(axis.start, axis.stop, axis.step) for axis in wanted)


def overlap(
    wanted: Ranges, start: tuple[int, ...], stop: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[slice, ...]] | None:
    """Where the block [start, stop) lands in the result, and which part of the block that is; None if nowhere."""
    pairs = [_axis_overlap(*axis) for axis in zip(wanted, start, stop, strict=True)]
    if any(there.start >= there.stop for there, _ in pairs):
        return None
    return tuple(there for there, _ in pairs), tuple(here for _, here in pairs)


def _axis_overlap(wanted: range, start: int, stop: int) -> tuple[slice, slice]:
    first = max(0, -((wanted.start - start) // wanted.step))
    last = min(len(wanted), max(first, -((wanted.start - stop) // wanted.step)))
    inside = wanted[first:last]
    return slice(first, last), slice(inside.start - start, inside.stop - start, inside.step)
