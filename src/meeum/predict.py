"""Prediction: tiles planned from the network's stride and reach inside a memory budget; tiled equals whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch

from meeum import band, means, views
from meeum.checkpoint import Model
from meeum.errors import UsageError
from meeum.networks import place
from meeum.patches import refuse_not_finite
from meeum.volume import Array, Region, Volume

Ints = tuple[int, ...]


@dataclass(frozen=True)
class Tile:
    """One tile of an image: what is read, what is kept, and how far the reading is padded past the image's end."""

    read: Region
    keep: Region  # of the image
    inner: Region  # of the tile: where the kept part lies
    pad: Ints


def plan_tiles(shape: Ints, stride: Ints, reach: Ints, *, most_voxels: int) -> tuple[Tile, ...]:
    """Tiles over an image of `shape`, each with its halo at most `most_voxels`, cut on multiples of the stride.

    Of all such cuts into even parts the one that reads the fewest voxels in all.
    """
    halo = tuple(-(-r // s) * s for r, s in zip(reach, stride, strict=True))
    whole = tuple(-(-n // s) * s for n, s in zip(shape, stride, strict=True))
    core = _fewest_read([_cuts(*axis) for axis in zip(whole, stride, halo, strict=True)], most_voxels)
    starts = product(*(range(0, n, c) for n, c in zip(whole, core, strict=True)))
    return tuple(_tile(start, core, halo, whole, shape) for start in starts)


@dataclass(frozen=True)
class _Cut:
    """One axis in parts of `core` voxels: how many the longest of them reads with its halo, and all together."""

    core: int
    longest: int
    total: int


def _cuts(whole: int, stride: int, halo: int) -> list[_Cut]:
    """From one part to as many as there are strides: the longest gets shorter, and more is read in all."""
    cuts: list[_Cut] = []
    cores = {-(-whole // (parts * stride)) * stride for parts in range(1, whole // stride + 1)}
    for core in sorted(cores, reverse=True):
        reads = [min(whole, first + core + halo) - max(0, first - halo) for first in range(0, whole, core)]
        if not cuts or max(reads) < cuts[-1].longest:
            cuts.append(_Cut(core, max(reads), sum(reads)))
    return cuts


def _fewest_read(axes: list[list[_Cut]], most_voxels: int) -> Ints:
    """The core of each axis: the longest parts fit into `most_voxels`, and the sum of what is read is least."""
    least = math.prod(cuts[-1].longest for cuts in axes)
    if least > most_voxels:
        raise UsageError(
            f"[prediction] memory_gb: room for {most_voxels} voxels, but this network's smallest tile has {least}; "
            f"give at least {least / max(most_voxels, 1):.1f} times as much"
        )
    *others, last = axes
    fitting = []
    for chosen in product(*others):
        room = most_voxels // math.prod(cut.longest for cut in chosen)
        fits = next((cut for cut in last if cut.longest <= room), None)
        if fits:
            fitting.append((*chosen, fits))
    return tuple(cut.core for cut in min(fitting, key=lambda chosen: math.prod(cut.total for cut in chosen)))


def _tile(start: Ints, core: Ints, halo: Ints, whole: Ints, shape: Ints) -> Tile:
    read, keep, inner, pad = [], [], [], []
    for first, side, margin, padded, size in zip(start, core, halo, whole, shape, strict=True):
        low, high = max(0, first - margin), min(padded, first + side + margin)
        stop = min(first + side, size)
        read.append(slice(low, min(high, size)))
        keep.append(slice(first, stop))
        inner.append(slice(first - low, stop - low))
        pad.append(high - min(high, size))
    return Tile(tuple(read), tuple(keep), tuple(inner), tuple(pad))


def tiles(shape: Ints, model: Model) -> tuple[Tile, ...]:
    """The tiles in which a model denoises a frame of `shape`, within its settings' memory budget."""
    room = int(model.settings.prediction.memory_gb * 2**30 / model.voxel_bytes)
    farther = views.extra_reach(model, shape)
    reach = tuple(r + f for r, f in zip(model.reach, farther, strict=True))
    return plan_tiles(shape, model.stride, reach, most_voxels=room)


def fill(result: Array, volume: Volume, model: Model, *, device: str) -> Iterator[float]:
    """Denoise every frame of a volume into `result`; the share done, after each tile."""
    done = 0
    for index in range(volume.frame_count):
        frame = result[index] if volume.axes.startswith("T") else result
        for region, values in predict(volume.frame(index), model, device=device):
            frame[region] = values
            done += values.size
            if done % frame.size:
                yield done / result.size
        _keep_means(frame, volume.frame(index), model)
        _limit_band(frame, volume.frame(index), model)
        yield done / result.size


def _keep_means(denoised: Array, noisy: Volume, model: Model) -> None:
    """Where the settings ask for it and memory allows it."""
    chosen = model.settings.prediction
    if chosen.keep_means and not means.obstacle(noisy, chosen.keep_means, memory_gb=chosen.memory_gb):
        means.keep(denoised, noisy, chosen.keep_means)


def _limit_band(denoised: Array, noisy: Volume, model: Model) -> None:
    """Where the settings ask for it and noise is coloured: of the whole frame, if it can be, and of its blocks."""
    chosen, noise = model.settings.prediction, model.noise
    if not chosen.band_limit or noise is None:
        return
    if not band.obstacle(noisy, noise, memory_gb=chosen.memory_gb):
        values = noisy.read()
        if noisy.valid(values).all():
            band.keep_within(denoised, values, noise)
    if not band.obstacle(noisy, noise, memory_gb=chosen.memory_gb, planes=band.BLOCK):
        band.keep_within_blocks(denoised, noisy, noise)


def left_out(noisy: Volume, model: Model) -> tuple[str, ...]:
    """What a user should know who asked for local means, or the band limit of coloured noise, and does not get all."""
    chosen, noise = model.settings.prediction, model.noise
    found = {}
    if chosen.keep_means:
        found["local means are not kept"] = means.obstacle(noisy, chosen.keep_means, memory_gb=chosen.memory_gb)
    if chosen.band_limit and noise is not None and not noise.is_white:
        blocks = band.obstacle(noisy, noise, memory_gb=chosen.memory_gb, planes=band.BLOCK)
        what = "the band limit is not kept" if blocks else "the band limit is kept in blocks only"
        found[what] = blocks or band.obstacle(noisy, noise, memory_gb=chosen.memory_gb)
    return tuple(f"{what}: {why}" for what, why in found.items() if why)


def predict(volume: Volume, model: Model, *, device: str) -> Iterator[tuple[Region, Array]]:
    """Denoise one frame tile by tile: regions of the frame and their float32 values, in data units."""
    ask = views.estimate(place(model.network, model.shape.axes, device), model)
    for tile in tiles(volume.shape, model):
        values = volume.read(tile.read)
        valid = volume.valid(values)
        refuse_not_finite(values[valid], volume)
        inside = valid[tile.inner]
        if inside.any():
            piece = views.seen(values, valid, tile.read, volume.shape, model=model, pad=tile.pad)
            output = model.normalisation.undo(_run(ask, piece, model, device)[tile.inner])
            yield tile.keep, np.where(inside, output, values[tile.inner])
        else:
            yield tile.keep, values[tile.inner]


def _run(ask: views.Estimate, piece: views.Seen, model: Model, device: str) -> Array:
    low = model.settings.prediction.precision == "bfloat16"
    there = replace(piece, image=piece.image.to(device), level=piece.level.to(device))
    with torch.inference_mode(), torch.autocast(torch.device(device).type, torch.bfloat16, enabled=low):
        output = ask(there)
    result: Array = output.cpu().numpy()
    return result
