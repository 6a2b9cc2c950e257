"""The settings as a form shows them: kind, choices and range of each, all from the schema; and as words again."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from meeum.settings import MASKING, Settings, assumed, override

Kind = Literal["switch", "choice", "named", "whole", "number", "text"]

# Names that members of open sets have; a test compares them with the sets, which cannot be imported without torch.
NAMED: dict[str, tuple[str, ...]] = {
    "masking.masking": MASKING,
    "network.network": ("unet", "shuffle"),
    "training.objective": ("auto", "masked", "recorrupted", "neighbours", "sure", "thinning"),
    "training.device": ("auto", "cpu", "cuda", "mps"),
}
FROM_LAYER = ("input.dataset", "input.channel")  # said by the layer that is chosen
LARGEST = 2**31 - 1  # that a number field of Qt holds


@dataclass(frozen=True)
class Entry:
    """One setting: what it may be and what it means; `low`, `high` None where there is no bound."""

    name: str  # section.key
    kind: Kind
    choices: tuple[str, ...]
    low: float | None
    high: float | None
    default: str
    description: str

    @property
    def label(self) -> str:
        return self.name.partition(".")[2].replace("_", " ")

    @property
    def empty(self) -> str:
        """What it means that nothing is given."""
        stated = re.search(r"empty = ([^;]+)", self.description)
        return stated[1] if stated else "not given"

    @property
    def range(self) -> str:
        """The bounds in words; empty where there are none."""
        known = [f"{word} {bound:g}" for word, bound in (("from", self.low), ("to", self.high)) if bound is not None]
        return " ".join(known) if self.kind in ("whole", "number", "text") else ""


def entries() -> dict[str, Entry]:
    """Every setting by its name, in the order of the schema."""
    found = (_entry(section, key, field) for section, key, field in _fields())
    return {entry.name: entry for entry in found if entry.name not in FROM_LAYER}


def _fields() -> Iterator[tuple[str, str, FieldInfo]]:
    for section in Settings.model_fields:
        for key, field in type(getattr(Settings(), section)).model_fields.items():
            yield section, key, field


def _entry(section: str, key: str, field: FieldInfo) -> Entry:
    name = f"{section}.{key}"
    kind, choices = _kind(name, field.annotation)
    low, high = _bound(field, "ge", "gt"), _bound(field, "le", "lt")
    return Entry(name, kind, choices, low, high, text(field.default), field.description or "")


def _kind(name: str, annotation: Any) -> tuple[Kind, tuple[str, ...]]:
    optional = get_origin(annotation) in (Union, types.UnionType) and type(None) in get_args(annotation)
    inner = [part for part in get_args(annotation) if part is not type(None)] if optional else [annotation]
    if inner == [bool]:
        return ("choice", ("", "True", "False")) if optional else ("switch", ())
    if get_origin(inner[0]) is Literal:
        return "choice", tuple(map(str, get_args(inner[0])))
    if name in NAMED:
        return "named", NAMED[name]
    kinds: dict[Any, Kind] = {int: "whole", float: "number"}
    return (kinds.get(inner[0], "text") if not optional else "text"), ()


def _bound(field: FieldInfo, *names: str) -> float | None:
    stated = [getattr(rule, name, None) for rule in field.metadata for name in names]
    return next((float(value) for value in stated if value is not None), None)


def text(value: object) -> str:
    """A setting's value as it stands after the `=`; empty where nothing is given."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(text(part) for part in value)
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def value_of(settings: Settings, name: str) -> str:
    section, _, key = name.partition(".")
    return text(getattr(getattr(settings, section), key))


def words(settings: Settings, shape: tuple[int, ...]) -> tuple[str, ...]:
    """The `section.key=value` words with which `meeum denoise` comes to these settings for frames of `shape`."""
    found = _differences(settings, assumed(shape))
    if any(word.startswith("masking.masking=") for word in found):
        return _differences(settings, Settings())  # which `meeum denoise` starts from once a scheme is named
    if any(word.startswith("masking.") for word in found) and settings.training.objective != "masked":
        found = (*found, f"training.objective={settings.training.objective}")
    return tuple(dict.fromkeys(found))


def changed(settings: Settings, base: Settings) -> tuple[str, ...]:
    """What differs from `base`, as words for `--set`."""
    return _differences(settings, base)


def _differences(settings: Settings, base: Settings) -> tuple[str, ...]:
    names = [f"{section}.{key}" for section, key, _ in _fields()]
    pairs = ((name, value_of(settings, name), value_of(base, name)) for name in names)
    return tuple(f"{name}={now}" for name, now, before in pairs if now != before)


def settled(base: Settings, values: dict[str, str], free: tuple[str, ...] = ()) -> Settings:
    """`base` with a form's values and then the free words; a UsageError says which is wrong, and why."""
    given = [f"{name}={value}" for name, value in values.items() if value != value_of(base, name)]
    return override(base, (*given, *free)) if given or free else base
