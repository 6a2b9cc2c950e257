"""Every setting of a run, one section per room; read from and written to INI files."""

from __future__ import annotations

import configparser
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from meeum.errors import UsageError


def _split(value: object) -> object:
    """ "3, 5, 5" -> ["3", "5", "5"]; a single number stands for every axis."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    return (value,) if isinstance(value, int | float) else value


Integers = Annotated[tuple[int, ...], BeforeValidator(_split)]
Numbers = Annotated[tuple[float, ...], BeforeValidator(_split)]
Words = Annotated[tuple[str, ...], BeforeValidator(_split)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InputSettings(Section):
    dataset: str | None = Field(None, description="HDF5 only: which dataset to read; empty = `input` or the only image")
    channel: int | None = Field(None, ge=0, description="which channel of an image that has several")
    projection: Literal["none", "max"] = Field("none", description="max: work on the maximum projection along z (2D)")
    no_data: float | None = Field(None, description="value (or nan) of voxels that were never measured")


class MaskingSettings(Section):
    masking: str = Field(
        "UPS", description="scheme that replaces hidden values: UPS, G, GF, GPS, mean, median, UPS_nocentre"
    )
    mask_std: Numbers | None = Field(
        None, description="G: standard deviation of the added noise, in data units; GPS: of the displacement, in pixels"
    )
    mask_size: Integers | None = Field(
        None, description="side of the window in pixels, odd, one number or one per axis (z, y, x)"
    )
    footprint: Integers = Field(
        (0,), description="half-widths of the hidden box around each site, one number or one per axis; 0 = one pixel"
    )
    share: float | None = Field(None, gt=0, le=1, description="share of pixels that are sites; empty = chosen for you")


class NetworkSettings(Section):
    network: str = Field("unet", description="which network")
    width: int = Field(32, ge=1, description="channels at the finest level")
    depth: int = Field(2, ge=0, le=6, description="how many times the image is halved")
    top_skip: bool = Field(
        False, description="pass the finest level across (Noise2Void2 found a lattice without this off)"
    )


class TrainingSettings(Section):
    objective: str = Field("masked", description="what a training step asks of the network")
    minutes: float = Field(5.0, gt=0, description="time to train; steps are derived from it on this machine")
    steps: int | None = Field(None, ge=1, description="number of steps, instead of minutes")
    patch: Integers | None = Field(None, description="sides of a training patch in voxels; empty = chosen for you")
    batch: int = Field(8, ge=1, description="patches per step")
    learning_rate: float = Field(2e-3, gt=0, description="highest learning rate of the cosine schedule")
    averaging: float = Field(0.5, gt=0, le=1, description="share of the steps so far over which weights are averaged")
    turn: str = Field("ZYX", description="axes along which patches are flipped (and, if Y and X, swapped)")
    held_out: float = Field(0.06, ge=0, lt=0.5, description="share of the image kept out of training, to judge it by")
    precision: Literal["auto", "float32", "bfloat16"] = Field("auto", description="auto: measured on this machine")
    device: str = Field("auto", description="auto, cpu, cuda or mps")
    seed: int = Field(0, ge=0, description="the same seed, settings and machine give the same weights")
    memory_gb: float = Field(
        2.0, gt=0, description="most memory for training data; larger images are sampled in blocks"
    )
    checkpoint_minutes: float = Field(2.0, gt=0, description="time between checkpoints")


class PredictionSettings(Section):
    memory_gb: float = Field(2.0, gt=0, description="most memory for one tile's activations")
    precision: Literal["float32", "bfloat16"] = Field("float32", description="bfloat16 is faster and less exact")


class OutputSettings(Section):
    formats: Words = Field(
        ("same", "hdf"), description="files to write: same (as the input), hdf (input and output), tcf, tif, npy"
    )


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
    """What meeum trains with when nobody says: mean masking, footprint (2, 2, 2) in 3D, one pixel in 2D."""
    half, side = (2, 7) if len(shape) == 3 else (0, 5)
    window = tuple(min(side, n if n % 2 else n - 1) for n in shape)
    footprint = tuple(min(half, n - 1) for n in shape)
    return Settings().changed("masking", masking="mean", mask_size=window, footprint=footprint)


def read_ini(path: Path, overrides: Iterable[str] = ()) -> Settings:
    """Settings from an INI file, then `section.key=value` overrides on top."""
    parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=("#", ";"))
    try:
        with path.open(encoding="utf-8") as file:
            parser.read_file(file)
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file; `meeum config --init {path}` writes one") from None
    except (configparser.Error, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a readable INI file: {str(error).splitlines()[0]}") from None
    values = {section: dict(parser[section]) for section in parser.sections()}
    return override(from_values(values, where=path.name), overrides)


def override(settings: Settings, overrides: Iterable[str]) -> Settings:
    """Apply `section.key=value` words, as `--set` takes them."""
    values = settings.model_dump()
    for word in overrides:
        name, equals, value = word.partition("=")
        section, dot, key = name.strip().partition(".")
        if not equals or not dot:
            raise UsageError(f"--set {word}: expected section.key=value, for example masking.mask_std=0.03")
        values.setdefault(section, {})[key] = value.strip()
    return from_values(values, where="--set") if overrides else settings


def from_values(values: dict[str, dict[str, Any]], *, where: str) -> Settings:
    """Settings from plain sections; empty texts mean "not given"; unknown names list the known ones."""
    _refuse_unknown(values, where)
    given = {name: {key: v for key, v in keys.items() if v != ""} for name, keys in values.items()}
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        raise UsageError("\n".join(_sentences(error, where))) from None


def _refuse_unknown(values: dict[str, dict[str, Any]], where: str) -> None:
    for section, keys in values.items():
        if section not in Settings.model_fields:
            raise UsageError(f"{where} [{section}]: unknown section; known are {', '.join(Settings.model_fields)}")
        known = getattr(Settings(), section).model_dump()
        for key in keys:
            if key not in known:
                raise UsageError(f"{where} [{section}] {key}: unknown key; known are {', '.join(known)}")


def _sentences(error: ValidationError, where: str) -> Iterator[str]:
    for problem in error.errors():
        section, key = (str(part) for part in problem["loc"][:2])
        field = type(getattr(Settings(), section)).model_fields[key]
        yield f"{where} [{section}] {key}: {problem['msg']}; given {problem['input']!r}. {key}: {field.description}"


def to_ini(settings: Settings) -> str:
    """The complete settings as INI text, every key with a comment; keys without a value are left empty."""
    lines = []
    for section in Settings.model_fields:
        part = getattr(settings, section)
        lines.append(f"[{section}]")
        for key, field in type(part).model_fields.items():
            lines += [f"# {field.description}", f"{key} = {_text(getattr(part, key))}".rstrip()]
        lines.append("")
    return "\n".join(lines)


def _text(value: object) -> str:
    if value is None:
        return ""
    return ", ".join(str(part) for part in value) if isinstance(value, tuple) else str(value)
