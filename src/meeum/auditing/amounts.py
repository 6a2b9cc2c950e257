"""What is measured in an image and must not change: the mean of cells and of background, and dry mass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from meeum.auditing.finding import WARN, Finding, Kind
from meeum.auditing.means import (
    Estimate,
    cell_means,
    cell_sides,
    cell_sums,
    cell_variance,
    judged,
    masked_mean,
    widening,
)
from meeum.auditing.pair import Pair
from meeum.auditing.regions import MARGIN
from meeum.auditing.sampling import Floats, Mask

REFRACTIVE = "refractive index"
APART = 4  # voxels
RI_INCREMENT = 0.19  # mL/g, which is µm³/pg (Barer 1952)

MEANS = {
    part: Kind("values", f"mean of {part}", "RI", 0.0, "both", "RI", bound)
    for part, bound in (("cells", 3e-4), ("background", 5e-5))
}
MEANS_SIGMA = {part: replace(kind, unit="sigma", effect_unit="sigma", bound=0.1) for part, kind in MEANS.items()}
NOTICED = {"cells": 1e-4, "background": 5e-5}  # RI: what must hold; more than this is worth a warning
MASS = Kind("values", "dry mass", "%", 0.0, "both", "%", 0.5)


def amounts(pair: Pair) -> list[Finding]:
    """Means of cells and of background; for refractive index with a voxel size also dry mass."""
    chance = _chance(pair)
    found = [mean_change(pair, part, chance=chance) for part in MEANS]
    return [*found, dry_mass(pair, chance=chance)] if pair.noisy.quantity == REFRACTIVE else found


def mean_change(pair: Pair, part: str, *, chance: float) -> Finding:
    """Mean after less mean before over `part` ("cells", "background"), in RI or noise standard deviations; ideal 0.

    The parts were told apart in the noisy image, which chooses voxels whose noise suits: by the `chance` in that
    choice the mean may change, and should.
    """
    refractive = pair.noisy.quantity == REFRACTIVE
    kind = (MEANS if refractive else MEANS_SIGMA)[part]
    masks = [_apart(piece.background, pair.ratios) if part == "background" else piece.cells for piece in pair.pieces]
    scales = [np.ones(1, np.float32) if refractive else piece.level for piece in pair.pieces]
    estimate = _mean_change(pair, masks, scales, chance=chance)
    if not math.isfinite(estimate.error):
        return kind.untold(f"too few voxels belong to {part} beyond doubt")
    words = f"{estimate.value:+.2g} RI" if refractive else f"{estimate.value:+.3f} times the noise"
    found = judged(kind, estimate, f"The mean of {part} changed by {words}; all that is measured there shifts with it.")
    noticed = refractive and found.effect > NOTICED[part] and found.p_value < WARN
    if noticed and found.verdict in ("pass", "cannot tell"):
        found = replace(found, verdict="warn", reason="")
    return found


def _apart(background: Mask, ratios: Sequence[float]) -> Mask:
    """Background at least `APART` voxels from cells along every axis, where voxels are long."""
    reach = [max(0, APART - math.ceil(MARGIN / ratio)) for ratio in ratios]
    if not any(reach):
        return background
    return np.asarray(ndimage.minimum_filter(background, [2 * r + 1 for r in reach], mode="nearest"))


def _mean_change(pair: Pair, masks: Sequence[Mask], scales: Sequence[Floats], *, chance: float) -> Estimate:
    """Mean over the masks of denoised less noisy, over the scale."""
    sides = cell_sides(pair.ratios)
    counts = [cell_sums(mask.astype(np.float32), sides).ravel() for mask in masks]
    changes, values = (
        [
            cell_sums(np.divide(image, scale, out=np.zeros_like(image), where=mask & (scale > 0)), sides).ravel()
            for image, mask, scale in zip(images, masks, scales, strict=True)
        ]
        for images in ([-piece.residual for piece in pair.pieces], [piece.noisy for piece in pair.pieces])
    )
    found = masked_mean(np.concatenate(changes), np.concatenate(counts), wide=widening(pair.noise, sides))
    inside = np.concatenate(values).sum() / max(np.concatenate(counts).sum(), 1)
    return replace(found, bias=-chance * float(inside))


def _chance(pair: Pair) -> float:
    """How far the mean of a part, less that of the image, is expected to be noise: its share of coarse variance."""
    sides = cell_sides(pair.ratios)
    means = np.concatenate([cell_means(piece.noisy, piece.valid, sides).ravel() for piece in pair.pieces])
    variance = float(np.nanvar(means)) if np.isfinite(means).any() else 0.0
    own = pair.noise.std**2 * cell_variance(pair.noise, sides)
    return min(1.0, own / variance) if variance > 0 else 1.0


def apart(value: float, bound: float) -> str:
    """With two decimals, or as many more as it takes to see on which side of its bound, of either sign, it lies."""
    decimals = 2
    while round(abs(value), decimals) == bound != abs(value):
        decimals += 1
    return f"{value:+.{decimals}f}"


def dry_mass(pair: Pair, *, chance: float) -> Finding:
    """Change of sum(n - n_medium), %: times the voxel's volume / 0.19 µm³/pg it is mass (Barer 1952).

    The sum runs over cells and what is near them, so that blur moves no mass out of it.
    """
    medium, edges = pair.noisy.medium_index, pair.noisy.voxel_size_um
    if medium is None or edges is None:
        return MASS.untold("dry mass needs the medium's refractive index and the voxel size")
    masks = [piece.valid & ~piece.background for piece in pair.pieces]
    voxels = sum(int(np.count_nonzero(mask)) for mask in masks)
    change = _mean_change(pair, masks, [np.ones(1, np.float32)] * len(masks), chance=chance)
    if not math.isfinite(change.error):
        return MASS.untold("too few voxels belong to cells")
    total = sum(float(piece.noisy[mask].sum(dtype=np.float64)) for piece, mask in zip(pair.pieces, masks, strict=True))
    contrast = total / voxels + pair.offset - medium
    if not contrast > 3 * change.error:
        return MASS.untold("what is brightest here is hardly brighter than the medium")
    value, error, bias = (100 * part / contrast for part in (change.value, change.error, change.bias))
    percent = Estimate(value, error, change.freedom, bias)
    changed = f"The dry mass of cells changed by {apart(percent.value, MASS.bound)} %"
    sentence = (
        f"{changed}; beyond what noise explains, more than {MASS.bound / 2:g} % is worth a warning, "
        f"more than {MASS.bound:g} % fails."
    )
    before = voxels * contrast * math.prod(edges) / RI_INCREMENT
    details = {"mass before (pg)": before, "mass after (pg)": before * (1 + percent.value / 100)}
    return replace(judged(MASS, percent, sentence), details=details)
