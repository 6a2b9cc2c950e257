"""The periodic part of an image: lattices found, fitted as waves where the specimen is not, and told in a sentence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from meeum.noise.envelopes import LEAST_SCORE, Frequency, Sums, Wave, demodulated, fitted, tile_centres
from meeum.noise.lines import flattened
from meeum.noise.patterns import Lattice, contrast, find_lattice
from meeum.volume import Array, Region, Volume

SEARCHED = 12_000_000  # voxels of a frame in which lattices are sought, and which are read at a time
MEASURED = 48_000_000  # voxels of a frame on which they are measured: beyond, planes are left out evenly
RUN = 8  # planes, as files store them together
ROUNDS = 2  # of seeking: a strong lattice hides a faint one
PASSES = 3  # over the image in each: what one wave leaks into another is put right


@dataclass(frozen=True)
class Removed:
    """A wave that is taken out, and the lattice as which it was found; contrast: power over that around it."""

    lattice: Lattice
    wave: Wave
    share: float  # amplitude over the standard deviation of the noise
    after: float  # contrast in what is left

    @property
    def period(self) -> float:
        """Pixels from crest to crest."""
        return 1 / math.hypot(*self.wave.frequency)

    @property
    def sentence(self) -> str:
        varies = "" if len(self.wave.orders) == 1 else ", not the same everywhere"
        return (
            f"a lattice of period {self.period:.2f} pixels {self.lattice.word} with amplitude "
            f"{self.wave.amplitude:.2g} ({self.share:.2g} times the noise{varies}): seen in {self.lattice.seen_in}, "
            f"its power was {self.lattice.contrast:.3g} times that around it and is {self.after:.2g} times now"
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values; coefficients (frame, term) as pairs of real and imaginary part."""
        parts = np.stack([self.wave.coefficients.real, self.wave.coefficients.imag], axis=-1)
        return {
            "period": self.period,
            "direction": self.lattice.word,
            "frequency_zyx": list(self.wave.frequency),
            "amplitude": self.wave.amplitude,
            "over_noise": self.share,
            "contrast_before": self.lattice.contrast,
            "contrast_after": self.after,
            "seen_in": self.lattice.seen_in,
            "orders_zyx": [list(order) for order in self.wave.orders],
            "coefficients": parts.tolist(),
        }


@dataclass(frozen=True)
class Lattices:
    """All that is periodic in an image; `kept` were found but are not waves that run through it, and stay."""

    removed: tuple[Removed, ...] = ()
    kept: tuple[Lattice, ...] = ()

    @property
    def sentence(self) -> str:
        """What was done, in one sentence."""
        left = "; ".join(
            f"a pattern of period {one.period:.2f} pixels {one.word}, seen in {one.seen_in}, does not run through "
            "the volume as a wave and was left (--projection max takes it out of the projection)"
            for one in self.kept
        )
        taken = "; ".join(one.sentence for one in self.removed)
        if self.removed:
            return f"taken out before training: {taken}{left and f'; {left}'}"
        return f"nothing was removed: {left}" if left else "no lattice was found; nothing was removed"


def measure(volume: Volume) -> Lattices:
    """Find the lattices of an image and fit frequency, amplitude and phase, where the specimen is not.

    Their envelope follows place and time only as far as the image shows that it does.
    """
    if math.prod(volume.shape) <= MEASURED:
        volume = volume.with_data(volume.read())  # once, since it is looked at many times
    known: dict[int, tuple[Lattice, Wave]] = {}
    seen: list[Lattice] = []
    for _ in range(ROUNDS):
        new = [one for one in _sought(volume, [wave for _, wave in known.values()]) if not _among(one, seen, volume)]
        if not new:
            break
        asked = {**known, **{len(seen) + number: (one, None) for number, one in enumerate(new)}}
        seen += new
        known = _measured(volume, asked)
    known = {number: pair for number, pair in known.items() if _helps(volume, known, pair[0])}
    waves = [wave for _, wave in known.values()]
    noise = max(_noise(volume, waves), 1e-30) if waves else math.nan
    return Lattices(
        tuple(Removed(one, wave, wave.amplitude / noise, _left(volume, waves, one)) for one, wave in known.values()),
        tuple(one for number, one in enumerate(seen) if number not in known),
    )


def _sought(volume: Volume, waves: Sequence[Wave]) -> list[Lattice]:
    """Lattices of the image without `waves`: of its first, middle and last frame, the plainest first."""
    count = volume.frame_count
    found: list[Lattice] = []
    for index in sorted({0, count // 2, count - 1}):
        found += find_lattice(*_searched(volume, index, waves), axes=volume.spatial_axes)
    distinct: list[Lattice] = []
    for one in sorted(found, key=lambda lattice: -lattice.contrast):
        if not _among(one, distinct, volume):
            distinct.append(one)
    return distinct


def _among(one: Lattice, others: Sequence[Lattice], volume: Volume) -> bool:
    """Whether one of the others has the same frequency, to a cycle per field."""
    frequency, sides = np.array(_frequency(one)), np.array(_sides(volume))
    for other in others:
        gaps = [frequency - sign * np.array(_frequency(other)) for sign in (-1, 1)]
        if min(np.abs((gap - np.round(gap)) * sides)[1:].max() for gap in gaps) < 1:
            return True
    return False


def _measured(volume: Volume, asked: dict[int, tuple[Lattice, Wave | None]]) -> dict[int, tuple[Lattice, Wave]]:
    """The wave of each lattice, by its number; those that are no waves are dropped."""
    waves = {number: wave for number, (_, wave) in asked.items()}
    starts = {number: wave.frequency if wave else _frequency(asked[number][0]) for number, wave in waves.items()}
    for _ in range(PASSES):
        every = _sums(volume, [wave for wave in waves.values() if wave], [starts[number] for number in waves])
        found = {number: fitted(sums, starts[number], waves[number]) for number, sums in zip(waves, every, strict=True)}
        waves = {number: wave for number, (wave, score) in found.items() if score > LEAST_SCORE}
        starts = {number: wave.frequency for number, wave in waves.items() if wave}
        if not waves:
            break
    return {number: (asked[number][0], wave) for number, wave in waves.items() if wave}


def _sums(volume: Volume, taken: Sequence[Wave], starts: Sequence[Frequency]) -> list[Sums]:
    """Demodulated sums of the image without `taken`, for each frequency."""
    picked = _planes(volume)
    sums, weights = [], []
    for frame in range(volume.frame_count):
        parts = [demodulated(signals, weight, starts) for signals, weight in _slabs(volume, frame, picked, taken)]
        sums.append(np.concatenate([one for one, _ in parts], axis=2))
        weights.append(np.concatenate([one for _, one in parts]))
    _, rows, columns = _sides(volume)
    places = (picked.astype(float), tile_centres(rows), tile_centres(columns))
    weight = np.stack(weights)
    return [Sums(one, weight, places, _sides(volume)) for one in np.stack(sums, axis=2)]


def _planes(volume: Volume) -> Array:
    """Indices of the planes that are measured: all, or as many short runs as are affordable, evenly spread."""
    depth, rows, columns = _sides(volume)
    count = max(MEASURED // (rows * columns * RUN), 1)
    if depth <= count * RUN:
        return np.arange(depth)
    starts = np.linspace(0, depth - RUN, count).round().astype(int)
    return np.unique(starts[:, None] + np.arange(RUN))


def _slabs(volume: Volume, frame: int, picked: Array, waves: Sequence[Wave]) -> Iterator[tuple[Array, Array]]:
    """Weighted residuals and weights of planes (some planes, Y, X), without `waves`; the specimen weighs less."""
    _, rows, columns = _sides(volume)
    size = max(1, SEARCHED // (rows * columns))
    for run in np.split(picked, np.flatnonzero(np.diff(picked) > 1) + 1):
        for start in range(int(run[0]), int(run[-1]) + 1, size):
            stop = min(start + size, int(run[-1]) + 1)
            residual, weight = flattened(*_read(volume, frame, (start, stop), waves))
            yield residual * weight, weight


def _read(volume: Volume, frame: int, planes: tuple[int, int], waves: Sequence[Wave]) -> tuple[Array, Array]:
    """Values (Z, Y, X) of some planes of a frame without `waves`, and where they were measured."""
    one = volume.frame(frame)
    region: Region = (slice(*planes),) if "Z" in volume.axes else ()
    values = one.read((*region, slice(None), slice(None)))
    valid = one.valid(values)
    shape = (-1, *values.shape[-2:])
    values, valid = values.reshape(shape), valid.reshape(shape)
    inside = (np.arange(*planes), np.arange(shape[1]), np.arange(shape[2]))
    return values - sum((wave.field(frame, inside) for wave in waves), np.float32(0)), valid


def _searched(volume: Volume, frame: int, waves: Sequence[Wave]) -> tuple[Array, Array]:
    """As many of the middle planes as may be searched, without `waves`; (Y, X) of an image."""
    depth, rows, columns = _sides(volume)
    count = min(depth, max(1, SEARCHED // (rows * columns)))
    start = (depth - count) // 2
    values, valid = _read(volume, frame, (start, start + count), waves)
    return (values, valid) if "Z" in volume.axes else (values[0], valid[0])


def _helps(volume: Volume, known: dict[int, tuple[Lattice, Wave]], lattice: Lattice) -> bool:
    """Whether less of a lattice is left; a pattern of the noise's strength shows in projections, but is no wave."""
    return _left(volume, [wave for _, wave in known.values()], lattice) < lattice.contrast / 2


def _left(volume: Volume, waves: Sequence[Wave], lattice: Lattice) -> float:
    return contrast(*_searched(volume, 0, waves), lattice)


def _noise(volume: Volume, waves: Sequence[Wave]) -> float:
    """Standard deviation of what is left, where the specimen is not."""
    residual, weight = flattened(*_searched(volume, 0, waves))
    return math.sqrt(float((residual**2 * weight).sum() / max(weight.sum(), 1e-30)))


def _frequency(lattice: Lattice) -> Frequency:
    """Cycles per voxel along z, y, x."""
    parts = [part / lattice.period for part in lattice.direction]
    return (0.0, parts[0], parts[1]) if len(parts) == 2 else (parts[0], parts[1], parts[2])


def _sides(volume: Volume) -> tuple[int, int, int]:
    """(Z, Y, X) of a frame, one plane of an image."""
    z, y, x = (1, *volume.spatial_shape)[-3:]
    return z, y, x
