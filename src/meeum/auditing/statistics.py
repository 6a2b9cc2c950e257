"""The lab note's statistics of a noisy image and its denoised version: what changed, by how much, and where."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from itertools import product
from typing import Any

import numpy as np

from meeum.auditing.regions import MARGIN, Part, find_parts
from meeum.auditing.sampling import (
    SAMPLE_VOXELS,
    Floats,
    low_pass,
    mean_std,
    plan_sample,
    quotient,
    read_blocks,
    voxel_ratios,
)
from meeum.auditing.slopes import edge_ratio
from meeum.errors import MeeumError
from meeum.volume import Volume

OUTLIERS = (0.1, 99.9)  # percentiles
LOW_PASS = 3.0  # sigma of the low-pass, in units of the shortest voxel edge

REASONS = {
    "before": "no voxel was measured in both images",
    "after": "no voxel was measured in both images",
    "residual_mean": "no voxel was measured in both images",
    "residual_std": "no voxel was measured in both images",
    "low_pass_sigma_um": "the voxel size is not known",
    "range_ratio": "the noisy image is constant",
    "range_ratio_percentiles": "the noisy image is constant",
    "correlation": "one of the two images is constant",
    "correlation_before": "the noisy image is constant",
    "threshold": "the low-passed input is constant: no cells to tell from background",
    "cells": "the low-passed input is constant: no cells to tell from background",
    "background": "no voxel is both dark in the low-passed input and away from cells",
    "edge_ratio": "the low-passed input has no slopes, or the image is too small (3 voxels along one axis at least)",
}


@dataclass(frozen=True)
class Spread:
    """Values of one image, in data units: over all voxels, and `inner_*` within its own 0.1-99.9 percentiles."""

    minimum: float
    maximum: float
    mean: float
    std: float
    low: float  # 0.1 percentile
    high: float  # 99.9 percentile
    inner_mean: float
    inner_std: float


@dataclass(frozen=True)
class PairStatistics:
    """Statistics of a (noisy, denoised) pair in data units; nan where undefined, with a line in `reasons`.

    range_ratio        (max - min) after over before; ideal below 1 by the noise's share; above 1: outliers were made.
    correlation        Pearson r of denoised with the low-passed noisy image; ideal near 1; negative: inverted.
    residual_*         of noisy minus denoised; ideal mean 0, ideal std the noise's.
    cells, background  brighter than Otsu's (1979) threshold of the low-passed input; below it and `margin` away.
    edge_ratio         sum(G . g_after) / sum(G . g_before) over the voxels with the steepest G, where G is the gradient
                       of the low-passed input and g the gradient at a finer scale: noise averages out of both sums.
                       Ideal 1; below 1 blurred, above 1 sharpened, negative inverted. Where noise helps to choose the
                       edges, a perfect result falls 2-3 % below 1 (contrast 5-20 times the noise).
    """

    quantity: str
    voxels: int  # measured in both images and sampled
    lost: int  # sampled, measured in the noisy image, but without a value in the denoised one
    coverage: float  # share of the voxels that were sampled
    sampling: str
    before: Spread
    after: Spread
    range_ratio: float
    range_ratio_percentiles: float
    correlation_before: float
    correlation: float
    low_pass_sigma: tuple[float, ...]  # voxels, per spatial axis
    low_pass_sigma_um: float
    residual_mean: float
    residual_std: float
    threshold: float
    margin: tuple[float, ...]  # voxels, per spatial axis
    background: Part
    cells: Part
    edge_ratio: float
    edge_voxels: int
    reasons: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: None where undefined."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def pair_statistics(noisy: Volume, denoised: Volume, *, limit: int = SAMPLE_VOXELS) -> PairStatistics:
    """Statistics over at most about `limit` sampled voxels of a pair with axes YX, ZYX, TYX or TZYX."""
    sample = plan_sample(noisy, limit)
    blocks, offset = read_blocks(noisy, denoised, regions=sample.regions)
    ratios = voxel_ratios(noisy)
    sigma = tuple(LOW_PASS / ratio for ratio in ratios)
    smooth = [low_pass([block.noisy], block.valid, sigma=sigma)[0] for block in blocks]
    before = np.concatenate([block.noisy[block.valid] for block in blocks])
    after = np.concatenate([block.denoised[block.valid] for block in blocks])
    values: dict[str, Any] = {
        "quantity": noisy.quantity,
        "voxels": before.size,
        "lost": sum(block.lost for block in blocks),
        "coverage": sample.share,
        "sampling": sample.description,
        "low_pass_sigma": sigma,
        "low_pass_sigma_um": LOW_PASS * min(noisy.voxel_size_um) if noisy.voxel_size_um else math.nan,
        "margin": tuple(MARGIN / ratio for ratio in ratios),
    }
    values |= _values(before, after, offset)
    values |= _agreement(before, after, np.concatenate([s[b.valid] for s, b in zip(smooth, blocks, strict=True)]))
    values |= find_parts(blocks, smooth, offset=offset, margin=values["margin"])
    values |= edge_ratio(blocks, smooth, ratios=ratios)
    return PairStatistics(**values, reasons=_reasons(values))


def _reasons(values: Mapping[str, Any]) -> dict[str, str]:
    """Why a value is nan, by name; a group of values counts as undefined when its last member is."""
    if values["voxels"] == 0:
        return dict.fromkeys(REASONS, REASONS["before"])
    groups = (Spread, Part)
    last = {k: getattr(v, fields(v)[-1].name) if isinstance(v, groups) else v for k, v in values.items()}
    return {name: reason for name, reason in REASONS.items() if math.isnan(last[name])}


def _values(before: Floats, after: Floats, offset: float) -> dict[str, Any]:
    first, second = _spread(before, offset), _spread(after, offset)
    return {
        "before": first,
        "after": second,
        "range_ratio": quotient(second.maximum - second.minimum, first.maximum - first.minimum),
        "range_ratio_percentiles": quotient(second.high - second.low, first.high - first.low),
        "residual_mean": first.mean - second.mean,
        "residual_std": mean_std(before - after)[1],
    }


def _spread(values: Floats, offset: float) -> Spread:
    if values.size == 0:
        return Spread(*[math.nan] * len(fields(Spread)))
    low, high = (float(p) for p in np.percentile(values, OUTLIERS))
    mean, std = mean_std(values)
    inner_mean, inner_std = mean_std(values[(values >= low) & (values <= high)])
    ends = (float(values.min()) + offset, float(values.max()) + offset)
    return Spread(*ends, mean + offset, std, low + offset, high + offset, inner_mean + offset, inner_std)


def _agreement(before: Floats, after: Floats, smooth: Floats) -> dict[str, float]:
    return {"correlation_before": _pearson(before, smooth), "correlation": _pearson(after, smooth)}


def _pearson(a: Floats, b: Floats) -> float:
    if a.size == 0 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    x, y = (v - v.mean(dtype=np.float64) for v in (a.astype(np.float64), b.astype(np.float64)))
    return quotient(float(x @ y), math.sqrt(float(x @ x) * float(y @ y)))


def psnr(truth: Volume, image: Volume, *, data_range: float | None = None) -> float:
    """10 log10(range^2 / mean((image - truth)^2)) in dB over measured voxels, range = the truth's max - min.

    Higher is better; infinite where both agree; nan where nothing was measured, the range is 0
    or the image holds nan where the truth has values.
    """
    if truth.shape != image.shape:
        raise MeeumError(f"{image.name}: shape {image.shape} differs from the truth's, {truth.name}: {truth.shape}")
    errors, count, low, high = 0.0, 0, math.inf, -math.inf
    for region in _pieces(truth):
        true, given = truth.read(region), image.read(region)
        valid = truth.valid(true) & np.isfinite(true) & image.valid(given)
        if valid.any():
            errors += float(np.square(given[valid].astype(np.float64) - true[valid]).sum())
            low, high = min(low, float(true[valid].min())), max(high, float(true[valid].max()))
            count += int(np.count_nonzero(valid))
    span = data_range if data_range is not None else high - low
    if count == 0 or not span > 0 or math.isnan(errors):
        return math.nan
    return 10 * math.log10(span**2 * count / errors) if errors > 0 else math.inf


def _pieces(volume: Volume) -> list[tuple[slice, ...]]:
    """Regions that cover the volume: one frame and as many planes as the sample's size allows at a time."""
    depth = max(1, SAMPLE_VOXELS // max(1, math.prod(volume.shape[-2:])))
    leading = [
        [slice(i, i + step) for i in range(0, length, step)]
        for length, step in zip(
            volume.shape[:-2], [depth if axis == "Z" else 1 for axis in volume.axes[:-2]], strict=True
        )
    ]
    return [(*part, slice(None), slice(None)) for part in product(*leading)]
