"""Mean masking with footprint (2,2,2) on phantoms of several noise levels and on an FDTD simulation.

    python bench/phantoms.py --data ../shared/data --minutes 1 --keep

Shows what a footprint that was not measured costs where noise is weak against fine detail.
"""

import argparse
import platform
from pathlib import Path

import numpy as np
import torch
from page import put

from meeum import api, phantom
from meeum.auditing import psnr
from meeum.settings import assumed


def main():
    args = parse()
    rows = {}
    for colour, noise in (("optical", 4e-4), ("optical", 4e-3), ("white", 4e-3)):
        made = phantom.make(
            (48, 128, 128), seed=3, settings=phantom.PhantomSettings(noise_std=noise, noise_colour=colour)
        )
        rows[f"phantom, {colour} noise of {noise:g} RI"] = score(made.noisy, made.truth, args)
    if args.data:
        names = ("fdtd_noisy", "fdtd_clean")
        rows["fdtd_noisy against fdtd_clean"] = score(*(api.read(args.data / "fdtd" / f"{n}.h5") for n in names), args)
    text = table(rows, args)
    print(text)
    if args.keep:
        put("phantoms", text)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder that holds fdtd/")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--keep", action="store_true", help="put the table into docs/benchmarks.md")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    return args


def score(noisy, truth, args):
    """PSNR before and after (dB), and the shift of the mean (RI)."""
    settings = assumed(noisy.shape).changed("training", objective="masked", minutes=args.minutes)
    clean = api.denoise(noisy, api.train(noisy, settings))
    return psnr(truth, noisy), psnr(truth, clean), float(np.mean(clean.read().astype(float) - noisy.read()))


def table(rows, args):
    return (
        f"{args.minutes:g} minute(s) of training, {args.threads} threads ({platform.machine()}, torch "
        f"{torch.__version__}), one seed.\n\n"
        "| volume | noisy, dB | denoised, dB | mean shift, RI |\n|---|---|---|---|\n"
    ) + "".join(
        f"| {name} | {before:.2f} | {after:.2f} | {shift:+.1e} |\n" for name, (before, after, shift) in rows.items()
    )


if __name__ == "__main__":
    main()
