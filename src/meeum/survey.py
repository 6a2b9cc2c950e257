"""All that can be told of an image's noise without truth: what `meeum noise` says. Needs no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from meeum.noise import Noise, measure
from meeum.noise.findings import describe_noise, level_range, reliability
from meeum.noise.patterns import Lattice, Seam, Stripes, find_lattice, find_seams, find_stripes
from meeum.noise.share import predictable_share, smallest_footprint
from meeum.noise.values import Values, describe_values
from meeum.volume import Volume

Array = NDArray[Any]
Ints = tuple[int, ...]
Patterns = tuple[Lattice | Stripes | Seam, ...]

VERSION = 1  # of the JSON: grows when the meaning of a key changes
SAMPLE, FEWEST = 4_000_000, 8  # voxels whose values are looked at, and planes if there are as many
SEARCHED = 12_000_000  # voxels of one frame in which patterns are sought
NEAR = 5  # voxels over which values are averaged to tell signal from noise
PLANES = 16  # of a projection, read at a time
SIGNAL = (0.02, 0.995)  # quantiles of the local means between which the signal is taken to lie
LAGS = 4
PROJECTED = (
    "Noise raises a maximum projection, and nothing measured here tells by how much: denoise the volume, then project."
)
FOOTPRINTS: dict[int, tuple[Ints, ...]] = {
    2: ((0, 0), (1, 1), (2, 2), (3, 3)),
    3: ((0, 0, 0), (0, 1, 1), (1, 1, 1), (2, 2, 2), (2, 3, 3)),
}


@dataclass(frozen=True)
class Survey:
    """What was found of an image's noise; docs/noise.md says what each number means.

    patterns     in the first frame (of a large one, its middle planes) and in its maximum projection
    shares       predictable share of the noise for each of `FOOTPRINTS`
    smallest     half-widths of the smallest box that leaves less than a tenth in, if there is one
    reliability  "good", "fair" or "poor"
    findings     a sentence for each thing a user should know, `untold` for each thing that could not be told
    advice       what `meeum denoise` would do; empty where nobody asked
    """

    name: str
    axes: str
    shape: Ints
    voxel_size_um: tuple[float, ...] | None
    quantity: str
    noise: Noise
    level_range: tuple[float, float]
    values: Values
    patterns: Patterns
    shares: tuple[tuple[Ints, float], ...]
    smallest: Ints | None
    reliability: str
    findings: tuple[str, ...]
    untold: tuple[str, ...]
    advice: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what is not a finite number is None."""
        low, high = self.level_range
        noise = {**self.noise.as_dict(), "lowest_std": low, "highest_std": high, "correlation": self._correlation()}
        facts = {key: getattr(self, key) for key in ("axes", "shape", "voxel_size_um", "quantity")}
        told = {
            "version": VERSION,
            "file": self.name,
            **facts,
            "noise": noise,
            "values": vars(self.values),
            "patterns": [{"kind": type(one).__name__.lower(), **vars(one)} for one in self.patterns],
            "predictable_share": [{"footprint": box, "share": share} for box, share in self.shares],
            "smallest_footprint": self.smallest,
            "reliability": self.reliability,
            "findings": self.findings,
            "untold": self.untold,
            "advice": self.advice,
        }
        return {key: _plain(value) for key, value in told.items()}

    def _correlation(self) -> dict[str, list[float]]:
        """Along each axis, at distances of 1, 2, ... voxels."""
        spatial = self.axes.removeprefix("T").lower()
        return {
            axis: [self.noise.lag(number, distance) for distance in range(1, LAGS + 1)]
            for number, axis in enumerate(spatial)
        }


def survey(volume: Volume, noise: Noise | None = None) -> Survey:
    """Measure the noise of an image (unless given), describe its values and patterns, and say in words what follows."""
    noise = noise or measure(volume)
    planes = _sample(volume)
    values = describe_values(np.concatenate([plane for plane, _ in planes]), medium_index=volume.medium_index)
    low, high = np.quantile(np.concatenate([means for _, means in planes]), SIGNAL)
    ends = (float(low), float(high))
    patterns = find_patterns(volume.frame(0))
    trust, untold = reliability(noise, volume.spatial_shape, values)
    said = describe_noise(noise, quantity=volume.quantity, darkest_brightest=ends)
    return Survey(
        name=volume.name,
        axes=volume.axes,
        shape=volume.shape,
        voxel_size_um=volume.voxel_size_um,
        quantity=volume.quantity,
        noise=noise,
        level_range=level_range(noise, ends),
        values=values,
        patterns=patterns,
        shares=tuple((box, predictable_share(noise, box)) for box in FOOTPRINTS[len(noise.sides)]),
        smallest=smallest_footprint(noise),
        reliability=trust,
        findings=(*said, *values.findings, *(pattern.sentence for pattern in patterns)),
        untold=untold + ((PROJECTED,) if "projection" in volume.details else ()),
    )


def find_patterns(frame: Volume) -> Patterns:
    """Lattices, stripes and seams of one frame, and what only its maximum projection shows of the latter two."""
    values = frame.read(_middle(frame.shape))
    found = _sought(values, frame.valid(values), frame.axes)
    if frame.axes == "YX":
        return found
    highest = _projected(frame)
    places = {_place(one) for one in found}
    flat = _sought(highest, np.isfinite(highest), "YX")
    return found + tuple(one for one in flat if not isinstance(one, Lattice) and _place(one) not in places)


def _sought(values: Array, valid: Array, axes: str) -> Patterns:
    lattices, stripes = find_lattice(values, valid, axes=axes), find_stripes(values, valid, axes=axes)
    seams = find_seams(values, valid, axes=axes)
    across = {seam.axis for seam in seams}  # a step has peaks in its spectrum too, and two odd lines beside it
    words = {f"along {axis.lower()}" for axis in across}
    alone = (one for one in stripes if one.across not in across)
    return (*(one for one in lattices if one.word not in words), *alone, *seams)


def _place(pattern: Lattice | Stripes | Seam) -> tuple[object, ...]:
    if isinstance(pattern, Seam):
        return pattern.axis, pattern.position
    return (pattern.across,) if isinstance(pattern, Stripes) else (pattern.direction,)


def _middle(shape: Ints) -> tuple[slice, ...]:
    """As many of the middle planes as may be searched."""
    if len(shape) == 2:
        return (slice(None), slice(None))
    count = min(shape[0], max(1, SEARCHED // max(math.prod(shape[1:]), 1)))
    start = (shape[0] - count) // 2
    return (slice(start, start + count), slice(None), slice(None))


def _projected(frame: Volume) -> Array:
    """Maximum along z, some planes at a time; nan where no plane has data."""
    highest = np.full(frame.shape[1:], np.nan, dtype=np.float32)
    for start in range(0, frame.shape[0], PLANES):
        planes = frame.read((slice(start, start + PLANES), slice(None), slice(None)))
        highest = np.fmax(highest, np.fmax.reduce(np.where(frame.valid(planes), planes, np.nan), axis=0))
    return highest


def _sample(volume: Volume) -> list[tuple[Array, Array]]:
    """Measured values of evenly spread planes of all frames, and the local mean at each; of large planes, every nth."""
    leading, size = volume.shape[:-2], max(math.prod(volume.shape[-2:]), 1)
    all_planes = math.prod(leading)
    count = int(np.clip(SAMPLE // size, min(FEWEST, all_planes), all_planes))
    step = -(-count * size // SAMPLE)
    planes = []
    for index in ((np.arange(count) + 0.5) * all_planes / count).astype(int):
        place = np.unravel_index(index, leading) if leading else ()
        single = tuple(slice(int(i), int(i) + 1) for i in place)
        plane = volume.read((*single, slice(None), slice(None))).reshape(volume.shape[-2:])
        known = volume.valid(plane) & np.isfinite(plane)
        share = np.maximum(uniform_filter(known.astype(np.float32), NEAR), 1e-3)
        means = uniform_filter(np.where(known, plane, 0), NEAR) / share
        planes.append((plane[known][::step], means[known][::step]))
    return planes


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
