"""What commands make of their options: `section.key=value` words, and the command as it was given."""

from __future__ import annotations

import shlex
import sys

from meeum.cli.options import QUALITIES
from meeum.errors import UsageError


def duration(minutes: float | None, quality: str | None) -> list[str]:
    """`section.key=value` words; a time that is given counts instead of steps that an INI file may state."""
    if quality is not None and quality not in QUALITIES:
        raise UsageError(f"--quality {quality}: known are {', '.join(QUALITIES)}")
    if quality and minutes:
        raise UsageError("--quality and --minutes say the same thing; give one of them")
    chosen = QUALITIES[quality] if quality else minutes
    return [f"training.minutes={chosen}", "training.steps="] if chosen else []


def image(
    dataset: str | None,
    channel: int | None,
    projection: str | None,
    no_data: float | None = None,
    remove_lattice: bool = False,
) -> list[str]:
    given = {
        "dataset": dataset,
        "channel": channel,
        "projection": projection,
        "no_data": no_data,
        "remove_lattice": remove_lattice or None,
    }
    return [f"input.{name}={value}" for name, value in given.items() if value is not None]


def report_size(megabytes: float | None) -> list[str]:
    return [] if megabytes is None else [f"output.report_mb={megabytes:g}"]


def refuse_projection(projection: str | None) -> None:
    if projection not in (None, "none", "max"):
        raise UsageError(f"--projection {projection}: known are none, max")


def command() -> str:
    return shlex.join(["meeum", *sys.argv[1:]])
