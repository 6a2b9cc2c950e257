"""Whether values stay where they were: offset, gain, range and drift from plane to plane."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meeum.auditing.amounts import REFRACTIVE, amounts
from meeum.auditing.exact import exact
from meeum.auditing.finding import Finding, Kind, Picture, Place
from meeum.auditing.means import (
    Estimate,
    Ints,
    cell_means,
    cell_sides,
    central,
    grouped_slope,
    judged,
    robust_spread,
    scaled,
    widening,
)
from meeum.auditing.pair import LOW_PASS, Pair, Piece, lopsided
from meeum.auditing.sampling import low_pass

Array = NDArray[Any]

FEWEST = 4  # cells
TOGETHER = 2  # cells per axis that are left out together when the scatter of the slope is found
PROFILE = 8  # planes by which flicker of the noisy image can be told
PERCENTILES = (0.1, 99.9)

OFFSET = Kind("values", "offset", "sigma", 0.0, "both", "sigma", 0.1)
GAIN = Kind("values", "gain", "", 1.0, "both", "", 0.04)
RANGE = Kind("values", "range", "", 1.0, "above", "", 0.1)
WIDER = 1 + RANGE.bound / 2  # times the range: up to here it is what it was
PLANES = Kind("values", "drift between planes", "sigma", 0.0, "both", "sigma", 0.15)
# Where noise is weak, less than this does not matter.
OFFSET_RI = replace(OFFSET, effect_unit="RI", bound=5e-5)
PLANES_RI = replace(PLANES, effect_unit="RI", bound=1e-4)
FRAMES, FRAMES_RI = (replace(kind, title="drift between frames") for kind in (PLANES, PLANES_RI))


def values(pair: Pair) -> list[Finding]:
    """All that asks whether values can still be measured; ideal: nothing moved."""
    if reason := lopsided(pair):
        return [*(kind.untold(reason) for kind in (OFFSET, GAIN, RANGE)), *exact(pair)]
    return [offset(pair), gain(pair), value_range(pair), *plane_drift(pair), *amounts(pair), *exact(pair)]


def _bounded(pair: Pair, kind: Kind, refractive: Kind) -> Kind:
    """The bound in noise standard deviations, no tighter than that for refractive index."""
    if pair.noisy.quantity != REFRACTIVE or not pair.noise.std > 0:
        return kind
    return replace(kind, bound=max(kind.bound, refractive.bound / pair.noise.std))


def offset(pair: Pair) -> Finding:
    """Median over cells of the mean change, in noise standard deviations; ideal 0."""
    sides = cell_sides(pair.ratios)
    means = [cell_means(scaled(piece), piece.valid, sides) for piece in pair.pieces]
    found = np.concatenate([mean[np.isfinite(mean)] for mean in means])
    if found.size < FEWEST:
        return OFFSET.untold("the image is too small to tell a shift of its values from noise")
    estimate = central(-found, wide=widening(pair.noise, sides))
    low, high = estimate.interval()
    sentence = (
        f"All values moved by {estimate.value:+.3f} times the noise (95 % sure: between {low:+.3f} and {high:+.3f}); "
        "they should stay where they were."
    )
    return replace(judged(_bounded(pair, OFFSET, OFFSET_RI), estimate, sentence), picture=_picture(pair))


def gain(pair: Pair) -> Finding:
    """Contrast after over before: 1 over the slope of the noisy on the denoised means of cells; ideal 1.

    A perfect result, E[truth | noisy], has slope 1 whatever it shrinks, and is nearly free of noise, so that the
    slope is not diluted. Blur, which lowers the contrast of small cells, is told from gain by the curvature.
    """
    before, after, group, curvature = _contrasts(pair)
    if before.size < 2 * FEWEST:
        return GAIN.untold("the image is too small to compare contrast")
    others = np.stack([np.ones(before.size), *curvature], axis=1)
    before, after = (v - others @ np.linalg.lstsq(others, v, rcond=None)[0] for v in (before, after))
    slope = grouped_slope(after, before, group)
    if not np.isfinite(slope.error) or slope.value == 0:
        return GAIN.untold("there is hardly any structure larger than a few voxels by which to compare contrast")
    factor = 1 / slope.value
    sentence = f"Contrast after denoising is {factor:.3f} times that of the input; it should be the same."
    return judged(GAIN, Estimate(factor, slope.error * abs(factor), slope.freedom), sentence)


def _contrasts(pair: Pair) -> tuple[Array, Array, Array, Array]:
    """Means of cells before and after, which neighbours belong together, and second differences (axes, cells)."""
    sides, rows = cell_sides(pair.ratios), []
    for number, piece in enumerate(pair.pieces):
        before, after = (cell_means(image, piece.valid, sides) for image in (piece.noisy, piece.denoised))
        group = np.ravel_multi_index(tuple(np.indices(before.shape) // TOGETHER), before.shape) + number * 2**32
        bends = [np.nan_to_num(_second_difference(after, axis)) for axis in range(after.ndim)]
        rows.append(np.stack([before, after, group, *bends])[:, np.isfinite(before)])
    before, after, group, *curvature = np.concatenate(rows, axis=1)
    return before, after, np.unique(group, return_inverse=True)[1], np.array(curvature)


def _second_difference(values: Array, axis: int = 0) -> Array:
    """Of each value with its neighbours along an axis; the outermost stand for those beyond them."""
    width = [(1, 1) if number == axis else (0, 0) for number in range(values.ndim)]
    return np.diff(np.pad(values, width, mode="edge"), 2, axis=axis)


def value_range(pair: Pair) -> Finding:
    """Range after over before, of all values or of their 0.1 to 99.9 percentiles, whichever widened more.

    Noise widens the range: below 1 is normal in a faithful result, above 1 values were made up.
    """
    before, after = (
        np.concatenate([getattr(piece, name)[piece.valid] for piece in pair.pieces]) for name in ("noisy", "denoised")
    )
    full, inner = float(np.ptp(before)), float(np.ptp(np.percentile(before, PERCENTILES)))
    if inner == 0:
        return RANGE.untold("the noisy image is constant")
    ratios = float(np.ptp(after)) / full, float(np.ptp(np.percentile(after, PERCENTILES))) / inner
    ratio = max(ratios)
    wider = ratio > WIDER
    sentence = f"The range of values is {ratio:.2f} times that of the noisy image: {_widening(ratio)}."
    span = {
        name: [float(image.min()) + pair.offset, float(image.max()) + pair.offset]
        for name, image in (("before", before), ("after", after))
    }
    found = judged(RANGE, Estimate(ratio, 0.0, 1.0), sentence)
    places = tuple(_extremes(pair, span["before"])) if wider else ()
    return replace(found, places=places, details={"range ratio": ratios[0], "percentile ratio": ratios[1], **span})


def _widening(ratio: float) -> str:
    if ratio > WIDER:
        return "values were made that were never recorded"
    return f"up to {WIDER:g} times counts as unchanged" if ratio > 1 else "it shrinks where noise is taken out"


def _extremes(pair: Pair, span: list[float]) -> Iterator[Place]:
    """Where the denoised values of each piece lie furthest outside the noisy image's, and by how much, data units."""
    for piece in pair.pieces:
        values = piece.denoised + np.float32(pair.offset)
        beyond = np.where(piece.valid, np.maximum(values - span[1], span[0] - values), -np.inf)
        at = np.unravel_index(int(np.argmax(beyond)), beyond.shape)
        if beyond[at] > 0:
            yield Place(piece.frame, piece.place(tuple(float(i) for i in at)), 1.0, float(beyond[at]))


@dataclass(frozen=True)
class _Planes:
    """The planes of a piece, or its only one: how much they changed, noise standard deviations.

    changes  median over the cells of each plane; `cells` how many; `rest` what all cells differ from it by
    flicker  standard deviation of what neighbouring planes of the noisy image, but not of the denoised, differ by
    """

    changes: Array
    cells: Array
    rest: Array
    flicker: float

    @classmethod
    def of(cls, piece: Piece, sides: Ints) -> _Planes:
        images = (piece.noisy, piece.denoised, -piece.residual)
        scale = np.maximum(piece.level, 1e-30)
        before, after, changes = (cell_means(image / scale, piece.valid, sides) for image in images)
        rows = np.stack([_unbent(changes, before), changes, after]).reshape(3, -1, math.prod(changes.shape[-2:]))
        cells = np.count_nonzero(np.isfinite(rows[0]), axis=1)
        rows, cells = rows[:, cells >= FEWEST], cells[cells >= FEWEST]
        middles = np.nanmedian(rows, axis=2) if cells.size else np.zeros((3, 0))
        rest = rows[0] - middles[0][:, None]
        return cls(middles[0], cells, rest[np.isfinite(rest)], _flicker(*middles[1:]))


def _flicker(changes: Array, after: Array) -> float:
    """By how much neighbouring planes' changes are rougher than the planes of the denoised image are."""
    if changes.size < PROFILE:
        return 0.0
    shaken, left = (robust_spread(np.diff(profile, 2)) ** 2 / 6 for profile in (changes, after))
    return math.sqrt(max(0.0, shaken - left))


def _unbent(changes: Array, before: Array) -> Array:
    """Changes of cells but for what follows the noisy image's bends, as blur does."""
    kept = np.isfinite(changes)
    if np.count_nonzero(kept) < FEWEST * changes.ndim:
        return changes
    bends = np.nan_to_num([_second_difference(before, axis) for axis in range(before.ndim)])
    weights = np.linalg.lstsq(bends[:, kept].T, changes[kept] - np.median(changes[kept]), rcond=None)[0]
    return np.asarray(changes - np.tensordot(weights, bends, axes=1))


def plane_drift(pair: Pair) -> list[Finding]:
    """The largest shift of one plane or frame against the others, in noise standard deviations; ideal 0.

    There is nothing to say of a single plane.
    """
    full = cell_sides(pair.ratios)
    sides = (*(1 for _ in full[:-2]), *full[-2:])
    found = [_Planes.of(piece, sides) for piece in pair.pieces]
    cells = np.concatenate([planes.cells for planes in found])
    if cells.size < 2:
        return []
    spread = robust_spread(np.concatenate([planes.rest for planes in found]))
    errors = spread * np.sqrt(np.pi / 2 * widening(pair.noise, sides) / cells)
    errors = np.maximum(errors, max(planes.flicker for planes in found))
    drifts = np.concatenate([planes.changes for planes in found])
    drifts -= np.median(drifts)
    worst = int(np.argmax(np.abs(drifts) / np.maximum(errors, 1e-30)))
    estimate = Estimate(float(drifts[worst]), float(errors[worst]), float(cells.sum() - cells.size))
    name, kinds = ("plane", (PLANES, PLANES_RI)) if "Z" in pair.noisy.axes else ("frame", (FRAMES, FRAMES_RI))
    sentence = f"The {name} that moved most against the others did so by {estimate.value:+.3f} times the noise."
    judgement = judged(_bounded(pair, *kinds), estimate, sentence, tests=cells.size)
    return [replace(judgement, details={"shifts": drifts.round(4).tolist()})]


def _picture(pair: Pair) -> Picture:
    """The low-passed residual of a plane in the middle."""
    piece = pair.pieces[0]
    at: Any = piece.noisy.shape[0] // 2 if piece.noisy.ndim == 3 else ...
    sigma = [LOW_PASS / ratio for ratio in pair.ratios[-2:]]
    plane = low_pass([scaled(piece)[at]], piece.valid[at], sigma=sigma)[0]
    return Picture("what was taken out, smoothed", plane, "sigma", diverging=True)
