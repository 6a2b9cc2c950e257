"""The self-test: what the audit would have caught on this very image, and how often it cries wolf there."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from meeum.auditing.finding import SEVERITY, Verdict, plain_values, worst
from meeum.auditing.judge import MEASURES, Measure, judge
from meeum.auditing.pair import Pair, Piece
from meeum.auditing.planting import DAMAGES, Damage, Rng, Scene, plant
from meeum.auditing.sampling import Floats
from meeum.volume import Region

MOST_VOXELS = {2: 2**18, 3: 2**19}  # by the number of axes; the more, the less noise hides
DRAWS = 3  # of noise without damage
SECONDS = 120.0
SAID: dict[Verdict, str] = {
    "fail": "On your data this audit would have caught",
    "warn": "It would have warned of",
    "cannot tell": "It could not have told, and would have said so, of",
    "pass": "It would not have caught",
}
AS_FOUND: tuple[Verdict, ...] = ("fail", "warn")


@dataclass(frozen=True)
class Trial:
    """One planted damage.

    verdict  the gravest of the measures meant for it, less what they say of the same image without it
    by       the measures that raised it; empty if it went unnoticed
    """

    damage: str
    sentence: str
    strength: float
    verdict: Verdict
    by: tuple[str, ...]

    @property
    def caught(self) -> bool:
        return self.verdict == "fail"


@dataclass(frozen=True)
class SelfTest:
    """Damages planted into the denoised image, taken as the truth, and judged beside a noisy image drawn from it.

    draws     noisy images judged without any damage
    alarms    in how many of them each measure failed; `warnings` or warned; only measures that did
    shape     the part of the image that was used, voxels per spatial axis
    untried   damages for which the time did not suffice
    """

    trials: tuple[Trial, ...]
    draws: int
    alarms: Mapping[str, int]
    warnings: Mapping[str, int]
    shape: tuple[int, ...]
    level: float
    untried: tuple[str, ...]
    seconds: float

    def having(self, verdict: Verdict) -> tuple[Trial, ...]:
        """The damages of which the audit would have said so."""
        return tuple(trial for trial in self.trials if trial.verdict == verdict)

    @property
    def sentence(self) -> str:
        """What would have become of each damage, and the false alarms, for a biologist."""
        said = {words: [trial.sentence for trial in self.having(verdict)] for verdict, words in SAID.items()}
        parts = [f"{words} {_listed(damages)}." for words, damages in said.items() if damages]
        if self.untried:
            parts.append(f"The time did not suffice to try {_listed(self.untried)}.")
        return " ".join([*parts, self._wolf()])

    def _wolf(self) -> str:
        if not self.draws:
            return "False alarms were not counted."
        times = f"{self.draws} perfect result{'s' if self.draws > 1 else ''}"
        if not self.alarms:
            return f"On {times} it raised no false alarm."
        return f"On {times} it raised false alarms: {_listed(f'{name} {n}' for name, n in self.alarms.items())}."

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        trials = [{**vars(trial), "caught": trial.caught} for trial in self.trials]
        plain: dict[str, Any] = plain_values({**vars(self), "trials": trials, "sentence": self.sentence})
        return plain


def selftest(
    pair: Pair,
    measures: Mapping[str, Measure] | None = None,
    *,
    rng: Rng | None = None,
    draws: int = DRAWS,
    seconds: float = SECONDS,
    damages: Iterable[str] | None = None,
) -> SelfTest:
    """Plant each damage (all of `DAMAGES` unless named) into the denoised image and ask the measures meant for it.

    The noisy image beside it is the denoised one plus noise as was measured, so that a perfect result is known (as in
    a parametric bootstrap: Efron and Tibshirani 1993). Without the denoiser; of a large image one box around cells.
    """
    start, draw = time.monotonic(), rng or pair.rng(len(DAMAGES))
    whole, asked = crop(pair), MEASURES if measures is None else measures
    chosen = [DAMAGES[name] for name in (DAMAGES if damages is None else damages)]
    chosen = [one for one in chosen if one.axes <= whole.pieces[0].noisy.ndim]
    nulls: list[dict[str, Verdict]] = []
    while len(nulls) < draws and time.monotonic() - start < seconds / 3:
        nulls.append(_verdicts(surrogate(whole, rng=draw), asked))
    before = {name: worst([null[name] for null in nulls]) for name in asked} if nulls else {}
    trials: list[Trial] = []
    while len(trials) < len(chosen) and time.monotonic() - start < seconds:
        trials.append(_trial(chosen[len(trials)], whole, asked, before=before, rng=draw))
    return SelfTest(
        trials=tuple(trials),
        draws=len(nulls),
        alarms=_count(nulls, "fail"),
        warnings=_count(nulls, "warn"),
        shape=whole.noisy.shape,
        level=Scene.of(whole.pieces[0], whole.ratios).level,
        untried=tuple(damage.name for damage in chosen[len(trials) :]),
        seconds=time.monotonic() - start,
    )


def surrogate(pair: Pair, *, rng: Rng, damage: str | None = None, strength: float | None = None) -> Pair:
    """The denoised image as the truth: the same with noise as was measured, beside it with or without a damage."""
    piece = pair.pieces[0]
    drawn = piece.denoised + piece.level * pair.noise.sample(piece.denoised.shape, rng)
    noisy = np.where(piece.valid, drawn, piece.noisy).astype(np.float32)
    scene = Scene.of(replace(piece, noisy=noisy), pair.ratios)
    clean = plant(damage, scene, rng=rng, strength=strength) if damage else piece.denoised
    return _remade(pair, replace(piece, noisy=noisy, denoised=clean))


def crop(pair: Pair) -> Pair:
    """One box of the piece that holds the most cells, around them; without the denoiser."""
    piece = max(pair.pieces, key=lambda one: int(np.count_nonzero(one.cells)))
    box = _box(piece)
    arrays = ("noisy", "denoised", "valid", "level", "cells", "background")
    region = tuple(slice(0, part.stop - part.start) for part in box)
    cut = replace(piece, frame=0, region=region, **{name: getattr(piece, name)[box] for name in arrays})
    return _remade(pair, cut)


def _box(piece: Piece) -> Region:
    """Sides as equal as they can be, a short axis whole, in the middle of the cells or of what is valid."""
    shape = piece.noisy.shape
    sides, left = list(shape), MOST_VOXELS[len(shape)]
    for number, axis in enumerate(sorted(range(len(shape)), key=lambda axis: shape[axis])):
        sides[axis] = max(1, min(shape[axis], int(left ** (1 / (len(shape) - number)) + 1e-6)))
        left //= sides[axis]
    places = np.argwhere(piece.cells if piece.cells.any() else piece.valid)
    middle = places.mean(axis=0) if len(places) else np.array(shape) / 2
    starts = [min(max(round(m - side / 2), 0), n - side) for m, side, n in zip(middle, sides, shape, strict=True)]
    return tuple(slice(start, start + side) for start, side in zip(starts, sides, strict=True))


def _remade(pair: Pair, piece: Piece) -> Pair:
    """A pair of one piece whose volumes hold nothing else."""
    axes = pair.noisy.spatial_axes
    noisy, denoised = (
        replace(volume, data=_data(pair, piece, image), axes=axes, no_data=math.nan)
        for volume, image in ((pair.noisy, piece.noisy), (pair.denoised, piece.denoised))
    )
    return replace(pair, noisy=noisy, denoised=denoised, pieces=(piece,), coverage=1.0, denoise=None)


def _data(pair: Pair, piece: Piece, image: Floats) -> Floats:
    """In the image's own values again; nan where nothing was measured."""
    return np.where(piece.valid, image + np.float32(pair.offset), np.float32(np.nan))


def _trial(
    damage: Damage, pair: Pair, measures: Mapping[str, Measure], *, before: Mapping[str, Verdict], rng: Rng
) -> Trial:
    """One damage, by the measures meant for it."""
    damaged = surrogate(pair, rng=rng, damage=damage.name)
    said = _verdicts(damaged, {name: measures[name] for name in damage.measures if name in measures})
    silent: Verdict = "pass" if set(said.values()) == {"pass"} else "cannot tell"
    news = _news(said, before)
    verdict = worst([silent, *news.values()])
    by = tuple(name for name, one in news.items() if one == verdict)
    return Trial(damage.name, damage.sentence(), damage.default, verdict, by)


def _news(said: Mapping[str, Verdict], before: Mapping[str, Verdict]) -> dict[str, Verdict]:
    """Fails and warnings graver than what the same measure says of a perfect result."""
    return {
        name: verdict
        for name, verdict in said.items()
        if verdict in AS_FOUND and SEVERITY[verdict] > SEVERITY[before.get(name, "pass")]
    }


def _verdicts(pair: Pair, measures: Mapping[str, Measure]) -> dict[str, Verdict]:
    """The gravest verdict of each measure."""
    return {name: judge(pair, {name: measure}).verdict for name, measure in measures.items()}


def _count(nulls: list[dict[str, Verdict]], verdict: Verdict) -> dict[str, int]:
    counts = {name: sum(null[name] == verdict for null in nulls) for name in (nulls[0] if nulls else {})}
    return {name: count for name, count in counts.items() if count}


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
