"""What a server shows: one image or a pair from files, or a run, be it finished or still training."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from meeum import io
from meeum.errors import UsageError
from meeum.folder import AUDIT, COMMAND, LIVE, REPORT, RESULTS
from meeum.io import h5file
from meeum.report import places, scene, viewer
from meeum.serving import window
from meeum.serving.planes import Images, dimensions
from meeum.volume import Volume

HDF5 = (".h5", ".hdf", ".hdf5")


@dataclass(frozen=True)
class Exhibit:
    """`images` opens them, and says so if there are none yet; `page` gives what is at an address, None if nothing."""

    title: str
    images: Callable[[], Images]
    page: Callable[[str], bytes | None]


@dataclass(frozen=True)
class Choice:
    """What to read from the noisy file."""

    dataset: str | None = None
    channel: int | None = None
    no_data: float | None = None


def files(noisy: Path, denoised: Path | None = None, choice: Choice | None = None) -> Exhibit:
    """One image, or a pair; an HDF5 file that a run wrote holds both."""
    images = _pair(noisy, denoised, choice or Choice())

    def page(address: str) -> bytes | None:
        return _viewer(noisy.name, images, ()) if address == "/" else None

    return Exhibit(noisy.name, lambda: images, cache(page))


def run(folder: Path) -> Exhibit:
    """A run: while it trains its live page, and when it is finished its images."""
    if not is_run(folder):
        raise UsageError(f"{folder}: is not a meeum run (it has no {COMMAND}); give a run's folder or an image")

    @cache
    def images() -> Images:
        return _results(folder)

    @cache
    def shown() -> bytes:
        return _viewer(folder.name, images(), _spots(folder))

    def page(address: str) -> bytes | None:
        if address == "/":
            return _file(folder / LIVE) or shown() if _is_training(folder) else shown()
        return _file(folder / address[1:]) if address[1:] in (LIVE, REPORT) else None

    if not _is_training(folder):
        images()  # what is wrong with it is told before a browser opens
    return Exhibit(folder.name, images, page)


def is_run(folder: Path) -> bool:
    return folder.is_dir() and (folder / COMMAND).is_file()


def _is_training(folder: Path) -> bool:
    """A run that is not at its end; the report is what it writes last."""
    return (folder / LIVE).is_file() and not (folder / REPORT).is_file()


def _file(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _pair(noisy: Path, denoised: Path | None, choice: Choice) -> Images:
    opened = io.read_levels(noisy, dataset=choice.dataset, channel=choice.channel, no_data=choice.no_data)
    other: tuple[Volume, ...] | None = None
    if denoised:
        dataset = "output" if denoised.suffix.lower() in HDF5 and _holds_output(denoised) else None
        other = io.read_levels(denoised, dataset=dataset)
    elif noisy.suffix.lower() in HDF5 and not choice.dataset and _holds_output(noisy):
        other = io.read_levels(noisy, dataset="output")
    return _alike(opened, other)


def _holds_output(path: Path) -> bool:
    """Whether an HDF5 file holds an image and its denoised version."""
    with h5file.reading(path) as file:
        return all(h5file.is_dataset(file.get(name)) for name in ("input", "output"))


def _alike(noisy: Sequence[Volume], denoised: Sequence[Volume] | None) -> Images:
    if denoised is None:
        return {"noisy": noisy}
    if dimensions(noisy[0]) != dimensions(denoised[0]):
        raise UsageError(
            f"{denoised[0].name}: {denoised[0].axes} {denoised[0].shape} is not the denoised version of "
            f"{noisy[0].name}: {noisy[0].axes} {noisy[0].shape}"
        )
    return {"noisy": noisy, "denoised": denoised}


def _results(folder: Path) -> Images:
    """Both images of a run from its HDF5 files, with a pyramid if OME-Zarr was written too; else its result alone."""
    place = folder / RESULTS
    if not place.is_dir():
        raise UsageError(f"{folder}: has no results yet; while a run trains its live page shows how far it is")
    written = sorted(path for path in place.iterdir() if path.suffix.lower() in io.READERS)
    coarse = next((path for path in written if path.suffix == ".zarr"), None)
    if (place / "0.hdf").is_file():
        noisy, denoised = (io.read_frames(place, dataset=name) for name in ("input", "output"))
        return _alike([noisy], io.read_levels(coarse) if coarse else [denoised])
    if not written:
        raise UsageError(f"{place}: holds no image that meeum reads ({', '.join(io.READERS)})")
    return {"noisy": io.read_levels(coarse or written[0])}  # whatever it is: the one image that is shown


def _spots(folder: Path) -> list[dict[str, Any]]:
    """Where the audit of a run found something, as the viewer takes it."""
    path = folder / AUDIT
    if not path.is_file():
        return []
    found = json.loads(path.read_text(encoding="utf-8")).get("findings", [])
    return [
        {"label": one["title"], "verdict": one["verdict"], "at": list(places.at(place["frame"], place["centre"]))}
        for one in found
        if one["verdict"] != "pass"
        for place in one.get("places", [])
    ]


def _viewer(title: str, images: Images, spots: Sequence[Mapping[str, Any]]) -> bytes:
    (name, first), *others = images.items()
    denoised = others[0][1][0] if others else None
    limits, residual = window.limits(images)
    told = scene.served(first[0], denoised, limits=limits, residual_limit=residual, spots=spots)
    told["images"][name]["title"] = title if len(images) == 1 else name
    return viewer.page(told, title=title).encode()
