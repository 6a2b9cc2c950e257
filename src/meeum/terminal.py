"""What a person sees in the terminal: progress, plain lines where it is none, tables, and JSON on request."""

from __future__ import annotations

import json
import math
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from meeum import run
from meeum.checkpoint import MODEL_FILE
from meeum.run import Event, Job
from meeum.volume import Volume

STAGES = {
    "prepare": "Preparing",
    "train": "Training",
    "denoise": "Denoising",
    "write": "Writing results",
    "report": "Writing report",
}
SAMPLE = 4_000_000  # voxels `info` looks at for the value range
PLAIN_SECONDS = 10.0


def follow(job: Job, *, as_json: bool, quiet_end: bool) -> int:
    """Show a job until its end; the exit code: 0 done, 130 interrupted (and ready to resume)."""
    console = Console(stderr=True) if as_json else Console()
    with _interruptible() as interrupted:
        events = run.start(replace(job, stop=lambda: bool(interrupted)))
        last = _bars(events, console) if console.is_terminal else _lines(events, console)
    if last.stage == "stopped":
        console.print(f"{last.text}. To go on:\n  {_resume_command(job)}", soft_wrap=True)
        return 130
    if as_json and not quiet_end:
        print(json.dumps(_summary(job)))
    elif not quiet_end:
        _show_end(job, console)
    return 0


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Ctrl-C once finishes the step and saves; twice stops at once."""
    caught: list[int] = []

    def note(number: int, frame: object) -> None:
        caught.append(number)
        signal.signal(signal.SIGINT, before)
        print("\nfinishing this step, then saving (Ctrl-C again: stop at once)", file=sys.stderr)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield caught
    finally:
        signal.signal(signal.SIGINT, before)


def _bars(events: Iterator[Event], console: Console) -> Event:
    """A bar per stage, with loss and time left while training."""
    columns = (TextColumn("{task.description:<16}"), BarColumn(), TextColumn("{task.fields[words]}"))
    tasks: dict[str, TaskID] = {}
    event = Event("prepare")
    with Progress(*columns, console=console) as progress:
        for event in events:
            if event.stage in STAGES and event.text and event.stage == "prepare":
                progress.console.print(event.text, style="dim", soft_wrap=True)
            elif event.stage in STAGES:
                if event.stage not in tasks:
                    tasks[event.stage] = progress.add_task(STAGES[event.stage], total=1.0, words="")
                progress.update(tasks[event.stage], completed=event.share, words=_words(event))
    return event


def _lines(events: Iterator[Event], console: Console) -> Event:
    """The same without a terminal: a line per stage, and every ten seconds of training."""
    shown, event = -math.inf, Event("prepare")
    for event in events:
        now = time.monotonic()
        if event.stage in ("train", "denoise") and event.share < 1 and now - shown < PLAIN_SECONDS:
            continue
        if event.stage in STAGES and (event.share > 0 or event.text):
            shown = now
            console.print(f"{STAGES[event.stage]}: {_words(event)}".rstrip(": "), soft_wrap=True, markup=False)
    return event


def _words(event: Event) -> str:
    if event.stage != "train":
        return event.text or ("done" if event.share >= 1 else f"{event.share:.0%}")
    return f"{event.text}  loss {event.loss:.4f}  {_clock(event.seconds_left)} left"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _resume_command(job: Job) -> str:
    names = " ".join(str(volume.source) for volume in job.volumes)
    return f"meeum {'denoise' if job.denoise else 'train'} {names} --out {job.folder} --resume"


def _summary(job: Job) -> dict[str, Any]:
    """What a script wants to know of a finished run."""
    summary: dict[str, Any] = {
        "folder": str(job.folder),
        "model": str(job.folder / MODEL_FILE),
        "notes": list(job.notes),
    }
    if job.denoise:
        results = sorted(str(path) for path in (job.folder / run.RESULTS).iterdir())
        statistics = json.loads((job.folder / run.SUMMARY).read_text(encoding="utf-8"))
        summary |= {"results": results, "report": str(job.folder / run.REPORT), **statistics}
    return summary


def _show_end(job: Job, console: Console) -> None:
    if not job.denoise:
        console.print(f"model   {job.folder / MODEL_FILE}", soft_wrap=True)
        return
    for path in sorted((job.folder / run.RESULTS).iterdir()):
        console.print(f"result  {path}", soft_wrap=True)
    console.print(f"report  {job.folder / run.REPORT}", soft_wrap=True)


def show_info(volume: Volume, *, as_json: bool) -> None:
    """What a file holds, as a table or as JSON."""
    facts = describe(volume)
    if as_json:
        print(json.dumps(facts))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in facts.items():
        if name != "warnings":
            table.add_row(name, _plain(value))
    console = Console()
    console.print(table)
    for warning in volume.warnings:
        console.print(f"warning: {warning}", style="yellow", soft_wrap=True)


def describe(volume: Volume) -> dict[str, Any]:
    """Axes, shape, voxel size, value range and all that the reader found out."""
    values, share = _sample(volume)
    valid = values[volume.valid(values)]
    numbers = valid[np.isfinite(valid)]
    facts: dict[str, Any] = {
        "file": volume.name,
        "axes": volume.axes,
        "shape": list(volume.shape),
        "voxel size (µm)": list(volume.voxel_size_um) if volume.voxel_size_um else None,
        "frames": volume.frame_count,
        "frame interval (s)": volume.frame_interval_s,
        "quantity": volume.quantity,
        "medium index": volume.medium_index,
        "stored as": volume.stored_dtype,
        "smallest": float(numbers.min()) if numbers.size else None,
        "largest": float(numbers.max()) if numbers.size else None,
        "mean": float(numbers.mean(dtype=np.float64)) if numbers.size else None,
        "voxels without data": f"{100 * (1 - valid.size / max(values.size, 1)):.3g} %",
        "not numbers": int(valid.size - numbers.size),
        "looked at": f"{100 * share:.3g} % of the voxels",
    }
    return facts | dict(volume.details) | {"warnings": list(volume.warnings)}


def _sample(volume: Volume) -> tuple[np.ndarray[Any, Any], float]:
    """Evenly spread planes of the slowest axis, and their share of the whole."""
    plane = math.prod(volume.shape[1:])
    count = int(np.clip(SAMPLE // max(plane, 1), 1, volume.shape[0]))
    picked = np.unique(np.linspace(0, volume.shape[0] - 1, count).round().astype(int))
    rest = tuple(slice(None) for _ in volume.shape[1:])
    return np.concatenate([volume.read((slice(i, i + 1), *rest)) for i in picked]), len(picked) / volume.shape[0]


def _plain(value: object) -> str:
    if value is None:
        return "not stated"
    if isinstance(value, float):
        return f"{value:.6g}"
    return " x ".join(_plain(part) for part in value) if isinstance(value, list) else str(value)


def show_comparison(comparison: Mapping[str, float], folder: Path, *, as_json: bool) -> None:
    """The demo's last words: how much nearer to the truth, and where to look."""
    if as_json:
        print(json.dumps({"folder": str(folder), "report": str(folder / run.REPORT), **comparison}))
        return
    facts = comparison
    line = (
        f"against the truth: PSNR {facts['noisy_psnr_db']:.1f} dB noisy, {facts['denoised_psnr_db']:.1f} dB denoised; "
        f"dry mass {facts['truth_dry_mass_pg']:.1f} pg true, {facts['denoised_dry_mass_pg']:.1f} pg denoised"
    )
    Console().print(line, soft_wrap=True)
