"""The command line: one function per command. Heavy rooms are imported inside, so that `--help` is instant."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meeum.errors import MeeumError, UsageError

if TYPE_CHECKING:
    from meeum.run import Job
    from meeum.settings import Settings
    from meeum.volume import Volume

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
Projection = Annotated[str | None, typer.Option(help="max: denoise the maximum projection along z")]
Out = Annotated[Path | None, typer.Option(help="folder of the run", show_default="NAME_meeum")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace an earlier run")]
Resume = Annotated[bool, typer.Option("--resume", help="go on with an interrupted run")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on standard output, nothing else")]


@app.command()
def denoise(
    file: File,
    config: Config = None,
    model: Annotated[Path | None, typer.Option(help="use this trained model instead of training")] = None,
    minutes: Minutes = None,
    quality: Quality = None,
    set_: Sets = None,
    dataset: Dataset = None,
    projection: Projection = None,
    out: Out = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    as_json: AsJson = False,
) -> None:
    """Train on this file alone, denoise it, write results and a report."""
    from meeum import api, run

    folder = out or Path(f"{file.name.split('.')[0]}_meeum")
    trained = api.load(model) if model else None
    settings, volumes, notes = _gather([file], config, _words(set_, minutes, quality, dataset, projection), trained)
    _refuse_changes(resume, config, set_, minutes or quality)
    run.prepare_folder(folder, overwrite=overwrite, resume=resume)
    job = run.Job(volumes, folder, settings, _command(), trained, resume, notes=notes)
    _follow(job, as_json)


@app.command()
def train(
    files: Files,
    out: Annotated[Path, typer.Option(help="folder for the model", show_default=False)],
    config: Config = None,
    minutes: Minutes = None,
    quality: Quality = None,
    set_: Sets = None,
    dataset: Dataset = None,
    projection: Projection = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    as_json: AsJson = False,
) -> None:
    """Train one model on one or more files, for `meeum denoise --model`."""
    from meeum import run

    settings, volumes, notes = _gather(files, config, _words(set_, minutes, quality, dataset, projection), None)
    _refuse_changes(resume, config, set_, minutes or quality)
    run.prepare_folder(out, overwrite=overwrite, resume=resume)
    _follow(run.Job(volumes, out, settings, _command(), None, resume, denoise=False, notes=notes), as_json)


@app.command()
def info(file: File, dataset: Dataset = None, as_json: AsJson = False) -> None:
    """Axes, voxel size, encoding, frames, value range and warnings of a file."""
    from meeum import terminal
    from meeum.io import read

    terminal.show_info(read(file, dataset=dataset), as_json=as_json)


@app.command()
def config(
    init: Annotated[Path, typer.Option(help="where to write it", show_default=False)], overwrite: Overwrite = False
) -> None:
    """Write a complete, commented INI file."""
    from meeum.settings import Settings, to_ini

    if init.exists() and not overwrite:
        raise UsageError(f"{init}: exists; choose another name, or replace it with --overwrite")
    init.write_text(to_ini(Settings()), encoding="utf-8")
    typer.echo(f"wrote {init}; `meeum denoise FILE --config {init}` uses it")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="folder for the sample and the run")] = Path("demo"),
    minutes: Minutes = 2.0,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Simulate a tomogram, write it as .TCF, denoise it and compare with the truth."""
    from meeum import run, terminal
    from meeum.demonstration import compare, write_sample

    folder = out / "run"
    run.prepare_folder(folder, overwrite=overwrite, resume=False)
    sample = write_sample(out)
    settings, volumes, notes = _gather([sample.noisy], None, [f"training.minutes={minutes}"], None)
    _follow(run.Job(volumes, folder, settings, _command(), notes=notes), as_json, quiet_end=as_json)
    terminal.show_comparison(compare(sample, folder), folder, as_json=as_json)


def _words(
    sets: Sequence[str] | None, minutes: float | None, quality: str | None, dataset: str | None, projection: str | None
) -> list[str]:
    """All that options say, as `section.key=value` words."""
    if quality is not None and quality not in QUALITIES:
        raise UsageError(f"--quality {quality}: known are {', '.join(QUALITIES)}")
    if quality and minutes:
        raise UsageError("--quality and --minutes say the same thing; give one of them")
    words = list(sets or ())
    given = {
        "training.minutes": minutes or (QUALITIES[quality] if quality else None),
        "input.dataset": dataset,
        "input.projection": projection,
    }
    return words + [f"{name}={value}" for name, value in given.items() if value is not None]


def _gather(
    files: Sequence[Path], config: Path | None, words: list[str], model: Any
) -> tuple[Settings, list[Volume], tuple[str, ...]]:
    """Settings and volumes; without an INI file the settings are assumed, and a note says so."""
    from meeum import api
    from meeum import settings as rooms

    stated = rooms.read_ini(config, words) if config else rooms.override(rooms.Settings(), words)
    chosen = stated.input
    volumes = [
        api.read(
            f, dataset=chosen.dataset, projection=chosen.projection, channel=chosen.channel, no_data=chosen.no_data
        )
        for f in files
    ]
    if model is not None:
        return model.settings.changed("output", **stated.output.model_dump()), volumes, ()
    if config or any(word.startswith("masking.masking") for word in words):
        return stated, volumes, ()
    settings = rooms.override(rooms.assumed(volumes[0].spatial_shape), words)
    hidden = ", ".join(str(half) for half in settings.masking.footprint)
    note = (
        f"no settings given: assumed {settings.masking.masking} masking with footprint half-widths ({hidden}); "
        "the noise was not measured. `meeum config --init run.ini` shows what can be chosen"
    )
    return settings, volumes, (note,)


def _refuse_changes(resume: bool, *changes: object) -> None:
    if resume and any(changes):
        raise UsageError(
            "--resume goes on with the settings of the interrupted run; leave out --config, --set and the time"
        )


def _follow(job: Job, as_json: bool, *, quiet_end: bool = False) -> None:
    from meeum import terminal

    code = terminal.follow(job, as_json=as_json, quiet_end=quiet_end)
    if code:
        raise typer.Exit(code)


def _command() -> str:
    return shlex.join(["meeum", *sys.argv[1:]])


def main() -> None:
    """Entry point: 0 done, 1 failed, 2 usage, 130 interrupted."""
    try:
        app()
    except UsageError as error:
        _complain(error, 2)
    except MeeumError as error:
        _complain(error, 1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _complain(MeeumError(f"{where}{error.strerror or error}"), 1)


def _complain(error: MeeumError, code: int) -> None:
    if "--json" in sys.argv:
        typer.echo(json.dumps({"error": str(error), "exit_code": code}))
    typer.echo(f"meeum: {error}", err=True)
    raise SystemExit(code)
