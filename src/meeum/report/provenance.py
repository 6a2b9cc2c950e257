"""Where a result comes from: the input file and its hash, and the machine."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

WHOLE = 2 * 2**30  # bytes: of larger files only the ends are read
END = 64 * 2**20
CHUNK = 2**20


@dataclass(frozen=True)
class FileFacts:
    """A file that was read: its name, size in bytes and SHA-256; `part` says of what, `problem` why there is none."""

    name: str
    size: int
    sha256: str
    part: str = "the whole file"
    problem: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dict(vars(self))

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> FileFacts:
        """The inverse of `as_dict`."""
        return cls(**{name: plain[name] for name in ("name", "size", "sha256", "part", "problem")})


def file_facts(path: Path, *, whole: int = WHOLE, end: int = END) -> FileFacts:
    """Name, size and SHA-256: of all bytes, or of a file above `whole` bytes of its size and its two ends.

    For the latter the size in decimal digits, a newline, and the first and the last `end` bytes are hashed in order.
    """
    if path.is_dir():
        return FileFacts(path.name, 0, "", problem="a folder has no hash of its own")
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size <= whole:
                return FileFacts(path.name, size, _digest(file))
            return FileFacts(path.name, size, _digest_of_ends(file, size, end), _recipe(size, end))
    except OSError as error:
        return FileFacts(path.name, 0, "", problem=f"it could not be read again: {error.strerror or error}")


def processor() -> str:
    """The processor's own name where the system tells it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return named or platform.processor() or platform.machine()


def _digest(file: BufferedReader) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_of_ends(file: BufferedReader, size: int, end: int) -> str:
    digest = hashlib.sha256(f"{size}\n".encode())
    for start in (0, size - end):
        file.seek(start)
        left = end
        while left > 0 and (chunk := file.read(min(CHUNK, left))):
            digest.update(chunk)
            left -= len(chunk)
    return digest.hexdigest()


def _recipe(size: int, end: int) -> str:
    return (
        f"its size and its first and last {end} bytes, since it is large: "
        f"(echo {size}; head -c {end} FILE; tail -c {end} FILE) | sha256sum"
    )
