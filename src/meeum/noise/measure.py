"""Measure the noise of images from nothing but themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from meeum.errors import MeeumError, UsageError
from meeum.noise.blocks import ENOUGH, BlockSpectra, block_spectra, multiplicity
from meeum.noise.clipping import CLIPPED, MORE, SIDE
from meeum.noise.floor import DOUBTFUL, LEAST_SIGNAL, Floor, cells_of, coarse_share, detail_over, find_floor
from meeum.noise.impulses import without_impulses
from meeum.noise.noise import Array, Noise, level_and_shape, place_terms
from meeum.volume import Volume, difference

RESAMPLES = 8
UNSURE = 0.06  # relative error of a coloured level from which a first training tells more
LACKING = 0.7  # of the share of the longest waves: how far off smooth noise's level was
ROUNDING = 1e-3  # of the noise: how far above the clip values may lie by rounding

REPEATS = "repeats of the same field"
TIMES = "differences between time points"
EMPTY = "the emptiest blocks and the frequencies without signal"
ROUGH = "the fine structure of the emptiest blocks: no block is empty, so this may be signal"
TRAINED = "the emptiest blocks, and what a first training bears out of that"
UNCLIPPED = "small blocks that clipping left alone, and the correlation in the emptiest blocks"


def measure(noisy: Volume | Sequence[Volume], *, repeat: Volume | None = None) -> Noise:
    """Level, spectrum and dependences of the noise of one or more images of the same axes.

    Sources, best first: a `repeat` (a second recording of the same field), time points, and within one image its
    emptiest blocks and the frequencies at which no block holds signal; where many of its values were cut off, the
    level comes from small blocks beside them. `evidence` and `doubt` tell how well that worked. MeeumError if no block
    of the image was measured throughout.
    """
    volumes = [noisy] if isinstance(noisy, Volume) else list(noisy)
    frames = [volume.frame(index) for volume in volumes for index in range(volume.frame_count)]
    pairs, source = _pairs(volumes, repeat)
    blocks = block_spectra(
        [difference(*pair, factor=np.sqrt(0.5)) for pair in pairs] or frames, signal=[one for one, _ in pairs]
    )
    if len(blocks.means) == 0 and repeat is None:  # frames that are copies of each other
        pairs, source, blocks = [], "", block_spectra(frames)
    if len(blocks.means) == 0:
        raise MeeumError(
            f"{volumes[0].name}: the noise cannot be measured: each of the {blocks.tried} blocks of "
            f"{'x'.join(map(str, blocks.sides))} voxels looked at is constant or holds voxels that were never measured"
        )
    noise = _measured(blocks, source)
    if not pairs and np.isfinite(blocks.clips).mean() > CLIPPED:
        return _beside_clipping(frames, noise, float(np.nanmedian(blocks.clips)))
    if not pairs and noise.is_impulsive:
        return replace(noise, rest_std=_beside_impulses(frames))
    return noise


def is_uncertain(noise: Noise) -> bool:
    """Whether what was taken for noise may hold much structure, so that a first training can tell more."""
    return noise.source == ROUGH or (noise.source == EMPTY and noise.uncertainty > UNSURE and not noise.is_white)


def _measured(blocks: BlockSpectra, source: str) -> Noise:
    """Without a `source`, what the blocks hold says whether noise was measured or may have been."""
    floor = find_floor(blocks)
    noise = _assembled(blocks, floor, source or (EMPTY if floor.doubt <= DOUBTFUL else ROUGH))
    return replace(noise, uncertainty=float(np.hypot(_bootstrap(blocks, floor), _bias(blocks, floor))))


def _beside_clipping(frames: Sequence[Volume], noise: Noise, clip: float) -> Noise:
    """The level from small blocks that clipping left alone, if there are enough: it halves the noise of the others."""
    blocks = block_spectra(frames, longest=(SIDE,), times=MORE)
    blocks = blocks.only(np.isnan(blocks.clips))
    if len(blocks.means) < ENOUGH:
        return noise
    beside = replace(_measured(blocks, UNCLIPPED), spectrum=noise.spectrum, sides=noise.sides, tails=noise.tails)
    return replace(beside, clip=clip + ROUNDING * beside.std)


def _beside_impulses(frames: Sequence[Volume]) -> float:
    """The level with voxels far off taken out; 0 if every block is constant then."""
    blocks = block_spectra(frames, change=without_impulses)
    return _measured(blocks, "").std if len(blocks.means) else 0.0


def _pairs(volumes: Sequence[Volume], repeat: Volume | None) -> tuple[list[tuple[Volume, Volume]], str]:
    """Frames that show the same field, and what they are; nothing of either if there are none."""
    if repeat is not None:
        if len(volumes) != 1 or repeat.shape != volumes[0].shape:
            raise UsageError(
                f"{repeat.name}: a repeat must have the shape of the image, {'x'.join(map(str, volumes[0].shape))}, "
                f"but has {'x'.join(map(str, repeat.shape))}"
            )
        pairs = [(volumes[0].frame(i), repeat.frame(i)) for i in range(repeat.frame_count)]
        return pairs, REPEATS
    pairs = [(v.frame(i), v.frame(i + 1)) for v in volumes for i in range(v.frame_count - 1)]
    return pairs, TIMES if pairs else ""


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
    design = np.stack([np.ones(len(means)), means], axis=1) / variances[:, None]
    (read, gain), *_ = np.linalg.lstsq(design, np.ones(len(means)), rcond=None)
    return float(read), float(gain)


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
