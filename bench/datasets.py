"""The benchmark sets: what to train on, what to denoise, and the truth that scores it. Noise has fixed seeds.

    python bench/datasets.py --data ../shared/data        # lists the sets

Nothing but noisy images may reach a method; `targets` are for supervised training alone, the ceiling.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.ndimage
import tifffile

from meeum import Volume, api

GAIN, READ = 4.0, 5.0  # grey levels per photon, grey levels
COLOURED = "white noise filtered with a Gaussian of 1 px, then std 25 (correlation 0.78, 0.37, 0.11 at lag 1, 2, 3)"


def coloured(shape, rng):
    noise = scipy.ndimage.gaussian_filter(rng.normal(size=shape), 1, mode="wrap")
    return 25 * noise / noise.std()


def salted(image, rng):
    chance = rng.random(image.shape)
    return np.where(chance < 0.05, 0, np.where(chance > 0.95, 255, image))


NOISES = {  # name: in words, and a function of (grey levels 0 to 255, random generator)
    "white10": ("white Gaussian noise of std 10", lambda image, rng: image + rng.normal(0, 10, image.shape)),
    "white25": ("white Gaussian noise of std 25", lambda image, rng: image + rng.normal(0, 25, image.shape)),
    "white50": ("white Gaussian noise of std 50", lambda image, rng: image + rng.normal(0, 50, image.shape)),
    "coloured25": (COLOURED, lambda image, rng: image + coloured(image.shape, rng)),
    "poisson": (
        f"photons of {GAIN:g} grey levels each (Poisson) and read noise of std {READ:g}",
        lambda image, rng: GAIN * rng.poisson(image / GAIN) + rng.normal(0, READ, image.shape),
    ),
    "pepper10": ("salt and pepper: 5 % of the pixels 0, 5 % of them 255", salted),
}
TRAINED_ON_ITSELF = "Trained on what it denoises; the supervised network has seen this very truth."
FMD = ("fish", "mice", "BPAE_R", "BPAE_G", "BPAE_B")
TIRF = ("0010", "0020", "0050", "0100")
NOTES = {f"bsd_{name}": f"The clean images with {words}." for name, (words, _) in NOISES.items()} | {
    "bsd_white25_all": "The images of `bsd_white25`, but trained on the noisy images to be denoised, too, as a user "
    "would; the supervised network has seen their truth.",
    "hl60": "`hl60_noisy_odt_0` (35 angles, 0.1 rad of phase noise) against `hl60_full140`. " + TRAINED_ON_ITSELF,
    "fdtd": "`fdtd_noisy` (0.2 rad of phase noise) against `fdtd_clean`. " + TRAINED_ON_ITSELF,
    "even70": "`hl60_even70` against `hl60_odd70`, the other half of the angles: there is no truth. The other half's "
    "own noise is as strong as this one's, so a perfect result gains 3.01 dB and no more. Supervised means trained "
    "with the other half as target (Noise2Noise), and scored against that very half.",
    **{f"fmd_{n}": f"`{n}_noisy`, one confocal frame, against the average of 50. " + TRAINED_ON_ITSELF for n in FMD},
    **{
        f"tirf_{n}": f"TIRF, {int(n)} ms, three channels, one network for them. Gain and offset fitted to the "
        "reference by least squares before scoring, so that a blurred image costs less than usual. " + TRAINED_ON_ITSELF
        for n in TIRF
    },
}
PHANTOMS = {
    f"phantom_{colour}_{std:g}": {"noise_colour": colour, "noise_std": std}
    for colour in ("white", "optical")
    for std in (1e-3, 4e-3)
}
SCALES = {"bsd": "PSNR on range 255, mean over images.", "fmd": "PSNR on range 255."}
OTHER_SCALE = "PSNR on the range of the truth."


@dataclass
class DataSet:
    """Images to train on, and per group of results the (noisy, truth) pairs that score."""

    name: str
    train: list  # of Volume
    targets: list  # arrays, truth of `train` in its units
    groups: dict  # name -> list of (Volume, array)
    peak: float | None = 255.0  # None: the truth's maximum - minimum
    fitted: bool = False  # fit gain and offset before scoring
    std: float = 0.0  # of the noise
    halves: bool = False  # the truth is as noisy as the image
    correlation: np.ndarray | None = None  # of the noise, lag 0 in the middle, where it is known and not white
    photons: tuple | None = None  # grey levels per photon and read noise, where they are known


def note(name):
    """What is scored and how, in words."""
    return f"{NOTES[name]} {SCALES.get(name.partition('_')[0], OTHER_SCALE)}"


def load(name, folder, *, images=None):
    """A set by name; `images` takes the first so many of each group only (training images stay)."""
    if name not in NOTES:
        raise SystemExit(f"unknown set {name!r}; known are {', '.join(NOTES)}")
    kind, _, which = name.partition("_")
    made = {"bsd": bsd, "fmd": fmd, "tirf": tirf}[kind](folder, which) if which else tomogram(folder, name)
    made.groups = {group: pairs[:images] for group, pairs in made.groups.items()}
    made.std = known_std(made)
    return made


def bsd(folder, which):
    """400 training images of 180x180; BSD68 and Set12 score. Each draws its noise from its own generator."""
    which, _, scope = which.partition("_")
    noise = NOISES[which][1]
    clean = {name: archive(folder / "bsd" / f"{name}.npz") for name in ("train400", "bsd68", "set12")}
    noisy = {}
    for seed, (name, images) in enumerate(clean.items()):
        rng = np.random.default_rng([25, seed])
        noisy[name] = [Volume(noise(image, rng).astype(np.float32), "YX") for image in images]
    groups = {name: list(zip(noisy[name], clean[name], strict=True)) for name in ("bsd68", "set12")}
    seen = list(clean) if scope == "all" else ["train400"]
    train, targets = ([image for name in seen for image in images[name]] for images in (noisy, clean))
    made = DataSet("_".join(filter(None, ("bsd", which, scope))), train, targets, groups)
    made.photons = (GAIN, READ) if which == "poisson" else None
    if which == "coloured25":
        y, x = np.ogrid[-16:17, -16:17]
        made.correlation = np.exp(-(y**2 + x**2) / 4)
    return made


def archive(path):
    """Every image of an archive as float32 (Y, X)."""
    with np.load(path, allow_pickle=False) as file:
        stacks = [file[name] for name in file.files]
    flat = [image for stack in stacks for image in (stack if stack.ndim == 3 else [stack])]
    return [image.astype(np.float32) for image in flat]


def tomogram(folder, name):
    paths = {
        "hl60": ("hl60/hl60_noisy_odt_0.h5", "hl60/hl60_full140.h5"),
        "fdtd": ("fdtd/fdtd_noisy.h5", "fdtd/fdtd_clean.h5"),
        "even70": ("hl60/hl60_even70.h5", "hl60/hl60_odd70.h5"),
    }
    noisy, truth = (api.read(folder / path) for path in paths[name])
    noisy, truth = noisy.with_data(noisy.read()), truth.read()
    return DataSet(name, [noisy], [truth], {name: [(noisy, truth)]}, peak=None, halves=name == "even70")


def fmd(folder, which):
    noisy, truth = (tifffile.imread(folder / "fmd" / f"{which}_{end}.tif") for end in ("noisy", "average50"))
    noisy, truth = Volume(noisy.astype(np.float32), "YX"), truth.astype(np.float32)
    return DataSet(f"fmd_{which}", [noisy], [truth], {f"fmd_{which}": [(noisy, truth)]})


def tirf(folder, which):
    """The references, brought into the units of the noisy images, are the targets."""
    noisy = [archive(folder / "tirf" / f"raw_{which}_im{i}.npz")[0] for i in (1, 2, 3)]
    truth = [archive(folder / "tirf" / f"gt_gt{i}.npz")[0] for i in (1, 2, 3)]
    targets = [fit(t, n).astype(np.float32) for t, n in zip(truth, noisy, strict=True)]
    volumes = [Volume(image, "YX") for image in noisy]
    pairs = list(zip(volumes, truth, strict=True))
    return DataSet(f"tirf_{which}", volumes, targets, {f"tirf_{which}": pairs}, peak=None, fitted=True)


def fit(image, to):
    """gain * image + offset, closest to `to` in the mean square."""
    gain, offset = np.polyfit(image.ravel().astype(float), to.ravel().astype(float), 1)
    return gain * image + offset


def known_std(made):
    """Root mean square of the noise of what is denoised, for methods that have to be told."""
    pairs = [pair for pairs in made.groups.values() for pair in pairs]
    errors = [noisy.read() - (fit(truth, noisy.read()) if made.fitted else truth) for noisy, truth in pairs]
    power = np.mean([np.mean(error.astype(float) ** 2) for error in errors])
    return float(np.sqrt(power / (2 if made.halves else 1)))


def psnr(made, truth, image):
    """10 log10(peak² / mean squared error), dB."""
    image = fit(image, truth) if made.fitted else image
    peak = made.peak or float(truth.max()) - float(truth.min())
    return float(10 * np.log10(peak**2 / np.mean((image.astype(float) - truth) ** 2)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds bsd/, hl60/, fdtd/, fmd/, tirf/")
    args = parser.parse_args()
    for name in NOTES:
        made = load(name, args.data)
        for group, pairs in made.groups.items():
            scores = [psnr(made, truth, noisy.read()) for noisy, truth in pairs]
            print(
                f"{name}: {len(made.train)} to train on, {len(pairs)} of {group}, noise {made.std:.3g}, "
                f"noisy {np.mean(scores):.2f} dB. {note(name)}"
            )


if __name__ == "__main__":
    main()
