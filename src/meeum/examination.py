"""What `meeum audit` does: two images from their files, the audit of the pair, and the self-test. Needs no torch."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from meeum import __version__, io
from meeum.auditing import Audit, gather, judging, pair_statistics
from meeum.auditing.judge import guarded
from meeum.auditing.pair import Denoiser
from meeum.auditing.selftest import SelfTest, selftest
from meeum.errors import UsageError
from meeum.folder import refuse_place
from meeum.io import h5file
from meeum.io.files import refuse_output, replacing
from meeum.report import RunFacts, file_facts, processor, refuse_evidence, write_evidence, write_previews, write_report
from meeum.settings import OutputSettings
from meeum.volume import Volume, maximum_projection

HDF5 = (".h5", ".hdf", ".hdf5")
RESULT = "output"  # what a run calls the denoised image in its HDF5 files


@dataclass(frozen=True)
class Source:
    """Where the two images lie: `denoised` None means in the same HDF5 file.

    `dataset`, `channel`, `projection` and `no_data` choose and describe the noisy image; the denoised one is
    projected too if it is a volume still.
    """

    noisy: Path
    denoised: Path | None = None
    dataset: str | None = None
    channel: int | None = None
    projection: str | None = None
    no_data: float | None = None


@dataclass(frozen=True)
class Examination:
    """The audit of a pair and, where it was asked for, what the audit would have caught in it."""

    audit: Audit
    selftest: SelfTest | None = None

    def as_dict(self) -> dict[str, Any]:
        """The audit's JSON, with `selftest` beside it."""
        return {**self.audit.as_dict(), "selftest": self.selftest.as_dict() if self.selftest else None}


@dataclass(frozen=True)
class Outputs:
    """What is written besides what is shown; `json` "-" stands for standard output."""

    json: str | None = None
    pictures: Path | None = None
    report: Path | None = None
    overwrite: bool = False
    report_mb: float = OutputSettings().report_mb  # of the report at most

    @property
    def json_file(self) -> Path | None:
        return Path(self.json) if self.json and self.json != "-" else None


def refuse(outputs: Outputs, inputs: Sequence[Path | None]) -> None:
    """Say no before minutes are spent."""
    for path in (outputs.json_file, outputs.report):
        if path:
            refuse_output(path, inputs=inputs, overwrite=outputs.overwrite)
    if outputs.pictures:
        refuse_evidence(outputs.pictures, overwrite=outputs.overwrite)
        refuse_place(outputs.pictures)


def read_pair(source: Source) -> tuple[Volume, Volume]:
    """The noisy and the denoised image, of the same axes."""
    noisy = io.read(source.noisy, dataset=source.dataset, channel=source.channel, no_data=source.no_data)
    denoised = _denoised(source)
    if source.projection == "max":
        noisy = maximum_projection(noisy)
        denoised = maximum_projection(denoised) if denoised.axes.endswith("ZYX") else denoised
    return noisy, _alike(denoised, noisy)


def examine(
    pair: tuple[Volume, Volume],
    *,
    denoise: Denoiser | None = None,
    self_test: bool = False,
    show: Callable[[str], None] = lambda words: None,
) -> Examination:
    """Audit a pair; with `denoise` the denoiser itself is questioned too; `show` is told what is being done."""
    show("measuring the noise")
    gathered, names = gather(*pair, denoise=denoise), list(guarded())
    for audit in judging(gathered):
        done = len(audit.timings)
        show(f"{names[done]}, {done + 1} of {len(names)} measures" if done < len(names) else "writing")
    if self_test:
        show("self-test: planting damages")
    return Examination(audit, selftest(gathered, guarded()) if self_test else None)


def write(found: Examination, outputs: Outputs, *, command: str) -> list[Path]:
    """JSON, pictures and report, as far as they were asked for."""
    written: list[Path] = []
    if outputs.json_file:
        with replacing(outputs.json_file, overwrite=outputs.overwrite) as temporary:
            temporary.write_text(as_text(found) + "\n", encoding="utf-8")
        written.append(outputs.json_file)
    if outputs.pictures:
        written += write_evidence(outputs.pictures, found.audit, overwrite=outputs.overwrite)
    if outputs.report:
        _report(found, outputs.report, outputs=outputs, command=command)
        written.append(outputs.report)
    return written


def as_text(found: Examination) -> str:
    """The JSON."""
    return json.dumps(found.as_dict(), allow_nan=False, indent=1)


def _report(found: Examination, path: Path, *, outputs: Outputs, command: str) -> None:
    noisy, denoised = found.audit.noisy, found.audit.denoised
    notes = (found.selftest.sentence,) if found.selftest else ()
    facts = RunFacts(
        title=f"Audit of {denoised.name}",
        command=command,
        settings="",
        versions={"meeum": __version__, "processor": processor()},
        seconds=found.audit.seconds,
        notes=notes,
        overwrite=outputs.overwrite,
        audit=found.audit,
        inputs=[file_facts(path) for path in dict.fromkeys((noisy.source, denoised.source)) if path],
        report_mb=outputs.report_mb,
    )
    with tempfile.TemporaryDirectory(prefix="meeum-") as folder:
        previews = write_previews(Path(folder), noisy, denoised)
        statistics = pair_statistics(noisy, denoised)
        write_report(path, noisy=noisy, denoised=denoised, statistics=statistics, previews=previews, run=facts)


def _denoised(source: Source) -> Volume:
    path = source.denoised or source.noisy
    if path.suffix.lower() in HDF5 and path.is_file():
        with h5file.reading(path) as file:
            inside = h5file.is_dataset(file.get(RESULT))
        if inside:
            return io.read(path, dataset=RESULT)
    if source.denoised is None:
        raise UsageError(
            f"{path}: give the denoised image too; one file is enough only where it is HDF5 with the datasets "
            f"input and {RESULT}, as a run's results are"
        )
    return io.read(path)


def _alike(denoised: Volume, noisy: Volume) -> Volume:
    """Files such as .npy state no axes; those of the noisy image are meant where the shapes agree."""
    if denoised.shape != noisy.shape:
        raise UsageError(
            f"{denoised.name}: shape {denoised.shape}, axes {denoised.axes}, but {noisy.name} has {noisy.shape}, "
            f"{noisy.axes}; give the denoised image of the very same field"
        )
    size = denoised.voxel_size_um if denoised.axes == noisy.axes else None
    return replace(denoised, axes=noisy.axes, voxel_size_um=size or noisy.voxel_size_um)
