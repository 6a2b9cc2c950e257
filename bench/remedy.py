"""The remedy for a lattice: what it takes out of phantoms, what it leaves, and what it touches besides. No training.

python bench/remedy.py --data ../shared/data                   # prints; --keep puts the tables into docs/findings.md
"""

import argparse
import time
from pathlib import Path

import numpy as np
import scipy.ndimage
from page import PAGE, put
from values import percent, values

from meeum import api, phantom, remedy
from meeum.volume import Volume, maximum_projection

SIGMA, PERIOD, SHAPE = 4e-4, 9.14, (32, 128, 128)
STRENGTHS = (0.15, 0.3, 1.0)  # of the noise's standard deviation; the eye sees none under about a half
OPTICS = ("ht-2h", "ht-x1")
COLOURS = ("optical", "white", "directional")
HEADINGS = (
    "image, lattice", "found", "amplitude measured, sigma", "contrast before -> after", "left, %", "cells, RI",
    "background, RI", "dry mass, %", "edge in plane, %", "edge along z, %",
)  # fmt: skip


def main():
    args = parse()
    text = planted(args.seeds) + "\n" + free(args.free)
    text += "\n" + real(args.data) if args.data else ""
    print(text)
    if args.keep:
        put("remedy", text, PAGE.with_name("findings.md"))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of phantoms with a lattice")
    parser.add_argument("--free", type=int, default=18, help="how many phantoms without one")
    parser.add_argument("--data", type=Path, help="folder that holds hl60/ and fdtd/")
    parser.add_argument("--keep", action="store_true", help="put the tables into docs/findings.md")
    return parser.parse_args()


def planted(seeds):
    """A lattice along x and along y, in volumes and in their projections; each number the worst of the seeds."""
    lines = [row(HEADINGS), row(["---"] * len(HEADINGS))]
    for optics in OPTICS:
        made = [simulated(seed, optics, "optical", 1) for seed in seeds]
        for flat in (False, True):
            for strength in STRENGTHS:
                name = f"{optics}, {'projection' if flat else 'volume'}, {strength:g} sigma"
                lines.append(row([name, *told([one(each, strength, flat) for each in made])]))
    size = "x".join(map(str, SHAPE))
    caption = (
        f"One cell in {size} voxels, noise of {SIGMA:g} RI coloured by the optics, a lattice of period {PERIOD} pixels "
        f"along x and one along y; {len(seeds)} seeds, of each number the worst.\n\n"
    )
    return caption + "\n".join(lines) + "\n"


def simulated(seed, optics, colour, cells):
    chosen = phantom.PhantomSettings(optics=optics, noise_std=SIGMA, noise_colour=colour, cells=cells)
    return phantom.make(SHAPE, seed=seed, settings=chosen)


def one(made, strength, flat):
    """What the remedy did to one image: against the same image without the lattice."""
    alone = (maximum_projection(made.noisy) if flat else made.noisy).read()
    rows, columns = (2 * np.pi * np.arange(n) / PERIOD for n in SHAPE[1:])
    lattice = np.broadcast_to(strength * SIGMA * (np.cos(rows[:, None] + 1) + np.cos(columns)), alone.shape)
    noisy = Volume((alone + lattice).astype(np.float32), "YX" if flat else "ZYX")
    found = remedy.measure(noisy)
    clean = remedy.remove(noisy, found).read().astype(float)
    near = [each for each in found.removed if abs(each.period - PERIOD) < 0.1]
    result = {
        "found": len(near),
        "besides": len(found.removed) - len(near),
        "measured": [each.wave.amplitude / SIGMA for each in near],
        "before": [each.lattice.contrast for each in near],
        "after": [each.after for each in near],
        "left": 100 * float(np.sqrt(np.mean((clean - alone) ** 2) / np.mean(lattice**2))),
    }
    return result | (drift(made, clean - alone) if flat else changed(made, alone.astype(float), clean))


def drift(made, change):
    """Of a projection: its cell is the shadow of the cells."""
    shadow = made.cell_mask.any(axis=0)
    away = ~scipy.ndimage.binary_dilation(shadow, iterations=8)
    return {"cells": change[shadow].mean(), "background": change[away].mean() if away.any() else np.nan}


def changed(made, alone, clean):
    before, after = values(alone, made), values(clean, made)
    relative = {key: percent(after[key], before[key]) for key in ("mass", "edge_plane", "edge_axial")}
    return {key: after[key] - before[key] for key in ("cells", "background")} | relative


def told(results):
    """Cells of the table."""
    every = {key: [value for each in results for value in each.get(key, ())] for key in ("measured", "before", "after")}
    count, besides = (sum(each[key] for each in results) for key in ("found", "besides"))
    yield f"{count} of {2 * len(results)}" + (f", and {besides} besides" if besides else "")
    yield f"{min(every['measured']):.3f} to {max(every['measured']):.3f}" if count else ""
    yield f"{np.median(every['before']):.0f} -> {max(every['after']):.1f}" if count else ""
    yield f"{max(each['left'] for each in results):.0f}"
    for key, form in zip(
        ("cells", "background", "mass", "edge_plane", "edge_axial"),
        ("+.1e", "+.1e", "+.3f", "+.2f", "+.2f"),
        strict=True,
    ):
        known = [each[key] for each in results if key in each and np.isfinite(each[key])]
        yield format(max(known, key=abs), form) if known else ""


def free(count):
    """Phantoms without a lattice: what is taken out of them is taken wrongly."""
    wrong = looked = 0
    for seed in range(count):
        made = simulated(100 + seed, OPTICS[seed % 2], COLOURS[seed % 3], (1, 4, 0)[seed // 6 % 3])
        for image in (made.noisy, maximum_projection(made.noisy), Volume(made.noisy.read()[SHAPE[0] // 2], "YX")):
            wrong, looked = wrong + bool(remedy.measure(image).removed), looked + 1
    return f"Phantoms without a lattice (volume, projection, plane): something was removed from {wrong} of {looked}.\n"


def real(folder):
    """Real and FDTD tomograms; nobody planted a lattice there."""
    lines = [row(["tomogram", "volume", "projection", "seconds"]), row(["---"] * 4)]
    for path in sorted([*(folder / "hl60").glob("*.h5"), *(folder / "fdtd").glob("*.h5")]):
        volume, began = api.read(path), time.monotonic()
        cells = [said(remedy.measure(image)) for image in (volume, maximum_projection(volume))]
        lines.append(row([f"`{path.stem}`", *cells, f"{time.monotonic() - began:.1f}"]))
    return "\n".join(lines) + "\n"


def said(found):
    waves = "; ".join(
        f"period {each.period:.2f} {each.lattice.word}, {each.wave.amplitude:.1e}, {each.share:.2f} sigma, contrast "
        f"{each.lattice.contrast:.0f} -> {each.after:.1f}"
        for each in found.removed
    )
    return waves or "nothing"


def row(cells):
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
