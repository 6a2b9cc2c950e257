"""What noise alone does to the measures of support: surrogates, the output beside noise drawn as it was measured."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm

from meeum.auditing.layers import COARSENESS, Boxes, Ints, Layer, ball, layers
from meeum.auditing.pair import Pair
from meeum.auditing.sampling import Floats, Mask

FAINTEST = 0.25  # noise standard deviations of contrast: fainter structure of the output is not looked at
SURROGATES, SURROGATE_VOXELS = 12, 2**16


@dataclass(frozen=True)
class Null:
    """What noise alone does, and what a ball of contrast 1 does, per grid, seen through `boxes`.

    spread  standard deviation of `Layer.projection`
    rest    mean of `Layer.rest`
    band    standard deviation of the noise's structure, and how many times that in the rim
    gain    amplitude of the ball in the window
    height  of the ball
    rate    independent places per place looked at (fitted to the extremes of each surrogate)
    """

    boxes: Boxes
    spread: tuple[float, ...]
    rest: tuple[float, ...]
    band: tuple[tuple[float, float], ...]
    gain: tuple[float, ...]
    height: tuple[float, ...]
    rate: float = 1.0

    def p_value(self, score: float, places: int) -> float:
        """That noise alone reaches `score` standard deviations at any of `places`."""
        return float(-np.expm1(-self.rate * places * norm.sf(score)))

    def threshold(self, p_value: float, places: int) -> float:
        """The inverse of `p_value`."""
        return float(norm.isf(min(0.5, -np.log1p(-p_value) / (self.rate * max(places, 1)))))

    def noise_around(self, layer: Layer, number: int) -> Floats:
        """Standard deviation of the projection at each place, by what the output leaves unexplained around it.

        So a noise that was measured too weak, or is stronger in some places, raises no alarm.
        """
        share = np.maximum(layer.rest / self.rest[number], 1)
        return np.asarray(self.spread[number] * np.sqrt(share), dtype=np.float32)


def null_of(pair: Pair, boxes: Boxes) -> Null:
    """From surrogates: boxes of the output as it is, with noise in the place of the residual."""
    rng = pair.rng(23)
    gain, height = zip(*ball(pair.ratios, boxes), strict=True)
    drawn = [list(layers(*_surrogate(pair, rng, i), pair.ratios, boxes=boxes)) for i in range(SURROGATES)]
    spread, rest, band = [], [], []
    for i, _ in enumerate(COARSENESS):
        used = [(one[i], tested(one[i], gain[i])) for one in drawn]
        spread.append(math.sqrt(_mean([np.square(layer.projection[m]) for layer, m in used])))
        rest.append(_mean([layer.rest[layer.valid] for layer, _ in used]))
        band.append(_band([layer for layer, _ in used]))
    null = Null(boxes, tuple(spread), tuple(rest), tuple(band), gain, height)
    return replace(null, rate=_rate(drawn, null))


def _band(drawn: list[Layer]) -> tuple[float, float]:
    inside, rim = (
        math.sqrt(_mean([np.square(layer.residual[layer.valid & part]) for layer, part in parts]))
        for parts in ([(layer, ~layer.rim) for layer in drawn], [(layer, layer.rim) for layer in drawn])
    )
    return inside, max(1.0, rim / inside) if any((layer.rim & layer.valid).any() for layer in drawn) else 1.0


def _mean(parts: list[Floats]) -> float:
    """Mean of all values; above 0, as it is divided by."""
    return max(float(np.concatenate(parts).mean(dtype=np.float64)), 1e-12) if any(p.size for p in parts) else 1.0


def tested(layer: Layer, gain: float) -> Mask:
    """Where the output has structure enough to be looked at."""
    return np.asarray(layer.valid & (layer.energy > (FAINTEST * gain) ** 2))


def _rate(drawn: list[list[Layer]], null: Null) -> float:
    """The likeliest rate, of extremes over n places with P(highest < z) = exp(-rate n Q(z)); both ends count."""
    tail = 0.0
    for one in drawn:
        count, highest = 0, 0.0
        for i, layer in enumerate(one):
            seen = tested(layer, null.gain[i])
            if seen.any():
                scores = layer.projection[seen] / null.noise_around(layer, i)[seen]
                count, highest = count + scores.size, max(highest, float(np.abs(scores).max()))
        tail += 2 * count * float(norm.sf(highest))
    return min(1e3, len(drawn) / tail) if tail > 0 else 1.0


def _surrogate(pair: Pair, rng: np.random.Generator, number: int) -> tuple[Floats, Floats, Mask]:
    """A box of a piece: its output (noise where that is flat), noise as measured, and where it is valid."""
    piece = pair.pieces[number % len(pair.pieces)]
    box = _random_box(piece.valid.shape, rng)
    valid, std = piece.valid[box], np.float32(pair.noise.std)
    noise, other = (pair.noise.sample(valid.shape, rng) * piece.level[box] / std * valid for _ in range(2))
    output = piece.denoised[box] / std
    return output if float(np.ptp(output)) > FAINTEST else other, noise, valid


def _random_box(shape: Ints, rng: np.random.Generator) -> tuple[slice, ...]:
    """At most about SURROGATE_VOXELS, of sides as equal as they can be."""
    sides, left = list(shape), SURROGATE_VOXELS
    for number, axis in enumerate(np.argsort(shape)):
        sides[axis] = max(1, min(shape[axis], int(left ** (1 / (len(shape) - number)))))
        left //= sides[axis]
    starts = [int(rng.integers(0, size - side + 1)) for size, side in zip(shape, sides, strict=True)]
    return tuple(slice(start, start + side) for start, side in zip(starts, sides, strict=True))
