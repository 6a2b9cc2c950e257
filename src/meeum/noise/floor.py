"""The noise floor: what all blocks share, told from signal, which some blocks hold and others do not.

The power of block b at frequency k is modelled as level(b) spectrum(k) + signal(b, k), with signal never negative and
absent from many (b, k). Levels come from frequencies without signal, the spectrum from the blocks with the least,
in turn; every quantile is calibrated on white noise. Where signal is in all blocks (the lowest frequencies), the
spectrum is continued from the frequencies around them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from meeum.noise.blocks import BlockSpectra, Ints, chance, cycles, multiplicity, white_blocks
from meeum.noise.emptiest import emptiest, shared
from meeum.noise.levels import explain
from meeum.noise.structure import FINER, LEAST_SIGNAL, holds_dots, is_long_waves

Array = NDArray[Any]

ROUNDS = 5
QUANTILES = (0.15, 0.90)  # of the blocks: far apart where some hold signal at a frequency and others do not
EXCESS = (0.25, 0.3)  # how much farther apart (in logs) than noise's own they may be, and the width of the transition
FINE = 0.2  # cycles per voxel above which structure is rare
DOUBTFUL = 0.5  # of the noise's energy: when more fine structure than this is left out, no block is empty
FINEST = 0.4  # cycles per voxel above which the level of white noise is taken: textures reach least far there
CALIBRATION = 200  # blocks of white noise


@dataclass(frozen=True)
class Floor:
    """What the blocks share.

    levels    (B,) relative variance of each block, mean 1, as its place or mean value predict it
    cause     what the level follows: "nothing", "place" or "signal"
    spectrum  (*half) variance per frequency, data units squared
    free      (*half) frequencies without signal in most blocks
    evidence  share of the noise's energy that lies at those frequencies
    doubt     energy at fine frequencies that even the emptiest blocks hold and `spectrum` leaves out, as a share of it:
              above about 0.5 nobody can say from one image whether it is noise; 1 where long waves are in all blocks
    """

    levels: Array
    cause: str
    spectrum: Array
    free: Array
    evidence: float
    doubt: float


@dataclass(frozen=True)
class _Law:
    """What white noise gives: floor (of cells, and of single frequencies), median and level over the true ones, the
    spread of the blocks, how rough its spectrum comes out, and the relative variance of each cell (C,).
    """

    floor: float
    least: float
    median: float
    spread: float
    level: float
    roughness: float
    chance: Array


def find_floor(blocks: BlockSpectra) -> Floor:
    """The noise floor of at least about ten blocks; `evidence` and `doubt` say how far to trust it.

    Where doubt is high, no block is empty: the emptiest ones' fine structure is then taken for noise.
    """
    levels, cause, cells = _alternate(blocks, _law(blocks.sides))
    spectrum, free, doubt = _spectrum(blocks, levels, cause, _uncells(cells, blocks.power.shape[1:]))
    energy = spectrum * multiplicity(blocks.sides)
    evidence = float(energy[free].sum() / energy.sum())
    if len(blocks.sides) == 3 and is_long_waves(energy, evidence, blocks.sides):
        doubt = max(doubt, 1.0)
    if np.ptp(spectrum) > 0 and holds_dots(blocks):
        doubt = max(doubt, 1.0)
    return _rough(blocks, doubt) if doubt > DOUBTFUL else Floor(levels, cause, spectrum, free, evidence, doubt)


@lru_cache(maxsize=8)
def _law(sides: Ints) -> _Law:
    blocks = white_blocks(sides, CALIBRATION)
    cells = cells_of(blocks.power)
    floor = float(np.quantile(cells, LEAST_SIGNAL, axis=0).mean() / cells.mean())
    median = float(np.median(blocks.power, axis=0).mean() / blocks.power.mean())
    weights = cells_of(multiplicity(sides)[None])[0]
    medians = _medians(cells, np.full(cells.shape[1:], cells.mean()), weights)
    level = float(np.exp(np.log(medians).mean()))
    clean = np.median(blocks.power, axis=0) / median
    least = float(np.quantile(blocks.power, LEAST_SIGNAL, axis=0).mean() / blocks.power.mean())
    chances = cells.var(axis=0, dtype=np.float64) / cells.mean(axis=0, dtype=np.float64) ** 2
    return _Law(floor, least, median, float(np.median(_spread(cells))), level, float(np.std(np.log(clean))), chances)


def _alternate(blocks: BlockSpectra, law: _Law) -> tuple[Array, str, Array]:
    """Levels (B,), what they follow, and the cells (C,) free of signal."""
    cells = cells_of(blocks.power)
    counts = cells_of(multiplicity(blocks.sides)[None])[0]
    levels, cause, clean = np.ones(len(cells)), "nothing", np.ones(cells.shape[1])
    margin, width = EXCESS
    for _ in range(ROUNDS):
        even = cells / levels[:, None]
        floor = np.quantile(even, LEAST_SIGNAL, axis=0) / law.floor
        clean = 1 / (1 + (np.maximum(_spread(even) - law.spread - margin, 0) / width) ** 4)
        weights = counts * clean * np.sqrt(np.maximum(floor / floor.max(), 1e-3))
        levels, cause = explain(_medians(cells, floor, weights) / law.level, blocks)
    return levels, cause, clean > 0.5


def _spectrum(
    blocks: BlockSpectra, levels: Array, cause: str, free: NDArray[np.bool_]
) -> tuple[Array, NDArray[np.bool_], float]:
    """The floor's spectrum (*half), the frequencies at which no signal hides it, and the doubt; flat where all is flat.

    In a volume, the median over the blocks where these are `free` of signal, and the emptiest blocks at other fine
    frequencies. In a plane, whose blocks are many, what the emptiest of them share. Elsewhere the emptiest blocks or
    what the known frequencies lead one to expect, whichever is less.
    """
    law, even = _law(blocks.sides), _even(blocks, levels)
    least = np.quantile(even, LEAST_SIGNAL, axis=0) / law.least
    known = np.median(even, axis=0) / law.median
    if _is_flat(known, free, blocks):
        flat = np.full(least.shape, _flat_level(even, least, blocks.sides, cause=cause))
        return flat, free, _doubt(flat, least, free, blocks.sides)
    if len(blocks.sides) == 2:
        cells, agreed = shared(cells_of(even), law.chance)
        known = least * _uncells(cells / np.maximum(cells_of(least[None])[0], 1e-300), least.shape)
        free = _uncells(agreed, least.shape)
        spectrum = _completed(known, np.minimum(known, least), free)
        return spectrum, free, _doubt(spectrum, least, free, blocks.sides)
    doubt = _doubt(_completed(known, least, free), least, free, blocks.sides)
    return _completed(np.where(free, known, least), least, free | (cycles(blocks.sides) > FINER)), free, doubt


def _completed(known: Array, most: Array, where: NDArray[np.bool_]) -> Array:
    """A spectrum that is `known` in places; elsewhere what these lead one to expect, but `most` at most."""
    return np.where(where, known, np.minimum(most, _continued(known, where)))


def _doubt(spectrum: Array, least: Array, free: NDArray[np.bool_], sides: Ints) -> float:
    """Energy at fine frequencies that even the emptiest blocks hold and the spectrum leaves out, as a share of it."""
    energy = spectrum * multiplicity(sides)
    left = np.maximum(least / np.maximum(spectrum, 1e-300) - 1, 0) * energy
    return float(left[(cycles(sides) > FINE) & ~free].sum() / energy.sum())


def _rough(blocks: BlockSpectra, doubt: float) -> Floor:
    """The finest structure of the emptiest blocks, and what it leads one to expect at coarser frequencies."""
    least = np.quantile(blocks.power, LEAST_SIGNAL, axis=0) / _law(blocks.sides).least
    fine = cycles(blocks.sides) > FINER
    return Floor(np.ones(len(blocks.means)), "nothing", _completed(least, least, fine), fine, 0.0, doubt)


def _flat_level(even: Array, least: Array, sides: Ints, *, cause: str) -> float:
    """Level of white noise; where levels were fitted to a cause, their scatter is not chance alone."""
    finest = cycles(sides) > FINEST
    if cause != "nothing":
        return float(least[finest].mean())
    return emptiest(even[:, finest].mean(axis=1, dtype=np.float64), chance(sides, finest))


def _even(blocks: BlockSpectra, levels: Array) -> Array:
    return np.asarray(blocks.power / levels.reshape(-1, *(1 for _ in blocks.sides)))


def _is_flat(spectrum: Array, free: Array, blocks: BlockSpectra) -> bool:
    """Whether the spectrum varies no more than that of white noise, seen in as many blocks, would."""
    if not free.any():
        return False
    chance = _law(blocks.sides).roughness * np.sqrt(2 * CALIBRATION / len(blocks.means))  # blocks overlap
    return bool(np.std(np.log(spectrum[free])) < 0.15 + 2 * chance)


def cells_of(power: Array) -> Array:
    """(B, *half) -> (B, C): means over two neighbouring frequencies per axis, for speed."""
    for axis in range(1, power.ndim):
        edges = np.arange(0, power.shape[axis], 2)
        sizes = np.diff([*edges, power.shape[axis]])
        shape = [-1 if a == axis else 1 for a in range(power.ndim)]
        power = np.add.reduceat(power, edges, axis=axis) / sizes.reshape(shape)
    return power.reshape(len(power), -1)


def _uncells(cells: Array, half: Ints) -> Array:
    values = cells.reshape([-(-n // 2) for n in half])
    for axis, size in enumerate(half):
        values = np.repeat(values, 2, axis=axis).take(np.arange(size), axis=axis)
    return values


def _spread(cells: Array) -> Array:
    """Log ratio of two quantiles over the blocks, per frequency: small where all blocks hold the same."""
    low, high = np.quantile(cells, QUANTILES, axis=0)
    return np.asarray(np.log((high + 1e-300) / (low + 1e-300)))


def _medians(cells: Array, spectrum: Array, weights: Array) -> Array:
    """(B,) weighted median over the frequencies of power over spectrum."""
    ratios = cells / spectrum
    order = np.argsort(ratios, axis=1)
    ranks = np.cumsum(weights[order], axis=1)
    at = (ranks < 0.5 * ranks[:, -1:]).sum(axis=1)
    return np.asarray(
        np.take_along_axis(ratios, order, axis=1)[np.arange(len(cells)), np.minimum(at, ratios.shape[1] - 1)]
    )


def _continued(spectrum: Array, known: Array) -> Array:
    """The known frequencies' spectrum carried on into the others, from the nearest scale that reaches them."""
    if not known.any():
        return spectrum
    logs, weight = np.log(np.maximum(spectrum, 1e-300)), known.astype(float)
    modes = ["wrap"] * (spectrum.ndim - 1) + ["mirror"]
    result = np.full(spectrum.shape, np.nan)
    for sigma in (1, 2, 3, 4, 6, 8, 12, 24):
        total = scipy.ndimage.gaussian_filter(logs * weight, sigma, mode=modes)
        share = scipy.ndimage.gaussian_filter(weight, sigma, mode=modes)
        new = np.isnan(result) & (share > 0.05)
        result[new] = total[new] / share[new]
    return np.where(np.isnan(result), spectrum, np.exp(result))
