"""What `meeum info` says of a file; needs no torch, so that it answers at once."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from rich.console import Console

from meeum.volume import Volume

SAMPLE = 4_000_000  # voxels looked at for the value range


def show(volume: Volume, *, as_json: bool) -> None:
    """One line per fact, or all of them as one JSON object."""
    facts = describe(volume)
    if as_json:
        print(json.dumps(facts))
        return
    console = Console(markup=False, highlight=False, emoji=False, soft_wrap=True)
    width = max(map(len, facts))
    for name, value in facts.items():
        if name != "warnings":
            console.print(f"{name:<{width}}  {_plain(value)}")
    for warning in volume.warnings:
        console.print(f"warning: {warning}", style="yellow")


def describe(volume: Volume) -> dict[str, Any]:
    """Axes, shape, voxel size, value range and all that the reader found out."""
    values, share = _sample(volume)
    valid = values[volume.valid(values)]
    numbers = valid[np.isfinite(valid)]
    facts: dict[str, Any] = {
        "file": volume.name,
        "axes": volume.axes,
        "shape": list(volume.shape),
        "voxel size (µm)": list(volume.voxel_size_um) if volume.voxel_size_um else None,
        "frames": volume.frame_count,
        "frame interval (s)": volume.frame_interval_s,
        "quantity": volume.quantity,
        "medium index": volume.medium_index,
        "stored as": volume.stored_dtype,
        "smallest": float(numbers.min()) if numbers.size else None,
        "largest": float(numbers.max()) if numbers.size else None,
        "mean": float(numbers.mean(dtype=np.float64)) if numbers.size else None,
        "voxels without data": f"{100 * (1 - valid.size / max(values.size, 1)):.3g} %",
        "nan or infinite": int(valid.size - numbers.size),
        "looked at": f"{100 * share:.3g} % of the voxels",
    }
    found = {name: value for name, value in volume.details.items() if name not in facts}
    return facts | found | {"warnings": list(volume.warnings)}


def _sample(volume: Volume) -> tuple[np.ndarray[Any, Any], float]:
    """Evenly spread planes of the slowest axis, and their share of the whole."""
    plane = math.prod(volume.shape[1:])
    count = int(np.clip(SAMPLE // max(plane, 1), 1, volume.shape[0]))
    picked = np.unique(np.linspace(0, volume.shape[0] - 1, count).round().astype(int))
    rest = tuple(slice(None) for _ in volume.shape[1:])
    return np.concatenate([volume.read((slice(i, i + 1), *rest)) for i in picked]), len(picked) / volume.shape[0]


def _plain(value: object) -> str:
    if value is None:
        return "not stated"
    if isinstance(value, float):
        return f"{value:.6g}"
    return " x ".join(_plain(part) for part in value) if isinstance(value, list) else str(value)
