"""Training and prediction throughput of meeum beside CAREamics 0.3.5 on one volume, one after the other, same machine.

    python bench/speed.py --data ../shared/data --careamics careamics-venv/bin/python --keep

meeum runs with its default network and with one of CAREamics' size; CAREamics with its defaults (see README.md here).
"""

import argparse
import json
import math
import platform
import resource
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from page import put

from meeum import Settings, api, session
from meeum.settings import override


def main():
    args = parse()
    noisy = api.read(args.data / "hl60" / "hl60_noisy_odt_0.h5")
    mask = ["masking.masking=UPS", "masking.mask_size=11"]
    rows = {f"meeum, width {w}": ours(noisy, [*mask, f"network.width={w}"], args) for w in args.widths}
    rows["CAREamics 0.3.5 N2V"] = theirs(noisy, args)
    text = table(rows, noisy, args)
    print(text)
    if args.keep:
        put("speed", text)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds hl60/")
    parser.add_argument("--careamics", type=Path, required=True, help="python of the environment in README.md")
    parser.add_argument("--seconds", type=float, default=60.0, help="training time of each")
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 25])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--keep", action="store_true", help="put the table into docs/benchmarks.md")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    return args


def ours(noisy, words, args):
    settings = override(Settings(), [*words, f"training.minutes={args.seconds / 60}"])
    running = session.prepare([noisy], settings)
    began = time.monotonic()
    for _ in running.run():
        pass
    seconds = time.monotonic() - began
    chosen = running.settings.training
    voxels = math.prod(chosen.patch) * chosen.batch * chosen.steps
    model, began = running.snapshot(), time.monotonic()
    api.denoise(noisy, model)
    return {
        "parameters": sum(p.numel() for p in model.network.parameters()),
        "train": voxels / seconds / 1e6,
        "predict": math.prod(noisy.shape) / (time.monotonic() - began) / 1e6,
        "note": f"{chosen.precision}, patch {'x'.join(map(str, chosen.patch))}, batch {chosen.batch}",
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def theirs(noisy, args):
    worker = Path(__file__).with_name("careamics_worker.py")
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "noisy.npy", Path(folder) / "denoised.npy"
        np.save(given, noisy.read())
        words = f"--input {given} --output {made} --axes ZYX --patch 32 32 32 --batch 8 --seconds {args.seconds}"
        words += f" --tile 64 64 64 --overlap 48 48 48 --threads {args.threads}"
        subprocess.run([args.careamics, worker, *words.split()], check=True, capture_output=True)
        facts = json.loads(made.with_suffix(".json").read_text())
    return {
        "parameters": facts["parameters"],
        "train": facts["train_mvoxel_per_s"],
        "predict": facts["predict_mvoxel_per_s"],
        "note": "float32, patch 32x32x32, batch 8; tiles of 64, overlap 48",
        "peak": facts["peak_rss_mib"],
    }


def table(rows, noisy, args):
    peer = rows["CAREamics 0.3.5 N2V"]
    head = (
        f"{'x'.join(map(str, noisy.shape))} voxels, {args.seconds:g} s of training each, {args.threads} threads "
        f"({platform.machine()}, torch {torch.__version__}), one run; the ratio to CAREamics in brackets.\n\n"
        "| tool | parameters | training, Mvoxel/s | prediction, Mvoxel/s | peak memory, MiB | how |\n"
        "|---|---|---|---|---|---|\n"
    )
    return head + "".join(
        f"| {name} | {row['parameters']:,} | {row['train']:.2f} ({row['train'] / peer['train']:.1f}) | "
        f"{row['predict']:.2f} ({row['predict'] / peer['predict']:.1f}) | {row['peak']:.0f} | {row['note']} |\n"
        for name, row in rows.items()
    )


if __name__ == "__main__":
    main()
