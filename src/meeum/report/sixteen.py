"""Values as 16-bit numbers, value = offset + scale * stored: exact where they lie on a lattice of equal steps."""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 2**16 - 1
SAMPLE = 2**18  # values that are looked at for a lattice before all are
Values = NDArray[np.float32]


@dataclass(frozen=True)
class Lattice:
    """Values at offset + scale * (0, 1, 2, ...)."""

    scale: float
    offset: float

    def codes(self, values: Values) -> NDArray[np.float64]:
        return np.asarray(np.rint((values.astype(np.float64) - self.offset) / self.scale))

    def holds(self, values: Values, largest: int) -> bool:
        """Whether every value comes back as the very same float32."""
        codes = self.codes(values)
        fits = bool(codes.min() >= 0 and codes.max() <= largest)
        return fits and bool(np.array_equal((self.offset + self.scale * codes).astype(np.float32), values))


def pack(values: Values, valid: NDArray[np.bool_]) -> dict[str, Any]:
    """Numbers of 16 bits, raw deflate in base64, and how to get values back; `no_data` is 65535, if any."""
    whole = bool(valid.all())
    largest = LARGEST if whole else LARGEST - 1
    measured = values.ravel() if whole else values[valid]
    lattice, exact = find(measured, largest)
    stored = np.full(values.shape, LARGEST, dtype="<u2")
    stored[valid] = lattice.codes(measured).clip(0, largest)
    return {
        "scale": lattice.scale,
        "offset": lattice.offset,
        "no_data": None if whole else LARGEST,
        "exact": exact,
        "data": base64.b64encode(_deflated(stored.tobytes())).decode("ascii"),
    }


def find(values: Values, largest: int) -> tuple[Lattice, bool]:
    """The lattice of the values and True; without one, equal steps from the lowest to the highest, and False."""
    if values.size == 0:
        return Lattice(1.0, 0.0), True
    low, high = float(values.min()), float(values.max())
    sample = np.unique(values[:: max(1, values.size // SAMPLE)])
    for lattice in _candidates(sample, low):
        near = (high - low) / lattice.scale <= largest + 1
        if near and lattice.holds(sample, largest) and lattice.holds(values, largest):
            return lattice, True
    return Lattice((high - low) / largest, low), False


def _candidates(ascending: Values, low: float) -> Iterator[Lattice]:
    """Integers; the lattice of the sample, its step rounded to ever fewer digits; each from a multiple of the step."""
    yield Lattice(1.0, float(math.floor(low)))
    step = _step(ascending)
    if step is None:
        yield Lattice(1.0, low)
        return
    rounded = [float(f"{step:.{digits}g}") for digits in (2, 3, 4, 5, 6)]
    for scale in dict.fromkeys([*rounded, step]):
        yield Lattice(scale, round(low / scale) * scale)
        yield Lattice(scale, low)


def _step(ascending: Values) -> float | None:
    """The step that most gaps between neighbouring values are multiples of; float32 blurs each gap a little."""
    gaps = np.diff(ascending.astype(np.float64))
    if gaps.size == 0:
        return None
    smallest = float(gaps.min())
    steps = np.rint(gaps / smallest).sum()
    return float((ascending[-1].astype(np.float64) - ascending[0].astype(np.float64)) / steps)


def _deflated(content: bytes) -> bytes:
    packer = zlib.compressobj(level=3, wbits=-15)  # more takes long and gains little on noise
    return packer.compress(content) + packer.flush()
