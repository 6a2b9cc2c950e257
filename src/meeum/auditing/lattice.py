"""Lattices: periodic patterns that the method made, that were in its input, or that it makes when its input moves."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from meeum.auditing import combs
from meeum.auditing.combs import Comb, Wave
from meeum.auditing.finding import FAIL, WARN, Finding, Kind, Picture, Verdict, seen_from, unseen_below
from meeum.auditing.pair import Pair, Piece
from meeum.auditing.roughness import FIELDS
from meeum.auditing.shift import shift_test
from meeum.auditing.waves import Line, Scan, scan

Array = NDArray[Any]
MADE = Kind("lattice", "lattice made by the method", "sigma", 0.0, "above", "sigma", 0.02)
INPUT = replace(MADE, title="lattice in the input")
MOST_VOXELS = 3 * 2**19  # looked at: a lattice runs through all of an image
MOST_PIECES = 4
PLAIN = 20.0  # power over what surrounds a wave of the input: specimens have fainter ones of their own
SHORT = (2, 3, 4)  # periods for which the limit holds: slower waves of the same strength hide behind cells
MOST_WAVES = 8  # told of
HIDDEN = "the noise of the input would hide a lattice as strong as that of the result"
PICTURE = 512  # its longest side, bins


def lattice(pair: Pair) -> list[Finding]:
    """Lattice made by the method, lattice in the input, and, with the denoiser at hand, the shift test.

    value: amplitude of the strongest wave of period 2 to 16 voxels, sigma; ideal 0, damage above.
    """
    chosen = _chosen(pair)
    pieces = [part for part in (_cropped(one, MOST_VOXELS // len(chosen)) for one in chosen) if part is not None]
    moved = [shift_test(pair)] if pair.denoise is not None else []
    sigma = _level(pieces)
    if not sigma > 0:
        side = combs.LEAST_SIDE
        reason = "no noise was measured" if pieces else f"no part of {side} x {side} measured pixels was looked at"
        told = [kind.untold(reason, f"Whether there is a {kind.title} cannot be told: {{}}.") for kind in (MADE, INPUT)]
        return [*told, *moved]
    scans = [found for piece in pieces for found in scan(piece, sigma)]
    same = all(np.array_equal(piece.noisy, piece.denoised) for piece in pieces)
    return [_made(scans, same=same), _input(scans), *moved]


def _chosen(pair: Pair) -> tuple[Piece, ...]:
    return pair.pieces[:: max(1, math.ceil(len(pair.pieces) / MOST_PIECES))]


def _level(pieces: list[Piece]) -> float:
    """Root mean square of the noise's level, data units; nan without voxels."""
    known = [np.square(piece.level[piece.valid], dtype=np.float64) for piece in pieces]
    return math.sqrt(float(np.concatenate(known).mean())) if known else math.nan


def _cropped(piece: Piece, most: int) -> Piece | None:
    """The middle of a piece, with even sides, so that period 2 is one bin; None where it is too small."""
    box = middle(piece.valid.shape, most)
    parts = {name: getattr(piece, name)[box] for name in ("noisy", "denoised", "valid", "level", "cells", "background")}
    valid = parts["valid"]
    if min(valid.shape[-2:]) < combs.LEAST_SIDE or np.count_nonzero(valid) < max(valid.size // 50, combs.LEAST_SIDE**2):
        return None
    return replace(
        piece,
        region=tuple(slice(p.start + b.start, p.start + b.stop) for p, b in zip(piece.region, box, strict=True)),
        **parts,
    )


def middle(sides: tuple[int, ...], most: int) -> tuple[slice, ...]:
    """The middle of a box, of even sides in proportion to its own, at most about `most` voxels."""
    share = min(1.0, most / math.prod(sides)) ** (1 / sum(side > 32 for side in sides) if max(sides) > 32 else 1)
    kept = [int(side * share) if side > 32 else side for side in sides]
    kept = [side - side % 2 if side > 1 else 1 for side in kept]
    return tuple(slice((n - side) // 2, (n - side) // 2 + side) for n, side in zip(sides, kept, strict=True))


def _made(scans: list[Scan], *, same: bool) -> Finding:
    lines = [] if same else [line for one in scans for line in one.lines]
    made = [line for line in lines if _chance(line, scans) < WARN and line.excess > 0]
    made.sort(
        key=lambda line: (_chance(line, scans) >= FAIL, not line.stands_out, line.field != FIELDS[0], -line.excess)
    )
    first, limits = next(iter(made), None), _limits(scans)
    limit = 0.0 if same else max(limits[period] for period in SHORT)
    effect, p_value = (first.excess, _chance(first, scans)) if first else (0.0, 1.0)
    reason = unseen_below("a lattice", limit)
    told = MADE.finding(effect, effect, "", p_value=p_value, limit=limit, reason=reason)
    if first and not first.stands_out and told.verdict == "fail":
        told = replace(told, verdict="warn")
    told = replace(told, sentence=_made_sentence(first, told.verdict, limit))
    doubtful = next((line for line in lines if _doubtful(line, scans)), None)
    if told.verdict in ("pass", "cannot tell") and doubtful:
        sentence = f"{_words(doubtful, 'after')} is in the result; whether the method made it cannot be told: {HIDDEN}."
        told = replace(told, verdict="cannot tell", sentence=sentence, reason=HIDDEN)
    details = {"limits": limits, "together": math.sqrt(sum(line.excess**2 for line in made))}
    return _shown(told, made[:MOST_WAVES], _scan_of(first, scans), details)


def _shown(told: Finding, lines: list[Line], where: Scan, details: dict[str, Any]) -> Finding:
    """With these lines in words and marked in their spectrum."""
    picture = _picture(where, [line.wave for line in lines])
    return replace(told, picture=picture, details={"waves": [_told(line) for line in lines], **details})


def _limits(scans: list[Scan]) -> dict[int, float]:
    """The faintest wave that would have been found in the worst piece, sigma, by period."""
    known = [one.limits for one in scans if one.field == FIELDS[0]]
    return {period: max(limits[period] for limits in known) for period in known[0]}


def _chance(line: Line, scans: list[Scan]) -> float:
    """That a line is there and new, for all spectra and lines that were looked at."""
    count = sum(len(one.lines) for one in scans)
    return min(1.0, max(line.p_there * len(scans), line.p_new * count))


def _doubtful(line: Line, scans: list[Scan]) -> bool:
    """Strong and there, and neither new nor in the input beyond doubt."""
    there = line.field == FIELDS[0] and line.p_there * len(scans) < FAIL and line.after > MADE.bound
    return there and _chance(line, scans) >= WARN and line.p_old >= WARN


def _input(scans: list[Scan]) -> Finding:
    """What the method cannot help: a warning at most, and none where it was taken out."""
    lines = [line for one in scans for line in one.lines if line.p_there * len(scans) < WARN and line.p_old < WARN]
    lines = [line for line in lines if max(line.contrast) > PLAIN]
    lines.sort(key=lambda line: (line.field != FIELDS[0], -line.before))
    first = next(iter(lines), None)
    limits = _limits(scans)
    verdict: Verdict = "pass"
    if first is None:
        sentence, value, p_value = "No lattice in the noisy image.", 0.0, 1.0
    else:
        kept = first.after > max(MADE.bound, 0.2 * first.before)
        verdict, value, p_value = "warn" if kept else "pass", first.before, min(1.0, first.p_there * len(scans))
        fate = (
            f"{first.after:.2g} sigma of it are left: the method did not make it" if kept else "the method took it out"
        )
        sentence = (
            f"{_words(first, 'before')} is in the noisy image already, from the specimen or the instrument; {fate}."
        )
    limit = max(limits[period] for period in SHORT)
    told = replace(INPUT.finding(value, value, sentence, p_value=p_value, limit=limit), verdict=verdict)
    if first is None:
        return replace(told, details={"waves": [], "limits": limits})
    return _shown(told, lines[:MOST_WAVES], _scan_of(first, scans), {"limits": limits})


def _made_sentence(line: Line | None, verdict: Verdict, limit: float) -> str:
    if line is None:
        return f"No new lattice.{seen_from('One of period 2 to 4 voxels and', limit)}"
    if not line.stands_out:
        return f"{_words(line, 'after')} was made or taken out by the method; the specimen hides which of the two."
    grown = f"it was {line.before:.2g} sigma in the noisy image" if line.p_old < WARN else "the noisy image has none"
    weight = "" if verdict in ("fail", "warn") else ", too faint to matter"
    return f"{_words(line, 'after')} is in the result, and {grown}: the method made it{weight}."


def period(wave: Wave) -> float:
    """Voxels from crest to crest."""
    return 1 / math.hypot(*wave)


def direction(wave: Wave, sides: tuple[int, ...] | None = None) -> str:
    """Along which axis a wave runs, to a tenth of its frequency."""
    highest = max(abs(k) for k in wave)
    axes = [axis for axis, k in zip("zyx"[-len(wave) :], wave, strict=True) if abs(k) > 0.1 * highest]
    return f"along {axes[0]}" if len(axes) == 1 else f"oblique, in {' and '.join(axes)}"


def _words(line: Line, when: str) -> str:
    size = getattr(line, when)
    what = "A lattice" if line.field == FIELDS[0] else f"A lattice in the roughness ({line.field})"
    return f"{what} of period {period(line.wave):.3g} voxels {direction(line.wave)}, amplitude {size:.2g} sigma,"


def _told(line: Line) -> dict[str, Any]:
    told = {key: value for key, value in vars(line).items() if key != "contrast"}
    ratios = {"contrast_after": line.contrast[0], "contrast_before": line.contrast[1]}
    return {**told, **ratios, "period": period(line.wave), "direction": direction(line.wave)}


def _scan_of(line: Line | None, scans: list[Scan]) -> Scan:
    return next((one for one in scans if line is not None and any(other is line for other in one.lines)), scans[0])


def _picture(shown: Scan, waves: list[Wave]) -> Picture:
    """The log spectrum (Y, X), frequency 0 in the middle, the highest along z, with circles around the lines."""
    found: Comb = shown.comb
    power = found.power.max(0) if found.power.ndim == 3 else found.power
    rows, columns = found.sides[-2:]
    left = power[(-np.arange(rows)) % rows][:, 1 : (columns + 1) // 2][:, ::-1]
    full = scipy.fft.fftshift(np.concatenate([power, left], axis=1))
    step = max(1, math.ceil(max(rows, columns) / PICTURE))
    full = full[: rows // step * step, : columns // step * step]
    full = full.reshape(full.shape[0] // step, step, full.shape[1] // step, step).max((1, 3))
    marks = []
    for wave in waves:
        y, x = (((k + 0.5) % 1 * side) / step for k, side in zip(wave[-2:], (rows, columns), strict=True))
        marks.append((y, x, 3.0))
    return Picture(
        f"spectrum of the denoised image ({shown.field})",
        np.log10(np.maximum(full, 1e-12 * max(float(full.max()), 1e-30))),
        "log10 power",
        marks=tuple(marks),
    )
