"""The band limit: where the noisy image's spectrum is empty, the denoised one may hold no more.

Optics pass a band with a missing cone, and what a network puts outside of it is an error whatever the truth. The noise
fills the band, so that emptiness is seen in the data: |Y|² below a tenth of the noise's mean power.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from meeum.noise import Noise
from meeum.volume import Volume

Array = NDArray[Any]
Ints = tuple[int, ...]

EMPTY = 0.1  # of the noise's mean power: a frequency that holds less was not passed by the instrument
BYTES = 29  # per voxel that is changed at a time
BLOCK = 64  # voxels a side, at most


def obstacle(noisy: Volume, noise: Noise, *, memory_gb: float, planes: int | None = None) -> str:
    """Why the band limit is not kept, `planes` at a time or for whole frames of this image; empty where it is."""
    if noise.is_white:
        return "the noise is white, so that no frequency is empty"
    count = min(planes or noisy.spatial_shape[0], noisy.spatial_shape[0])
    needed = count * math.prod(noisy.spatial_shape[1:]) * BYTES / 2**30
    if needed > memory_gb:
        return f"{count} planes at a time need {needed:.1f} GiB, and prediction.memory_gb allows {memory_gb:g}"
    return ""


def keep_within(denoised: Array, noisy: Array, noise: Noise) -> None:
    """Lower, in place, every empty frequency of a denoised frame to what the noisy one holds there; any axes.

    The mean of the frame becomes that of the noisy one, which a network may miss.
    """
    mean = np.float32(noisy.mean(dtype=np.float64))
    before, after = (scipy.fft.rfftn(image - mean) for image in (noisy, denoised))
    excess = _excess(before, after, EMPTY * noise.std**2 * noisy.size)
    denoised[...] = scipy.fft.irfftn(after - excess, s=noisy.shape, axes=tuple(range(noisy.ndim))) + mean


def keep_within_blocks(denoised: Array, noisy: Volume, noise: Noise) -> None:
    """The same, block by block: a frame that does not repeat at its borders smears its spectrum, a tapered block less.

    Blocks overlap by half under Hann windows, mirrored at the borders; those with voxels that were never measured stay
    as they are.
    """
    halves = tuple(min(BLOCK, max(size, 2)) // 2 for size in denoised.shape)
    waiting: list[tuple[slice, Array]] = []  # what the slabs at the end still have to see as it was
    excess = np.zeros(
        (2 * halves[0], *(n + 3 * h for n, h in zip(denoised.shape[1:], halves[1:], strict=True))), np.float32
    )
    for start in range(-halves[0], denoised.shape[0], halves[0]):
        _add_excess(excess, denoised, noisy, noise, start, halves)
        done = slice(max(start, 0), min(start + halves[0], denoised.shape[0]))
        inner = tuple(slice(h, h + n) for n, h in zip(denoised.shape[1:], halves[1:], strict=True))
        waiting.append((done, excess[done.start - start : done.stop - start, *inner].copy()))
        excess = np.concatenate([excess[halves[0] :], np.zeros_like(excess[: halves[0]])])
        if len(waiting) > 2:
            planes, over = waiting.pop(0)
            denoised[planes] -= over
    for planes, over in waiting:
        denoised[planes] -= over


def _add_excess(excess: Array, denoised: Array, noisy: Volume, noise: Noise, start: int, halves: Ints) -> None:
    """That of the blocks whose first plane is `start`, to `excess`, which begins there and half a block before 0."""
    planes = _mirrored(start, 2 * halves[0], denoised.shape[0])
    rest = tuple(slice(None) for _ in halves[1:])
    values = noisy.read((slice(planes.min(), planes.max() + 1), *rest))
    known, window = noisy.valid(values), _outer([_window(2 * half) for half in halves])
    empty = EMPTY * noise.std**2 * float(np.square(window, dtype=np.float64).sum())
    for corner in product(*(range(-h, n, h) for n, h in zip(denoised.shape[1:], halves[1:], strict=True))):
        sides = zip(corner, halves[1:], denoised.shape[1:], strict=True)
        others = [_mirrored(first, 2 * half, size) for first, half, size in sides]
        there = np.ix_(planes - planes.min(), *others)
        if known[there].all():
            place = tuple(slice(first + half, first + 3 * half) for first, half in zip(corner, halves[1:], strict=True))
            excess[:, *place] += _excess_of_block(values[there], denoised[np.ix_(planes, *others)], window, empty)


def _excess_of_block(noisy: Array, denoised: Array, window: Array, empty: float) -> Array:
    before, after = (
        scipy.fft.rfftn((image - np.float32(image.mean(dtype=np.float64))) * window) for image in (noisy, denoised)
    )
    return np.asarray(scipy.fft.irfftn(_excess(before, after, empty), s=noisy.shape, axes=tuple(range(noisy.ndim))))


def _mirrored(start: int, count: int, size: int) -> NDArray[np.int64]:
    """Voxels along an axis from `start` on, which may lie before 0 or beyond the end."""
    places = np.abs(np.arange(start, start + count)) % max(1, 2 * size - 2)
    return np.asarray(np.where(places < size, places, 2 * size - 2 - places))


def _excess(before: Array, after: Array, empty: float) -> Array:
    """What `after` holds beyond `before` where that has less power than `empty`."""
    power, held = np.abs(before) ** 2, np.abs(after) ** 2
    over = (power < empty) & (held > power)
    share = np.zeros(power.shape, power.dtype)
    share[over] = 1 - np.sqrt(power[over] / held[over])
    return np.asarray(after * share)


def _window(side: int) -> Array:
    return np.asarray(np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2, np.float32)


def _outer(factors: list[Array]) -> Array:
    product_of: Array = np.ones((), np.float32)
    for factor in factors:
        product_of = np.multiply.outer(product_of, factor)
    return product_of
