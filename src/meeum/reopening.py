"""A finished run opened again: its images, its audit and how it was made; of these its report is made anew."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from meeum import api, checkpoint, folder, io
from meeum.auditing import pair_statistics
from meeum.errors import MeeumError, UsageError
from meeum.ini import read_ini
from meeum.io.files import refuse_output
from meeum.noise import Noise, measure
from meeum.report import FileFacts, RunFacts, kept_audit, write_previews, write_removed, write_report
from meeum.results import EVIDENCE
from meeum.volume import Volume, difference

FIRST = "0.hdf"  # of the HDF5 files, one per frame


@dataclass(frozen=True)
class Images:
    """What was denoised, the result, and what had been taken out before, if anything."""

    noisy: Volume
    denoised: Volume
    removed: Volume | None = None


def write(run: Path, *, out: Path | None = None, report_mb: float | None = None, overwrite: bool = False) -> Path:
    """Make the report of a finished run anew; it replaces the run's own, or goes to `out`."""
    _refuse(run)
    if out:
        kept = [path for path in run.rglob("*") if path.name != folder.REPORT]
        refuse_output(out, inputs=kept, overwrite=overwrite)
    told = _json(run / folder.AUDIT)
    found = images(run)
    noisy, denoised = found.noisy, found.denoised
    path, facts = out or run / folder.REPORT, _facts(run, found, told, report_mb)
    with tempfile.TemporaryDirectory(prefix="meeum-") as place:
        previews = write_previews(Path(place), noisy, denoised)
        if found.removed:
            previews.append(write_removed(Path(place), found.removed))
        statistics = pair_statistics(noisy, denoised)
        write_report(path, noisy=noisy, denoised=denoised, statistics=statistics, previews=previews, run=facts)
    return path


def images(run: Path) -> Images:
    """The noisy and the denoised image of a finished run, lazily, named as the run's input was."""
    _refuse(run)
    told = _json(run / folder.AUDIT)
    kept = _kept(run)
    results = run / folder.RESULTS
    found = _from_frames(results) if (results / FIRST).is_file() else _from_source(run, kept)
    facts = {"source": Path(str(told.get("noisy", "image"))), "warnings": (), "details": kept.get("details", {})}
    noisy, denoised = (replace(volume, **facts) for volume in (found.noisy, found.denoised))
    return replace(found, noisy=noisy, denoised=denoised)


def _refuse(run: Path) -> None:
    """Say no to what is no run, and to a run without a result."""
    if not run.is_dir():
        raise UsageError(f"{run}: no such folder; give the folder of a run, as `meeum denoise` makes it")
    if not (run / folder.COMMAND).is_file():
        raise UsageError(f"{run}: not the folder of a run (no {folder.COMMAND}); give one that `meeum denoise` made")
    for name in (folder.AUDIT, folder.RESULTS):
        if not (run / name).exists():
            raise UsageError(
                f"{run}: this run is not finished (no {name}), so there is nothing to report; `meeum denoise FILE "
                f"--out {run} --resume` goes on with it, and a folder of `meeum train` never has a report"
            )


def _json(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise MeeumError(f"{path}: cannot be read ({error}); the run's report needs it") from None
    if not isinstance(told, dict):
        raise MeeumError(f"{path}: holds {type(told).__name__}, expected an object as a run writes it")
    return told


def _kept(run: Path) -> dict[str, Any]:
    """What the run noted for its report; runs of earlier versions noted nothing."""
    path = run / folder.SUMMARY
    return dict(_json(path).get("run", {})) if path.is_file() else {}


def _from_frames(results: Path) -> Images:
    """Of the HDF5 files, one per frame, which hold both images and what was removed."""
    noisy, denoised = (io.read_frames(results, dataset=name) for name in ("input", "output"))
    if "removed" not in noisy.details.get("also in the file", ""):
        return Images(noisy, denoised)
    removed = io.read_frames(results, dataset="removed")
    return Images(difference(noisy, removed), denoised, removed)


def _from_source(run: Path, kept: Mapping[str, Any]) -> Images:
    """Where no HDF5 was written the input is read where it was."""
    results = sorted(path for path in (run / folder.RESULTS).iterdir() if not path.name.startswith("."))
    source, chosen = Path(str(kept.get("source"))), read_ini(run / folder.SETTINGS).input
    if not results or not source.exists() or chosen.remove_lattice:
        raise UsageError(
            f"{run / folder.RESULTS}: holds no {FIRST}, which would hold the noisy image too, and the input "
            f"{'is not the image that was denoised' if source.exists() else f'{source} is not there any more'}; the "
            "report cannot be made anew without it"
        )
    noisy, denoised = api.read_chosen(source, chosen), io.read(results[0])
    return Images(noisy, noisy.with_data(denoised.data))


def _facts(run: Path, found: Images, told: Mapping[str, Any], report_mb: float | None) -> RunFacts:
    settings, kept = run / folder.SETTINGS, _kept(run)
    stated = read_ini(settings)
    metrics = _metrics(run)
    versions: dict[str, str] = _json(run / folder.VERSIONS)
    pictures = run / folder.PREVIEWS / EVIDENCE
    seconds = kept.get("seconds", metrics[-1].get("seconds") if metrics else None)
    noise = _noise(run, found.noisy) if told.get("noise") else None
    return RunFacts(
        title=str(kept.get("title", told.get("noisy", run.name))),
        command=(run / folder.COMMAND).read_text(encoding="utf-8").strip(),
        settings=settings.read_text(encoding="utf-8"),
        versions=versions,
        seconds=float("nan") if seconds is None else float(seconds),
        metrics=metrics,
        notes=kept.get("notes", ()),
        results=kept.get("results", ()),
        overwrite=True,
        audit=kept_audit(told, (found.noisy, found.denoised), noise, where=str(run / folder.AUDIT)),
        inputs=[FileFacts.from_dict(one) for one in kept.get("inputs", ())],
        evidence=pictures if pictures.is_dir() else None,
        report_mb=report_mb if report_mb is not None else stated.output.report_mb,
    )


def _metrics(run: Path) -> list[dict[str, str]]:
    path = run / folder.METRICS
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines())) if path.is_file() else []


def _noise(run: Path, noisy: Volume) -> Noise:
    """As the run measured it before training, or measured again where it trained nothing or needed no noise."""
    model = checkpoint.load(run) if (run / folder.MODEL_FILE).is_file() else None
    return model.noise if model and model.noise else measure(noisy)
