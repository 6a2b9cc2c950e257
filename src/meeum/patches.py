"""Training patches, cut on the device from one affine-normalised copy of the images."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise, product

import numpy as np
import torch
from torch import Tensor

from meeum.errors import MeeumError
from meeum.settings import TrainingSettings
from meeum.volume import Array, Region, Volume

Ints = tuple[int, ...]
Levels = Callable[[Array, Region, Ints], Array]

# What a voxel of a block may be used for; anything else was never measured and only fills the frame.
TRAIN, HELD_OUT = 1, 2
SAMPLE = 2_000_000  # voxels from which offset and scale are measured
PLANES = 8  # least number of planes, and most frames, they are taken from: a single plane may hold no cell at all
TRIES = 20  # to find a patch of which enough may be used
BLOCK = 128  # least side, in patches' direction, of the blocks that stand for an image too large for memory


def _unknown(values: Array, region: Region, shape: Ints) -> Array:
    return np.zeros((1,) * values.ndim)


@dataclass(frozen=True)
class Normalisation:
    """One affine for a whole model: never per slice, tile or patch, so that values stay comparable."""

    offset: float
    scale: float

    def apply(self, values: Array, valid: Array) -> Array:
        """Data units to network units; voxels without data become the mean."""
        return np.where(valid, (values - self.offset) / self.scale, 0).astype(np.float32)

    def undo(self, values: Array) -> Array:
        return values * np.float32(self.scale) + np.float32(self.offset)


@dataclass(frozen=True)
class Pool:
    """Blocks of normalised image on the device, and per voxel its use and how strong its noise is."""

    blocks: tuple[Tensor, ...]  # each (*S) float32
    roles: tuple[Tensor, ...]  # each (*S) uint8: TRAIN, HELD_OUT or 0
    levels: tuple[Tensor, ...]  # each (*S) standard deviation of the noise in network units, 0 where there is none
    turn: tuple[int, ...]  # axes along which patches may be flipped
    swap: bool  # whether the last two may be swapped, too
    patch: Ints

    @cached_property
    def usable(self) -> dict[int, tuple[Array, ...]]:
        """How many voxels of each plane of each block have a role."""
        in_planes = {role: [(part == role).flatten(1).sum(1) for part in self.roles] for role in (TRAIN, HELD_OUT)}
        return {role: tuple(count.cpu().numpy() for count in counts) for role, counts in in_planes.items()}


@dataclass(frozen=True)
class Batch:
    """Patches (B, *S), which of their voxels may be judged, and the standard deviation of their noise."""

    image: Tensor
    allowed: Tensor
    level: Tensor = field(default_factory=lambda: torch.zeros(()))


def measure(volumes: Sequence[Volume]) -> Normalisation:
    """Mean and standard deviation of the measured values, extremes (0.1 % a side) set aside."""
    values = np.concatenate([_sample(volume, SAMPLE // len(volumes)) for volume in volumes])
    low, high = np.percentile(values, (0.1, 99.9))
    inner = values[(values >= low) & (values <= high)].astype(np.float64)
    scale = float(inner.std())
    if not scale > 1e-7 * max(1e-30, float(np.abs(inner).max())):
        raise MeeumError(
            f"{volumes[0].name}: the image is constant ({float(inner.mean()):.6g} everywhere); nothing to denoise"
        )
    return Normalisation(float(inner.mean()), scale)


def _sample(volume: Volume, most: int) -> Array:
    """Measured values of evenly spread planes of evenly spread frames, at most about `most`."""
    frames = [volume.frame(index) for index in _spread(volume.frame_count, PLANES)]
    values = np.concatenate([_measured(frame, most // len(frames)) for frame in frames])
    if not len(values):
        raise MeeumError(f"{volume.name}: no voxel holds data (all are {volume.no_data})")
    return values


def _measured(frame: Volume, most: int) -> Array:
    count = max(PLANES, most // math.prod(frame.shape[1:]))
    kept, total, step = list[Array](), 0, 1
    for index in _spread(frame.shape[0], count):
        plane = frame.read((slice(index, index + 1), *(slice(None) for _ in frame.shape[1:])))
        kept.append(plane[frame.valid(plane)][::step].copy())  # a view would keep all of the plane
        total += len(kept[-1])
        while total > 2 * most + count:
            kept, step = [values[::2].copy() for values in kept], 2 * step
            total = sum(map(len, kept))
    values = np.concatenate(kept)
    refuse_not_finite(values, frame)
    return values


def _spread(size: int, count: int) -> list[int]:
    """At most `count` evenly spread places along an axis, its ends no more than its middle."""
    count = min(size, count)
    return [int((index + 0.5) * size / count) for index in range(count)]


def refuse_not_finite(values: Array, volume: Volume) -> None:
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise MeeumError(
            f"{volume.name}: {bad} of {values.size} values looked at are not numbers (nan or infinite); "
            "if nan marks voxels that were never measured, say so: --set input.no_data=nan"
        )


def load(
    volumes: Sequence[Volume],
    normalisation: Normalisation,
    *,
    patch: Ints,
    settings: TrainingSettings,
    device: str,
    levels: Levels = _unknown,
) -> Pool:
    """Read frames into a pool: whole where they fit into the memory, else random blocks that do.

    `levels` gives the noise's standard deviation (data units) of values read from a region of a frame of some shape.
    """
    blocks, roles, strengths = [], [], []
    frames = [volume.frame(index) for volume in volumes for index in range(volume.frame_count)]
    voxels = int(settings.memory_gb * 2**30 / 7)
    for frame, region in _regions(frames, patch, voxels, settings.seed):
        values = frame.read(region)
        valid = frame.valid(values)
        refuse_not_finite(values[valid], frame)
        blocks.append(torch.from_numpy(normalisation.apply(values, valid)).to(device))
        roles.append(torch.from_numpy(_roles(valid, settings.held_out)).to(device))
        level = levels(np.where(valid, values, normalisation.offset), region, frame.shape) / normalisation.scale
        level = level if valid.all() else np.where(valid, level, 0)
        strengths.append(torch.from_numpy(level.astype(np.float16)).to(device).expand(values.shape))
    axes = tuple(frames[0].axes.index(letter) for letter in settings.turn if letter in frames[0].axes)
    return Pool(tuple(blocks), tuple(roles), tuple(strengths), axes, settings.swap, patch)


def _regions(frames: Sequence[Volume], patch: Ints, voxels: int, seed: int) -> Iterator[tuple[Volume, Region]]:
    if sum(math.prod(frame.shape) for frame in frames) <= voxels:
        yield from ((frame, tuple(slice(0, n) for n in frame.shape)) for frame in frames)
        return
    blocks = [(frame, block) for frame in frames for block in _blocks(frame.shape, patch)]
    left = voxels
    for count, index in enumerate(np.random.default_rng([seed, 0]).permutation(len(blocks))):
        frame, block = blocks[index]
        left -= math.prod(part.stop - part.start for part in block)
        if left < 0 and count:
            return
        yield frame, block


def _blocks(size: Ints, patch: Ints) -> Iterator[Region]:
    """The whole frame in blocks side by side: if they overlapped, one would train on what another holds out."""
    cuts = []
    for n, least in zip(size, patch, strict=True):
        parts = max(1, n // max(least, BLOCK))
        edges = [n * part // parts for part in range(parts + 1)]
        cuts.append([slice(start, stop) for start, stop in pairwise(edges)])
    return product(*cuts)


def _roles(valid: Array, held_out: float) -> Array:
    """The end of the longest axis is held out of training: seen as context, never as a target."""
    roles = np.where(valid, TRAIN, 0).astype(np.uint8)
    axis = int(np.argmax(valid.shape))
    start = valid.shape[axis] - round(held_out * valid.shape[axis])
    end = roles[(slice(None),) * axis + (slice(start, None),)]
    end[end == TRAIN] = HELD_OUT
    return roles


def judged(pool: Pool) -> int:
    """What a network is judged by: held-out voxels, or where none are, those it trains on."""
    return HELD_OUT if any(bool((part == HELD_OUT).any()) for part in pool.roles) else TRAIN


def draw(pool: Pool, indices: Sequence[int], *, role: int, seed: int, turned: bool = True) -> Batch:
    """The patches numbered `indices`: which they are depends on number and seed only, not on the batch."""
    pieces = [_piece(pool, np.random.default_rng([seed, role, index]), role, turned) for index in indices]
    image, allowed, level = (torch.stack(parts) for parts in zip(*pieces, strict=True))
    return Batch(image, allowed, level.float())


def _piece(pool: Pool, rng: np.random.Generator, role: int, turned: bool) -> list[Tensor]:
    which, region = _found(pool, rng, role)
    parts = [pool.blocks[which][region], pool.roles[which][region] == role, pool.levels[which][region]]
    if turned:
        flips = [axis for axis in pool.turn if rng.random() < 0.5]
        parts = [part.flip(flips) for part in parts]
    if turned and _may_swap(pool) and rng.random() < 0.5:
        parts = [part.transpose(-1, -2) for part in parts]
    return parts


def _found(pool: Pool, rng: np.random.Generator, role: int) -> tuple[int, Region]:
    """Block and place of a patch half of which may be trained on, or any of it judged; else around one such voxel."""
    sizes = np.array([block.numel() for block in pool.blocks])
    for _ in range(TRIES):
        which = int(rng.choice(len(sizes), p=sizes / sizes.sum()))
        region = _place(pool.blocks[which].shape, pool.patch, rng, at_end=role == HELD_OUT)
        allowed = pool.roles[which][region] == role
        if bool(allowed.any()) if role == HELD_OUT else float(allowed.float().mean()) >= 0.5:
            return which, region
    counts = np.array([count.sum() for count in pool.usable[role]])
    if counts.any():
        which = int(rng.choice(len(counts), p=counts / counts.sum()))
        region = _around(pool.roles[which], role, pool.usable[role][which], pool.patch, rng)
    return which, region


def _around(roles: Tensor, role: int, counts: Array, patch: Ints, rng: np.random.Generator) -> Region:
    """A random place for a patch around a random voxel of a role; each plane of the block has `counts` of them."""
    plane = int(rng.choice(len(counts), p=counts / counts.sum()))
    places = (roles[plane] == role).nonzero()
    voxel = (plane, *places[int(rng.integers(len(places)))].tolist())
    sides = zip(voxel, patch, roles.shape, strict=True)
    corner = [int(rng.integers(max(0, v - p + 1), min(v, n - p) + 1)) for v, p, n in sides]
    return tuple(slice(c, c + p) for c, p in zip(corner, patch, strict=True))


def _may_swap(pool: Pool) -> bool:
    both = {len(pool.patch) - 1, len(pool.patch) - 2} <= set(pool.turn)
    return pool.swap and both and pool.patch[-1] == pool.patch[-2]


def _place(size: Ints, patch: Ints, rng: np.random.Generator, *, at_end: bool) -> Region:
    corner = [int(rng.integers(n - p + 1)) for n, p in zip(size, patch, strict=True)]
    if at_end:
        axis = int(np.argmax(size))
        corner[axis] = size[axis] - patch[axis]
    return tuple(slice(c, c + p) for c, p in zip(corner, patch, strict=True))
