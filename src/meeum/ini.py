"""Settings as INI text: read with comments and quotes, written complete and commented."""

from __future__ import annotations

import configparser
import json
import re
from collections.abc import Callable
from pathlib import Path

from pydantic.fields import FieldInfo

from meeum.errors import UsageError
from meeum.settings import Settings, from_values

UNSAID = {  # what an empty key stands for, where that is not its default
    "training.objective": "auto, or masked where anything is given under [masking]",
    "masking.masking": "UPS in masked training",
    "network.network": "with auto what suits the noise, else unet",
}


def read_ini(path: Path) -> Settings:
    """Settings from an INI file; which keys were given stays known (`model_fields_set` of each section)."""
    parser = configparser.ConfigParser(interpolation=None, default_section="no section is shared")
    try:
        with path.open(encoding="utf-8-sig") as file:  # Notepad begins its files with a byte order mark
            parser.read_file(file)
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file; `meeum config --init {path}` writes one") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (configparser.Error, UnicodeDecodeError, AttributeError) as error:
        why = " ".join(str(error).split())[:200]
        raise UsageError(f"{path}: not a readable INI file (sections in [brackets], key = value): {why}") from None
    values = {section: {key: _bare(text) for key, text in parser[section].items()} for section in parser.sections()}
    return from_values(values, where=path.name)


def _bare(text: str) -> str:
    """A value without its comment; what stands in double quotes is kept to the letter."""
    if text.startswith('"'):
        try:
            return str(json.JSONDecoder().raw_decode(text)[0])
        except json.JSONDecodeError:
            pass  # not quoted after all: taken as it is
    return re.sub(r"(^|\s)[#;].*", "", text, flags=re.MULTILINE).strip()


def to_ini(settings: Settings) -> str:
    """The complete settings as INI text, every key with a comment; keys without a value are left empty."""
    return _written(lambda section, key, field: (field.description, _text(getattr(getattr(settings, section), key))))


def template() -> str:
    """Every key with a comment that says what it is when left empty, and all of them empty: read back, nothing said."""
    return _written(lambda section, key, field: (_explained(f"{section}.{key}", field), ""))


def _written(told: Callable[[str, str, FieldInfo], tuple[str | None, str]]) -> str:
    lines = []
    for section in Settings.model_fields:
        lines.append(f"[{section}]")
        for key, field in type(getattr(Settings(), section)).model_fields.items():
            comment, value = told(section, key, field)
            lines += [f"# {comment}", f"{key} = {value}".rstrip()]
        lines.append("")
    return "\n".join(lines)


def _explained(name: str, field: FieldInfo) -> str:
    left_empty = UNSAID.get(name, _text(field.default))
    known = not left_empty or "empty =" in (field.description or "")
    return f"{field.description}" if known else f"{field.description}; empty = {left_empty}"


def _text(value: object) -> str:
    if value is None:
        return ""
    text = ", ".join(str(part) for part in value) if isinstance(value, tuple) else str(value)
    return text if text.isprintable() and _bare(text) == text else json.dumps(text)
