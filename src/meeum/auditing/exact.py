"""What must come out exactly as it went in: where there are no data, the voxel size, and how values are stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from meeum.auditing.finding import Finding, Kind
from meeum.auditing.means import Estimate, judged
from meeum.auditing.pair import Pair
from meeum.volume import Array, Region, Volume

MISSING = Kind("values", "voxels without data", "voxels", 0.0, "above", "voxels", 0.0)
STORAGE = Kind("values", "voxel size and storage", "changes", 0.0, "above", "changes", 0.0)
SAME_SIZE = 1e-3  # relative: voxel sizes that are rounded otherwise


def exact(pair: Pair) -> list[Finding]:
    """Voxels without data, voxel size, quantity and stored type; shapes that differ cannot be compared at all."""
    return [missing(pair), storage(pair)]


def missing(pair: Pair) -> Finding:
    """How many voxels looked at lost their data or were given some; ideal 0."""
    lost = filled = undefined = 0
    for piece in pair.pieces:
        before, after = (_read(volume, piece.frame, piece.region) for volume in (pair.noisy, pair.denoised))
        measured, returned = _measured(pair.noisy, before), _measured(pair.denoised, after)
        if pair.noisy.no_data is not None:
            returned &= pair.noisy.valid(after)
        lost += int(np.count_nonzero(measured & ~returned))
        filled += int(np.count_nonzero(~measured & returned))
        undefined += int(np.count_nonzero(~np.isfinite(after) & measured))
    if lost + filled == 0:
        sentence = "Voxels have data after denoising where they had data before, and only there."
    else:
        sentence = f"{lost} voxels lost their data and {filled} voxels that were never measured were given some."
    found = judged(MISSING, Estimate(float(lost + filled), 0.0, 1.0), sentence)
    return replace(found, details={"lost": lost, "filled": filled, "nan or infinite": undefined})


def _read(volume: Volume, frame: int, region: Region) -> Array:
    return volume.frame(frame).read(region)


def _measured(volume: Volume, values: Array) -> Array:
    return volume.valid(values) & np.isfinite(values)


def storage(pair: Pair) -> Finding:
    """How many facts about the image changed: voxel size, quantity, a type too coarse for its values; ideal 0."""
    changes = list(_changes(pair))
    sentence = (
        f"{'; '.join(changes)}." if changes else "Shape, voxel size and the precision of values are as they were."
    )
    found = judged(STORAGE, Estimate(float(len(changes)), 0.0, 1.0), sentence[0].upper() + sentence[1:])
    return replace(found, details={"before": pair.noisy.stored_dtype, "after": pair.denoised.stored_dtype})


def _changes(pair: Pair) -> Iterator[str]:
    before, after = pair.noisy, pair.denoised
    if (
        before.voxel_size_um
        and after.voxel_size_um
        and not np.allclose(before.voxel_size_um, after.voxel_size_um, rtol=SAME_SIZE, atol=0)
    ):
        yield f"the voxel size changed from {before.voxel_size_um} to {after.voxel_size_um} µm"
    if _bits(after) < min(_bits(before), 16):
        yield f"values are stored as {after.stored_dtype}, which is coarser than the input's {before.stored_dtype}"


def _bits(volume: Volume) -> int:
    """Of one value as stored; of a floating-point number those of its mantissa."""
    kind = np.dtype(volume.stored_dtype)
    return int(np.finfo(kind).nmant) + 1 if kind.kind == "f" else 8 * kind.itemsize
