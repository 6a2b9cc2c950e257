"""Choosing without truth: `meeum compare` on sets with truth, and what its choice costs against the best of the grid.

    python bench/choose.py --data ../shared/data --minutes 2 --preset objectives      # appends to bench-choose.jsonl
    python bench/choose.py --table bench-choose.jsonl --keep

Only the noisy image is seen by the choice; the truth scores it afterwards. A set that was cut
short goes on where it was.
"""

from pathlib import Path

import numpy as np
import torch
from datasets import PHANTOMS, load
from peers import append, machine, recorded
from results import has, options, start
from scipy.stats import spearmanr

from meeum import api, phantom
from meeum.comparing import comparison
from meeum.request import Request, Sought, comparing

SETS = ("hl60", "fdtd", "fmd_fish", "fmd_mice", "fmd_BPAE_G", "fmd_BPAE_R", *PHANTOMS)
ENOUGH = 0.3  # dB that the choice may cost


def main():
    start(parse(), run, lambda rows: {"choose": tables(rows)})


def parse():
    parser = options(__doc__, "choose", page="benchmarks.md")
    parser.add_argument("--data", type=Path, help="folder that holds hl60/, fdtd/, fmd/; phantoms need none")
    parser.add_argument("--set", nargs="+", default=SETS, choices=SETS, metavar="NAME", help=", ".join(SETS))
    parser.add_argument("--preset", default="objectives", help="objectives or note")
    parser.add_argument("--minutes", type=float, default=2.0, help="of training, per run")
    parser.add_argument("--steps", type=int, help="of training, per run, instead of minutes")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--shape", type=int, nargs=3, default=(48, 128, 128), help="of phantoms")
    parser.add_argument("--words", nargs="+", default=[], help="section.key=value, for every run")
    parser.add_argument("--runs", type=Path, default=Path("bench-choose"), help="folder of the runs")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    if not args.table and not args.data and not set(args.set) <= set(PHANTOMS):
        parser.error("give --data, or --set with phantoms only, or --table")
    torch.set_num_threads(args.threads)
    return args


def run(args):
    """One comparison per set: append a line with all of its settings."""
    for name in args.set:
        head = {"set": name, "preset": args.preset, "minutes": None if args.steps else args.minutes,
                "steps": args.steps, "seeds": args.seeds, "words": args.words}  # fmt: skip
        if name in PHANTOMS:
            head["shape"] = list(args.shape)
        if has(recorded(args.results), head):
            print(f"{head}: already in {args.results}", flush=True)
            continue
        result = compared(name, args)
        row = {**head, **outcome(result), "threads": args.threads, "machine": machine()}
        append(args.results, row)
        print({key: value for key, value in row.items() if key != "settings"}, flush=True)


def compared(name, args):
    length = [f"training.steps={args.steps}"] if args.steps else [f"training.minutes={args.minutes}"]
    noisy, truth = files(name, args)
    tag = f"{noisy.stem.removesuffix('-noisy')}-{args.preset}-{length[0].split('=')[1]}-{args.seeds}"
    folder = args.runs / tag
    asked = Request((noisy,), folder, "bench/choose.py", None, (*length, *args.words))
    plan = comparing(asked, Sought(preset=args.preset, seeds=args.seeds, truth=truth, jobs=1))
    done = -1
    for step in comparison.start(plan):
        if step.done > done:
            done = step.done
            print(f"{tag}: {step.done} of {step.count} done", flush=True)
    return step.result


def files(name, args):
    """The noisy image and its truth as files, written once."""
    tag = f"{name}-{'x'.join(map(str, args.shape))}" if name in PHANTOMS else name
    paths = tuple(args.runs / f"{tag}-{kind}.hdf" for kind in ("noisy", "truth"))
    if not all(path.exists() for path in paths):
        args.runs.mkdir(parents=True, exist_ok=True)
        for volume, path in zip(images(name, args), paths, strict=True):
            api.write(volume, path, overwrite=True)
    return paths


def images(name, args):
    if name in PHANTOMS:
        made = phantom.make(tuple(args.shape), seed=0, settings=phantom.PhantomSettings(**PHANTOMS[name]))
        return made.noisy, made.truth
    (pairs,) = load(name, args.data).groups.values()
    noisy, truth = pairs[0]
    return noisy, noisy.with_data(truth.astype(np.float32))


def outcome(result):
    """The choice, the lowest estimate, the best by the truth, and every setting's scores."""
    ranking, known = result.ranking, [one for one in result.standings if one.finished]
    settings = [
        {"name": one.name, "mse": one.mse, "psnr": one.psnr, "ssim": one.ssim, "fails": list(one.fails)}
        for one in known
    ]
    return {
        "noisy_psnr": result.noisy_psnr,
        "chosen": ranking.chosen if ranking else None,
        "lowest": ranking.leader if ranking else None,
        "ties": list(ranking.ties) if ranking else [],
        "best": max(known, key=lambda one: one.psnr).name,
        "settings": settings,
    }


def tables(rows):
    """A table per preset and length of training."""
    latest = {(row["set"], row["preset"], row["minutes"], row["steps"], row["seeds"]): row for row in rows}
    kinds = dict.fromkeys(key[1:] for key in latest)
    return "\n".join(table([row for key, row in latest.items() if key[1:] == kind], kind) for kind in kinds)


def table(rows, kind):
    preset, minutes, steps, seeds = kind
    length = f"{steps} steps" if steps else f"{minutes:g} minute(s)"
    threads, machines = ({str(row[key]) for row in rows} for key in ("threads", "machine"))
    rows = sorted(rows, key=lambda row: SETS.index(row["set"]))
    lost = [regret(row, "chosen") for row in rows]
    lowest = [regret(row, "lowest") for row in rows]
    head = (
        f"**Preset `{preset}`**, {length} of training per run, {seeds} seed(s), "
        f"{' or '.join(sorted(threads))} thread(s) ({'; '.join(sorted(machines))}). PSNR on the range of the truth.\n\n"
        "| set | noisy, dB | chosen | its PSNR, dB | best | its PSNR, dB | regret, dB | regret by the error alone, dB "
        "| rank correlation | settings |\n|" + "---|" * 10 + "\n"
    )
    foot = (
        f"\nChosen within {ENOUGH:g} dB of the best: {sum(one <= ENOUGH for one in lost)} of {len(rows)} sets; by the "
        f"estimated error alone, audits aside: {sum(one <= ENOUGH for one in lowest)}.\n"
    )
    return head + "".join(line(row) for row in rows) + foot


def line(row):
    chosen, best = named(row, row["chosen"]), named(row, row["best"])
    return (
        f"| {row['set']} | {row['noisy_psnr']:.2f} | {chosen['name']} | {chosen['psnr']:.2f} | {best['name']} "
        f"| {best['psnr']:.2f} | {regret(row, 'chosen'):.2f} | {regret(row, 'lowest'):.2f} ({row['lowest']}) "
        f"| {correlation(row):.2f} | {len(row['settings'])} |\n"
    )


def named(row, name):
    return next((one for one in row["settings"] if one["name"] == name), {"name": "none", "psnr": float("nan")})


def regret(row, which):
    """PSNR of the best less that of the one taken, dB."""
    return named(row, row["best"])["psnr"] - named(row, row[which])["psnr"]


def correlation(row):
    """Spearman's, of the estimated error with the true one: 1 is perfect."""
    known = [one for one in row["settings"] if np.isfinite(one["mse"])]
    if len(known) < 3:
        return float("nan")
    return float(spearmanr([one["mse"] for one in known], [-one["psnr"] for one in known]).statistic)


if __name__ == "__main__":
    main()
