"""What was asked for on the command line, and the job that follows from it: settings, images and notes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from meeum import api, folder, patches, results
from meeum import settings as rooms
from meeum.checkpoint import Model
from meeum.comparing import comparison, grid
from meeum.comparing.comparison import Plan
from meeum.comparing.workers import suitable_jobs
from meeum.errors import UsageError, among
from meeum.ini import read_ini
from meeum.job import Job
from meeum.masking import SCHEMES
from meeum.networks import NETWORKS
from meeum.noise import Noise
from meeum.objectives import OBJECTIVES
from meeum.settings import InputSettings, OutputSettings, Settings
from meeum.volume import Volume

FROM_MODEL = ("masking", "network", "training")
NOTHING_CHOSEN = (
    "the noise is measured, and the training chosen by it: `meeum noise FILE` tells more, "
    "`meeum config --init run.ini` shows what can be chosen"
)


@dataclass(frozen=True)
class Request:
    """Files, the folder of the run, the command in words, an INI file and `section.key=value` words on top of it.

    `repeat` is a second recording of the field that the one file shows.
    """

    files: tuple[Path, ...]
    folder: Path
    command: str
    config: Path | None = None
    words: tuple[str, ...] = ()
    repeat: Path | None = None
    overwrite: bool = False
    denoise: bool = True


def training(asked: Request) -> Job:
    """Train on the files; what neither the INI file nor the words say is assumed, and a note says so."""
    reads = (*asked.files, asked.repeat) if asked.repeat else asked.files
    folder.check(asked.folder, overwrite=asked.overwrite, resume=False, reads=reads)
    stated = _stated(asked)
    read_with = rooms.override(stated, asked.words)
    volumes = _read(asked, read_with)
    noise = _noise_of_two(asked, volumes, read_with)
    settings = _trained_with(stated, asked.words, volumes[0].spatial_shape)
    notes = (NOTHING_CHOSEN,) if settings.training.objective == "auto" else ()
    return _job(asked, settings, volumes, noise=noise, notes=notes)


def _stated(asked: Request) -> Settings:
    """What the INI file gives; what it or the words name must exist."""
    stated = read_ini(asked.config) if asked.config else Settings()
    told = rooms.override(stated, asked.words)
    _refuse_unknown(asked, "masking", "masking", told.masking.masking, SCHEMES, any_case=True)
    _refuse_unknown(asked, "network", "network", told.network.network, NETWORKS)
    _refuse_unknown(asked, "training", "objective", told.training.objective, ("auto", *OBJECTIVES))
    return stated


def _refuse_unknown(
    asked: Request, section: str, key: str, given: str, known: Iterable[str], *, any_case: bool = False
) -> None:
    if given in known or (any_case and given.lower() in map(str.lower, known)):
        return
    by_word = f"{section}.{key}" in _named(asked.words)
    where = asked.config.name if asked.config and not by_word else "command line"
    raise UsageError(
        f"{where} [{section}] {key}: unknown {'scheme' if key == 'masking' else key} {given!r}; {among(given, known)}"
    )


def _named(words: Iterable[str]) -> set[str]:
    """The settings that `section.key=value` words give."""
    return {word.partition("=")[0].strip().lower() for word in words}


def _trained_with(stated: Settings, words: tuple[str, ...], shape: tuple[int, ...]) -> Settings:
    """What the INI file states, over what is assumed, and the words on top; words on masking ask for masked training.

    A word that names the scheme assumes nothing else about masking.
    """
    named = _named(words)
    if rooms.asks_for_masking(stated) or not any(name.startswith("masking.") for name in named):
        return rooms.override(rooms.over_assumed(stated, shape), words)
    base = stated if "masking.masking" in named else rooms.over_assumed(stated, shape)
    return rooms.override(base, ("training.objective=masked", *words))


def _noise_of_two(asked: Request, volumes: list[Volume], settings: Settings) -> Noise | None:
    """Where a second recording was given; lattices that both hold are no noise and need not be taken out first."""
    if asked.repeat is None:
        return None
    if len(volumes) != 1:
        raise UsageError(f"--repeat {asked.repeat}: tells the noise of one image, but {len(volumes)} were given")
    return api.measure_noise(volumes[0], api.read_chosen(asked.repeat, settings.input))


def using(asked: Request, path: Path) -> Job:
    """Denoise with a trained model: input, prediction and output may be set anew, the rest is its own."""
    if asked.repeat:
        raise UsageError("--repeat tells the noise before a training, and --model was trained; leave out one of them")
    folder.check(asked.folder, overwrite=asked.overwrite, resume=False, reads=(*asked.files, path))
    model = api.load(path)
    kept = InputSettings(remove_lattice=model.settings.input.remove_lattice)
    own = model.settings.model_copy(update={"input": kept, "output": OutputSettings()})
    notes: tuple[str, ...] = ()
    if asked.config:
        own = rooms.laid_over(own, read_ini(asked.config), ("input", "prediction", "output"))
        notes = (f"{asked.config}: its sections {', '.join(FROM_MODEL)} do not count, since {path} is trained already",)
    settings = rooms.override(own, asked.words)
    _refuse_training(settings, own, path)
    return _job(asked, settings, _read(asked, settings), model=model, notes=notes)


def _refuse_training(settings: Settings, own: Settings, path: Path) -> None:
    """The device is the one thing about the training of a model that may differ afterwards."""
    moved = settings.changed("training", device=own.training.device)
    for section in FROM_MODEL:
        if getattr(moved, section) != getattr(own, section):
            raise UsageError(
                f"--model {path}: is trained already, so [{section}] cannot change; leave out --minutes, --quality "
                f"and --set {section}.…, or --model"
            )


def going_on(asked: Request, model: Path | None = None) -> Job:
    """Go on with an interrupted run as it was asked for at first."""
    if asked.config or asked.words or asked.repeat or asked.overwrite or model:
        raise UsageError(
            "--resume goes on with the settings of the interrupted run; leave out --config, --set, --minutes, "
            "--quality, --repeat, --dataset, --channel, --projection, --no-data, --remove-lattice, --model and "
            "--overwrite"
        )
    folder.check(asked.folder, overwrite=False, resume=True)
    settings = api.load(asked.folder).settings
    return _job(asked, settings, _read(asked, settings), resume=True)


@dataclass(frozen=True)
class Sought:
    """What a comparison is to vary: a preset, `section.key=a,b` words, how many seeds; runs at a time, 0 to choose."""

    preset: str | None = None
    varied: tuple[str, ...] = ()
    seeds: int = 1
    truth: Path | None = None
    jobs: int = 0


def comparing(asked: Request, sought: Sought) -> Plan:
    """Measure the noise of the file and lay out the grid; nothing is written yet."""
    folder.refuse_place(asked.folder)
    stated = _stated(asked)
    (volume,) = _read(asked, rooms.override(stated, asked.words))
    base = rooms.override(rooms.over_assumed(stated, volume.spatial_shape), asked.words)
    volume = results.as_trained_on(volume, base)
    scene = grid.Scene(volume.name, volume.spatial_shape, patches.measure([volume]), api.measure_noise(volume))
    preset = sought.preset or (None if sought.varied else "objectives")
    chosen = grid.expand(base, scene, preset=preset, varied=sought.varied, given=asked.words)
    plan = Plan(
        asked.files[0],
        asked.folder,
        chosen,
        sought.seeds,
        scene.noise,
        asked.command,
        truth=sought.truth,
        jobs=sought.jobs or suitable_jobs(),
        overwrite=asked.overwrite,
    )
    comparison.check(plan)
    comparison.read_truth(plan)
    return plan


def _read(asked: Request, settings: Settings) -> list[Volume]:
    return [api.read_chosen(file, settings.input) for file in asked.files]


def _job(
    asked: Request,
    settings: Settings,
    volumes: list[Volume],
    *,
    model: Model | None = None,
    resume: bool = False,
    noise: Noise | None = None,
    notes: tuple[str, ...] = (),
) -> Job:
    return Job(
        volumes,
        asked.folder,
        settings,
        asked.command,
        model=model,
        resume=resume,
        overwrite=asked.overwrite,
        denoise=asked.denoise,
        notes=notes,
        noise=noise,
    )
