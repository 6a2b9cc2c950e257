"""Train CAREamics' Noise2Void on one array, denoise it or other images, and measure what it cost.

Runs under the interpreter of an environment of its own (see README.md), never under meeum's. Settings
are CAREamics' own defaults except where an option says otherwise. Reads and writes .npy; the measurements
go into a JSON file beside the output (same name, suffix .json).
"""

import argparse
import importlib
import importlib.metadata
import importlib.util
import json
import multiprocessing
import os
import platform
import resource
import sys
import tempfile
import time
import types
from pathlib import Path

import numpy as np

VERSIONS = ("careamics", "torch", "lightning", "numpy", "pydantic", "torchmetrics", "zarr")
STAND_INS = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")


def main(argv=None):
    """Run one training and one prediction as the command line says."""
    args = parse(argv)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(args.threads)  # before torch starts its thread pool
    noisy = read_array(args)
    import_careamics(args.threads)
    with tempfile.TemporaryDirectory(prefix="careamics-") as folder:
        record, denoised = measure(args, noisy, folder)
    write_atomically(args.output, lambda file: np.savez(file, **denoised) if args.images else np.save(file, denoised))
    text = json.dumps(record, indent=2) + "\n"
    write_atomically(args.output.with_suffix(".json"), lambda file: file.write(text.encode()))
    print(summary(record))


def parse(argv):
    """Read the command line; what cannot work stops here, before the slow imports."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", type=Path, required=True, help="noisy image, .npy")
    parser.add_argument("--output", type=Path, required=True, help="denoised image to write, .npy (.npz with --images)")
    parser.add_argument("--images", type=Path, help=".npz of (Y, X) images to denoise instead, with axes YX or SYX")
    parser.add_argument("--axes", choices=("YX", "SYX", "ZYX"), required=True, help="S is a stack of images")
    parser.add_argument("--patch", type=int, nargs="+", required=True, help="patch, one number per spatial axis")
    parser.add_argument("--batch", type=int, default=8, help="the networks use batch norm: 8 or more")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=int, default=30, help="passes over the image (CAREamics' default: 30)")
    length.add_argument("--seconds", type=float, help="stop at the first step after this much wall time")
    length.add_argument("--cpu-seconds", type=float, help="the same in CPU time of all processes")
    parser.add_argument("--n2v2", action="store_true", help="N2V2: median replacement, blur pooling")
    parser.add_argument("--seed", type=int, default=1, help="1 or more: CAREamics refuses 0")
    parser.add_argument("--val-patches", type=int, default=8, help="patches held out (CAREamics' default: 8)")
    parser.add_argument("--tile", type=int, nargs="+", help="predict by tiles; without it, the whole image at once")
    parser.add_argument("--overlap", type=int, nargs="+", help="of the tiles, even; required with --tile")
    parser.add_argument("--threads", type=int, default=2, help="torch threads")
    parser.add_argument("--workers", type=int, default=-1, help="loader processes; -1: CAREamics chooses (cores - 1)")
    parser.add_argument("--overwrite", action="store_true")
    args = parser.parse_args(argv)
    for problem in problems(args):
        parser.error(problem)
    return args


def problems(args):
    """Yield what is wrong with the arguments, in words."""
    spatial = len(args.axes.replace("S", ""))
    for name in ("patch", "tile", "overlap"):
        given = getattr(args, name)
        if given is not None and len(given) != spatial:
            yield f"--{name}: axes {args.axes} need {spatial} numbers, {len(given)} given"
    if (args.tile is None) != (args.overlap is None):
        yield "--tile and --overlap go together (CAREamics' default overlap is 2D and fails on volumes)"
    if args.images and args.axes == "ZYX":
        yield "--images: further images are planes, so the axes must be YX or SYX"
    for name in ("epochs", "seconds", "cpu_seconds", "seed"):
        given = getattr(args, name)
        if given is not None and given <= 0:
            yield f"--{name} must be above 0, {given} given"
    for path in (args.output, args.output.with_suffix(".json")):
        if path.exists() and not args.overwrite:
            yield f"{path} exists; choose another name or pass --overwrite"


def read_array(args):
    """Load the image as float32, shape as `--axes` says."""
    noisy = np.load(args.input, allow_pickle=False)
    if noisy.ndim != len(args.axes):
        sys.exit(f"{args.input}: axes {args.axes} need {len(args.axes)} dimensions, shape {noisy.shape} given")
    return np.ascontiguousarray(noisy, dtype=np.float32)


def import_careamics(threads):
    """Import CAREamics where torchvision cannot be installed: Noise2Void does not use it."""
    importlib.import_module("torch").set_num_threads(threads)
    # Lightning and torchmetrics ask the import system whether torchvision exists: they come before the stand-ins.
    importlib.import_module("lightning.pytorch")
    if "torchvision" not in sys.modules and importlib.util.find_spec("torchvision") is None:
        for name in STAND_INS:
            sys.modules[name] = types.ModuleType(name)
        sys.modules["torchvision"].__version__ = "0"
    importlib.import_module("careamics.careamist")


def measure(args, noisy, folder):
    """Train, predict; return the record and the denoised array (float32, shape of `noisy`)."""
    start, start_cpu = time.monotonic(), cpu_seconds()
    meter = build_meter(deadline(args, start, start_cpu))
    careamist = build(args, folder, meter)
    careamist.train(train_data=noisy)
    train = {"train_seconds": time.monotonic() - start, "train_cpu_seconds": cpu_seconds() - start_cpu}
    train["peak_rss_train_mib"] = peak_rss_mib()
    checkpoint = Path(folder) / "final.ckpt"
    # CAREamics predicts from a "last" checkpoint that it renews every tenth epoch only: save the weights as they are.
    careamist.trainer.save_checkpoint(checkpoint)
    start, start_cpu = time.monotonic(), cpu_seconds()
    if args.images:
        denoised = predict_images(args, careamist, checkpoint)
        voxels = sum(image.size for image in denoised.values())
    else:
        denoised = predict(args, careamist, noisy, checkpoint)
        voxels = noisy.size
    seconds = time.monotonic() - start
    after = {"predict_seconds": seconds, "predict_cpu_seconds": cpu_seconds() - start_cpu}
    after |= {"predict_mvoxel_per_s": voxels / seconds / 1e6, "peak_rss_mib": peak_rss_mib()}
    return {**describe(args, noisy, careamist), **train, **meter.record(), **after}, denoised


def deadline(args, start, start_cpu):
    """What tells the training that its time is over, or None where epochs are counted."""
    if args.cpu_seconds:
        return lambda: cpu_seconds() - start_cpu >= args.cpu_seconds
    return (lambda: time.monotonic() - start >= args.seconds) if args.seconds else None


def build_meter(over):
    """Make the callback that counts steps and voxels and stops the training once `over()`."""
    lightning = importlib.import_module("lightning.pytorch")

    class Meter(lightning.Callback):
        """Counts what training consumed; its clock runs from the first batch to the end of the fit."""

        def __init__(self):
            self.steps = self.samples = self.voxels = 0

        def on_train_start(self, trainer, pl_module):
            self.start, self.began = time.monotonic(), time.time()

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            self.steps = trainer.global_step
            self.samples += batch[0].data.shape[0]  # the last batch of an epoch may be short
            self.voxels += batch[0].data.numel()
            if over is not None and over():
                trainer.should_stop = True
                trainer.limit_val_batches = 0  # as CAREamist.stop_training: no validation after the bell

        def on_train_end(self, trainer, pl_module):
            self.end = time.monotonic()
            self.epochs = trainer.current_epoch

        def record(self):
            """What was counted, and voxels per second of the loop (validation included, set-up not)."""
            seconds = self.end - self.start
            times = {"training_began": self.began, "loop_seconds": seconds}
            counts = {"epochs": self.epochs, "steps": self.steps, "samples": self.samples}
            return {**times, **counts, "voxels": self.voxels, "train_mvoxel_per_s": self.voxels / seconds / 1e6}

    return Meter()


def build(args, folder, meter):
    """Make the CAREamist: CAREamics' defaults, plus a seed, our callback and silence."""
    factory = importlib.import_module("careamics.config.factories")
    config = factory.create_advanced_n2v_config(
        experiment_name="n2v",
        data_type="array",
        axes=args.axes,
        patch_size=args.patch,
        batch_size=args.batch,
        num_epochs=-1 if args.seconds or args.cpu_seconds else args.epochs,  # -1: no limit
        n_val_patches=args.val_patches,
        use_n2v2=args.n2v2,
        num_workers=args.workers,
        trainer_params={"enable_model_summary": False},
        seed=args.seed,
    )
    careamics = importlib.import_module("careamics.careamist")
    return careamics.CAREamist(config, work_dir=folder, callbacks=[meter], enable_progress_bar=False)


def predict_images(args, careamist, checkpoint):
    """Denoise every (Y, X) image of `--images`, those of one shape as one stack; padded to multiples of 4."""
    with np.load(args.images, allow_pickle=False) as file:
        images = {name: file[name].astype(np.float32) for name in file.files}
    denoised = {}
    for shape in sorted({image.shape for image in images.values()}):
        names = [name for name, image in images.items() if image.shape == shape]
        stack = np.stack([images[name] for name in names])
        padded = np.pad(stack, [(0, 0), *((0, -side % 4) for side in shape)], mode="reflect")
        given = [padded] if args.axes == "SYX" else list(padded)
        made = [predict(args, careamist, part, checkpoint) for part in given]
        results = made[0] if args.axes == "SYX" else made
        denoised |= {name: image[: shape[0], : shape[1]] for name, image in zip(names, results, strict=True)}
    return denoised


def predict(args, careamist, noisy, checkpoint):
    """Denoise the array, whole or by tiles; shape of the input."""
    tiles = {"tile_size": tuple(args.tile), "tile_overlap": tuple(args.overlap)} if args.tile else {}
    (denoised,), _ = careamist.predict(pred_data=noisy, checkpoint=checkpoint, **tiles)
    if denoised.shape != noisy.shape:
        sys.exit(f"CAREamics returned shape {denoised.shape} for an input of shape {noisy.shape}")
    return np.asarray(denoised, dtype=np.float32)


def describe(args, noisy, careamist):
    """What was run, on what, with which versions."""
    given = ("axes", "patch", "batch", "tile", "overlap", "seed", "val_patches", "threads")
    return {
        "tool": "careamics",
        "scheme": "n2v2" if args.n2v2 else "n2v",
        "input": args.input.name,
        "shape": list(noisy.shape),
        **{name: getattr(args, name) for name in given},
        "limit": limit(args),
        "workers": careamist.config.data_config.num_workers,
        "device": str(careamist.trainer.strategy.root_device),
        "parameters": sum(weights.numel() for weights in careamist.model.parameters()),
        "versions": {"python": platform.python_version(), **{n: importlib.metadata.version(n) for n in VERSIONS}},
    }


def limit(args):
    """When training was to stop."""
    given = {"seconds": args.seconds, "cpu_seconds": args.cpu_seconds}
    return {name: value for name, value in given.items() if value} or {"epochs": args.epochs}


def cpu_seconds():
    """User and system time of this process and its loader processes, ended or (Linux only) still running."""
    ended = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return ended + sum(running_cpu_seconds(child.pid) for child in multiprocessing.active_children())


def running_cpu_seconds(pid):
    """User and system time of one running process: getrusage counts children only once they have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_rss_mib():
    """Peak resident memory of this process in MiB, loader processes not included."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would also count the process that launched this one
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    unit = 2**20 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def write_atomically(path, write):
    """Write to a temporary file in the same folder, then rename."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        write(file)
    partial.replace(path)


def summary(record):
    """One line for the terminal."""
    return (
        f"{record['scheme']}: {record['steps']} steps in {record['train_seconds']:.1f} s"
        f" ({record['train_mvoxel_per_s']:.2f} Mvoxel/s), predicted in {record['predict_seconds']:.1f} s"
        f" ({record['predict_mvoxel_per_s']:.2f} Mvoxel/s), peak {record['peak_rss_mib']:.0f} MiB"
    )


if __name__ == "__main__":
    main()
