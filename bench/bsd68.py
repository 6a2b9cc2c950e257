"""BSD68 with Gaussian noise of sigma 25 (not clipped): train on noisy images alone, score against the clean ones.

    python bench/bsd68.py --data ../shared/data --minutes 10 --seeds 0 --keep

Trains on the 400 noisy training images of 180x180; offset and scale come from noisy data only.
"""

import argparse
import platform
import time
from pathlib import Path

import numpy as np
import torch
from page import put

from meeum import Volume, api, session
from meeum.settings import assumed, override


def main():
    args = parse()
    rng = np.random.default_rng(25)
    train, test = images(args.data / "bsd" / "train400.npz"), images(args.data / "bsd" / "bsd68.npz")
    noisy_train = [image + rng.normal(0, args.sigma, image.shape).astype(np.float32) for image in train]
    noisy_test = [image + rng.normal(0, args.sigma, image.shape).astype(np.float32) for image in test]
    rows = [one(noisy_train, noisy_test, test, seed, args) for seed in args.seeds]
    noisy = np.mean([psnr255(t, n) for t, n in zip(test, noisy_test, strict=True)])
    text = table(rows, noisy, args)
    print(text)
    if args.keep:
        put("bsd68", text)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds bsd/")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--sigma", type=float, default=25.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--set", action="append", default=[], help="section.key=value")
    parser.add_argument("--keep", action="store_true", help="put the table into docs/benchmarks.md")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    return args


def images(path):
    """Every image of an archive as float32 (Y, X)."""
    with np.load(path, allow_pickle=False) as archive:
        stacks = [archive[name] for name in archive.files]
    flat = [image for stack in stacks for image in (stack if stack.ndim == 3 else [stack])]
    return [image.astype(np.float32) for image in flat]


def psnr255(truth, image):
    return 10 * np.log10(255**2 / np.mean((truth.astype(float) - image) ** 2))


def one(noisy_train, noisy_test, test, seed, args):
    volumes = [Volume(image, "YX") for image in noisy_train]
    words = [f"training.minutes={args.minutes}", f"training.seed={seed}", *args.set]
    running = session.prepare(volumes, override(assumed(volumes[0].shape), words))
    for _ in running.run():
        pass
    model, began = running.snapshot(), time.monotonic()
    clean = [api.denoise(Volume(image, "YX"), model).read() for image in noisy_test]
    seconds = time.monotonic() - began
    score = np.mean([psnr255(t, c) for t, c in zip(test, clean, strict=True)])
    shift = np.mean([abs(float((c - n).mean())) for c, n in zip(clean, noisy_test, strict=True)])
    return {"psnr": score, "steps": model.step, "shift": shift, "predict": seconds, "settings": model.settings}


def table(rows, noisy, args):
    scores = np.array([row["psnr"] for row in rows])
    spread = f" ± {scores.std(ddof=1):.2f}" if len(scores) > 1 else ""
    masking = rows[0]["settings"].masking
    return (
        f"BSD68, sigma {args.sigma:g}, noisy {noisy:.2f} dB; {args.minutes:g} minutes of training, "
        f"{args.threads} threads ({platform.machine()}, torch {torch.__version__}), n = {len(rows)} seed(s).\n\n"
        "| masking | PSNR, dB | mean absolute shift, grey levels | steps | prediction of 68 images, s |\n"
        "|---|---|---|---|---|\n"
        f"| {masking.masking}, window {masking.mask_size}, footprint {masking.footprint} | "
        f"{scores.mean():.2f}{spread} | {np.mean([r['shift'] for r in rows]):.2f} | {rows[0]['steps']} | "
        f"{rows[0]['predict']:.1f} |\n"
    )


if __name__ == "__main__":
    main()
