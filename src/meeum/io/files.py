"""Outputs appear whole or not at all: written beside their final place, then renamed."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from meeum.errors import MeeumError, UsageError
from meeum.folder import refuse_unwritable

PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0)  # seconds after which a removed folder is looked for again


@contextmanager
def replacing(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it when the block ends well and removed when it does not.

    The block may make a file there or, of a format that is a folder, a folder.
    """
    refuse_existing(path, overwrite=overwrite)
    temporary = path.with_name(f".{secrets.token_hex(4)}-{path.name}")  # keeps the suffix, which writers look at
    try:
        yield temporary
        _put(temporary, path)
    except OSError as error:
        raise MeeumError(
            f"{path}: could not be written ({error.strerror or error}); nothing was left behind"
        ) from error
    except RuntimeError as error:  # HDF5 reports a full disk in this way when the file is closed
        if "No space left" in str(error) or "File too large" in str(error):
            raise MeeumError(f"{path}: could not be written (disk full); nothing was left behind") from error
        raise
    finally:
        _remove(temporary)


def _put(new: Path, path: Path) -> None:
    """Rename; a folder, or what a folder replaces, cannot be replaced at one stroke, so the old one steps aside."""
    if not path.exists() or not (new.is_dir() or path.is_dir()):
        new.replace(path)
        return
    old = path.with_name(f".{secrets.token_hex(4)}-old-{path.name}")
    path.rename(old)
    try:
        new.rename(path)
    except OSError:
        old.rename(path)
        raise
    _remove(old)


def _remove(path: Path) -> None:
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for pause in PAUSES:  # threads of a writer that failed may go on putting chunks there for a moment
        shutil.rmtree(path, ignore_errors=True)
        time.sleep(pause)
        if not path.exists():
            return


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Say no to a path that exists (unless it may be replaced), or whose folder does not."""
    if path.is_dir() and not is_zarr(path):
        raise UsageError(f"{path}: is a folder; give the name of a file in it")
    if path.exists() and not overwrite:
        raise UsageError(f"{path}: exists already and is kept; give another name, or --overwrite to replace it")
    if not path.parent.is_dir():
        raise UsageError(f"{path}: the folder {path.parent} does not exist; create it first")


def is_zarr(path: Path) -> bool:
    """Whether a folder is an image of the one format that is a folder."""
    named = path.suffix.lower() == ".zarr" and path.is_dir()
    return named and any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray"))


def refuse_output(path: Path, *, inputs: Sequence[Path | None], overwrite: bool) -> None:
    """Say no to what exists already (unless it may be replaced), to an input's own name, and where nothing can lie."""
    for given in inputs:
        if given and given.exists() and path.exists() and path.samefile(given):
            raise UsageError(f"{path}: is the image itself; give another name")
    refuse_existing(path, overwrite=overwrite)
    refuse_unwritable(path.parent, wanted=path)
