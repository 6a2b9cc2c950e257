"""The audit: what was done to an image, judged from the noisy and the denoised version alone."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from meeum.audit.finding import Finding, Picture, Place, Verdict
from meeum.audit.judge import Audit, judge, judging
from meeum.audit.pair import MOST_VOXELS, Pair, gather
from meeum.audit.residual import Residual, residual
from meeum.audit.risk import Risk, unbiased_risk
from meeum.audit.rows import Row, rows
from meeum.audit.statistics import PairStatistics, pair_statistics, psnr
from meeum.noise import Noise

__all__ = [
    "Audit",
    "Finding",
    "Pair",
    "PairStatistics",
    "Picture",
    "Place",
    "Residual",
    "Risk",
    "Row",
    "Verdict",
    "gather",
    "judge",
    "judging",
    "pair_statistics",
    "psnr",
    "residual",
    "rows",
    "unbiased_risk",
]


class _Room(ModuleType):
    """Python binds the name `meeum.audit` to this room once it is imported; the verb `meeum.audit(...)` has it too."""

    def __call__(
        self, noisy: Any, clean: Any, *, model: Any = None, noise: Noise | None = None, limit: int = MOST_VOXELS
    ) -> Audit:
        """Judge a denoised image; see `meeum.api.audit`."""
        verb = import_module("meeum.api").audit  # by name: a room knows none above it
        found: Audit = verb(noisy, clean, model=model, noise=noise, limit=limit)
        return found


sys.modules[__name__].__class__ = _Room
