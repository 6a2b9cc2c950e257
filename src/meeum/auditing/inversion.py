"""Inverted contrast: places where the output is bright for what is dark in the input, or the reverse."""

from __future__ import annotations

import math

import numpy as np

from meeum.auditing.finding import RADIUS_4, Finding, Kind, seen_from
from meeum.auditing.layers import FINE, Layer
from meeum.auditing.pair import Pair
from meeum.auditing.sampling import Floats, Mask
from meeum.auditing.support import Search, decidable, located, search
from meeum.auditing.surrogates import null_of
from meeum.noise import Noise

UNIT = "noise standard deviations"  # of contrast
# What is fainter cannot be seen in the input either.
INVERTED = Kind("inversion", "inverted contrast", UNIT, 0.0, "above", UNIT, 2.0)
EVERYWHERE = 0.5  # share of the structure looked at, above which the whole image is inverted


def inversion(pair: Pair) -> list[Finding]:
    """Contrast of the strongest structure that is inverted, noise standard deviations; ideal 0, above is worse.

    Support slope beta = sum_w X Y / sum_w X^2 < 0 (`layers`), beyond the highest that noise alone gives anywhere.
    Cells and background as a whole are compared besides: structures larger than the windows.
    """
    reason = decidable(pair)
    if reason:
        return [INVERTED.untold(reason, "Whether contrast is inverted cannot be told.")]
    found = search(pair, _inverted, null_of(pair, FINE), least=INVERTED.bound / 2)
    swapped, p_swapped = _swap(pair)
    if swapped > 0 and p_swapped < 1e-3 and (found.worst is None or found.worst.place.strength < swapped):
        sentence = (
            f"Cells and background have changed places: their contrast, {swapped:.1f} times the noise, is inverted."
        )
        return [_finding(found, swapped, sentence, p_value=p_swapped)]
    return [_local(found)]


def _inverted(layer: Layer, background: Mask) -> Floats:
    """The lesser of what is inverted in the input and its amplitude in the output."""
    del background
    return np.asarray(np.maximum(np.minimum(-(layer.amplitude + layer.projection), layer.amplitude), 0))


def _local(found: Search) -> Finding:
    worst = found.worst
    if worst is None:
        return _finding(found, 0.0, f"No structure with inverted contrast.{seen_from(RADIUS_4, found.limit)}")
    where = ", ".join(f"{c:.0f}" for c in worst.place.centre)
    extent = (
        "The contrast of the image is inverted throughout"
        if found.share > EVERYWHERE
        else f"Contrast is inverted in {len(found.spots)} place{'s' * (len(found.spots) > 1)}"
    )
    sentence = f"{extent}, most strongly around voxel ({where}): {worst.place.strength:.1f} times the noise."
    return _finding(found, worst.place.strength, sentence, p_value=found.p_value(worst))


def _swap(pair: Pair) -> tuple[float, float]:
    """Contrast of cells with background where its sign has changed, noise standard deviations, and its p-value."""
    sums = np.zeros((2, 3))  # cells, background; count, noisy, denoised
    for piece in pair.pieces:
        for number, part in enumerate((piece.cells, piece.background)):
            before, after = (float(image[part].sum(dtype=np.float64)) for image in (piece.noisy, piece.denoised))
            sums[number] += (np.count_nonzero(part), before, after)
    if sums[:, 0].min() < 1:
        return 0.0, 1.0
    before, after = (float(c) for c in (sums[0, 1:] / sums[0, 0] - sums[1, 1:] / sums[1, 0]) / pair.noise.std)
    spread = math.sqrt(_low_frequency(pair.noise) * (1 / sums[0, 0] + 1 / sums[1, 0]))
    contrast = min(abs(before), abs(after)) if before * after < 0 else 0.0
    return contrast, math.erfc(contrast / spread / math.sqrt(2))


def _low_frequency(noise: Noise) -> float:
    """Variance of sums over large regions, per voxel and per variance of a voxel."""
    return max(float(noise.spectrum.flat[0]), 1.0)


def _finding(found: Search, effect: float, sentence: str, *, p_value: float = 1.0) -> Finding:
    return located(INVERTED.finding(effect, effect, sentence, p_value=p_value, limit=found.limit), found)
