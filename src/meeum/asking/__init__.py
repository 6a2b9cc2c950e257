"""The lab note's questions, each an experiment with controls, a statistic, a picture and a written conclusion."""

from meeum.asking.answer import Answer, Outcome, Question, Statistic
from meeum.asking.experiments import Bench, Image, bench, examined
from meeum.asking.questions import QUESTIONS, Event, asking, selected

__all__ = [
    "QUESTIONS",
    "Answer",
    "Bench",
    "Event",
    "Image",
    "Outcome",
    "Question",
    "Statistic",
    "asking",
    "bench",
    "examined",
    "selected",
]
