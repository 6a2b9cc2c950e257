"""The audit calibrated: how often it fails what is well, and from which strength on it finds what was spoilt.

    python bench/audit_calibration.py --workers 4                   # appends to bench-audit.jsonl
    python bench/audit_calibration.py --table bench-audit.jsonl --keep

Simulated images (meeum.phantom) and smooth textures, whose truth is known. Nothing in the results file is run again.
"""

import multiprocessing
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace

import numpy as np
from audit_cases import CYCLE, FILTERS, IMAGES, LATTICES, NOISES, case, make
from peers import append, machine, recorded
from results import has, options, start

from meeum.auditing.finding import SEVERITY, worst
from meeum.auditing.judge import MEASURES, judge
from meeum.auditing.pair import gather
from meeum.auditing.planting import DAMAGES, Scene, plant

EXCUSED = {  # what the filter truly does, so that a verdict on it is no false alarm
    "gaussian": ("leftover",),  # of sigma 0.5 to 0.8 it leaves noise in, all of it where neighbours correlate
    "median": ("leftover", "cone"),  # of noise in the optics' support it makes some outside, the missing cone too
    "wiener": ("leftover",),  # lets noise through at the frequencies that have signal
}


def main():
    start(parse(), run, tables)


def run(args):
    os.environ["OMP_NUM_THREADS"] = "1"
    rows = recorded(args.results)
    jobs = [(benign, (index,)) for index in range(args.benign) if not has(rows, {"part": "benign", "index": index})]
    jobs += [(curve, (seed, todo)) for seed in range(args.seeds) if (todo := missing(rows, seed, args))]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(args.workers, mp_context=context) as pool:
        for future in as_completed([pool.submit(job, *given) for job, given in jobs]):
            for row in future.result():
                append(args.results, {**row, "machine": machine()})
                print(row, flush=True)


def parse():
    parser = options(__doc__, "audit")
    parser.add_argument("--benign", type=int, default=2 * CYCLE, help="images that are well")
    parser.add_argument("--seeds", type=int, default=24, help="images that every damage is planted into")
    parser.add_argument("--damages", nargs="+", default=list(DAMAGES), choices=list(DAMAGES), metavar="NAME",
                        help=", ".join(DAMAGES))  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="40 and 6 images, each damage at one strength")
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    if args.quick:
        args.benign, args.seeds = min(args.benign, 40), min(args.seeds, 6)
    return args


def missing(rows, seed, args):
    """Damages and strengths not yet planted into the image of that seed; none at all is 0 of nothing."""
    wanted = [
        (name, s) for name in args.damages for s in ((DAMAGES[name].default,) if args.quick else DAMAGES[name].grid)
    ]
    axes = 3 if case(seed)["image"] == "volume" else 2
    wanted = [("nothing", 0), *((name, s) for name, s in wanted if DAMAGES[name].axes <= axes)]
    head = {"part": "curve", "seed": seed}
    return [(n, s) for n, s in wanted if not has(rows, {**head, "damage": n, "strength": s})]


def benign(index):
    """The verdicts on a result that is well."""
    chosen, rng = case(index), np.random.default_rng([1, index])
    made = make(chosen, rng)
    found = verdicts(gather(made.noisy, made.clean))
    return [{"part": "benign", "index": index, **chosen, "level": made.level, "harm": made.harm, **found}]


def curve(seed, todo):
    """The verdicts on the truth, spoilt in each of the ways of `todo`."""
    chosen, rng = {**case(seed), "filter": "truth", "lattice": False}, np.random.default_rng([2, seed])
    made = make(chosen, rng)
    right = gather(made.noisy, made.truth)
    scene = replace(Scene.of(right.pieces[0], right.ratios), level=made.level)
    rows = []
    for name, strength in todo:
        image = scene.clean if name == "nothing" else plant(
            name, scene, rng=np.random.default_rng([3, seed]), strength=strength
        )  # fmt: skip
        found = verdicts(gather(made.noisy, made.truth.with_data(image + np.float32(right.offset)), noise=right.noise))
        planted = {"level": made.level, "damage": name, "strength": strength}
        rows.append({"part": "curve", "seed": seed, **chosen, **planted, **found})
    return rows


def verdicts(pair):
    """The gravest verdict of each measure; what raised it."""
    audit = {name: judge(pair, {name: measure}) for name, measure in MEASURES.items()}
    raised = [
        [name, one.title, one.verdict, float(f"{one.effect:.4g}"), one.bound, float(f"{one.p_value:.2g}")]
        for name, told in audit.items() for one in told.findings if one.verdict in ("fail", "warn")
    ]  # fmt: skip
    return {
        "verdicts": {name: worst([one.verdict for one in told.findings]) for name, told in audit.items()},
        "raised": raised,
        "timings": {name: round(told.seconds, 3) for name, told in audit.items()},
        "noise_measured": pair.noise.std,
    }


def tables(rows):
    """By name of the place in docs/audit.md."""
    well = [row for row in rows if row["part"] == "benign"]
    spoilt = [row for row in rows if row["part"] == "curve"]
    found = {"audit_false_alarms": alarms(well)} if well else {}
    return found | ({"audit_detection": detection(spoilt), "audit_rings": rings(spoilt)} if spoilt else {})


def alarms(rows):
    """Fails and warnings of each measure, and of any, on images that are well."""
    text = f"{len(rows)} results that are well ({rows[0]['machine']}); in brackets the 95 % interval (Wilson 1927).\n\n"
    text += "| measure | images | failed | warned | could not tell |\n|" + "---|" * 5 + "\n"
    for name in rows[0]["verdicts"]:
        text += line(name, [false[name] for row in rows if name in (false := verdicts_against(row))])
    return text + line("**any**", [worst(list(verdicts_against(row).values())) for row in rows]) + "\n" + groups(rows)


def line(name, said):
    counts = Counter(said)
    cells = [name, len(said), *(rate(counts[one], len(said)) for one in ("fail", "warn")), counts["cannot tell"]]
    return f"| {' | '.join(map(str, cells))} |\n"


def groups(rows):
    """Where the fails are."""
    text = "| of | images | failed by any measure |\n|---|---|---|\n"
    for key, choices in (("image", IMAGES), ("noise", NOISES), ("filter", FILTERS), ("lattice", LATTICES)):
        for choice in choices:
            same = [row for row in rows if row[key] == choice]
            bad = sum("fail" in verdicts_against(row).values() for row in same)
            words = ("a lattice in the input" if choice else "no lattice") if key == "lattice" else f"{key}: {choice}"
            text += f"| {words} | {len(same)} | {rate(bad, len(same))} |\n" if same else ""
    return text


def verdicts_against(row):
    """Verdicts that speak against the result or the measure: without those that are right."""
    said = {name: one for name, one in row["verdicts"].items() if name not in EXCUSED.get(row["filter"], ())}
    told = [title for name, title, *_ in row["raised"] if name == "lattice"]
    if row["lattice"] and told and all("in the input" in title for title in told) and said["lattice"] == "warn":
        said["lattice"] = "pass"  # it is there, and the result still has it
    return said


def rate(count, total):
    low, high = wilson(count, total)
    return f"{count} ({100 * low:.1f}-{100 * high:.1f} %)"


def wilson(count, total, z=1.96):
    """Confidence interval of a share (Wilson 1927)."""
    if not total:
        return 0.0, 1.0
    share, scale = count / total, 1 + z**2 / total
    middle, reach = share + z**2 / (2 * total), z * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    return max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)


def detection(rows):
    """Share of the images in which each damage was failed by the measure meant for it, by strength."""
    text = "| damage | measure | unit | strength: failed by it, % (warned too; by any measure) |\n|---|---|---|---|\n"
    before = {row["seed"]: row["verdicts"] for row in rows if row["damage"] == "nothing"}
    for name, damage in DAMAGES.items():
        cells = []
        for strength in sorted({row["strength"] for row in rows if row["damage"] == name}):
            same = [row for row in rows if (row["damage"], row["strength"]) == (name, strength)]
            shares = [100 * np.mean([found(row, before, *how) for row in same]) for how in ways(damage)]
            cells.append("{:g}: {:.0f} ({:.0f}; {:.0f})".format(strength, *shares))
        text += f"| {name} | {', '.join(damage.measures)} | {damage.unit} | {' · '.join(cells)} |\n" if cells else ""
    number = len({row["seed"] for row in rows})
    return f"{number} images, the truth of each spoilt ({rows[0]['machine']}).\n\n{text}"


def rings(rows):
    """In which noise and which images invented rings are found, and how often one that is not found passes."""
    strengths = (2, 4)
    text = "| rings in | " + " | ".join(f"{one} sigma: failed, passed, of" for one in strengths) + " |\n|---|---|---|\n"
    for key, choices in (("noise", NOISES), ("image", IMAGES)):
        for choice in choices:
            same = [row for row in rows if row["damage"] == "doughnut" and row[key] == choice]
            said = [[row["verdicts"]["invented"] for row in same if row["strength"] == one] for one in strengths]
            cells = [f"{one.count('fail')}, {one.count('pass')}, {len(one)}" for one in said]
            text += f"| {key}: {choice} | {' | '.join(cells)} |\n"
    return text


def ways(damage):
    return (damage.measures, ("fail",)), (damage.measures, ("fail", "warn")), (None, ("fail",))


def found(row, before, measures, grave):
    """Whether one of the measures says so, and says less of the same image unspoilt."""
    null = before.get(row["seed"], {})
    asked = row["verdicts"] if measures is None else [name for name in measures if name in row["verdicts"]]
    said = [(row["verdicts"][name], null.get(name, "pass")) for name in asked]
    return any(now in grave and SEVERITY[now] > SEVERITY[then] for now, then in said)


if __name__ == "__main__":
    main()
