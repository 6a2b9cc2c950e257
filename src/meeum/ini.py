"""Settings as INI text: read with comments and quotes, written complete and commented."""

from __future__ import annotations

import configparser
import json
import re
from collections.abc import Iterable
from pathlib import Path

from meeum.errors import UsageError
from meeum.settings import Settings, from_values, override


def read_ini(path: Path, overrides: Iterable[str] = ()) -> Settings:
    """Settings from an INI file, then `section.key=value` overrides on top."""
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
    settings, words = from_values(values, where=path.name), tuple(overrides)
    return override(settings, words) if words else settings  # which keys were given stays known


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
    lines = []
    for section in Settings.model_fields:
        part = getattr(settings, section)
        lines.append(f"[{section}]")
        for key, field in type(part).model_fields.items():
            lines += [f"# {field.description}", f"{key} = {_text(getattr(part, key))}".rstrip()]
        lines.append("")
    return "\n".join(lines)


def _text(value: object) -> str:
    if value is None:
        return ""
    text = ", ".join(str(part) for part in value) if isinstance(value, tuple) else str(value)
    return text if text.isprintable() and _bare(text) == text else json.dumps(text)
