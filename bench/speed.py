"""Start-up, training, prediction and memory of meeum beside CAREamics 0.3.5 on one volume, one after the other.

    python bench/speed.py --data ../shared/data --careamics careamics-venv/bin/python --keep

meeum runs as a user's command does (`auto`), and as Noise2Void with twice that network's width and with CAREamics'
number of parameters; CAREamics runs with its defaults (see README.md here). Each is a process of its own.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from page import put

from meeum import api

PLAIN = ["--words", "masking.masking=UPS", "masking.mask_size=11"]
OURS = {
    "meeum, `auto`": ["--auto"],
    "meeum, N2V, width 16": [*PLAIN, "network.width=16"],
    "meeum, N2V, width 25": [*PLAIN, "network.width=25"],
}
PEER = "CAREamics 0.3.5 N2V"
COLUMNS = {  # heading: (of the measurements, format, whether less is better)
    "start-up, s": (lambda row: row["start_up"], "{:.1f}", True),
    "training, steps/s": (lambda row: row["steps"] / row["loop_seconds"], "{:.2f}", False),
    "training, Mvoxel/s": (lambda row: row["train_mvoxel_per_s"], "{:.2f}", False),
    "prediction, Mvoxel/s": (lambda row: row["predict_mvoxel_per_s"], "{:.3f}", False),
    "peak memory, MiB": (lambda row: row["peak_rss_mib"], "{:.0f}", True),
}


def main():
    args = parse()
    noisy = args.data / "hl60" / "hl60_noisy_odt_0.h5"
    rows = {name: ours(noisy, words, args) for name, words in OURS.items()}
    rows[PEER] = theirs(api.read(noisy).read(), args)
    text = table(rows, api.read(noisy).shape, args)
    print(text)
    if args.keep:
        put("speed", text)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds hl60/")
    parser.add_argument("--careamics", type=Path, required=True, help="python of the environment in README.md")
    parser.add_argument("--seconds", type=float, default=60.0, help="training time of each")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--keep", action="store_true", help="put the table into docs/benchmarks.md")
    return parser.parse_args()


def ours(noisy, words, args):
    with tempfile.TemporaryDirectory() as folder:
        facts = Path(folder) / "facts.json"
        worker = [sys.executable, Path(__file__).with_name("meeum_worker.py"), "--input", noisy, "--output", facts]
        return measured([*worker, *common(args), *words], facts)


def theirs(noisy, args):
    worker = [args.careamics, Path(__file__).with_name("careamics_worker.py")]
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "noisy.npy", Path(folder) / "denoised.npy"
        np.save(given, noisy)
        words = f"--input {given} --output {made} --axes ZYX --patch 32 32 32 --batch 8"
        words += " --tile 64 64 64 --overlap 48 48 48"
        row = measured([*worker, *words.split(), *common(args)], made.with_suffix(".json"))
    return {**row, "note": "float32, patch 32x32x32, batch 8; tiles of 64, overlap 48"}


def common(args):
    return ["--seconds", str(args.seconds), "--threads", str(args.threads)]


def measured(command, facts):
    """The worker's own measurements, and the seconds from its start to the first training step."""
    began = time.time()
    subprocess.run(command, check=True, capture_output=True)
    row = json.loads(facts.read_text())
    return {**row, "start_up": row["training_began"] - began}


def table(rows, shape, args):
    head = (
        f"{'x'.join(map(str, shape))} voxels, {args.seconds:g} s of training each, {args.threads} thread(s) "
        f"({platform.machine()}, torch {torch.__version__}), one run; in brackets, times better "
        "than CAREamics.\n\n"
        f"| tool | parameters | {' | '.join(COLUMNS)} | how |\n|---|---|{'---|' * len(COLUMNS)}---|\n"
    )
    lines = [
        f"| {name} | {row['parameters']:,} | {' | '.join(cells(row, rows[PEER]))} | {row['note']} |\n"
        for name, row in rows.items()
    ]
    return head + "".join(lines) + "\n" + "\n".join(rough(name, rows[name]) for name in OURS) + "\n"


def rough(name, row):
    """One sentence on prediction in bfloat16."""
    faster = row["low_mvoxel_per_s"] / row["predict_mvoxel_per_s"]
    return (
        f"Predicted in bfloat16, {name} is {faster:.1f} times as fast, and off by {row['low_rms']:.3f} of the noise's "
        f"standard deviation (root mean square; at most {row['low_most']:.2f})."
    )


def cells(row, peer):
    for value, text, less in COLUMNS.values():
        ratio = value(peer) / value(row) if less else value(row) / value(peer)
        yield f"{text.format(value(row))} ({ratio:.1f})"


if __name__ == "__main__":
    main()
