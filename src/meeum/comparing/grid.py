"""A grid of settings to compare: presets, and `section.key=a,b,c` words whose every combination is taken."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from meeum import settings as rooms
from meeum.errors import UsageError
from meeum.networks import NETWORKS
from meeum.noise import Noise
from meeum.objectives import OBJECTIVES, Subject, plan_masking
from meeum.patches import Normalisation
from meeum.routing import FINE_WIDTH, WIDE, route
from meeum.settings import CHOSEN, Settings

Words = tuple[str, ...]
AUTO = "auto"  # name of the setting that follows the measured noise
OF_STD = re.compile(r"([0-9.]+(?:e[-+]?\d+)?)\s*std", re.IGNORECASE)
PLAIN = ("masking.mask_std=", "masking.mask_size=", "masking.footprint=0", "masking.share=")  # as if nothing was said


@dataclass(frozen=True)
class Setting:
    """One member of a grid: a name that is also a folder's, and the complete settings."""

    name: str
    settings: Settings


@dataclass(frozen=True)
class Scene:
    """What a preset may know of the image: name, sides of a frame, its values' mean and scale, and its noise."""

    name: str
    shape: tuple[int, ...]
    normalisation: Normalisation
    noise: Noise

    def window(self, side: int) -> str:
        """A window of `side` pixels, narrower along axes that are shorter, as a word."""
        return ",".join(str(min(side, n if n % 2 else n - 1)) for n in self.shape)


Preset = Callable[[Scene, Settings], dict[str, Words]]


def expand(
    base: Settings, scene: Scene, *, preset: str | None = None, varied: Sequence[str] = (), given: Sequence[str] = ()
) -> tuple[Setting, ...]:
    """Every member of the preset with every combination of `varied` on top, each checked against the image.

    `given` are the words that `base` was made with: what the grid sets itself cannot be given for all of it too.
    """
    if preset is not None and preset not in PRESETS:
        raise UsageError(f"--preset {preset}: known are {', '.join(PRESETS)}")
    members: dict[str, Words] = PRESETS[preset](scene, base) if preset else {"": ()}
    choices = [_choices(word, scene) for word in varied]
    _refuse_twice([key for key, _ in choices], given, members)
    found = []
    for (name, words), chosen in product(members.items(), _product(choices)):
        parts = ([name] if name else []) + [f"{_label(key, choices)}={_safe(text)}" for key, text, _ in chosen]
        overrides = (*words, *(f"{key}={value}" for key, _, value in chosen))
        found.append(Setting("-".join(parts) or "base", rooms.override(base, overrides)))
    _refuse_same(found)
    for one in found:
        _check(one, scene)
    return tuple(found)


def _choices(word: str, scene: Scene) -> tuple[str, list[tuple[str, str]]]:
    """`section.key=a,b` (or `a;b` where each is itself a list) -> key, and (as given, as a setting) of each value."""
    key, equals, text = word.partition("=")
    key = key.strip().lower()
    if not equals or "." not in key:
        raise UsageError(f"--vary {word}: expected section.key=a,b,c, for example masking.mask_size=3,5,11")
    if key.startswith("input.") or key == "training.seed":
        instead = "use --seeds" if key == "training.seed" else "compare files one by one"
        raise UsageError(f"--vary {word}: settings are compared on one image, seed by seed; {instead}")
    values = [value.strip() for value in text.split(";" if ";" in text else ",")]
    if not all(values) or len(set(values)) < len(values):
        raise UsageError(
            f"--vary {word}: expected different values, separated by commas (or by ; where each is a list)"
        )
    return key, [(value, _of_std(key, value, scene)) for value in values]


def _of_std(key: str, value: str, scene: Scene) -> str:
    """`0.5std` in numbers: times the image's standard deviation."""
    match = OF_STD.fullmatch(value)
    if match is None:
        return value
    if key != "masking.mask_std":
        raise UsageError(f"--vary {key}={value}: only masking.mask_std can be given in the image's standard deviations")
    return f"{float(match[1]) * scene.normalisation.scale:.6g}"


def _product(choices: Sequence[tuple[str, list[tuple[str, str]]]]) -> Iterable[tuple[tuple[str, str, str], ...]]:
    return product(*([(key, text, value) for text, value in values] for key, values in choices))


def _label(key: str, choices: Sequence[tuple[str, list[tuple[str, str]]]]) -> str:
    """The key without its section, unless another section has one of that name in this grid."""
    short = key.partition(".")[2]
    return short if [other.partition(".")[2] for other, _ in choices].count(short) == 1 else key


def _safe(text: str) -> str:
    """What any file system takes in a name."""
    return re.sub(r"[^A-Za-z0-9.+]+", "x", text)


def _refuse_twice(varied: Sequence[str], given: Sequence[str], members: dict[str, Words]) -> None:
    twice = next((key for key, count in Counter(varied).items() if count > 1), None)
    if twice:
        raise UsageError(f"--vary {twice}: given twice; name all its values in one")
    own = {*varied, *(word.partition("=")[0] for words in members.values() for word in words)}
    for word in given:
        key = word.partition("=")[0].strip().lower()
        if key in own:
            raise UsageError(
                f"--set {word}: {key} is among what is compared, so it cannot be given for all; leave it out "
                f"(`meeum compare --vary {key}=…` chooses its values)"
            )


def _refuse_same(found: Sequence[Setting]) -> None:
    """Equal settings are no comparison; names that differ in their case alone share a folder on some systems."""
    for number, one in enumerate(found):
        for other in found[:number]:
            if one.settings == other.settings:
                raise UsageError(f"grid: {other.name} and {one.name} are the same settings; leave one of them out")
            if one.name.lower() == other.name.lower():
                raise UsageError(f"grid: two settings would be called {one.name}; give their values apart")


def _check(one: Setting, scene: Scene) -> None:
    """What can be refused before hours are spent."""
    objective, network = one.settings.training.objective, one.settings.network.network
    if objective not in (AUTO, *OBJECTIVES):
        raise UsageError(f"{one.name}: unknown objective {objective!r}; known are auto, {', '.join(OBJECTIVES)}")
    if network not in NETWORKS:
        raise UsageError(f"{one.name}: unknown network {network!r}; known are {', '.join(NETWORKS)}")
    if objective == "masked":
        try:
            plan_masking(one.settings.masking, Subject(scene.name, scene.shape, scene.normalisation))
        except UsageError as error:
            raise UsageError(f"{one.name}: {error}") from None


def note(scene: Scene, base: Settings) -> dict[str, Words]:
    """The lab note's grid (2019): UPS and GF with three windows, G with three noises, GPS with three distances."""
    masked = (*PLAIN, "training.objective=masked")
    windows = {
        f"{scheme}-{side}": (*masked, f"masking.masking={scheme}", f"masking.mask_size={scene.window(side)}")
        for scheme in ("UPS", "GF")
        for side in (3, 5, 11)
    }
    noises = {
        f"G-{factor:g}std": (*masked, "masking.masking=G", f"masking.mask_std={factor * scene.normalisation.scale:.6g}")
        for factor in (0.5, 1, 2)
    }
    distances = {f"GPS-{std}": (*masked, "masking.masking=GPS", f"masking.mask_std={std}") for std in (2, 5, 10)}
    return {**windows, **noises, **distances}


def objectives(scene: Scene, base: Settings) -> dict[str, Words]:
    """What somebody without truth has to choose between; `auto` first, which wins where nothing speaks against it."""
    axes = len(scene.shape)
    taken, _ = route(base.changed("training", objective=AUTO), scene.noise, scene.normalisation)
    members: dict[str, Words] = {AUTO: ("training.objective=auto",)}
    other = "unet" if taken.network.network == "shuffle" else "shuffle"
    width = FINE_WIDTH[axes] if other == "shuffle" else CHOSEN[axes]["network"]["width"]
    network: Words = (f"network.network={other}",)
    if base.network.width is None:  # a width that is stated keeps `auto` from taking a network by itself
        network = (*network, f"network.width={width}")
    members[f"auto-{other}"] = ("training.objective=auto", *network)
    if taken.training.objective != "recorrupted":
        members["recorrupted"] = ("training.objective=recorrupted",)
    wide = min(scene.noise.sides[-2:]) >= WIDE
    if scene.noise.is_white and wide and taken.training.objective != "neighbours":
        members["neighbours"] = ("training.objective=neighbours",)
    for half in (0, 1, 2):
        if 2 * half + 1 < min(scene.shape):
            members[f"mean-footprint{half}"] = _masked(scene, "mean", half, window=max(5, 2 * half + 3))
    if min(scene.shape) > 5:
        members["UPS-footprint1"] = _masked(scene, "UPS", 1, window=5)
    return members


def _masked(scene: Scene, scheme: str, half: int, *, window: int) -> Words:
    footprint = (f"masking.footprint={half}", f"masking.mask_size={scene.window(window)}")
    return ("training.objective=masked", f"masking.masking={scheme}", *footprint)


PRESETS: dict[str, Preset] = {"objectives": objectives, "note": note}
