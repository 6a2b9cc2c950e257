"""The noise floor: what all blocks share, told from signal, which some blocks hold and others do not.

The power of block b at frequency k is modelled as level(b) spectrum(k) + signal(b, k), with signal never negative and
absent from many (b, k). Levels come from frequencies without signal, the spectrum from the blocks with the least,
in turn; every quantile is calibrated on white noise. Where signal is in all blocks (the lowest frequencies), the
spectrum is continued from the frequencies around them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from meeum.noise.blocks import BlockSpectra, Ints, chance, multiplicity, white_blocks
from meeum.noise.emptiest import emptiest
from meeum.noise.levels import explain

Array = NDArray[Any]

LEAST_SIGNAL = 0.15  # quantile of the blocks that gives the floor at a frequency
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
              above about 0.5 nobody can say from one image whether it is noise
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
    spread of the blocks, and how rough its spectrum comes out.
    """

    floor: float
    least: float
    median: float
    spread: float
    level: float
    roughness: float


def find_floor(blocks: BlockSpectra) -> Floor:
    """The noise floor of at least about ten blocks; `evidence` and `doubt` say how far to trust it.

    Where doubt is high, no block is empty: the emptiest ones' fine structure is then taken for noise.
    """
    law = _law(blocks.sides)
    levels, cause, free = _alternate(blocks, law)
    floor = _finish(blocks, law, levels=levels, cause=cause, free=_uncells(free, blocks.power.shape[1:]))
    if floor.doubt <= DOUBTFUL:
        return floor
    rough = Floor(np.ones(len(levels)), "nothing", floor.spectrum, _finer_than(FINE, blocks.sides), 0.0, floor.doubt)
    return replace(rough, spectrum=spectrum_of(blocks, rough))


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
    return _Law(floor, least, median, float(np.median(_spread(cells))), level, float(np.std(np.log(clean))))


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


def _finish(blocks: BlockSpectra, law: _Law, *, levels: Array, cause: str, free: Array) -> Floor:
    least = np.quantile(_even(blocks, levels), LEAST_SIGNAL, axis=0) / law.least
    empty = Floor(levels, cause, least, free, evidence=0.0, doubt=0.0)
    spectrum = spectrum_of(blocks, empty)
    energy = spectrum * multiplicity(blocks.sides)
    left = np.maximum(least / np.maximum(spectrum, 1e-300) - 1, 0) * energy
    doubt = float(left[_finer_than(FINE, blocks.sides) & ~free].sum() / energy.sum())
    return replace(empty, spectrum=spectrum, evidence=float(energy[free].sum() / energy.sum()), doubt=doubt)


def spectrum_of(blocks: BlockSpectra, floor: Floor) -> Array:
    """The floor's spectrum (*half), from blocks with its levels and its frequencies free of signal.

    The median over the blocks where these are free of signal, and elsewhere the emptiest blocks or what the free
    frequencies lead one to expect, whichever is less. Where all is free and flat, flat.
    """
    law = _law(blocks.sides)
    even = _even(blocks, floor.levels)
    least = np.quantile(even, LEAST_SIGNAL, axis=0) / law.least
    if floor.doubt > DOUBTFUL:
        return np.where(floor.free, least, np.minimum(least, _continued(least, floor.free)))
    clean = np.median(even, axis=0) / law.median
    if _is_flat(clean, floor.free, blocks):
        return np.full(least.shape, _flat_level(even, least, blocks.sides, cause=floor.cause))
    return np.where(floor.free, clean, np.minimum(least, _continued(clean, floor.free)))


def _flat_level(even: Array, least: Array, sides: Ints, *, cause: str) -> float:
    """Level of white noise; where levels were fitted to a cause, their scatter is not chance alone."""
    finest = _finer_than(FINEST, sides)
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


def _finer_than(limit: float, sides: Ints) -> NDArray[np.bool_]:
    """Frequencies (*half) above `limit`, cycles per voxel."""
    axes = [np.fft.fftfreq(side) for side in sides[:-1]] + [np.fft.rfftfreq(sides[-1])]
    squares = [k**2 for k in np.meshgrid(*axes, indexing="ij", sparse=True)]
    return np.asarray(sum(squares[1:], squares[0]) > limit**2)


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
