"""Did non-negativity plant a pattern? Phantoms reconstructed without it, clipped, and by iteration, then denoised."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from meeum import phantom
from meeum.asking.answer import Outcome, Question, Row, Rows, Statistic, chosen, mean_of, over_seeds, paired
from meeum.asking.experiments import AUTO, THEN, UPS, WEAK, Bench, Image, Words, solid
from meeum.asking.measures import correlation, panel
from meeum.asking.reconstruction import gerchberg_papoulis
from meeum.auditing import Picture, gather
from meeum.noise import measure
from meeum.noise.patterns import find_lattice
from meeum.volume import Volume, maximum_projection

Array = NDArray[Any]
Mask = NDArray[np.bool_]

LARGE = (16, 192, 192)  # not trained on: slow lattices need many cycles to be told from cells
CROWDED = 0.02  # of the noise: values so near the medium's index have piled up there
FREE, CLIPPED, ITERATED = "no constraint", "clipped", "iterated"
DENOISED: Mapping[str, Words] = {"UPS": (*UPS, *THEN), "auto": AUTO}
OUTSIDE = 0.1  # share of background that surrounds no cell, least


@dataclass(frozen=True)
class View:
    """A reconstruction as volume or projection, its background, and the support of the volume's optics.

    truth  the same reconstruction of data without noise: what differs is what noise and constraint make together
    """

    noisy: Volume
    truth: Array
    quiet: Mask
    std: float
    support: Mask | None


def trial(bench: Bench, given: Image | None, seed: int) -> Iterator[str | Row | Picture]:
    """Patterns of each reconstruction, 3D and projected, before and after UPS and what meeum does by itself.

    Of a given image only what it is can be said: nobody knows how it would look without the constraint.
    """
    if given is not None:
        yield from _given(given, seed)
        return
    inputs = {}
    for name, whole in _reconstructed(seed).items():
        for view in (whole, _projection(whole)):
            kind = "volume" if view.noisy.axes == "ZYX" else "projection"
            head = {"image": kind, "seed": seed, "reconstruction": name}
            inputs[kind, name] = view.noisy.read()
            yield head | {"state": "input"} | _row(view, view.noisy.read())
            for denoiser, words in DENOISED.items():
                yield f"{kind}, {name}: {denoiser}"
                output = bench.train(view.noisy, words, seed=seed).output
                yield head | {"state": denoiser} | _row(view, output)
    yield from _large(seed)
    yield _picture(inputs)


def _large(seed: int) -> Iterator[str | Row]:
    """The reconstructions of a wide field as such, in which periods as long as real ones can be found."""
    yield "large volume"
    for name, whole in _reconstructed(seed, LARGE).items():
        for kind, view in (("large volume", whole), ("large projection", _projection(whole))):
            row = _row(view, view.noisy.read())
            yield {"image": kind, "seed": seed, "reconstruction": name, "state": "input"} | row


def _given(image: Image, seed: int) -> Iterator[str | Row | Picture]:
    yield f"{image.name}: pile-up at the medium's index"
    piece = gather(image.noisy, image.noisy, noise=image.noise or measure(image.noisy)).pieces[0]
    quiet = piece.background if piece.background.mean() > OUTSIDE else piece.valid
    view = View(image.noisy, np.zeros(image.noisy.shape), np.asarray(quiet), image.std, None)
    row = {key: value for key, value in _row(view, image.values).items() if key != "bias"}
    yield {"image": image.name, "seed": seed, "reconstruction": "as given", "state": "input"} | row


def _reconstructed(seed: int, shape: tuple[int, int, int] | None = None) -> dict[str, View]:
    image = solid(seed, noise=WEAK, colour="optical", shape=shape)
    assert image.truth is not None and image.cells is not None and image.noisy.medium_index is not None
    values, medium = image.values, image.noisy.medium_index
    support = phantom.optical_support(values.shape, phantom.OPTICS["ht-2h"])
    quiet = np.asarray(~binary_dilation(image.cells, iterations=3))
    ways: dict[str, Callable[[Array], Array]] = {
        FREE: lambda data: data,
        CLIPPED: lambda data: np.maximum(data, np.float32(medium)),
        ITERATED: lambda data: gerchberg_papoulis(data, support, medium),
    }
    return {
        name: View(image.noisy.with_data(way(values)), way(image.truth), quiet, image.std, support)
        for name, way in ways.items()
    }


def _projection(view: View) -> View:
    flat = maximum_projection(view.noisy)
    return replace(
        view,
        noisy=flat.with_data(flat.read()),
        truth=view.truth.max(0),
        quiet=np.asarray(view.quiet.all(0)),
        support=None,
    )


def _row(view: View, values: Array) -> dict[str, Any]:
    """Lattices, correlation of neighbours, pile-up at the medium's index, energy beyond the optics, and of the
    background, over the noise: its mean less the medium's index (offset), and less that without noise (bias).
    """
    found = find_lattice(values, axes=view.noisy.axes)
    medium = view.noisy.medium_index
    error = values - view.truth
    row: dict[str, Any] = {
        "lattices": len(found),
        "lattice_amplitude": max((one.amplitude for one in found), default=0.0) / view.std,
        "lattice_period": max(found, key=lambda one: one.contrast).period if found else None,
        "correlation": correlation(error, view.quiet, values.ndim - 1),
        "bias": float(error[view.quiet].mean()) / view.std,
    }
    if medium is not None:
        row["offset"] = float(values[view.quiet].mean() - medium) / view.std
        row["pile_up"] = float((np.abs(values[view.quiet] - medium) < CROWDED * view.std).mean())
    if view.support is not None:
        energy = np.square(np.abs(scipy.fft.fftn(values.astype(float) - float(values.mean()))))
        row["outside"] = float(energy[~view.support].sum() / energy.sum())
    return row


def _picture(inputs: Mapping[tuple[str, str], Array]) -> Picture:
    planes = [inputs["volume", name][len(inputs["volume", name]) // 2] for name in (FREE, CLIPPED, ITERATED)]
    return Picture("no constraint | clipped | iterated (middle plane)", panel(planes), "refractive index")


def conclude(rows: Rows) -> Outcome:
    """What each constraint adds to the reconstruction, and what denoising makes of it."""
    made = [row for row in rows if row["reconstruction"] in (FREE, CLIPPED, ITERATED)]
    given = [row for row in rows if row["reconstruction"] == "as given"]
    sentences: list[str] = []
    numbers: list[Statistic] = []
    planted = None
    if made:
        words, numbers, planted = _phantoms(made)
        sentences.append(words)
    sentences += [
        f"{row['image']}: {100 * float(row.get('pile_up') or 0):.1f} % of the background lies at the medium's index "
        f"and {row['lattices']} lattices were found; how it would look without a constraint cannot be told from it."
        for row in given[:1]
    ]
    return Outcome(" ".join(sentences), tuple(numbers), planted)


def _phantoms(rows: Rows) -> tuple[str, list[Statistic], bool]:
    inputs = chosen(rows, state="input")
    counts = {name: _trials(chosen(inputs, reconstruction=name)) for name in (FREE, CLIPPED, ITERATED)}
    after = {name: _trials([r for r in chosen(rows, reconstruction=name) if r["state"] != "input"]) for name in counts}
    lattices = "; ".join(
        f"{name} {seen} of {all_}, denoised {after[name][0]} of {after[name][1]}"
        for name, (seen, all_) in counts.items()
    )
    planted = max(counts[CLIPPED][0], counts[ITERATED][0]) > counts[FREE][0]
    numbers = [
        over_seeds(
            f"{kind}: mean of the background, {name} less {FREE}, over the noise", _gap(inputs, "offset", kind, name)
        )
        for kind in ("volume", "projection")
        for name in (CLIPPED, ITERATED)
    ]
    start = (
        f"Trials with a lattice: {lattices}. So non-negativity {'did plant a' if planted else 'planted no'} lattice."
    )
    return f"{start} {_volumes(chosen(rows, image='volume'))}", numbers, planted


def _volumes(rows: Rows) -> str:
    """What the constraint does to the values of volumes, and whether denoising undoes it."""
    inputs, denoised = chosen(rows, state="input"), chosen(rows, state="auto")

    def told(key: str, form: str, scale: float = 1.0) -> str:
        return ", ".join(f"{name} {scale * _of(inputs, name, key):{form}}" for name in (FREE, CLIPPED, ITERATED))

    raised, kept = (_of(some, CLIPPED, "offset") - _of(some, FREE, "offset") for some in (inputs, denoised))
    return (
        f"In volumes, mean of the background less the medium's index, over the noise: {told('offset', '+.2f')}; "
        f"of it made by noise: {told('bias', '+.2f')}; values piled up at the medium's index, %: "
        f"{told('pile_up', '.0f', 100)}; energy outside the optical support, %: {told('outside', '.2g', 100)}; "
        f"correlation of neighbours along x in the error: {told('correlation', '.2f')}. Clipping raises the background "
        f"by {raised:+.2f}; after denoising (auto) by {kept:+.2f}: "
        f"{'it stays' if abs(kept) > abs(raised) / 2 else 'little is left'}."
    )


def _trials(rows: Rows) -> tuple[int, int]:
    return sum(row["lattices"] > 0 for row in rows), len(rows)


def _of(rows: Rows, name: str, key: str) -> float:
    return mean_of(chosen(rows, reconstruction=name), key)


def _gap(rows: Rows, key: str, kind: str, name: str) -> list[float]:
    here = chosen(rows, image=kind)
    found = paired(here, key, one={"reconstruction": name}, other={"reconstruction": FREE})
    return [value for value in found if math.isfinite(value)]


QUESTION = Question(
    number=4,
    text="Did non-negativity plant a pattern?",
    hypothesis="The constraint that no index lies below the medium's, applied in the reconstruction, plants a pattern.",
    prediction=(
        "If it does, a lattice is found in what was clipped or iterated, and not in the same data reconstructed "
        "without constraint. If not, lattices are as rare in all three, and the constraint shows only as what clipping "
        "must do: values piled up at the medium's index, a raised background, energy outside the optical support."
    ),
    doubt=(
        "A lattice in constrained reconstructions of a phantom that has none without; or an instrument's own "
        "reconstruction with and without its constraint, which was not at hand."
    ),
    columns={
        "image": "{}",
        "reconstruction": "{}",
        "state": "{}",
        "lattices": "{:.1f}",
        "lattice_amplitude": "{:.3f}",
        "correlation": "{:.3f}",
        "pile_up": "{:.3f}",
        "offset": "{:.2f}",
        "bias": "{:.3f}",
        "outside": "{:.5f}",
    },
    trial=trial,
    conclude=conclude,
)
