"""What a person sees of `meeum ask`: what is being done, the answers in words, and where they lie."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from meeum.asking import QUESTIONS, Answer, Image, asking, bench, examined, page, selected
from meeum.volume import Volume


@dataclass(frozen=True)
class Inquiry:
    """What is asked: questions (all if none), of an image besides phantoms, steps, seeds, and where answers go."""

    folder: Path
    numbers: Sequence[int] = ()
    image: Volume | None = None
    steps: int = 300
    seeds: int = 3
    command: str = ""
    overwrite: bool = False


def inquire(asked: Inquiry, *, as_json: bool) -> None:
    """Ask, show each answer as it comes, write all of them."""
    numbers = selected(asked.numbers)
    page.refuse(asked.folder, overwrite=asked.overwrite)
    images: list[Image | None] = [None]
    if asked.image:
        images.append(examined(asked.image))
    console = Console(stderr=as_json, markup=False, highlight=False, emoji=False)
    answers: list[Answer] = []
    for event in asking(bench(asked.steps), numbers, seeds=range(asked.seeds), images=images):
        if event.answer is None:
            console.print(f"{event.number}  {event.text}", style="dim", soft_wrap=True)
        else:
            answers.append(event.answer)
            _show(event.answer, console)
    written = page.write(asked.folder, answers, facts=_facts(asked), overwrite=asked.overwrite)
    if as_json:
        print(json.dumps(page.as_dict(answers, _facts(asked)), allow_nan=False))
    for path in written:
        if path.suffix != ".png":
            console.print(f"wrote {path}", soft_wrap=True)


def _show(answer: Answer, console: Console) -> None:
    asked = QUESTIONS[answer.question.number]
    console.print(f"\n{asked.number}. {asked.text}", style="bold", soft_wrap=True)
    console.print(f"{answer.outcome.conclusion}\n", soft_wrap=True)


def _facts(asked: Inquiry) -> dict[str, Any]:
    name = asked.image.name if asked.image else None
    return {"command": asked.command, "file": name, "steps": asked.steps, "seeds": asked.seeds}
