"""The files that hold a result: which there will be, whether they fit on the disk, and writing them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from meeum import folder, io
from meeum.errors import MeeumError, UsageError
from meeum.volume import Volume

SUFFIXES = {"hdf": ".hdf", "tcf": ".TCF", "tif": ".tif", "npy": ".npy"}
BYTES_PER_VOXEL = {".hdf": 8}  # input and output


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
    target: Path, clean: Volume, *, noisy: Volume, formats: Sequence[str], provenance: Mapping[str, str]
) -> list[Path]:
    """Put the result into a folder, in each format."""
    target.mkdir(exist_ok=True)
    stem = folder.name_of(noisy.source) if noisy.source else "image"
    written: list[Path] = []
    # HDF5 first: it holds any value, so that a result another format cannot hold is not lost.
    for suffix in sorted(suffixes(formats, noisy), key=lambda name: name != ".hdf"):
        if suffix == ".hdf":
            written += io.write_frames(target, clean, noisy=noisy, overwrite=True)
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
