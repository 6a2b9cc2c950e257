"""What a run leaves: result files (which, whether they fit on the disk, writing them), their audit, the report."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from meeum import api, checkpoint, folder, io, remedy
from meeum.auditing import Audit, PairStatistics, gather, judging
from meeum.auditing.judge import bounded, unjudged
from meeum.checkpoint import Model
from meeum.errors import MeeumError, UsageError
from meeum.remedy import Remedy
from meeum.report import RunFacts, write_previews, write_removed, write_report
from meeum.session import Session
from meeum.volume import Volume

SUFFIXES = {"hdf": ".hdf", "tcf": ".TCF", "tif": ".tif", "npy": ".npy"}
BYTES_PER_VOXEL = {".hdf": 12}  # input, output, and what was removed
AUDITED = 6 * 2**20  # voxels at most
SHARE = 0.1  # of the run's time, for questioning the network; or, if that is more,
LEAST, MOST = 10.0, 60.0  # half of it within these, seconds


def save(path: Path, running: Session) -> None:
    """The model as far as it is trained, with what a resumed training needs."""
    checkpoint.save(running.snapshot(), path / checkpoint.MODEL_FILE)
    folder.put(path / folder.METRICS, folder.table(running.state.history))
    folder.note(path, f"checkpoint at step {running.state.step}")


def finish(path: Path, running: Session) -> Model:
    """The finished model, without what only a resumed training needs."""
    model = replace(running.snapshot(), state={})
    checkpoint.save(model, path / checkpoint.MODEL_FILE)
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
    fits_tcf = "Z" in noisy.axes and noisy.quantity == "refractive index"
    if own.lower() == ".tcf" and not fits_tcf:
        own = ".tif"
    if "tcf" in formats and not fits_tcf:
        raise UsageError(
            f"[output] formats: tcf holds volumes of refractive index, and {noisy.name} has axes {noisy.axes} and "
            f"quantity {noisy.quantity!r}; try same, hdf, tif or npy"
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


def report(
    target: Path,
    pair: tuple[Volume, Volume],
    statistics: PairStatistics,
    facts: RunFacts,
    *,
    removed: Volume | None = None,
) -> None:
    """Previews, and the page that shows them."""
    noisy, clean = pair
    previews = write_previews(target / folder.PREVIEWS, noisy, clean, overwrite=True)
    if removed:
        previews.append(write_removed(target / folder.PREVIEWS, removed, overwrite=True))
    path = target / folder.REPORT
    write_report(path, noisy=noisy, denoised=clean, statistics=statistics, previews=previews, run=facts)
