"""Files in and out: `read` gives a lazy `Volume`, `write` puts one into a file; the format follows the suffix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from meeum.errors import UsageError
from meeum.io import hdf5, npy, ome_zarr, tcf, tiff
from meeum.io.files import replacing
from meeum.io.film import film, read_frames
from meeum.io.hdf5 import write_frames
from meeum.volume import Volume

__all__ = ["READERS", "WRITERS", "film", "read", "read_frames", "read_levels", "write", "write_frames"]

Reader = Callable[..., Volume]  # (path, *, dataset, channel)
Writer = Callable[..., None]  # (volume, path, *, noisy, provenance)


def read(
    path: str | Path, *, dataset: str | None = None, channel: int | None = None, no_data: float | None = None
) -> Volume:
    """The image in a file, lazily: (T)(Z)YX, values in `quantity`, voxel sizes in µm.

    `dataset` chooses inside an HDF5 file or an OME-Zarr folder, `channel` along a channel or colour axis; `no_data`
    (a value, or nan) marks voxels that were never measured, where the file does not say so itself.
    """
    path = _existing(Path(path))
    volume = READERS[_known_suffix(path, READERS)](path, dataset=dataset, channel=channel)
    return volume if no_data is None else replace(volume, no_data=no_data)


def read_levels(
    path: str | Path, *, dataset: str | None = None, channel: int | None = None, no_data: float | None = None
) -> tuple[Volume, ...]:
    """The image as `read` gives it and, where the format has them (OME-Zarr), its coarser versions, finest first."""
    path = Path(path)
    finest = read(path, dataset=dataset, channel=channel, no_data=no_data)
    if path.suffix.lower() != ".zarr":
        return (finest,)
    rest = ome_zarr.levels(path, dataset=dataset, channel=channel)[1:]
    return (finest, *(replace(level, no_data=finest.no_data) for level in rest))


def _existing(path: Path) -> Path:
    if path.is_dir() and path.suffix.lower() != ".zarr":
        raise UsageError(f"{path}: is a folder; give one file in it")
    if not path.exists():
        raise UsageError(f"{path}: no such file")
    return path


def write(
    volume: Volume,
    path: str | Path,
    *,
    noisy: Volume | None = None,
    provenance: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> Path:
    """Put a volume into a file, piece by piece; it appears complete or not at all.

    `noisy` goes beside it as `input` in HDF5, `provenance` (how it was made) into HDF5, TCF and
    OME-Zarr; the other formats have no place for them.
    """
    path = Path(path)
    writer = WRITERS[_known_suffix(path, WRITERS)]
    for original in (volume.source, noisy.source if noisy else None):
        if original is not None and path.exists() and original.exists() and path.samefile(original):
            raise UsageError(f"{path}: is the file that was read, and inputs are never changed; give another name")
    with replacing(path, overwrite=overwrite) as temporary:
        writer(volume, temporary, noisy=noisy, provenance=provenance)
    return path


def _known_suffix(path: Path, formats: Mapping[str, object]) -> str:
    suffix = path.suffix.lower()
    if suffix not in formats:
        raise UsageError(f"{path}: unknown suffix {path.suffix!r}; meeum knows {', '.join(formats)}")
    return suffix


READERS: dict[str, Reader] = {
    ".tcf": tcf.read,
    ".h5": hdf5.read,
    ".hdf": hdf5.read,
    ".hdf5": hdf5.read,
    ".tif": tiff.read,
    ".tiff": tiff.read,
    ".npy": npy.read,
    ".zarr": ome_zarr.read,
}

WRITERS: dict[str, Writer] = {
    ".tcf": tcf.write,
    ".h5": hdf5.write,
    ".hdf": hdf5.write,
    ".hdf5": hdf5.write,
    ".tif": tiff.write,
    ".tiff": tiff.write,
    ".npy": npy.write,
    ".zarr": ome_zarr.write,
}
