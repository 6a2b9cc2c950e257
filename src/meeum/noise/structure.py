"""Signs that what all blocks share is structure and not noise: long waves, bright dots, detail."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meeum.noise.blocks import BlockSpectra, Ints, cycles, multiplicity

Array = NDArray[Any]

LEAST_SIGNAL = 0.15  # quantile of the blocks that gives the floor at a frequency
FINER = 0.25  # cycles per voxel above which, in a volume, the emptiest blocks hold hardly any
COARSE, LONG = 0.08, 0.18  # cycles per voxel below which noise of a volume seldom has that share of its energy
WAVES, WAVY = 1.75, 8  # in a block, up to which a wave is among its longest; voxels along an axis that has waves
ALL_NOISE = 0.9  # evidence from which it may
SKEWED = 1.3  # skewness that noise does not have, nor its maximum over planes (1.14 over infinitely many)


def detail_over(spectrum: Array, blocks: BlockSpectra) -> float:
    """Mean power of the blocks over a spectrum (*half) of noise, geometric mean over fine frequencies."""
    fine = cycles(blocks.sides) > FINER
    if not fine.any():
        return 1.0
    ratio = blocks.power.mean(axis=0, dtype=np.float64)[fine] / np.maximum(spectrum[fine], 1e-300)
    return float(np.exp(np.average(np.log(np.maximum(ratio, 1e-300)), weights=multiplicity(blocks.sides)[fine])))


def coarse_share(spectrum: Array, sides: Ints) -> float:
    """Share of the energy of a spectrum (*half) in the longest waves that blocks hold."""
    energy = spectrum * multiplicity(sides)
    return float(energy[_longest(sides)].sum() / energy.sum())


def is_long_waves(energy: Array, evidence: float, sides: Ints) -> bool:
    """Whether much of what blocks share is long waves: structure that all of them hold, unless all is noise."""
    coarse = _longest(sides) | ~(cycles(sides) > COARSE)
    return bool(evidence < ALL_NOISE and energy[coarse].sum() > LONG * energy.sum())


def _longest(sides: Ints) -> NDArray[np.bool_]:
    """Frequencies (*half) of the longest waves; axes that are too short for any do not count."""
    long_enough = min((side for side in sides if side >= WAVY), default=max(sides))
    return np.asarray(~(cycles(sides) > WAVES / long_enough))


def holds_dots(blocks: BlockSpectra) -> bool:
    """Whether bright dots stand out even in the emptiest blocks; noise lies as far below its mean as above."""
    energy = blocks.power.mean(axis=tuple(range(1, blocks.power.ndim)))
    return bool(np.median(blocks.skews[energy <= np.quantile(energy, LEAST_SIGNAL)]) > SKEWED)
