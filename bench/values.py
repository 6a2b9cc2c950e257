"""Values kept: what denoising with `auto` does to the numbers that holotomography users go on to compute.

    python bench/values.py --minutes 5 --seeds 0 1 2                # appends to bench-values.jsonl
    python bench/values.py --table bench-values.jsonl --keep

Simulated cells (meeum.phantom), whose truth is known; the bounds are those of the project.
"""

import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.stats
import torch
from datasets import DataSet
from methods import auto
from peers import append, machine, recorded
from results import has, options, start

from meeum import phantom
from meeum.phantom import RI_INCREMENT

LEVELS, COLOURS = (4e-4, 1e-3, 4e-3), ("optical", "white")
CASES = (
    {f"{c}-{n:g}": {"noise_colour": c, "noise_std": n} for c in COLOURS for n in LEVELS}
    | {f"clipped-{n:g}": {"noise_std": n, "clip_non_negative": True} for n in (1e-3, 4e-3)}
    | {f"crowded-{n:g}": {"noise_std": n, "cells": 9} for n in LEVELS}
)
EDGE_UM = 0.5  # how far on either side of a cell's outline its profile is looked at
DROPLET_UM = 1.2  # and how far from the centre of a droplet
BOUNDS = {  # key: (heading, format, whether it holds)
    "cells": ("mean of cells, RI", "{:+.1e}", lambda v: abs(v) <= 1e-4),
    "background": ("mean of background, RI", "{:+.1e}", lambda v: abs(v) <= 5e-5),
    "mass": ("dry mass, %", "{:+.2f}", lambda v: abs(v) <= 0.5),
    "edge_plane": ("edge width in plane, %", "{:+.1f}", lambda v: v <= 5),
    "edge_axial": ("droplet edge along z, %", "{:+.1f}", lambda v: v <= 5),
    "cone": ("energy in the missing cone, out / in", "{:.3g}", lambda v: v <= 1),
}


def main():
    start(parse(), run, lambda rows: {"values": table(rows)})


def run(args):
    for case in args.case:
        for seed in args.seeds:
            row = {"case": case, "seed": seed, "minutes": args.minutes, "shape": args.shape, "machine": machine()}
            if not has(recorded(args.results), row):
                row |= measure(case, seed, args)
                append(args.results, row)
                print(row, flush=True)


def parse():
    parser = options(__doc__, "values", "benchmarks.md")
    parser.add_argument("--case", nargs="+", default=list(CASES), choices=list(CASES), metavar="NAME",
                        help=", ".join(CASES))  # fmt: skip
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of training and of the phantom")
    parser.add_argument("--shape", type=int, nargs=3, default=[48, 128, 128])
    parser.add_argument("--words", nargs="+", default=[], help="section.key=value")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    return args


def measure(case, seed, args):
    """What changed from noisy to denoised, and how far both are from the truth."""
    made = phantom.make(tuple(args.shape), seed=seed, settings=phantom.PhantomSettings(**CASES[case]))
    noisy, truth = made.noisy.read().astype(float), made.truth.read().astype(float)
    denoised, facts = auto(DataSet(case, [made.noisy], [truth], {case: [(made.noisy, truth)]}), seed, args)
    clean = denoised[case][0].astype(float)
    before, after, right = (values(image, made) for image in (noisy, clean, truth))
    average = values(recorded_on_average(case, seed, args.shape), made)
    edges = ("edge_plane", "edge_axial")
    return {
        "steps": facts["steps"],
        "reason": facts["reason"],
        "psnr": [decibel(truth, noisy), decibel(truth, clean)],
        "cells": after["cells"] - before["cells"],
        "background": after["background"] - before["background"],
        "mass": percent(after["mass"], before["mass"]),
        **{key: percent(after[key], average[key]) for key in edges},
        "cone": cone(clean, made) / cone(noisy, made),
        "noisy_edges": [percent(before[key], average[key]) for key in edges],
        "range": [before["range"] / right["range"], after["range"] / right["range"]],
        "background_bias": [side["background"] - right["background"] for side in (before, after)],
        "cells_bias": [side["cells"] - right["cells"] for side in (before, after)],
        "beyond_cone": beyond(clean, made),
    }


def recorded_on_average(case, seed, shape):
    """The truth; where values are clipped, what the mean of many recordings would show (a Gaussian's, clipped)."""
    plain = phantom.PhantomSettings(**CASES[case] | {"clip_non_negative": False})
    made = phantom.make(tuple(shape), seed=seed, settings=plain)
    truth, medium, std = made.truth.read().astype(float), made.optics.medium_index, plain.noise_std
    if not CASES[case].get("clip_non_negative"):
        return truth
    over = (truth - medium) / std
    return medium + std * (over * scipy.stats.norm.cdf(over) + scipy.stats.norm.pdf(over))


def percent(value, of):
    return 100 * (value / of - 1)


def decibel(truth, image):
    return float(10 * np.log10(np.ptp(truth) ** 2 / np.mean((image - truth) ** 2)))


def values(image, made):
    """Means (RI), range, dry mass (pg) and 10-90 % edge widths (µm) of one image of the phantom."""
    cells, contrast = made.cell_mask, image - made.optics.medium_index
    away = ~scipy.ndimage.binary_dilation(cells, iterations=8)
    return {
        "cells": float(image[cells].mean()),
        "background": float(image[away].mean()),
        "range": float(np.ptp(image)),
        "mass": float(contrast[cells].sum() * np.prod(made.optics.voxel_size_um) / RI_INCREMENT),
        "edge_plane": width(*plane_profile(image, made)),
        "edge_axial": width(*axial_profile(image, made)),
    }


def plane_profile(image, made):
    """Mean value by distance (µm) from the outline, in the planes where the cells are widest; inside is positive."""
    areas = made.cell_mask.sum(axis=(1, 2))
    planes = np.flatnonzero(areas > 0.9 * areas.max())
    spacing = made.optics.voxel_size_um[1]
    distances = np.stack([signed(made.cell_mask[z], (spacing, spacing)) for z in planes])
    return profile(image[planes], distances, spacing)


def axial_profile(image, made):
    """Mean value by distance along z from the centres of the lipid droplets, both ways; the centre comes last.

    The cell's own surface tells little along z: without the missing cone's frequencies it is no edge any more.
    """
    spacing, depth = made.optics.voxel_size_um[0], image.shape[0]
    reach = round(DROPLET_UM / spacing)
    centres = [drop.centre_voxel for drop in made.droplets if reach <= drop.centre_voxel[0] < depth - reach]
    lines = np.mean([image[z - reach : z + reach + 1, y, x] for z, y, x in centres], axis=0)
    return np.arange(-reach, 1) * spacing, ((lines + lines[::-1]) / 2)[: reach + 1]


def signed(inside, spacing):
    """Distance to the surface half way between voxels inside and outside."""
    near, far = (scipy.ndimage.distance_transform_edt(part, sampling=spacing) for part in (inside, ~inside))
    return np.where(inside, near - spacing[0] / 2, spacing[0] / 2 - far)


def profile(image, distances, spacing):
    bins = np.rint(distances / spacing - 0.5).astype(int)  # distances are odd multiples of half a voxel at least
    reach = max(2, round(EDGE_UM / spacing))
    places = np.arange(-reach, reach)
    return (places + 0.5) * spacing, np.array([image[bins == place].mean() for place in places])


def width(places, profile):
    """Distance from 10 % to 90 % of the way from the lowest value outside up to the highest one (µm)."""
    top = int(np.argmax(profile))
    base = profile[: top + 1].min()
    rise = (profile[: top + 1] - base) / (profile[top] - base)
    return float(crossing(places, rise, 0.9) - crossing(places, rise, 0.1))


def crossing(places, rise, share):
    """Where a profile last comes up through a share of its height, between samples linearly."""
    below = int(np.flatnonzero(rise < share)[-1])
    return places[below] + (share - rise[below]) / (rise[below + 1] - rise[below]) * (places[1] - places[0])


def cone(image, made):
    """Energy at the frequencies the optics do not pass, up to the highest they pass along each axis."""
    support = phantom.optical_support(image.shape, made.optics)
    box = np.ones(image.shape, bool)
    for axis, side in enumerate(image.shape):
        others = tuple(a for a in range(3) if a != axis)
        highest = np.abs(scipy.fft.fftfreq(side))[support.any(axis=others)].max()
        box &= (np.abs(scipy.fft.fftfreq(side)) <= highest).reshape([-1 if a == axis else 1 for a in range(3)])
    return float((np.abs(scipy.fft.fftn(image))[box & ~support] ** 2).sum())


def beyond(image, made):
    """Share of the contrast's energy that the optics cannot have passed; 0 in the truth."""
    power = np.abs(scipy.fft.fftn(image - image.mean())) ** 2
    return float(power[~phantom.optical_support(image.shape, made.optics)].sum() / power.sum())


def table(rows):
    """Each number the mean over seeds; where a bound does not hold for one of them, in bold."""
    head = "| phantom, noise | minutes | PSNR, dB | " + " | ".join(heading for heading, _, _ in BOUNDS.values())
    text = head + " | all hold |\n|" + "---|" * (len(BOUNDS) + 4) + "\n"
    more = (
        "| phantom, noise | range / truth's | background against truth, RI | cells against truth, RI "
        "| the same edges of the noisy image, %, plane and z |\n|" + "---|" * 5 + "\n"
    )
    for case in CASES:
        same = [row for row in rows if row["case"] == case]
        if same:
            text += judged(case, same)
            more += further(case, same)
    first = rows[0]
    seeds = len({row["seed"] for row in rows})
    caption = f"{'x'.join(map(str, first['shape']))} voxels, {seeds} seed(s) ({first['machine']}).\n\n"
    return caption + text + "\nBefore -> after:\n\n" + more


def judged(case, rows):
    cells, fine = [], True
    for key, (_, form, holds) in BOUNDS.items():
        numbers = [row[key] for row in rows]
        good = all(holds(number) for number in numbers)
        fine &= good
        text = form.format(np.mean(numbers))
        cells.append(text if good else f"**{text}**")
    before, after = np.mean([row["psnr"] for row in rows], axis=0)
    minutes = ", ".join(f"{m:g}" for m in sorted({row["minutes"] for row in rows}))
    return f"| {case} | {minutes} | {before:.2f} -> {after:.2f} | {' | '.join(cells)} | {'yes' if fine else 'no'} |\n"


def further(case, rows):
    pairs = [np.mean([row[key] for row in rows], axis=0) for key in ("range", "background_bias", "cells_bias")]
    plane, axial = np.mean([row["noisy_edges"] for row in rows], axis=0)
    forms = ("{:.3f} -> {:.3f}", "{:+.1e} -> {:+.1e}", "{:+.1e} -> {:+.1e}")
    cells = [form.format(*pair) for form, pair in zip(forms, pairs, strict=True)]
    return f"| {case} | {' | '.join(cells)} | {plane:+.1f}, {axial:+.1f} |\n"


if __name__ == "__main__":
    main()
