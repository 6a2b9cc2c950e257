"""Does the method make the lattice? Every scheme and network on a blank image, and one network that must show one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from meeum.asking.answer import Outcome, Question, Row, Rows, Statistic, chosen
from meeum.asking.experiments import AUTO, SCHEMES, UPS, Bench, Image, Trained, Transposed, Words, blank, offered
from meeum.asking.measures import panel
from meeum.auditing import Finding, Picture, gather
from meeum.auditing.finding import FAIL, WARN
from meeum.auditing.lattice import lattice
from meeum.noise import measure
from meeum.noise.patterns import find_lattice

SIDE = 128
BAD = "transposed"
VARIANTS: Mapping[str, Words] = {
    **SCHEMES,
    "UPS, shuffle": (*UPS, "network.network=shuffle"),
    "UPS, top skip": (*UPS, "network.top_skip=true"),
    "auto": AUTO,
    BAD: (*UPS, "network.network=transposed"),
}


def trial(bench: Bench, given: Image | None, seed: int) -> Iterator[str | Row | Picture]:
    """All variants on a blank image, with white noise and with that of the optics, or with that measured in a file."""
    steps = max(1, bench.steps // 2)  # there is little to learn
    for colour, image in _blanks(given, seed).items():
        outputs = {}
        for name, words in VARIANTS.items():
            yield f"blank, {colour} noise: {name}"
            with offered(BAD, Transposed):
                trained = bench.train(image.noisy, words, seed=seed, steps=steps)
            outputs[name] = trained.output
            head = {"image": given.name if given else "phantom", "seed": seed, "noise": colour, "setting": name}
            yield head | _row(image, trained)
        yield _picture(image, outputs, colour)


def _blanks(given: Image | None, seed: int) -> dict[str, Image]:
    if given is not None:
        return {"measured": blank(SIDE, seed=seed, noise=given.noise)}
    return {"white": blank(SIDE, seed=seed), "optical": blank(SIDE, seed=seed, optical=True)}


def _row(image: Image, trained: Trained) -> dict[str, Any]:
    """The audit's lattice measure in units of the noise, and the strongest periodic pattern of each image."""
    noisy, output = image.noisy, image.noisy.with_data(trained.output)
    made, given, shift = lattice(gather(noisy, output, noise=measure(noisy), denoise=trained.ask))
    patterns = {when: find_lattice(values) for when, values in (("input", image.values), ("output", trained.output))}
    row: dict[str, Any] = {f"{when}_patterns": len(found) for when, found in patterns.items()}
    if patterns["output"]:
        strongest = max(patterns["output"], key=lambda one: one.amplitude)
        row |= {"output_period": strongest.period, "output_amplitude": strongest.amplitude / image.std}
    return row | {
        "amplitude": made.value,
        "p_value": made.p_value,
        "verdict": made.verdict,
        **_wave(made),
        "input_amplitude": given.value,
        "input_p_value": given.p_value,
        "shift": shift.value,
        "shift_p_value": shift.p_value,
        "shift_verdict": shift.verdict,
        "noise_left": float(trained.output.std()) / image.std,
    }


def _wave(found: Finding) -> dict[str, Any]:
    """Period, direction and kind of the strongest wave, where there is one."""
    first = next(iter(found.details.get("waves", ())), None)
    return {key: first[key] if first else None for key in ("period", "direction", "field")}


def _picture(image: Image, outputs: dict[str, Any], colour: str) -> Picture:
    planes = [outputs["UPS"], outputs["UPS, top skip"], outputs[BAD]]
    scaled = [(plane - plane.mean()) / max(float(plane.std()), 1e-12) for plane in planes]
    shown = [image.values / image.std, *scaled]
    near = [np.asarray(plane)[:64, :64] for plane in shown]
    return Picture(
        f"blank, {colour}: input | UPS | top skip | max pooling, transposed (each over its std)", panel(near), "std"
    )


def conclude(rows: Rows) -> Outcome:
    """Which variants put a lattice into nothing, beyond chance for the number looked at."""
    bad = chosen(rows, setting=BAD)
    others = [row for row in rows if row["setting"] != BAD]
    seen = [row for row in bad if shows(row, len(rows))]
    guilty = [row for row in others if shows(row, len(rows))]
    inputs = [row for row in rows if _small(row["input_p_value"]) * len(rows) < FAIL and row["input_amplitude"] > 0]
    numbers = [
        Statistic("positive control: share of trials with a lattice", len(seen) / max(len(bad), 1), count=len(bad)),
        Statistic("all others: share of trials with a lattice", len(guilty) / max(len(others), 1), count=len(others)),
        Statistic("inputs with a lattice", len(inputs) / len(rows), count=len(rows)),
    ]
    control = (
        f"The positive control showed a lattice in {len(seen)} of {len(bad)} trials ({_spell(seen)})"
        if seen
        else f"The positive control showed a lattice in none of {len(bad)} trials, so that nothing can be concluded"
    )
    words = (
        f"; of the others {len(guilty)} of {len(others)} did ({_spell(guilty)})"
        if guilty
        else f"; of the {len(others)} trials of all others none did"
    )
    end = "" if not seen else _meaning(guilty, others)
    said = f"{control}{words}. {_inputs(inputs, rows)}{_faint(others, len(rows))}{end}"
    return Outcome(said.strip(), tuple(numbers), None if not seen else bool(guilty))


def shows(row: Row, tests: int) -> bool:
    """Whether a lattice was made: one that stands out in the output itself and not in its input, or by the audit.

    By the audit's bounds, in the values or in how the output moves with its input, with the chance of the number of
    trials taken into account.
    """
    stands_out = row["output_patterns"] > 0 and row["input_patterns"] == 0
    made = row["verdict"] in ("fail", "warn") and _small(row["p_value"]) * tests < WARN
    moved = row["shift_verdict"] in ("fail", "warn") and _small(row["shift_p_value"]) * tests < WARN
    return bool(stands_out or made or moved)


def traces(row: Row, tests: int) -> bool:
    """Whether there is a lattice beyond chance, however faint."""
    return min(_small(row["p_value"]), _small(row["shift_p_value"])) * tests < FAIL


def _small(p_value: float | None) -> float:
    return 1.0 if p_value is None or math.isnan(p_value) else p_value


def _largest(rows: Rows) -> float:
    return max((max(float(row["amplitude"]), float(row["shift"])) for row in rows), default=0.0)


def _faint(rows: Rows, tests: int) -> str:
    """What is there beyond chance, but too faint to matter."""
    found = [row for row in rows if traces(row, tests) and not shows(row, tests)]
    if not found:
        return ""
    return f"Traces beyond chance, the strongest {_largest(found):.2g} sigma, were measured in {len(found)} more. "


def _spell(rows: Rows) -> str:
    """The distinct lattices in words."""
    found: dict[str, Row] = {}
    for row in rows:
        found.setdefault(row["setting"], row)
    parts = []
    for name, row in found.items():
        wave = f"period {row['period']:.3g} px {row['direction']}, " if row.get("period") else ""
        alone = f", {row['output_patterns']} waves stand out in the output" if row["output_patterns"] else ""
        parts.append(f"{name}: {wave}{row['amplitude']:.2g} sigma, shift test {row['shift']:.2g} sigma{alone}")
    return "; ".join(parts)


def _inputs(found: Rows, rows: Rows) -> str:
    if found:
        return f"{len(found)} of {len(rows)} inputs held a lattice by chance. "
    return "No input held one. "


def _meaning(guilty: Rows, others: Rows) -> str:
    if not guilty:
        return "So no scheme made a lattice that matters without max pooling and transposed convolutions."
    names = sorted({row["setting"] for row in guilty})
    return f"So the method can make a lattice: with {', '.join(names)} it did."


QUESTION = Question(
    number=2,
    text="Does the method make the lattice?",
    hypothesis="The network or the masking scheme lays a periodic pattern over an image that has none.",
    prediction=(
        "If the method makes it, a lattice appears in the output for a blank image of pure noise, whose input has "
        "none. If not, no variant shows one, while a network with max pooling, transposed convolution and top skip, "
        "which must make one, is caught."
    ),
    doubt="A scheme or network variant that is caught on a blank image in most seeds; or a control that is not.",
    columns={
        "image": "{}",
        "noise": "{}",
        "setting": "{}",
        "amplitude": "{:.3f}",
        "p_value": "{:.2g}",
        "period": "{:.2f}",
        "direction": "{}",
        "field": "{}",
        "output_patterns": "{:.1f}",
        "output_period": "{:.2f}",
        "output_amplitude": "{:.4f}",
        "input_patterns": "{:.1f}",
        "input_amplitude": "{:.3f}",
        "shift": "{:.3f}",
        "shift_p_value": "{:.2g}",
        "noise_left": "{:.3f}",
    },
    trial=trial,
    conclude=conclude,
)
