"""A volume of 74x1172x1172 voxels, as an HT-X1 writes it, from command to denoised file: wall time, memory, PSNR.

    python bench/large.py --folder /tmp/large --threads 2 --keep

The volume is made of four simulated fields side by side (1 frame, 203 MB as TCF); the command is what a user types.
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from page import put

from meeum import api, io, phantom

FIELD = (74, 586, 586)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="where the volume and the run go (about 3 GB)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--minutes", type=float, default=5.0, help="of training: meeum's default is 5")
    parser.add_argument("--keep", action="store_true", help="put the table into docs/benchmarks.md")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    noisy, truth = args.folder / "large.TCF", args.folder / "truth.npy"
    if not noisy.exists():
        make(noisy, truth)
    words = ["denoise", str(noisy), "--out", str(args.folder / "run"), "--overwrite", "--minutes", str(args.minutes)]
    began = time.monotonic()
    environment = {**os.environ, "OMP_NUM_THREADS": str(args.threads)}
    subprocess.run([Path(sys.executable).with_name("meeum"), *words], check=True, env=environment)
    wall = time.monotonic() - began
    text = table(noisy, truth, args, wall)
    print(text)
    if args.keep:
        put("large", text)


def make(noisy, truth):
    """Four fields in a square, noise of 8e-4 with the colour of the optics."""
    chosen = phantom.PhantomSettings(optics="ht-x1", cells=9, noise_std=8e-4)
    fields = [phantom.make(FIELD, seed=seed, settings=chosen) for seed in range(4)]
    io.write(fields[0].noisy.with_data(square([field.noisy for field in fields])), noisy)
    np.save(truth, square([field.truth for field in fields]))


def square(four):
    a, b, c, d = (volume.read() for volume in four)
    return np.concatenate([np.concatenate([a, b], axis=2), np.concatenate([c, d], axis=2)], axis=1)


def plane(volume, z):
    return volume.read((slice(z, z + 1), slice(None), slice(None)))[0]


def table(noisy, truth, args, wall):
    true = np.load(truth, mmap_mode="r")
    before, after = api.read(noisy), api.read(next((args.folder / "run" / "results").glob("*.TCF")))
    reach = float(true.max() - true.min())
    errors = [np.mean([np.mean((plane(v, z) - true[z]) ** 2) for z in range(len(true))]) for v in (before, after)]
    scores = [10 * np.log10(reach**2 / error) for error in errors]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    size = "x".join(map(str, true.shape))
    return (
        f"{args.threads} threads ({platform.machine()}, torch {torch.__version__}), {args.minutes:g} minutes of "
        "training, one run.\n\n"
        "| volume | whole command, minutes | of it beside training | peak memory, GiB | noisy, dB | denoised, dB |\n"
        "|---|---|---|---|---|---|\n"
        f"| {size} | {wall / 60:.1f} | {wall / 60 - args.minutes:.1f} | {peak:.1f} | "
        f"{scores[0]:.2f} | {scores[1]:.2f} |\n"
    )


if __name__ == "__main__":
    main()
