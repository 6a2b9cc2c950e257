"""Time is the dial: which network is best after 1, 5 and 20 minutes of training, in 2D and in 3D.

    python bench/dial.py --data ../shared/data --set hl60 --minutes 1 5 --threads 1      # appends to bench-dial.jsonl
    python bench/dial.py --table bench-dial.jsonl --keep                                 # into docs/benchmarks.md

Objective, noise, flips and local means are `auto`'s everywhere: networks alone differ. CPU time, as in peers.py.
"""

from argparse import Namespace
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from datasets import load
from methods import METHODS
from peers import append, costs, machine, metered, recorded, scores
from results import has, options, start

PLAIN = "network.network=unet"
SHUFFLE = "network.network=shuffle"
NETWORKS = {
    "bsd_white25": {
        "shuffle, 32 channels (`auto`)": [],
        "shuffle, 16 channels": [SHUFFLE, "network.width=16"],
        "shuffle, 64 channels": [SHUFFLE, "network.width=64"],
        "U-Net, 16 channels, top skip": [PLAIN, "network.width=16", "network.top_skip=true"],
    },
    "hl60": {
        "U-Net, 8 channels (`auto`)": [],
        "U-Net, 16 channels": ["network.width=16"],
        "U-Net, 8 channels, top skip": [PLAIN, "network.width=8", "network.top_skip=true"],
        "shuffle, 16 channels": [SHUFFLE, "network.width=16"],
        "shuffle, 16 channels, depth 3": [SHUFFLE, "network.width=16", "network.depth=3"],
        "shuffle, 32 channels": [SHUFFLE, "network.width=32"],
    },
}


def main():
    start(parse(), run, lambda rows: {"dial": table(rows)})


def parse():
    parser = options(__doc__, "dial", page="benchmarks.md")
    parser.add_argument("--data", type=Path, help="folder that holds bsd/ and hl60/")
    parser.add_argument("--set", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--network", nargs="+", help="names of networks; all of the set's if left out")
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 5, 20])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    if not args.table and not args.data:
        parser.error("give --data, or --table")
    torch.set_num_threads(args.threads)
    return args


def run(args):
    """One training per set, time, network and seed: append a line with the PSNR of every group of images."""
    for name in args.set:
        made = load(name, args.data)
        for minutes in args.minutes:
            for network, words in NETWORKS[name].items():
                for seed in args.seeds if not args.network or network in args.network else []:
                    head = {"set": name, "network": network, "minutes": minutes, "seed": seed}
                    if not has(recorded(args.results), head):
                        append(args.results, head | trained(made, seed, minutes, words, args))


def trained(made, seed, minutes, words, args):
    _, method, _ = METHODS["meeum"]
    with metered() as cost:
        denoised, chosen = method(made, seed, Namespace(**vars(args) | {"minutes": minutes, "words": words}))
    found = {group: scores(made, group, images)["psnr"] for group, images in denoised.items()}
    print(made.name, minutes, words, found, flush=True)
    return {"psnr": found, **costs(cost, chosen), "settings": chosen, "threads": args.threads, "machine": machine()}


def table(rows):
    """A row per network, a column per group of images and time; the best of each column in bold."""
    text = (
        f"One training each, {rows[0]['threads']} thread(s) ({rows[0]['machine']}); PSNR, dB, and steps in brackets.\n"
    )
    for name in dict.fromkeys(row["set"] for row in rows):
        own = [row for row in rows if row["set"] == name]
        columns = [(group, minutes) for group in own[0]["psnr"] for minutes in sorted({row["minutes"] for row in own})]
        cells = defaultdict(list)
        for row in own:
            for group, psnr in row["psnr"].items():
                cells[row["network"], (group, row["minutes"])].append((psnr, row["settings"]["steps"]))
        means = {key: float(np.mean([psnr for psnr, _ in found])) for key, found in cells.items()}
        rivals = {column: [mean for (_, at), mean in means.items() if at == column] for column in columns}
        best = {column: max(found) for column, found in rivals.items() if len(found) > 1}
        text += f"\n| {name} | " + " | ".join(f"{group}, {minutes:g} min" for group, minutes in columns) + " |\n"
        text += "|---" * (len(columns) + 1) + "|\n"
        for network in NETWORKS[name]:
            line = [cell(means.get((network, at)), cells[network, at], best.get(at)) for at in columns]
            text += f"| {network} | {' | '.join(line)} |\n"
    return text


def cell(mean, found, best):
    if mean is None:
        return "–"
    told = f"**{mean:.2f}**" if mean == best else f"{mean:.2f}"
    return f"{told} ({round(np.mean([steps for _, steps in found]))})"


if __name__ == "__main__":
    main()
