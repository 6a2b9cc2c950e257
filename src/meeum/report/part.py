"""Which part of an image a page can hold, and reading it: a box of full resolution around the middle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meeum.volume import Region, Volume

FEWEST_FRAMES = 8  # of a time lapse are kept, before frames are cut
Four = tuple[int, int, int, int]  # t, z, y, x


@dataclass(frozen=True)
class Part:
    """A box in an image of shape (T, Z, Y, X): index i of an axis is `origin + i * step` of the whole."""

    origin: Four
    shape: Four
    step: Four
    whole: Four

    @property
    def sentence(self) -> str:
        """What is left out, for a person; empty if nothing is."""
        if self.shape == self.whole:
            return ""
        parts = []
        if self.shape[1:] != self.whole[1:]:
            first = 2 if self.whole[1] == 1 else 1  # a flat image has no z
            box, whole = (" × ".join(map(str, shape[first:])) for shape in (self.shape, self.whole))
            parts.append(f"the middle {box} of {whole} voxels ({', '.join('tzyx'[first:])})")
        if self.shape[0] != self.whole[0]:
            parts.append(f"{self.shape[0]} of {self.whole[0]} times (every {_ordinal(self.step[0])})")
        return f"This page holds {' and '.join(parts)}, at full resolution; the whole is in the file."

    def described(self) -> dict[str, Any]:
        return {
            "origin": list(self.origin),
            "step": list(self.step),
            "whole": list(self.whole),
            "sentence": self.sentence,
        }


def choose(volume: Volume, most: int | None = None) -> Part:
    """The part of at most `most` voxels: first frames are left out, down to a few, then the box shrinks."""
    whole = four(volume)
    most = math.prod(whole) if most is None else max(1, most)
    frames = min(whole[0], max(FEWEST_FRAMES, most // math.prod(whole[1:])), most)
    step = math.ceil(whole[0] / frames)
    frames = math.ceil(whole[0] / step)
    side = _side(whole[1:], most // frames)
    z, y, x = (min(length, side) for length in whole[1:])
    origin = (0, (whole[1] - z) // 2, (whole[2] - y) // 2, (whole[3] - x) // 2)
    return Part(origin, (frames, z, y, x), (step, 1, 1, 1), whole)


def four(volume: Volume) -> Four:
    """T, Z, Y, X; 1 where an axis is missing."""
    lengths = dict(zip(volume.axes, volume.shape, strict=True))
    t, z, y, x = (lengths.get(letter, 1) for letter in "TZYX")
    return t, z, y, x


def _side(shape: tuple[int, ...], most: int) -> int:
    """The longest side of the largest box of at most `most` voxels in an image of this shape."""
    low, high = 1, max(shape)
    while low < high:
        side = (low + high + 1) // 2
        low, high = (side, high) if math.prod(min(length, side) for length in shape) <= most else (low, side - 1)
    return low


def read(volume: Volume, part: Part) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Values of the part, (T, Z, Y, X), and which of them were measured; only they are read."""
    frames = [volume.read(_region(volume, part, t)) for t in range(part.shape[0])]
    values = np.stack(frames).reshape(part.shape)
    return values, volume.valid(values) & np.isfinite(values)


def _region(volume: Volume, part: Part, frame: int) -> Region:
    start = part.origin[0] + frame * part.step[0]
    spans = [slice(start, start + 1)]
    spans += [slice(first, first + n) for first, n in zip(part.origin[1:], part.shape[1:], strict=True)]
    return tuple(span for letter, span in zip("TZYX", spans, strict=True) if letter in volume.axes)


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10 if number % 100 not in (11, 12, 13) else 0, "th")
    return f"{number}{ending}"
