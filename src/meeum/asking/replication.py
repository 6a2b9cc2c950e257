"""Is the signal one pixel small? Pixels copied k times a side, blind spots of one voxel or as large as the copies."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meeum.asking.answer import Outcome, Question, Row, Rows, Statistic, chosen, mean_of, over_seeds, paired, titled
from meeum.asking.experiments import STRONG, THEN, Bench, Image, Words, flat, solid
from meeum.asking.measures import decibel, detail_kept, noise_kept, panel
from meeum.auditing import Picture

Array = NDArray[Any]
ONE, WIDE = "one voxel", "as large as the copies"
COPIED, REMOVED = 0.3, 0.2  # by how much hiding one voxel must keep more noise, or remove less, to count as copying
DETAIL = 0.1  # share of fine detail that is a difference


def trial(bench: Bench, given: Image | None, seed: int) -> Iterator[str | Row | Picture]:
    """UPS on an image whose voxels were copied 1, 2 and 3 times along each axis, compared at the original grid."""
    images = [flat(seed, noise=STRONG), solid(seed, noise=STRONG)] if given is None else [given]
    for image in images:
        outputs = {}
        for copies, blind, half in ((1, ONE, 0), (2, ONE, 0), (2, WIDE, 1), (3, ONE, 0), (3, WIDE, 2)):
            yield f"{image.name}: {copies} copies a side, blind spot {blind}"
            copied = image.noisy.with_data(replicated(image.values, copies))
            trained = bench.train(copied, (*blind_spot(half), *THEN), seed=seed)
            output = outputs[copies, blind] = averaged(trained.output, copies)
            head = {"image": image.name, "seed": seed, "copies": copies, "blind_spot": blind}
            yield head | measured(image, output)
        yield _picture(image, outputs)


def blind_spot(half: int) -> Words:
    """UPS that hides a box of this half-width around each site, from a window one voxel wider at least."""
    return "masking.masking=UPS", f"masking.mask_size={max(5, 2 * half + 3)}", f"masking.footprint={half}"


def replicated(values: Array, copies: int) -> Array:
    """Every voxel copied along each axis."""
    for axis in range(values.ndim):
        values = np.repeat(values, copies, axis=axis)
    return values


def averaged(values: Array, copies: int) -> Array:
    """The mean over the copies of each voxel: the inverse of `replicated`."""
    split = [side for n in values.shape for side in (n // copies, copies)]
    return np.asarray(values.reshape(split).mean(axis=tuple(range(1, 2 * values.ndim, 2))), dtype=np.float32)


def measured(image: Image, output: Array) -> dict[str, Any]:
    """With truth: the share of noise and of fine detail kept, PSNR; without: what was removed, over the noise."""
    row = {"removed": float((image.values - output).std()) / image.std}
    if image.truth is None:
        return row
    kept, error = noise_kept(image.values, output, image.truth)
    return row | {
        "kept": kept,
        "error": error,
        "detail": detail_kept(output, image.truth),
        "psnr_before": decibel(image.values, image.truth),
        "psnr": decibel(output, image.truth),
    }


def _picture(image: Image, outputs: Mapping[tuple[int, str], Array]) -> Picture:
    shown = [image.values, outputs[1, ONE], outputs[3, ONE], outputs[3, WIDE]]
    planes = [plane if plane.ndim == 2 else plane[len(plane) // 2] for plane in shown]
    title = "noisy | no copies | 3 copies, one voxel hidden | 3 copies, all hidden"
    return Picture(f"{title} ({image.name})", panel(planes), image.noisy.quantity)


def conclude(rows: Rows) -> Outcome:
    """Whether a one-voxel blind spot copies the twin, and whether copying uncovers detail otherwise lost."""
    sentences, numbers, told, gains = [], [], [], []
    for name in dict.fromkeys(row["image"] for row in rows):
        words, found, copied = _one(chosen(rows, image=name), name)
        sentences.append(words)
        numbers += found
        told.append(copied)
        gains.append(_gain(chosen(rows, image=name)))
    if any(gain > DETAIL for gain in gains):
        end = "Detail came back with copies though all of them were hidden: the signal may be that small."
    elif all(told):
        end = "Replication therefore says nothing about the size of the signal: it hands the network a twin to copy."
    else:
        end = "The twin was not copied throughout, so that replication is not explained by copying alone."
    holds = True if any(gain > DETAIL for gain in gains) else False if all(told) else None
    return Outcome(f"{' '.join(sentences)} {end}", tuple(numbers), holds)


def _one(rows: Rows, name: str) -> tuple[str, list[Statistic], bool]:
    key = "kept" if any("kept" in row for row in rows) else "removed"
    numbers, parts, copied = [], [], []
    for copies in sorted({row["copies"] for row in rows} - {1}):
        cases = [{"copies": copies, "blind_spot": blind} for blind in (ONE, WIDE)]
        single, wide = (mean_of(chosen(rows, **case), key) for case in cases)
        error = math.hypot(*(mean_of(chosen(rows, **case), "error") for case in cases))
        gap = over_seeds(
            f"{name}, {copies} copies: {key}, one voxel less footprint",
            paired(rows, key, one=cases[0], other=cases[1]),
            error=error,
        )
        numbers.append(gap)
        parts.append(f"{copies} copies {single:.2f} with one voxel hidden, {wide:.2f} with all copies hidden")
        copied.append(single - wide > COPIED if key == "kept" else wide - single > REMOVED)
    what = "share of the noise kept" if key == "kept" else "removed, over the noise's level"
    text = f"{titled(name)}: {what} {mean_of(chosen(rows, copies=1), key):.2f} without copies; {'; '.join(parts)}."
    return f"{text}{_detail(rows)}", numbers, all(copied)


def _gain(rows: Rows) -> float:
    """Fine detail kept with most copies, all of them hidden, less that without copies; nan without truth."""
    most = max(row["copies"] for row in rows)
    return mean_of(chosen(rows, copies=most, blind_spot=WIDE), "detail") - mean_of(chosen(rows, copies=1), "detail")


def _detail(rows: Rows) -> str:
    plain, gain = mean_of(chosen(rows, copies=1), "detail"), _gain(rows)
    if math.isnan(gain):
        return ""
    verb = "gains" if gain > DETAIL else "loses" if gain < -DETAIL else "neither gains nor loses"
    return f" Fine detail kept: {plain:.2f} without copies, {plain + gain:.2f} with most: copying {verb} detail."


QUESTION = Question(
    number=1,
    text="Is the signal one pixel small?",
    hypothesis="The signal is one pixel small, so that Noise2Void cannot predict it; copying would make it larger.",
    prediction=(
        "A one-voxel blind spot can copy the hidden voxel's twin, noise and all: the share of noise kept is near 1 for "
        "copies, whatever the signal's size. Hide all copies, and what is left must be as without copies. If the "
        "signal were one pixel small, fine detail would be kept with all copies hidden that is lost without copies."
    ),
    doubt=(
        "Copies that are denoised as well with one voxel hidden as with all of them hidden; or fine detail that comes "
        "back with copies although all of them are hidden."
    ),
    columns={
        "image": "{}",
        "copies": "{}",
        "blind_spot": "{}",
        "kept": "{:.3f}",
        "detail": "{:.3f}",
        "removed": "{:.2f}",
        "psnr_before": "{:.1f}",
        "psnr": "{:.1f}",
    },
    trial=trial,
    conclude=conclude,
)
