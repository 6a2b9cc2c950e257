"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

QUALITIES = {"fast": 1.0, "normal": 5.0, "best": 20.0}

File = Annotated[Path, typer.Argument(help="TCF, HDF5, TIFF, NPY or OME-Zarr", show_default=False)]
Files = Annotated[list[Path], typer.Argument(help="one or more images of the same kind", show_default=False)]
Config = Annotated[Path | None, typer.Option(help="INI file with the settings (see `meeum config --init`)")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="section.key=value, on top of the INI file; repeatable")]
Trained = Annotated[
    Path | None, typer.Option(help="use this trained model (a folder that `meeum train` made), no training")
]
Minutes = Annotated[float | None, typer.Option(min=0.01, help="time to train, in minutes")]
Quality = Annotated[str | None, typer.Option(help="fast (1 minute), normal (5) or best (20)")]
MinutesEach = Annotated[float | None, typer.Option(min=0.01, help="time to train each of the runs, in minutes")]
QualityOfEach = Annotated[str | None, typer.Option(help="of each run: fast (1 minute), normal (5) or best (20)")]
Dataset = Annotated[str | None, typer.Option(help="HDF5, OME-Zarr: which dataset")]
Channel = Annotated[int | None, typer.Option(min=0, help="which channel or colour of an image that has several")]
Repeat = Annotated[Path | None, typer.Option(help="a second recording of the same field: tells its noise best")]
NoData = Annotated[float | None, typer.Option(help="value (or nan) of voxels that were never measured")]
JsonTo = Annotated[
    str | None, typer.Option("--json", metavar="FILE", help="write all numbers there; -: on standard output")
]
Projection = Annotated[str | None, typer.Option(help="max: take the maximum projection along z")]
RemoveLattice = Annotated[
    bool, typer.Option("--remove-lattice", help="take a periodic pattern, if one is measured, out of the image first")
]
ReportSize = Annotated[
    float | None,
    typer.Option("--report-size", min=2, metavar="MB", help="most megabytes of the report (40 if not given)"),
]
Out = Annotated[Path | None, typer.Option(help="folder of the run", show_default="NAME_meeum")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace an earlier run")]
OverwriteFile = Annotated[bool, typer.Option("--overwrite", help="replace the file if there is one")]
Resume = Annotated[bool, typer.Option("--resume", help="go on with an interrupted run")]
SelfTest = Annotated[
    bool, typer.Option("--self-test", help="plant each damage and say what would have been caught (a minute more)")
]
Choose = Annotated[
    bool, typer.Option("--choose", help="try several trainings in a third of the time, and go on with the best")
]
Strict = Annotated[bool, typer.Option("--strict", help="exit with code 3 where a measure of the audit failed")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on standard output, nothing else")]
Preset = Annotated[
    str | None,
    typer.Option(help="objectives (what somebody without truth must choose between) or note (the lab note's grid)"),
]
Vary = Annotated[
    list[str] | None,
    typer.Option(help="section.key=a,b,c: every combination; 0.5std for masking.mask_std; a;b for lists; repeatable"),
]
Seeds = Annotated[int, typer.Option(min=1, help="runs of each setting, which differ by chance alone")]
Truth = Annotated[Path | None, typer.Option(help="the clean image: adds PSNR and SSIM; it chooses nothing")]
Jobs = Annotated[int, typer.Option(min=0, help="runs at a time; 0: as suits this machine")]
OutOfComparison = Annotated[Path | None, typer.Option("--out", help="folder of all runs", show_default="NAME_compared")]
