"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

QUALITIES = {"fast": 1.0, "normal": 5.0, "best": 20.0}

File = Annotated[Path, typer.Argument(help="TCF, HDF5, TIFF or NPY", show_default=False)]
Files = Annotated[list[Path], typer.Argument(help="one or more images of the same kind", show_default=False)]
Config = Annotated[Path | None, typer.Option(help="INI file with the settings (see `meeum config --init`)")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="section.key=value, on top of the INI file; repeatable")]
Trained = Annotated[
    Path | None, typer.Option(help="use this trained model (a folder that `meeum train` made), no training")
]
Minutes = Annotated[float | None, typer.Option(min=0.01, help="time to train, in minutes")]
Quality = Annotated[str | None, typer.Option(help="fast (1 minute), normal (5) or best (20)")]
Dataset = Annotated[str | None, typer.Option(help="HDF5: which dataset")]
Channel = Annotated[int | None, typer.Option(min=0, help="which channel or colour of an image that has several")]
NoData = Annotated[float | None, typer.Option(help="value (or nan) of voxels that were never measured")]
JsonTo = Annotated[
    str | None, typer.Option("--json", metavar="FILE", help="write all numbers there; -: on standard output")
]
Projection = Annotated[str | None, typer.Option(help="max: take the maximum projection along z")]
Out = Annotated[Path | None, typer.Option(help="folder of the run", show_default="NAME_meeum")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace an earlier run")]
Resume = Annotated[bool, typer.Option("--resume", help="go on with an interrupted run")]
SelfTest = Annotated[
    bool, typer.Option("--self-test", help="plant each damage and say what would have been caught (a minute more)")
]
Strict = Annotated[bool, typer.Option("--strict", help="exit with code 3 where a measure of the audit failed")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on standard output, nothing else")]
