"""Where the output is not borne out by the input: clusters of places, against what noise alone would do."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from scipy.stats import norm

from meeum.auditing.finding import FAIL, WARN, Finding, Picture, Place
from meeum.auditing.layers import COARSENESS, Boxes, Grid, Ints, Layer, box_mean, layers
from meeum.auditing.pair import Pair, Piece
from meeum.auditing.sampling import Floats, Mask
from meeum.auditing.surrogates import Null, tested

POWER = float(norm.isf(0.2))  # what is found in four of five cases
ALLOWANCE = 1.1  # on the noise: few surrogates tell little of the places where the output is most coherent
TRUSTED = 0.5  # share of the noise's energy seen bare from which its spectrum is taken as it is
MOST_DISTRUST = 0.5  # besides what is left unexplained around a place, which tells most
FEWEST = 400  # voxels; in fewer, nothing can be told
MOST_PLACES = 20
PICTURES = 3  # kept per layer

Rule = Callable[[Layer, Mask], Floats]  # layer, background -> damage in units of the projection, 0 where there is none


@dataclass(frozen=True)
class Spot:
    """A cluster of places at its clearest: score in standard deviations, contrast (`place.strength`), support slope."""

    place: Place
    score: float
    slope: float
    picture: Picture | None


@dataclass(frozen=True)
class Search:
    """All clear clusters, the clearest first.

    places  looked at, `share` of them damaged
    limit   smallest contrast, of a ball, that is found in four of five cases where all contrast is damaged
    limit_among  the same where it is added to structure as strong as that of half of the places
    """

    spots: tuple[Spot, ...]
    places: int
    share: float
    limit: float
    limit_among: float
    null: Null

    @property
    def worst(self) -> Spot | None:
        """Of the clusters beyond doubt the one of the strongest contrast; if there is none, the clearest."""
        sure = [spot for spot in self.spots if self.p_value(spot) < FAIL]
        return max(sure, key=lambda spot: spot.place.strength, default=self.spots[0] if self.spots else None)

    def p_value(self, spot: Spot | None) -> float:
        """That noise alone gives a cluster as clear as this; of none, 1."""
        return self.null.p_value(spot.score, self.places) if spot else 1.0

    @property
    def picture(self) -> Picture | None:
        """That of the worst spot, or else the clearest that has one."""
        first = [self.worst] if self.worst else []
        return next((spot.picture for spot in (*first, *self.spots) if spot.picture), None)


def located(told: Finding, found: Search) -> Finding:
    """With where it was found, and how much was looked at."""
    places, details = tuple(spot.place for spot in found.spots), {"share": found.share, "looked_at": found.places}
    return replace(told, places=places, picture=found.picture, details=details)


def decidable(pair: Pair) -> str:
    """Why nothing can be told of the pair; empty if something can."""
    if not (math.isfinite(pair.noise.std) and pair.noise.std > 0):
        return "the level of the noise is not known"
    if pair.voxels < FEWEST:
        return f"only {pair.voxels} voxels were measured in both images"
    return ""


def search(pair: Pair, rule: Rule, null: Null, *, least: float) -> Search:
    """Clusters where `rule` sees a contrast above `least` that noise alone does not give."""
    spots, places, hits, doubt = list[Spot](), 0, 0, np.float32(ALLOWANCE * distrust(pair, MOST_DISTRUST))
    typical: list[list[tuple[float, float]]] = [[] for _ in COARSENESS]  # noise and amplitude
    for piece in pair.pieces:
        for i, layer in enumerate(layers_of(piece, pair, null.boxes)):
            seen = tested(layer, null.gain[i])
            noise = null.noise_around(layer, i)
            noise *= doubt * _unlike(layer, noise, seen)
            damage = rule(layer, layer.grid.sampled(piece.background)) * seen
            there = (damage > least * null.gain[i]) & (damage > null.threshold(0.05, pair.voxels) * noise)
            spots += clusters(pair, piece, layer, (damage / null.gain[i], damage / noise, there))
            places, hits = places + int(np.count_nonzero(seen)), hits + int(np.count_nonzero(there))
            if layer.valid.any():
                level, amplitude = (float(np.median(image[layer.valid])) for image in (noise, layer.amplitude))
                typical[i].append((level, amplitude))
    alone, among = _limits(typical, null, null.threshold(WARN, places) + POWER)
    return Search(distinct(spots, null, places), places, hits / max(places, 1), alone, among, null)


def _limits(typical: list[list[tuple[float, float]]], null: Null, needed: float) -> tuple[float, float]:
    """Smallest contrasts that are found on any grid, alone and among other structure, from noise and amplitude."""
    found = []
    for row, gain in zip(typical, null.gain, strict=True):
        if row:
            level, amplitude = (float(value) for value in np.median(row, axis=0))
            found.append((needed * level / gain, _among(needed * level, amplitude) / gain))
    alone, among = zip(*found, strict=True)
    return min(alone), min(among)


def _among(needed: float, amplitude: float) -> float:
    """The amplitude that, added to another, projects by `needed`: u / sqrt(a^2 + u) = needed for u its square."""
    return math.sqrt((needed**2 + math.sqrt(needed**4 + 4 * (needed * amplitude) ** 2)) / 2)


def layers_of(piece: Piece, pair: Pair, boxes: Boxes) -> Iterator[Layer]:
    """The layers of one piece."""
    std = np.float32(pair.noise.std)
    return layers(piece.denoised / std, piece.residual / std, piece.valid, pair.ratios, boxes=boxes)


def distrust(pair: Pair, most: float) -> float:
    """How much stronger than measured the noise may be in structures of some size, if little of it was seen bare."""
    return 1 + most * max(0.0, TRUSTED - pair.noise.evidence) / TRUSTED


def _unlike(layer: Layer, noise: Floats, seen: Mask) -> np.float32:
    """How much stronger than `noise` the rest projects on the output of elsewhere: 1, or more if its colour is unlike.

    The output is shifted by half the image, round the borders, so that it has nothing to do with the residual.
    """
    shift, axes = [n // 2 for n in seen.shape], tuple(range(seen.ndim))
    moved = np.roll(seen, shift, axes) & layer.valid
    if np.count_nonzero(moved) < FEWEST:
        return np.float32(1)
    rest = layer.residual - (layer.slope - 1) * layer.output
    amplitude = np.roll(layer.amplitude, shift, axes)[moved]
    projection = box_mean(np.roll(layer.output, shift, axes) * rest, layer.grid.window)[moved] / amplitude
    return np.float32(max(1.0, float(np.median(np.abs(projection) / noise[moved])) / norm.isf(0.25)))


def clusters(pair: Pair, piece: Piece, layer: Layer, maps: tuple[Floats, Floats, Mask]) -> Iterator[Spot]:
    """The clearest clusters of one layer, from maps of contrast and score and of where there is damage."""
    contrast, score, there = maps
    labels, count = ndimage.label(there)
    if count == 0:
        return
    sizes = np.bincount(labels.ravel())[1:]
    peaks = ndimage.maximum_position(score, labels, range(1, count + 1))
    ranked = sorted(zip(peaks, sizes, strict=True), key=lambda one: -float(score[one[0]]))
    slope = layer.slope
    for number, (at, size) in enumerate(ranked[:MOST_PLACES]):
        inside = tuple(float(i * n + (n - 1) / 2) for i, n in zip(at, layer.grid.blocks, strict=True))
        radius = _radius(int(size), layer.grid, pair.ratios)
        place = Place(piece.frame, piece.place(inside), radius, float(contrast[at]))
        picture = _picture(layer, at, radius) if number < PICTURES else None
        yield Spot(place, float(score[at]), float(slope[at]), picture)


def _radius(size: int, grid: Grid, ratios: tuple[float, ...]) -> float:
    """Of a disc or ball of as many blocks, in units of the shortest voxel edge."""
    volume = size * math.prod(n * ratio for n, ratio in zip(grid.blocks, ratios, strict=True))
    return math.sqrt(volume / math.pi) if len(ratios) == 2 else float(np.cbrt(0.75 * volume / math.pi))


def _picture(layer: Layer, at: Ints, radius: float) -> Picture:
    plane = -(layer.residual[at[0]] if len(at) == 3 else layer.residual)
    mark = (float(at[-2]), float(at[-1]), radius / min(layer.grid.blocks[-2:]))
    title = f"denoised less noisy, structures of about {3 * layer.grid.blocks[-1]} pixels"
    return Picture(title, plane, "noise standard deviations", True, (mark,))


def distinct(spots: list[Spot], null: Null, places: int) -> tuple[Spot, ...]:
    """The clear ones, without those that lie within a clearer one."""
    kept: list[Spot] = []
    for spot in sorted(spots, key=lambda one: -one.score):
        clear = null.p_value(spot.score, places) < WARN
        if clear and len(kept) < MOST_PLACES and not any(_overlap(spot.place, other.place) for other in kept):
            kept.append(spot)
    return tuple(kept)


def _overlap(one: Place, other: Place) -> bool:
    return one.frame == other.frame and math.dist(one.centre, other.centre) < max(one.radius, other.radius)
