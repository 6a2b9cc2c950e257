"""How a trained network is asked for an estimate: once, or as a mean over passes, noisy copies, or hidden voxels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor, nn

from meeum.checkpoint import Model
from meeum.errors import UsageError
from meeum.masking import Masking, fill, site_spacing
from meeum.noise.noise import SMOOTHING
from meeum.objectives import Subject, plan_masking
from meeum.volume import Array, Region

Ints = tuple[int, ...]

FAR = 6.0  # robust standard deviations from its estimate beyond which a voxel is taken to be far off
PERIOD = 96  # voxels after which the noise added at prediction repeats, along each axis


@dataclass(frozen=True)
class Seen:
    """A piece of an image: network units (*S) on the device, and from where in a frame of `shape` it was read.

    `level` is the standard deviation of its noise, network units, of a shape that broadcasts.
    """

    image: Tensor
    corner: Ints
    level: Tensor


Estimate = Callable[[Seen], Tensor]


def estimate(network: nn.Module, model: Model) -> Estimate:
    """What the prediction settings ask for, as a function of a piece of the image; results are (*S) float32."""
    chosen, ask = model.settings.prediction, _plain(network)
    if chosen.masked:
        ask = _masked(network, model)
    if chosen.flips:
        ask = _flipped(ask, model.stride)
    elif chosen.displaced:
        ask = _displaced(ask, model.stride)
    if chosen.draws:  # around these: noise is drawn for the places of the frame, which flips change
        ask = _recorrupted(ask, model)
    return _mixed(ask, model.mixing, model.far) if model.mixing else ask


def extra_reach(model: Model, shape: Ints) -> Ints:
    """How much farther than the network these estimates look, per axis."""
    farther = tuple(0 for _ in shape)
    if model.settings.prediction.masked:
        masking = _masking(model, shape)
        farther = tuple(w + f for w, f in zip(masking.window, masking.footprint, strict=True))
    if model.settings.prediction.draws:
        farther = tuple(max(f, round(4 * SMOOTHING)) for f in farther)
    return farther


def _plain(network: nn.Module) -> Estimate:
    def ask(seen: Seen) -> Tensor:
        return _through(network, seen.image)

    return ask


def _through(network: nn.Module, image: Tensor) -> Tensor:
    output: Tensor = network(image[None, None])[0, 0].float()
    return output


def _flipped(ask: Estimate, stride: Ints) -> Estimate:
    """The mean over all combinations of flips; only sensible where neither noise nor optics have a direction.

    Each pass is displaced as well, by 0 to 3 voxels along each axis: flips leave a network's grid where it is.
    """
    axes = len(stride)
    turns = [[axis for axis in range(axes) if bits >> axis & 1] for bits in range(2**axes)]
    return _mean(
        ask, [(turn, tuple(_displacement(axis, turn, axes) for axis in range(axes))) for turn in turns], stride
    )


def _displaced(ask: Estimate, stride: Ints) -> Estimate:
    """The mean over two passes, one voxel apart along each axis."""
    return _mean(ask, [([], tuple(by for _ in stride)) for by in (0, 1)], stride)


def _mean(ask: Estimate, passes: Sequence[tuple[list[int], Ints]], stride: Ints) -> Estimate:
    """Over passes, each with its flipped axes and displacement, voxels.

    What the grid of `stride` voxels that a network works on lays into the roughness of the result is displaced, too,
    and cancels.
    """

    def mean(seen: Seen) -> Tensor:
        total = torch.zeros_like(seen.image)
        for turn, displacement in passes:
            pad = [(by % step, -by % step) for by, step in zip(displacement, stride, strict=True)]
            there = tuple(slice(before, before + n) for (before, _), n in zip(pad, seen.image.shape, strict=True))
            level = seen.level.flip([axis for axis in turn if seen.level.shape[axis] > 1])
            total += ask(Seen(_padded(seen.image.flip(turn), pad), seen.corner, _padded(level, pad)))[there].flip(turn)
        return total / len(passes)

    return mean


def _displacement(axis: int, turn: Sequence[int], axes: int) -> int:
    """Voxels along an axis, by the flips of the next two, so that either flip of its own has all."""
    first, second = ((axis + further) % axes in turn for further in (1, 2))
    return first + 2 * second


def _padded(image: Tensor, pad: Sequence[tuple[int, int]]) -> Tensor:
    """By the nearest values; an axis of length 1 stays, since it broadcasts."""
    for axis, (before, after) in enumerate(pad):
        size = image.shape[axis]
        if size > 1:
            index = torch.arange(-before, size + after, device=image.device).clamp(0, size - 1)
            image = image.index_select(axis, index)
    return image


def _recorrupted(ask: Estimate, model: Model) -> Estimate:
    """The mean over copies with the noise of training added (Pang 2021), the same at the same place in any tile."""
    noise, alpha, count = model.noise, model.settings.training.alpha, model.settings.prediction.draws
    if noise is None or model.settings.training.objective != "recorrupted":
        raise UsageError("[prediction] draws: only a model trained with objective = recorrupted has noise to draw")
    rng = np.random.default_rng([model.settings.training.seed, 2])
    fields = [torch.from_numpy(noise.sample((PERIOD,) * len(noise.sides), rng)) for _ in range(count)]

    def mean(seen: Seen) -> Tensor:
        total = torch.zeros_like(seen.image)
        for field in fields:
            added = _at(field, seen.corner, tuple(seen.image.shape)).to(seen.image.device)
            total += ask(Seen(seen.image + alpha * seen.level * added, seen.corner, seen.level))
        return total / count

    return mean


def _at(field: Tensor, corner: Ints, shape: Ints) -> Tensor:
    """A periodic field on the voxels from `corner` on."""
    for axis, (start, size) in enumerate(zip(corner, shape, strict=True)):
        field = field.index_select(axis, (start + torch.arange(size)) % field.shape[axis])
    return field


def _masked(network: nn.Module, model: Model) -> Estimate:
    """Each voxel estimated while it is hidden, as in training: as many passes as sites are voxels apart."""

    def ask(seen: Seen) -> Tensor:
        masking = _masking(model, tuple(seen.image.shape))
        result = torch.zeros_like(seen.image)
        generator = torch.Generator(seen.image.device).manual_seed(model.settings.training.seed)
        for sites in _grids(tuple(seen.image.shape), seen.corner, masking):
            here = sites.to(seen.image.device)
            most = int(here.sum())
            if most:
                hidden = fill(seen.image[None], here[None], masking, generator, most_sites=most)
                result = torch.where(here, _through(network, hidden.image[0]), result)
        return result

    return ask


def _masking(model: Model, shape: Ints) -> Masking:
    return plan_masking(model.settings.masking, Subject("the image", shape, model.normalisation))


def _grids(shape: Ints, corner: Ints, masking: Masking) -> Iterator[Tensor]:
    """Regular grids of sites that together hold every voxel once, fixed to the frame and not to the piece."""
    spacing = site_spacing((2**20,) * len(shape), masking.share)
    wide = tuple(max(s, 2 * half + 2) if half else s for s, half in zip(spacing, masking.footprint, strict=True))
    for phase in product(*(range(s) for s in wide)):
        sites = torch.ones(shape, dtype=torch.bool)
        for axis, (start, step, first) in enumerate(zip(corner, wide, phase, strict=True)):
            line = (start + torch.arange(shape[axis])) % step == first
            sites &= line.reshape([-1 if a == axis else 1 for a in range(len(shape))])
        yield sites


def _mixed(ask: Estimate, share: float, far: float | None) -> Estimate:
    """With a share of the noisy image, but for voxels that are `far` from their estimate."""

    def mix(seen: Seen) -> Tensor:
        estimated = ask(seen)
        mixed = torch.lerp(estimated, seen.image, share)
        return mixed if far is None else torch.where((seen.image - estimated).abs() <= far, mixed, estimated)

    return mix


def seen(values: Array, valid: Array, region: Region, shape: Ints, *, model: Model, pad: Ints) -> Seen:
    """A piece of a frame of `shape`, read from `region` and reflected past its end by `pad`, as a network sees it."""
    widths = [(0, extra) for extra in pad]
    image = np.pad(model.normalisation.apply(values, valid), widths, mode="reflect")
    level: Array = np.zeros((1,) * len(shape), np.float32)
    if model.noise:
        known = np.where(valid, values, np.float32(model.normalisation.offset))
        level = model.noise.levels(known, region, shape) / np.float32(model.normalisation.scale)
        level = np.pad(
            level, [w if n > 1 else (0, 0) for w, n in zip(widths, level.shape, strict=True)], mode="reflect"
        )
    corner = tuple(part.indices(size)[0] for part, size in zip(region, shape, strict=True))
    return Seen(torch.from_numpy(image), corner, torch.from_numpy(level))


def estimates(estimate_of: Estimate, image: Tensor, level: Tensor) -> Tensor:
    """Of patches (B, *S), whose noise has the standard deviation `level`, one by one."""
    with torch.inference_mode():
        found = [estimate_of(Seen(one, (0,) * one.ndim, lev)) for one, lev in zip(image, level, strict=True)]
    return torch.stack(found)


def far_off(estimated: Tensor, image: Tensor, allowed: Tensor) -> float:
    """How far from its estimate a voxel of patches (B, *S) is too far off to be noise like that of the others."""
    return FAR * 1.4826 * float((estimated - image).abs()[allowed].median())


def mixing(estimated: Tensor, image: Tensor, allowed: Tensor, level: Tensor) -> float:
    """Share of the noisy image to mix back in so that the squared error is least, from patches (B, *S).

    An estimate that does not depend on its own voxel differs from it by its error and by noise of known level:
    share = 1 - noise / difference, in variances (Laine 2019, as one number).
    """
    difference = float(((estimated - image) ** 2)[allowed].mean())
    known = float((level.expand_as(image) ** 2)[allowed].mean())
    return min(1.0, max(0.0, 1 - known / difference)) if difference > 0 else 0.0
