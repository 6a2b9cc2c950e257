"""Where the audit found something: places a reader can jump to, and the verdict in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from meeum.auditing import Audit, Finding, Place, Verdict
from meeum.auditing.judge import ORDER
from meeum.auditing.table import SYMBOLS

AT_ONCE = 4  # places of a finding that are shown without asking
NAMED = 5  # findings of a verdict that are named in one sentence
OBJECTIONS: dict[Verdict, str] = {"fail": "failed", "warn": "worth a warning"}


@dataclass(frozen=True)
class Jump:
    """A place as the viewer takes it, "t,z,y,x", and in words."""

    at: str
    words: str


def jumps(finding: Finding, axes: str) -> list[Jump]:
    """Every place of a finding; `axes` of the image."""
    return [Jump(",".join(map(str, at(place.frame, place.centre))), _words(place, axes)) for place in finding.places]


def spots(audit: Audit | None) -> list[dict[str, Any]]:
    """The places of all findings that did not pass, the gravest first, as the viewer's scene takes them."""
    if audit is None:
        return []
    return [
        {"label": finding.title, "verdict": finding.verdict, "at": list(at(place.frame, place.centre))}
        for finding in audit.graded
        if finding.verdict != "pass"
        for place in finding.places
    ]


def verdict_line(audit: Audit) -> str:
    """What failed and what is worth a warning, by name; else in how many measures nothing was found."""
    if not audit.findings:
        return f"Nothing could be judged: {audit.reason.rstrip('.')}."
    objections = [f"{word}: {_named(audit, verdict)}" for verdict, word in OBJECTIONS.items() if audit.counts[verdict]]
    numbers, (*_, unsure, passed) = audit.counts, ORDER
    rest = [f"{numbers[passed]} measure{'s' * (numbers[passed] != 1)} passed"]
    if numbers[unsure]:
        rest.append(f"{numbers[unsure]} could not be told")
    if not objections and audit.tone == "cannot tell":
        return f"No damage found in {numbers[passed]} of {len(audit.findings)} measures; {rest[-1]}."
    if not objections:
        return f"No damage was found: {', '.join(rest)}."
    told = "; ".join([*objections, ", ".join(rest)])
    return f"{told[0].upper()}{told[1:]}."


def overall(audit: Audit) -> str:
    """Symbol and word for all of it."""
    hedged = audit.verdict == "pass" and audit.tone != "pass"
    return f"{SYMBOLS[audit.tone]} {audit.verdict}{' as far as can be told' * hedged}"


def _named(audit: Audit, verdict: Verdict) -> str:
    """Titles of the findings of one verdict, without what is said in brackets; only so many of a long list."""
    titles = [one.title.partition(" (")[0] for one in audit.graded if one.verdict == verdict]
    named, rest = titles[:NAMED], titles[NAMED:]
    return ", ".join(named) + (f" and {len(rest)} more" if rest else "")


def at(frame: int, centre: Sequence[float]) -> tuple[int, int, int, int]:
    """Frame and voxel: t, z, y, x; 0 along an axis that is missing."""
    z, y, x = (*[0] * (3 - len(centre)), *(round(one) for one in centre))
    return frame, z, y, x


def _words(place: Place, axes: str) -> str:
    spatial = axes.removeprefix("T").lower()
    where = ", ".join(f"{letter} {at:.0f}" for letter, at in zip(spatial, place.centre, strict=False))
    return f"frame {place.frame}, {where}" if axes.startswith("T") else where
