"""What was measured of the noise in sentences that need no knowledge of spectra."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meeum.noise.floor import DOUBTFUL
from meeum.noise.measure import CUT, PADDED, REPEATS, TIMES, TRAINED, UNCLIPPED
from meeum.noise.noise import LEAST, Noise, place_terms
from meeum.noise.share import predictable_share, smallest_footprint
from meeum.noise.values import Values

Array = NDArray[Any]
Limits = tuple[float, float]

LITTLE = 0.1  # share of the noise that may be left in
WEAK_EVIDENCE = 0.3
FEW_BLOCKS = 12
MANY = 0.05  # share of the voxels at the lowest or the highest value that changes the noise
COARSE = 0.5  # of a step between values: noise that is weaker is mostly rounded away
ROUNDED = 0.05  # of the noise's standard deviation: steps of 32-bit numbers from which they count
HARDLY, ROUGHLY = 0.25, 0.1  # relative uncertainty of the level
UNITS = {"refractive index": "RI", "intensity": ""}


def describe_noise(noise: Noise, *, quantity: str, darkest_brightest: Limits) -> tuple[str, ...]:
    """One sentence for each thing a user should know; `darkest_brightest`: values between which the signal lies."""
    unit = UNITS.get(quantity, quantity)
    said = [_level(noise, unit)]
    if noise.follows == "signal":
        said.append(_signal(noise, unit, darkest_brightest))
    if noise.follows == "place":
        said.append(_place(noise, unit))
    said.append(_white(noise) if noise.is_white else _correlated(noise))
    if noise.is_impulsive:
        said.append(
            f"A few {things(noise)} are much farther off than the rest (tails {noise.tails:.1f}, where Gaussian noise "
            "has 1): hot pixels, salt and pepper, or fine detail. Beside them its standard deviation is "
            f"{_with(noise.rest_std or 0.0, unit)}."
        )
    return tuple(said)


def reliability(noise: Noise, shape: tuple[int, ...], values: Values | None = None) -> tuple[str, tuple[str, ...]]:
    """Good, fair or poor, and a sentence for each thing that could not be told of an image of `shape`."""
    said = list(_lost(noise, values)) if values else []
    two = noise.source in (REPEATS, TIMES)
    if noise.source == PADDED:
        said.append(
            "One value fills a part of every block, as padding does: if it is no data, say so (--no-data VALUE)."
        )
    if noise.source == CUT:
        said.append("Values were cut off everywhere: the level is what a Gaussian would have had before.")
    if noise.source == TIMES:
        said.append("What moved between the time points was taken for noise too.")
    if noise.source == UNCLIPPED:
        said.append("Many values were cut off: the level is that of the noise elsewhere, the correlation that of all.")
    if noise.doubt > DOUBTFUL:
        said.append(_no_empty_region(noise, two))
    elif noise.evidence < WEAK_EVIDENCE and not two:
        said.append(
            f"Only {percent(noise.evidence)} of the noise could be seen free of signal; the rest was inferred from the "
            "frequencies around it."
        )
    blocks = int(np.prod([max(1, size // side) for size, side in zip(shape, noise.sides, strict=True)]))
    if blocks < FEW_BLOCKS:
        separate = f"{blocks} separate block{'s' if blocks > 1 else ''} of {sides(noise)} {things(noise)}"
        said.append(f"The image is small ({separate}): chance has a part in every number.")
    if noise.uncertainty > HARDLY or (noise.doubt > DOUBTFUL and noise.source != TRAINED):
        return "poor", tuple(said)
    return "fair" if noise.uncertainty > ROUGHLY or said else "good", tuple(said)


def _lost(noise: Noise, values: Values) -> Iterator[str]:
    """What the values themselves no longer tell of the noise."""
    if values.clipped_high and values.at_maximum > MANY:
        yield f"{percent(values.at_maximum)} of the voxels are saturated: noise is missing there."
    if values.clipped_low and values.at_minimum > MANY and noise.clip is None:
        yield (
            f"{percent(values.at_minimum)} of the voxels lie at the lowest value: if they were cut off there, noise is "
            "missing, and it is stronger than stated."
        )
    if values.step and noise.std < COARSE * values.step:
        yield (
            f"The values lie {number(values.step)} apart, more than {1 / COARSE:.2g} standard deviations of the noise: "
            "rounding hides it."
        )
    held = float(np.spacing(np.float32(max(abs(values.minimum), abs(values.maximum)))))
    if held > ROUNDED * noise.std:
        yield (
            f"The values lie so far from 0 that 32-bit numbers, which meeum computes with, hold them in steps of "
            f"{number(held)}: subtract a constant first."
        )


def _no_empty_region(noise: Noise, two: bool) -> str:
    if two:
        return "The differences hold fine structure: they may not show the same field, or it moved."
    if noise.source == TRAINED:
        return (
            "No region is empty: the level is what a first training bore out, and detail it could not predict is in it."
        )
    return (
        "No region is empty: what was taken for noise may still be signal, and the noise weaker than stated. A second "
        "recording of the same field (--repeat) would tell, or a first training (--trained), as `meeum denoise` has it."
    )


def level_range(noise: Noise, darkest_brightest: Limits) -> Limits:
    """Lowest and highest standard deviation: over the signal, over the field, or twice the same."""
    if noise.follows == "signal":
        low, high = (_at_signal(noise, value) for value in darkest_brightest)
        return min(low, high), max(low, high)
    if noise.follows == "place":
        stds = _over_field(noise)[1]
        return float(stds.min()), float(stds.max())
    return noise.std, noise.std


def number(value: float) -> str:
    """Two digits: 4.1e-4, 0.012, 19, 1.3e5."""
    if value == 0 or 1e-2 <= abs(value) < 1e4:
        return f"{float(f'{value:.2g}'):.10g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def percent(share: float) -> str:
    """0.947 as 95 %."""
    return f"{100 * share:.0f} %"


def things(noise: Noise) -> str:
    return "voxels" if len(noise.sides) == 3 else "pixels"


def sides(noise: Noise) -> str:
    return " x ".join(map(str, noise.sides))


def box(footprint: tuple[int, ...]) -> str:
    """Half-widths (1, 2, 2) as the box they make: 3 x 5 x 5."""
    return " x ".join(str(2 * half + 1) for half in footprint)


def _with(value: float, unit: str) -> str:
    return f"{number(value)} {unit}".strip()


def _level(noise: Noise, unit: str) -> str:
    return (
        f"The noise has a standard deviation of {_with(noise.std, unit)}, "
        f"{'known to about' if noise.uncertainty < HARDLY else 'uncertain by'} {percent(noise.uncertainty)}."
    )


def _at_signal(noise: Noise, value: float) -> float:
    return float(np.sqrt(max(noise.read + noise.gain * value, (LEAST * noise.std) ** 2)))


def _signal(noise: Noise, unit: str, ends: Limits) -> str:
    stds = [_at_signal(noise, value) for value in ends]
    dark, bright = (f"{'under ' if std <= LEAST * noise.std else ''}{_with(std, unit)}" for std in stds)
    way = "grows" if noise.gain > 0 else "falls"
    law = f"its variance {way} by {number(abs(noise.gain))} per {unit or 'unit'} of signal"
    if noise.read > 0 and noise.gain > 0:
        rest = f", on top of a standard deviation of {_with(float(np.sqrt(noise.read)), unit)} at 0 (read noise)"
    else:
        rest = f", from nothing at {-noise.read / noise.gain:.5g} on" if noise.gain > 0 else ""
    return (
        f"The noise is {'stronger' if noise.gain > 0 else 'weaker'} where the signal is: {dark} at {ends[0]:.5g}, "
        f"{bright} at {ends[1]:.5g}; {law}{rest}."
    )


def _over_field(noise: Noise) -> tuple[Array, Array]:
    """Places (N, axes), from -1 to 1, and the standard deviation there."""
    axes = len(noise.sides)
    grid = np.stack(np.meshgrid(*[np.linspace(-0.9, 0.9, 7)] * axes, indexing="ij"), axis=-1).reshape(-1, axes)
    return grid, np.exp(place_terms(grid) @ np.array(noise.place) / 2)


def _place(noise: Noise, unit: str) -> str:
    places, stds = _over_field(noise)
    least, most = (_where(places[index]) for index in (np.argmin(stds), np.argmax(stds)))
    return (
        f"The noise varies over the field, from {_with(float(stds.min()), unit)} ({least}) "
        f"to {_with(float(stds.max()), unit)} ({most})."
    )


def _where(place: Array) -> str:
    """In thirds of each axis: "low z, middle of y, high x"."""
    words = []
    for axis, value in zip("zyx"[-len(place) :], place, strict=True):
        words.append(f"low {axis}" if value < -1 / 3 else f"high {axis}" if value > 1 / 3 else f"middle of {axis}")
    return "in the middle" if all(word.startswith("middle") for word in words) else ", ".join(words)


def _white(noise: Noise) -> str:
    many = things(noise)
    return f"The noise of neighbouring {many} is independent, as far as can be seen: hiding one {many[:-1]} is enough."


def _correlated(noise: Noise) -> str:
    axes = "zyx"[-len(noise.sides) :]
    lags = "/".join(f"{noise.lag(number):.2f}" for number in range(len(axes)))
    single = predictable_share(noise, (0,) * len(axes))
    return (
        f"Neighbouring {things(noise)} share their noise (correlation {lags} along {'/'.join(axes)}): a blind spot of "
        f"one {things(noise)[:-1]} would leave up to {percent(single)} of it in{_remedy(noise, single)}."
    )


def _remedy(noise: Noise, single: float) -> str:
    if single < LITTLE:
        return ""
    enough = smallest_footprint(noise, LITTLE)
    if enough is None:
        whole = (4,) * len(noise.sides)
        return f", and hiding {box(whole)} {things(noise)} still {percent(predictable_share(noise, whole))}"
    return f"; hiding {box(enough)} {things(noise)} leaves less than {percent(LITTLE)}"
