"""The lab note's six questions, asked of phantoms, of a real tomogram, and of public ones.

python bench/findings.py --data ../shared/data                     # appends to bench-findings.jsonl
python bench/findings.py --tomograms tomograms --image tomograms --question 3 --seeds 0
python bench/findings.py --table bench-findings.jsonl --keep       # into docs/findings.md
"""

import time
from functools import partial
from pathlib import Path

import numpy as np
import scipy.io
import torch
from peers import append, machine, recorded
from PIL import Image
from results import options, start

from meeum import api
from meeum.asking import experiments
from meeum.asking.answer import conclude
from meeum.asking.page import cells
from meeum.asking.questions import QUESTIONS
from meeum.auditing import Picture
from meeum.auditing.finding import plain_values
from meeum.report.evidence import draw
from meeum.volume import Volume

FIGURES = Path(__file__).parents[1] / "docs" / "findings"
SHOWN = ("phantom", "hl60")  # tomograms have no licence: their pictures are not kept
IMAGES = [*SHOWN, "tomograms"]


def main():
    start(parse(), run, tables)


def parse():
    parser = options(__doc__, "findings", page="findings.md")
    parser.add_argument("--data", type=Path, help="folder that holds hl60/: asks of the real tomogram too")
    parser.add_argument("--tomograms", type=Path, help="folder of HT-2H tomograms (README.md here says whose)")
    parser.add_argument("--question", nargs="+", type=int, default=sorted(QUESTIONS), choices=sorted(QUESTIONS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=experiments.STEPS)
    parser.add_argument("--precision", default="auto", help="auto, float32 or bfloat16: one for all trainings")
    parser.add_argument("--image", nargs="+", default=IMAGES, choices=IMAGES)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    return args


def run(args):
    """Each question, image and seed that is not in the results file yet: one line there for all its rows."""
    bench = None
    for number in args.question:  # in the order given
        for seed in args.seeds:
            for name, image in images(args):
                head = {"question": number, "image": name, "seed": seed, "steps": args.steps}
                if any(all(row[key] == head[key] for key in head) for row in recorded(args.results)):
                    continue
                auto = args.precision == "auto"
                bench = bench or (
                    experiments.bench(args.steps) if auto else experiments.Bench(args.steps, args.precision)
                )
                one(args, bench, image, head)


def images(args):
    found = []
    if "phantom" in args.image:
        found.append(("phantom", lambda: None))
    if "hl60" in args.image and args.data:
        found.append(("hl60", lambda: experiments.examined(api.read(args.data / "hl60" / "hl60_noisy_odt_0.h5"))))
    if "tomograms" in args.image and args.tomograms:
        found += [(path.stem, partial(tomogram, path)) for path in sorted(args.tomograms.glob("*.mat"))]
    return found


def tomogram(path):
    """A volume as the Bacteria Classifier's repository stores it: `data`, (Y, X, Z), refractive index."""
    values = np.ascontiguousarray(scipy.io.loadmat(path)["data"].transpose(2, 0, 1), dtype=np.float32)
    size = (0.2, 0.1, 0.1)
    return experiments.examined(
        Volume(values, "ZYX", voxel_size_um=size, quantity="refractive index", medium_index=1.3374, source=path)
    )


def one(args, bench, image, head):
    began, rows, count = time.process_time(), [], 0
    for told in QUESTIONS[head["question"]].trial(bench, image(), head["seed"]):
        if isinstance(told, str):
            print(f"{head['question']} {head['image']} seed {head['seed']}: {told}", flush=True)
        elif isinstance(told, Picture):
            count += 1
            wanted = head["seed"] == args.seeds[0] and head["image"] in SHOWN
            keep(told, FIGURES / f"q{head['question']}_{head['image']}_{count}.png", wanted)
        else:
            rows.append(plain_values(told))
    facts = {"precision": bench.precision, "cpu_seconds": time.process_time() - began, "machine": machine()}
    append(args.results, {**head, **facts, "rows": rows})
    print(conclude(QUESTIONS[head["question"]], rows).conclusion, flush=True)


def keep(picture, path, wanted):
    """A small figure: a palette of 128 colours is enough."""
    if wanted:
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(picture).quantize(255, Image.Quantize.MAXCOVERAGE).save(path, optimize=True)


def tables(records):
    stems = sorted({record["image"] for record in records} - set(SHOWN))
    told = [gathered(record, stems) if record["image"] in stems else record for record in records]
    return {f"q{number}": section(number, [r for r in told if r["question"] == number]) for number in QUESTIONS}


def gathered(record, stems):
    """A tomogram's rows under one name for all of them, each tomogram what a seed is to a phantom."""
    seed = stems.index(record["image"])
    names = [row["image"].replace(f"{record['image']}.mat", "HT-2H tomograms") for row in record["rows"]]
    return {
        **record,
        "rows": [{**row, "image": name, "seed": seed} for row, name in zip(record["rows"], names, strict=True)],
    }


def section(number, records):
    """The conclusion, its numbers, the table (means over seeds) and the figures of one question."""
    if not records:
        return "Not run yet.\n"
    question = QUESTIONS[number]
    rows = [row for record in records for row in record["rows"]]
    found = conclude(question, rows)
    seeds = sorted({record["seed"] for record in records})
    seconds = sum(record["cpu_seconds"] for record in records)
    head, *body = cells(question, rows)
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(line)} |" for line in body)]
    numbers = "\n".join(f"- {one.name}: {one.text}" for one in found.statistics)
    figures = sorted(FIGURES.glob(f"q{number}_*.png"))
    shown = "\n".join(f"![question {number}: {path.stem}](findings/{path.name})" for path in figures)
    where = f"{records[0]['steps']} steps, {len(seeds)} seed(s), {seconds:.0f} CPU-seconds ({records[0]['machine']})"
    table = "\n".join(lines)
    said = f"*What must happen:* {question.prediction}\n\n**{found.conclusion}**\n\n"
    doubt = f"*What would change our mind:* {question.doubt}"
    means = f"Means over seeds and, of HT-2H, over tomograms; {where}"
    return f"{said}{numbers}\n\n{doubt}\n\n{means}:\n\n{table}\n\n{shown}\n"


if __name__ == "__main__":
    main()
