"""The methods that bench/peers.py compares: each from a benchmark set to denoised images and what was set."""

import copy
import json
import resource
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import scipy.fft
import scipy.ndimage
import torch

import meeum.noise
from meeum import api, preparation, session, training
from meeum.settings import assumed, override

TRAINED_FOR = "minutes"  # methods that train for as long as they are told
TRIAL = 26  # steps whose time tells how many fit, one validation among them
METHODS = {}  # name: (label, function of (set, seed, args) -> (denoised by group, what was set), how it trains)


def method(name, label, trained=None):
    def keep(function):
        METHODS[name] = (label, function, trained)
        return function

    return keep


def cpu_seconds():
    """User and system time of this process and of the children that have ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


# ---- meeum ----------------------------------------------------------------------------------------------------------


@method("meeum", "meeum, auto", TRAINED_FOR)
def auto(made, seed, args):
    return finished(paced(*prepared(made, seed, args, "auto"), args), made)


@method("meeum-masked", "meeum, masked (assumed footprint)", TRAINED_FOR)
def masked(made, seed, args):
    return finished(paced(*prepared(made, seed, args, "masked"), args), made)


@method("supervised", "*supervised, the ceiling*", TRAINED_FOR)
def supervised(made, seed, args):
    """The network that auto chose, trained with the truth as target for the same time."""
    running, began = prepared(made, seed, args, "auto")
    return finished(paced(with_truth(running, made.targets), began, args), made)


def prepared(made, seed, args, objective):
    """A session, and the CPU time at which it began; `paced` gives it its steps."""
    began = cpu_seconds()
    words = [f"training.objective={objective}", f"training.minutes={args.minutes}", f"training.seed={seed}"]
    return preparation.prepare(made.train, override(assumed(made.train[0].shape), [*words, *args.words])), began


def paced(running, began, args):
    """Steps for so many CPU-seconds since `began`, whoever else keeps the machine busy; on a GPU as planned in time."""
    if session.device(running.settings) != "cpu" or any(word.startswith("training.steps") for word in args.words):
        return running
    start, trial = cpu_seconds(), running.settings.training.model_copy(update={"steps": TRIAL})
    for _ in training.run(copy.deepcopy(running.state), running.pool, running.objective, trial):
        pass
    each_step = (cpu_seconds() - start) / TRIAL
    left = budget(args) - (cpu_seconds() - began)
    steps = min(max(1, round(left / each_step)), running.most_steps or 10**9)
    settings = running.settings.changed("training", steps=steps)
    return replace(running, model=replace(running.model, settings=settings))


def budget(args):
    """CPU-seconds of training, measuring the noise included."""
    return args.minutes * 60 * args.threads


def with_truth(running, targets):
    """The same session with the truth where the pool has the level of the noise, so that patches bring it along."""
    affine, blocks = running.model.normalisation, running.pool.blocks
    clean = [torch.from_numpy(affine.apply(t, np.ones(t.shape, bool))).to(blocks[0].device) for t in targets]
    if [c.shape for c in clean] != [b.shape for b in blocks]:
        raise SystemExit("the images do not fit into training.memory_gb: raise it for supervised training")
    pool = replace(running.pool, levels=tuple(clean))
    return replace(running, pool=pool, objective=squared_error)


def squared_error(network, batch, generator):
    error = (network(batch.image[:, None])[:, 0] - batch.level) ** 2
    return torch.where(batch.allowed, error, 0).sum() / batch.allowed.sum().clamp(min=1)


def finished(running, made):
    """Train, then denoise every image to be scored."""
    for _ in running.run():
        pass
    trained = cpu_seconds()
    model = running.snapshot()
    denoised = each(made, lambda noisy: api.denoise(noisy, model).read())
    chosen, network = model.settings.training, model.settings.network
    facts = {
        "objective": chosen.objective,
        "reason": model.reason,
        "steps": model.step,
        "precision": chosen.precision,
        "patch": chosen.patch,
        "batch": chosen.batch,
        "width": network.width,
        "top_skip": network.top_skip,
        "trained_at": trained,
    }
    return denoised, facts


def each(made, denoise):
    return {group: [denoise(noisy) for noisy, _ in pairs] for group, pairs in made.groups.items()}


# ---- CAREamics, in its own environment ------------------------------------------------------------------------------


@method("n2v", "CAREamics N2V, equal time", TRAINED_FOR)
def n2v(made, seed, args):
    return careamics(made, seed, args, ["--cpu-seconds", str(budget(args))])


@method("n2v2", "CAREamics N2V2, equal time", TRAINED_FOR)
def n2v2(made, seed, args):
    return careamics(made, seed, args, ["--n2v2", "--cpu-seconds", str(budget(args))])


@method("n2v-epochs", "CAREamics N2V, its own 30 epochs", "epochs")
def n2v_epochs(made, seed, args):
    return careamics(made, seed, args, ["--epochs", "30"])


@method("n2v2-epochs", "CAREamics N2V2, its own 30 epochs", "epochs")
def n2v2_epochs(made, seed, args):
    return careamics(made, seed, args, ["--n2v2", "--epochs", "30"])


def careamics(made, seed, args, words):
    if args.careamics is None:
        raise RuntimeError("no python of CAREamics' environment was given (--careamics)")
    flat = made.train[0].axes == "YX"
    axes = "ZYX" if not flat else "SYX" if len(made.train) > 1 else "YX"
    patch = "64 64" if flat else "16 64 64" if "--epochs" in words else "32 32 32"
    words = [*words, "--axes", axes, "--patch", *patch.split(), "--seed", str(seed + 1), "--workers", "0"]
    with tempfile.TemporaryDirectory() as folder:
        given, images = Path(folder) / "noisy.npy", Path(folder) / "images.npz"
        output = Path(folder) / ("denoised.npz" if flat else "denoised.npy")
        stack = np.stack([volume.read() for volume in made.train])
        np.save(given, stack if axes == "SYX" else stack[0])
        if flat:
            np.savez(images, **{f"{group}/{i}": n.read() for group, i, n in numbered(made)})
            words += ["--images", images]
        worker = Path(__file__).with_name("careamics_worker.py")
        command = [args.careamics, worker, "--input", given, "--output", output, "--threads", args.threads, *words]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        facts = json.loads(output.with_suffix(".json").read_text())
        results = np.load(output, allow_pickle=False)
        denoised = {group: [] for group in made.groups}
        for group, i, _ in numbered(made):
            denoised[group].append(results[f"{group}/{i}"] if flat else results)
    return denoised, facts


def numbered(made):
    return [(group, i, noisy) for group, pairs in made.groups.items() for i, (noisy, _) in enumerate(pairs)]


# ---- methods that do not train --------------------------------------------------------------------------------------


@method("bm3d", "BM3D, told the noise")
def bm3d_told(made, seed, args):
    if made.photons:
        return each(made, lambda noisy: stabilised(noisy.read(), made.photons, args)), {"stabilised": True}
    return each(made, lambda n: bm3d(n.read(), power(made.std, made.correlation, n.shape[-2:]), args)), {}


@method("bm3d-measured", "BM3D, noise as meeum measures it")
def bm3d_measured(made, seed, args):
    noise, correlation = measured(made)
    if correlation is not None and correlation.ndim == 3:
        correlation = correlation[correlation.shape[0] // 2]  # of a plane
    denoised = each(made, lambda n: bm3d(n.read(), power(noise.std, correlation, n.shape[-2:]), args))
    return denoised, {"std": noise.std}


@method("bm4d", "BM4D, told the noise's std")
def bm4d_told(made, seed, args):
    return each(made, lambda noisy: bm4d(noisy.read(), made.std, args)), {}


@method("bm4d-measured", "BM4D, noise as meeum measures it")
def bm4d_measured(made, seed, args):
    noise, correlation = measured(made)
    return each(made, lambda n: bm4d(n.read(), power(noise.std, correlation, n.shape), args)), {"std": noise.std}


def measured(made):
    noise = meeum.noise.measure(made.train)
    return noise, None if noise.is_white else noise.correlation()


def power(std, correlation, shape):
    """Power spectrum (FFT order, mean = variance times voxels) from a correlation with lag 0 in the middle."""
    if correlation is None:
        return std
    cut = [min(side, n) for side, n in zip(correlation.shape, shape, strict=True)]
    here, there = (middle(sides, cut) for sides in (correlation.shape, shape))
    whole = np.zeros(shape)
    whole[there] = correlation[here]
    spectrum = np.maximum(scipy.fft.fftn(scipy.fft.ifftshift(whole)).real, 0)
    return spectrum * (std**2 * spectrum.size / spectrum.mean())


def middle(sides, cut):
    return tuple(slice(n // 2 - c // 2, n // 2 - c // 2 + c) for n, c in zip(sides, cut, strict=True))


def bm3d(noisy, noise, args):
    """BM3D (Dabov 2007; Mäkinen 2020 for coloured noise) of a plane, or of a volume plane by plane."""
    prepare_bm4d()
    import bm3d as package

    profile = package.BM3DProfile()
    profile.num_threads = args.threads
    planes = noisy[None] if noisy.ndim == 2 else noisy
    mean = float(noisy.mean())
    made = [package.bm3d(plane.astype(float) - mean, noise, profile) + mean for plane in planes]
    return np.stack(made).reshape(noisy.shape).astype(np.float32)


def bm4d(noisy, noise, args):
    """BM4D (Maggioni 2013) of a volume."""
    prepare_bm4d()
    import bm4d as package

    profile = package.BM4DProfile()
    profile.num_threads = args.threads
    mean = float(noisy.mean())
    return (package.bm4d(noisy.astype(float) - mean, noise, profile) + mean).astype(np.float32)


def prepare_bm4d():
    if not hasattr(np, "trapz"):
        np.trapz = np.trapezoid  # bm4d 4.2.5 calls it by the name it had before numpy 2.4


def stabilised(noisy, photons, args):
    """BM3D between the generalised Anscombe transform and its unbiased inverse (Mäkitalo 2013)."""
    gain, read = photons
    root = 2 / gain * np.sqrt(np.maximum(gain * noisy + 3 / 8 * gain**2 + read**2, 0))
    d = np.maximum(bm3d(root, 1.0, args), 2 * np.sqrt(3 / 8))
    inverse = d**2 / 4 + np.sqrt(3 / 2) / 4 / d - 11 / 8 / d**2 + 5 / 8 * np.sqrt(3 / 2) / d**3 - 1 / 8
    return (gain * inverse - read**2 / gain).astype(np.float32)


@method("nlm", "non-local means (scikit-image), std estimated by it")
def nlm_estimated(made, seed, args):
    return each(made, lambda noisy: non_local_means(noisy.read(), None)), {}


@method("nlm-told", "non-local means (scikit-image), told the noise's std")
def nlm_told(made, seed, args):
    return each(made, lambda noisy: non_local_means(noisy.read(), made.std)), {}


def non_local_means(noisy, std):
    """Non-local means (Buades 2005), fast mode, strength as scikit-image advises."""
    from skimage.restoration import denoise_nl_means, estimate_sigma

    std = std or float(estimate_sigma(noisy))
    size = {"patch_size": 5, "patch_distance": 6} if noisy.ndim == 2 else {"patch_size": 3, "patch_distance": 5}
    return denoise_nl_means(noisy, h=0.8 * std, sigma=std, fast_mode=True, **size)


@method("wavelet", "wavelets (scikit-image, BayesShrink), std estimated by it")
def wavelets_estimated(made, seed, args):
    return each(made, lambda noisy: wavelets(noisy.read(), None)), {}


@method("wavelet-told", "wavelets (scikit-image, BayesShrink), told the noise's std")
def wavelets_told(made, seed, args):
    return each(made, lambda noisy: wavelets(noisy.read(), made.std)), {}


def wavelets(noisy, std):
    """Soft thresholds per subband (Chang 2000), on the image scaled to 0 to 1."""
    from skimage.restoration import denoise_wavelet

    low, high = float(noisy.min()), float(noisy.max())
    image = (noisy - low) / (high - low)
    told = std and std / (high - low)
    return (
        denoise_wavelet(image, sigma=told, method="BayesShrink", mode="soft", rescale_sigma=False) * (high - low) + low
    )


@method("median", "median filter, 3 voxels a side")
def median(made, seed, args):
    return each(made, lambda noisy: scipy.ndimage.median_filter(noisy.read(), 3)), {}
