"""The command line: one function per command. Heavy rooms are imported inside, so that `--help` is instant."""

from __future__ import annotations

import json
import shlex
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meeum import options
from meeum.errors import MeeumError, UsageError

if TYPE_CHECKING:
    from meeum.run import Job

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Denoise a microscope volume with nothing but itself, and show what was done to it.",
)


@app.command()
def denoise(
    file: options.File,
    config: options.Config = None,
    model: options.Trained = None,
    minutes: options.Minutes = None,
    quality: options.Quality = None,
    set_: options.Sets = None,
    dataset: options.Dataset = None,
    channel: options.Channel = None,
    projection: options.Projection = None,
    remove_lattice: options.RemoveLattice = False,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    resume: options.Resume = False,
    choose: options.Choose = False,
    strict: options.Strict = False,
    as_json: options.AsJson = False,
) -> None:
    """Train on this file alone, denoise it, audit the result, write all of it and a report."""
    from meeum import folder, request

    words = _time(minutes, quality) + _image(dataset, channel, projection, remove_lattice) + list(set_ or ())
    target = out or Path(f"{folder.name_of(file)}_meeum")
    asked = request.Request((file,), target, _command(), config, tuple(words), overwrite=overwrite)
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
    dataset: options.Dataset = None,
    channel: options.Channel = None,
    projection: options.Projection = None,
    remove_lattice: options.RemoveLattice = False,
    overwrite: options.Overwrite = False,
    resume: options.Resume = False,
    as_json: options.AsJson = False,
) -> None:
    """Train one model on one or more files, for `meeum denoise --model`."""
    from meeum import request

    words = _time(minutes, quality) + _image(dataset, channel, projection, remove_lattice) + list(set_ or ())
    asked = request.Request(tuple(files), out, _command(), config, tuple(words), overwrite=overwrite, denoise=False)
    _follow(request.going_on(asked) if resume else request.training(asked), as_json)


@app.command()
def compare(
    file: options.File,
    preset: options.Preset = None,
    vary: options.Vary = None,
    seeds: options.Seeds = 1,
    config: options.Config = None,
    minutes: options.Minutes = None,
    quality: options.Quality = None,
    set_: options.Sets = None,
    jobs: options.Jobs = 0,
    truth: options.Truth = None,
    dataset: options.Dataset = None,
    channel: options.Channel = None,
    projection: options.Projection = None,
    out: options.OutOfComparison = None,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
) -> None:
    """Run a grid of settings on one file, judge every result, say which to take and how sure that is."""
    from meeum import folder, request, scoreboard

    words = _time(minutes, quality) + _image(dataset, channel, projection, False) + list(set_ or ())
    target = out or Path(f"{folder.name_of(file)}_compared")
    asked = request.Request((file,), target, _command(), config, tuple(words), overwrite=overwrite)
    plan = request.comparing(asked, request.Sought(preset, tuple(vary or ()), seeds, truth, jobs))
    code = scoreboard.follow(plan, as_json=as_json)
    if code:
        raise typer.Exit(code)


@app.command()
def info(
    file: options.File,
    dataset: options.Dataset = None,
    channel: options.Channel = None,
    as_json: options.AsJson = False,
) -> None:
    """Axes, voxel size, encoding, frames, value range and warnings of a file."""
    from meeum import information
    from meeum.io import read

    information.show(read(file, dataset=dataset, channel=channel), as_json=as_json)


@app.command()
def noise(
    file: options.File,
    repeat: Annotated[Path | None, typer.Option(help="a second recording of the same field")] = None,
    dataset: options.Dataset = None,
    channel: options.Channel = None,
    projection: options.Projection = None,
    no_data: options.NoData = None,
    json_: options.JsonTo = None,
    pictures: Annotated[Path | None, typer.Option(help="folder for autocorrelation.png and spectrum.png")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace earlier JSON and pictures")] = False,
) -> None:
    """Level, correlation and patterns of the noise, measured from the file alone."""
    from meeum import api, terminal

    _refuse_projection(projection)
    terminal.refuse_outputs(json_, pictures, inputs=(file, repeat), overwrite=overwrite)
    read = partial(api.read, dataset=dataset, channel=channel, projection=projection or "none", no_data=no_data)
    other = read(repeat) if repeat else None
    terminal.survey_noise(read(file), other, json_to=json_, pictures=pictures, overwrite=overwrite)


@app.command()
def audit(
    noisy: options.File,
    denoised: Annotated[
        Path | None, typer.Argument(help="its denoised version; not needed where the first file holds it as `output`")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="the run or model that made it: the network is questioned")] = None,
    self_test: options.SelfTest = False,
    strict: options.Strict = False,
    json_: options.JsonTo = None,
    pictures: Annotated[Path | None, typer.Option(help="folder for one picture per finding")] = None,
    report: Annotated[Path | None, typer.Option(help="HTML file with verdicts, pictures and statistics")] = None,
    dataset: Annotated[str | None, typer.Option(help="HDF5: which dataset is the noisy image")] = None,
    channel: options.Channel = None,
    projection: options.Projection = None,
    no_data: options.NoData = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace earlier JSON, pictures and report")] = False,
) -> None:
    """Judge a denoised image, whoever made it, without ground truth."""
    from meeum import examination, verdicts

    _refuse_projection(projection)
    outputs = examination.Outputs(json_, pictures, report, overwrite)
    examination.refuse(outputs, (noisy, denoised, model))
    pair = examination.read_pair(examination.Source(noisy, denoised, dataset, channel, projection, no_data))
    denoise = None
    if model:
        from meeum import api

        denoise = api.denoiser(pair[0], api.load(model))
    found = verdicts.watched(pair, denoise=denoise, self_test=self_test)
    written = examination.write(found, outputs, command=_command())
    code = verdicts.conclude(found, written, as_json=json_ == "-", strict=strict)
    if code:
        raise typer.Exit(code)


@app.command()
def ask(
    file: Annotated[Path | None, typer.Argument(help="an image to ask about, besides phantoms")] = None,
    question: Annotated[list[int] | None, typer.Option(help="its number, 1 to 6; repeatable; all if none")] = None,
    steps: Annotated[int, typer.Option(min=1, help="training steps of each network")] = 300,
    seeds: Annotated[int, typer.Option(min=1, help="how often each experiment is repeated")] = 3,
    dataset: options.Dataset = None,
    channel: options.Channel = None,
    projection: options.Projection = None,
    out: Annotated[Path, typer.Option(help="folder for the answers")] = Path("answers"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace earlier answers")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Put the questions of the first Noise2Void experiments to phantoms, and to an image: six experiments."""
    _refuse_projection(projection)
    from meeum import api, inquiry

    image = api.read(file, dataset=dataset, channel=channel, projection=projection or "none") if file else None
    asked = inquiry.Inquiry(out, tuple(question or ()), image, steps, seeds, _command(), overwrite=overwrite)
    inquiry.inquire(asked, as_json=as_json)


@app.command()
def config(
    init: Annotated[Path, typer.Option(help="where to write it", show_default=False)],
    overwrite: options.Overwrite = False,
) -> None:
    """Write a complete, commented INI file."""
    from meeum.io.files import replacing
    from meeum.settings import Settings, to_ini

    with replacing(init, overwrite=overwrite) as temporary:
        temporary.write_text(to_ini(Settings()), encoding="utf-8")
    typer.echo(f"wrote {init}; `meeum denoise FILE --config {init}` uses it")


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
    words = tuple(_time(minutes, None))
    asked = request.Request((sample.noisy,), target, _command(), None, words, overwrite=overwrite)
    _follow(request.training(asked), as_json, quiet_end=as_json)
    terminal.show_comparison(demonstration.compare(sample, target), target, as_json=as_json)


def _time(minutes: float | None, quality: str | None) -> list[str]:
    """`section.key=value` words; a time that is given counts instead of steps that an INI file may state."""
    if quality is not None and quality not in options.QUALITIES:
        raise UsageError(f"--quality {quality}: known are {', '.join(options.QUALITIES)}")
    if quality and minutes:
        raise UsageError("--quality and --minutes say the same thing; give one of them")
    chosen = options.QUALITIES[quality] if quality else minutes
    return [f"training.minutes={chosen}", "training.steps="] if chosen else []


def _refuse_projection(projection: str | None) -> None:
    if projection not in (None, "none", "max"):
        raise UsageError(f"--projection {projection}: known are none, max")


def _image(dataset: str | None, channel: int | None, projection: str | None, remove_lattice: bool) -> list[str]:
    given = {"dataset": dataset, "channel": channel, "projection": projection, "remove_lattice": remove_lattice or None}
    return [f"input.{name}={value}" for name, value in given.items() if value is not None]


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


def _command() -> str:
    return shlex.join(["meeum", *sys.argv[1:]])


def main() -> None:
    """Entry point: 0 done, 1 failed, 2 usage, 3 damage found (--strict), 130 interrupted."""
    try:
        app()
    except MeeumError as error:
        _complain(str(error), 2 if isinstance(error, UsageError) else 1)
    except MemoryError:
        _complain("not enough memory for this image", 1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _complain(f"{where}{error.strerror or error}", 1)


def _complain(message: str, code: int) -> None:
    """One line, whatever the message quotes."""
    line = " ".join(message.splitlines())
    if _json_on_output(sys.argv[1:]):
        typer.echo(json.dumps({"error": line, "exit_code": code}))
    typer.echo(f"meeum: {line}", err=True)
    raise SystemExit(code)


def _json_on_output(words: list[str]) -> bool:
    """`--json FILE` of `noise` and `audit` writes a file; all else prints JSON."""
    if words[:1] not in (["noise"], ["audit"]):
        return "--json" in words
    return "--json=-" in words or ("--json", "-") in pairwise(words)
