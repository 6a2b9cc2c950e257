"""Why inversion and drift? Settings that might truly invert cells and background, and displays that make it look so."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meeum import api
from meeum.asking.answer import Outcome, Question, Row, Rows, Statistic, chosen, mean_of, over_seeds
from meeum.asking.experiments import SCHEMES, STRONG, THEN, UPS, Bench, Image, Trained, Words, flat
from meeum.asking.measures import panel, truth_slope
from meeum.auditing import Picture, gather
from meeum.auditing.inversion import inversion
from meeum.checkpoint import Model
from meeum.patches import Normalisation

Array = NDArray[Any]
Mask = NDArray[np.bool_]

SHORT = (1, 5, 20, 100)  # steps
STARTS, FEW = 10, 5  # first weights that are tried where so few steps were taken: what they are still counts
HOT, FAR = 4, 30.0  # pixels that are far off, half of them dark, and by how many standard deviations of the image
CONTROL = "wrong sign"
EXTREMES, INNER = (0.0, 100.0), (1.0, 99.0)  # percentiles that a display spans
NOTABLE = 0.15  # of the grey scale: by how much background must move to be noticed


def trial(bench: Bench, given: Image | None, seed: int) -> Iterator[str | Row | Picture]:
    """Every scheme, short trainings, a damaged normalisation, and pixels far off; what each does, and how it looks."""
    image = given or flat(seed, noise=STRONG)
    cells, background = _parts(image)
    head = {"image": image.name, "seed": seed}
    shown: dict[str, Array] = {}
    for name, words, steps, start in _settings(bench):
        yield f"{image.name}: {name}{f', start {start}' if start else ''}"
        output = bench.train(image.noisy, words, seed=seed + 1000 * start, steps=steps).output
        shown.setdefault(name, output)
        yield head | {"setting": name, "start": start} | _row(image, output, cells, background)
    whole = bench.train(image.noisy, (*UPS, *THEN), seed=seed)
    for name, damage in DAMAGES.items():
        yield f"{image.name}: {name}"
        shown[name] = damaged(image, whole, damage)
        yield head | {"setting": name} | _row(image, shown[name], cells, background)
    yield f"{image.name}: {HOT} pixels far off"
    spotted = with_outliers(image, seed)
    shown["outliers"] = bench.train(spotted.noisy, (*UPS, *THEN), seed=seed).output
    yield head | {"setting": "outliers"} | _row(spotted, shown["outliers"], cells, background)
    yield _picture(image, spotted, shown)


def _settings(bench: Bench) -> Iterator[tuple[str, Words, int | None, int]]:
    for name, words in SCHEMES.items():
        yield name, (*words, *THEN), None, 0
    for start in range(STARTS):
        yield "UPS, untrained", (*UPS, *THEN, "training.learning_rate=1e-6"), 1, start
    for steps in SHORT:
        for start in range(STARTS if steps <= FEW else 1) if steps < bench.steps else ():
            yield f"UPS, {steps} step{'s' * (steps > 1)}", (*UPS, *THEN), steps, start


def damaged(image: Image, trained: Trained, damage: Callable[[Normalisation], Normalisation]) -> Array:
    """Put through the network by another affine than it was trained with, and brought back by the right one."""
    right = trained.model.normalisation
    wrong: Model = replace(trained.model, normalisation=damage(right))
    output = api.denoise(image.noisy, wrong).read()
    units = (output - wrong.normalisation.offset) / wrong.normalisation.scale
    return np.asarray(units * right.scale + right.offset, np.float32)


def with_outliers(image: Image, seed: int) -> Image:
    """A few pixels far too bright or too dark."""
    rng, values = np.random.default_rng([seed, 17]), image.values.copy()
    places = rng.choice(values.size, HOT, replace=False)
    values.flat[places] = values.mean() + FAR * values.std() * np.where(np.arange(HOT) % 2, -1, 1)
    return replace(image, noisy=image.noisy.with_data(values))


def _parts(image: Image) -> tuple[Mask, Mask]:
    if image.cells is not None:
        return image.cells, ~image.cells
    piece = gather(image.noisy, image.noisy, noise=image.noise).pieces[0]
    if piece.cells.any() and piece.background.any():
        return piece.cells, piece.background
    middle = float(np.median(image.values))
    return image.values > middle, image.values <= middle


def _row(image: Image, output: Array, cells: Mask, background: Mask) -> dict[str, Any]:
    """True inversion (the audit's, the slope on the truth, cells less background), drift, range, and how it looks."""
    noisy = image.values
    found = inversion(gather(image.noisy, image.noisy.with_data(output), noise=image.noise))[0]
    before, after = (float(v[cells].mean() - v[background].mean()) for v in (noisy, output))
    row: dict[str, Any] = {
        "inverted": found.value,
        "p_value": found.p_value,
        "verdict": found.verdict,
        "contrast": after / before,
        "drift": float((output - noisy)[background].mean()) / image.std,
        "range": float(np.ptp(output) / np.ptp(noisy)),
        "inner_range": float(np.ptp(np.percentile(output, INNER)) / np.ptp(np.percentile(noisy, INNER))),
        "wrapped": dark_cells(wrapped(output, noisy), cells, background),
    }
    for name, span in (("extremes", EXTREMES), ("percentiles", INNER)):
        for when, values in (("before", noisy), ("after", output)):
            row[f"{name}_{when}"] = float(np.median(grey(values, span)[background]))
    if image.truth is not None:
        row["slope"] = truth_slope(output, image.truth)
    return row


def grey(values: Array, span: tuple[float, float]) -> Array:
    """What a display of one image by its own percentiles shows, 0 (black) to 1 (white)."""
    low, high = np.percentile(values, span)
    return np.asarray(np.clip((values - low) / max(float(high - low), 1e-30), 0, 1))


def wrapped(output: Array, noisy: Array) -> Array:
    """Scaled by the input's 1 to 99 percentiles and cast to 8 bits without clipping: beyond white lies black."""
    low, high = np.percentile(noisy, INNER)
    return np.asarray(np.mod(np.floor(255 * (output - low) / (high - low)), 256) / 255)


def dark_cells(shown: Array, cells: Mask, background: Mask) -> float:
    """Share of cell pixels that are shown darker than the background's median."""
    return float((shown[cells] < np.median(shown[background])).mean())


def _picture(image: Image, spotted: Image, shown: Mapping[str, Array]) -> Picture:
    first = next((shown[name] for name in shown if name.endswith("untrained")), shown["UPS"])
    named = [image.values, shown["UPS"], first, spotted.values, shown["outliers"]]
    planes = [grey(plane if plane.ndim == 2 else plane[len(plane) // 2], EXTREMES) for plane in named]
    planes.append(wrapped(shown["UPS"], image.values) if image.values.ndim == 2 else planes[1])
    title = "each min-max: noisy | UPS | untrained | with outliers | denoised | 8 bits, wrapped"
    return Picture(title, panel(planes), "grey level")


def conclude(rows: Rows) -> Outcome:
    """Which settings truly invert; else which display moves the background most."""
    control = chosen(rows, setting=CONTROL)
    others = [row for row in rows if row["setting"] != CONTROL]
    caught = sum(inverts(row) for row in control)
    guilty = [row for row in others if inverts(row)]
    numbers = [
        Statistic("positive control (wrong sign) caught, share", caught / max(len(control), 1), count=len(control)),
        Statistic("all others truly inverted, share of trials", len(guilty) / max(len(others), 1), count=len(others)),
        *_contrasts(others),
    ]
    if caught < len(control) or not control:
        start = "The positive control was not caught throughout, so that a true inversion could have been missed."
    elif guilty:
        start = f"A true inversion was found in {_named(guilty, others)}."
    else:
        start = f"No true inversion was found in {len(others)} trials; the positive control was caught every time."
    bent = {row["setting"] for row in guilty}
    calm = [row for row in others if row["setting"] not in bent]
    return Outcome(f"{start} {_look(calm) if calm else ''}".strip(), tuple(numbers), bool(guilty) if control else None)


def inverts(row: Row) -> bool:
    """Cells and background have changed places: by their contrast, and by the slope on the truth where it is known."""
    slope = row.get("slope")
    return bool(row["contrast"] < 0 and (slope is None or slope < 0))


def _named(guilty: Rows, rows: Rows) -> str:
    """Which settings invert, how often and how strongly, and in how many trials none of the others did."""
    names = list(dict.fromkeys(row["setting"] for row in guilty))
    parts = []
    for name in names:
        found, all_ = chosen(guilty, setting=name), chosen(rows, setting=name)
        lowest = min(float(row["contrast"]) for row in found)
        parts.append(f"{name} ({len(found)} of {len(all_)} trials, contrast down to {lowest:+.2f} times the input's)")
    rest = [row for row in rows if row["setting"] not in names]
    return f"{', '.join(parts)}; in none of {len(rest)} trials of the other settings"


def _contrasts(rows: Rows) -> list[Statistic]:
    names = dict.fromkeys(row["setting"] for row in rows)
    return [
        over_seeds(f"{name}: contrast over the input's", [float(row["contrast"]) for row in chosen(rows, setting=name)])
        for name in names
    ]


def _look(rows: Rows) -> str:
    """How far displays move the background."""
    moves = {name: _moved(rows, name, "extremes") for name in dict.fromkeys(row["setting"] for row in rows)}
    worst = max(moves, key=lambda name: abs(moves[name]))
    steady = _moved(rows, worst, "percentiles")
    before = mean_of(chosen(rows, setting=worst), "extremes_before")
    drift = max(rows, key=lambda row: abs(float(row["drift"])))
    wraps = max(rows, key=lambda row: float(row["wrapped"]))
    look = "is enough to look like inverted contrast or drift" if abs(moves[worst]) > NOTABLE else "is hardly noticed"
    return (
        f"Shown from minimum to maximum, each image by itself, the background moves most with {worst}: from grey "
        f"{before:.2f} to {before + moves[worst]:.2f} (by percentiles: {steady:+.2f}); this {look}. Largest drift of "
        f"the background's mean: {float(drift['drift']):+.2f} times the noise ({drift['setting']}). Cast to 8 bits "
        f"without clipping, up to {100 * float(wraps['wrapped']):.0f} % of the cells' pixels are shown darker than the "
        f"background ({wraps['setting']})."
    )


def _moved(rows: Rows, name: str, display: str) -> float:
    here = chosen(rows, setting=name)
    moved = mean_of(here, f"{display}_after") - mean_of(here, f"{display}_before")
    return 0.0 if math.isnan(moved) else moved


DAMAGES: Mapping[str, Callable[[Normalisation], Normalisation]] = {
    "wrong offset": lambda right: Normalisation(right.offset + right.scale, right.scale),
    "wrong scale": lambda right: Normalisation(right.offset, 4 * right.scale),
    CONTROL: lambda right: Normalisation(right.offset, -right.scale),
}
QUESTION = Question(
    number=6,
    text="Why inversion and drift?",
    hypothesis="Some setting truly exchanges cells and background, or moves values; it is not only how it is shown.",
    prediction=(
        "If a setting truly inverts, the slope of its output on the truth and its contrast of cells to background are "
        "negative, as for the positive control (brought in with the wrong sign). If it is the display, both stay "
        "positive while the background's grey level moves when each image is shown from its minimum to its maximum."
    ),
    doubt="A fully trained setting with negative contrast; or images that look inverted at one fixed grey scale.",
    columns={
        "image": "{}",
        "setting": "{}",
        "slope": "{:.3f}",
        "contrast": "{:.3f}",
        "inverted": "{:.2f}",
        "verdict": "{}",
        "drift": "{:.3f}",
        "range": "{:.2f}",
        "inner_range": "{:.2f}",
        "extremes_before": "{:.2f}",
        "extremes_after": "{:.2f}",
        "percentiles_before": "{:.2f}",
        "percentiles_after": "{:.2f}",
        "wrapped": "{:.3f}",
    },
    trial=trial,
    conclude=conclude,
)
