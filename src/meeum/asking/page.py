"""The answers as one offline page, as JSON and as figures."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from meeum import __version__
from meeum.asking.answer import VERSION, Answer, Question, Row, Rows, mean_of
from meeum.auditing import Picture
from meeum.errors import UsageError
from meeum.folder import refuse_place
from meeum.io.files import replacing
from meeum.report.evidence import draw

JSON, PAGE, FIGURES = "answers.json", "answers.html", "figures"


def refuse(folder: Path, *, overwrite: bool) -> None:
    """Say no to a folder that holds something already (unless it may be replaced), or that is none."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file; give the name of a folder for the answers")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise UsageError(f"{folder}: is not empty; give another folder with --out, or --overwrite to replace answers")
    refuse_place(folder)


def write(folder: Path, answers: Sequence[Answer], *, facts: Mapping[str, Any], overwrite: bool = False) -> list[Path]:
    """answers.json, answers.html and one PNG per picture; `facts` say how it was made."""
    refuse(folder, overwrite=overwrite)
    (folder / FIGURES).mkdir(parents=True, exist_ok=True)
    for old in (folder / FIGURES).glob("q[0-9]_*.png"):  # of other questions than those asked now
        old.unlink()
    text = json.dumps(as_dict(answers, facts), indent=1, allow_nan=False) + "\n"
    written = [_put(folder / JSON, text.encode(), overwrite)]
    pictures = {one.question.number: [_png(picture) for picture in one.pictures] for one in answers}
    for number, images in pictures.items():
        for count, image in enumerate(images, 1):
            written.append(_put(folder / FIGURES / f"q{number}_{count}.png", image, overwrite))
    written.append(_put(folder / PAGE, _page(answers, pictures, facts).encode(), overwrite))
    return written


def as_dict(answers: Sequence[Answer], facts: Mapping[str, Any]) -> dict[str, Any]:
    """What answers.json holds; `version` grows when the meaning of a key changes."""
    return {"version": VERSION, "meeum": __version__, **facts, "answers": [one.as_dict() for one in answers]}


def cells(question: Question, rows: Rows) -> list[list[str]]:
    """A table as text, head first: one line per image and setting, numbers as means over seeds."""
    columns = [name for name in question.columns if any(row.get(name) is not None for row in rows)]
    words = [name for name in columns if question.columns[name] == "{}"]
    keys = [name for name in words if name not in ("direction", "field", "verdict")]
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(str(row.get(name, "")) for name in keys), []).append(row)
    body = [[_cell(question, group, name) for name in columns] for group in groups.values()]
    return [[name.replace("_", " ") for name in columns], *body]


def _cell(question: Question, rows: Rows, name: str) -> str:
    form = question.columns[name]
    if form == "{}":
        known = dict.fromkeys(str(row[name]) for row in rows if row.get(name) is not None)
        return ", ".join(known) or "–"
    value = mean_of(rows, name)
    return "–" if math.isnan(value) else form.format(value)


def _put(path: Path, content: bytes, overwrite: bool) -> Path:
    with replacing(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(content)
    return path


def _png(picture: Picture) -> bytes:
    file = io.BytesIO()
    draw(picture).save(file, format="PNG")
    return file.getvalue()


def _page(answers: Sequence[Answer], pictures: Mapping[int, Sequence[bytes]], facts: Mapping[str, Any]) -> str:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = files("meeum.asking").joinpath("page.html.jinja").read_text(encoding="utf-8")
    shown = {number: [base64.b64encode(one).decode("ascii") for one in some] for number, some in pictures.items()}
    tables = {one.question.number: cells(one.question, one.rows) for one in answers}
    return environment.from_string(text).render(answers=answers, pictures=shown, tables=tables, facts=facts)
