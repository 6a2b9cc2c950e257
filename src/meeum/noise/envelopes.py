"""Waves of known frequency in an image: what they sum to tile by tile, and the slow envelope that fits those sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import digamma
from scipy.stats import gamma

from meeum.noise.lines import box

Array = NDArray[Any]
Frequency = tuple[float, float, float]  # cycles per voxel along z, y, x
Order = tuple[int, int, int]  # half-waves of an envelope along z, y, x

TILES, TILE = 8, 12  # along y and x at most; pixels of a tile at least
RING = tuple((r * np.sin(a), r * np.cos(a)) for r in (4, 6) for a in np.pi / 4 * np.arange(8))  # bins away
STEEPEST, WIDEST = 12, 2  # highest order of an envelope along z, and along y and x
MOST_TERMS = 10
FALSE_TERMS = 1e-5  # that chance makes a term of an envelope
LEAST_SCORE = 10.0  # of a wave, over what is around it
EVEN = 1e-3  # that all frames hold one and the same wave


@dataclass(frozen=True)
class Sums:
    """Demodulated sums (1 + ring, T, Z, rows, columns) of a wave and of the frequencies around it, and their weights.

    Divided by the weights (T, Z, rows, columns), a sum is the mean over a tile of the wave's complex amplitude.
    """

    sums: Array
    weights: Array
    places: tuple[Array, Array, Array]  # of planes and tile centres, voxels
    shape: tuple[int, int, int]


@dataclass(frozen=True)
class Wave:
    """Re[envelope * exp(2 pi i k r)]; the envelope is a sum of products of cosines with complex coefficients (T, J)."""

    frequency: Frequency
    orders: tuple[Order, ...]
    coefficients: Array
    shape: tuple[int, int, int]

    @property
    def is_real(self) -> bool:
        """Whether the wave flips sign from pixel to pixel, or not at all, along y and along x: it has no phase."""
        return _is_real(self.frequency, self.shape)

    @property
    def amplitude(self) -> float:
        """Root mean square over the field and the frames of the envelope's size, data units."""
        share = [np.prod([1.0 if order == 0 else 0.5 for order in orders]) for orders in self.orders]
        return float(np.sqrt((np.abs(self.coefficients) ** 2 @ np.array(share)).mean()))

    def envelope(self, frame: int, places: tuple[Array, Array, Array]) -> Array:
        """Complex amplitude (Z, Y, X) at places along each axis."""
        own = self.coefficients[min(frame, len(self.coefficients) - 1)]
        parts = [
            [_cosine(o, at, n) for o, at, n in zip(orders, places, self.shape, strict=True)] for orders in self.orders
        ]
        return np.asarray(sum(c * z[:, None, None] * y[:, None] * x for c, (z, y, x) in zip(own, parts, strict=True)))

    def field(self, frame: int, picked: tuple[Array, Array, Array]) -> NDArray[np.float32]:
        """Values (Z, Y, X) at indices along each axis; the same for an index whatever the others are."""
        own = self.coefficients[min(frame, len(self.coefficients) - 1)]
        whole = [np.arange(n) for n in self.shape]
        turns = [np.exp(2j * np.pi * ((k * at) % 1)) for k, at in zip(self.frequency, whole, strict=True)]
        result = np.zeros([len(one) for one in picked])
        for c, orders in zip(own, self.orders, strict=True):
            z, y, x = (t * _cosine(o, at, n) for t, o, at, n in zip(turns, orders, whole, self.shape, strict=True))
            rows = (c * z[:, None] * y)[np.ix_(picked[0], picked[1])]
            columns = x[picked[2]]
            for number, line in enumerate(rows):  # plane by plane, lest a large volume is held twice
                result[number] += line.real[:, None] * columns.real - line.imag[:, None] * columns.imag
        return result.astype(np.float32)


def demodulated(signals: Array, weights: Array, waves: Sequence[Frequency]) -> tuple[Array, Array]:
    """Sums (wave, 1 + ring, plane, rows, columns) over tiles of weighted planes (Y, X), and sums of the weights."""
    rows, columns = signals[0].shape
    frequencies = np.array([[y + b / rows, x + a / columns] for _, y, x in waves for b, a in ((0.0, 0.0), *RING)])
    down = np.exp(-2j * np.pi * np.arange(rows)[:, None] * frequencies[:, 0])
    across = np.exp(-2j * np.pi * np.arange(columns)[:, None] * frequencies[:, 1]).astype(np.complex64)
    starts, cuts = _edges(rows)[:-1], _edges(columns)
    sums = np.empty((len(frequencies), len(signals), len(starts), len(cuts) - 1), np.complex128)
    for number, signal in enumerate(signals):
        for tile, (a, b) in enumerate(pairwise(cuts)):
            strip = signal[:, a:b].astype(np.complex64) @ across[a:b]
            sums[:, number, :, tile] = np.add.reduceat(down * strip, starts, axis=0).T
    known = [np.add.reduceat(np.add.reduceat(w, starts, axis=0), cuts[:-1], axis=1) for w in weights]
    return sums.reshape(len(waves), 1 + len(RING), *sums.shape[1:]), np.array(known, np.float64)


def tile_centres(size: int) -> Array:
    edges = _edges(size)
    return np.asarray((edges[:-1] + edges[1:] - 1) / 2)


def fitted(found: Sums, start: Frequency, known: Wave | None = None) -> tuple[Wave, float]:
    """The wave near `start`, and its power over that of the frequencies around it.

    `known` was taken out before the sums were made, and is put back here. Frequency first (the highest periodogram),
    then coefficients by weighted least squares, then the terms of an envelope that the sums ask for.
    """
    real = _is_real(start, found.shape)
    start = (0.0, round(2 * start[1]) / 2, round(2 * start[2]) / 2) if real else start
    factor = (1 if real else 2) / _kept(start, found.shape)
    sums = found.sums * factor
    sums[0] += _restored(found, start, known)
    found = replace(found, sums=sums)
    frequency = start if real else _refined(found, start, scan=known is None)
    turned = _turned(found, tuple(a - b for a, b in zip(frequency, start, strict=True)), frequency[0])
    orders, coefficients, score = _terms(turned)
    coefficients = coefficients.real.astype(complex) if real else coefficients
    return Wave(frequency, orders, coefficients, found.shape), score


def _edges(size: int) -> Array:
    return np.linspace(0, size, int(np.clip(size // TILE, 1, TILES)) + 1).astype(int)


def _cosine(order: int, places: Array, size: int) -> Array:
    return np.asarray(np.cos(np.pi * order * (places + 0.5) / size))


def _is_real(frequency: Frequency, shape: tuple[int, int, int]) -> bool:
    return all(abs(2 * k - round(2 * k)) * n < 1 for k, n in zip(frequency[1:], shape[1:], strict=True))


def _kept(wave: Frequency, shape: tuple[int, int, int]) -> float:
    """Share of the wave that is left when the local mean is taken away (see `lines.flattened`)."""
    means = []
    for k, side in zip(wave[1:], (box(n) for n in shape[1:]), strict=True):
        half = np.pi * (k % 1)
        means.append(np.sin(half * side) / (side * np.sin(half)) if abs(np.sin(half)) > 1e-9 else 1.0)
    return float(1 - means[0] * means[1])


def _restored(found: Sums, start: Frequency, known: Wave | None) -> Array | float:
    """What the sums around `start` would hold of a wave that was taken out."""
    if known is None:
        return 0.0
    z, y, x = found.places
    apart = [known.frequency[1] - start[1], known.frequency[2] - start[2]]
    turn = np.exp(2j * np.pi * (known.frequency[0] * z[:, None, None] + apart[0] * y[:, None] + apart[1] * x))
    frames = range(found.weights.shape[0])
    return np.stack([known.envelope(t, found.places) * turn for t in frames]) * found.weights


def _turned(found: Sums, apart: tuple[float, ...], kz: float) -> Sums:
    """The sums demodulated along z too, and by what the refined frequency differs in plane."""
    z, y, x = found.places
    turn = np.exp(-2j * np.pi * (kz * z[:, None, None] + apart[1] * y[:, None] + apart[2] * x))
    return replace(found, sums=found.sums * turn)


def _refined(found: Sums, start: Frequency, *, scan: bool) -> Frequency:
    """The frequency of the highest power, summed over frames, within a bin in plane and anywhere slow along z."""
    z, y, x = np.ix_(*found.places)
    depth, rows, columns = found.shape
    own, free = found.sums[0], 3 if len(found.places[0]) > 4 else 2
    kz = _slowest(found) if scan and free == 3 else start[0]

    def loss(bins: Array) -> float:
        waves = (bins[0] / rows * y, bins[1] / columns * x, (kz + sum(bins[2:]) / depth) * z)
        turn = np.exp(-2j * np.pi * (waves[0] + waves[1] + waves[2]))
        return -float((np.abs((own * turn).sum((1, 2, 3))) ** 2).sum())

    corners = np.vstack([np.zeros(free), 0.2 * np.eye(free)])
    options = {"initial_simplex": corners, "xatol": 1e-3, "fatol": 0.0, "maxiter": 120}
    best = np.clip(minimize(loss, corners[0], method="Nelder-Mead", options=options).x, -1, 1)
    return kz + float(sum(best[2:])) / depth, start[1] + best[0] / rows, start[2] + best[1] / columns


def _slowest(found: Sums) -> float:
    """Frequency along z, of up to a quarter of what the planes resolve, at which the sums are strongest."""
    planes, depth = found.places[0], found.shape[0]
    most = depth / 4 * (len(planes) - 1) / (planes[-1] - planes[0])
    waves = np.arange(-most, most + 0.25, 0.5) / depth
    power = np.abs(found.sums[0].sum((2, 3)) @ np.exp(-2j * np.pi * planes[:, None] * waves)) ** 2
    return float(waves[np.argmax(power.sum(0))])


def _terms(found: Sums) -> tuple[tuple[Order, ...], Array, float]:
    """Orders of the envelope, coefficients (T or 1, J), and the score of its mean: power over that around it."""
    frames = found.weights.shape[0]
    weight = found.weights.mean(0).ravel()
    spare = [one for one in _orders(found.shape) if one != (0, 0, 0)]
    chosen: list[Order] = [(0, 0, 0)]
    series = found.sums.reshape(len(found.sums), frames, -1)
    first = _scores(series, weight, np.empty((len(weight), 0)), _columns(found, chosen))
    while spare and len(chosen) < MOST_TERMS:
        scores = _scores(series, weight, _columns(found, chosen), _columns(found, spare))
        best = int(np.argmax(scores))
        if gamma.sf(scores[best] * frames, frames) * len(spare) > FALSE_TERMS:
            break
        chosen.append(spare.pop(best))
    return tuple(chosen), _coefficients(series, found.weights, _columns(found, chosen)), float(first[0])


def _orders(shape: tuple[int, int, int]) -> list[Order]:
    depth = [(z, 0, 0) for z in range(1, min(STEEPEST, shape[0] // 3) + 1)]
    return [*depth, *((0, y, x) for y in range(WIDEST + 1) for x in range(WIDEST + 1 - y))]


def _columns(found: Sums, orders: Sequence[Order]) -> Array:
    """The cosines of each order at the tiles (tiles, J)."""
    parts = [[_cosine(o, at, n) for o, at, n in zip(one, found.places, found.shape, strict=True)] for one in orders]
    return np.stack([(z[:, None, None] * y[:, None] * x).ravel() for z, y, x in parts], axis=1)


def _scores(series: Array, weight: Array, basis: Array, asked: Array) -> Array:
    """Power of each column of `asked`, less what `basis` fits, over its mean around the wave; averaged over frames."""
    if basis.shape[1]:
        gram = np.linalg.pinv(basis.T @ (weight[:, None] * basis))
        asked = asked - basis @ (gram @ (basis.T @ (weight[:, None] * asked)))
        series = series - (series @ basis @ gram @ basis.T) * weight
    power = (np.abs(series @ asked) ** 2).mean(1)
    frames = series.shape[1]  # the mean of the log of a sum of so many exponentials is digamma(frames)
    around = np.exp(np.log(power[1:] + 1e-300).mean(0) - digamma(frames)) * frames
    return np.asarray(power[0] / np.maximum(around, 1e-300))


def _coefficients(series: Array, weights: Array, basis: Array) -> Array:
    """Weighted least squares, one set for all frames unless they differ more than chance allows (T or 1, J)."""
    flat = weights.reshape(len(weights), -1)

    def solved(sums: Array, weight: Array) -> Array:
        return np.asarray(np.linalg.pinv(basis.T @ (weight[:, None] * basis)) @ (basis.T @ sums))

    shared = solved(series[0].sum(0), flat.sum(0))
    if len(flat) == 1:
        return shared[None]
    spread = np.empty(len(series))
    for number, one in enumerate(series):
        gaps = one - flat * (basis @ solved(one.sum(0), flat.sum(0)))
        spread[number] = (np.abs(gaps @ basis) ** 2).sum()
    degrees = (len(flat) - 1) * basis.shape[1]
    if gamma.sf(spread[0] / spread[1:].mean() * degrees, degrees) > EVEN:
        return shared[None]
    return np.stack([solved(sums, weight) for sums, weight in zip(series[0], flat, strict=True)])
