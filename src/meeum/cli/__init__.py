"""The command line: one function per command. Heavy rooms are imported inside, so that `--help` is instant."""

from __future__ import annotations

import json
import os
import sys
from itertools import pairwise

import typer

from meeum.cli import running, showing, viewing  # commands join the application when they are imported
from meeum.cli.app import app
from meeum.errors import MeeumError, UsageError

__all__ = ["app", "main", "running", "showing", "viewing"]


SPINS = "1000"  # how long a thread waits for the others before it lets somebody else use the core (docs/log.md)


def main() -> None:
    """Entry point: 0 done, 1 failed, 2 usage, 3 damage found (--strict), 130 interrupted."""
    _wait_politely()
    try:
        app()
    except MeeumError as error:
        _complain(str(error), 2 if isinstance(error, UsageError) else 1)
    except MemoryError:
        _complain("not enough memory for this image", 1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _complain(f"{where}{error.strerror or error}", 1)


def _wait_politely() -> None:
    """GNU OpenMP's threads spin for milliseconds; beside other work training is then ten times slower."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


def _complain(message: str, code: int) -> None:
    """One line, whatever the message quotes."""
    line = " ".join(message.splitlines())
    if _json_on_output(sys.argv[1:]):
        typer.echo(json.dumps({"error": line, "exit_code": code}))
    typer.echo(f"meeum: {line}", err=True)
    raise SystemExit(code)


def _json_on_output(words: list[str]) -> bool:
    """`--json FILE` of `noise` and `audit` writes a file; all else prints JSON."""
    if words[:1] not in (["noise"], ["audit"]):
        return "--json" in words
    return "--json=-" in words or ("--json", "-") in pairwise(words)
