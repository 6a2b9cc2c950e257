"""What napari opens through meeum: files, run folders and the built-in phantom."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from meeum import io, phantom
from meeum.demonstration import NOISE_STD
from meeum.errors import MeeumError
from meeum.folder import AUDIT, COMMAND, RESULTS
from meeum.napari_plugin import layers
from meeum.napari_plugin.layers import LayerData

OWN = (".tcf", ".h5", ".hdf", ".hdf5", ".zarr")  # of TIFF only files with a voxel size, which napari leaves out
SHAPE = (32, 96, 96)

Read = Callable[[Any], list[LayerData]]


def get_reader(path: str | Sequence[str]) -> Read | None:
    """How to read it; None for what napari itself reads at least as well."""
    if not isinstance(path, str):
        return None
    place, suffix = Path(path), Path(path).suffix.lower()
    if suffix in OWN and suffix in io.READERS:
        return read_file
    if place.is_dir():
        return read_run if is_run(place) else None
    return read_file if suffix in (".tif", ".tiff") and _states_voxel_size(place) else None


def is_run(place: Path) -> bool:
    return (place / COMMAND).is_file() and (place / RESULTS).is_dir()


def _states_voxel_size(path: Path) -> bool:
    try:
        return io.read(path).voxel_size_um is not None
    except MeeumError:
        return False


def read_file(path: str) -> list[LayerData]:
    """One image, or noisy, denoised and residual of an HDF5 file that a run wrote."""
    place = Path(path)
    volume = io.read(place)
    if volume.details.get("dataset") == "/input" and "output (" in volume.details.get("also in the file", ""):
        return layers.pair_layers(*_pair([place]), told={}, prefix=f"{place.name} ")
    return [layers.image_layer(layers.opened(volume, place), place.name, layers.image_limits(volume))]


def read_run(path: str) -> list[LayerData]:
    """Noisy, denoised and residual of a run, and its hot spots; the audit is in the metadata of the denoised one."""
    place = Path(path)
    found = sorted((place / RESULTS).glob("*.hdf"), key=lambda one: (len(one.stem), one.stem))
    audit = _audit(place)
    told = {"verdict": audit["verdict"], "audit": audit} if audit else {}
    if not found:
        return [_alone(place, told)]
    noisy, denoised = _pair(found, run=place)
    images = layers.pair_layers(noisy, denoised, told=told, prefix=f"{place.name} ")
    spots = layers.spots_layer(audit, noisy.volume, f"{place.name} hot spots") if audit else None
    return [*images, spots] if spots else images


def _audit(run: Path) -> dict[str, Any] | None:
    path = run / AUDIT
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if "verdict" in found and "findings" in found else None
    except (OSError, ValueError) as error:
        raise MeeumError(f"{path}: not readable as the audit of a run ({error}); remove it to see the images") from None


def _alone(run: Path, told: dict[str, Any]) -> LayerData:
    """The denoised image of a run that was asked for no HDF5 file, which alone holds the noisy one too."""
    found = sorted(one for one in (run / RESULTS).iterdir() if one.suffix.lower() in io.READERS)
    if not found:
        raise MeeumError(f"{run / RESULTS}: holds no image; the run may not have come to its end")
    volume = io.read(found[0])
    shown = layers.opened(volume, found[0], run=run)
    return layers.image_layer(shown, f"{run.name} denoised", layers.image_limits(volume), told=told)


def _pair(files: Sequence[Path], *, run: Path | None = None) -> tuple[layers.Opened, layers.Opened]:
    """`input` and `output` of one file per frame."""
    noisy, denoised = (io.film([io.read(path, dataset=name) for path in files]) for name in ("input", "output"))
    file = files[0] if len(files) == 1 else None
    before = layers.opened(noisy, file, words=["input.dataset=input"], run=run)
    return before, layers.opened(denoised, file, words=["input.dataset=output"], run=run)


@cache
def _sample() -> phantom.Phantom:
    return phantom.make(SHAPE, seed=0, settings=phantom.PhantomSettings(noise_std=NOISE_STD))


def noisy_phantom() -> list[LayerData]:
    """A simulated tomogram (Z, Y, X)."""
    made = _sample()
    return [layers.image_layer(layers.opened(made.noisy), "phantom noisy", layers.image_limits(made.noisy, made.truth))]


def true_phantom() -> list[LayerData]:
    """What a perfect denoiser would return of it."""
    made = _sample()
    return [layers.image_layer(layers.opened(made.truth), "phantom truth", layers.image_limits(made.noisy, made.truth))]
