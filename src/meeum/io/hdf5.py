"""Plain HDF5: any dataset in; the lab note's datasets `input` and `output` out, with axes and voxel size."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from meeum.errors import MeeumError, UsageError
from meeum.io import h5file
from meeum.io.arrangement import arrange
from meeum.io.files import refuse_existing, replacing
from meeum.io.slabs import chunk_shape, slabs
from meeum.volume import Volume


def read(path: Path, *, dataset: str | None = None, channel: int | None = None) -> Volume:
    """A dataset by name; else `input`, else `output`, else the only one that looks like an image."""
    with h5file.reading(path) as file:
        node = _chosen(file, path, dataset)
        stored = h5file.StoredDataset(path, str(node.name), tuple(node.shape), np.dtype(node.dtype))
        stated = h5file.text(node, "axes")
        data, axes, warnings = arrange(stored, stated, where=f"{path}, dataset {node.name}", channel=channel)
        voxel_size, unfit = _voxel_size(node, stated or axes, axes)
        return Volume(
            data,
            axes,
            voxel_size_um=voxel_size,
            quantity=h5file.text(node, "quantity") or "intensity",
            medium_index=h5file.number(node, "medium_index"),
            no_data=_no_data(node),
            frame_interval_s=h5file.number(node, "frame_interval_s"),
            source=path,
            stored_dtype=stored.dtype.name,
            details=_details(file, node),
            warnings=warnings + unfit,
        )


def write(
    volume: Volume,
    path: Path,
    *,
    noisy: Volume | None = None,
    removed: Volume | None = None,
    provenance: Mapping[str, str] | None = None,
) -> None:
    """`output`, and beside it `input` (the noisy volume) and `removed` (what was taken out of it first) when given.

    All float32, with their meaning as attributes.
    """
    if noisy is not None and noisy.shape != volume.shape:
        raise UsageError(f"{volume.name}: the noisy volume has shape {noisy.shape}, the result {volume.shape}")
    with h5file.library().File(path, "w") as file:
        if noisy is not None:
            _write_dataset(file, "input", noisy)
        if removed is not None:
            _write_dataset(file, "removed", removed)
        _write_dataset(file, "output", volume)
        file.attrs.update(provenance or {})


def write_frames(
    folder: str | Path,
    output: Volume,
    *,
    noisy: Volume | None = None,
    removed: Volume | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """One file per frame, named 0.hdf, 1.hdf, ... as in the lab note, each with `output` (and `input`, `removed`)."""
    if noisy is not None and noisy.shape != output.shape:
        raise UsageError(f"{output.name}: the noisy volume has shape {noisy.shape}, the result {output.shape}")
    paths = [Path(folder) / f"{index}.hdf" for index in range(output.frame_count)]
    for path in paths:  # all or none
        refuse_existing(path, overwrite=overwrite)
    for index, path in enumerate(paths):
        with replacing(path, overwrite=overwrite) as temporary:
            one, other = (volume.frame(index) if volume else None for volume in (noisy, removed))
            write(output.frame(index), temporary, noisy=one, removed=other)
    return paths


def _write_dataset(file: Any, name: str, volume: Volume) -> None:
    dataset = file.create_dataset(
        name,
        shape=volume.shape,
        dtype=np.float32,
        chunks=chunk_shape(volume),
        compression="gzip",
        compression_opts=1,  # noise hardly compresses: higher levels cost minutes and save a percent
        shuffle=True,
    )
    for region, values in slabs(volume):
        dataset[region] = values
    dataset.attrs.update(_attributes(volume))


def _attributes(volume: Volume) -> dict[str, Any]:
    stated = {
        "axes": volume.axes,
        "voxel_size_um": volume.voxel_size_um,
        "quantity": volume.quantity,
        "medium_index": volume.medium_index,
        "frame_interval_s": volume.frame_interval_s,
        "no_data": volume.no_data,
    }
    return {name: value for name, value in stated.items() if value is not None}


def _chosen(file: Any, path: Path, dataset: str | None) -> Any:
    found = h5file.datasets(file)
    if dataset is not None:
        node = file.get(dataset)
        if node is None or not h5file.is_dataset(node):
            raise UsageError(f"{path}: there is no dataset {dataset!r}; it holds {_listing(found)}")
        return node
    named = [node for name in ("input", "output") for node in [file.get(name)] if h5file.is_dataset(node)]
    images = named or [node for node in found if node.ndim in (2, 3, 4) and node.dtype.kind in "uif"]
    if not images and len(found) == 1:
        return found[0]  # so that the message says what is wrong with it
    if not images:
        raise MeeumError(f"{path}: no dataset with 2 to 4 dimensions; it holds {_listing(found)}")
    if len(images) > 1 and not named:
        raise UsageError(f"{path}: say which dataset to read with dataset=... (--dataset): {_listing(found)}")
    return images[0]


def _listing(found: list[Any]) -> str:
    return ", ".join(f"{node.name[1:]} {node.shape} {node.dtype}" for node in found) or "no dataset at all"


def _voxel_size(node: Any, stored_axes: str, axes: str) -> tuple[tuple[float, ...] | None, tuple[str, ...]]:
    """Micrometres per spatial axis, in the order of `axes`, and a warning if they do not fit."""
    spelled = h5file.find(node.attrs.keys(), "voxel_size_um")
    if spelled is None:
        return None, ("no voxel size is stated (attribute voxel_size_um, one number per axis, in µm)",)
    spatial = [letter for letter in stored_axes.upper() if letter in "ZYX"]
    try:
        sizes = np.ravel(node.attrs[spelled]).astype(np.float64)
    except (TypeError, ValueError):
        sizes = np.array([])
    if sizes.size != len(spatial) or not (np.isfinite(sizes) & (sizes > 0)).all():
        return None, (f"voxel_size_um {sizes.tolist()} does not fit axes {stored_axes!r} and is left out",)
    by_axis = dict(zip(spatial, sizes.tolist(), strict=True))
    return tuple(by_axis[letter] for letter in axes if letter in "ZYX"), ()


def _no_data(node: Any) -> float | None:
    """`no_data` may be nan, which `number` reads as absent."""
    stated = h5file.text(node, "no_data")
    return np.nan if stated == "nan" else h5file.number(node, "no_data")


def _details(file: Any, node: Any) -> dict[str, str]:
    others = [other for other in h5file.datasets(file) if other != node]
    compression = "uncompressed" if not node.id.get_create_plist().get_nfilters() else node.compression or "plug-in"
    details = {"format": "HDF5", "dataset": str(node.name), "compression": str(compression)}
    return details | ({"also in the file": _listing(others)} if others else {})
