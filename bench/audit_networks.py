"""The audit put to networks: good ones, and ones made to misbehave, on phantoms and on a real tomogram.

    python bench/audit_networks.py --data ../shared/data --pictures pictures       # appends to bench-networks.jsonl
    python bench/audit_networks.py --table bench-networks.jsonl --keep             # into docs/audit.md

Each kind of misbehaviour is one that was met with other tools; `expected` names the measures that ought to object.
"""

import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from methods import with_truth
from peers import append, machine, recorded
from PIL import Image
from results import has, options, start
from torch import nn

import meeum
from meeum import api, masking, networks, phantom, preparation
from meeum.auditing.finding import SEVERITY
from meeum.patches import Normalisation
from meeum.settings import assumed, override

AUTO = ["training.objective=auto"]
MASKED = ["training.objective=masked", "masking.mask_size=5", "masking.footprint=0"]


class Transposed(nn.Module):
    """Max pooling and transposed convolutions of stride 2, the finest level passed across: a lattice of its own."""

    def __init__(self, shape):
        super().__init__()
        flat, width = shape.axes == 2, shape.width
        convolution, up, pool = (
            (nn.Conv2d, nn.ConvTranspose2d, nn.MaxPool2d) if flat else (nn.Conv3d, nn.ConvTranspose3d, nn.MaxPool3d)
        )
        self.enter = nn.Sequential(convolution(1, width, 3, padding=1), nn.ReLU())
        self.inner = nn.Sequential(pool(2), convolution(width, 2 * width, 3, padding=1), nn.ReLU())
        self.up = up(2 * width, width, 3, stride=2, padding=1, output_padding=1)
        self.leave = convolution(2 * width, 1, 1)
        self.stride, self.reach = (2,) * shape.axes, (8,) * shape.axes

    def forward(self, x):
        fine = self.enter(x)
        return self.leave(torch.cat([fine, self.up(self.inner(fine))], 1))


def constant(around, std, generator):
    """Every hidden voxel becomes 0 in the network's units."""
    return torch.zeros_like(around.own())


def strange(around, std, generator):
    """Every hidden voxel becomes a draw from a standard normal law in the network's units."""
    own = around.own()
    return torch.randn(own.shape, generator=generator, device=own.device)


networks.NETWORKS["transposed"] = Transposed
masking.SCHEMES |= {
    "constant": masking.Scheme(constant, ("mask_size",)),
    "strange": masking.Scheme(strange, ("mask_size",)),
}


@dataclass(frozen=True)
class Case:
    """Settings, steps, what is done to the finished model, and the measures that ought to object (none: it is good).

    supervised  trained with the truth as its target: what the noise allows at best
    """

    words: list
    steps: int = 400
    spoil: object = None
    expected: tuple = ()
    supervised: bool = False


def per_tile(noisy, model):
    """Each half of the image normalised by itself, as some tools do."""
    values, clean = noisy.read(), []
    for half in np.array_split(values, 2, axis=-1):
        piece = noisy.with_data(np.ascontiguousarray(half))
        own = Normalisation(float(half.mean()), float(half.std()))
        wide = replace(model, normalisation=own)
        out = api.denoise(piece, wide).read()
        clean.append((out - own.offset) / own.scale * model.normalisation.scale + model.normalisation.offset)
    return np.concatenate(clean, axis=-1)


def gained(noisy, model):
    """Normalised by one affine and brought back by another: a gain of 1.1 about the mean."""
    clean, mean = api.denoise(noisy, model).read(), model.normalisation.offset
    return mean + 1.1 * (clean - mean)


def shifted(noisy, model):
    """The offset of another image: a quarter of the contrast's standard deviation."""
    return api.denoise(noisy, model).read() + 0.25 * model.normalisation.scale


def inverted(noisy, model):
    """Brought back with the wrong sign of the scale."""
    clean, mean = api.denoise(noisy, model).read(), model.normalisation.offset
    return 2 * mean - clean


CASES = {
    "auto": Case(AUTO),
    "auto, 900 steps": Case(AUTO, steps=900),
    "auto's network trained with the truth, 900 steps": Case(AUTO, steps=900, supervised=True),
    "auto, U-Net": Case([*AUTO, "network.network=unet", "network.width=8", "network.top_skip=true"]),
    "mean masking, footprint (1,1,1)": Case([*MASKED, "masking.masking=mean", "masking.footprint=1"]),
    "auto, 5 steps": Case(AUTO, steps=5, expected=("far too short training",)),
    "transposed convolutions, max pooling": Case(
        [*MASKED, "masking.masking=UPS", "masking.footprint=1", "network.network=transposed"], expected=("lattice",)
    ),
    "the same, recorrupted": Case([*AUTO, "network.network=transposed", "network.width=8"], expected=("lattice",)),
    "constant replacement, window 5": Case([*MASKED, "masking.masking=constant"], expected=("rings, bead response",)),
    "Gaussian replacement, window 5": Case([*MASKED, "masking.masking=strange"], expected=("rings, bead response",)),
    "G, a tenth of the image's std": Case(
        [*MASKED, "masking.masking=G", "masking.mask_std=TENTH"], expected=("noise left",)
    ),
    "UPS, one voxel, window 3": Case([*MASKED, "masking.mask_size=3", "masking.masking=UPS"], expected=("noise left",)),
    "wrong gain": Case(AUTO, spoil=gained, expected=("gain",)),
    "wrong offset": Case(AUTO, spoil=shifted, expected=("offset",)),
    "wrong sign": Case(AUTO, spoil=inverted, expected=("inversion",)),
    "normalised half by half": Case(AUTO, spoil=per_tile, expected=("offset or seam",)),
}


def main():
    start(parse(), run, lambda rows: {"audit_networks": table(rows)})


def run(args):
    for volume in args.volume:
        noisy, truth = load(volume, args.data)
        args.now = volume
        for name in args.case:
            head = {"volume": volume, "case": name}
            if not has(recorded(args.results), head):
                row = head | (
                    careamics(noisy, truth, args) if name == "CAREamics N2V" else one(noisy, truth, name, args)
                )
                picture = args.pictures and draw(
                    args.pictures, f"{volume}-{name}", (noisy.read(), row.pop("clean"), truth)
                )
                row.pop("clean", None)
                append(args.results, row | {"machine": machine(), "picture": str(picture)})
                print({key: row[key] for key in ("volume", "case", "verdict", "failed", "psnr")}, flush=True)


def parse():
    parser = options(__doc__, "networks")
    parser.add_argument("--data", type=Path, help="folder that holds hl60/")
    parser.add_argument("--volume", nargs="+", default=list(VOLUMES), choices=list(VOLUMES))
    parser.add_argument("--case", nargs="+", default=[*CASES, "CAREamics N2V"], choices=[*CASES, "CAREamics N2V"])
    parser.add_argument("--careamics", type=Path, help="python of CAREamics' environment (README.md here)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pictures", type=Path, help="folder for a picture of each result: noisy, denoised, truth")
    parser.add_argument("--runs", type=Path, default=Path("bench-networks"), help="folder for models and results")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    return args


def simulated(**settings):
    made = phantom.make((32, 96, 96), seed=3, settings=phantom.PhantomSettings(**settings))
    return made.noisy, made.truth.read()


def hl60(data):
    noisy, truth = (api.read(data / "hl60" / f"hl60_{name}.h5") for name in ("noisy_odt_0", "full140"))
    return noisy.with_data(noisy.read()), truth.read()


VOLUMES = {
    "hl60": hl60,
    "phantom-2e-3": lambda data: simulated(noise_std=2e-3),
    "phantom-white-2e-3": lambda data: simulated(noise_std=2e-3, noise_colour="white"),
}


def load(name, data):
    return VOLUMES[name](data)


def one(noisy, truth, name, args):
    """Audit one network: asked where it made the result alone, by its result where something was done to that."""
    case, folder = CASES[name], args.runs / f"{args.now}-{plain(name)}"
    if not (folder / "clean.npy").exists():
        words = [word.replace("TENTH", f"{0.1 * float(noisy.read().std()):.3g}") for word in case.words]
        settings = override(assumed(noisy.shape), [*words, f"training.steps={case.steps}"])
        running = preparation.prepare([noisy], settings)
        model = trained(with_truth(running, [truth]) if case.supervised else running)
        clean = case.spoil(noisy, model) if case.spoil else api.denoise(noisy, model).read()
        api.save(model, folder)
        np.save(folder / "clean.npy", clean)
    model, clean = api.load(folder), np.load(folder / "clean.npy", allow_pickle=False)
    found = meeum.audit(noisy, noisy.with_data(clean), model=None if case.spoil else model, noise=model.noise)
    return {"clean": clean, "expected": list(case.expected), **judged(found, noisy.read(), clean, truth)}


def trained(running):
    for _ in running.run():
        pass
    return running.snapshot()


def careamics(noisy, truth, args):
    """CAREamics N2V with its defaults for two CPU-minutes, judged from its result alone."""
    worker, folder = Path(__file__).with_name("careamics_worker.py"), args.runs / f"{args.now}-careamics"
    output = folder / "clean.npy"
    if not output.exists():
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "noisy.npy", noisy.read())
        words = ["--axes", "ZYX", "--patch", "32", "32", "32", "--cpu-seconds", "120", "--seed", "1", "--workers", "0"]
        command = [args.careamics, worker, "--input", folder / "noisy.npy", "--output", output, *words]
        subprocess.run([str(word) for word in (*command, "--threads", args.threads)], check=True, capture_output=True)
    clean = np.load(output, allow_pickle=False)
    found = meeum.audit(noisy, noisy.with_data(clean))
    return {"clean": clean, "expected": [], **judged(found, noisy.read(), clean, truth)}


def plain(name):
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def judged(found, noisy, clean, truth):
    """Verdicts by finding, and PSNR before and after."""
    objections = [one for one in found.findings if SEVERITY[one.verdict] >= SEVERITY["warn"]]
    return {
        "verdict": found.verdict,
        "failed": [one.title for one in objections if one.verdict == "fail"],
        "warned": [one.title for one in objections if one.verdict == "warn"],
        "sentences": [one.sentence for one in objections],
        "unknown": [one.title for one in found.findings if one.verdict == "cannot tell"],
        "psnr": [decibel(noisy, truth), decibel(clean, truth)],
        "seconds": found.seconds,
    }


def decibel(image, truth):
    error = np.mean((image.astype(float) - truth) ** 2)
    return float(10 * np.log10(np.ptp(truth.astype(float)) ** 2 / error))


def draw(folder, name, images):
    """Middle planes of noisy, denoised and true image side by side, one grey scale, twice the size."""
    folder.mkdir(parents=True, exist_ok=True)
    planes = [image[len(image) // 2] for image in images]
    low, high = np.percentile(planes[-1], (0.2, 99.8))
    row = np.clip((np.concatenate(planes, axis=1) - low) / (high - low), 0, 1)
    path = folder / f"{plain(name)}.png"
    Image.fromarray((255 * row).astype(np.uint8)).resize((2 * row.shape[1], 2 * row.shape[0]), 0).save(path)
    return path


def table(rows):
    """One row per network and volume: what was expected, what the audit says, how many numbers could not be told."""
    heads = ("volume", "network", "PSNR, dB", "ought to be caught by", "verdict", "failed", "warned", "untold")
    text = f"| {' | '.join(heads)} |\n{len(heads) * '|---'}|\n"
    for row in sorted(rows, key=lambda row: list(VOLUMES).index(row["volume"])):
        before, after = row["psnr"]
        words = [", ".join(row[key]) for key in ("expected", "failed", "warned")]
        text += (
            f"| {row['volume']} | {row['case']} | {before:.1f} -> {after:.1f} | {words[0] or 'nothing'} "
            f"| **{row['verdict']}** | {words[1]} | {words[2]} | {len(row['unknown'])} |\n"
        )
    return f"{len(rows)} networks on one thread ({rows[0]['machine']}).\n\n{text}"


if __name__ == "__main__":
    main()
