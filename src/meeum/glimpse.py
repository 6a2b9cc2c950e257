"""What a network in training makes of a small piece of the image: one look, without touching the training."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from meeum import views
from meeum.session import Session
from meeum.volume import Region, Volume

THICK = 16  # planes read for one that is shown: more context than most networks need

Ints = tuple[int, ...]


@dataclass(frozen=True)
class Glimpse:
    """A piece of one plane, noisy and as the averaged network denoises it: (Y, X), nan where nothing was measured.

    `region` is where it lies in the volume: one slice per axis, those across the plane one voxel long.
    """

    step: int
    noisy: NDArray[np.float32]
    denoised: NDArray[np.float32]
    region: Region


Look = Callable[[int], Glimpse]  # voxels to be looked at, at most


def through(running: Session, volume: Volume) -> Look:
    """A look at `volume` with the network as it is when the look is taken."""
    return partial(take, volume, running)


def take(volume: Volume, running: Session, most: int) -> Glimpse:
    """The middle of the middle plane of the middle frame; the network is asked once, of at most about `most` voxels."""
    index, model = volume.frame_count // 2, running.model
    frame = volume.frame(index)
    read = _window(frame.shape, model.stride, most)
    values = frame.read(read)
    valid = frame.valid(values)
    piece = views.seen(values, valid, read, frame.shape, model=model, pad=(0,) * values.ndim)
    device = next(running.state.average.parameters()).device
    low = running.settings.training.precision == "bfloat16"  # as quick as training: this is a look, not the result
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=low):
        output = running.state.average(piece.image[None, None].to(device))[0, 0].float().cpu().numpy()
    denoised = model.normalisation.undo(output)
    middle = tuple(n // 2 for n in values.shape[:-2])
    noisy, clean = (np.where(valid, array, np.nan)[middle].astype(np.float32) for array in (values, denoised))
    across = tuple(slice(part.start + at, part.start + at + 1) for part, at in zip(read, middle, strict=False))
    first = (slice(index, index + 1),) if volume.axes.startswith("T") else ()
    return Glimpse(running.state.step, noisy, clean, (*first, *across, *read[-2:]))


def _window(shape: Ints, stride: Ints, most: int) -> Region:
    """A box in the middle whose sides are whole strides, a few planes thick, about square in y and x."""
    depth = _whole(THICK, shape[0], stride[0]) if len(shape) == 3 else 1
    rows = _whole(math.isqrt(max(1, most // depth)), shape[-2], stride[-2])
    columns = _whole(most // (depth * rows), shape[-1], stride[-1])
    columns = min(columns, _whole(2 * rows, shape[-1], stride[-1]))
    sides = (depth, rows, columns) if len(shape) == 3 else (rows, columns)
    starts = ((n - side) // 2 for n, side in zip(shape, sides, strict=True))
    return tuple(slice(start, start + side) for start, side in zip(starts, sides, strict=True))


def _whole(wanted: int, size: int, stride: int) -> int:
    """The side nearest below `wanted` that fits into `size` and is a multiple of the stride; one stride at least."""
    return max(stride, min(wanted, size) // stride * stride)
