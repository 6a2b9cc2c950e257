"""Commands that train and denoise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meeum.cli import options
from meeum.cli.app import app
from meeum.cli.words import command, duration, image, report_size
from meeum.errors import UsageError

if TYPE_CHECKING:
    from meeum.job import Job


@app.command()
def denoise(
    file: options.File,
    config: options.Config = None,
    model: options.Trained = None,
    minutes: options.Minutes = None,
    quality: options.Quality = None,
    set_: options.Sets = None,
    repeat: options.Repeat = None,
    dataset: options.Dataset = None,
    channel: options.Channel = None,
    projection: options.Projection = None,
    no_data: options.NoData = None,
    remove_lattice: options.RemoveLattice = False,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    resume: options.Resume = False,
    choose: options.Choose = False,
    report_mb: options.ReportSize = None,
    strict: options.Strict = False,
    as_json: options.AsJson = False,
) -> None:
    """Train on this file alone, denoise it, audit the result, write all of it and a report."""
    from meeum import folder, request

    words = duration(minutes, quality) + image(dataset, channel, projection, no_data, remove_lattice) + list(set_ or ())
    words += report_size(report_mb)
    target = out or Path(f"{folder.name_of(file)}_meeum")
    asked = request.Request((file,), target, command(), config, tuple(words), repeat, overwrite=overwrite)
    if choose and (resume or model):
        raise UsageError("--choose tries trainings, and --resume and --model go on with one; leave out one of them")
    if resume:
        job = request.going_on(asked, model=model)
    else:
        job = request.using(asked, model) if model else request.training(asked)
    if choose:
        job = _chosen(job, asked.words, as_json)
    _follow(job, as_json, strict=strict)


@app.command()
def train(
    files: options.Files,
    out: Annotated[Path, typer.Option(help="folder for the model", show_default=False)],
    config: options.Config = None,
    minutes: options.Minutes = None,
    quality: options.Quality = None,
    set_: options.Sets = None,
    repeat: options.Repeat = None,
    dataset: options.Dataset = None,
    channel: options.Channel = None,
    projection: options.Projection = None,
    no_data: options.NoData = None,
    remove_lattice: options.RemoveLattice = False,
    overwrite: options.Overwrite = False,
    resume: options.Resume = False,
    as_json: options.AsJson = False,
) -> None:
    """Train one model on one or more files, for `meeum denoise --model`."""
    from meeum import request

    words = duration(minutes, quality) + image(dataset, channel, projection, no_data, remove_lattice) + list(set_ or ())
    asked = request.Request(
        tuple(files), out, command(), config, tuple(words), repeat, overwrite=overwrite, denoise=False
    )
    _follow(request.going_on(asked) if resume else request.training(asked), as_json)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="folder for the sample and the run")] = Path("demo"),
    minutes: options.Minutes = 2.0,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
) -> None:
    """Simulate a tomogram, write it as .TCF, denoise it and compare with the truth."""
    from meeum import demonstration, folder, request, terminal

    target = out / "run"
    folder.check(target, overwrite=overwrite, resume=False)
    sample = demonstration.write_sample(out, overwrite=overwrite)
    words = tuple(duration(minutes, None))
    asked = request.Request((sample.noisy,), target, command(), None, words, overwrite=overwrite)
    _follow(request.training(asked), as_json, quiet_end=as_json)
    terminal.show_comparison(demonstration.compare(sample, target), target, as_json=as_json)


@app.command()
def config(
    init: Annotated[Path, typer.Option(help="where to write it", show_default=False)],
    overwrite: options.OverwriteFile = False,
) -> None:
    """Write a commented INI file with every setting, empty: fill in what you choose."""
    from meeum.ini import template
    from meeum.io.files import replacing

    with replacing(init, overwrite=overwrite) as temporary:
        temporary.write_text(template(), encoding="utf-8")
    typer.echo(f"wrote {init}; `meeum denoise FILE --config {init}` uses it")


def _chosen(job: Job, words: tuple[str, ...], as_json: bool) -> Job:
    from meeum import scoreboard

    try:
        return scoreboard.chosen(job, given=words, as_json=as_json)
    except KeyboardInterrupt:
        typer.echo("meeum: stopped while choosing; nothing was written", err=True)
        raise typer.Exit(130) from None


def _follow(job: Job, as_json: bool, *, quiet_end: bool = False, strict: bool = False) -> None:
    from meeum import terminal

    try:
        code = terminal.follow(job, as_json=as_json, quiet_end=quiet_end, strict=strict)
    except KeyboardInterrupt:
        typer.echo(f"meeum: stopped at once; what was saved before lies in {job.folder}", err=True)
        code = terminal.INTERRUPTED
    if code:
        raise typer.Exit(code)
