"""`Pair`: what every measure of the audit looks at, from a noisy image and its denoised version."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from meeum.auditing.regions import MARGIN, otsu_threshold
from meeum.auditing.sampling import Block, Floats, Mask, low_pass, read_blocks, voxel_ratios
from meeum.errors import MeeumError
from meeum.noise import Noise, measure
from meeum.volume import Region, Volume

Array = NDArray[Any]
Denoiser = Callable[[Array], Array]  # (Y, X) or (Z, Y, X) in data units to the same shape

MOST_VOXELS = 12 * 2**20  # looked at
BOXES = 4  # cut from an image that is larger
MOST_PIECES = 8
LOW_PASS = 3.0  # sigma, in units of the shortest voxel edge, at which cells are told from background


@dataclass(frozen=True)
class Piece:
    """One box of one frame, (Y, X) or (Z, Y, X); all arrays have its shape.

    noisy, denoised    values less `Pair.offset`; 0 where not valid
    valid              measured in both images
    level              standard deviation of the noise, data units
    cells, background  told apart in the low-passed noisy image; neither near the cells' outline
    """

    frame: int
    region: Region  # within the frame
    noisy: Floats
    denoised: Floats
    valid: Mask
    level: Floats
    cells: Mask
    background: Mask

    @property
    def residual(self) -> Floats:
        """Noisy minus denoised."""
        return self.noisy - self.denoised

    def place(self, inside: tuple[float, ...]) -> tuple[float, ...]:
        """Where a voxel of the piece lies in its frame."""
        return tuple(part.start + at for part, at in zip(self.region, inside, strict=True))


@dataclass(frozen=True)
class Pair:
    """A noisy image, its denoised version, the noise measured in it, and pieces of both that are looked at.

    ratios   voxel edge per spatial axis over the shortest
    denoise  the denoiser itself where there is one: values in data units to values in data units
    """

    noisy: Volume
    denoised: Volume
    noise: Noise
    pieces: tuple[Piece, ...]
    coverage: float  # share of the voxels looked at
    sampling: str
    offset: float
    ratios: tuple[float, ...]
    denoise: Denoiser | None
    seed: int

    def rng(self, number: int = 0) -> np.random.Generator:
        """The same draws whenever a measure is asked again."""
        return np.random.default_rng([self.seed, number])

    @property
    def voxels(self) -> int:
        return sum(int(np.count_nonzero(piece.valid)) for piece in self.pieces)


def lopsided(pair: Pair) -> str:
    """Why noisy and denoised values cannot be compared, where the noise has no mean of zero; empty where they can."""
    if not pair.noise.is_lopsided:
        return ""
    return (
        "most of the noise is that of few voxels far off (salt and pepper, hot pixels), which pull means and "
        "contrast of the noisy image by an unknown amount"
    )


def gather(
    noisy: Volume,
    denoised: Volume,
    *,
    noise: Noise | None = None,
    denoise: Denoiser | None = None,
    seed: int = 0,
    limit: int = MOST_VOXELS,
) -> Pair:
    """Read at most about `limit` voxels of both images; the noise is measured unless it is given.

    MeeumError if the shapes differ, or no voxel was measured in both images.
    """
    places, words = _plan(noisy, limit)
    regions = [(slice(t, t + 1), *box) if noisy.axes.startswith("T") else box for t, box in places]
    blocks, offset = read_blocks(noisy, denoised, regions=regions)
    if not any(block.valid.any() for block in blocks):
        raise MeeumError(f"{denoised.name}: no voxel looked at was measured both here and in {noisy.name}")
    known, ratios = noise or measure(noisy), voxel_ratios(noisy)
    parts = _parts(blocks, ratios)
    pieces = []
    for (frame, box), block, (cells, background) in zip(places, blocks, parts, strict=True):
        level = known.levels(block.noisy + offset, box, noisy.spatial_shape).astype(np.float32)
        level = np.broadcast_to(level, block.valid.shape)
        pieces.append(Piece(frame, box, block.noisy, block.denoised, block.valid, level, cells, background))
    share = sum(block.valid.size for block in blocks) / math.prod(noisy.shape)
    return Pair(noisy, denoised, known, tuple(pieces), share, words, offset, ratios, denoise, seed)


def _parts(blocks: list[Block], ratios: tuple[float, ...]) -> list[tuple[Mask, Mask]]:
    """Cells and background of each block, by one threshold for all."""
    sigma = [LOW_PASS / ratio for ratio in ratios]
    smooth = [low_pass([block.noisy], block.valid, sigma=sigma)[0] for block in blocks]
    threshold = otsu_threshold(np.concatenate([s[b.valid] for s, b in zip(smooth, blocks, strict=True)]))
    reach = [2 * math.ceil(MARGIN / ratio) + 1 for ratio in ratios]
    found = []
    for block, low in zip(blocks, smooth, strict=True):
        bright = (low > threshold) & block.valid
        found.append((_within(bright, block.valid, reach), _within(~bright & block.valid, block.valid, reach)))
    return found


def _within(part: Mask, valid: Mask, reach: list[int]) -> Mask:
    """The part without what lies near another one; the image's own border is no border of it."""
    wide = ndimage.maximum_filter((~part & valid).astype(np.uint8), reach, mode="constant")
    return np.asarray(part & valid & (wide == 0))


def _plan(volume: Volume, limit: int) -> tuple[list[tuple[int, Region]], str]:
    """Frame and box of each piece, and the same in words: whole frames where one fits, boxes of all sides else."""
    shape = volume.spatial_shape
    if math.prod(shape) <= limit:
        count = max(1, min(volume.frame_count, MOST_PIECES, limit // max(math.prod(shape), 1)))
        frames = [int((i + 0.5) * volume.frame_count / count) for i in range(count)]
        whole = tuple(slice(0, n) for n in shape)
        words = "all voxels" if count == volume.frame_count else f"{count} of {volume.frame_count} frames"
        return [(frame, whole) for frame in frames], words
    sides = _sides(shape, limit // BOXES)
    boxes = []
    for number, corners in enumerate(product((0.2, 0.8), repeat=2)):  # in plane; along z from the bottom to the top
        shares = ((number + 0.5) / BOXES, *corners)[-len(shape) :]
        starts = [round(share * (n - s)) for share, n, s in zip(shares, shape, sides, strict=True)]
        box = tuple(slice(a, a + s) for a, s in zip(starts, sides, strict=True))
        boxes.append((int((0.5 + 0.618034 * number) % 1 * volume.frame_count), box))
    return boxes, f"{BOXES} boxes of {' x '.join(map(str, sides))} voxels"


def _sides(shape: tuple[int, ...], limit: int) -> tuple[int, ...]:
    """Sides as equal as they can be whose product is at most `limit`; a short axis is taken whole."""
    sides, left, axes = [0] * len(shape), limit, sorted(range(len(shape)), key=lambda axis: shape[axis])
    for number, axis in enumerate(axes):
        sides[axis] = max(1, min(shape[axis], int(left ** (1 / (len(axes) - number)))))
        left //= sides[axis]
    return tuple(sides)
