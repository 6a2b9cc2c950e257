"""The audit put to the references of public sets as if they were results, and each surprise looked at by other means.

    python bench/references.py --data ../shared/data          # appends to bench-references.jsonl
    python bench/references.py --table bench-references.jsonl --keep

`--size` also times the audit of a simulated volume of 128x280x280 voxels, without a network.
"""

import time
from pathlib import Path

import numpy as np
import scipy.ndimage
from datasets import fit, load
from peers import append, machine, recorded
from results import has, options, start

from meeum import phantom
from meeum.auditing import gather, judge

FRAMES = ("fmd_fish", "fmd_mice", "fmd_BPAE_R", "fmd_BPAE_G", "fmd_BPAE_B")
SETS = ("hl60", "fdtd", "even70", *FRAMES, "tirf_0010", "tirf_0100")
LARGE = (128, 280, 280)
FRINGE = 7.47  # pixels


def main():
    start(parse(), run, lambda rows: {"references": table(rows)})


def parse():
    parser = options(__doc__, "references")
    parser.add_argument("--data", type=Path, help="folder that holds hl60/, fdtd/, fmd/, tirf/")
    parser.add_argument("--set", nargs="+", default=SETS, choices=SETS, metavar="NAME", help=", ".join(SETS))
    parser.add_argument("--size", action="store_true", help="time the audit of 10 million voxels instead")
    return parser.parse_args()


def run(args):
    for name in ("large",) if args.size else args.set:
        if not has(recorded(args.results), {"set": name}):
            row = {"set": name, **(timed() if name == "large" else judged(name, args.data)), "machine": machine()}
            append(args.results, row)
            print(row, flush=True)


def judged(name, data):
    """Verdicts on the reference, given as the result; of TIRF after a fit of gain and offset."""
    made = load(name, data)
    (pairs,) = made.groups.values()
    noisy, truth = pairs[0]
    values = noisy.read().astype(float)
    known = fit(truth, values) if made.fitted else truth
    found = judge(gather(noisy, noisy.with_data(np.asarray(known, np.float32))))
    raised = [f"{one.verdict}: {one.title}" for one in found.findings if one.verdict in ("fail", "warn")]
    return {"raised": raised, "counts": found.counts, **(looked_at(values, truth) if values.ndim == 2 else {})}


def looked_at(values, truth):
    """Slope of the frame on its reference, shift between them (pixels y, x), contrast of a fringe in the reference."""
    apart = truth - truth.mean()
    spectrum = np.fft.fft2(values - values.mean()) * np.conj(np.fft.fft2(apart))
    peak = np.fft.ifft2(spectrum).real
    place = np.unravel_index(int(peak.argmax()), peak.shape)
    near = [np.roll(peak, -p, axis).take([-1, 0, 1], axis).take(q, 1 - axis)
            for axis, (p, q) in enumerate(zip(place, place[::-1], strict=True))]  # fmt: skip
    shift = [(p + n // 2) % n - n // 2 + (a - c) / (2 * (a - 2 * b + c))
             for p, n, (a, b, c) in zip(place, peak.shape, near, strict=True)]  # fmt: skip
    power = np.abs(np.fft.fft2(apart * np.outer(*(np.hanning(n) for n in apart.shape)))) ** 2
    at = round(apart.shape[1] / FRINGE)
    around = np.r_[power[0, at - 12 : at - 3], power[0, at + 4 : at + 13]]
    contrast = power[0, at - 1 : at + 2].max() / np.median(around)
    return {"slope": (apart * values).sum() / (apart**2).sum(), "shift": shift, "fringe": contrast}


def timed():
    made = phantom.make(LARGE, settings=phantom.PhantomSettings(noise_std=2e-3))
    clean = made.noisy.with_data(scipy.ndimage.gaussian_filter(made.noisy.read(), 1))
    began = time.process_time()
    judge(gather(made.noisy, clean))
    return {"cpu_seconds": time.process_time() - began}


def table(rows):
    text = f"One frame of each, {rows[0]['machine']}.\n\n"
    text += "| reference of | failed, warned | slope of the frame on it | shift y, x, pixels | power at 7.47 pixels |\n"
    text += "|---|---|---|---|---|\n"
    for row in rows:
        if "raised" in row:
            cells = ["", "", ""]
            if "slope" in row:
                cells = [f"{row['slope']:.3f}", ", ".join(f"{s:+.2f}" for s in row["shift"]), f"{row['fringe']:.0f}"]
            text += f"| {row['set']} | {'; '.join(row['raised'])} | {' | '.join(cells)} |\n"
    took = [row["cpu_seconds"] for row in rows if "cpu_seconds" in row]
    return text + (f"\nAudit of 128x280x280 voxels without a network: {took[-1]:.0f} CPU-seconds.\n" if took else "")


if __name__ == "__main__":
    main()
