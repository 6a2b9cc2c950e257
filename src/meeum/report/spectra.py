"""Pictures of measured noise: its autocorrelation and its power spectrum."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from PIL import Image

from meeum.errors import UsageError
from meeum.io.files import refuse_existing, replacing
from meeum.noise import Noise
from meeum.report.figures import IMAGE_COLORMAP, RESIDUAL_COLORMAP
from meeum.report.sections import Axis, Section, draw

Array = NDArray[Any]
VoxelSize = tuple[float, ...] | None

FILES = ("autocorrelation.png", "spectrum.png")
FARTHEST = 10  # lags that are drawn, voxels
DECADES = 4.0  # of power below the highest that are drawn
FAINTEST_LIMIT = 0.1  # correlation: white noise is not to look coloured


def refuse_pictures(folder: Path, *, overwrite: bool) -> None:
    """Say no to a folder that holds such pictures already (unless they may be replaced), or that is none."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file; give the name of a folder for the pictures")
    for name in FILES if folder.exists() else ():
        refuse_existing(folder / name, overwrite=overwrite)


def write_pictures(
    folder: Path, noise: Noise, *, voxel_size_um: VoxelSize = None, overwrite: bool = False
) -> tuple[Path, ...]:
    """Sections through lag 0 of the autocorrelation and through frequency 0 of the power spectrum, as PNG."""
    refuse_pictures(folder, overwrite=overwrite)
    folder.mkdir(parents=True, exist_ok=True)
    paths = tuple(folder / name for name in FILES)
    for path, picture in zip(paths, (autocorrelation(noise, voxel_size_um), spectrum(noise)), strict=True):
        with replacing(path, overwrite=overwrite) as temporary:
            picture.save(temporary, format="PNG")
    return paths


def autocorrelation(noise: Noise, voxel_size_um: VoxelSize = None) -> Image.Image:
    """Correlation of voxels by how far apart they are; colours end at the highest but that of a voxel with itself."""
    correlation = noise.correlation()
    edges = voxel_size_um or (1.0,) * len(noise.sides)
    reach = [_reach(side, edge / min(edges)) for side, edge in zip(noise.sides, edges, strict=True)]
    middle = tuple(slice(side // 2 - r, side // 2 + r + 1) for side, r in zip(noise.sides, reach, strict=True))
    near = correlation[middle]
    axes = [
        Axis(f"lag {name} (voxels)", -r - 0.5, r + 0.5, edge if voxel_size_um else None, edge / min(edges))
        for name, r, edge in zip("zyx"[-len(reach) :], reach, edges, strict=True)
    ]
    others = np.delete(np.abs(near).ravel(), near.size // 2)
    limit = float(np.ceil(10 * max(FAINTEST_LIMIT, others.max(initial=0.0))) / 10)
    return draw(
        _sections(near, axes),
        title="autocorrelation of the noise through lag 0",
        colormap=RESIDUAL_COLORMAP,
        limits=(-limit, limit),
        unit_label="correlation (1 at lag 0)" if limit < 1 else "correlation",
    )


def _reach(side: int, stretch: float) -> int:
    """Lags to each side: about as far in µm along every axis, three at least where the block has them."""
    return min(max(3, round(FARTHEST / stretch)), max((side - 1) // 2, 0))


def spectrum(noise: Noise) -> Image.Image:
    """Decimal logarithm of the variance per frequency, 0 being the mean."""
    power = scipy.fft.fftshift(scipy.fft.fftn(scipy.fft.ifftshift(noise.correlation())).real)
    logs = np.log10(np.maximum(power, 1e-12 * power.max()))
    top = max(float(np.ceil(2 * logs.max()) / 2), 0.5)
    bottom = max(float(np.floor(2 * logs.min()) / 2), top - DECADES)
    axes = [
        Axis(f"k{name} (cycles per voxel)", -0.5 - 0.5 / side, 0.5 - 0.5 / side)
        for name, side in zip("zyx"[-len(noise.sides) :], noise.sides, strict=True)
    ]
    return draw(
        _sections(logs, axes),
        title="power spectrum of the noise through frequency 0",
        colormap=IMAGE_COLORMAP,
        limits=(min(bottom, -0.5), top),
        unit_label="log10 of power (mean 1)",
    )


def _sections(values: Array, axes: list[Axis]) -> list[Section]:
    """YX, and of volumes ZX and ZY, through the middle; none of fewer than three voxels along an axis."""
    if values.ndim == 2:
        return [Section(values, *axes)]
    z, y, x = (side // 2 for side in values.shape)
    planes = [Section(values[z], axes[1], axes[2])]
    if len(values) > 2:
        planes += [Section(values[:, y], axes[0], axes[2]), Section(values[:, :, x], axes[0], axes[1])]
    return planes
