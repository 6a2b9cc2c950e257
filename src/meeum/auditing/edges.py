"""A5: how much of the fine detail that stands clear of the noise is left; blur takes of it, sharpening adds to it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy.stats import norm

from meeum.auditing.boxes import busiest
from meeum.auditing.finding import Finding, Kind
from meeum.auditing.pair import Pair
from meeum.auditing.transfer import BLUR, LEAST, Sums, Transfer, sums, taper, together, transfer

ASKED = 2**18  # voxels at which the denoiser is asked, twice
SPLIT = 0.5  # a: y + a z and y - z / a have independent noises (Pang 2021)
LOST = Kind("edges", "fine detail", "of the detail", 1.0, "both", "of the detail", 0.25)
ADDED = replace(LOST, bound=0.15)
FIRM = 3.1  # standard errors that are not chance
DIRECTIONS = (" in plane", " along z")
FEW = "too little detail stands clear of the noise"
COARSE = "a blur of {:g} voxels would hardly show: nothing finer than {:.0f} voxels stands clear of the noise"
WEAKER = " (weaker: judged without the denoiser)"


def edges(pair: Pair) -> list[Finding]:
    """Transfer of detail, T = sum k² Re<X Y*> / sum k² (<|Y|²> - <|N|²>): ideal 1, below blurred, above sharpened.

    With the denoiser X = F f(y + a z) and Y = F (y - z / a), so that noise which was left in has no part in it. Fails
    where less is kept than after a Gaussian blur of `BLUR` voxels, and less than 75 %; or where over 15 % was added.
    """
    parts = list(_asked(pair) if pair.denoise else _given(pair))
    if not parts:
        return [_untold(pair, f"the image, or what was measured of it, is too small: it takes {LEAST} voxels a side")]
    whole = together(parts)
    told = []
    for direction in range(len(pair.ratios) - 1):
        found = transfer(whole, direction)
        if found is not None:
            told.append(_finding(pair, found, DIRECTIONS[direction] if len(pair.ratios) == 3 else ""))
    return told or [_untold(pair, "no detail stands clear of the noise")]


def _given(pair: Pair) -> Iterator[Sums]:
    for number, piece in enumerate(pair.pieces):
        window = taper(piece.valid, pair.ratios)
        if window is not None:
            noise = pair.noise.sample(window.shape, pair.rng(number)) * piece.level
            images = [(piece.denoised, piece.noisy, piece.noisy)]
            yield sums(images, noise, window=window, ratios=pair.ratios)


def _asked(pair: Pair) -> Iterator[Sums]:
    """Where nothing was measured the denoiser is shown the mean."""
    found = busiest(pair, ASKED)
    if found is None or pair.denoise is None:
        return
    piece, region = found
    noisy, valid = piece.noisy[region], piece.valid[region]
    window = taper(valid, pair.ratios)
    if window is None:
        return
    noise = pair.noise.sample(window.shape, pair.rng()) * piece.level[region]
    images = []
    for sign in (1, -1):  # both, so that most of what the added noise does by chance cancels
        one, other = (np.where(valid, noisy + sign * factor * noise, 0) for factor in (SPLIT, -1 / SPLIT))
        answer = pair.denoise((one + pair.offset).astype(np.float32)) - np.float32(pair.offset)
        images.append((answer, other, one))
    yield sums(images, noise, window=window, ratios=pair.ratios)


def _finding(pair: Pair, found: Transfer, where: str) -> Finding:
    effect, error = abs(1 - found.share), math.hypot(found.error, found.per_noise * pair.noise.uncertainty)
    kind = replace(LOST, bound=max(LOST.bound, 1 - found.allowed)) if found.share < 1 else ADDED
    kind = _titled(kind, pair, where)
    if effect > kind.bound and effect - kind.bound < FIRM * error:
        effect = kind.bound  # what may be beyond it by chance is not
    p_value, sentence = float(norm.sf(effect / max(error, 1e-6))), _sentence(pair, found, where)
    told = kind.finding(found.share, effect, sentence, p_value=p_value, limit=FIRM * error, reason=FEW)
    if told.verdict == "pass" and 1 - found.allowed < LOST.bound / 2:
        told = replace(told, verdict="cannot tell", reason=COARSE.format(BLUR, 1 / found.curve[0][-1]))
    frequency, kept, errors = (row.tolist() for row in found.curve)
    return replace(
        told,
        interval=(found.share - 1.96 * error, found.share + 1.96 * error),
        details={
            "frequency": frequency,
            "transfer": kept,
            "standard_error": errors,
            "equivalent_blur_voxels": found.blur,
            "blur_allowed_voxels": BLUR,
            "left_by_that_blur": found.allowed,
            "with_denoiser": pair.denoise is not None,
        },
    )


def _sentence(pair: Pair, found: Transfer, where: str) -> str:
    finest = 1 / found.curve[0][-1]
    detail = f"of the detail{where} that stands clear of the noise (periods from {finest:.1f} voxels)"
    weaker = "" if pair.denoise else " The denoiser itself could not be asked, which makes this a weaker test."
    if found.share > 1.005:
        return f"{100 * found.share:.0f} % {detail} is there: {100 * (found.share - 1):.0f} % was added.{weaker}"
    if found.share > 0.995:
        return f"100 % {detail} is left: no blur.{weaker}"
    blur = f", as after a Gaussian blur of {found.blur:.1f} voxels" if found.blur >= 0.2 else ""
    return f"{100 * found.share:.0f} % {detail} is left{blur}.{weaker}"


def _titled(kind: Kind, pair: Pair, where: str = "") -> Kind:
    return replace(kind, title=f"{kind.title}{where}{'' if pair.denoise else WEAKER}")


def _untold(pair: Pair, reason: str) -> Finding:
    told = _titled(LOST, pair).untold(reason, "Whether fine detail was blurred cannot be told.")
    return replace(told, details={"with_denoiser": pair.denoise is not None})
