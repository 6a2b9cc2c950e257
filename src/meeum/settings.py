"""Every setting of a run, one section per room; read from and written to INI files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.types import AllowInfNan

from meeum.errors import UsageError, among


def _split(value: object) -> object:
    """ "3, 5, 5" -> ["3", "5", "5"]; a single number stands for every axis."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    return (value,) if isinstance(value, int | float) else value


Integers = Annotated[tuple[int, ...], Field(min_length=1), BeforeValidator(_split)]
HalfWidths = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), BeforeValidator(_split)]
Sides = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1), BeforeValidator(_split)]
Numbers = Annotated[tuple[float, ...], Field(min_length=1), BeforeValidator(_split)]
Format = Literal["same", "hdf", "tcf", "tif", "npy", "zarr"]
Formats = Annotated[tuple[Format, ...], Field(min_length=1), BeforeValidator(_split)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, str_min_length=1)


class InputSettings(Section):
    dataset: str | None = Field(None, description="HDF5 only: which dataset to read; empty = `input` or the only image")
    channel: int | None = Field(None, ge=0, description="which channel of an image that has several")
    projection: Literal["none", "max"] = Field("none", description="max: work on the maximum projection along z (2D)")
    no_data: Annotated[float, AllowInfNan(True)] | None = Field(
        None, description="value (or nan) of voxels that were never measured"
    )
    remove_lattice: bool = Field(False, description="take a measured periodic pattern out of the image before training")


# Of the schemes in `masking`, which needs torch; a test holds one to the other.
MASKING = ("UPS", "G", "GF", "GPS", "mean", "median", "UPS_nocentre")


class MaskingSettings(Section):
    masking: str = Field("UPS", description=f"scheme that replaces hidden values: {', '.join(MASKING)}")
    mask_std: Numbers | None = Field(
        None, description="G: standard deviation of the added noise, in data units; GPS: of the displacement, in pixels"
    )
    mask_size: Integers | None = Field(
        None, description="side of the window in pixels, odd, one number or one per axis (z, y, x)"
    )
    footprint: HalfWidths = Field(
        (0,), description="half-widths of the hidden box around each site, one number or one per axis; 0 = one pixel"
    )
    share: float | None = Field(None, gt=0, le=1, description="share of pixels that are sites; empty = chosen for you")


class NetworkSettings(Section):
    network: str = Field("unet", description="which network: unet, or shuffle (most of its work at half size)")
    width: int | None = Field(None, ge=1, description="channels at the finest level; empty = 16 in 2D, 8 in 3D")
    depth: int = Field(2, ge=0, le=6, description="how many times the image is halved")
    top_skip: bool = Field(
        False, description="pass the finest level across; off, since it lets a lattice through (Höck 2022)"
    )


class TrainingSettings(Section):
    objective: str = Field(
        "masked", description="masked, recorrupted, neighbours, sure, thinning, or auto: chosen by measuring the noise"
    )
    loss: Literal["squared", "absolute"] = Field(
        "squared", description="masked: absolute predicts medians, for noise of few voxels far off"
    )
    alpha: float = Field(0.5, gt=0, description="recorrupted: noise added to the input, as a share of the measured")
    minutes: float = Field(5.0, gt=0, description="time to train; steps are derived from it on this machine")
    steps: int | None = Field(None, ge=1, description="number of steps, instead of minutes")
    patch: Sides | None = Field(None, description="sides of a training patch in voxels; empty = chosen for you")
    batch: int | None = Field(None, ge=1, description="patches per step; empty = 8 in 2D, 2 in 3D")
    learning_rate: float = Field(2e-3, gt=0, description="highest learning rate of the cosine schedule")
    averaging: float = Field(0.1, gt=0, le=1, description="share of the steps so far over which weights are averaged")
    turn: str = Field(
        "ZYX",
        pattern="^([ZYX]+|none)$",
        description="axes along which patches are flipped, or none",
    )
    swap: bool = Field(True, description="swap Y and X of patches too, if both are flipped")
    held_out: float = Field(0.06, ge=0, lt=0.5, description="share of the image kept out of training, to judge it by")
    precision: Literal["auto", "float32", "bfloat16"] = Field("auto", description="auto: measured on this machine")
    device: str = Field("auto", description="auto, cpu, cuda or mps")
    seed: int = Field(0, ge=0, lt=2**63, description="the same seed, settings and machine give the same weights")
    memory_gb: float = Field(
        2.0, gt=0, description="most memory for training data; larger images are sampled in blocks"
    )
    patience: float | None = Field(
        None,
        gt=0,
        le=1,
        description="stop when the estimated error has not fallen for this share of the steps, keep the best weights; "
        "empty = never",
    )
    checkpoint_minutes: float = Field(2.0, gt=0, description="time between checkpoints")


class PredictionSettings(Section):
    memory_gb: float = Field(2.0, gt=0, description="most memory for one tile's activations")
    precision: Literal["float32", "bfloat16"] = Field("float32", description="bfloat16 is faster and less exact")
    draws: int = Field(
        0, ge=0, le=64, description="recorrupted: mean over so many noisy copies; 0 = of the image itself (Pang 2021)"
    )
    flips: bool | None = Field(None, description="mean over flips; empty = with auto, where noise has no direction")
    displaced: bool | None = Field(
        None, description="mean of two passes, a voxel apart; empty = with auto, where there are no flips"
    )
    keep_means: float | None = Field(
        None,
        ge=0,
        le=64,
        description="voxels (Gaussian sigma) over which means become the noisy image's; 0 = off; empty = "
        "where auto trains recorrupted or thinning, 5 in volumes, 8 in planes of white noise; else off",
    )
    band_limit: bool = Field(True, description="coloured noise: add nothing where the input's spectrum is empty")
    masked: bool = Field(False, description="masked: estimate each pixel while it is hidden, in many passes")
    mixing: bool | None = Field(
        None,
        description="masked: mix the noisy image back in by the share that makes the squared error least; empty = with "
        "auto, where few voxels are far off: all others are kept as far as noise allows",
    )


class OutputSettings(Section):
    formats: Formats = Field(
        ("same", "hdf"), description="files to write: same (as the input), hdf (input and output), tcf, tif, npy, zarr"
    )
    report_mb: float = Field(40.0, ge=2, description="most megabytes of report.html: larger images are shown in part")
    live: bool = Field(True, description="show the training in live.html, for at most about a hundredth of its time")


class Settings(Section):
    """All sections; `Settings()` is the lab note's plain Noise2Void, which still needs a `mask_size`."""

    input: InputSettings = InputSettings()
    masking: MaskingSettings = MaskingSettings()
    network: NetworkSettings = NetworkSettings()
    training: TrainingSettings = TrainingSettings()
    prediction: PredictionSettings = PredictionSettings()
    output: OutputSettings = OutputSettings()

    def changed(self, section: str, **values: Any) -> Settings:
        """The same settings with some values of one section replaced, checked again."""
        part = getattr(self, section)
        return self.model_copy(update={section: type(part)(**{**part.model_dump(), **values})})


def assumed(shape: tuple[int, ...]) -> Settings:
    """What meeum trains with when nobody says: whatever the measured noise asks for.

    Where `objective = masked` is asked for instead, or the noise cannot be trained with: mean masking, footprint
    (2, 2, 2) in 3D, one pixel in 2D.
    """
    half, side = (2, 7) if len(shape) == 3 else (0, 5)
    window = tuple(min(side, n if n % 2 else n - 1) for n in shape)
    footprint = tuple(min(half, n - 1) for n in shape)
    if all(2 * half + 1 >= n for half, n in zip(footprint, shape, strict=True)):  # nothing would be left to see
        footprint = tuple(0 for _ in shape)
    masking = Settings().changed("masking", masking="mean", mask_size=window, footprint=footprint)
    return masking.changed("training", objective="auto")


def laid_over(base: Settings, stated: Settings, sections: Iterable[str] = tuple(Settings.model_fields)) -> Settings:
    """`base` with the keys that `stated` was given; its defaults do not count."""
    for name in sections:
        part = getattr(stated, name)
        base = base.changed(name, **{key: getattr(part, key) for key in part.model_fields_set})
    return base


def asks_for_masking(stated: Settings) -> bool:
    """Whether [masking], or `objective = masked`, was given: then nothing is assumed but the lab note's defaults."""
    by_name = "objective" in stated.training.model_fields_set and stated.training.objective == "masked"
    return by_name or bool(stated.masking.model_fields_set)


def over_assumed(stated: Settings, shape: tuple[int, ...]) -> Settings:
    """What was stated, and for the rest what meeum assumes of images of this shape."""
    return stated if asks_for_masking(stated) else laid_over(assumed(shape), stated)


# What is chosen where a setting is empty, by the number of spatial axes (docs/log.md tells how it was found).
CHOSEN: dict[int, dict[str, dict[str, Any]]] = {
    2: {"network": {"width": 16}, "training": {"batch": 8, "patch": (64, 64)}},
    3: {"network": {"width": 8}, "training": {"batch": 2, "patch": (32, 32, 32)}},
}


def completed(settings: Settings, axes: int) -> Settings:
    """The same settings with every empty one of `CHOSEN` filled in for images of 2 or 3 axes."""
    for section, values in CHOSEN[axes].items():
        part = getattr(settings, section)
        settings = settings.changed(section, **{k: v for k, v in values.items() if getattr(part, k) is None})
    return settings


def override(settings: Settings, overrides: Iterable[str]) -> Settings:
    """Apply `section.key=value` words, as `--set` takes them."""
    values = settings.model_dump()
    for word in overrides:
        name, equals, value = word.partition("=")
        section, dot, key = name.strip().partition(".")
        if not equals or not dot:
            raise UsageError(f"--set {word}: expected section.key=value, for example masking.mask_std=0.03")
        values.setdefault(section, {})[key.strip().lower()] = value.strip()
    return from_values(values, where="command line")


def from_values(values: dict[str, dict[str, Any]], *, where: str) -> Settings:
    """Settings from plain sections; empty texts mean "not given"; unknown names list the known ones."""
    _refuse_unknown(values, where)
    given = {name: {key: v for key, v in keys.items() if v != ""} for name, keys in values.items()}
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        raise UsageError("; ".join(_sentences(error, where))) from None


def _refuse_unknown(values: dict[str, dict[str, Any]], where: str) -> None:
    for section, keys in values.items():
        if section not in Settings.model_fields:
            raise UsageError(f"{where} [{section}]: unknown section; {among(section, Settings.model_fields)}")
        known = getattr(Settings(), section).model_dump()
        for key in keys:
            if key not in known:
                raise UsageError(f"{where} [{section}] {key}: unknown key; {among(key, known)}")


def _sentences(error: ValidationError, where: str) -> Iterator[str]:
    problems = error.errors()
    wrong = {problem["loc"][:2] for problem in problems if problem["type"] != "too_short"}
    for problem in problems:
        if problem["type"] == "too_short" and problem["loc"][:2] in wrong:
            continue  # what was wrong is left out of the list, and said by itself
        section, key = (str(part) for part in problem["loc"][:2])
        field = type(getattr(Settings(), section)).model_fields[key]
        yield f"{where} [{section}] {key}: {problem['msg']}; given {problem['input']!r}. {key}: {field.description}"
