"""Measure the noise of images from nothing but themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from meeum.errors import MeeumError, UsageError
from meeum.noise.blocks import ENOUGH, BlockSpectra, block_spectra, cycles, multiplicity
from meeum.noise.clipping import CLIPPED, MORE, SIDE, left_of
from meeum.noise.floor import DOUBTFUL, FINEST, Floor, cells_of, find_floor
from meeum.noise.impulses import without_impulses
from meeum.noise.noise import IMPULSIVE, Array, Noise, level_and_shape, place_terms
from meeum.noise.structure import LEAST_SIGNAL, coarse_share, detail_over
from meeum.volume import Volume, difference

RESAMPLES = 8
UNSURE = 0.06  # relative error of a coloured level from which a first training tells more
LACKING = 0.7  # of the share of the longest waves: how far off smooth noise's level was
GUESSED = 0.5  # relative error of a level that is but a guess
SINGLE = 0.7  # power of voxels far off at the finest frequencies, over their mean power, at least: dots have less
FEW_FAR = 0.2  # of the other noise's variance: voxels far off that make up less may be its tails
FAR_ERROR = 0.1  # relative error, at least, of a level that is mostly that of voxels far off
ROUNDING = 1e-3  # of the noise: how far above the clip values may lie by rounding

REPEATS = "repeats of the same field"
TIMES = "differences between time points"
EMPTY = "the emptiest blocks and the frequencies without signal"
ROUGH = "the fine structure of the emptiest blocks: no block is empty, so this may be signal"
TRAINED = "the emptiest blocks, and what a first training bears out of that"
CUT = "the emptiest blocks, of which much was cut off, as if the noise were Gaussian"
PADDED = "blocks that one value fills in part, as padding does, so this may be wrong by half"
UNCLIPPED = "small blocks that clipping left alone, and the correlation in the emptiest blocks"


def measure(noisy: Volume | Sequence[Volume], *, repeat: Volume | None = None) -> Noise:
    """Level, spectrum and dependences of the noise of one or more images of the same axes.

    Sources, best first: a `repeat` (a second recording of the same field), time points, and within one image its
    emptiest blocks and the frequencies at which no block holds signal; where many of its values were cut off, the
    level comes from small blocks beside them. `evidence` and `doubt` tell how well that worked. MeeumError if no block
    of the image was measured throughout.
    """
    volumes = [noisy] if isinstance(noisy, Volume) else list(noisy)
    _refuse_unlike(volumes, repeat)
    pairs, source = _pairs(volumes, repeat)
    frames = [frame for volume in volumes for frame in _frames(volume)]
    looked_at = [difference(*pair, factor=np.sqrt(0.5)) for pair in pairs] or frames
    blocks = block_spectra(looked_at, signal=[one for one, _ in pairs])
    if len(blocks.means) == 0 and repeat is None:  # frames that are copies of each other
        pairs, source, looked_at, blocks = [], "", frames, block_spectra(frames)
    _refuse_nothing(volumes[0], repeat, blocks)
    noise = _beside_padding(looked_at, blocks, source)
    if not pairs and np.isfinite(blocks.clips).mean() > CLIPPED:
        return _beside_clipping(frames, noise, blocks)
    return _beside_impulses(looked_at, blocks, noise, source) if noise.tails > IMPULSIVE else noise


def is_uncertain(noise: Noise) -> bool:
    """Whether what was taken for noise may hold much structure, so that a first training can tell more."""
    return noise.source == ROUGH or (noise.source == EMPTY and noise.uncertainty > UNSURE and not noise.is_white)


def _measured(blocks: BlockSpectra, source: str) -> Noise:
    """Without a `source`, what the blocks hold says whether noise was measured or may have been."""
    floor = find_floor(blocks)
    noise = _assembled(blocks, floor, source or (EMPTY if floor.doubt <= DOUBTFUL else ROUGH))
    return replace(noise, uncertainty=float(np.hypot(_bootstrap(blocks, floor), _bias(blocks, floor))))


def _beside_padding(frames: Sequence[Volume], blocks: BlockSpectra, source: str) -> Noise:
    """From the blocks that no value fills in part, from smaller ones if there are none; from all, it is a guess."""
    if not blocks.crowded.all():
        return _measured(_unpadded(blocks), source)
    small = block_spectra(frames, longest=(SIDE,), times=MORE)
    small = small.only(~small.crowded & np.isnan(small.clips))
    if len(small.means) >= ENOUGH:
        return _measured(small, source)
    noise = _measured(blocks, PADDED)
    return replace(noise, uncertainty=max(noise.uncertainty, GUESSED))


def _unpadded(blocks: BlockSpectra) -> BlockSpectra:
    """Those that no value fills in part, if there are any."""
    return blocks if blocks.crowded.all() else blocks.only(~blocks.crowded)


def _beside_clipping(frames: Sequence[Volume], noise: Noise, blocks: BlockSpectra) -> Noise:
    """The level from small blocks that clipping left alone: it halves the noise of the others.

    Where they are too few, what a Gaussian would have been before as much of it was cut off.
    """
    clip, small = float(np.nanmedian(blocks.clips)), block_spectra(frames, longest=(SIDE,), times=MORE)
    small = small.only(np.isnan(small.clips))
    if len(small.means) < ENOUGH:
        std = noise.std / float(left_of(np.median(blocks.cut[np.isfinite(blocks.clips)])))
        before = replace(noise.with_level(std), source=CUT, uncertainty=max(noise.uncertainty, GUESSED), tails=1.0)
    else:
        before = replace(_measured(small, UNCLIPPED), spectrum=noise.spectrum, sides=noise.sides)
    return replace(before, clip=clip + ROUNDING * before.std)


def _beside_impulses(frames: Sequence[Volume], blocks: BlockSpectra, noise: Noise, source: str) -> Noise:
    """The spectrum of the noise beside the few voxels that are far off, and the level of both together.

    As it was where what is left out then is hardly anything, or lies side by side: long tails are also those of
    counting, and of a specimen of fine dots. Where voxels far off make up most of the noise, it is white as they are.
    """
    blocks, beside = _unpadded(blocks), _unpadded(block_spectra(frames, change=without_impulses))
    if len(beside.means) == 0:
        return replace(noise, rest_std=0.0)
    rest, far = _measured(beside, source), blocks.power.mean(axis=0) - beside.power.mean(axis=0)
    variance = float(np.average(far, weights=multiplicity(blocks.sides)))
    if variance < FEW_FAR * rest.std**2 or far[cycles(blocks.sides) > FINEST].mean() < SINGLE * variance:
        return noise
    std = float(np.hypot(rest.std, np.sqrt(variance)))
    even = replace(rest, follows="nothing", place=(), read=0.0, gain=0.0, detail=noise.detail)
    both = replace(even, std=std, rest_std=rest.std, tails=noise.tails)
    if not both.is_lopsided:
        return both
    return replace(
        both,
        spectrum=np.ones_like(rest.spectrum),
        source=source or EMPTY,
        evidence=max(noise.evidence, rest.evidence),
        doubt=min(noise.doubt, rest.doubt),
        uncertainty=max(min(noise.uncertainty, rest.uncertainty), FAR_ERROR),
    )


def _refuse_nothing(volume: Volume, repeat: Volume | None, blocks: BlockSpectra) -> None:
    if not np.isfinite(blocks.power).all():
        raise MeeumError(f"{volume.name}: its values are too large to compute with; divide by a constant first")
    if len(blocks.means):
        return
    if repeat is not None:
        raise MeeumError(
            f"{repeat.name}: tells nothing of the noise of {volume.name}: their difference is constant or was not "
            "measured in each block looked at, as if both were the same recording"
        )
    raise MeeumError(
        f"{volume.name}: the noise cannot be measured: each of the {blocks.tried} blocks of "
        f"{'x'.join(map(str, blocks.sides))} voxels looked at is constant or holds voxels that were never measured"
    )


def _refuse_unlike(volumes: Sequence[Volume], repeat: Volume | None) -> None:
    """What is no repeat of the one image: another shape, or a file in which nothing was recorded."""
    if repeat is not None and (len(volumes) != 1 or repeat.shape != volumes[0].shape):
        raise UsageError(
            f"{repeat.name}: a repeat must have the shape of the image, {'x'.join(map(str, volumes[0].shape))}, "
            f"but has {'x'.join(map(str, repeat.shape))}"
        )
    if repeat is not None and all(map(_is_blank, _frames(repeat))):
        raise UsageError(
            f"{repeat.name}: nothing was recorded in it (one value throughout the middle plane of each frame)"
        )


def _pairs(volumes: Sequence[Volume], repeat: Volume | None) -> tuple[list[tuple[Volume, Volume]], str]:
    """Frames that show the same field, and what they are; nothing of either if there are none."""
    if repeat is not None:
        pairs = list(zip(_frames(volumes[0]), _frames(repeat), strict=True))
        return [pair for pair in pairs if not any(map(_is_blank, pair))], REPEATS
    films = [[frame for frame in _frames(v) if not _is_blank(frame)] for v in volumes if v.frame_count > 1]
    pairs = [pair for film in films for pair in pairwise(film)]
    return pairs, TIMES if pairs else ""


def _frames(volume: Volume) -> list[Volume]:
    return [volume.frame(index) for index in range(volume.frame_count)]


def _is_blank(frame: Volume) -> bool:
    """Whether nothing was recorded in its middle plane."""
    middle = tuple(slice(size // 2, size // 2 + 1) for size in frame.shape[:-2])
    return bool(np.ptp(frame.read((*middle, slice(None), slice(None)))) == 0)


def _assembled(blocks: BlockSpectra, floor: Floor, source: str) -> Noise:
    variance, spectrum = level_and_shape(floor.spectrum, blocks.sides)
    levels = floor.levels * variance
    read, gain = _line(blocks.means, levels) if floor.cause == "signal" else (0.0, 0.0)
    place = _surface(blocks.centres, levels) if floor.cause == "place" else ()
    return Noise(
        std=float(np.sqrt(variance)),
        spectrum=spectrum,
        sides=blocks.sides,
        follows=floor.cause,
        place=place,
        read=read,
        gain=gain,
        source=source,
        evidence=floor.evidence,
        doubt=floor.doubt,
        uncertainty=0.0,
        tails=float(np.nanmedian(blocks.tails)) if np.isfinite(blocks.tails).any() else 1.0,
        detail=detail_over(floor.spectrum, blocks),
    )


def _line(means: Array, variances: Array) -> tuple[float, float]:
    """Variance at value 0, and per unit of value; relative errors count, so that dark blocks count."""
    middle, width = float(means.mean()), float(np.ptp(means))
    design = np.stack([np.ones(len(means)), (means - middle) / width], axis=1) * (variances.mean() / variances)[:, None]
    (level, slope), *_ = np.linalg.lstsq(design, np.full(len(means), variances.mean()), rcond=None)
    return float(level - slope * middle / width), float(slope / width)


def _surface(centres: Array, variances: Array) -> tuple[float, ...]:
    coefficients, *_ = np.linalg.lstsq(place_terms(centres), np.log(variances), rcond=None)
    return tuple(float(c) for c in coefficients)


def _bootstrap(blocks: BlockSpectra, floor: Floor) -> float:
    """Relative standard error of the level from the choice of blocks."""
    rng = np.random.default_rng(0)
    cells = cells_of(blocks.power) / floor.levels[:, None]
    counts = cells_of(multiplicity(blocks.sides)[None])[0]
    levels = []
    for _ in range(RESAMPLES):
        drawn = cells[rng.integers(len(cells), size=len(cells))]
        levels.append(np.sqrt((np.quantile(drawn, LEAST_SIGNAL, axis=0) * counts).sum()))
    return float(np.std(levels) / np.mean(levels))


def _bias(blocks: BlockSpectra, floor: Floor) -> float:
    """What may be wrong beside chance, as found on phantoms: few blocks are seldom empty.

    Blocks have no mean, and so lack about as much of the longest waves as they hold.
    """
    known = 0.01 + 0.1 * (1 - floor.evidence) + 0.1 * min(floor.doubt, 2.0) + 0.3 / np.sqrt(len(blocks.means))
    return float(known + LACKING * coarse_share(floor.spectrum, blocks.sides))
