"""Train meeum on one file, denoise it, and measure what it cost: beside careamics_worker.py, and as it does.

A process of its own, so that start-up and peak memory are those of one training. Writes a JSON file.
"""

import argparse
import json
import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from careamics_worker import peak_rss_mib

from meeum import api, noise, preparation
from meeum.settings import Settings, assumed, override


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", type=Path, required=True, help="noisy image")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--seconds", type=float, required=True, help="of training")
    parser.add_argument("--threads", type=int, default=2, help="torch threads")
    parser.add_argument("--auto", action="store_true", help="measure the noise, as the command line does")
    parser.add_argument("--words", nargs="*", default=[], help="section.key=value")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.output.write_text(json.dumps(measure(args)))


def measure(args):
    noisy = api.read(args.input)
    words = [*args.words, f"training.minutes={args.seconds / 60}"]
    running = preparation.prepare([noisy], override(assumed(noisy.shape) if args.auto else Settings(), words))
    facts = {"training_began": time.time()}
    began = time.monotonic()
    for _ in running.run():
        pass
    trained = time.monotonic()
    model = running.snapshot()
    denoised = api.denoise(noisy, model).read()
    predicted = time.monotonic()
    chosen = running.settings.training
    return facts | {
        **roughly(noisy, model, denoised),
        "parameters": sum(weights.numel() for weights in model.network.parameters()),
        "steps": model.step,
        "loop_seconds": trained - began,
        "train_mvoxel_per_s": math.prod(chosen.patch) * chosen.batch * model.step / (trained - began) / 1e6,
        "predict_mvoxel_per_s": denoised.size / (predicted - trained) / 1e6,
        "peak_rss_mib": peak_rss_mib(),
        "note": f"{chosen.precision}, patch {'x'.join(map(str, chosen.patch))}, batch {chosen.batch}",
    }


def roughly(noisy, model, exact):
    """Prediction in bfloat16: voxels per second; root mean square and largest difference, over the noise's std."""
    low = replace(model, settings=model.settings.changed("prediction", precision="bfloat16"))
    began = time.monotonic()
    rough = api.denoise(noisy, low).read()
    seconds = time.monotonic() - began
    off = np.abs(rough - exact) / (model.noise or noise.measure(noisy)).std
    return {
        "low_mvoxel_per_s": exact.size / seconds / 1e6,
        "low_rms": float(np.sqrt(np.mean(off**2))),
        "low_most": float(off.max()),
    }


if __name__ == "__main__":
    main()
