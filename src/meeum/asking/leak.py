"""Why did G look best? How much of the noise it leaves in, against the noise it hides a pixel under."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from meeum.asking.answer import (
    SURE,
    Outcome,
    Question,
    Row,
    Rows,
    Statistic,
    chosen,
    mean_of,
    over_seeds,
    paired,
    titled,
)
from meeum.asking.experiments import STRONG, THEN, UPS, WEAK, Bench, Image, Trained, Words, flat
from meeum.asking.measures import centre_gain, decibel, noise_kept, panel
from meeum.auditing import Picture

MULTIPLES = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the image's standard deviation
STRONG_AND_WEAK = {"strong": STRONG, "weak": WEAK}
NOTE = (0.03, 0.07, 0.14)  # refractive index, as the lab note gave them
RECORRUPTED: Words = ("training.objective=recorrupted",)
LEAKS = 0.1  # share of the noise, kept beyond what a blind spot keeps, from which on a leak is to be seen


def trial(bench: Bench, given: Image | None, seed: int) -> Iterator[str | Row | Picture]:
    """G at each `mask_std`, plain UPS and the recorrupted form, on one image."""
    phantoms = {name: flat(seed, noise=noise) for name, noise in STRONG_AND_WEAK.items()} if given is None else {}
    images = {"": given} if given is not None else phantoms
    for level, image in images.items():
        outputs = []
        for name, std, words in _settings(image, level):
            yield f"{image.name}{f', {level} noise' if level else ''}: {name}"
            trained = bench.train(image.noisy, (*words, *THEN), seed=seed)
            outputs.append(trained.output)
            yield {"image": image.name, "noise": level, "seed": seed, "setting": name} | _row(image, trained, std, seed)
        yield _picture(image, outputs, level)


def _settings(image: Image, level: str) -> Iterator[tuple[str, float, Words]]:
    yield "UPS", math.nan, UPS
    for multiple in MULTIPLES:
        std = multiple * image.spread
        yield f"G {multiple:g} std", std, ("masking.masking=G", f"masking.mask_std={std:.4g}")
    if level != "strong" and image.noisy.quantity == "refractive index":
        for std in NOTE:
            yield f"G {std:g} RI", std, ("masking.masking=G", f"masking.mask_std={std:g}")
    yield "recorrupted", math.nan, RECORRUPTED


def _row(image: Image, trained: Trained, std: float, seed: int) -> dict[str, Any]:
    noisy, output = image.values, trained.output
    row = {
        "mask_std_over_noise": std / image.std,
        "expected_leak": leak(std, image.std),
        "centre_gain": centre_gain(trained.ask, noisy, image.std, seed=seed),
        "removed": float((noisy - output).std()) / image.std,
        "range": float(np.ptp(output) / np.ptp(noisy)),
    }
    if image.truth is not None:
        kept, error = noise_kept(noisy, output, image.truth)
        row |= {"kept": kept, "error": error}
        row |= {"psnr_before": decibel(noisy, image.truth), "psnr": decibel(output, image.truth)}
    return row


def leak(mask_std: float, noise_std: float) -> float:
    """Weight that the best linear estimate gives to a pixel hidden under N(0, mask_std²), where the image is flat.

    noise² / (noise² + mask_std²): the target is the pixel itself, known but for the noise it was hidden under.
    """
    return noise_std**2 / (noise_std**2 + mask_std**2)


def _picture(image: Image, outputs: list[Any], level: str) -> Picture:
    shown = [image.values, outputs[1], outputs[5], outputs[0], outputs[-1]]
    planes = [plane if plane.ndim == 2 else plane[len(plane) // 2] for plane in shown]
    title = f"noisy | G 0.25 std | G 4 std | UPS | recorrupted ({level or image.name})"
    return Picture(title, panel(planes), image.noisy.quantity)


def conclude(rows: Rows) -> Outcome:
    """Whether what G keeps falls with mask_std as the leak predicts, in each noise."""
    sentences, numbers, told = [], [], []
    for key in dict.fromkeys((row["image"], row["noise"]) for row in rows):
        here = chosen(rows, image=key[0], noise=key[1])
        words, found, holds = _one(here, key[0] + (f", {key[1]} noise" if key[1] else ""))
        sentences.append(words)
        numbers += found
        told.append(holds)
    return Outcome(" ".join(sentences), tuple(numbers), told[0] if len(told) == 1 else any(told))


def _one(rows: Rows, where: str) -> tuple[str, list[Statistic], bool]:
    key = "kept" if any("kept" in row for row in rows) else "centre_gain"
    gaussian = [row for row in rows if row["setting"].startswith("G ")]
    names = sorted({row["setting"] for row in gaussian}, key=lambda name: _strength(gaussian, name))
    first, last = names[0], names[-1]
    excess = over_seeds(
        f"{where}: {key}, {first} less UPS",
        paired(rows, key, one={"setting": first}, other={"setting": "UPS"}),
        error=math.hypot(mean_of(chosen(rows, setting=first), "error"), mean_of(chosen(rows, setting="UPS"), "error")),
    )
    values = [(name, mean_of(chosen(rows, setting=name), key)) for name in names]
    leaks = [name for name, value in values if value - mean_of(chosen(rows, setting="UPS"), key) > LEAKS]
    list_ = ", ".join(f"{name} {value:.2f}" for name, value in values)
    blind, free = (mean_of(chosen(rows, setting=name), key) for name in ("UPS", "recorrupted"))
    what = "share of the noise kept" if key == "kept" else "centre gain"
    text = f"{titled(where)}: {what} {list_}; UPS {blind:.2f}, recorrupted {free:.2f}"
    text += f" (expected of the leak: {_expected(gaussian, first):.2f} to {_expected(gaussian, last):.2f})"
    return f"{text}. {_why(rows, leaks, names)}", [excess], bool(leaks) and not excess.p_value > SURE


def _strength(rows: Rows, name: str) -> float:
    return mean_of(chosen(rows, setting=name), "mask_std_over_noise")


def _expected(rows: Rows, name: str) -> float:
    return mean_of(chosen(rows, setting=name), "expected_leak")


def _why(rows: Rows, leaks: list[str], names: list[str]) -> str:
    """What follows for why G looked best."""
    gain = {row["setting"]: mean_of(chosen(rows, setting=row["setting"]), "psnr") for row in rows}
    best = max((name for name in names), key=lambda name: -math.inf if math.isnan(gain[name]) else gain[name])
    words = (
        f"{len(leaks)} of {len(names)} settings of G leak: they look faithful because they hardly denoise."
        if leaks
        else "No setting of G leaks here: mask_std is so much larger than the noise that the pixel's value is lost."
    )
    if math.isnan(gain[best]):
        return words
    before = mean_of(rows, "psnr_before")
    return (
        f"{words} PSNR {before:.1f} dB before; best G ({best}) {gain[best]:.1f}, UPS {gain['UPS']:.1f}, "
        f"recorrupted {gain['recorrupted']:.1f} dB."
    )


QUESTION = Question(
    number=5,
    text="Why did G look best?",
    hypothesis="G leaks: the hidden pixel still carries its own value under the added noise, so little is removed.",
    prediction=(
        "If it leaks, the share of noise kept and the centre gain follow noise² / (noise² + mask_std²): near 1 for "
        "mask_std below the noise, near 0 far above it. If it does not, G keeps no more than UPS at any mask_std."
    ),
    doubt=(
        "A G whose mask_std lies below the noise and which removes most of it; or one far above the noise that keeps "
        "much more of it than UPS does."
    ),
    columns={
        "image": "{}",
        "noise": "{}",
        "setting": "{}",
        "mask_std_over_noise": "{:.2f}",
        "expected_leak": "{:.3f}",
        "kept": "{:.3f}",
        "centre_gain": "{:.3f}",
        "removed": "{:.2f}",
        "range": "{:.2f}",
        "psnr_before": "{:.1f}",
        "psnr": "{:.1f}",
    },
    trial=trial,
    conclude=conclude,
)
