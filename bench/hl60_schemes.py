"""Masking schemes and footprints on a real tomogram with planted noise: PSNR against the clean reconstruction.

    python bench/hl60_schemes.py --data ../shared/data --minutes 3 --seeds 0 --keep

Each setting trains on the noisy volume alone for the same time, on all cores; the truth is only used to score.
"""

import argparse
import platform
import time
from pathlib import Path

import numpy as np
import torch
from page import put

from meeum import Settings, api, preparation
from meeum.auditing import psnr
from meeum.settings import override

SETTINGS = {
    "UPS, footprint (0,0,0)": ["masking.masking=UPS", "masking.mask_size=5"],
    "G, 1 std of the image, footprint (0,0,0)": ["masking.masking=G", "masking.mask_std=IMAGE_STD"],
    "GF, footprint (0,0,0)": ["masking.masking=GF", "masking.mask_size=5"],
    "GPS, std 5 pixels, footprint (0,0,0)": ["masking.masking=GPS", "masking.mask_std=5"],
    "UPS, footprint (1,1,1)": ["masking.masking=UPS", "masking.mask_size=5", "masking.footprint=1"],
    "UPS, footprint (2,2,2)": ["masking.masking=UPS", "masking.mask_size=7", "masking.footprint=2"],
    "mean, footprint (2,2,2)": ["masking.masking=mean", "masking.mask_size=7", "masking.footprint=2"],
}


def main():
    args = parse()
    noisy = api.read(args.data / "hl60" / "hl60_noisy_odt_0.h5")
    truth = api.read(args.data / "hl60" / "hl60_full140.h5")
    image_std = f"{noisy.read().std():.6f}"
    rows = []
    chosen = {args.words: args.words.split()} if args.words else SETTINGS
    for name, words in chosen.items():
        if args.only and args.only not in name:
            continue
        runs = [
            one(noisy, truth, [w.replace("IMAGE_STD", image_std) for w in words], seed, args) for seed in args.seeds
        ]
        rows.append((name, runs))
        print(line(name, runs), flush=True)
    text = table(rows, psnr(truth, noisy), args)
    print(text)
    if args.keep:
        put("hl60_schemes", text)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds hl60/")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--only", help="run only settings whose name holds this")
    parser.add_argument("--words", help="instead: one setting in section.key=value words, as docs/log.md states them")
    parser.add_argument("--keep", action="store_true", help="put the table into docs/benchmarks.md")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    return args


def one(noisy, truth, words, seed, args):
    """Train, denoise, score: PSNR (dB), mean shift (RI), steps, seconds of training and of prediction."""
    settings = override(Settings(), [*words, f"training.minutes={args.minutes}", f"training.seed={seed}"])
    began = time.monotonic()
    running = preparation.prepare([noisy], settings)
    for _ in running.run():
        pass
    trained = time.monotonic()
    clean = api.denoise(noisy, running.snapshot())
    return {
        "psnr": psnr(truth, clean),
        "shift": float((clean.read().astype(float) - noisy.read()).mean()),
        "steps": running.settings.training.steps,
        "precision": running.settings.training.precision,
        "train": trained - began,
        "predict": time.monotonic() - trained,
    }


def line(name, runs):
    scores = np.array([run["psnr"] for run in runs])
    spread = f" ± {scores.std(ddof=1):.2f}" if len(scores) > 1 else ""
    first = runs[0]
    return (
        f"| {name} | {scores.mean():.2f}{spread} | {np.mean([r['shift'] for r in runs]):+.1e} | "
        f"{first['steps']} ({first['precision']}) | {first['train']:.0f} | {first['predict']:.1f} |"
    )


def table(rows, noisy_psnr, args):
    head = (
        f"`hl60_noisy_odt_0` (140³), noisy {noisy_psnr:.2f} dB; {args.minutes:g} minutes of training, "
        f"{args.threads} threads ({platform.machine()}, torch {torch.__version__}), n = {len(args.seeds)} seed(s).\n\n"
        "| setting | PSNR, dB | mean shift, RI | steps | training, s | prediction, s |\n|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(line(name, runs) for name, runs in rows) + "\n"


if __name__ == "__main__":
    main()
