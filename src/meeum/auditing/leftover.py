"""Whether noise was left in, and whether what was taken out looks like noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meeum.auditing.finding import Finding, Kind
from meeum.auditing.means import (
    Estimate,
    cell_sides,
    cell_sums,
    judged,
    judged_ratio,
    masked_mean,
    scaled,
    widening,
)
from meeum.auditing.pair import Pair, Piece, lopsided
from meeum.auditing.sampling import Floats, Mask
from meeum.noise import Noise

Array = NDArray[Any]

FEWEST = 500  # voxels
LAGS = (1, 2)  # voxels
NOTHING = 1e-4  # of the noise's variance: a smaller residual is rounding
HARDLY = 0.1  # of the noise's variance
UNSEEN = 2.0  # error of the noise's variance, on the scale of logarithms, where none of it was seen by itself
SHAPE, GUESSED = 0.6, 0.2  # error of the noise's correlation: per error of its level, and per share not seen by itself

LEVEL = Kind("leftover", "noise taken out", "of the noise's variance", 1.0, "both", "of the noise's variance", 0.4)
ALIKE = Kind("leftover", "residual unlike the noise", "correlation", 0.0, "both", "correlation", 0.15)


def leftover(pair: Pair) -> list[Finding]:
    """What was taken out against the noise measured: its variance, and the correlation of neighbours.

    In background where there is some, since structure lost in cells adds to what was taken out.
    """
    parts, reason = _parts(pair), lopsided(pair)
    if sum(part.voxels for part in parts) < FEWEST:
        reason = "too few voxels to compare what was taken out with the noise"
    if reason:
        return [kind.untold(reason) for kind in (LEVEL, ALIKE)]
    return [level(pair, parts), likeness(pair, parts)]


@dataclass(frozen=True)
class Part:
    """The residual in noise standard deviations where `mask` is True, less its mean there, and 0 elsewhere."""

    residual: Floats
    mask: Mask

    @classmethod
    def of(cls, piece: Piece, mask: Mask) -> Part:
        residual = scaled(piece)
        mean = residual[mask].mean(dtype=np.float64) if mask.any() else 0.0
        return cls(np.where(mask, residual - np.float32(mean), np.float32(0)), mask)

    @property
    def voxels(self) -> int:
        return int(np.count_nonzero(self.mask))

    def product(self, axis: int, lag: int) -> tuple[float, int]:
        """Sum of the products of voxels `lag` apart, and how many there are."""
        ends = [[slice(None)] * axis + [end] for end in (slice(lag, None), slice(0, self.mask.shape[axis] - lag))]
        first, second = (self.residual[tuple(end)] for end in ends)
        pairs = np.count_nonzero(self.mask[tuple(ends[0])] & self.mask[tuple(ends[1])])
        return float((first * second).sum(dtype=np.float64)), int(pairs)


def _parts(pair: Pair) -> list[Part]:
    enough = sum(int(np.count_nonzero(piece.background)) for piece in pair.pieces) >= FEWEST
    return [Part.of(piece, piece.background if enough else piece.valid) for piece in pair.pieces]


def level(pair: Pair, parts: Sequence[Part]) -> Finding:
    """var(noisy - denoised) / var(noise); ideal 1, or a little less; below: noise was left in; above: structure lost.

    Its error, on the scale of logarithms, is mostly that of the noise's level.
    """
    sides = cell_sides(pair.ratios)
    sums = np.concatenate([cell_sums(part.residual**2, sides).ravel() for part in parts])
    counts = np.concatenate([cell_sums(part.mask.astype(np.float32), sides).ravel() for part in parts])
    found = masked_mean(sums, counts, wide=widening(pair.noise, sides))
    ratio = max(found.value, NOTHING)
    if not math.isfinite(found.error) or pair.noise.std == 0:
        return LEVEL.untold("too few voxels to compare what was taken out with the noise")
    error = math.hypot(2 * pair.noise.uncertainty, found.error / ratio, UNSEEN * _unseen(pair.noise))
    told = judged_ratio(LEVEL, Estimate(found.value, error, max(found.freedom, 10.0)), _strength(found.value))
    reason = f"the noise's own level is known to {50 * error:.0f} % only"
    return replace(told, reason=reason) if told.verdict == "cannot tell" else told


def _strength(ratio: float) -> str:
    if ratio < HARDLY:
        return f"Hardly denoised: {100 * ratio:.2g} % of the noise's variance was taken out."
    if ratio < 1 - LEVEL.bound:
        return f"Noise was left in: what was taken out has {100 * ratio:.0f} % of the noise's variance."
    if ratio > 1 + LEVEL.bound:
        return f"More than noise was taken out: {ratio:.2f} times its variance, so structure was lost."
    return f"What was taken out has {ratio:.2f} times the noise's variance: {_about(ratio - 1)}."


def _about(excess: float) -> str:
    if abs(excess) <= LEVEL.bound / 2:
        return "about all of the noise, and no more"
    return "structure may have been taken out too" if excess > 0 else "some of the noise may have been left in"


def likeness(pair: Pair, parts: Sequence[Part]) -> Finding:
    """Largest difference between the correlations of neighbours in the residual and in the noise; ideal 0.

    Worth a warning at most: a good denoiser, too, leaves noise in where structure is finer than it can see.
    """
    voxels = sum(part.voxels for part in parts)
    variance = sum(part.product(0, 0)[0] for part in parts) / voxels
    if variance < NOTHING:
        return ALIKE.untold("nothing was taken out")
    rows = []
    for axis, lag in ((a, n) for a in range(len(pair.ratios)) for n in LAGS):
        total, pairs = (sum(column) for column in zip(*(part.product(axis, lag) for part in parts), strict=True))
        if pairs >= FEWEST and pair.noise.sides[axis] > 2 * lag:
            rows.append((axis, lag, total / pairs / variance, expected(pair.noise, axis, lag)))
    if not rows:
        return ALIKE.untold("the image is too small to see how neighbours correlate")
    axis, lag, seen, wanted = max(rows, key=lambda row: abs(row[2] - row[3]))
    reach = float((pair.noise.correlation() ** 2).sum())
    guessed = SHAPE * pair.noise.uncertainty, GUESSED * (1 - pair.noise.evidence), _unseen(pair.noise)
    error = math.hypot(math.sqrt(2 * reach / voxels), *guessed)
    name = pair.noisy.spatial_axes[axis].lower()
    words = "structure may have been taken out" if seen > wanted else "only its finest grain was taken out"
    sentence = (
        f"Along {name}, voxels {lag} apart correlate by {seen:.2f} in what was taken out, by {wanted:.2f} in the noise"
    )
    told = judged(ALIKE, Estimate(seen - wanted, error, 100.0), sentence, tests=len(rows))
    told = replace(told, sentence=f"{sentence}{': ' + words if told.verdict in ('warn', 'fail') else ''}.")
    return replace(told, verdict="warn" if told.verdict == "fail" else told.verdict, details={"correlations": rows})


def _unseen(noise: Noise) -> float:
    """How far the noise was guessed rather than seen where there is no signal: 0 from half of it seen, 1 for none."""
    return max(0.0, 1 - 2 * noise.evidence)


def expected(noise: Noise, axis: int, lag: int) -> float:
    """Correlation of the noise at a lag, free of what the window and the smoothing of its spectrum take off."""
    side = noise.sides[axis]
    window = np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2
    taken = float((window[lag:] * window[: side - lag]).sum() / (window**2).sum())
    taken *= (1 + 2 * math.cos(2 * math.pi * lag / side)) / 3
    return max(-1.0, min(1.0, noise.lag(axis, lag) / taken)) if taken > 0 else 0.0
