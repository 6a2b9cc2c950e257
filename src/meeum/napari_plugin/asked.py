"""What is asked for in the widgets, as data and as the command line that does the same."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from meeum import io
from meeum.napari_plugin import schema
from meeum.napari_plugin.layers import Opened
from meeum.settings import InputSettings, Settings, assumed
from meeum.volume import Volume, maximum_projection

NO_FILE = "FILE"  # stands in a command for a layer that lies in no file


@dataclass(frozen=True)
class Denoising:
    """An image to train on and denoise; its run is kept in `folder`."""

    image: Opened
    settings: Settings
    folder: Path
    overwrite: bool = False
    stop: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Comparing:
    """Settings to compare on one image: a preset, or `section.key=a,b` words, or both."""

    image: Opened
    settings: Settings
    folder: Path
    preset: str | None = "objectives"
    varied: tuple[str, ...] = ()
    seeds: int = 1
    overwrite: bool = False
    stop: Callable[[], bool] = lambda: False


def chosen(image: Opened, wanted: InputSettings) -> Volume:
    """The image as `[input]` chooses it: of a file its dataset and channel, of any its projection and missing value."""
    volume = image.volume
    if image.file and (wanted.dataset or wanted.channel is not None):
        volume = io.read(image.file, dataset=wanted.dataset, channel=wanted.channel)
    if wanted.no_data is not None:
        volume = replace(volume, no_data=wanted.no_data)
    return maximum_projection(volume) if wanted.projection == "max" else volume


def frame_shape(image: Opened, settings: Settings) -> tuple[int, ...]:
    """Sides of what is denoised at a time: (Z, Y, X), or (Y, X)."""
    shape = image.volume.spatial_shape
    return shape[1:] if settings.input.projection == "max" and len(shape) == 3 else shape


def place_for(image: Opened, ending: str) -> Path | None:
    """The folder of a run, beside the image's file (or beside the run that the image is of); None of a bare layer."""
    if image.run:
        return image.run.parent / f"{image.run.name.removesuffix('_meeum')}{ending}"
    return image.file.parent / f"{image.file.stem.removesuffix('.ome')}{ending}" if image.file else None


def denoise_command(errand: Denoising, *, out: Path | None) -> str:
    """The `meeum denoise` that does the same; without `out` the run goes where the command line puts it."""
    found = schema.words(errand.settings, frame_shape(errand.image, errand.settings))
    return _command("denoise", errand.image, (), found, out=out, overwrite=errand.overwrite)


def compare_command(errand: Comparing, *, out: Path | None) -> str:
    """The `meeum compare` that does the same."""
    options = ["--preset", errand.preset] if errand.preset else []
    options += [part for word in errand.varied for part in ("--vary", word)] + ["--seeds", str(errand.seeds)]
    found = compared_words(errand)
    return _command("compare", errand.image, tuple(options), found, out=out, overwrite=errand.overwrite)


def audit_command(noisy: Opened, denoised: Opened) -> str:
    """The `meeum audit` that does the same."""
    named = [str(one.file) if one.file else NO_FILE for one in (noisy, denoised)]
    return shlex.join(["meeum", "audit", *dict.fromkeys(named)] if noisy.file else ["meeum", "audit", *named])


def _command(
    verb: str,
    image: Opened,
    options: tuple[str, ...],
    words: tuple[str, ...],
    *,
    out: Path | None,
    overwrite: bool,
) -> str:
    parts = ["meeum", verb, str(image.file or NO_FILE), *options]
    parts += [part for word in own_words(image, words) for part in ("--set", word)]
    parts += ["--out", str(out)] if out else []
    return shlex.join([*parts, "--overwrite"] if overwrite else parts)


def own_words(image: Opened, words: tuple[str, ...]) -> tuple[str, ...]:
    """The words with those that choose the image inside its file, unless the user chose otherwise."""
    said = {word.partition("=")[0] for word in words}
    return (*(word for word in image.words if image.file and word.partition("=")[0] not in said), *words)


def compared_words(errand: Comparing) -> tuple[str, ...]:
    """The words for `meeum compare`, which starts from what is assumed of the image."""
    return schema.changed(errand.settings, assumed(frame_shape(errand.image, errand.settings)))
