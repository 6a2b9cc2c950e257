"""The folder of a run: what lies in it under which name, when it may be used, and how files get into it."""

from __future__ import annotations

import csv
import io
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from meeum.errors import MeeumError, UsageError

SETTINGS, COMMAND, VERSIONS, LOG, METRICS = "settings.ini", "command.txt", "versions.json", "log.txt", "metrics.csv"
RESULTS, PREVIEWS, REPORT, SUMMARY, AUDIT = "results", "previews", "report.html", "summary.json", "audit.json"
LIVE, MODEL_FILE = "live.html", "model.safetensors"


def name_of(path: Path) -> str:
    """A file's name without its format; dots are common in what instruments write: 20240131.124500.001.TCF."""
    return path.stem.removesuffix(".ome")


def check(folder: Path, *, overwrite: bool, resume: bool, reads: Sequence[Path] = ()) -> None:
    """Refuse a folder that exists, unless it is a run to resume or to overwrite and holds nothing that is read."""
    if resume:
        if not (folder / MODEL_FILE).is_file():
            raise UsageError(f"{folder}: nothing to resume here (no {MODEL_FILE}); start without --resume")
    elif folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        _refuse_taken(folder, overwrite=overwrite, reads=reads)
    refuse_place(folder)


def _refuse_taken(folder: Path, *, overwrite: bool, reads: Sequence[Path]) -> None:
    if not overwrite:
        raise UsageError(f"{folder}: exists; choose another with --out, or replace it with --overwrite")
    if not (folder / COMMAND).is_file():
        raise UsageError(f"{folder}: exists and is not a meeum run, so it is not replaced; choose another with --out")
    for path in reads:
        if path.resolve().is_relative_to(folder.resolve()):
            raise UsageError(f"{folder}: --overwrite would remove {path}, which is read; choose another with --out")


def refuse_place(folder: Path) -> None:
    """Say no, before work begins, where a folder cannot be made or written into, or was probably mistyped."""
    there = next(one for one in (folder, *folder.parents) if one.exists())
    if not there.is_dir():
        where = "" if there == folder else f"{there} "
        raise UsageError(f"{folder}: {where}is a file; give the name of a folder")
    if there not in (folder, *folder.parents[:2]):
        raise UsageError(f"{folder}: the folder {folder.parent.parent} does not exist; create it first")
    refuse_unwritable(there, wanted=folder)


def refuse_unwritable(there: Path, *, wanted: Path) -> None:
    """Say no where no file can be made in the folder in which `wanted` is to lie: it is tried."""
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise UsageError(f"{wanted}: cannot be written: {there}: {error.strerror or error}") from None


def make(folder: Path, *, overwrite: bool, resume: bool, reads: Sequence[Path] = ()) -> None:
    """Make the folder, or empty it of an earlier run; what a run did not write stays."""
    check(folder, overwrite=overwrite, resume=resume, reads=reads)
    if not resume and folder.exists():
        for name in (SETTINGS, COMMAND, VERSIONS, LOG, METRICS, LIVE, REPORT, SUMMARY, AUDIT, MODEL_FILE):
            (folder / name).unlink(missing_ok=True)
        for name in (RESULTS, PREVIEWS):
            shutil.rmtree(folder / name, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)


def put(path: Path, text: str) -> None:
    """Write a text file; it appears complete or not at all."""
    temporary = path.with_name(f".{path.name}.partial")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise MeeumError(f"{path}: could not be written: {error.strerror or error}") from error


def free_bytes(folder: Path) -> int:
    """Free space where the folder is or will be."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    return shutil.disk_usage(there).free


def tidy(folder: Path) -> None:
    """Remove what was half written when something went wrong."""
    if (folder / COMMAND).is_file():
        for path in folder.rglob("*.partial"):
            path.unlink(missing_ok=True)


def note(folder: Path, line: str, *, name: str = LOG) -> None:
    """Add a line, with the time in front of it, to the run's log."""
    try:
        with (folder / name).open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {line}\n" if name == LOG else f"{line}\n")
    except OSError as error:
        raise MeeumError(f"{folder / name}: could not be written: {error.strerror or error}") from error


def table(history: Sequence[Mapping[str, float]]) -> str:
    """Rows of numbers as CSV text."""
    if not history:
        return ""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    return text.getvalue()
