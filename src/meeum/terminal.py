"""What a person sees of a run: progress, plain lines where there is no terminal, and JSON on request."""

from __future__ import annotations

import json
import math
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from meeum import api, live, patches, run, verdicts
from meeum.auditing import Audit
from meeum.folder import AUDIT, MODEL_FILE, REPORT, RESULTS, SUMMARY, refuse_place
from meeum.io.files import refuse_output, replacing
from meeum.job import Event, Job
from meeum.noise import Noise
from meeum.noise.findings import box, percent, things
from meeum.noise.measure import REPEATS
from meeum.preparation import Prepared
from meeum.report.spectra import refuse_pictures, write_pictures
from meeum.routing import route
from meeum.settings import assumed
from meeum.stages import STAGES
from meeum.survey import Survey, survey
from meeum.volume import Volume

PLAIN_SECONDS = 10.0
INTERRUPTED = 130


def follow(job: Job, *, as_json: bool, quiet_end: bool, strict: bool = False) -> int:
    """Show a job until its end; the exit code: 0 done, 3 a measure failed (`strict`), 130 interrupted."""
    console = Console(stderr=as_json, markup=False, highlight=False, emoji=False)
    with interruptible() as interrupted:
        events = live.following(run.start(replace(job, stop=lambda: bool(interrupted))), job)
        last = _bars(events, console) if console.is_terminal else _lines(events, console)
    if last.stage == "stopped":
        go_on = _command_to_go_on(job, anew=job.model is not None or not last.share)  # nothing was trained
        console.print(f"{last.text}. To go on:\n  {go_on}", soft_wrap=True)
        if as_json:
            print(json.dumps({"error": last.text, "exit_code": INTERRUPTED, "go_on": go_on}))
        return INTERRUPTED
    if as_json and not quiet_end:
        print(json.dumps(_summary(job)))
    elif not quiet_end:
        _show_end(job, console, last.audit)
    return verdicts.exit_code(last.audit, strict=strict)


@contextmanager
def interruptible() -> Iterator[list[int]]:
    """Ctrl-C once finishes the step and saves; twice stops at once."""
    caught: list[int] = []

    def note(number: int, frame: object) -> None:
        caught.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # not `before`: background jobs ignore the signal
        print("\nfinishing this step, then saving (Ctrl-C again: stop at once)", file=sys.stderr)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield caught
    finally:
        signal.signal(signal.SIGINT, before)


def _bars(events: Iterator[Event], console: Console) -> Event:
    """A bar per stage, with loss and time left while training."""
    columns = (TextColumn("{task.description:<16}"), BarColumn(), TextColumn("{task.fields[words]}", markup=False))
    tasks: dict[str, TaskID] = {}
    event = Event("prepare")
    with Progress(*columns, console=console) as progress:
        for event in events:
            if event.stage == "note":
                progress.console.print(f"Note: {event.text}", style="dim", soft_wrap=True)
            elif event.stage in STAGES:
                _advance(progress, tasks, event)
    return event


def _advance(progress: Progress, tasks: dict[str, TaskID], event: Event) -> None:
    """Move the bar of a stage; that of preparing only shows that something happens, but for a first training."""
    if event.stage not in tasks:
        if "prepare" in tasks:
            progress.update(tasks["prepare"], total=1.0, completed=1.0, words="done")
        tasks[event.stage] = progress.add_task(STAGES[event.stage], total=1.0, words="")
    total = None if event.stage == "prepare" and not event.share else 1.0
    progress.update(tasks[event.stage], total=total, completed=event.share, words=_words(event))


def _lines(events: Iterator[Event], console: Console) -> Event:
    """The same without a terminal: a line when a stage begins and ends, and every ten seconds in between."""
    stage, shown, event = "", -math.inf, Event("prepare")
    for event in events:
        soon = event.stage == stage and time.monotonic() - shown < PLAIN_SECONDS
        if 0 < event.share < 1 and soon:
            continue
        if event.stage in ("note", *STAGES) and (event.share > 0 or event.text):
            stage, shown = event.stage, time.monotonic()
            console.print(f"{STAGES.get(event.stage, 'Note')}: {_words(event)}", soft_wrap=True)
    return event


def _words(event: Event) -> str:
    parts = [event.text or ("done" if event.share >= 1 else f"{event.share:.0%}")]
    if math.isfinite(event.loss):
        parts.append(f"loss {event.loss:.4f}")
    if math.isfinite(event.seconds_left) and event.share < 1:
        parts.append(f"{clock(event.seconds_left)} left")
    return ", ".join(parts)


def clock(seconds: float) -> str:
    """Minutes and seconds, or hours and minutes: 4:05 min, 2:10 h."""
    whole = int(seconds)
    return f"{whole // 60}:{whole % 60:02d} min" if whole < 3600 else f"{whole // 3600}:{whole % 3600 // 60:02d} h"


def _command_to_go_on(job: Job, *, anew: bool) -> str:
    if anew:
        return job.command if "--overwrite" in job.command else f"{job.command} --overwrite"
    names = [str(volume.source) for volume in job.volumes]
    return shlex.join(["meeum", "denoise" if job.denoise else "train", *names, "--out", str(job.folder), "--resume"])


def _summary(job: Job) -> dict[str, Any]:
    """What a script wants to know of a finished run."""
    summary: dict[str, Any] = {"folder": str(job.folder), "notes": list(job.notes)}
    if job.model is None:
        summary["model"] = str(job.folder / MODEL_FILE)
    if job.denoise:
        results = sorted(str(path) for path in (job.folder / RESULTS).iterdir())
        statistics, judged = (json.loads((job.folder / name).read_text(encoding="utf-8")) for name in (SUMMARY, AUDIT))
        summary |= {"results": results, "report": str(job.folder / REPORT), **statistics, "audit": judged}
    return summary


def _show_end(job: Job, console: Console, judged: Audit | None) -> None:
    if judged:
        verdicts.show(judged, console, objections_only=True)
    if job.denoise:
        for path in sorted((job.folder / RESULTS).iterdir()):
            console.print(f"result  {path}", soft_wrap=True)
        console.print(f"report  {job.folder / REPORT}", soft_wrap=True)
    if job.model is None:
        use = shlex.join(["meeum", "denoise", "FILE", "--model", str(job.folder)])
        console.print(f"model   {job.folder / MODEL_FILE} (for other images: {use})", soft_wrap=True)


def show_comparison(comparison: Mapping[str, float], folder: Path, *, as_json: bool) -> None:
    """The demo's last words: how much nearer to the truth, and where to look."""
    if as_json:
        print(json.dumps({"folder": str(folder), "report": str(folder / REPORT), **comparison}))
        return
    facts = comparison
    line = (
        f"against the truth: PSNR {facts['noisy_psnr_db']:.1f} dB noisy, {facts['denoised_psnr_db']:.1f} dB denoised "
        f"(higher is better); dry mass {facts['truth_dry_mass_pg']:.1f} pg true, "
        f"{facts['noisy_dry_mass_pg']:.1f} pg noisy, {facts['denoised_dry_mass_pg']:.1f} pg denoised"
    )
    Console(markup=False, highlight=False, emoji=False).print(line, soft_wrap=True)


def refuse_outputs(
    json_to: str | None, pictures: Path | None, *, inputs: Sequence[Path | None], overwrite: bool
) -> None:
    """Say no before minutes are spent: to what exists already, and always to an input's own name."""
    if json_to and json_to != "-":
        refuse_output(Path(json_to), inputs=inputs, overwrite=overwrite)
    if pictures:
        refuse_pictures(pictures, overwrite=overwrite)
        refuse_place(pictures)


def measured_noise(image: Volume, repeat: Volume | None, *, trained: bool) -> Noise:
    """The noise of an image; on a terminal with a word about what is being done."""
    with Console(stderr=True, markup=False, highlight=False, emoji=False).status("measuring the noise") as status:

        def show(now: Prepared) -> None:
            if now.steps:
                status.update(f"first training, {now.purpose}: step {now.step}/{now.steps}")

        return api.measure_noise(image, repeat, trained=trained, show=show)


def survey_noise(image: Volume, noise: Noise, *, json_to: str | None, pictures: Path | None, overwrite: bool) -> None:
    """Describe, write what was asked for, then the report, or the JSON in its stead."""
    found = survey(image, noise)
    found = replace(found, advice=_advice(image, noise))
    text = json.dumps(found.as_dict(), allow_nan=False, indent=1)
    written: list[Path] = []
    if json_to and json_to != "-":
        with replacing(Path(json_to), overwrite=overwrite) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
        written.append(Path(json_to))
    if pictures:
        written += write_pictures(pictures, found.noise, voxel_size_um=image.voxel_size_um, overwrite=overwrite)
    if json_to == "-":
        print(text)
    else:
        _show_survey(found, written)


def _advice(image: Volume, noise: Noise) -> str:
    reason = route(assumed(image.spatial_shape), noise, patches.measure([image]))[1]
    told = " with that --repeat" if noise.source == REPEATS else ""
    return f"meeum denoise{told} would train {reason}."


def _show_survey(found: Survey, written: Sequence[Path]) -> None:
    """Facts, findings, what a blind spot leaves in, and last what follows."""
    console = Console(markup=False, highlight=False, emoji=False, soft_wrap=True)
    size = found.voxel_size_um
    of = f" of {' x '.join(f'{edge:.4g}' for edge in size)} µm" if size else ""
    console.print(
        f"image          {found.name}: {found.axes}, {' x '.join(map(str, found.shape))} {things(found.noise)}{of}"
    )
    console.print(f"measured from  {found.noise.source}")
    console.print(f"reliability    {found.reliability}")
    for sentence in found.findings:
        console.print(f"- {sentence}")
    for sentence in found.untold:
        console.print(f"caution: {sentence}", style="yellow")
    if not found.noise.is_white:
        console.print(
            f"share of the noise that a perfect network would leave in, by the {things(found.noise)} it hides:"
        )
        for footprint, share in found.shares:
            console.print(f"  {box(footprint)}  {percent(share):>5}")
    for path in written:
        console.print(f"written        {path}")
    console.print(found.advice)
