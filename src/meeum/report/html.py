"""The report of a run: one HTML file that needs nothing but itself."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template

from meeum.auditing import Audit, Finding, PairStatistics, Picture, rows
from meeum.auditing.table import SYMBOLS, sigma, table
from meeum.errors import UsageError
from meeum.report import curve, evidence
from meeum.report.previews import Preview
from meeum.volume import Volume

PICTURES = 8  # of the audit, at most


@dataclass(frozen=True)
class RunFacts:
    """How the result was made, and how it was judged; `metrics` rows hold step, loss and, in some, validation."""

    title: str
    command: str
    settings: str  # the complete effective settings as INI text
    versions: Mapping[str, str]
    seconds: float  # nan where not known
    metrics: Sequence[Mapping[str, object]] = ()
    notes: Sequence[str] = ()  # warnings and assumptions, one sentence each
    results: Sequence[str] = ()  # names of the files written
    overwrite: bool = False  # whether files of an earlier run may be replaced
    audit: Audit | None = None


@dataclass(frozen=True)
class _Picture:
    kind: str
    title: str
    uri: str = field(repr=False)


def write_report(
    path: Path,
    *,
    noisy: Volume,
    denoised: Volume,
    statistics: PairStatistics,
    previews: Sequence[Preview],
    run: RunFacts,
) -> None:
    """Write `path`: pictures, statistics, training curve and how the run was made, all in one file."""
    if path.exists() and not run.overwrite:
        raise UsageError(f"{path}: exists already; give another folder, or --overwrite to replace it")
    text = _template().render(
        run=run,
        duration=duration(run.seconds),
        image=describe(noisy),
        warnings=_warnings(noisy, denoised, statistics, run),
        planes=_planes(previews),
        statistics=statistics,
        tables=[(group, list(lines)) for group, lines in groupby(rows(statistics), lambda row: row.group)],
        audit=run.audit,
        symbols=SYMBOLS,
        sigma=sigma(run.audit) if run.audit else "",
        verdicts=table(run.audit) if run.audit else [],
        evidence=[_evidence(*pair) for pair in evidence.shown(run.audit, most=PICTURES)] if run.audit else [],
        curve=curve.loss_curve(run.metrics),
        canvas=curve,
    )
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["typeset"] = typeset
    return environment.from_string(files("meeum.report").joinpath("template.html.jinja").read_text(encoding="utf-8"))


def _planes(previews: Sequence[Preview]) -> list[tuple[str, list[_Picture]]]:
    """Pictures as data URIs, those of one plane together."""
    return [(plane, [_picture(item) for item in items]) for plane, items in groupby(previews, lambda item: item.plane)]


def _picture(item: Preview) -> _Picture:
    return _Picture(item.kind, item.title, _uri(item.path.read_bytes()))


def _evidence(finding: Finding, picture: Picture) -> _Picture:
    file = io.BytesIO()
    evidence.draw(picture).save(file, format="PNG")
    return _Picture(finding.verdict, f"{finding.title}: {picture.title}", _uri(file.getvalue()))


def _uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def _warnings(noisy: Volume, denoised: Volume, statistics: PairStatistics, run: RunFacts) -> list[str]:
    found = [*run.notes, *noisy.warnings, *denoised.warnings]
    if statistics.lost:
        found.append(f"{statistics.lost} voxels that were measured have no value in the denoised image.")
    if statistics.correlation < 0:
        found.append("The denoised image runs against the smoothed input: its contrast is inverted.")
    return list(dict.fromkeys(found))


def describe(volume: Volume) -> dict[str, str]:
    """The image in words: file, size, voxel size, quantity."""
    axes = ", ".join(volume.spatial_axes.lower())
    frames = f"{volume.frame_count} frames of " if volume.axes.startswith("T") else ""
    size = f"{frames}{' x '.join(map(str, volume.spatial_shape))} voxels ({axes})"
    facts = {"File": volume.name, "Size": size, "Quantity": volume.quantity}
    if volume.voxel_size_um:
        edges = " x ".join(f"{edge:.4g}" for edge in volume.voxel_size_um)
        facts["Voxel size"] = f"{edges} µm ({axes})"
    if volume.medium_index is not None:
        facts["Medium"] = f"refractive index {volume.medium_index:.6g}"
    if volume.frame_interval_s is not None:
        facts["Frame interval"] = f"{volume.frame_interval_s:.4g} s"
    return facts


def typeset(number: str) -> str:
    """A number with a true minus and times sign; words stay."""
    return number if number.startswith("undefined") else number.replace("-", "−").replace("x ", "× ")


def duration(seconds: float) -> str:
    """Seconds in words: 42 s, 3 min 05 s, 2 h 10 min."""
    if not math.isfinite(seconds):
        return "not recorded"
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.3g} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
