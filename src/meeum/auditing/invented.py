"""Structure in the output that the input does not support (hallucination), and structure of the input that is lost."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy import ndimage

from meeum.auditing.finding import RADIUS_4, WARN, Finding, Kind, seen_from
from meeum.auditing.layers import BALL, HIGHEST, SMOOTH, Layer, bands, median
from meeum.auditing.pair import Pair, Piece, lopsided
from meeum.auditing.sampling import Floats, Mask
from meeum.auditing.support import (
    ALLOWANCE,
    POWER,
    Search,
    Spot,
    clusters,
    decidable,
    distinct,
    distrust,
    layers_of,
    located,
    search,
)
from meeum.auditing.surrogates import Null, null_of

UNIT = "noise standard deviations"  # of contrast
MADE = Kind("invented", "structure without support in the input", UNIT, 0.0, "above", UNIT, 1.0)
# The least that can be decided in mildly correlated noise.
LOST = Kind("invented", "structure lost", UNIT, 0.0, "above", UNIT, 1.5)
UNSUPPORTED, WEAKLY = 0.5, 0.75  # support slopes below which structure of the background, or of cells, is doubted
INVERTED = -0.5  # below, a structure is no invention but inverted
LOST_SHARE = 0.5  # of a structure's contrast
MILD_SIGMA, MILD = 1.0, 2.0  # and more than MILD times what a Gaussian filter of that sigma (voxels) takes
DISTRUST = 3.0  # of the noise's spectrum, where none of it was seen bare
QUIET_SHARE = 0.2  # of the places, the quietest, hold no lost structure


def invented(pair: Pair) -> list[Finding]:
    """Contrast, in noise standard deviations, of structure (1) made up and (2) lost; ideal 0, above is worse.

    (1) Support slope significantly below 1 (`layers`), and below 0.5 in the background, 0.75 elsewhere.
    (2) Structure of the residual against the noise, where it holds most of the input's contrast.
    """
    reason = lopsided(pair) or decidable(pair)
    if reason:
        return [kind.untold(reason, f"Whether there is {kind.title} cannot be told.") for kind in (MADE, LOST)]
    null = null_of(pair, SMOOTH)
    gone = _lost(pair, null)
    made = _apart(search(pair, _unsupported, null, least=MADE.bound / 2), gone)
    return [_finding(MADE, made), _finding(LOST, gone)]


def _apart(made: Search, gone: Search) -> Search:
    """Without what is only the surroundings of a clearer loss: what is left beside it seems to have been made up."""

    def beside(one: Spot, other: Spot) -> bool:
        reach = 2 * max(one.place.radius, other.place.radius) + BALL
        return one.place.frame == other.place.frame and math.dist(one.place.centre, other.place.centre) < reach

    kept = (s for s in made.spots if not any(beside(s, loss) and loss.score > s.score for loss in gone.spots))
    return replace(made, spots=tuple(kept))


def _unsupported(layer: Layer, background: Mask) -> Floats:
    """What the output has more than the input, where that is most of it and the input shows nothing else there."""
    slope = layer.slope
    doubted = (slope < np.where(background, UNSUPPORTED, WEAKLY)) & (slope > INVERTED)
    doubted &= layer.unexplained < HIGHEST * median(layer.rest, layer.valid)
    return np.asarray(np.maximum(-layer.projection, 0) * doubted)


def _lost(pair: Pair, null: Null) -> Search:
    """Blobs of the residual that hold most of what the input shows at the same place."""
    null = replace(null, rate=1.0)  # hardly two places are alike
    std, doubt = np.float32(pair.noise.std), ALLOWANCE * distrust(pair, DISTRUST)
    spots, places, hits, faintest = list[Spot](), 0, 0, math.inf
    for piece in pair.pieces:
        mild = bands([_mildly_lost(piece, std)], piece.valid, pair.ratios, boxes=null.boxes)
        for i, (layer, (_, _, (reference,))) in enumerate(zip(layers_of(piece, pair, null.boxes), mild, strict=True)):
            noise = _noise(layer, null, i) * doubt * layer.grid.sampled(piece.level) / std
            size, height = np.abs(layer.residual), null.height[i]
            score, contrast = (np.asarray(size / unit, dtype=np.float32) for unit in (noise, height))
            sure = np.minimum(score, np.abs(layer.output + layer.residual) / noise) > null.threshold(0.05, pair.voxels)
            there = _is_lost(layer, reference) & (contrast > LOST.bound / 2) & sure
            spots += clusters(pair, piece, layer, (contrast, score, there))
            places, hits = places + int(np.count_nonzero(layer.valid)), hits + int(np.count_nonzero(there))
            faintest = min(faintest, float(np.median(noise)) / height)
    limit = (null.threshold(WARN, places) + POWER) * faintest
    return Search(distinct(spots, null, places), places, hits / max(places, 1), limit, limit, null)


def _mildly_lost(piece: Piece, std: np.float32) -> Floats:
    """What a mild filter takes from the input, noise standard deviations."""
    smooth = ndimage.gaussian_filter(piece.noisy, MILD_SIGMA, truncate=3.0)
    return np.asarray((piece.noisy - smooth) * piece.valid / std, dtype=np.float32)


def _noise(layer: Layer, null: Null, number: int) -> Floats:
    """Standard deviation of the noise's structure: as measured, or more if the quietest places of the rest say so."""
    quiet = float(np.quantile(layer.rest[layer.valid], QUIET_SHARE)) if layer.valid.any() else 0.0
    inside, rim = null.band[number]
    return np.asarray(inside * math.sqrt(max(1.0, quiet / null.rest[number])) * np.where(layer.rim, rim, 1))


def _is_lost(layer: Layer, reference: Floats) -> Mask:
    lost, whole = layer.residual, layer.output + layer.residual
    share = np.divide(lost, whole, out=np.zeros_like(whole), where=whole != 0)
    around = (layer.product + layer.power) > LOST_SHARE * (layer.energy + 2 * layer.product + layer.power)
    mild = np.where(reference * lost > 0, np.abs(reference), 0)
    return np.asarray(
        layer.valid & around & (share > LOST_SHARE) & (share < 1 - INVERTED) & (np.abs(lost) > MILD * mild)
    )


WORDS = {  # where something is found, and where nothing is
    MADE: (
        "The output shows {count} structure{s} that the input does not support, the strongest around voxel "
        "({where}): {contrast:.1f} times the noise, of which {slope:.0f} % is in the input.",
        "No structure without support in the input.",
    ),
    LOST: (
        "Structure of the input is missing in {count} place{s}, most of it around voxel ({where}): "
        "{contrast:.1f} times the noise.",
        "No structure of the input is missing.",
    ),
}


def _sentence(kind: Kind, found: Search) -> str:
    (some, none), spot = WORDS[kind], found.worst
    if spot is None:
        return none + seen_from(RADIUS_4, found.limit_among)
    return some.format(
        count=len(found.spots),
        s="s" * (len(found.spots) > 1),
        where=", ".join(f"{c:.0f}" for c in spot.place.centre),
        contrast=spot.place.strength,
        slope=100 * max(0.0, spot.slope),
    )


def _finding(kind: Kind, found: Search) -> Finding:
    effect, chance = found.worst.place.strength if found.worst else 0.0, found.p_value(found.worst)
    told = kind.finding(effect, effect, _sentence(kind, found), p_value=chance, limit=found.limit_among)
    told = located(told, found)
    return replace(told, details={**told.details, "slopes": [spot.slope for spot in found.spots]})
