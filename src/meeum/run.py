"""A run: one folder with settings, command, versions, log, metrics, model, results, previews and report."""

from __future__ import annotations

import csv
import io as text_io
import json
import platform
import shutil
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from meeum import __version__, api, checkpoint, io, session
from meeum.audit import PairStatistics, pair_statistics
from meeum.checkpoint import Model
from meeum.errors import MeeumError, UsageError
from meeum.report import RunFacts, write_previews, write_report
from meeum.session import Session
from meeum.settings import Settings, to_ini
from meeum.volume import Volume

SETTINGS, COMMAND, VERSIONS, LOG, METRICS = "settings.ini", "command.txt", "versions.json", "log.txt", "metrics.csv"
RESULTS, PREVIEWS, REPORT, SUMMARY = "results", "previews", "report.html", "summary.json"
SUFFIXES = {"tcf": ".TCF", "tif": ".tif", "npy": ".npy"}


@dataclass(frozen=True)
class Event:
    """Something to show: which stage, how much of it is done, and in training the loss and the time left."""

    stage: str  # "prepare", "train", "denoise", "write", "report", "stopped", "done"
    share: float = 0.0
    text: str = ""
    loss: float = float("nan")
    seconds_left: float = float("nan")


@dataclass(frozen=True)
class Job:
    """What a run is asked to do: train on `volumes` (or use `model`), then denoise `volumes[0]` if `denoise`."""

    volumes: Sequence[Volume]
    folder: Path
    settings: Settings
    command: str
    model: Model | None = None
    resume: bool = False
    denoise: bool = True
    notes: tuple[str, ...] = ()  # what was assumed or should be known
    stop: Callable[[], bool] = lambda: False


Events = Generator[Event, None, None]


def start(job: Job) -> Events:
    """Do the job, one event at a time; everything it leaves lies in the job's folder."""
    log = _Log(job.folder / LOG)
    for note in _notes(job):
        log.write(note)
        yield Event("prepare", text=note)
    model = job.model
    if model is None:
        model = yield from _train(job, log)
        if model is None:
            return
    if job.denoise:
        yield from _denoise(job, model, log)
    yield Event("done", 1.0, str(job.folder))


def prepare_folder(folder: Path, *, overwrite: bool, resume: bool) -> None:
    """Make room for a run; an existing folder is refused unless it is one to resume or to overwrite."""
    if resume:
        if not (folder / checkpoint.MODEL_FILE).is_file():
            raise UsageError(f"{folder}: nothing to resume here (no {checkpoint.MODEL_FILE}); start without --resume")
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not overwrite:
            raise UsageError(f"{folder}: exists; choose another with --out, or replace it with --overwrite")
        if not (folder / COMMAND).is_file():
            raise UsageError(
                f"{folder}: exists and is not a meeum run, so it is not replaced; choose another with --out"
            )
        _clear(folder)
    folder.mkdir(parents=True, exist_ok=True)


def _clear(folder: Path) -> None:
    """Remove what a run writes, and nothing else."""
    for name in (SETTINGS, COMMAND, VERSIONS, LOG, METRICS, REPORT, SUMMARY, checkpoint.MODEL_FILE):
        (folder / name).unlink(missing_ok=True)
    for name in (RESULTS, PREVIEWS):
        shutil.rmtree(folder / name, ignore_errors=True)


def _notes(job: Job) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*job.notes, *(f"{v.name}: {text}" for v in job.volumes for text in v.warnings)]))


def _train(job: Job, log: _Log) -> Generator[Event, None, Model | None]:
    yield Event("prepare", text="reading, measuring the speed of this machine")
    running = _session(job)
    settings = running.settings
    _put(job.folder / SETTINGS, to_ini(settings))
    _put(job.folder / COMMAND, job.command + "\n")
    _put(job.folder / VERSIONS, json.dumps(versions(settings), indent=2) + "\n")
    steps = settings.training.steps or 0
    log.write(f"training {steps} steps in {settings.training.precision} on {session.device(settings)}")
    saved = began = time.monotonic()
    first = running.state.step
    for progress in running.run():
        now = time.monotonic()
        left = (now - began) / (progress.step - first) * (steps - progress.step)
        yield Event("train", progress.step / steps, f"step {progress.step}/{steps}", progress.loss, left)
        if job.stop():
            _save(job.folder, running, log)
            yield Event("stopped", progress.step / steps, f"stopped after step {progress.step} of {steps}")
            return None
        if now - saved > settings.training.checkpoint_minutes * 60:
            _save(job.folder, running, log)
            saved = now
    return _finish(job.folder, running, log)


def _session(job: Job) -> Session:
    if job.resume:
        return session.resume(job.volumes, checkpoint.load(job.folder))
    return session.prepare(job.volumes, job.settings)


def _save(folder: Path, running: Session, log: _Log) -> None:
    checkpoint.save(running.snapshot(), folder / checkpoint.MODEL_FILE)
    _put(folder / METRICS, _csv(running.state.history))
    log.write(f"checkpoint at step {running.state.step}")


def _finish(folder: Path, running: Session, log: _Log) -> Model:
    """The finished model, without what only a resumed training needs."""
    model = replace(running.snapshot(), state={})
    checkpoint.save(model, folder / checkpoint.MODEL_FILE)
    _put(folder / METRICS, _csv(running.state.history))
    if running.state.history:
        log.write(f"trained {model.step} steps in {running.state.history[-1]['seconds']:.0f} s")
    return model


def _denoise(job: Job, model: Model, log: _Log) -> Events:
    noisy = job.volumes[0]
    yield Event("denoise", 0.0)
    began = time.monotonic()
    clean, shares = api.denoising(noisy, model)
    for share in shares:
        yield Event("denoise", share)
    seconds = time.monotonic() - began
    log.write(f"denoised {noisy.shape} in {seconds:.1f} s")
    yield Event("denoise", 1.0, f"{np.prod(noisy.shape) / seconds / 1e6:.2f} Mvoxel/s")
    yield Event("write", 0.0)
    written = _write_results(job, noisy, clean, model)
    for path in written:
        log.write(f"wrote {path}")
    yield Event("write", 1.0)
    yield Event("report", 0.0)
    statistics = pair_statistics(noisy, clean)
    _report(job, noisy, clean, model, statistics, written)
    yield Event("report", 1.0)


def _write_results(job: Job, noisy: Volume, clean: Volume, model: Model) -> list[Path]:
    folder = job.folder / RESULTS
    folder.mkdir(exist_ok=True)
    stem = noisy.source.name.split(".")[0] if noisy.source else "image"
    provenance = {"command": job.command, "settings": to_ini(model.settings)}
    written: list[Path] = []
    # HDF5 first: it holds any value, so that a result another format cannot hold is not lost.
    for suffix in sorted(_suffixes(job.settings.output.formats, noisy), key=lambda name: name != ".hdf"):
        if suffix == ".hdf":
            written += io.write_frames(folder, clean, noisy=noisy, overwrite=True)
        else:
            path = folder / f"{stem}_denoised{suffix}"
            written.append(io.write(clean, path, noisy=noisy, provenance=provenance, overwrite=True))
    return written


def _suffixes(formats: Sequence[str], noisy: Volume) -> list[str]:
    """File suffixes to write; `same` follows the input, or TIFF where that cannot hold the image."""
    own = noisy.source.suffix if noisy.source else ".hdf"
    if own.lower() in (".h5", ".hdf5", ".hdf"):
        own = ".hdf"
    if own.lower() == ".tcf" and "Z" not in noisy.axes:
        own = ".tif"
    known = {"same": own, "hdf": ".hdf", **SUFFIXES}
    for name in formats:
        if name not in known:
            raise UsageError(f"[output] formats: unknown format {name!r}; known are {', '.join(known)}")
    return list(dict.fromkeys(known[name] for name in formats))


def _report(
    job: Job, noisy: Volume, clean: Volume, model: Model, statistics: PairStatistics, written: Sequence[Path]
) -> None:
    _put(job.folder / SUMMARY, json.dumps({"statistics": statistics.as_dict()}, indent=2) + "\n")
    previews = write_previews(job.folder / PREVIEWS, noisy, clean, overwrite=True)
    facts = RunFacts(
        title=noisy.name,
        command=job.command,
        settings=to_ini(model.settings),
        versions=versions(model.settings),
        seconds=model.history[-1]["seconds"] if model.history else float("nan"),
        metrics=model.history,
        notes=_notes(job),
        results=[str(path.relative_to(job.folder)) for path in written],
        overwrite=True,
    )
    write_report(job.folder / REPORT, noisy=noisy, denoised=clean, statistics=statistics, previews=previews, run=facts)


def versions(settings: Settings) -> dict[str, str]:
    """What ran, for the run folder and the report."""
    names = ("numpy", "scipy", "h5py", "tifffile", "safetensors")
    return {
        "meeum": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        **{name: version(name) for name in names},
        "machine": f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads",
        "device": session.device(settings),
    }


def _csv(history: Sequence[dict[str, float]]) -> str:
    if not history:
        return ""
    text = text_io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    return text.getvalue()


def _put(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.partial")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise MeeumError(f"{path}: could not be written: {error.strerror or error}") from error


class _Log:
    """Lines with the time, in the run's log file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, line: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {line}\n")
