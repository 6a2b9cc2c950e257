"""Objectives: what a training step asks of the network, each from settings to `(network, batch, generator) -> loss`."""

from collections.abc import Callable

from meeum.objectives.masked import masked, plan_masking
from meeum.objectives.neighbours import neighbours
from meeum.objectives.objective import Network, Objective, Subject
from meeum.objectives.recorrupted import Answer, answer, error_left, recorrupted, sure
from meeum.objectives.thinning import thinning
from meeum.settings import Settings

OBJECTIVES: dict[str, Callable[[Settings, Subject], Objective]] = {
    "masked": masked,
    "recorrupted": recorrupted,
    "neighbours": neighbours,
    "sure": sure,
    "thinning": thinning,
}
NEEDS_NOISE = ("recorrupted", "sure", "thinning", "auto")

__all__ = [
    "NEEDS_NOISE",
    "OBJECTIVES",
    "Answer",
    "Network",
    "Objective",
    "Subject",
    "answer",
    "error_left",
    "masked",
    "plan_masking",
]
