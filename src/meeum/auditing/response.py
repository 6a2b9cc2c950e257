"""Beads put into a noisy image, and what a denoiser makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meeum.auditing.boxes import busiest
from meeum.auditing.linear import left_of_bead
from meeum.auditing.pair import Pair

Array = NDArray[Any]

ASKED = {2: 2**16, 3: 2**18}  # voxels at which the denoiser is asked, once plainly and once for each strength
STRENGTHS = (2.0, 5.0, 10.0)  # peak, standard deviations of the noise
SIGMA = 1.5  # of the Gaussian beads, voxels of each axis: voxels are about as long as the optics resolve
REACH, SPACING = 6, 16  # voxels around a bead that are looked at, and from bead to bead
SHIFT = SPACING - 2 * REACH - 1  # by which the places are drawn at random
SIDE = 2 * REACH + 1


@dataclass(frozen=True)
class Response:
    """f(y + bead) - f(y) over the bead's height, of N beads.

    linear    share of a bead's height that the best linear filter would leave
    profile   (N, radii) mean over each distance from the centre, 0, 1, ... `REACH` voxels
    plane     (N, rows, columns) the plane through the centre
    strength  (N,) standard deviations of the noise; `sign` (N,) 1 or -1; `inside` (N,) whether within a cell
    """

    linear: float
    profile: Array
    plane: Array
    strength: Array
    sign: Array
    inside: Array

    def of(self, strength: float, sign: int, where: str) -> Array:
        """Which beads: `where` is "cells", "background" or "anywhere"."""
        place = {"cells": self.inside, "background": ~self.inside, "anywhere": np.ones_like(self.inside)}[where]
        return np.asarray((self.strength == strength) & (self.sign == sign) & place)


def response(pair: Pair) -> Response | None:
    """One box is shown to the denoiser as it is and then with beads, each place in turn with every strength.

    None without a denoiser, or where there is no room for a bead.
    """
    box = busiest(pair, ASKED[len(pair.ratios)])
    if box is None or pair.denoise is None:
        return None
    piece, region = box
    rng, valid = pair.rng(1), piece.valid[region]
    sites = list(_sites(valid, rng))
    if not sites:
        return None
    plain = np.where(valid, piece.noisy[region], 0).astype(np.float64) + pair.offset
    before = pair.denoise(plain.astype(np.float32)).astype(np.float64)
    signs, order = rng.choice((-1, 1), len(sites)), rng.permutation(len(sites))
    inside, level = (np.array([part[region][site] for site in sites]) for part in (piece.cells, piece.level))
    parts = []
    for turn in range(len(STRENGTHS)):
        strength = np.array(STRENGTHS)[(order + turn) % len(STRENGTHS)]
        sign = signs * (-1) ** turn
        heights = strength * sign * level
        change = pair.denoise((plain + _planted(plain.shape, sites, heights)).astype(np.float32)) - before
        patches = np.array([_around(change, site) / height for site, height in zip(sites, heights, strict=True)])
        parts.append((_profiles(patches), _planes(patches), strength, sign, inside))
    columns = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Response(left_of_bead(pair, piece, region, sigma=SIGMA), *columns)


def _sites(valid: Array, rng: np.random.Generator) -> Iterator[tuple[int, ...]]:
    """Places on a grid, each shifted a little at random, around which all was measured."""
    if min(valid.shape[-2:]) < SIDE:
        return
    lines = []
    for n in valid.shape:
        room = n - SIDE - SHIFT
        count = room // SPACING + 1 if room >= 0 else 1
        first = (n - 1 - (count - 1) * SPACING - (SHIFT if room >= 0 else 0)) // 2
        lines.append([(first + i * SPACING, SHIFT if room >= 0 else 0) for i in range(count)])
    for corner in product(*lines):
        site = tuple(int(start + rng.integers(shift + 1)) for start, shift in corner)
        if _around(valid, site).all():
            yield site


def _around(image: Array, site: tuple[int, ...]) -> Array:
    """`REACH` to both sides, or less along an axis that is shorter: boxes of odd sides, the same at all sites."""
    reach = [min(REACH, (n - 1) // 2) for n in image.shape]
    return image[tuple(slice(at - r, at + r + 1) for at, r in zip(site, reach, strict=True))]


def _planted(shape: tuple[int, ...], sites: list[tuple[int, ...]], heights: Array) -> Array:
    image = np.zeros(shape)
    for site, height in zip(sites, heights, strict=True):
        patch = _around(image, site)
        patch += height * np.exp(-0.5 * (_distance(patch.shape) / SIGMA) ** 2)
    return image


def _distance(sides: tuple[int, ...]) -> Array:
    """From the centre of a box of odd sides, voxels."""
    lines = np.ogrid[tuple(slice(-(n // 2), n // 2 + 1) for n in sides)]
    return np.asarray(np.sqrt(sum((line.astype(float) ** 2 for line in lines), np.zeros(()))))


def _profiles(patches: Array) -> Array:
    """(N, *sides) -> (N, radii)."""
    radius = np.rint(_distance(patches.shape[1:])).astype(int)
    return np.stack([patches[:, radius == r].mean(axis=1) for r in range(REACH + 1)], axis=1)


def _planes(patches: Array) -> Array:
    return patches[:, patches.shape[1] // 2] if patches.ndim == 4 else patches
