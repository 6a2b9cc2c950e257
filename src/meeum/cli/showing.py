"""Commands that look at an image or a result, and experiments."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from meeum.cli import options
from meeum.cli.app import app
from meeum.cli.words import command, duration, image, refuse_projection


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
    repeat: options.Repeat = None,
    trained: Annotated[
        bool, typer.Option("--trained", help="let a first training (about a minute) set right what is uncertain")
    ] = False,
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

    refuse_projection(projection)
    terminal.refuse_outputs(json_, pictures, inputs=(file, repeat), overwrite=overwrite)
    read = partial(api.read, dataset=dataset, channel=channel, projection=projection or "none", no_data=no_data)
    image, other = read(file), read(repeat) if repeat else None
    known = terminal.measured_noise(image, other, trained=trained)
    terminal.survey_noise(image, known, json_to=json_, pictures=pictures, overwrite=overwrite)


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
    report: Annotated[Path | None, typer.Option(help="HTML file with viewer, verdicts and statistics")] = None,
    report_mb: options.ReportSize = None,
    dataset: Annotated[str | None, typer.Option(help="HDF5: which dataset is the noisy image")] = None,
    channel: options.Channel = None,
    projection: options.Projection = None,
    no_data: options.NoData = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace earlier JSON, pictures and report")] = False,
) -> None:
    """Judge a denoised image, whoever made it, without ground truth."""
    from meeum import examination, verdicts

    refuse_projection(projection)
    size = {} if report_mb is None else {"report_mb": report_mb}
    outputs = examination.Outputs(json_, pictures, report, overwrite, **size)
    examination.refuse(outputs, (noisy, denoised, model))
    pair = examination.read_pair(examination.Source(noisy, denoised, dataset, channel, projection, no_data))
    denoise = None
    if model:
        from meeum import api

        denoise = api.denoiser(pair[0], api.load(model))
    found = verdicts.watched(pair, denoise=denoise, self_test=self_test)
    write = partial(examination.write, found, outputs, command=command())
    code = verdicts.conclude(found, write, as_json=json_ == "-", strict=strict)
    if code:
        raise typer.Exit(code)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="the folder of a finished run", show_default=False)],
    report_mb: options.ReportSize = None,
    out: Annotated[Path | None, typer.Option(help="HTML file", show_default="RUN/report.html")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace FILE; RUN/report.html always is")] = False,
) -> None:
    """Make the report of a finished run anew, from what lies in its folder."""
    from meeum import reopening

    path = reopening.write(run, out=out, report_mb=report_mb, overwrite=overwrite)
    typer.echo(f"report  {path} ({path.stat().st_size / 1e6:.3g} MB)")


@app.command()
def compare(
    file: options.File,
    preset: options.Preset = None,
    vary: options.Vary = None,
    seeds: options.Seeds = 1,
    config: options.Config = None,
    minutes: options.MinutesEach = None,
    quality: options.QualityOfEach = None,
    set_: options.Sets = None,
    jobs: options.Jobs = 0,
    truth: options.Truth = None,
    dataset: options.Dataset = None,
    channel: options.Channel = None,
    projection: options.Projection = None,
    no_data: options.NoData = None,
    remove_lattice: options.RemoveLattice = False,
    out: options.OutOfComparison = None,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
) -> None:
    """Run a grid of settings on one file, judge every result, say which to take and how sure that is."""
    from meeum import folder, request, scoreboard

    words = duration(minutes, quality) + image(dataset, channel, projection, no_data, remove_lattice) + list(set_ or ())
    target = out or Path(f"{folder.name_of(file)}_compared")
    asked = request.Request((file,), target, command(), config, tuple(words), overwrite=overwrite)
    plan = request.comparing(asked, request.Sought(preset, tuple(vary or ()), seeds, truth, jobs))
    code = scoreboard.follow(plan, as_json=as_json)
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
    refuse_projection(projection)
    from meeum import api, inquiry

    image = api.read(file, dataset=dataset, channel=channel, projection=projection or "none") if file else None
    asked = inquiry.Inquiry(out, tuple(question or ()), image, steps, seeds, command(), overwrite=overwrite)
    inquiry.inquire(asked, as_json=as_json)
