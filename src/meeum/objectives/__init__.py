"""Objectives: what a training step asks of the network, each from settings to `(network, batch, generator) -> loss`."""

from collections.abc import Callable

from meeum.objectives.masked import masked, plan_masking
from meeum.objectives.objective import Network, Objective, Subject
from meeum.settings import Settings

OBJECTIVES: dict[str, Callable[[Settings, Subject], Objective]] = {"masked": masked}

__all__ = ["OBJECTIVES", "Network", "Objective", "Subject", "masked", "plan_masking"]
