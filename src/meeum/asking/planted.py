"""Is the lattice already in the data? One is planted too faint for the eye, found before training, and followed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from meeum.asking.answer import SURE, Outcome, Question, Row, Rows, Statistic, chosen, mean_of, over_seeds, titled
from meeum.asking.experiments import AUTO, SCHEMES, STRONG, THEN, Bench, Image, Words, flat, projected
from meeum.asking.measures import lock_in, panel
from meeum.auditing import Picture, gather
from meeum.noise.patterns import find_lattice

Array = NDArray[Any]
Wave = tuple[float, float]

PERIOD = 9.14  # pixels, as in real maximum projections
AMPLITUDE = 0.3  # of the noise: fainter than what the eye sees in the noisy image
SIDE = 192  # enough background beside the cell
ELSEWHERE = (0.87, 0.93, 1.08, 1.15)  # times the frequency: where nothing was planted
SETTINGS: Mapping[str, Words] = {**{name: (*words, *THEN) for name, words in SCHEMES.items()}, "auto": AUTO}
FAR = 6  # pixels from any cell: rings of the optics surround it
MOST = 2  # lattices of a file that are followed


def trial(bench: Bench, given: Image | None, seed: int) -> Iterator[str | Row | Picture]:
    """Amplitude and contrast to noise of each lattice in the background, in the input and after every scheme."""
    image = planted(seed) if given is None else projected(given)
    yield f"{image.name}: looking for a lattice in the input"
    waves = {f"y {PERIOD:g} px": (1 / PERIOD, 0.0), f"x {PERIOD:g} px": (0.0, 1 / PERIOD)}
    found = find_lattice(image.values)
    if given is not None:
        waves = {f"{one.word} {one.period:.3g} px": _wave(one) for one in found[:MOST]}
    head = {"image": image.name, "seed": seed}
    quiet = _background(image)
    yield head | {"setting": "input", "waves": len(waves), "found": _detected(found, waves)} | _row(image, quiet, waves)
    outputs = {}
    for name, words in SETTINGS.items() if waves else ():
        yield f"{image.name}: {name}"
        outputs[name] = bench.train(image.noisy, words, seed=seed).output
        row = _row(replace(image, noisy=image.noisy.with_data(outputs[name])), quiet, waves)
        yield head | {"setting": name, "waves": len(waves)} | row
    if outputs:
        yield _picture(image, outputs)


def planted(seed: int) -> Image:
    """A flat phantom with a square lattice of `AMPLITUDE` times the noise along y and x."""
    image = flat(seed, noise=STRONG, side=SIDE)
    y, x = np.ogrid[:SIDE, :SIDE]
    shifts = np.random.default_rng([seed, 13]).uniform(0, 2 * np.pi, 2)
    lattice = sum(np.cos(2 * np.pi * line / PERIOD + shift) for line, shift in zip((y, x), shifts, strict=True))
    values = (image.values + AMPLITUDE * image.std * lattice).astype(np.float32)
    return replace(image, noisy=image.noisy.with_data(values))


def _wave(found: Any) -> Wave:
    y, x = (part / found.period for part in found.direction[-2:])
    return float(y), float(x)


def _detected(found: Sequence[Any], waves: Mapping[str, Wave]) -> int:
    """How many of the waves were found, to half a cycle per field."""
    places = [np.array(_wave(one)) for one in found]
    near = [
        min((np.abs(p - s * np.array(w)).max() for p in places for s in (-1, 1)), default=1) for w in waves.values()
    ]
    return int(sum(distance < 0.5 / SIDE for distance in near))


def _background(image: Image) -> NDArray[np.bool_]:
    """Pixels outside cells; where the truth is not known, the audit's."""
    if image.cells is not None:
        return np.asarray(~binary_dilation(image.cells, iterations=FAR))
    piece = gather(image.noisy, image.noisy, noise=image.noise).pieces[0]
    return np.asarray(piece.background if piece.background.mean() > 0.05 else piece.valid)


def _row(image: Image, quiet: NDArray[np.bool_], waves: Mapping[str, Wave]) -> dict[str, Any]:
    """Root mean square amplitude over the waves and the background's spread, over the input's noise; and elsewhere."""
    pairs = [lock_in(image.values, quiet, wave) for wave in waves.values()]
    others = [(scale * y, scale * x) for y, x in waves.values() for scale in ELSEWHERE]
    control = [lock_in(image.values, quiet, wave)[0] for wave in others]
    if not pairs:
        return {"amplitude": math.nan, "spread": math.nan, "contrast": math.nan, "elsewhere": math.nan}
    amplitude, spread = _rms([pair[0] for pair in pairs]), _rms([pair[1] for pair in pairs])
    noise = image.std
    return {
        "amplitude": amplitude / noise,
        "spread": spread / noise,
        "contrast": amplitude / spread,
        "elsewhere": _rms(control) / noise,
    }


def _rms(values: Sequence[float]) -> float:
    return math.sqrt(sum(value * value for value in values) / len(values))


def _picture(image: Image, outputs: Mapping[str, Array]) -> Picture:
    shown = [image.values, outputs["UPS"], outputs["G"], outputs["mean"], outputs["auto"]]
    title = f"input | UPS | G | mean | auto ({image.name}; background only, each to its own contrast)"
    quiet = _background(image)
    planes = []
    for plane in shown:
        low, high = np.percentile(plane[quiet], (1, 99))
        planes.append(np.clip((plane - low) / (high - low), 0, 1))
    return Picture(title, panel(planes), "share of its range")


def conclude(rows: Rows) -> Outcome:
    """By how much each scheme changed the lattice's amplitude and its contrast to noise."""
    sentences, numbers, told = [], [], []
    for name in dict.fromkeys(row["image"] for row in rows):
        words, found, unveiled = _one(chosen(rows, image=name), name)
        sentences.append(words)
        numbers += found
        told += [] if unveiled is None else [unveiled]
    return Outcome(" ".join(sentences), tuple(numbers), any(told) if told else None)


def _one(rows: Rows, name: str) -> tuple[str, list[Statistic], bool | None]:
    before = chosen(rows, setting="input")
    if not any(row["waves"] for row in before):
        return f"{titled(name)}: no lattice was found in the input's background.", [], None
    rates = {key: _ratios(rows, key) for key in ("contrast", "amplitude")}
    numbers = [
        over_seeds(f"{name}, {setting}: contrast to noise over the input's", values, null=1.0)
        for setting, values in rates["contrast"].items()
    ]
    means = {key: {s: sum(v) / len(v) for s, v in found.items()} for key, found in rates.items()}
    list_ = ", ".join(f"{setting} {value:.1f}" for setting, value in means["contrast"].items())
    seen, there = sum(row["found"] for row in before), sum(row["waves"] for row in before)
    strongest = max(means["amplitude"].values())
    raised = [s for s, value in means["contrast"].items() if value > 1.2]
    text = (
        f"{titled(name)}: {seen} of {there} waves were found in the input before any training (amplitude "
        f"{mean_of(before, 'amplitude'):.2f} of the noise, elsewhere {mean_of(before, 'elsewhere'):.2f}). Contrast to "
        f"noise: input 1.0, {list_} times. Amplitude after over before: {min(means['amplitude'].values()):.2f} to "
        f"{strongest:.2f}."
    )
    made = "so no method made it" if strongest < 1.2 else "and some setting made it larger"
    end = f"{len(raised)} of {len(list_.split(', '))} settings raise its contrast by more than a fifth, {made}."
    return f"{text} {end}", numbers, bool(raised) and strongest < 1.2 and _certain(numbers)


def _certain(numbers: Sequence[Statistic]) -> bool:
    return not all(one.p_value > SURE for one in numbers)


def _ratios(rows: Rows, key: str) -> dict[str, list[float]]:
    """After over before, by setting, one per seed."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["setting"] != "input":
            first = chosen(rows, setting="input", seed=row["seed"])[0]
            found.setdefault(row["setting"], []).append(float(row[key]) / float(first[key]))
    return found


QUESTION = Question(
    number=3,
    text="Is the lattice already in the data?",
    hypothesis="The lattice lies in the input, hidden under the noise, and denoising only unveils it.",
    prediction=(
        "If it is in the data, it is found in the input's background spectrum before training; afterwards its "
        "amplitude is no larger, while its contrast to noise rises by as much as the noise falls. If a method "
        "makes it, its amplitude rises, or it appears at frequencies where the input has nothing."
    ),
    doubt="An amplitude that is larger after than before, or a contrast that rises although no noise was removed.",
    columns={
        "image": "{}",
        "setting": "{}",
        "waves": "{:.0f}",
        "found": "{:.1f}",
        "amplitude": "{:.3f}",
        "spread": "{:.3f}",
        "contrast": "{:.3f}",
        "elsewhere": "{:.3f}",
    },
    trial=trial,
    conclude=conclude,
)
