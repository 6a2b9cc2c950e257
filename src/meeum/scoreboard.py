"""What a person sees of a comparison: which run, how far, time left; then the table and the sentence."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from meeum.auditing.table import DASH, SYMBOLS, UNITS, number
from meeum.comparing import choosing, comparison
from meeum.comparing.columns import COLUMNS, Cell
from meeum.comparing.comparison import Plan, Step
from meeum.comparing.conclusion import Result
from meeum.comparing.standings import Standing
from meeum.job import Job
from meeum.stages import STAGES
from meeum.terminal import INTERRUPTED, clock, interruptible
from meeum.verdicts import COLOURS, PLAIN

WIDTH = 100  # columns where there is no terminal
CELLS = 84  # columns of a table beside its names, which are folded where they do not fit
NEXT_LINE = "\n  "  # beside the symbol
EVERY = 30.0  # seconds between two lines of one stage where there is no terminal
NAMES = {**STAGES, "score": "Error", "scored": "Done", "failed": "Failed"}


def follow(plan: Plan, *, as_json: bool) -> int:
    """Show a comparison until its end; the exit code: 0 done, 1 nothing gave a result, 130 interrupted."""
    console = Console(stderr=as_json, markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = WIDTH
    console.print(_announcement(plan))
    with interruptible() as interrupted:
        steps = comparison.start(replace(plan, stop=lambda: bool(interrupted)))
        last = _bars(steps, console) if console.is_terminal else _lines(steps, console)
    if last.result is None:
        console.print(f"{last.event.text}. To go on: the same command, without --overwrite", soft_wrap=True)
        if as_json:
            print(json.dumps({"error": last.event.text, "exit_code": INTERRUPTED}))
        return INTERRUPTED
    if as_json:
        print(json.dumps({"folder": str(plan.folder), **last.result.as_dict()}, allow_nan=False))
    else:
        show(last.result, console)
        for name in (comparison.PAGE, comparison.TABLE, comparison.JSON):
            console.print(f"written  {plan.folder / name}", soft_wrap=True)
    return 0 if any(one.finished for one in last.result.standings) else 1


def chosen(job: Job, *, given: Sequence[str], as_json: bool) -> Job:
    """The job with the settings that the trials speak for, and a note that says what was tried; shown on the way."""
    console = Console(stderr=as_json, markup=False, highlight=False, emoji=False)
    last = None
    for last in choosing.choose(job.volumes[0], job.settings, given=given, noise=job.noise):
        if last.settings is None:
            console.print(f"Choosing: {last.text}", soft_wrap=True)
    assert last is not None and last.settings is not None  # the last record always holds them
    return replace(job, settings=last.settings, noise=last.noise, notes=(*job.notes, last.text))


def _announcement(plan: Plan) -> str:
    """How much there is to do, before it is begun."""
    runs, settings = len(plan.tasks), plan.grid[0].settings.training
    each = f"{settings.steps} steps" if settings.steps else f"{settings.minutes:g} min of training"
    hours = "" if settings.steps else f", about {clock(runs * settings.minutes * 75 / plan.jobs)} in all"
    seeds = f"{plan.seeds} seed{'s' * (plan.seeds > 1)}"
    side = f", {plan.jobs} at a time" if plan.jobs > 1 else ""
    much = f"{len(plan.grid)} settings x {seeds}: {runs} runs of {each}{side}{hours}"
    return f"{much}. Ctrl-C stops; the same command goes on."


def _bars(steps: Iterator[Step], console: Console) -> Step:
    """One bar for all, and what is being done."""
    columns = (TextColumn("{task.description:<12}"), BarColumn(), TextColumn("{task.fields[words]}", markup=False))
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("Comparing", total=1.0, words="")
        for step in steps:
            last = step
            if step.event.stage in ("failed", "scored"):
                progress.console.print(_words(step), soft_wrap=True)
            progress.update(task, completed=_share(step), words=_words(step))
    return last


def _lines(steps: Iterator[Step], console: Console) -> Step:
    """The same without a terminal: a line when a run begins to train and when it ends, and now and then in between."""
    shown, said = -math.inf, ""
    for step in steps:
        last, stage = step, f"{step.run}/{step.event.stage}"
        due = step.event.stage in ("failed", "scored") or (step.event.stage == "train" and stage != said)
        if due or time.monotonic() - shown > EVERY:
            shown, said = time.monotonic(), stage
            console.print(_words(step), soft_wrap=True)
    return last


def _share(step: Step) -> float:
    """Of all runs; training is most of one."""
    part = 0.8 * step.event.share if step.event.stage == "train" else 0.0
    return min(1.0, (step.done + part) / max(step.count, 1))


def _words(step: Step) -> str:
    event = step.event
    told = f"{event.share:.0%}" if not event.text and 0 < event.share < 1 else event.text
    told = "" if event.stage == "prepare" else told  # many words, for each run the same
    parts = [NAMES.get(event.stage, event.stage)] + ([told] if told else [])
    left = f", {clock(step.seconds_left)} left" if math.isfinite(step.seconds_left) and step.seconds_left > 0 else ""
    return f"[{step.done}/{step.count}] {step.run + ': ' if step.run else ''}{': '.join(parts)}{left}"


def show(result: Result, console: Console) -> None:
    """Errors, then what was done to the image, then the sentence."""
    console.print()
    console.print(_errors(result))
    console.print()
    console.print(_damage(result, console))
    symbols = PLAIN if console.options.ascii_only else SYMBOLS
    console.print(Text(", ".join(f"{symbols[one]} {one}" for one in SYMBOLS) + ": the worst of all seeds", style="dim"))
    console.print()
    console.print(Text(result.sentence, style="bold"))
    for caution in result.cautions:
        console.print(f"caution: {caution}", style="yellow")


def _errors(result: Result) -> Table:
    unit = UNITS.get(result.noisy.quantity, result.noisy.quantity)
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("setting", overflow="fold")
    table.add_column("")
    for heading in (f"estimated error, {unit}", "gain, dB", *(["PSNR, dB", "SSIM"] if result.has_truth else [])):
        table.add_column(heading, justify="right")
    table.add_column("audit fails", justify="right")
    table.add_column("training", justify="right")
    for one in result.standings:
        table.add_row(*_error_row(one, result))
    if result.has_truth:
        truth = (f"{result.noisy_psnr:.2f}", f"{result.noisy_ssim:.3f}")
        table.add_row("(noisy image)", "", number(math.sqrt(result.standings[0].noise_mse)), "0.0", *truth, "", "")
    return table


def _error_row(one: Standing, result: Result) -> list[str | Text]:
    ranking = result.ranking
    if one.problem:
        return [one.name, Text("did not run", style=COLOURS["fail"])]
    chosen = ranking is not None and one.name == ranking.chosen
    mark = "chosen" if chosen else "tie" if ranking and one.name in ranking.ties else ""
    spread = f" ± {one.rmse_error:.1g}" if math.isfinite(one.rmse_error) else ""
    truth = [f"{one.psnr:.2f}", f"{one.ssim:.3f}"] if result.has_truth else []
    style = "bold" if chosen else ""
    fails = Text(str(len(one.fails)), style=COLOURS["fail"] if one.fails else COLOURS["pass"])
    seconds = f"{one.seconds:.0f} s" if math.isfinite(one.seconds) else DASH
    highest = f"< {number(one.highest_rmse)}" if math.isfinite(one.highest_rmse) else DASH
    error = f"{number(one.rmse)}{spread}" if one.rmse > 0 else highest
    return [Text(one.name, style=style), mark, error, _gain(one), *truth, fails, seconds]


def _gain(one: Standing) -> str:
    if math.isfinite(one.gain_db):
        return f"{one.gain_db:.1f}" + (f" ± {one.gain_error:.1f}" if math.isfinite(one.gain_error) else "")
    return f"> {one.least_gain:.1f}" if math.isfinite(one.least_gain) else DASH


def _damage(result: Result, console: Console) -> Table:
    """The lab note's table: a verdict and its number per column."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    longest = max(len(one.name) for one in result.standings)
    room = max(console.width - CELLS, WIDTH - CELLS)
    table.add_column("setting", overflow="fold", min_width=min(longest, room), max_width=room)
    for column in COLUMNS.values():
        table.add_column(column.heading)
    symbols = PLAIN if console.options.ascii_only else SYMBOLS
    for one in result.standings:
        if not one.problem:
            table.add_row(one.name, *(_cell(cell, symbols[cell.verdict]) for cell in one.cells.values()))
    return table


def _cell(cell: Cell, symbol: str) -> Text:
    """The number beneath its name, where it has one: the table is narrow."""
    return Text(f"{symbol} {cell.label.replace(' ', NEXT_LINE)}".rstrip(), style=COLOURS[cell.verdict])
