"""The built-in sample: a simulated tomogram written as a TCF file, and the comparison with its truth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from meeum import io, phantom
from meeum.auditing import psnr
from meeum.errors import MeeumError
from meeum.volume import Volume

SHAPE = (48, 128, 128)
# Ten times the noise of a good instrument: what a fast or dim acquisition gives, and what a picture can show.
NOISE_STD = 4e-3


@dataclass(frozen=True)
class Sample:
    """The noisy file on disk and the phantom it was made from."""

    noisy: Path
    phantom: phantom.Phantom


def write_sample(folder: Path, *, shape: phantom.Shape = SHAPE, overwrite: bool = False) -> Sample:
    """Simulate a tomogram of cells, (Z, Y, X), and write it as `sample.TCF`, its truth as `truth.TCF`."""
    made = phantom.make(shape, seed=0, settings=phantom.PhantomSettings(noise_std=NOISE_STD))
    folder.mkdir(parents=True, exist_ok=True)
    noisy = io.write(made.noisy, folder / "sample.TCF", overwrite=overwrite)
    io.write(made.truth, folder / "truth.TCF", overwrite=overwrite)
    return Sample(noisy, made)


def compare(sample: Sample, run_folder: Path) -> dict[str, float]:
    """PSNR (dB) and dry mass (pg) before and after, against the truth."""
    results = sorted((run_folder / "results").glob("*.TCF"))
    if not results:
        raise MeeumError(f"{run_folder}: no result to compare with the truth")
    made = sample.phantom
    noisy, denoised = io.read(sample.noisy), io.read(results[0])
    return {
        "noisy_psnr_db": psnr(made.truth, noisy),
        "denoised_psnr_db": psnr(made.truth, denoised),
        "truth_dry_mass_pg": _dry_mass_pg(made.truth, made),
        "noisy_dry_mass_pg": _dry_mass_pg(noisy, made),
        "denoised_dry_mass_pg": _dry_mass_pg(denoised, made),
    }


def _dry_mass_pg(volume: Volume, made: phantom.Phantom) -> float:
    """Sum of (n - n_m) * voxel / alpha inside the cells, alpha = 0.19 µm³/pg (Barer 1952)."""
    excess = volume.read()[made.cell_mask] - made.optics.medium_index
    return float(excess.sum(dtype=float) * math.prod(made.optics.voxel_size_um) / phantom.RI_INCREMENT)
