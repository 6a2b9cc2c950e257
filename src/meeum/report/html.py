"""The report of a run: one HTML file that needs nothing but itself."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from meeum.auditing import Audit, PairStatistics, rows
from meeum.auditing.table import SYMBOLS, sigma, table
from meeum.errors import UsageError
from meeum.io.files import replacing
from meeum.noise import Noise
from meeum.report import curves, evidence, panels, places, scene, viewer
from meeum.report.autocorrelation import lags
from meeum.report.previews import Preview, windows
from meeum.report.provenance import FileFacts
from meeum.report.templates import asset, duration, render
from meeum.settings import OutputSettings
from meeum.volume import Volume

PICTURES = 8  # of the audit, at most
SHARE = 0.25  # of the file's size that pictures may take: the rest is the viewer's
ROOM = 100_000  # bytes, for what the viewer is told besides the images
ON_PAPER = ("XY", "removed")  # what is shown where no script runs: the other planes lie in previews/
HERE = "<!-- the viewer -->"
PARTS = {
    "viewer": "Viewer",
    "audit": "Audit",
    "statistics": "Statistics before and after",
    "noise": "Noise",
    "training": "Training",
    "notes": "Chosen, assumed and noticed",
    "provenance": "How it was made",
}


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
    inputs: Sequence[FileFacts] = ()
    evidence: Path | None = None  # folder of the audit's pictures, where the audit itself has none any more
    report_mb: float = OutputSettings().report_mb  # the file's size at most, 10^6 bytes

    @property
    def noise(self) -> Noise | None:
        """As the audit measured it, or was told."""
        return self.audit.noise if self.audit else None


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
    """Write `path`: viewer, verdicts, statistics, spectra, curves and how the run was made, all in one file."""
    if path.exists() and not run.overwrite:
        raise UsageError(f"{path}: exists already; give another folder, or --overwrite to replace it")
    context = _of_run(run) | _of_pair(noisy, denoised, run) | _of_statistics(statistics)
    notes = _warnings(noisy, denoised, statistics, run)
    parts = {name: words for name, words in PARTS.items() if _has(name, run, notes)}
    pictures = _pictures(previews, run)
    text = render("template.html.jinja", **context, **pictures, run=run, warnings=notes, parts=parts, viewer=HERE)
    before, _, after = text.partition(HERE)
    taken = len(before.encode()) + len(after.encode()) + len(viewer.fragment({}).encode()) + ROOM
    told = shown(noisy, denoised, run.audit, most_bytes=int(run.report_mb * 1e6) - taken)
    with replacing(path, overwrite=True) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines((before, viewer.fragment(told), after))


def shown(noisy: Volume, denoised: Volume | None, audit: Audit | None, *, most_bytes: int) -> scene.Scene:
    """What a viewer is told of a pair, or of one image: windows, what an audit found, and the images themselves."""
    *_, last = scene.named(noisy, denoised).values()
    limits, residual_limit = windows(noisy, last)
    return scene.embedded(
        noisy,
        denoised,
        limits=limits,
        residual_limit=residual_limit,
        spots=places.spots(audit),
        most_bytes=most_bytes,
    )


def _has(part: str, run: RunFacts, notes: Sequence[str]) -> bool:
    """Whether there is anything to be said in a part of the page."""
    absent = {"audit": run.audit is None, "training": not (run.metrics or run.settings), "notes": not notes}
    return not absent.get(part, False)


def _of_run(run: RunFacts) -> dict[str, Any]:
    scripts = "".join(f"<script>\n{asset(name)}</script>\n" for name in ("curves.js", "page.js"))
    audit = run.audit
    return {
        "style": asset("page.css"),
        "scripts": scripts,
        "duration": duration(run.seconds),
        "audit": audit,
        "symbols": SYMBOLS,
        "sigma": sigma(audit) if audit else "",
        "overall": places.overall(audit) if audit else "",
        "verdict_line": places.verdict_line(audit) if audit else "",
        "verdicts": [
            (line, places.jumps(one, audit.noisy.axes)) for line, one in zip(table(audit), audit.graded, strict=True)
        ]
        if audit
        else [],
        "at_once": places.AT_ONCE,
        "training": [(one, curves.draw(one)) for one in curves.training(run.metrics)],
        "canvas": curves,
    }


def _of_pair(noisy: Volume, denoised: Volume, run: RunFacts) -> dict[str, Any]:
    charts = curves.correlations(lags(noisy, denoised, run.noise))
    return {
        "image": describe(noisy),
        "spectra": panels.spectra(noisy, denoised, noise=run.noise, audit=run.audit),
        "correlations": [(one, curves.draw(one)) for one in charts],
    }


def _of_statistics(statistics: PairStatistics) -> dict[str, Any]:
    tables = [(group, list(lines)) for group, lines in groupby(rows(statistics), lambda row: row.group)]
    return {"statistics": statistics, "tables": tables}


def _pictures(previews: Sequence[Preview], run: RunFacts) -> dict[str, Any]:
    """Pictures of what was found, the gravest first, and of the middle plane, as far as they fit into their share."""
    left = SHARE * run.report_mb * 1e6
    shown = [_Picture(one.verdict, one.title, _uri(one.png)) for one in _evidence(run)]
    fitting, planes = list[_Picture](), list[tuple[str, list[_Picture]]]()
    for picture in shown:
        left -= len(picture.uri)
        fitting += [picture] if left > 0 else []
    for plane, items in groupby(previews, lambda item: item.plane):
        group = [_Picture(item.kind, item.title, _uri(item.path.read_bytes())) for item in items]
        wanted = any(word in (group[0].kind, *plane.replace(",", "").split()) for word in ON_PAPER)
        if wanted and sum(len(picture.uri) for picture in group) < left:
            left -= sum(len(picture.uri) for picture in group)
            planes.append((plane, group))
    return {"evidence": fitting, "left_out": len(shown) - len(fitting), "planes": planes}


def _evidence(run: RunFacts) -> list[evidence.Evidence]:
    if run.evidence:
        return evidence.kept(run.evidence, most=PICTURES)
    return evidence.evidence(run.audit, most=PICTURES) if run.audit else []


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
