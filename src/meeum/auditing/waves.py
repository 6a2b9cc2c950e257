"""Waves that stand out of the spectra of a pair: in the values and in their roughness, new or from the input."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.stats import norm

from meeum.auditing import combs
from meeum.auditing.combs import Comb, Wave
from meeum.auditing.finding import FAIL, WARN
from meeum.auditing.pair import Piece
from meeum.auditing.roughness import View, views

Array = NDArray[Any]
GAIN = 0.1  # a wave of the input that grew by less is not amplified
CLEAR, HELD = 4.0, 5.0  # power over that of the specimen around


@dataclass(frozen=True)
class Line:
    """A wave that stands out of a spectrum; amplitudes after and before denoising, in sigma.

    contrast  power over what surrounds it, after and before
    p_there   that chance makes a line so high anywhere in the spectrum
    p_new     that a wave as strong is in the noisy image, hidden by its noise
    p_old     that none of it is in the noisy image
    """

    field: str
    wave: Wave
    after: float
    before: float
    contrast: tuple[float, float]
    p_there: float
    p_new: float
    p_old: float

    @property
    def stands_out(self) -> bool:
        """Whether it is more than the specimen has at such frequencies: else it may be one that was taken out."""
        return self.contrast[0] > CLEAR

    @property
    def excess(self) -> float:
        """What is new of it, sigma; what was there before counts where chance does not explain it."""
        known = self.before if self.p_old < WARN else 0.0
        return max(self.after - (1 + GAIN) * known, 0.0)


@dataclass(frozen=True)
class Scan:
    """Lines of one field of one piece, the faintest found by period (sigma), spectra of both images."""

    field: str
    lines: tuple[Line, ...]
    limits: Mapping[int, float]
    comb: Comb
    before: Comb


def scan(piece: Piece, sigma: float) -> list[Scan]:
    """The values of one piece and their roughness, without what follows from waves of the noisy image."""
    values, *others = (_scan(view) for view in views(piece, sigma))
    if any(line.p_there < WARN and line.p_old < WARN <= line.p_new for line in values.lines):
        return [values, *(replace(one, lines=()) for one in others)]  # a lattice makes roughness uneven, cells smear it
    kept = ([line for line in one.lines if not _follows(line.wave, values.before)] for one in others)
    return [values, *(replace(one, lines=tuple(lines)) for one, lines in zip(others, kept, strict=True))]


def _follows(wave: Wave, before: Comb) -> bool:
    """Whether the noisy image has a wave of the same frequency, or of half of it, as squares double frequencies."""
    halves = [(k / 2, k / 2 + 0.5) if abs(k) * n > 0.5 else (0.0,) for k, n in zip(wave, before.sides, strict=True)]
    return any(before.contrast(before.place(one)) > HELD for one in (wave, *product(*halves)))


def _scan(view: View) -> Scan:
    """Lines of what no smooth transfer brings from the noisy image, of the residual, and of either image."""
    sides, hann, faint = view.weight.shape, combs.taper(view.weight.shape), view.faint**2
    after, before = (_transform(hann * view.weight, field) for field in (view.after, view.before))
    taken = _transform(hann * (view.weight > 0), view.taken)
    power = np.abs(after) ** 2
    made = np.minimum(np.abs(after - _passed(after, before, faint)) ** 2, power)  # regression may add noise
    powers = (made, np.abs(taken) ** 2, power, np.abs(before) ** 2)
    new, lost, kept, old = (combs.comb(one, sides, faint) for one in powers)
    judge, lines = _Judge(view), list[Line]()
    for found, least in ((new, WARN), (lost, WARN), (kept, WARN), (old, FAIL)):
        for place in found.summits(least):
            if not any(_gap(found.wave(place), line.wave, sides) < 2 for line in lines):
                chance = min(2 * float(one.chance[place]) for one in (new, lost))
                lines.append(judge.line(found, place, (kept, old), chance))
    limits = {period: view.amplitude(_faintest((new, lost), period)) for period in combs.COMMON}
    return Scan(view.name, tuple(lines), limits, kept, old)


def _transform(window: Array, field: Array) -> Array:
    """Half a spectrum, of which the size of a wave's bin is its amplitude."""
    return np.asarray(scipy.fft.rfftn(window * field) / (max(float(window.sum()), 1e-30) / 2))


def _passed(after: Array, before: Array, least: float) -> Array:
    """What a smooth transfer of the noisy spectrum explains of the denoised one: all of it, of an honest filter.

    The transfer is a local regression in which no bin weighs much more than those around it.
    """
    sides = (*after.shape[:-1], 2 * (after.shape[-1] - 1))
    power = np.abs(before) ** 2
    weight = np.minimum(
        1, 4 * np.exp(combs.local_log(np.maximum(power, least * 1e-6), sides)) / np.maximum(power, 1e-30)
    )
    cross, own = weight * after * np.conj(before), combs.boxed(weight * power, sides)
    transfer = (combs.boxed(cross.real, sides) + 1j * combs.boxed(cross.imag, sides)) / np.maximum(own, 1e-30)
    return np.asarray(transfer * before)


def _gap(one: Wave, other: Wave, sides: tuple[int, ...]) -> float:
    """Bins from one wave to another or its mirror image, along the axis where they differ most."""
    both = [[a - sign * b for a, b in zip(one, other, strict=True)] for sign in (1, -1)]
    return min(max(abs(d - round(d)) * n for d, n in zip(gaps, sides, strict=True)) for gaps in both)


class _Judge:
    """Compares the images at one wave; what was taken is noise without much leakage, and seen best by a flat window."""

    def __init__(self, view: View) -> None:
        self.view, self.sides = view, view.weight.shape
        self.hann, self.flat = (combs.taper(self.sides, share) * view.weight for share in (1.0, 0.25))
        self.power: Array | None = None  # of what was taken

    def line(self, found: Comb, place: tuple[int, ...], images: tuple[Comb, Comb], chance: float) -> Line:
        wave = found.wave(place)
        half = 2.0 if combs.is_real(wave, self.sides) else 1.0
        after, before = (self._part(self.hann, field, wave) / half for field in (self.view.after, self.view.before))
        larger = max(after, before, key=abs)  # of a wave that was taken out the noisy image knows the phase
        phase = np.conj(larger) / max(abs(larger), 1e-30)
        gone, held = -(self._part(self.flat, self.view.taken, wave) / half * phase).real, float((before * phase).real)
        if self.power is None:
            self.power = np.abs(_transform(self.flat, self.view.taken)) ** 2
        noise = [max(_beside(power, wave, self.sides), 1e-30) for power in (self.power, images[1].power)]
        errors = [math.sqrt(one / (4 if half == 2 else 2)) for one in noise]
        p_new = float(norm.sf(gone / errors[0])) if abs(before) < abs(after) else 1.0
        now, then = (self.view.amplitude(max(size, 0.0)) for size in (abs(after), held))
        contrast, p_old = (images[0].contrast(place), images[1].contrast(place)), float(norm.sf(held / errors[1]))
        p_there = min(chance, float(found.chance[place]))
        return Line(self.view.name, wave, now, then, contrast, p_there, p_new, p_old)

    @staticmethod
    def _part(window: Array, field: Array, wave: Wave) -> complex:
        return combs.project(window * field, wave) / max(float(window.sum()), 1e-30) * 2


def _faintest(sought: tuple[Comb, ...], period: int) -> float:
    """The amplitude along y or x that would stand out of one of the spectra in spite of chance."""
    return math.sqrt(max(min(found.faintest(FAIL, axis, period) for found in sought) for axis in (-2, -1)))


def _beside(power: Array, wave: Wave, sides: tuple[int, ...]) -> float:
    """Mean power of the bins around a wave, without its own lobe."""
    picks, near = [], []
    for axis, (side, k) in enumerate(zip(sides, wave, strict=True)):
        reach = combs.BESIDE + 2 if side >= combs.LONG_AXIS else 0
        steps = np.arange(-reach, reach + 1)
        bins = round(k * side) + steps
        last = axis == len(sides) - 1
        picks.append(combs.mirrored(bins, power.shape[-1]) if last else bins % side)
        near.append(np.abs(steps) <= 2)
    lobe = near[0]
    for one in near[1:]:
        lobe = lobe[..., None] & one
    return float(power[np.ix_(*picks)][~lobe].mean(dtype=np.float64))
