"""A run: from a job to a folder with settings, command, versions, log, metrics, model, results, audit and report."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from meeum import api, checkpoint, folder, glimpse, predict, preparation, results, session
from meeum.auditing import Audit
from meeum.auditing.judge import guarded
from meeum.checkpoint import Model
from meeum.errors import MeeumError
from meeum.ini import to_ini
from meeum.job import Event, Events, Job
from meeum.preparation import Prepared
from meeum.report import RunFacts, file_facts
from meeum.session import Session
from meeum.settings import Settings
from meeum.volume import Volume


def start(job: Job) -> Events:
    """Do the job, one event at a time; its folder is made when nothing about the job is left to refuse."""
    sources = _sources(job)
    folder.check(job.folder, overwrite=job.overwrite, resume=job.resume, reads=sources)
    if job.denoise:
        results.refuse(job.folder, job.settings.output.formats, job.volumes[0])
    for note in _notes(job):
        yield Event("note", text=note)
    try:
        yield from _train_and_denoise(job)
    except OSError as error:  # a full disk does not say which file it was
        folder.tidy(job.folder)
        raise MeeumError(f"{error.filename or job.folder}: {error.strerror or error}") from error
    except (MemoryError, RuntimeError) as error:
        lacking = isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
        if not lacking:
            raise
        raise MeeumError(
            "not enough memory; try --set training.batch=2, a smaller training.patch or --set prediction.memory_gb=0.5"
        ) from error


def _sources(job: Job) -> list[Path]:
    return [volume.source for volume in job.volumes if volume.source]


def _without_lattices(job: Job) -> Generator[Event, None, Job]:
    """The same job on images without their lattices, if that was asked for."""
    if not job.settings.input.remove_lattice:
        return job
    yield Event("prepare", text="looking for lattices")
    cleaned, found, told = results.remedied(job.volumes)
    for note in told:
        yield Event("note", text=note)
    return replace(job, volumes=cleaned, remedy=found[0], notes=(*job.notes, *told))


def _train_and_denoise(job: Job) -> Events:
    job = yield from _without_lattices(job)
    if job.model is None:
        model = yield from _train(job)
        if model is None:
            return
    else:
        model = replace(job.model, settings=job.settings)
        _check_model(job, model)
        _open(job, job.settings)
    judged = None
    if job.denoise:
        began = time.monotonic()
        clean = yield from _denoise(job, model)
        if clean is None:
            return
        judged = yield from _conclude(job, clean, model, seconds=time.monotonic() - began)
        if judged is None:
            return
    yield Event("done", 1.0, str(job.folder), audit=judged)


def _open(job: Job, settings: Settings) -> None:
    """Make the folder and say in it what is going to be done."""
    folder.make(job.folder, overwrite=job.overwrite, resume=job.resume, reads=_sources(job))
    folder.put(job.folder / folder.SETTINGS, to_ini(settings))
    folder.note(job.folder, job.command, name=folder.COMMAND)
    folder.put(job.folder / folder.VERSIONS, json.dumps(results.versions(settings), indent=2) + "\n")
    for note in _notes(job):
        folder.note(job.folder, note)


def _notes(job: Job) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*job.notes, *(f"{v.name}: {text}" for v in job.volumes for text in v.warnings)]))


def _check_model(job: Job, model: Model) -> None:
    """A model that cannot denoise the image is found out before the training, not after it."""
    if job.denoise:
        api.refuse_other_kind(job.volumes[0], model)
        predict.tiles(job.volumes[0].spatial_shape, model)


def _train(job: Job) -> Generator[Event, None, Model | None]:
    running = yield from _prepare(job)
    if running is None:
        return None
    settings = running.settings
    _check_model(job, running.model)
    _open(job, settings)
    if running.model.reason:
        folder.note(job.folder, running.model.reason)
        yield Event("note", text=running.model.reason)
    steps = settings.training.steps or 0
    folder.note(job.folder, f"training {steps} steps in {settings.training.precision} on {session.device(settings)}")
    saved = began = time.monotonic()
    first, look = running.state.step, glimpse.through(running, job.volumes[0])
    for progress in running.run():
        now = time.monotonic()
        left = (now - began) / (progress.step - first) * (steps - progress.step)
        share, text = progress.step / steps, f"step {progress.step}/{steps}"
        yield Event("train", share, text, progress.loss, left, progress=progress, look=look)
        if job.stop():
            results.save(job.folder, running)
            yield Event("stopped", share, f"stopped after training step {progress.step} of {steps}")
            return None
        if now - saved > settings.training.checkpoint_minutes * 60:
            results.save(job.folder, running)
            saved = now
    if running.state.step < steps:
        note = f"training ended after step {running.state.step} of {steps}: the estimated error fell no more"
        folder.note(job.folder, note)
        yield Event("note", text=note)
    return results.finish(job.folder, running)


def _prepare(job: Job) -> Generator[Event, None, Session | None]:
    """Ready to train; None if it was stopped before."""
    yield Event("prepare", text="measuring noise and the speed of this machine")
    if job.resume:
        return session.resume(job.volumes, checkpoint.load(job.folder))
    began = time.monotonic()
    for now in preparation.preparing(job.volumes, job.settings, noise=job.noise):
        if now.step == 0:
            began = time.monotonic()
        elif job.stop():
            yield Event("stopped", text="stopped before the training began; nothing was written")
            return None
        else:
            yield _first_training(now, time.monotonic() - began)
    return now.session


def _first_training(now: Prepared, seconds: float) -> Event:
    share, text = now.step / now.steps, f"first training, {now.purpose}: step {now.step}/{now.steps}"
    return Event("prepare", share, text, seconds_left=seconds * (1 - share) / share)


def _denoise(job: Job, model: Model) -> Generator[Event, None, Volume | None]:
    """The denoised image; None if it was stopped before it was whole."""
    noisy = job.volumes[0]
    for left_out in predict.left_out(noisy, model):
        folder.note(job.folder, left_out)
        yield Event("note", text=left_out)
    yield Event("denoise", 0.0)
    began = time.monotonic()
    clean, shares = api.denoising(noisy, model)
    for share in shares:
        seconds = time.monotonic() - began
        if share < 1:
            yield Event("denoise", share, seconds_left=seconds * (1 - share) / share)
        if share < 1 and job.stop():
            yield Event("stopped", share, f"stopped with {share:.0%} of the image denoised")
            return None
    seconds = time.monotonic() - began
    folder.note(job.folder, f"denoised {noisy.shape} in {seconds:.1f} s")
    speed = math.prod(noisy.shape) / max(seconds, 1e-9) / 1e6
    yield Event("denoise", 1.0, f"done ({speed:.2g} million voxels per second)")
    return clean


def _conclude(job: Job, clean: Volume, model: Model, *, seconds: float) -> Generator[Event, None, Audit | None]:
    """Results, then their audit, then the report; None if it was stopped before; `seconds` is what denoising took."""
    written = yield from _write(job, clean, model)
    began, count = time.monotonic(), len(guarded())
    for judged in results.audit(job.volumes[0], clean, model, trained_here=job.model is None, seconds=seconds):
        done = len(judged.timings)
        yield Event("audit", done / (count + 1), f"{done} of {count} measures")
        if done < count and job.stop():
            told = f"stopped after {done} of {count} measures of the audit: no report; the results are whole"
            yield Event("stopped", (done + 1) / (count + 1), told)
            return None
    took, removed = time.monotonic() - began, job.remedy.as_dict() if job.remedy else {}
    folder.put(job.folder / folder.AUDIT, json.dumps(judged.as_dict() | removed, indent=1, allow_nan=False) + "\n")
    folder.note(job.folder, f"audit, {took:.1f} s: {judged.verdict}: {judged.sentence}")
    yield Event("audit", 1.0, f"done ({took:.3g} s)")
    yield Event("report", 0.0)
    results.report(job.folder, (job.volumes[0], clean), _facts(job, model, judged, written), cleaning=job.remedy)
    yield Event("report", 1.0)
    return judged


def _write(job: Job, clean: Volume, model: Model) -> Generator[Event, None, list[Path]]:
    yield Event("write", 0.0)
    noisy = job.remedy.original if job.remedy else job.volumes[0]
    formats, target = job.settings.output.formats, job.folder / folder.RESULTS
    results.refuse(job.folder, formats, noisy)
    provenance = {"command": job.command, "settings": to_ini(model.settings)}
    provenance |= {"removed": job.remedy.lattices.sentence} if job.remedy else {}
    written = results.write(target, clean, noisy=noisy, formats=formats, provenance=provenance, removed=job.removed)
    for path in written:
        folder.note(job.folder, f"wrote {path}")
    yield Event("write", 1.0)
    return written


def _facts(job: Job, model: Model, judged: Audit, written: Sequence[Path]) -> RunFacts:
    return RunFacts(
        title=job.volumes[0].name,
        command=job.command,
        settings=to_ini(model.settings),
        versions=results.versions(model.settings),
        seconds=model.history[-1]["seconds"] if model.history else float("nan"),
        metrics=model.history,
        notes=[*([model.reason] if model.reason else []), *_notes(job)],
        results=[str(path.relative_to(job.folder)) for path in written],
        overwrite=True,
        audit=judged,
        inputs=[file_facts(path) for path in _sources(job)[:1]],
        report_mb=job.settings.output.report_mb,
    )
