"""What a run leaves: result files (which, whether they fit on the disk, writing them), their audit, the report."""

from __future__ import annotations

import json
import math
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from meeum import __version__, api, checkpoint, folder, io, remedy, session
from meeum.auditing import Audit, gather, judging, pair_statistics
from meeum.auditing.finding import plain_values
from meeum.auditing.judge import bounded, unjudged
from meeum.checkpoint import Model
from meeum.errors import MeeumError, UsageError
from meeum.remedy import Remedy
from meeum.report import RunFacts, processor, write_evidence, write_previews, write_removed, write_report
from meeum.session import Session
from meeum.settings import Settings
from meeum.volume import Volume

SUFFIXES = {"hdf": ".hdf", "tcf": ".TCF", "tif": ".tif", "npy": ".npy", "zarr": ".ome.zarr"}
BYTES_PER_VOXEL = {".hdf": 12, ".ome.zarr": 6}  # input, output, and what was removed; an image and its coarser levels
EVIDENCE = "evidence"  # in the folder of previews: what the audit found, in pictures
AUDITED = 6 * 2**20  # voxels at most
SHARE = 0.1  # of the run's time, for questioning the network; or, if that is more,
LEAST, MOST = 10.0, 60.0  # half of it within these, seconds


def save(path: Path, running: Session) -> None:
    """The model as far as it is trained, with what a resumed training needs."""
    checkpoint.save(running.snapshot(), path / folder.MODEL_FILE)
    folder.put(path / folder.METRICS, folder.table(running.state.history))
    folder.note(path, f"checkpoint at step {running.state.step}")


def finish(path: Path, running: Session) -> Model:
    """The finished model, without what only a resumed training needs."""
    model = replace(running.snapshot(), state={})
    checkpoint.save(model, path / folder.MODEL_FILE)
    folder.put(path / folder.METRICS, folder.table(running.state.history))
    if running.state.history:
        folder.note(path, f"trained {model.step} steps in {running.state.history[-1]['seconds']:.0f} s")
    return model


def refuse(target: Path, formats: Sequence[str], noisy: Volume) -> None:
    """Say no to formats that cannot hold the image, and to a disk on which they do not fit.

    HDF5 does not survive a full disk, so that is found out before it begins.
    """
    needed = math.prod(noisy.shape) * sum(BYTES_PER_VOXEL.get(suffix, 4) for suffix in suffixes(formats, noisy))
    free = folder.free_bytes(target)
    if needed > free:
        raise MeeumError(
            f"{target}: the results take up to {needed / 1e9:.3g} GB, and {free / 1e9:.3g} GB are free there; make "
            "room, choose another folder with --out, or write fewer files with --set output.formats=same"
        )


def write(
    target: Path,
    clean: Volume,
    *,
    noisy: Volume,
    formats: Sequence[str],
    provenance: Mapping[str, str],
    removed: Volume | None = None,
) -> list[Path]:
    """Put the result into a folder, in each format; what was `removed` from the input goes with it into HDF5."""
    target.mkdir(exist_ok=True)
    stem = folder.name_of(noisy.source) if noisy.source else "image"
    written: list[Path] = []
    # HDF5 first: it holds any value, so that a result another format cannot hold is not lost.
    for suffix in sorted(suffixes(formats, noisy), key=lambda name: name != ".hdf"):
        if suffix == ".hdf":
            written += io.write_frames(target, clean, noisy=noisy, removed=removed, overwrite=True)
        else:
            path = target / f"{stem}_denoised{suffix}"
            written.append(io.write(clean, path, noisy=noisy, provenance=provenance, overwrite=True))
    return written


def suffixes(formats: Sequence[str], noisy: Volume) -> list[str]:
    """File suffixes to write; `same` follows the input, or TIFF where that cannot hold the image."""
    own = noisy.source.suffix if noisy.source else ".hdf"
    if own.lower() in (".h5", ".hdf5", ".hdf"):
        own = ".hdf"
    if own.lower() == ".zarr":
        own = ".ome.zarr"
    fits_tcf = "Z" in noisy.axes and noisy.quantity == "refractive index"
    if own.lower() == ".tcf" and not fits_tcf:
        own = ".tif"
    if "tcf" in formats and not fits_tcf:
        raise UsageError(
            f"[output] formats: tcf holds volumes of refractive index, and {noisy.name} has axes {noisy.axes} and "
            f"quantity {noisy.quantity!r}; try same, hdf, tif, npy or zarr"
        )
    known = {"same": own, **SUFFIXES}
    return list(dict.fromkeys(own if known[name].lower() == own.lower() else known[name] for name in formats))


def audit(noisy: Volume, clean: Volume, model: Model, *, trained_here: bool, seconds: float) -> Iterator[Audit]:
    """The audit of a run's result, as far as it has come; the last is complete.

    `seconds` is what denoising took; the network is questioned for a tenth of what the run took, or a minute. A model
    trained elsewhere knows the noise of another image: it is measured anew.
    """
    taken = seconds + (model.history[-1]["seconds"] if trained_here and model.history else 0.0)
    ask = bounded(api.denoiser(noisy, model), time_to_ask(taken), per_voxel=seconds / max(math.prod(noisy.shape), 1))
    known = model.noise if trained_here else None
    try:
        yield from judging(gather(noisy, clean, noise=known, denoise=ask, limit=AUDITED))
    except MeeumError as error:
        yield unjudged(noisy, clean, str(error))


def time_to_ask(taken: float) -> float:
    """Seconds for questioning the network, after a run of `taken` seconds."""
    return max(SHARE * taken, min(MOST, max(LEAST, taken / 2)))


def remedied(volumes: Sequence[Volume]) -> tuple[list[Volume], list[Remedy], tuple[str, ...]]:
    """Images without their lattices, what was taken out of each, and a sentence on each."""
    found = [Remedy(volume, remedy.measure(volume)) for volume in volumes]
    cleaned = [remedy.remove(one.original, one.lattices) for one in found]
    return cleaned, found, tuple(f"{one.original.name}: {one.lattices.sentence}" for one in found)


def as_trained_on(volume: Volume, settings: Settings) -> Volume:
    """The image as a run with these settings sees it: without its lattices, if that is asked for."""
    return remedied([volume])[0][0] if settings.input.remove_lattice else volume


def versions(settings: Settings) -> dict[str, str]:
    """What ran, and where."""
    device = session.device(settings)
    gpu = {"gpu": torch.cuda.get_device_name(device)} if device.startswith("cuda") else {}
    names = ("numpy", "scipy", "h5py", "tifffile", "safetensors")
    return {
        "meeum": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        **{name: version(name) for name in names},
        "machine": f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads",
        "device": device,
        "processor": processor(),
        **gpu,
    }


def report(target: Path, pair: tuple[Volume, Volume], facts: RunFacts, *, cleaning: Remedy | None = None) -> None:
    """Summary, previews, pictures of what the audit found, and the page that shows them."""
    noisy, clean = pair
    statistics, pictures = pair_statistics(noisy, clean), target / folder.PREVIEWS
    told = {"statistics": statistics.as_dict(), **(cleaning.as_dict() if cleaning else {})}
    summary = json.dumps(told | {"run": _told(facts, noisy)}, indent=2, allow_nan=False)
    folder.put(target / folder.SUMMARY, summary + "\n")
    previews = write_previews(pictures, noisy, clean, overwrite=True)
    if cleaning and cleaning.removed:
        previews.append(write_removed(pictures, cleaning.removed, overwrite=True))
    if facts.audit:
        shutil.rmtree(pictures / EVIDENCE, ignore_errors=True)  # of an earlier audit
        write_evidence(pictures / EVIDENCE, facts.audit)
    path = target / folder.REPORT
    write_report(path, noisy=noisy, denoised=clean, statistics=statistics, previews=previews, run=facts)


def _told(facts: RunFacts, noisy: Volume) -> dict[str, Any]:
    """What a report needs that lies nowhere else in the folder; `source` is where the input was."""
    plain: dict[str, Any] = plain_values(
        {
            "title": facts.title,
            "seconds": facts.seconds,
            "notes": list(facts.notes),
            "results": list(facts.results),
            "inputs": [one.as_dict() for one in facts.inputs],
            "source": str(noisy.source.absolute()) if noisy.source else None,
            "details": dict(noisy.details),
        }
    )
    return plain
