"""How well `meeum noise` measures: its level and spectrum against the noise that was put in.

    python bench/levels.py --data ../shared/data                    # appends to bench-levels.jsonl
    python bench/levels.py --data ../shared/data --trained even70 "optical-0.0004, 9 cells"     # slow: a first training
    python bench/levels.py --table bench-levels.jsonl --keep        # into docs/benchmarks.md

Phantoms with empty regions (2 cells) and without (9), and public sets whose noise is known from a reference. Where
that is uncertain, `--trained` adds the level that a first training bears out, as `meeum denoise` takes it. Phantoms
are recorded twice, too.
"""

from pathlib import Path

import numpy as np
from datasets import load
from peers import append, machine, recorded
from results import has, options, start

from meeum import Volume, noise, phantom, preparation
from meeum.noise.blocks import block_spectra, multiplicity
from meeum.noise.floor import DOUBTFUL
from meeum.settings import assumed

HOW = ALONE, TWICE, TRAINED = "alone", "twice", "trained"  # the last with a first training
PLANNED = 2400  # steps, of which a first training takes a third: as many as there are in 5 minutes at least
SHAPE = (48, 128, 128)
COLOURS, LEVELS, CELLS = ("white", "optical", "directional"), (4e-4, 1e-3, 2e-3, 4e-3), (2, 9)
PHANTOMS = {
    f"{colour}-{std:g}, {cells} cells": {"noise_colour": colour, "noise_std": std, "cells": cells}
    for colour in COLOURS
    for cells in CELLS
    for std in LEVELS
}
SETS = ("hl60", "fdtd", "even70", "bsd_white10", "bsd_white25", "bsd_white50", "bsd_coloured25")


def main():
    start(parse(), run, lambda rows: {"levels": table(rows)})


def parse():
    parser = options(__doc__, "levels", "benchmarks.md")
    parser.add_argument("--data", type=Path, help="folder that holds bsd/, hl60/, fdtd/; phantoms alone without")
    parser.add_argument("--trained", nargs="+", default=[], help="cases to run a first training for, and no others")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="of the phantoms")
    return parser.parse_args()


def run(args):
    cases = [(case, seed) for case in PHANTOMS for seed in args.seeds] + [(name, 0) for name in SETS if args.data]
    for case, seed in cases:
        for how in ways(case, args.trained):
            head = {"case": case, "seed": seed, "how": how}
            if not has(recorded(args.results), head):
                append(args.results, {**head, **measured(case, seed, how, args.data), "machine": machine()})


def ways(case, trained):
    if trained:
        return [TRAINED] if case in trained else []
    return [ALONE, TWICE] if case in PHANTOMS else [ALONE]


def measured(case, seed, how, data):
    images, errors = simulated(case, seed, how) if case in PHANTOMS else public(case, data)
    chosen = assumed(images[0].shape).changed("training", steps=PLANNED)
    found = preparation.noise_of(images, chosen) if how == TRAINED else noise.measure(images)
    return compared(found, [image.frame(0) for image in images], errors)


def simulated(case, seed, how):
    """The volume, or twice recorded as two time points, and the noise of the first."""
    chosen = PHANTOMS[case] | {"frames": 1 + (how == TWICE)}
    made = phantom.make(SHAPE, seed=seed, settings=phantom.PhantomSettings(**chosen))
    return [made.noisy], [made.noisy.frame(0).read() - made.truth.frame(0).read()]


def public(name, data):
    """Against the reference; the other half of the angles is as noisy as the image."""
    made = load(name, data)
    factor = np.sqrt(0.5) if made.halves else 1.0
    return made.train, [factor * (v.read() - t) for v, t in zip(made.train, made.targets, strict=True)]


def compared(found, images, errors):
    """Level over the true one; power at wrong frequencies: half the sum of differences of the normalised spectra."""
    right = block_spectra([Volume(e.astype(np.float32), images[0].axes) for e in errors], longest=found.sides[-1:])
    counts = multiplicity(found.sides)
    true, measured = right.power.mean(0) * counts, found.spectrum * counts
    return {
        "level": float(found.std / np.sqrt(true.sum() / counts.sum())),
        "misplaced": float(np.abs(measured / measured.sum() - true / true.sum()).sum() / 2),
        "uncertainty": found.uncertainty,
        "no_block_empty": found.doubt > DOUBTFUL,
    }


def table(rows):
    """A line per case: lowest, median and highest level over the seeds."""
    seeds = len({row["seed"] for row in rows if row["case"] in PHANTOMS})
    text = (
        f"Phantoms of {'x'.join(map(str, SHAPE))}, n = {seeds} seeds, HT-2H; sets once ({rows[0]['machine']}). "
        "Median over seeds (lowest to highest).\n\n"
        "| image | level over the true one | power misplaced, % | error stated, % | said that no region is empty "
        "| level after a first training | level, recorded twice |\n|---|---|---|---|---|---|---|\n"
    )
    for case in [*PHANTOMS, *SETS]:
        own = {how: [row for row in rows if (row["case"], row["how"]) == (case, how)] for how in HOW}
        alone, levels = own[ALONE], {how: [row["level"] for row in found] for how, found in own.items()}
        if alone:
            misplaced, stated = (100 * np.median([row[key] for row in alone]) for key in ("misplaced", "uncertainty"))
            said = f"{sum(row['no_block_empty'] for row in alone)} of {len(alone)}"
            text += (
                f"| {case} | {spread(levels[ALONE])} | {misplaced:.0f} | {stated:.0f} | {said} "
                f"| {spread(levels[TRAINED])} | {spread(levels[TWICE])} |\n"
            )
    return text


def spread(levels):
    """Median (lowest to highest, how many)."""
    if len(levels) < 2:
        return f"{levels[0]:.2f}" if len(levels) else ""
    return f"{np.median(levels):.2f} ({np.min(levels):.2f} to {np.max(levels):.2f}, n = {len(levels)})"


if __name__ == "__main__":
    main()
