"""The estimated error beside the true one, on every set with truth: denoisers that learn nothing, and small networks.

    python bench/risk.py --data ../shared/data --images 4           # appends to bench-risk.jsonl
    python bench/risk.py --data ../shared/data --held-out           # the same on halves that no network saw
    python bench/risk.py --table bench-risk.jsonl --keep            # table and scatter plot, into docs/

The estimate sees the noisy image and the denoiser only, the true error all of the image. Networks are trained on what
they are judged by, but for the photographs, where they are trained on others, and for `--held-out`.
"""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import scipy.ndimage
import torch
from datasets import NOTES, PHANTOMS, DataSet, fit, load
from methods import non_local_means, wavelets
from peers import append, machine, recorded
from results import has, options, start
from scipy.stats import spearmanr

from meeum import api, phantom
from meeum.auditing import unbiased_risk
from meeum.noise import measure
from meeum.settings import assumed, override

FILTERS = {
    "nothing": lambda values: values,
    "gaussian-0.5": partial(scipy.ndimage.gaussian_filter, sigma=0.5),
    "gaussian-1": partial(scipy.ndimage.gaussian_filter, sigma=1),
    "gaussian-2": partial(scipy.ndimage.gaussian_filter, sigma=2),
    "median-3": partial(scipy.ndimage.median_filter, size=3),
    "wavelet": lambda values: wavelets(values, None),
    "nlm": lambda values: non_local_means(values, None),
}
NETWORKS = {  # name: (objective, steps)
    "recorrupted-60": ("recorrupted", 60),
    "recorrupted-300": ("recorrupted", 300),
    "masked-300": ("masked", 300),
}
# The other half is as noisy; impulses are no Gaussian noise; the images of bsd_white25 again.
LEFT_OUT = ("even70", "bsd_pepper10", "bsd_white25_all")
SETS = [*PHANTOMS, *(name for name in NOTES if name not in LEFT_OUT)]
SHAPE = (48, 128, 128)
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "risk.png"


def main():
    args = parse()
    start(args, run, tables)
    if args.table and args.keep:
        scatter(newest(row for row in recorded(args.table) if not row.get("held_out")))


def parse():
    parser = options(__doc__, "risk")
    parser.add_argument("--data", type=Path, help="folder that holds bsd/, hl60/, ...; phantoms need none")
    parser.add_argument("--set", nargs="+", default=SETS, choices=SETS, metavar="NAME", help=", ".join(SETS))
    parser.add_argument("--denoisers", nargs="+", default=[*FILTERS, *NETWORKS], choices=[*FILTERS, *NETWORKS],
                        metavar="NAME", help=", ".join([*FILTERS, *NETWORKS]))  # fmt: skip
    parser.add_argument("--images", type=int, default=4, help="judge the first so many images of a group only")
    parser.add_argument("--seed", type=int, default=0, help="of training, of the phantoms and of the estimate")
    parser.add_argument("--words", nargs="+", default=[], help="section.key=value, for the networks")
    parser.add_argument("--held-out", action="store_true", help="train on one half of each image, judge on the other")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    if not args.table and not args.data and not set(args.set) <= set(PHANTOMS):
        parser.error("give --data, or --set with phantoms only, or --table")
    torch.set_num_threads(args.threads)
    return args


def run(args):
    for name in args.set:
        judge(name, args)


def judge(name, args):
    """Every denoiser on every image of one set: append a line for each."""
    heads = {
        denoiser: {"set": name, "denoiser": denoiser, "seed": args.seed, "images": args.images, "words": args.words}
        for denoiser in args.denoisers
    }
    done = recorded(args.results)
    if args.held_out:
        heads = {key: {**head, "held_out": True} for key, head in heads.items()}
    heads = {key: head for key, head in heads.items() if not has(done, head)}
    if not heads:
        return
    made = simulated(name, args.seed) if name in PHANTOMS else load(name, args.data, images=args.images)
    pairs = [pair for group in made.groups.values() for pair in group]
    if args.held_out:
        made = replace(made, train=[half(volume, 0) for volume in made.train])
        pairs = [(half(noisy, 1), np.array_split(truth, 2)[1]) for noisy, truth in pairs]
    noises = [measure(noisy) for noisy, _ in pairs]
    for denoiser, head in heads.items():
        began = time.monotonic()
        asks = asker(denoiser, made, args)
        trained = time.monotonic() - began
        rows = [compared(pair, asks, noise, made=made, args=args) for pair, noise in zip(pairs, noises, strict=True)]
        facts = {"training_seconds": trained, "threads": args.threads, "machine": machine()}
        for image, row in enumerate(rows):  # all at once: a set that was cut short is run again
            append(args.results, {**head, "image": image, **row, **facts})
            print({**head, "image": image, **row}, flush=True)


def half(volume, number):
    """The first or the second half of an image's planes, or of a plane's rows."""
    return volume.with_data(np.ascontiguousarray(np.array_split(volume.read(), 2)[number]))


def simulated(name, seed):
    made = phantom.make(SHAPE, seed=seed, settings=phantom.PhantomSettings(**PHANTOMS[name]))
    truth = made.truth.read()
    return DataSet(name, [made.noisy], [truth], {name: [(made.noisy, truth)]}, peak=None)


def asker(denoiser, made, args):
    """From a noisy image to the function of arrays that denoises it; a network is trained for so many steps first."""
    if denoiser in FILTERS:
        return lambda _: FILTERS[denoiser]
    objective, steps = NETWORKS[denoiser]
    words = [f"training.objective={objective}", f"training.steps={steps}", f"training.seed={args.seed}", *args.words]
    model = api.train(made.train, override(assumed(made.train[0].shape), words))
    return lambda noisy: api.denoiser(noisy, model)


def compared(pair, asks, noise, *, made, args):
    """Estimated and true mean squared error of one denoiser on one image, data units squared."""
    noisy, truth = pair
    denoise, values = asks(noisy), noisy.read()
    if made.fitted:
        truth = fit(truth, values)  # the reference is known up to gain and offset
    began = time.monotonic()
    risk = unbiased_risk(noisy, lambda part: np.asarray(denoise(part), dtype=np.float32), noise, seed=args.seed)
    asked = time.monotonic() - began
    clean = np.asarray(denoise(values)).astype(float)
    return {
        **risk.as_dict(),
        "true": float(np.mean((clean - truth) ** 2)),
        "true_noise": float(np.mean((values.astype(float) - truth) ** 2)),
        "asked_seconds": asked,
    }


def tables(rows):
    """Judged on all of an image; and, trained on one half of it, on the other."""
    whole, halves = ([row for row in rows if row.get("held_out", False) == which] for which in (False, True))
    return {"risk": table(newest(whole)), "risk_held_out": unseen(newest(whole), newest(halves))}


def newest(rows):
    """The last row of each denoiser and image."""
    latest = {(row["set"], row["seed"], row["image"], row["denoiser"]): row for row in rows if row["set"] in SETS}
    return list(latest.values())


def unseen(whole, halves):
    """Estimate over truth of each network where it was trained and where it was not, medians over images."""
    text = f"| set | images | {' | '.join(NETWORKS)} |\n|---|---" + "|---" * len(NETWORKS) + "|\n"
    for name in sorted({row["set"] for row in halves}, key=SETS.index):
        cells = [
            " / ".join(
                f"{share:.2f}" if np.isfinite(share) else "-"
                for share in (ratio(rows, name, network) for rows in (whole, halves))
            )
            for network in NETWORKS
        ]
        count = len({row["image"] for row in halves if row["set"] == name})
        text += f"| {name} | {count} | {' | '.join(cells)} |\n"
    machines = ", ".join(sorted({row["machine"] for row in halves}))
    return f"Estimated over true error, trained on / unseen; one seed ({machines}).\n\n{text}"


def ratio(rows, name, denoiser):
    """Median over a set's images of estimated over true error; nan where it did not run."""
    found = [row["mse"] / row["true"] for row in rows if (row["set"], row["denoiser"]) == (name, denoiser)]
    return float(np.median(found)) if found else np.nan


def table(rows):
    """Per set over its images: how well the estimate ranks the denoisers, its bias, and what choosing by it costs."""
    names = sorted({row["set"] for row in rows}, key=SETS.index)
    denoisers, machines = ({row[key] for row in rows} for key in ("denoiser", "machine"))
    caption = (
        f"{len(denoisers)} denoisers: {', '.join(name for name in [*FILTERS, *NETWORKS] if name in denoisers)} "
        f"(steps of training behind the names of networks; {'; '.join(sorted(machines))}).\n\n"
    )
    head = (
        "| set | images | n | rank correlation | bias, dB | spread, dB | within two standard errors "
        "| noise variance, estimated / true | regret, dB |\n|" + "---|" * 9 + "\n"
    )
    return caption + head + "".join(line(name, [row for row in rows if row["set"] == name]) for name in names)


def scatter(rows):
    """Estimated against true error over the noise's own, a point per denoiser and image, filters and networks apart."""
    from matplotlib.figure import Figure  # for this picture only

    figure = Figure(figsize=(6, 5.4), dpi=110, layout="constrained")
    axes = figure.subplots()
    kinds = [name.split("_")[0] for name in SETS]
    for number, kind in enumerate(dict.fromkeys(kinds)):
        for marker, members in (("o", FILTERS), ("^", NETWORKS)):
            here = [row for row in rows if row["set"].split("_")[0] == kind and row["denoiser"] in members]
            estimated, true = (
                (np.array(values) for values in zip(*map(shares, here), strict=True)) if here else ([], [])
            )
            label = kind if marker == "o" else None
            axes.scatter(true, estimated, s=12, marker=marker, color=f"C{number}", alpha=0.6, linewidths=0, label=label)
    ends = [3e-3, 3]
    axes.plot(ends, ends, color="0.5", linewidth=1)
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
    axes.set_xlabel("true mean squared error / noise variance")
    axes.set_ylabel("estimated, without truth (at the edge: lower)")
    axes.legend(title="dots: filters, triangles: networks", fontsize=8, title_fontsize=8)
    figure.savefig(PICTURE)


def shares(row):
    """Estimated and true error over the true noise's variance; what lies outside the picture comes to its edge."""
    return [float(np.clip(row[key] / row["true_noise"], 3.1e-3, 2.9)) for key in ("mse", "true")]


def line(name, rows):
    images = {}
    for row in rows:
        images.setdefault((row["seed"], row["image"]), []).append(row)
    several = [group for group in images.values() if len(group) > 1]
    ranks = [float(spearmanr(*columns(group)).statistic) for group in several]
    estimated, true = columns(rows)
    # Below 0 there are no decibels: such estimates count as the lowest there are.
    ratio = 10 * np.log10(np.maximum(estimated, 1e-6 * true) / true)
    low, high = np.quantile(ratio, [0.25, 0.75])
    errors = np.array([np.hypot(row["standard_error"], row["systematic"]) for row in rows])
    within = np.mean(np.abs(estimated - true) <= 2 * errors)
    noise = np.median([row["noise_mse"] / row["true_noise"] for row in rows])
    rank = f"{np.mean(ranks):.2f} ({min(ranks):.2f})" if ranks else ""
    regrets = [regret(group) for group in several]
    lost = f"{np.mean(regrets):.2f} ({max(regrets):.2f})" if regrets else ""
    return (
        f"| {name} | {len(images)} | {len(rows)} | {rank} | {np.median(ratio):+.2f} | {high - low:.2f} "
        f"| {100 * within:.0f} % | {noise:.2f} | {lost} |\n"
    )


def columns(rows):
    """Estimated and true errors."""
    return np.array([row["mse"] for row in rows]), np.array([row["true"] for row in rows])


def regret(rows):
    """PSNR that is lost by taking the denoiser with the lowest estimate instead of the best one (dB)."""
    estimated, true = columns(rows)
    return float(10 * np.log10(true[np.argmin(estimated)] / true.min()))


if __name__ == "__main__":
    main()
