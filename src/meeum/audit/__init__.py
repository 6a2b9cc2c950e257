"""The audit: what was done to an image, judged from the noisy and the denoised version alone."""

from meeum.audit.rows import Row, rows
from meeum.audit.statistics import PairStatistics, drift, pair_statistics, psnr

__all__ = ["PairStatistics", "Row", "drift", "pair_statistics", "psnr", "rows"]
