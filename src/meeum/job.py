"""What a run is asked to do, and what it tells on its way."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from meeum import glimpse, training
from meeum.auditing import Audit
from meeum.checkpoint import Model
from meeum.noise import Noise
from meeum.remedy import Remedy
from meeum.settings import Settings
from meeum.volume import Volume


@dataclass(frozen=True)
class Event:
    """Something to show: which stage, how much of it is done, and in training the loss and the time left."""

    stage: str  # one of `stages.STAGES`, "note", "stopped" or "done"
    share: float = 0.0
    text: str = ""
    loss: float = float("nan")
    seconds_left: float = float("nan")
    audit: Audit | None = None  # when all is done, of the denoised image
    progress: training.Progress | None = None  # in training
    look: glimpse.Look | None = None  # in training: asks what the network makes of a piece, before the next event


@dataclass(frozen=True)
class Job:
    """What a run is asked to do: train on `volumes` (or use `model`), then denoise `volumes[0]` if `denoise`."""

    volumes: Sequence[Volume]
    folder: Path
    settings: Settings
    command: str
    model: Model | None = None
    resume: bool = False
    overwrite: bool = False
    denoise: bool = True
    notes: tuple[str, ...] = ()  # what was assumed or should be known
    stop: Callable[[], bool] = lambda: False
    remedy: Remedy | None = None  # what `volumes[0]` was before its lattices were taken out
    noise: Noise | None = None  # where it is known already

    @property
    def removed(self) -> Volume | None:
        return self.remedy.removed if self.remedy else None


Events = Generator[Event, None, None]
