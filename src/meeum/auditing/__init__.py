"""The audit: what was done to an image, judged from the noisy and the denoised version alone."""

from meeum.auditing.finding import Finding, Picture, Place, Verdict
from meeum.auditing.judge import Audit, judge, judging
from meeum.auditing.pair import Pair, gather
from meeum.auditing.risk import Losses, Risk, cell_losses, unbiased_risk
from meeum.auditing.rows import Row, rows
from meeum.auditing.statistics import PairStatistics, pair_statistics, psnr

__all__ = [
    "Audit",
    "Finding",
    "Losses",
    "Pair",
    "PairStatistics",
    "Picture",
    "Place",
    "Risk",
    "Row",
    "Verdict",
    "cell_losses",
    "gather",
    "judge",
    "judging",
    "pair_statistics",
    "psnr",
    "rows",
    "unbiased_risk",
]
