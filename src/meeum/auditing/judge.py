"""`judge`: every measure asked of one pair, and the `Audit` that comes of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from meeum.auditing.beads import beads
from meeum.auditing.cone import cone
from meeum.auditing.edges import edges
from meeum.auditing.error import error
from meeum.auditing.finding import NEEDS_DENOISER, Finding, Kind, Verdict, plain_values, worst
from meeum.auditing.invented import invented
from meeum.auditing.inversion import inversion
from meeum.auditing.lattice import lattice
from meeum.auditing.leftover import leftover
from meeum.auditing.lines import lines
from meeum.auditing.pair import Array, Denoiser, Pair
from meeum.auditing.values import values
from meeum.errors import MeeumError
from meeum.noise import Noise
from meeum.volume import Volume

Measure = Callable[[Pair], list[Finding]]

VERSION = 2  # of the JSON: grows when the meaning of a key changes
OUT_OF_TIME = (
    "asking the denoiser would take longer than the {:.0f} s it has here; without limit it is asked by "
    "`meeum audit RUN/results/0.hdf --model RUN`"
)
MANY = 1 / 3  # of the findings: if more could not be told, "pass" by itself says too much
ORDER: tuple[Verdict, ...] = ("fail", "warn", "cannot tell", "pass")


class OutOfTimeError(MeeumError):
    """The denoiser has been asked for as long as it may be."""


@dataclass(frozen=True)
class Audit:
    """What every measure found in one pair.

    asked     whether the denoiser itself could be asked, besides its result
    timings   seconds per measure, in `seconds` altogether
    reason    why nothing could be judged, where nothing could
    """

    noisy: Volume = field(repr=False)
    denoised: Volume = field(repr=False)
    findings: tuple[Finding, ...]
    noise: Noise | None = None
    voxels: int = 0
    coverage: float = 0.0  # share of the voxels looked at
    sampling: str = "nothing"
    asked: bool = False
    seconds: float = 0.0
    timings: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""

    def __repr__(self) -> str:
        return f"<Audit of {self.denoised.name} against {self.noisy.name}: {self.verdict} ({self.sentence})>"

    @property
    def verdict(self) -> Verdict:
        """The gravest of what could be told; "cannot tell" where nothing is worse and most could not."""
        verdicts = [one.verdict for one in self.findings]
        told = [one for one in verdicts if one != "cannot tell"]
        return worst(told if 2 * len(told) >= len(verdicts) else verdicts)

    @property
    def tone(self) -> Verdict:
        """The verdict in whose colour the whole is shown: no plain "pass" where much could not be told."""
        doubtful = self.verdict == "pass" and self.counts["cannot tell"] > MANY * len(self.findings)
        return "cannot tell" if doubtful else self.verdict

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many findings have each verdict, the gravest first."""
        return {verdict: sum(one.verdict == verdict for one in self.findings) for verdict in ORDER}

    @property
    def graded(self) -> tuple[Finding, ...]:
        """The findings, the gravest first."""
        return tuple(sorted(self.findings, key=lambda one: ORDER.index(one.verdict)))

    @property
    def sentence(self) -> str:
        """All of it in a line."""
        if not self.findings:
            return f"nothing could be judged: {self.reason}"
        words = ("failed", "worth a warning", "could not be told", "passed")
        numbers = self.counts
        return ", ".join(f"{numbers[one]} {word}" for one, word in zip(ORDER, words, strict=True) if numbers[one])

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; docs/audit.md says what each key means."""
        told = {
            "version": VERSION,
            "noisy": self.noisy.name,
            "denoised": self.denoised.name,
            **{key: getattr(self.noisy, key) for key in ("axes", "shape", "voxel_size_um", "quantity")},
            "verdict": self.verdict,
            "counts": self.counts,
            "findings": [one.as_dict() for one in self.findings],
            "noise": summary(self.noise) if self.noise else None,
            **{key: getattr(self, key) for key in ("voxels", "coverage", "sampling", "asked", "seconds", "timings")},
            "reason": self.reason,
        }
        plain: dict[str, Any] = plain_values(told)
        return plain


def judge(pair: Pair, measures: Mapping[str, Measure] | None = None) -> Audit:
    """Ask every measure; one that raises a MeeumError, or runs out of memory, cannot tell, and says why."""
    *_, last = judging(pair, measures)
    return last


def judging(pair: Pair, measures: Mapping[str, Measure] | None = None) -> Iterator[Audit]:
    """The same step by step: the audit as far as it has come, at first and after each measure."""
    audit = Audit(
        noisy=pair.noisy,
        denoised=pair.denoised,
        findings=(),
        noise=pair.noise,
        voxels=pair.voxels,
        coverage=pair.coverage,
        sampling=pair.sampling,
        asked=pair.denoise is not None,
    )
    yield audit
    for name, measure in guarded(measures).items():
        began = time.perf_counter()
        found = measure(pair)
        timings = {**audit.timings, name: time.perf_counter() - began}
        audit = replace(audit, findings=(*audit.findings, *found), timings=timings, seconds=math.fsum(timings.values()))
        yield audit


def guarded(measures: Mapping[str, Measure] | None = None) -> dict[str, Measure]:
    """The measures, none of which raises where it cannot tell."""
    chosen = MEASURES if measures is None else measures
    return {name: partial(_asked, name, measure) for name, measure in chosen.items()}


def unjudged(noisy: Volume, denoised: Volume, reason: str) -> Audit:
    """An audit that found nothing out."""
    return Audit(noisy, denoised, (), reason=reason)


def _asked(name: str, measure: Measure, pair: Pair) -> list[Finding]:
    """A measure that has no time left to ask the denoiser does what it can without."""
    try:
        return list(measure(pair))
    except OutOfTimeError as spent:
        left = _asked(name, measure, replace(pair, denoise=None))
        return [replace(one, reason=str(spent)) if one.reason == NEEDS_DENOISER else one for one in left]
    except (MeeumError, MemoryError) as problem:
        reason = str(problem) if isinstance(problem, MeeumError) else "not enough memory for this measure"
        return [Kind(name, name, "", math.nan, "both", "", math.nan).untold(reason, "This could not be judged.")]


def bounded(denoise: Denoiser, seconds: float, *, per_voxel: float = 0.0) -> Denoiser:
    """The same denoiser for about `seconds` in all; then OutOfTimeError, also before an answer that would take longer.

    `per_voxel` is how long it is known to take, seconds; afterwards what it took is known.
    """
    spent, known = 0.0, per_voxel

    def ask(image: Array) -> Array:
        nonlocal spent, known
        if spent + known * image.size > seconds:
            raise OutOfTimeError(OUT_OF_TIME.format(seconds))
        began = time.perf_counter()
        answer = denoise(image)
        took = time.perf_counter() - began
        spent, known = spent + took, took / max(image.size, 1)
        return answer

    return ask


def summary(noise: Noise) -> dict[str, Any]:
    """What the audit took the noise to be."""
    keys = ("std", "uncertainty", "follows", "source", "evidence", "doubt", "tails")
    axes = "zyx"[-len(noise.sides) :]
    return {
        **{key: getattr(noise, key) for key in keys},
        "correlation": {axis: noise.lag(number) for number, axis in enumerate(axes)},
    }


# Where time is short the first may ask the denoiser: `edges` and `lattice` can do without.
MEASURES: dict[str, Measure] = {
    "values": values,
    "lines": lines,
    "inversion": inversion,
    "invented": invented,
    "leftover": leftover,
    "cone": cone,
    "error": error,
    "beads": beads,
    "edges": edges,
    "lattice": lattice,
}
