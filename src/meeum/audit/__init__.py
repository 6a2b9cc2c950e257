"""The audit: what was done to an image, judged from the noisy and the denoised version alone."""

from meeum.audit.residual import Residual, residual
from meeum.audit.risk import Risk, unbiased_risk
from meeum.audit.rows import Row, rows
from meeum.audit.statistics import PairStatistics, drift, pair_statistics, psnr

__all__ = [
    "PairStatistics",
    "Residual",
    "Risk",
    "Row",
    "drift",
    "pair_statistics",
    "psnr",
    "residual",
    "rows",
    "unbiased_risk",
]
