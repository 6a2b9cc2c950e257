"""The two ways meeum says no: each message says where, what was given and what would work."""

from collections.abc import Iterable
from difflib import get_close_matches


class MeeumError(Exception):
    """Something could not be done with this data or on this machine (exit code 1)."""


class UsageError(MeeumError):
    """What was asked for cannot be asked: a setting, an option or a path is wrong (exit code 2)."""


def among(given: str, known: Iterable[str]) -> str:
    """The known names in words, and which of them was probably meant."""
    names = {name.lower(): name for name in known}
    near = get_close_matches(given.lower(), names, n=1)
    told = f"known are {', '.join(names.values())}"
    return f"{told}; did you mean {names[near[0]]}?" if near else told
