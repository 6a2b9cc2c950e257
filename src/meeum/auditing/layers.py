"""Structure of several sizes in output and residual, and how far the one is borne out by the other.

With X and Y one size of structure of output and input, R = Y - X, and w a window around a place, the support slope
is beta = sum_w X Y / sum_w X^2: about 1 faithful, 0 to 1 over-amplified, about 0 invented, below 0 inverted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from meeum.auditing.sampling import Floats, Mask

Array = NDArray[Any]
Ints = tuple[int, ...]

COARSENESS = (1, 2, 4)  # block sizes, in units of the shortest voxel edge
OUTER = 9.0  # width of the box whose mean is subtracted, in units of the shortest edge of a block
WIDE = 21.0  # of the box over which the noise around a place is averaged
HIGHEST = 6.0  # times its median, that what is left unexplained counts at most: more is damage, not noise
RIM = 0.75  # share of the outer box that is measured, below which a place belongs to the rim
BALL = 4.0  # radius, in units of the shortest voxel edge, of the structure that contrasts are told in


@dataclass(frozen=True)
class Boxes:
    """Widths, in units of the shortest edge of a block, of what smooths twice, and of what gathers products."""

    inner: float
    window: float


FINE = Boxes(1.0, 5.0)  # for small places in which the contrast stands far above the noise
SMOOTH = Boxes(3.0, 5.0)  # for faint structure, and against noise left in the output


@dataclass(frozen=True)
class Grid:
    """One size of structure: voxels averaged in blocks, and the boxes that pass and gather structure of that size.

    blocks  voxels per block, per axis
    inner, outer, window, wide  odd widths per axis, in blocks, of boxes: to smooth, to take the mean around,
                                to gather products, and to gather noise
    """

    blocks: Ints
    inner: Ints
    outer: Ints
    window: Ints
    wide: Ints

    def sampled(self, image: Array) -> Array:
        """The first voxel of each block."""
        return image[tuple(slice(None, None, size) for size in self.blocks)]


@dataclass(frozen=True)
class Layer:
    """Structure of one size in one box of an image, in noise standard deviations; arrays on the grid's blocks.

    output, residual  X and R
    energy, product, power   mean over the window of X^2, of X R and of R^2
    rest              of R^2, less what a slope below 1 explains, over a wide window; noise left in X stays in it
    rim               the border, or voxels without data, are so near that noise is stronger there
    """

    grid: Grid
    valid: Mask
    output: Floats
    residual: Floats
    energy: Floats
    product: Floats
    power: Floats
    rest: Floats
    rim: Mask

    @property
    def amplitude(self) -> Floats:
        return np.sqrt(self.energy)

    @property
    def projection(self) -> Floats:
        """Of R on X, sum_w X R / |X|_w: noise alone if the output is the truth; 0 where the output is flat."""
        return np.divide(self.product, self.amplitude, out=np.zeros_like(self.energy), where=self.energy > 0)

    @property
    def slope(self) -> Floats:
        """The support slope; 1 where the output is flat."""
        return 1 + np.divide(self.product, self.energy, out=np.zeros_like(self.energy), where=self.energy > 0)

    @property
    def unexplained(self) -> Floats:
        """Of R^2 in the window, what X does not explain."""
        explained = np.divide(self.product**2, self.energy, out=np.zeros_like(self.energy), where=self.energy > 1e-12)
        return self.power - explained


def layers(output: Floats, residual: Floats, valid: Mask, ratios: Sequence[float], *, boxes: Boxes) -> Iterator[Layer]:
    """One layer per size; images in noise standard deviations, 0 where not valid."""
    for grid, known, (x, r) in bands([output, residual], valid, ratios, boxes=boxes):
        energy, product, power = (box_mean(image, grid.window) for image in (x * x, x * r, r * r))
        energy = np.maximum(energy, np.float32(0))
        explained = np.divide(product**2, energy, out=np.zeros_like(energy), where=(energy > 1e-12) & (product < 0))
        weight = np.maximum(box_mean(known, grid.wide), np.float32(1e-3))
        left = np.maximum(power - explained, np.float32(0)) * known
        rest = box_mean(np.minimum(left, HIGHEST * median(left, known)), grid.wide)
        yield Layer(
            grid, known, x, r, energy, product, power, np.asarray(rest / weight, dtype=np.float32), _rim(known, grid)
        )


def median(values: Floats, valid: Mask) -> np.float32:
    """Of the valid ones, 0 if there is none."""
    return np.float32(np.median(values[valid])) if valid.any() else np.float32(0)


def grids(ratios: Sequence[float], boxes: Boxes) -> list[Grid]:
    """One grid per coarseness; longer voxel edges take fewer voxels."""
    found = []
    for size in COARSENESS:
        blocks = tuple(max(1, round(size / ratio)) for ratio in ratios)
        edges = [count * ratio / size for count, ratio in zip(blocks, ratios, strict=True)]
        found.append(
            Grid(
                blocks,
                *(tuple(_odd(width / edge) for edge in edges) for width in (boxes.inner, OUTER, boxes.window, WIDE)),
            )
        )
    return found


def _odd(width: float) -> int:
    return max(1, 2 * round((width - 1) / 2) + 1)


def bands(
    images: Sequence[Floats], valid: Mask, ratios: Sequence[float], *, boxes: Boxes
) -> Iterator[tuple[Grid, Mask, list[Floats]]]:
    """The structure of each size in each image, and which blocks hold data; linear in images, 0 where not valid."""
    for grid in grids(ratios, boxes):
        parts = [_coarse(image, valid, grid.blocks) for image in images]
        yield grid, parts[0][1], _banded([part for part, _ in parts], parts[0][1], grid)


def _banded(images: Sequence[Floats], valid: Mask, grid: Grid) -> list[Floats]:
    """Less the mean of the valid blocks around, then smoothed; beyond the border and where not valid, the mean."""
    weight, found = box_mean(valid, grid.outer), []
    for image in images:
        around = np.divide(box_mean(image, grid.outer), weight, out=np.zeros_like(image), where=weight > 1e-3)
        found.append(box_mean(box_mean((image - around) * valid, grid.inner), grid.inner))
    return found


def _rim(valid: Mask, grid: Grid) -> Mask:
    return np.asarray(box_mean(valid, grid.outer) < RIM)


def box_mean(image: Array, widths: Ints) -> Floats:
    """Mean over a box around each voxel, 0 beyond the border."""
    if max(widths) == 1:
        return image.astype(np.float32, copy=False)
    mean: Floats = ndimage.uniform_filter(image.astype(np.float32, copy=False), widths, mode="constant")
    return mean


def _coarse(image: Floats, valid: Mask, blocks: Ints) -> tuple[Floats, Mask]:
    """Mean of the valid voxels of each block, 0 where fewer than half are."""
    if max(blocks) == 1:
        return image, valid
    sums, counts = (_block_sums(part, blocks) for part in (image, valid))
    enough = counts * 2 >= math.prod(blocks)
    return np.where(enough, sums / np.maximum(counts, 1), 0).astype(np.float32), enough


def _block_sums(image: Array, blocks: Ints) -> Floats:
    result = image.astype(np.float32)
    for axis, size in enumerate(blocks):
        if size > 1:
            result = np.add.reduceat(result, np.arange(0, result.shape[axis], size), axis=axis)
    return result


def ball(ratios: Sequence[float], boxes: Boxes) -> list[tuple[float, float]]:
    """What a ball of contrast 1 gives on each grid: greatest amplitude in the window, greatest height."""
    reach = 6 * BALL
    axes = np.ogrid[tuple(slice(-round(reach / ratio), round(reach / ratio) + 1) for ratio in ratios)]
    distance = np.sqrt(sum((axis * ratio) ** 2 for axis, ratio in zip(axes, ratios, strict=True)))
    image = np.clip(BALL + 0.5 - distance, 0, 1).astype(np.float32)
    found = layers(image, np.zeros_like(image), np.ones(image.shape, dtype=bool), ratios, boxes=boxes)
    return [(float(layer.amplitude.max()), float(layer.output.max())) for layer in found]
