"""The lab note's six questions, and how they are put to an image one after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from meeum.asking import blank, constraint, inversion, leak, planted, replication
from meeum.asking.answer import Answer, Question, Row, conclude
from meeum.asking.experiments import Bench, Image
from meeum.auditing import Picture
from meeum.errors import UsageError


@dataclass(frozen=True)
class Event:
    """Something to show: which question, what is being done, and at its end the answer."""

    number: int
    text: str
    answer: Answer | None = None


def asking(
    bench: Bench, numbers: Sequence[int], *, seeds: Sequence[int], images: Sequence[Image | None] = (None,)
) -> Iterator[Event]:
    """Put questions to phantoms (None) and to given images, seed by seed: what is being done, and each answer."""
    for number in selected(numbers):
        began, rows, pictures = time.monotonic(), list[Row](), list[Picture]()
        for image in images:
            for seed in seeds:
                for told in QUESTIONS[number].trial(bench, image, seed):
                    if isinstance(told, str):
                        yield Event(number, f"{told}, seed {seed}")
                    elif isinstance(told, Picture):
                        pictures += [told] * (seed == seeds[0])
                    else:
                        rows.append(told)
        question = QUESTIONS[number]
        seconds = time.monotonic() - began
        answer = Answer(question, tuple(rows), conclude(question, rows), tuple(pictures), seconds)
        yield Event(number, answer.outcome.conclusion, answer)


def selected(numbers: Sequence[int]) -> list[int]:
    """The questions of these numbers, once each and in order; all of them where none is given."""
    for number in numbers:
        if number not in QUESTIONS:
            known = "; ".join(f"{one.number} {one.text}" for one in QUESTIONS.values())
            raise UsageError(f"--question {number}: there is no such question; known are {known}")
    return sorted(set(numbers)) or sorted(QUESTIONS)


QUESTIONS: dict[int, Question] = {
    1: replication.QUESTION,
    2: blank.QUESTION,
    3: planted.QUESTION,
    4: constraint.QUESTION,
    5: leak.QUESTION,
    6: inversion.QUESTION,
}
