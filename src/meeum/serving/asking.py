"""What the viewer may ask for, checked word by word."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl

from meeum.errors import UsageError
from meeum.serving.planes import SIDES, Asked, Ends

KNOWN = ("image", "axis", "index", "t", "max", "rows", "columns")
LARGEST = 2**31


def asked(query: str, images: Iterable[str]) -> Asked:
    """From the query of an address, `image=noisy&axis=z&index=12`, to a plane; refused with what would work."""
    try:
        pairs = parse_qsl(query, strict_parsing=True, max_num_fields=len(KNOWN))
    except ValueError:
        raise UsageError("expected plane?image=noisy&axis=z&index=0, each name once") from None
    words = dict(pairs)
    unknown = [name for name in words if name not in KNOWN]
    if unknown or len(words) < len(pairs):
        raise UsageError(f"unknown or repeated: {', '.join(unknown) or 'a name'}; known are {', '.join(KNOWN)}")
    return Asked(
        _one_of("image", words.get("image", "noisy"), tuple(images)),
        _one_of("axis", words.get("axis", "z"), tuple(SIDES)),
        index=_number("index", words.get("index", "0"), least=0),
        t=_number("t", words.get("t", "0"), least=0),
        most=_number("max", words.get("max", "2048"), least=1),
        rows=_range("rows", words.get("rows")),
        columns=_range("columns", words.get("columns")),
    )


def _one_of(name: str, given: str, known: tuple[str, ...]) -> str:
    if given not in known:
        raise UsageError(f"{name}={given[:40]}: known are {', '.join(known)}")
    return given


def _number(name: str, given: str, *, least: int) -> int:
    if not (given.isascii() and given.isdecimal() and len(given) < 11 and least <= int(given) < LARGEST):
        raise UsageError(f"{name}={given[:40]}: expected a whole number from {least}")
    return int(given)


def _range(name: str, given: str | None) -> Ends | None:
    if given is None:
        return None
    first, _, stop = given.partition(":")
    return _number(name, first, least=0), _number(name, stop, least=1)
