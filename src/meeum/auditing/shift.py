"""The shift test: a network whose result does not move with its input by one voxel makes a lattice."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from meeum.auditing import combs
from meeum.auditing.combs import Comb, Wave
from meeum.auditing.finding import FAIL, Finding, Kind, seen_from, unseen_below
from meeum.auditing.pair import Pair, Piece

Array = NDArray[Any]
# Well-trained networks with blurred halvings reach 0.04 and leave no lattice behind.
SHIFT = Kind("lattice", "shift test", "sigma", 0.0, "above", "sigma", 0.1)
UNTOLD = "Whether the result moves with its input cannot be told: {}."
SIDES = {2: 128, 3: 48}  # voxels that are denoised at a time
FEWEST_PLANES = 16  # along an axis that is moved
BORDER = 4  # voxels at the border that are left out beside what the window takes
FAINT = 1e-4  # sigma: fainter waves are none


def shift_test(pair: Pair) -> Finding:
    """Looks for a lattice in D = f(S y) - S f(y), S a step of one voxel along an axis; D is 0 away from the border.

    value: amplitude of the lattice in the result, sigma; ideal 0. A network of stride p answers the same noise in p
    ways, so D carries waves of period p times the noise: they are sought in D, in D times the noisy image and in D
    times its slope (cyclic correlation: Gardner 1986).
    """
    crop, side = _crop(pair), combs.LEAST_SIDE + 10
    if crop is None or pair.denoise is None:
        return SHIFT.untold(f"no part of {side} x {side} measured pixels was looked at", UNTOLD)
    values, sigma = crop
    if not sigma > 0:
        return SHIFT.untold("no noise was measured", UNTOLD)
    found = []
    home = tuple(slice(0, -1 if _moves(side) else None) for side in values.shape)
    base = _denoised(pair, values[home])
    for axis, side in enumerate(values.shape):
        if _moves(side):
            there = tuple(slice(1, None) if a == axis else part for a, part in enumerate(home))
            found += _compare(base, _denoised(pair, values[there]), values[home], axis=axis, sigma=sigma)
    return _finding(found)


def _moves(side: int) -> bool:
    return side > FEWEST_PLANES


def _crop(pair: Pair) -> tuple[Array, float] | None:
    """Noisy values (data units) of the middle of the piece with the most measured voxels, and the noise there."""
    most = SIDES[len(pair.ratios)]

    def middle(piece: Piece) -> tuple[slice, ...]:
        sides = [min(n, most) for n in piece.valid.shape]
        sides = [side - (side % 2 == 0) if _moves(side) else side for side in sides]  # even less the step
        return tuple(slice((n - m) // 2, (n - m) // 2 + m) for n, m in zip(piece.valid.shape, sides, strict=True))

    piece = max(pair.pieces, key=lambda one: np.count_nonzero(one.valid[middle(one)]))
    box = middle(piece)
    valid = piece.valid[box]
    if min(valid.shape[-2:]) < combs.LEAST_SIDE + 2 * BORDER or valid.mean() < 0.5:
        return None
    level = float(np.sqrt(np.mean(np.square(piece.level[box][valid], dtype=np.float64))))
    return piece.noisy[box] + np.float32(pair.offset), level


def _denoised(pair: Pair, values: Array) -> Array:
    assert pair.denoise is not None
    return np.asarray(pair.denoise(values.copy()), np.float32)


def _compare(base: Array, moved: Array, noisy: Array, *, axis: int, sigma: float) -> list[tuple[Comb, int]]:
    """The spectra of the three fields of one step."""
    inner = [slice(BORDER, -BORDER) if _moves(n) else slice(None) for n in base.shape]
    inner[axis] = slice(BORDER, base.shape[axis] - BORDER)
    back = [slice(part.start - 1, part.stop - 1) if a == axis else part for a, part in enumerate(inner)]
    change = (moved[tuple(back)] - base[tuple(inner)]) / np.float32(sigma)
    slope = np.gradient(noisy, axis=axis)[tuple(inner)]
    valid = np.ones(change.shape, bool)
    rough = combs.high_passed(noisy, np.ones(noisy.shape, bool))[tuple(inner)]
    window = combs.taper(change.shape)
    gain = float(window.sum()) / 2
    found = []
    for factor in (np.ones_like(change), _normal(rough), _normal(slope)):
        field = combs.high_passed(change * factor, valid)
        power = np.abs(scipy.fft.rfftn(window * field) / gain) ** 2
        found.append((combs.comb(power, change.shape, FAINT**2), axis))
    return found


def _normal(values: Array) -> Array:
    """Of mean square 1, but for the few values that are far off."""
    size = max(1.4826 * float(np.median(np.abs(values))), 1e-30)
    return np.asarray(np.clip(values / size, -4, 4), np.float32)


def _finding(found: list[tuple[Comb, int]]) -> Finding:
    """The strongest wave of all spectra, as a lattice in the result; of a common period if there is one."""
    best: tuple[bool, float, float, Wave] = (False, 0.0, 1.0, ())
    for spectrum, axis in found:
        for place in spectrum.summits(FAIL / len(found)):
            wave = spectrum.wave(place)
            size = math.sqrt(spectrum.power[place]) / (2 if combs.is_real(wave, spectrum.sides) else 1)
            step = 2 * abs(math.sin(math.pi * wave[axis]))  # what one voxel makes of a wave
            one = (size / max(step, 0.2), float(spectrum.chance[place]) * len(found), wave)
            best = max(best, (combs.is_common(wave, spectrum.sides), *one))
    _, effect, p_value, wave = best
    limit = max(_faintest(spectrum, axis) for spectrum, axis in found)
    reason = unseen_below("a lattice", limit)
    told = SHIFT.finding(effect, effect, _sentence(effect, wave, limit), p_value=p_value, limit=limit, reason=reason)
    return replace(told, details={"period": 1 / math.hypot(*wave) if wave else math.nan, "wave": wave})


def _faintest(spectrum: Comb, axis: int) -> float:
    """The amplitude that would have been found, at period 2, 3 or 4 along the axis that was moved."""
    return max(math.sqrt(spectrum.faintest(FAIL, axis, p)) / (2 * math.sin(math.pi / p)) for p in (2, 3, 4))


def _sentence(effect: float, wave: Wave, limit: float) -> str:
    if not effect:
        return f"Where the input moves by one voxel, so does the result.{seen_from('A lattice of', limit)}"
    return (
        f"The input, moved by one voxel, gives another result: the method lays a lattice of period "
        f"{1 / math.hypot(*wave):.3g} voxels and amplitude {effect:.2g} sigma over what it is given."
    )
