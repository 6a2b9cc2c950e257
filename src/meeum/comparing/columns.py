"""The lab note's table made whole: which findings of an audit belong to which of its columns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from meeum.auditing.finding import SEVERITY, Verdict

Audit = Mapping[str, Any]  # an audit.json
Told = Mapping[str, Any]  # one of its findings

UNITS = {"%": "%", "sigma": "σ", "noise standard deviations": "σ"}  # that are short enough to be shown
GROWN = 1.25  # times its contrast to the noise: a lattice that stands out this much more is seen where it was not
ASIDE = ("estimated error", "voxels without data", "voxel size and storage")  # findings that have no column


@dataclass(frozen=True)
class Column:
    """A column: what it asks, and how the titles of its findings begin.

    `titles` also say how the number of each is shown: by a name of its own where the heading does not name it, by a
    name alone where the number means little.
    """

    heading: str  # for narrow tables
    asks: str
    titles: Mapping[str, str]


@dataclass(frozen=True)
class Cell:
    """The worst verdict of a column's findings, and the number of the finding that has it."""

    verdict: Verdict
    value: float
    unit: str
    title: str = ""
    sentence: str = ""

    @property
    def number(self) -> str:
        """The value in a few letters; empty where there is none."""
        if not math.isfinite(self.value):
            return ""
        tiny = 0 < abs(self.value) < 0.01
        short = f"{self.value:.0e}".replace("e-0", "e-") if tiny else f"{self.value:.2g}"
        return f"{short}{UNITS.get(self.unit, '')}"

    @property
    def label(self) -> str:
        """The number as it stands under the column's heading, with a name where it needs one."""
        forms = (form for one in COLUMNS.values() for start, form in one.titles.items() if self.title.startswith(start))
        return next(forms, "{}").format(self.number).strip()

    @property
    def severity(self) -> int:
        return SEVERITY[self.verdict]

    def as_dict(self) -> dict[str, Any]:
        return {
            **vars(self),
            "value": self.value if math.isfinite(self.value) else None,
            "number": self.number,
            "label": self.label,
        }


NOTHING = Cell("cannot tell", math.nan, "", "", "No measure of the audit says anything of it.")


def cells(audits: Sequence[Audit]) -> dict[str, Cell]:
    """Every column of a setting: the worst over its findings and over the audits of its seeds."""
    rows = [_row(audit["findings"]) for audit in audits]
    return {name: _worst(row[name] for row in rows) for name in COLUMNS}


def fails(audits: Sequence[Audit]) -> tuple[str, ...]:
    """Titles of the findings that failed in any of the audits, each once."""
    titles = [one["title"] for audit in audits for one in audit["findings"] if one["verdict"] == "fail"]
    return tuple(dict.fromkeys(titles))


def _row(findings: Sequence[Told]) -> dict[str, Cell]:
    row = {}
    for name, column in COLUMNS.items():
        chosen = [one for one in findings if one["title"].startswith(tuple(column.titles))]
        row[name] = _grown(chosen) if name == AMPLIFIED else _worst(_cell(one) for one in chosen)
    return row


def _worst(found: Iterable[Cell]) -> Cell:
    """The gravest; of equally grave ones the first that has a number."""
    return max(found, key=lambda one: (one.severity, math.isfinite(one.value)), default=NOTHING)


def _cell(one: Told) -> Cell:
    value = math.nan if one["value"] is None else float(one["value"])
    sentence = f"{one['sentence']} {one['reason']}".strip() if one["verdict"] == "cannot tell" else one["sentence"]
    return Cell(one["verdict"], value, one["unit"], one["title"], sentence)


def _grown(chosen: Sequence[Told]) -> Cell:
    """How much more a lattice of the input stands out of its surroundings afterwards: ideal at most 1."""
    if not chosen:
        return NOTHING
    waves = [wave for wave in chosen[0]["details"].get("waves", []) if wave["field"] == "values"]
    ratios = [wave["contrast_after"] / wave["contrast_before"] for wave in waves if wave["contrast_before"] > 0]
    if not ratios:
        told = "No lattice in the noisy image."
        return Cell("cannot tell" if chosen[0]["reason"] else "pass", math.nan, "", AMPLIFIED, told)
    factor = math.sqrt(max(ratios))
    told = f"The lattice of the noisy image stands out of its surroundings {factor:.2g} times as much afterwards."
    return Cell("warn" if factor > GROWN else "pass", factor, "times", AMPLIFIED, told)


INPUT, AMPLIFIED = "lattice in the input", "lattice amplified"

COLUMNS: dict[str, Column] = {
    "contrast inversion": Column(
        "contr.\ninver-\nsion",
        "Did bright become dark?",
        {"inverted contrast": "{}", "bead response": "beads {}", "inversion": "{}"},
    ),
    INPUT: Column("lattice\nin\ninput", "Was there a lattice before?", {INPUT: "{}"}),
    "lattice made": Column(
        "lattice\nmade",
        "Did the method make one (or stripes, or seams)?",
        {"lattice made": "{}", "shift test": "shift {}", "stripes": "lines {}", "seams": "seams {}", "lines": "{}"},
    ),
    AMPLIFIED: Column("lattice\ngrown", "Does that of the input stand out more afterwards?", {INPUT: "{}"}),
    "hallucination": Column(
        "hallu-\ncina-\ntion",
        "Is there what the input does not support?",
        {
            "structure without support": "{}",
            "energy in the missing cone": "cone {}",
            "rings around beads": "rings {}",
            "invented": "{}",
            "cone": "{}",
        },
    ),
    "range and mean drift": Column(
        "range,\ndrift",
        "Did the values move?",
        {"offset": "offset {}", "gain": "gain {}", "range": "range {}", "drift between": "drift {}", "values": "{}"},
    ),
    "noise left": Column(
        "noise\nleft",
        "Was noise left in? Taken: the share of it that was taken out",
        {"noise taken out": "taken {}", "residual unlike": "unlike", "leftover": "{}"},
    ),
    "edges": Column(
        "edges",
        "Is fine detail still there? Lost: structure that is missing",
        {"fine detail": "detail {}", "structure lost": "lost {}", "edges": "{}"},
    ),
    "background change": Column(
        "back-\nground", "Did the mean of the background change?", {"mean of background": "{}"}
    ),
    "cell change": Column(
        "cells",
        "Did the mean of cells, or their dry mass, change?",
        {"mean of cells": "mean {}", "dry mass": "mass {}"},
    ),
}
