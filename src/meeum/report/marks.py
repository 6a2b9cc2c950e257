"""What is known of an image's frequencies and is marked in its spectra: lattices, the missing cone, the support."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from meeum.auditing import Audit
from meeum.band import EMPTY
from meeum.noise import Noise
from meeum.report.spectrum import Plane
from meeum.volume import Volume

Array = NDArray[Any]
Frequency = tuple[float, ...]  # cycles per voxel, one per spatial axis

FINE = 128  # elements a side of the grid on which the outline of the support is drawn
VALUES = "values"  # what the audit calls the spectrum of the image itself, rather than of its roughness


@dataclass(frozen=True)
class Known:
    """What was measured or stated; none of it is assumed.

    cone     half angle about the kz axis in which the input is as empty as on the axis, degrees; nan if not seen
    support  a noise whose spectrum has an end, None otherwise
    stated   the highest lateral frequency that the file's own NA and wavelength allow, cycles per µm; nan if not stated
    """

    lattices: tuple[Frequency, ...]
    cone: float
    support: Noise | None
    stated: float
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Marks:
    """Marks of one plane in SVG coordinates, its sides being `size` (rows, columns)."""

    circles: tuple[tuple[float, float], ...]  # x, y
    cone: str  # paths; empty where there is nothing to mark
    support: str
    stated: str


def known(noisy: Volume, noise: Noise | None, audit: Audit | None) -> Known:
    """From the audit, the noise as measured and the file's own words, with a sentence on where each comes from."""
    waves = _lattices(audit)
    angle, cone_told = _cone(audit)
    support = noise if noise is not None and not noise.is_white and _ends(noise) else None
    stated, stated_told = _stated(noisy)
    told = [_lattice_sentence(waves, audit), cone_told, _support_sentence(noise, support), stated_told]
    return Known(waves, angle, support, stated, tuple(sentence for sentence in told if sentence))


def marks(plane: Plane, found: Known, size: tuple[float, float]) -> Marks:
    """Everything known that lies in this plane."""
    chart = _Chart(plane, size)
    return Marks(
        circles=tuple(chart.at(*one) for wave in found.lattices for one in _in_plane(wave, plane)),
        cone=_cone_path(chart, found.cone) if plane.axes == "ZX" and math.isfinite(found.cone) else "",
        support=_support_path(chart, found.support) if found.support else "",
        stated=_stated_path(chart, found.stated) if math.isfinite(found.stated) and plane.unit == "µm" else "",
    )


@dataclass(frozen=True)
class _Chart:
    plane: Plane
    size: tuple[float, float]

    def at(self, row: float, column: float) -> tuple[float, float]:
        """(x, y) of a frequency in cycles per voxel; frequency 0 is the middle of element side // 2."""
        y, x = (
            (k * n + n // 2 + 0.5) / n * length
            for k, n, length in zip((row, column), self.plane.sides, self.size, strict=True)
        )
        return x, y


def _lattices(audit: Audit | None) -> tuple[Frequency, ...]:
    """Waves that the audit found in the values of either image, cycles per voxel between -1/2 and 1/2."""
    told: Sequence[Mapping[str, Any]] = [
        wave
        for one in (audit.findings if audit else ())
        if one.measure == "lattice"
        for wave in one.details.get("waves", ())
    ]
    waves = [tuple((k + 0.5) % 1 - 0.5 for k in one["wave"]) for one in told if one.get("field") == VALUES]
    return tuple(dict.fromkeys(waves))


def _lattice_sentence(waves: Sequence[Frequency], audit: Audit | None) -> str:
    if audit is None:
        return ""
    if not waves:
        return "The audit found no lattice, so that none is marked."
    what = "lattice" if len(waves) == 1 else f"{len(waves)} waves of lattices"
    return f"Circles: the {what} that the audit found."


def _cone(audit: Audit | None) -> tuple[float, str]:
    details = next((one.details for one in (audit.findings if audit else ()) if one.measure == "cone"), {})
    angle = details.get("half angle (degrees)")
    if angle is None:
        return math.nan, ""
    if not details.get("cone seen in the input"):
        return math.nan, "The missing cone is not marked: the noise hides it in this image."
    told = (
        f"Straight lines: the missing cone, half angle {angle:.0f} degrees: as far as the noisy image itself is empty."
    )
    return float(angle), told


def _support_sentence(noise: Noise | None, support: Noise | None) -> str:
    if noise is None:
        return ""
    if support is None:
        return "The noise reaches every frequency, so that it shows no end of what the optics pass: none is marked."
    return (
        f"Outline: where the noise, as measured, holds {EMPTY:g} of its mean power. It passed through the same optics "
        "and reconstruction as the specimen, so that beyond nothing can be known of the specimen either."
    )


def _stated(noisy: Volume) -> tuple[float, str]:
    """Twice NA over wavelength, where the file states both."""
    try:
        aperture, wavelength = (float(noisy.details[name]) for name in ("NA", "wavelength (µm)"))
    except (KeyError, ValueError):
        return math.nan, ""
    if not (0 < aperture < 2 and 0.1 < wavelength < 2):
        return math.nan, ""
    told = (
        f"Dots: twice the NA {aperture:g} over the wavelength {wavelength:g} µm that the file states; in some files "
        "this NA is the condenser's, and more passes."
    )
    return 2 * aperture / wavelength, told


def _in_plane(wave: Frequency, plane: Plane) -> list[tuple[float, float]]:
    """Both places of a real wave; none if it does not lie in the plane."""
    if plane.axes == "YX":
        row, column = wave[-2:]
    elif len(wave) == 3 and abs(wave[1]) <= plane.near:
        row, column = wave[0], wave[2]
    else:
        return []
    return [(row, column), (-row, -column)]


def _cone_path(chart: _Chart, angle: float) -> str:
    """Four rays from frequency 0 to the border."""
    row_edge, column_edge = chart.plane.edges
    highest_row, highest_column = 0.5 / row_edge, 0.5 / column_edge
    reach = min(highest_row, highest_column / max(math.tan(math.radians(angle)), 1e-9))
    row, column = reach * row_edge, reach * math.tan(math.radians(angle)) * column_edge
    middle = chart.at(0, 0)
    ends = [chart.at(a * row, b * column) for a in (-1, 1) for b in (-1, 1)]
    return "".join(f"M{middle[0]:.1f} {middle[1]:.1f}L{x:.1f} {y:.1f}" for x, y in ends)


def _stated_path(chart: _Chart, frequency: float) -> str:
    """A circle in the XY plane, two lines along kz in the section; nothing beyond the highest frequency shown."""
    row, column = (frequency * edge for edge in chart.plane.edges)
    if column > 0.5:
        return ""
    (x, y), (right, bottom) = chart.at(0, 0), chart.at(row, column)
    if chart.plane.axes == "ZX":
        return "".join(f"M{side:.1f} 0V{chart.size[0]:.1f}" for side in (2 * x - right, right))
    a, b = right - x, bottom - y
    return f"M{x - a:.1f} {y:.1f}a{a:.1f} {b:.1f} 0 1 0 {2 * a:.1f} 0a{a:.1f} {b:.1f} 0 1 0 {-2 * a:.1f} 0"


def _support_path(chart: _Chart, noise: Noise) -> str:
    """The fine grid has frequency 0 in the middle of element FINE // 2, and moves to where the plane has it."""
    (x, y), fine = chart.at(0, 0), (FINE // 2 + 0.5) / FINE
    inside = _noise_section(noise, chart.plane.axes) > EMPTY
    return outline(inside, chart.size, (x - fine * chart.size[1], y - fine * chart.size[0]))


def _ends(noise: Noise) -> bool:
    """Whether the noise's spectrum falls below a tenth of its mean anywhere in the XY plane."""
    return bool((_noise_section(noise, "YX") <= EMPTY).any())


def _noise_section(noise: Noise, axes: str) -> Array:
    """Spectrum of the noise on a fine grid (FINE, FINE), frequency 0 in the middle: of a plane, or at ky = 0."""
    correlation = noise.correlation()
    if correlation.ndim == 3:
        correlation = correlation[len(correlation) // 2] if axes == "YX" else correlation.sum(1)
    rows, columns = (min(n, FINE) for n in correlation.shape)
    padded, middle = np.zeros((FINE, FINE)), [FINE // 2 - n // 2 for n in (rows, columns)]
    start = [n // 2 - kept // 2 for n, kept in zip(correlation.shape, (rows, columns), strict=True)]
    inner = correlation[start[0] : start[0] + rows, start[1] : start[1] + columns]
    padded[middle[0] : middle[0] + rows, middle[1] : middle[1] + columns] = inner
    return np.asarray(scipy.fft.fftshift(scipy.fft.fft2(scipy.fft.ifftshift(padded)).real))


def outline(inside: Array, size: tuple[float, float], shift: tuple[float, float] = (0.0, 0.0)) -> str:
    """SVG path along the border of a mask that fills `size` (height, width), moved by (x, y); its rim is no border."""
    parts = []
    for upright, mask in ((False, inside), (True, inside.T)):
        lengths = size[::-1] if upright else size
        across, along = (length / n for length, n in zip(lengths, mask.shape, strict=True))
        right, down = shift[::-1] if upright else shift
        for line, changed in enumerate(mask[1:] != mask[:-1], 1):
            edges = np.flatnonzero(np.diff(np.concatenate([[0], changed.astype(int), [0]])))
            for start, stop in zip(edges[::2], edges[1::2], strict=True):
                a, b, at = start * along + right, stop * along + right, line * across + down
                parts.append(f"M{at:.1f} {a:.1f}V{b:.1f}" if upright else f"M{a:.1f} {at:.1f}H{b:.1f}")
    return "".join(parts)
