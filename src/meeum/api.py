"""The Python API: read, train, denoise, audit, write."""

from __future__ import annotations

import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from meeum import checkpoint, io, patches, predict, preparation, session
from meeum.auditing import Audit, Risk, gather, judge, unbiased_risk
from meeum.auditing.pair import MOST_VOXELS, Denoiser
from meeum.checkpoint import Model
from meeum.errors import UsageError
from meeum.folder import MODEL_FILE
from meeum.noise import Noise, measure
from meeum.preparation import Prepared
from meeum.settings import InputSettings, Settings, assumed
from meeum.training import Progress
from meeum.volume import Array, LazyArray, Volume, maximum_projection

Image = Volume | LazyArray | str | Path  # arrays are (Y, X), (Z, Y, X) or (T, Z, Y, X)
FOREIGN = 20.0  # of a model's scale: an image whose mean is farther off holds something else
IN_MEMORY = 2**30  # results larger than this many bytes lie in a temporary file


def read(
    path: str | Path,
    *,
    dataset: str | None = None,
    projection: str = "none",
    channel: int | None = None,
    no_data: float | None = None,
) -> Volume:
    """Open an image lazily: TCF, HDF5, TIFF, NPY or OME-Zarr; `projection="max"` gives its maximum along z.

    Values are float32 in the data's units (refractive index for TCF), axes a suffix of "TZYX".
    """
    volume = io.read(Path(path), dataset=dataset, channel=channel, no_data=no_data)
    return maximum_projection(volume) if projection == "max" else volume


def read_chosen(path: str | Path, chosen: InputSettings) -> Volume:
    """An image as the `[input]` settings choose it."""
    return read(
        path, dataset=chosen.dataset, projection=chosen.projection, channel=chosen.channel, no_data=chosen.no_data
    )


def measure_noise(
    noisy: Image,
    repeat: Image | None = None,
    *,
    trained: bool = False,
    show: Callable[[Prepared], None] | None = None,
) -> Noise:
    """Level, spectrum and dependences of an image's noise, from nothing but the image, or better from a `repeat` too.

    A repeat is a second recording of the same field. Without one, `trained` lets a first training of about a minute
    set right what is uncertain, as `denoise` does, and `show` hears how far it is; UsageError with one.
    """
    if trained and repeat is not None:
        raise UsageError("noise: give a repeat or ask for a first training, not both; a repeat tells more")
    volume = image(noisy)
    if not trained:
        return measure(volume, repeat=None if repeat is None else image(repeat))
    return preparation.noise_of([volume], assumed(volume.spatial_shape), show=show)


def train(
    noisy: Image | Sequence[Image],
    settings: Settings | None = None,
    *,
    noise: Noise | None = None,
    show: Callable[[Progress], None] | None = None,
) -> Model:
    """Train a network on a noisy image, or a list of them, alone; without settings, on those of `settings.assumed`.

    The noise is measured unless it is given (`measure_noise` with a repeat knows it best).
    """
    volumes = [image(one) for one in (noisy if isinstance(noisy, list | tuple) else (noisy,))]
    chosen = settings or (assumed(volumes[0].spatial_shape) if volumes else Settings())
    running = preparation.prepare(volumes, chosen, noise=noise)
    for progress in running.run():
        if show:
            show(progress)
    return running.snapshot()


def denoise(noisy: Image, model: Model) -> Volume:
    """Denoise every frame, tile by tile: the same axes, units and voxels without data as the input.

    Results over 1 GiB lie in a temporary file, not in memory.
    """
    clean, shares = denoising(image(noisy), model)
    for _ in shares:
        pass
    return clean


def denoising(noisy: Volume, model: Model) -> tuple[Volume, Iterator[float]]:
    """A volume that is still empty, and the iterator that fills it, yielding the share done after each tile."""
    refuse_other_kind(noisy, model)
    result = _room(noisy.shape)
    return noisy.with_data(result), predict.fill(result, noisy, model, device=session.device(model.settings))


def score(noisy: Image, model: Model, *, noise: Noise | None = None) -> Risk:
    """Estimated mean squared error of a model on an image, data units squared, without truth (Stein 1981).

    `noise` defaults to what was measured before the model's training; measured here if nothing was.
    """
    volume = image(noisy)
    return unbiased_risk(volume, denoiser(volume, model), noise or model.noise or measure(volume))


def audit(
    noisy: Image,
    clean: Image,
    *,
    model: Model | None = None,
    noise: Noise | None = None,
    limit: int = MOST_VOXELS,
) -> Audit:
    """Judge a denoised image, whoever made it, from nothing but it and its noisy version.

    Arrays are (Y, X), (Z, Y, X) or (T, Z, Y, X). With the model that made it the network itself is questioned too.
    The noise is measured unless it is given; at most about `limit` voxels are looked at.
    """
    before, after = image(noisy), image(clean)
    ask = denoiser(before, model) if model else None
    return judge(gather(before, after, noise=noise, denoise=ask, limit=limit))


def image(given: Image) -> Volume:
    """A volume as it is; an array of (Y, X), (Z, Y, X) or (T, Z, Y, X), or a file, as one."""
    if isinstance(given, Volume):
        return given
    if isinstance(given, str | Path):
        return read(given)
    if not hasattr(given, "shape"):
        raise UsageError(f"expected an image (a Volume, an array or the path of a file), but {given!r:.80} was given")
    return Volume(given, {2: "YX", 3: "ZYX", 4: "TZYX"}.get(len(given.shape), "?"))


def denoiser(noisy: Volume, model: Model) -> Denoiser:
    """The model as a function of arrays, (Y, X) or (Z, Y, X) in data units; `noisy` says which of the two."""
    refuse_other_kind(noisy, model)

    def ask(values: Array) -> Array:
        return denoise(Volume(values, noisy.spatial_axes, quantity=model.quantity), model).read()

    return ask


def refuse_other_kind(noisy: Volume, model: Model) -> None:
    """A model for planes does not take volumes, nor one for refractive index intensities, nor the other way round.

    A file may not say what it holds: then it is refused if its values are nothing like those of the training.
    """
    if noisy.spatial_axes != model.axes:
        hint = "; `--projection max` makes YX of ZYX" if (noisy.spatial_axes, model.axes) == ("ZYX", "YX") else ""
        raise UsageError(f"{noisy.name}: axes {noisy.spatial_axes}, but the model was trained on {model.axes}{hint}")
    if model.quantity in ("", noisy.quantity):
        return
    here, there = patches.measure([noisy]), model.normalisation
    if abs(here.offset - there.offset) > FOREIGN * there.scale:
        raise UsageError(
            f"{noisy.name}: values are {noisy.quantity} around {here.offset:.4g}, but the model was trained on "
            f"{model.quantity} around {there.offset:.4g}; train one for such images"
        )


def _room(shape: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    if math.prod(shape) * 4 <= IN_MEMORY:
        return np.empty(shape, np.float32)
    with tempfile.TemporaryFile(prefix="meeum-") as file:  # the mapping keeps the file until it is dropped
        if sys.platform == "linux":  # a full disk is found out here, not by a crash while the mapping is filled
            os.posix_fallocate(file.fileno(), 0, math.prod(shape) * 4)
        return np.memmap(file, np.float32, "w+", shape=shape)


def write(clean: Volume, path: str | Path, *, noisy: Volume | None = None, overwrite: bool = False) -> Path:
    """Write an image in the format its suffix names; HDF5 files hold `input` too when `noisy` is given."""
    return io.write(clean, Path(path), noisy=noisy, overwrite=overwrite)


def save(model: Model, path: str | Path) -> Path:
    """Write a model to a folder (or a .safetensors file) from which `load` reads it back."""
    path = Path(path)
    file = path if path.suffix == ".safetensors" else path / MODEL_FILE
    return checkpoint.save(replace(model, state={}), file)


def load(path: str | Path) -> Model:
    """Read a model from a folder or file; nothing but tensors and plain values is loaded."""
    return checkpoint.load(Path(path))
