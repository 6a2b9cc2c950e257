"""meeum beside its peers on one benchmark set: one JSON line per set, method and seed; then the tables.

    python bench/peers.py --data ../shared/data --set hl60 --seeds 0 1 2 --careamics careamics-venv/bin/python
    python bench/peers.py --table bench-results.jsonl --keep

What the results file holds already is not run again, so a run can be made in pieces, and pieces at the same time. Lines
of the page's tables that it has nothing for stay as they are.
"""

import argparse
import json
import os
import platform
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from datasets import NOTES, load, note, psnr
from methods import METHODS, TRAINED_FOR, cpu_seconds
from page import put
from PIL import Image
from standing import merged


def main():
    args = parse()
    if args.table:
        text = merged(tables(recorded(args.table)), NOTES, [label for label, _, _ in METHODS.values()])
        print(text)
        if args.keep:
            put("peers", text)
        return
    for name in args.set:
        made = load(name, args.data, images=args.images)
        for chosen in args.methods:
            if chosen.startswith("bm4d") and made.train[0].axes != "ZYX":
                continue
            for seed in args.seeds if METHODS[chosen][2] else [0]:
                run(made, chosen, seed, args)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder that holds bsd/, hl60/, ...")
    parser.add_argument("--set", nargs="+", default=[], choices=list(NOTES), metavar="NAME", help=", ".join(NOTES))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS), metavar="NAME",
                        help=", ".join(METHODS))  # fmt: skip
    parser.add_argument("--minutes", type=float, default=5.0, help="of training, of every method that trains")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of methods that train")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--images", type=int, help="score the first so many images of a group only")
    parser.add_argument("--careamics", type=Path, help="python of CAREamics' environment (README.md here)")
    parser.add_argument("--words", nargs="+", default=[], help="section.key=value, for meeum")
    parser.add_argument("--pictures", type=Path, help="folder for a picture of each result: noisy, denoised, truth")
    parser.add_argument("--results", type=Path, default=Path("bench-results.jsonl"), help="file to append to")
    parser.add_argument("--table", type=Path, help="make the tables of this results file instead")
    parser.add_argument("--keep", action="store_true", help="put them into docs/benchmarks.md")
    args = parser.parse_args()
    if not args.table and not (args.data and args.set):
        parser.error("give --data and --set, or --table")
    torch.set_num_threads(args.threads)
    return args


def run(made, name, seed, args):
    """One method on one set: append a line per group of images."""
    _, function, trained = METHODS[name]
    minutes = args.minutes if trained == TRAINED_FOR else None
    head = {"set": made.name, "method": name, "seed": seed, "minutes": minutes, "images": args.images}
    if any(same(head, row) and "error" not in row for row in recorded(args.results)):
        print(f"{head}: already in {args.results}", flush=True)
        return
    facts = {"threads": args.threads, "machine": machine()}
    try:
        with metered() as cost:
            denoised, chosen = function(made, seed, args)
        facts |= costs(cost, chosen)
        rows = [{"group": group, **scores(made, group, images)} for group, images in denoised.items()]
        if args.pictures:
            draw(args.pictures, f"{made.name}-{name}-{seed}", made, denoised)
    except Exception as error:  # a peer that fails is a line of the table, not the end of it
        rows = [{"group": group, "error": f"{type(error).__name__}: {error}"} for group in made.groups]
        chosen = {}
    for row in rows:
        append(args.results, {**head, **row, **facts, "settings": {**chosen, "words": args.words}})
        print({**head, **row}, flush=True)


def same(head, row):
    return all(row[key] == value for key, value in head.items())


@contextmanager
def metered():
    cost = {"began": time.monotonic(), "began_cpu": cpu_seconds()}
    yield cost
    cost |= {"wall": time.monotonic() - cost["began"], "cpu": cpu_seconds() - cost["began_cpu"]}


def costs(cost, chosen):
    """Seconds in all and of training; CAREamics' own count leaves out the start of its interpreter."""
    if "train_cpu_seconds" in chosen:
        wall = chosen["train_seconds"] + chosen["predict_seconds"]
        cpu = chosen["train_cpu_seconds"] + chosen["predict_cpu_seconds"]
        trained = chosen["train_cpu_seconds"]
    else:
        wall, cpu = cost["wall"], cost["cpu"]
        trained = chosen.pop("trained_at", cost["began_cpu"]) - cost["began_cpu"]
    return {"wall_seconds": wall, "cpu_seconds": cpu, "training_cpu_seconds": trained}


def scores(made, group, images):
    """PSNR (dB) before and after, and by how much the mean of an image moved (its absolute, averaged)."""
    pairs = made.groups[group]
    shifts = [abs(float(np.mean(x.astype(float) - n.read()))) for x, (n, _) in zip(images, pairs, strict=True)]
    after = [psnr(made, truth, x) for x, (_, truth) in zip(images, pairs, strict=True)]
    before = [psnr(made, truth, noisy.read()) for noisy, truth in pairs]
    means = {"psnr": after, "noisy_psnr": before, "mean_shift": shifts}
    return {**{name: float(np.mean(values)) for name, values in means.items()}, "scored": len(pairs)}


def draw(folder, name, made, denoised):
    """Noisy, denoised and true image (middle plane of a volume) side by side, one grey scale, per group."""
    folder.mkdir(parents=True, exist_ok=True)
    for group, images in denoised.items():
        noisy, truth = made.groups[group][0]
        planes = [image if image.ndim == 2 else image[len(image) // 2] for image in (noisy.read(), images[0], truth)]
        low, high = np.percentile(planes[-1], (0.2, 99.8))
        row = np.clip((np.concatenate(planes, axis=1) - low) / max(high - low, 1e-12), 0, 1)
        Image.fromarray((255 * row).astype(np.uint8)).save(folder / f"{name}-{group}.png")


def machine():
    return f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}"


def append(path, row):
    with path.open("a", encoding="utf-8") as file:  # one short write, so that several runs may share a file
        file.write(json.dumps(row, default=float) + "\n")


def recorded(path):
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def tables(rows):
    """Markdown, one table per set, group of images and training time, in the order of the sets."""
    blocks = defaultdict(list)
    for row in rows:
        blocks[row["set"], row["group"], row["images"]].append(row)
    order = list(NOTES)
    parts = []
    for name in sorted({key[0] for key in blocks}, key=order.index):
        parts.append(f"### {name}\n\n{note(name)}\n")
        for key in [key for key in blocks if key[0] == name]:
            times = sorted({row["minutes"] for row in blocks[key]} - {None}) or [None]
            parts += [table(key[1], minutes, blocks[key]) for minutes in times]
    return "\n".join(parts)


def table(group, minutes, rows):
    rows = [row for row in rows if row["minutes"] in (minutes, None)]
    good = [row for row in rows if "error" not in row]
    if not good:
        return ""
    told = f"{minutes:g} minutes of training" if minutes else "no training"
    threads, machines = ({str(row[key]) for row in good} for key in ("threads", "machine"))
    head = (
        f"**{group}** ({good[0]['scored']} image{'s' * (good[0]['scored'] > 1)}), noisy {good[0]['noisy_psnr']:.2f} "
        f"dB; {told}, {' or '.join(sorted(threads))} thread(s) ({'; '.join(sorted(machines))}).\n\n"
        "| method | PSNR, dB | to supervised, dB | seeds | mean shift | CPU-seconds, training + the rest |\n"
        "|---|---|---|---|---|---|\n"
    )
    ceiling = [row["psnr"] for row in good if row["method"] == "supervised"]
    lines = [line(name, [row for row in rows if row["method"] == name], ceiling) for name in METHODS]
    return head + "".join(lines)


def line(name, rows, ceiling):
    label = METHODS[name][0]
    latest = {row["seed"]: row for row in rows if "error" not in row}
    if not rows:
        return ""
    if not latest:
        return f"| {label} | did not run: {rows[-1]['error'][:120].replace('|', '/')} | | | | |\n"
    values = list(latest.values())
    scores = np.array([row["psnr"] for row in values])
    spread = f" ± {scores.std(ddof=1):.2f}" if len(scores) > 1 else ""
    short = f"{scores.mean() - np.mean(ceiling):+.2f}" if ceiling and name != "supervised" else ""
    trained, cpu, shift = (
        np.mean([row[key] for row in values]) for key in ("training_cpu_seconds", "cpu_seconds", "mean_shift")
    )
    seeds = len(values) if METHODS[name][2] else ""
    cost = f"{trained:.0f} + {cpu - trained:.0f}"
    return f"| {label} | {scores.mean():.2f}{spread} | {short} | {seeds} | {shift:.1e} | {cost} |\n"


if __name__ == "__main__":
    main()
