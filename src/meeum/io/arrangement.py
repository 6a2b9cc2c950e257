"""A stored array seen with meeum's axes: one channel picked, the others in the order T Z Y X."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from meeum.errors import MeeumError, UsageError
from meeum.io.regions import Ranges, select, slices
from meeum.volume import Array, LazyArray

CHANNELS = "CS"  # channels, and the samples of a colour pixel


@dataclass(frozen=True)
class Arranged:
    """`stored` with its axes in another order (`order`: stored axis of each seen one), the rest fixed at one index."""

    stored: LazyArray
    order: tuple[int, ...]
    fixed: tuple[tuple[int, int], ...] = ()  # (stored axis, index)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.stored.shape[axis] for axis in self.order)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.stored.dtype

    def __getitem__(self, region: Any, /) -> Any:
        return select(region, self.shape, self._read)

    def _read(self, wanted: Ranges) -> Array:
        places: dict[int, slice | int] = dict(zip(self.order, slices(wanted), strict=True)) | dict(self.fixed)
        values = np.asarray(self.stored[tuple(places[axis] for axis in range(len(places)))])
        kept = sorted(self.order)
        return values.transpose([kept.index(axis) for axis in self.order])


def arrange(
    stored: LazyArray, axes: str | None, *, where: str, channel: int | None = None
) -> tuple[LazyArray, str, tuple[str, ...]]:
    """The array as (T)(Z)YX, its axes, and warnings; `axes` None: the usual meaning of 2, 3 or 4 dimensions."""
    _check_numbers(stored, where)
    letters, warnings = _letters(axes or plain_axes(stored.shape, where), stored.shape, where)
    picked = _channel_axis(letters, stored.shape, where=where, channel=channel)
    fixed = {axis: 0 for axis, letter in enumerate(letters) if letter not in "TZYX"} | picked
    fixed |= {axis: 0 for axis, letter in enumerate(letters) if letter == "T" and stored.shape[axis] == 1}
    seen = "".join(letter for letter in "TZYX" if letter in letters and letters.index(letter) not in fixed)
    if not seen.endswith("YX"):
        raise MeeumError(f"{where}: axes {letters!r} given; an image needs Y and X")
    order = tuple(letters.index(letter) for letter in seen)
    if not fixed and order == tuple(range(len(order))):
        return stored, seen, warnings
    return Arranged(stored, order, tuple(sorted(fixed.items()))), seen, warnings


def plain_axes(shape: tuple[int, ...], where: str) -> str:
    """The axes of an array that states none: YX, ZYX or TZYX; with S last when it looks like a colour picture."""
    if len(shape) in (3, 4, 5) and shape[-1] in (3, 4) and min(shape[-3:-1]) > 4:
        return {3: "YXS", 4: "ZYXS", 5: "TZYXS"}[len(shape)]
    if len(shape) not in (2, 3, 4):
        raise MeeumError(
            f"{where}: an array of {len(shape)} dimension(s), shape {shape}, was given without axes; meeum takes "
            "2 (Y, X), 3 (Z, Y, X) or 4 (T, Z, Y, X); write more into a file that names its axes (HDF5 attribute "
            "`axes`, or OME-TIFF) and pick the channel with channel=0 (--channel 0)"
        )
    return "TZYX"[-len(shape) :]


def _check_numbers(stored: LazyArray, where: str) -> None:
    if stored.dtype.kind not in "uif":
        words = {"c": "complex numbers; give their modulus or phase", "V": "a table of named fields; give one field"}
        what = words.get(stored.dtype.kind, "no grey values; meeum takes integers and floats")
        raise MeeumError(f"{where}: the values are {stored.dtype}: {what}")
    if 0 in stored.shape:
        raise MeeumError(f"{where}: the array is empty, its shape is {stored.shape}")


def _letters(axes: str, shape: tuple[int, ...], where: str) -> tuple[str, tuple[str, ...]]:
    """Axes with letters meeum does not know read as Z, then T, when they are longer than 1."""
    if len(axes) != len(shape):
        raise MeeumError(f"{where}: {len(axes)} axes ({axes!r}) are stated for an array of shape {shape}")
    letters, warnings = list(axes.upper()), []
    for place in reversed(range(len(letters))):
        if letters[place] in "TZYX" + CHANNELS or shape[place] == 1:
            continue
        free = next((letter for letter in "ZT" if letter not in letters), None)
        if free is None:
            raise MeeumError(f"{where}: axes {axes!r}, shape {shape}: meeum takes T, Z, Y, X and one channel axis")
        warnings.append(f"axis {letters[place]!r} of length {shape[place]} is taken as {free}")
        letters[place] = free
    if any(letters.count(letter) > 1 for letter in "TZYX"):
        raise MeeumError(f"{where}: axes {axes!r} name one axis twice")
    return "".join(letters), tuple(warnings)


def _channel_axis(letters: str, shape: tuple[int, ...], *, where: str, channel: int | None) -> dict[int, int]:
    """{axis: index} of the chosen channel; empty when there is but one."""
    long = [axis for axis, letter in enumerate(letters) if letter in CHANNELS and shape[axis] > 1]
    count = shape[long[0]] if long else 1
    if len(long) > 1:
        raise MeeumError(f"{where}: axes {letters!r}, shape {shape}: both channels and colours; save one channel apart")
    if channel is None and long:
        what = "a colour (RGB) picture" if letters[long[0]] == "S" else "an image"
        raise UsageError(
            f"{where}: {what} of {count} channels was given (axes {letters!r}, shape {shape}); "
            f"pick one with channel=0 ... {count - 1} (--channel)"
        )
    if channel is not None and not 0 <= channel < count:
        raise UsageError(f"{where}: channel={channel} was asked for; there are {count}: give 0 ... {count - 1}")
    return {long[0]: channel} if long and channel is not None else {}
