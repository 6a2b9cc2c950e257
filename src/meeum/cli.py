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

from meeum.errors import MeeumError, UsageError

if TYPE_CHECKING:
    from meeum.run import Job

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Denoise a microscope volume with nothing but itself, and show what was done to it.",
)

QUALITIES = {"fast": 1.0, "normal": 5.0, "best": 20.0}

File = Annotated[Path, typer.Argument(help="TCF, HDF5, TIFF or NPY", show_default=False)]
Files = Annotated[list[Path], typer.Argument(help="one or more images of the same kind", show_default=False)]
Config = Annotated[Path | None, typer.Option(help="INI file with the settings (see `meeum config --init`)")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="section.key=value, on top of the INI file; repeatable")]
Minutes = Annotated[float | None, typer.Option(min=0.01, help="time to train, in minutes")]
Quality = Annotated[str | None, typer.Option(help="fast (1 minute), normal (5) or best (20)")]
Dataset = Annotated[str | None, typer.Option(help="HDF5: which dataset")]
Channel = Annotated[int | None, typer.Option(min=0, help="which channel or colour of an image that has several")]
Projection = Annotated[str | None, typer.Option(help="max: denoise the maximum projection along z")]
Out = Annotated[Path | None, typer.Option(help="folder of the run", show_default="NAME_meeum")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace an earlier run")]
Resume = Annotated[bool, typer.Option("--resume", help="go on with an interrupted run")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on standard output, nothing else")]


@app.command()
def denoise(
    file: File,
    config: Config = None,
    model: Annotated[
        Path | None, typer.Option(help="use this trained model (a folder that `meeum train` made), no training")
    ] = None,
    minutes: Minutes = None,
    quality: Quality = None,
    set_: Sets = None,
    dataset: Dataset = None,
    channel: Channel = None,
    projection: Projection = None,
    out: Out = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    as_json: AsJson = False,
) -> None:
    """Train on this file alone, denoise it, write results and a report."""
    from meeum import folder, request

    words = _time(minutes, quality) + _image(dataset, channel, projection) + list(set_ or ())
    target = out or Path(f"{folder.name_of(file)}_meeum")
    asked = request.Request((file,), target, _command(), config, tuple(words), overwrite=overwrite)
    if resume:
        _follow(request.going_on(asked, model=model), as_json)
    elif model:
        _follow(request.using(asked, model), as_json)
    else:
        _follow(request.training(asked), as_json)


@app.command()
def train(
    files: Files,
    out: Annotated[Path, typer.Option(help="folder for the model", show_default=False)],
    config: Config = None,
    minutes: Minutes = None,
    quality: Quality = None,
    set_: Sets = None,
    dataset: Dataset = None,
    channel: Channel = None,
    projection: Projection = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    as_json: AsJson = False,
) -> None:
    """Train one model on one or more files, for `meeum denoise --model`."""
    from meeum import request

    words = _time(minutes, quality) + _image(dataset, channel, projection) + list(set_ or ())
    asked = request.Request(tuple(files), out, _command(), config, tuple(words), overwrite=overwrite, denoise=False)
    _follow(request.going_on(asked) if resume else request.training(asked), as_json)


@app.command()
def info(file: File, dataset: Dataset = None, channel: Channel = None, as_json: AsJson = False) -> None:
    """Axes, voxel size, encoding, frames, value range and warnings of a file."""
    from meeum import information
    from meeum.io import read

    information.show(read(file, dataset=dataset, channel=channel), as_json=as_json)


@app.command()
def noise(
    file: File,
    repeat: Annotated[Path | None, typer.Option(help="a second recording of the same field")] = None,
    dataset: Dataset = None,
    channel: Channel = None,
    projection: Annotated[str | None, typer.Option(help="max: measure the maximum projection along z")] = None,
    no_data: Annotated[float | None, typer.Option(help="value (or nan) of voxels that were never measured")] = None,
    json_: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="write all numbers there; -: on standard output")
    ] = None,
    pictures: Annotated[Path | None, typer.Option(help="folder for autocorrelation.png and spectrum.png")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace earlier JSON and pictures")] = False,
) -> None:
    """Level, correlation and patterns of the noise, measured from the file alone."""
    from meeum import api, terminal

    if projection not in (None, "none", "max"):
        raise UsageError(f"--projection {projection}: known are none, max")
    terminal.refuse_outputs(json_, pictures, inputs=(file, repeat), overwrite=overwrite)
    read = partial(api.read, dataset=dataset, channel=channel, projection=projection or "none", no_data=no_data)
    other = read(repeat) if repeat else None
    terminal.survey_noise(read(file), other, json_to=json_, pictures=pictures, overwrite=overwrite)


@app.command()
def config(
    init: Annotated[Path, typer.Option(help="where to write it", show_default=False)], overwrite: Overwrite = False
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
    minutes: Minutes = 2.0,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
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
    if quality is not None and quality not in QUALITIES:
        raise UsageError(f"--quality {quality}: known are {', '.join(QUALITIES)}")
    if quality and minutes:
        raise UsageError("--quality and --minutes say the same thing; give one of them")
    chosen = QUALITIES[quality] if quality else minutes
    return [f"training.minutes={chosen}", "training.steps="] if chosen else []


def _image(dataset: str | None, channel: int | None, projection: str | None) -> list[str]:
    given = {"dataset": dataset, "channel": channel, "projection": projection}
    return [f"input.{name}={value}" for name, value in given.items() if value is not None]


def _follow(job: Job, as_json: bool, *, quiet_end: bool = False) -> None:
    from meeum import terminal

    try:
        code = terminal.follow(job, as_json=as_json, quiet_end=quiet_end)
    except KeyboardInterrupt:
        typer.echo(f"meeum: stopped at once; what was saved before lies in {job.folder}", err=True)
        code = terminal.INTERRUPTED
    if code:
        raise typer.Exit(code)


def _command() -> str:
    return shlex.join(["meeum", *sys.argv[1:]])


def main() -> None:
    """Entry point: 0 done, 1 failed, 2 usage, 130 interrupted."""
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
    """`meeum noise --json FILE` writes a file; all else prints JSON."""
    if words[:1] != ["noise"]:
        return "--json" in words
    return "--json=-" in words or ("--json", "-") in pairwise(words)
