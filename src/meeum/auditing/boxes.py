"""The box of an image at which a denoiser is asked: small enough to be quick, and where there is most to see."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from meeum.auditing.pair import Pair, Piece
from meeum.volume import Region

ENOUGH = 0.5  # share of cells beyond which more of them tell nothing more


def busiest(pair: Pair, limit: int) -> tuple[Piece, Region] | None:
    """The piece, and the region within it of at most `limit` voxels, with most that was measured, then most cells."""
    best, found = (0.0, 0.0), None
    for piece in pair.pieces:
        for region in _candidates(piece.valid.shape, limit):
            valid, cells = (float(part[region].mean(dtype=np.float64)) for part in (piece.valid, piece.cells))
            score = (round(valid, 2), min(cells, ENOUGH))
            if valid > 0 and (found is None or score > best):
                best, found = score, (piece, region)
    return found


def _candidates(shape: tuple[int, ...], limit: int) -> Iterator[Region]:
    """Boxes that overlap by half, the middle ones first."""
    sides = _sides(shape, limit)
    starts = []
    for n, side in zip(shape, sides, strict=True):
        steps = 2 * (n // side) - 1 if n > side else 1
        starts.append(np.unique(np.linspace(0, n - side, max(steps, 1 + (n > side))).round().astype(int)).tolist())
        starts[-1].sort(key=lambda start, n=n, side=side: abs(start - (n - side) / 2))
    for corner in product(*starts):
        yield tuple(slice(a, a + side) for a, side in zip(corner, sides, strict=True))


def _sides(shape: tuple[int, ...], limit: int) -> tuple[int, ...]:
    """Sides as equal as they can be; a short axis is taken whole."""
    sides, left = [0] * len(shape), float(limit)
    for number, axis in enumerate(sorted(range(len(shape)), key=lambda axis: shape[axis])):
        sides[axis] = max(1, min(shape[axis], int(left ** (1 / (len(shape) - number)) + 1e-6)))
        left /= sides[axis]
    return tuple(sides)
