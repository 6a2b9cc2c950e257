"""What the widgets ask for, as generators of small records for a worker thread, and as the command line that does it.

torch is imported here, by the functions that need it, and nowhere else in this room.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from meeum.auditing import gather, judging
from meeum.auditing.judge import guarded
from meeum.errors import MeeumError, UsageError
from meeum.napari_plugin import asked
from meeum.napari_plugin.asked import Comparing, Denoising
from meeum.stages import STAGES
from meeum.volume import Volume

if TYPE_CHECKING:
    from meeum.glimpse import Glimpse
    from meeum.job import Event, Job

OFTEN = 0.1  # seconds between two records of the same stage
BETWEEN, LOOKS = 2.0, 0.02  # previews: seconds between two at least, and share of the time that they may take
NAMES = {**STAGES, "score": "Estimating the error"}


@dataclass(frozen=True)
class Told:
    """What to show: the stage, its share that is done (nan: nobody knows), words; at the end the result.

    stage    one of `NAMES`, "note", "stopped", "failed" or "done"
    preview  while training, now and then: a piece of the middle plane as the network denoises it so far
    """

    stage: str
    text: str = ""
    share: float = math.nan
    result: Any = None
    preview: Glimpse | None = None


Telling = Iterator[Told]


def denoise(errand: Denoising) -> Telling:
    """Train, denoise, audit and keep a run; the last record has the audit, which holds both images."""
    yield from _guarded(lambda: _denoising(_job(errand)))


def denoise_so_far(errand: Denoising) -> Telling:
    """Denoise with what a stopped training left in the folder."""

    def begin() -> Telling:
        from meeum import api

        model = api.load(errand.folder)
        yield from _denoising(replace(_job(errand), settings=model.settings, model=model, resume=True))

    yield from _guarded(begin)


def _job(errand: Denoising) -> Job:
    from meeum.job import Job

    volume = asked.chosen(errand.image, errand.settings.input)
    command = asked.denoise_command(errand, out=errand.folder)
    return Job([volume], errand.folder, errand.settings, command, overwrite=errand.overwrite, stop=errand.stop)


def _denoising(job: Job) -> Telling:
    """A run as the command line does it, `live.html` included, with a preview now and then."""
    from meeum import live, run

    due = 0.0
    for event in live.following(run.start(job), job):
        told, began = _told(event), time.monotonic()
        if event.look and began >= due:
            told = replace(told, preview=event.look(live.VOXELS[len(job.volumes[0].spatial_axes)]))
            due = time.monotonic() + max(BETWEEN, (time.monotonic() - began) / LOOKS)
        yield told


def _told(event: Event) -> Told:
    if event.stage == "done":
        return Told("done", event.text, 1.0, result=event.audit)
    untold = event.stage == "note" or (event.stage in ("prepare", "stopped") and not event.share)
    share = math.nan if untold else event.share
    parts = [event.text or (f"{share:.0%}" if share < 1 else "done" if share >= 1 else "")]
    parts += [f"loss {event.loss:.4f}"] if math.isfinite(event.loss) else []
    parts += [f"{_clock(event.seconds_left)} left"] if math.isfinite(event.seconds_left) and event.share < 1 else []
    return Told(event.stage, ", ".join(part for part in parts if part), share)


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 60}:{whole % 60:02d} min" if whole < 3600 else f"{whole // 3600}:{whole % 3600 // 60:02d} h"


def audit(noisy: Volume, denoised: Volume, stop: Callable[[], bool]) -> Telling:
    """Judge a pair, measure by measure; the last record has the audit."""
    yield from _guarded(lambda: _auditing(noisy, denoised, stop))


def _auditing(noisy: Volume, denoised: Volume, stop: Callable[[], bool]) -> Telling:
    if noisy.shape != denoised.shape or noisy.axes != denoised.axes:
        raise UsageError(
            f"the denoised image has shape {denoised.shape}, axes {denoised.axes}, but the noisy one {noisy.shape}, "
            f"{noisy.axes}; choose two layers of the very same field"
        )
    yield Told("audit", "measuring the noise")
    names, found = list(guarded()), None
    for found in judging(gather(noisy, denoised)):
        done = len(found.timings)
        if stop() and done < len(names):
            yield Told("stopped", f"stopped after {done} of {len(names)} measures", result=found if done else None)
            return
        yield Told("audit", names[done] if done < len(names) else "done", done / len(names))
    yield Told("done", "", 1.0, result=found)


def compare(errand: Comparing) -> Telling:
    """Run a grid of settings one after the other; the last record has the result."""
    yield from _guarded(lambda: _comparing(errand))


def _comparing(errand: Comparing) -> Telling:
    from meeum import request
    from meeum.comparing import comparison

    if errand.image.file is None:
        raise UsageError(
            "compare: this layer lies in no file; save it first (File > Save Selected Layers), then open it"
        )
    found = asked.own_words(errand.image, asked.compared_words(errand))
    command = asked.compare_command(errand, out=errand.folder)
    wanted = request.Request((errand.image.file,), errand.folder, command, None, found, overwrite=errand.overwrite)
    yield Told("prepare", "measuring the noise of the image")
    plan = request.comparing(wanted, request.Sought(errand.preset, errand.varied, errand.seeds, jobs=1))
    for step in comparison.start(replace(plan, stop=errand.stop)):
        told = _told(step.event)
        share = min(1.0, (step.done + (0.8 * step.event.share if told.stage == "train" else 0.0)) / max(step.count, 1))
        where = f"[{step.done}/{step.count}] {step.run}: " if step.run else ""
        stage = "note" if told.stage == "failed" else told.stage  # one setting failed, not the comparison
        yield replace(told, stage=stage, text=f"{where}{told.text}", share=share, result=step.result)


def _guarded(begin: Callable[[], Telling]) -> Telling:
    """Not more often than a screen needs, and with what goes wrong as the last record."""
    stage, shown = "", -math.inf
    try:
        for told in begin():
            now = time.monotonic()
            always = told.stage == "note" or told.preview is not None or told.share >= 1
            if always or told.stage != stage or now - shown > OFTEN:
                stage, shown = told.stage, now
                yield told
    except MeeumError as error:
        yield Told("failed", str(error))
    except RuntimeError as error:  # which a worker thread would swallow
        yield Told("failed", f"{type(error).__name__}: {error}")
