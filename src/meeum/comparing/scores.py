"""How good one run is: its estimated error region by region, and, where the truth is given, PSNR and SSIM."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from meeum import api, folder
from meeum.auditing import Losses, cell_losses, psnr
from meeum.checkpoint import Model
from meeum.errors import MeeumError
from meeum.noise import Noise
from meeum.volume import Volume

Array = NDArray[Any]

FILE = "score.json"  # in the folder of a run
VERSION = 1
SEED = 0  # of pieces and directions: the same for every run, so that differences are paired
SIGMA, TRUNCATE = 1.5, 3.5  # a window of 11 pixels
K1, K2 = 0.01, 0.03


@dataclass(frozen=True)
class Run:
    """One run of a comparison and what came of it.

    cells     estimated squared error per region, data units squared; empty where it could not be estimated
    audit     its audit.json
    problem   why there is no result, where there is none
    untold    why there is no estimate, where there is none
    """

    setting: str
    seed: int
    folder: Path
    cells: Array
    noise_mse: float = math.nan
    audit: dict[str, Any] | None = None
    steps: int = 0
    seconds: float = math.nan
    reason: str = ""
    psnr: float = math.nan
    ssim: float = math.nan
    problem: str = ""
    untold: str = ""


def score(target: Path, noisy: Volume, noise: Noise) -> None:
    """Estimate the error of the run in a folder and keep it there; why not, where it cannot be told."""
    try:
        found = losses(noisy, api.load(target), noise)
        kept = {"cells": found.cells.tolist(), "noise_mse": found.noise_mse, "untold": ""}
    except MeeumError as problem:
        kept = {"cells": [], "noise_mse": noise.std**2, "untold": str(problem)}
    text = json.dumps({"version": VERSION, "noise_std": noise.std, "seed": SEED, **kept}, allow_nan=False)
    folder.put(target / FILE, text + "\n")


def losses(noisy: Volume, model: Model, noise: Noise) -> Losses:
    """Estimated squared error per region, on the pieces that every other run is asked about too."""
    return cell_losses(noisy, api.denoiser(noisy, model), noise, seed=SEED)


def is_scored(target: Path, noise: Noise) -> bool:
    """Whether a score lies there that holds for this noise."""
    kept = _kept(target)
    return kept.get("version") == VERSION and kept.get("noise_std") == noise.std and kept.get("seed") == SEED


def _kept(target: Path) -> dict[str, Any]:
    try:
        found = json.loads((target / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def read_run(setting: str, seed: int, target: Path, *, truth: Volume | None = None, problem: str = "") -> Run:
    """All that a comparison asks of a finished run; of one that failed, why it did. `truth`: of the first frame."""
    if problem or not (target / folder.REPORT).is_file():
        return Run(setting, seed, target, np.empty(0), problem=problem or "not finished")
    model, kept = api.load(target), _kept(target)
    audit = json.loads((target / folder.AUDIT).read_text(encoding="utf-8"))
    clean = denoised(target)
    return Run(
        setting,
        seed,
        target,
        np.array(kept.get("cells", []), dtype=float),
        noise_mse=kept.get("noise_mse", math.nan),
        audit=audit,
        steps=model.step,
        seconds=float(model.history[-1]["seconds"]) if model.history else math.nan,
        reason=model.reason,
        psnr=psnr(truth, clean) if truth else math.nan,
        ssim=ssim(truth, clean) if truth else math.nan,
        untold=kept.get("untold", "it was not estimated"),
    )


def denoised(target: Path, *, no_data: float | None = None) -> Volume:
    """The result of a run of a comparison; of a time lapse, its first frame. `no_data` as in the noisy image."""
    return api.read(target / folder.RESULTS / "0.hdf", dataset="output", no_data=no_data)


def ssim(truth: Volume, image: Volume) -> float:
    """Mean structural similarity (Wang 2004) of the first frame, plane by plane; ideal 1.

    Gaussian window of sigma 1.5, cut at 11 pixels, data range = the truth's; the outermost 5 pixels, for which the
    window is not whole, and voxels without data do not count. nan where nothing is left.
    """
    true, given = truth.frame(0), image.frame(0)
    if true.shape != given.shape:
        raise MeeumError(f"{image.name}: shape {given.shape} differs from the truth's, {truth.name}: {true.shape}")
    span, total, count = _range(true), 0.0, 0
    for plane in _planes(true):
        x, y = (volume.read(plane).reshape(volume.shape[-2:]).astype(np.float64) for volume in (true, given))
        known = true.valid(x) & np.isfinite(x) & np.isfinite(y)
        found = _similarity(np.where(known, x, 0), np.where(known, y, 0), span)
        known = known[_INNER]
        total, count = total + float(found[_INNER][known].sum()), count + int(known.sum())
    return total / count if count and span > 0 else math.nan


_INNER = (slice(5, -5), slice(5, -5))


def _similarity(x: Array, y: Array, span: float) -> Array:
    """The index of every pixel of two planes (Y, X)."""
    mean_x, mean_y = _window(x), _window(y)
    var_x, var_y = _window(x * x) - mean_x**2, _window(y * y) - mean_y**2
    covariance = _window(x * y) - mean_x * mean_y
    c1, c2 = (K1 * span) ** 2, (K2 * span) ** 2
    above = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return np.asarray(above / np.maximum((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2), 1e-300))


def _window(plane: Array) -> Array:
    return np.asarray(gaussian_filter(plane, SIGMA, truncate=TRUNCATE))


def _planes(volume: Volume) -> Iterator[tuple[slice, ...]]:
    whole = (slice(None), slice(None))
    if "Z" in volume.axes:
        yield from ((slice(z, z + 1), *whole) for z in range(volume.shape[0]))
    else:
        yield whole


def _range(truth: Volume) -> float:
    """Largest less smallest measured value."""
    low, high = math.inf, -math.inf
    for plane in _planes(truth):
        values = truth.read(plane)
        values = values[truth.valid(values) & np.isfinite(values)]
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    return high - low
