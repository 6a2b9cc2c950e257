"""A8: how far the denoised image is from the unknown truth, by Stein's unbiased risk."""

from __future__ import annotations

import math
from dataclasses import replace

from scipy.stats import norm

from meeum.auditing.finding import NEEDS_DENOISER, Finding, Kind
from meeum.auditing.pair import Pair
from meeum.auditing.risk import Risk, obstacle, unbiased_risk
from meeum.errors import MeeumError

ERROR = Kind("error", "estimated error", "", 0.0, "above", "of the noise's variance", 1.0)
UNTOLD = "How far the denoised image is from the truth cannot be told."
SURE = 1.96  # standard errors that a verdict keeps away from the bound
BELOW = "the estimate lies below 0 beyond doubt, so that the noise must be weaker than was measured"
DOUBTFUL = "the estimate is too uncertain to tell the error from the noise's"


def error(pair: Pair) -> list[Finding]:
    """Mean squared error over the noise's variance, estimated without truth (Stein 1981): ideal 0, doing nothing is 1.

    It holds for noise as it was measured; a network trained with that measurement shares its errors.
    """
    if pair.denoise is None:
        return [ERROR.untold(NEEDS_DENOISER, UNTOLD)]
    if why := obstacle(pair.noise):
        return [ERROR.untold(why, UNTOLD)]
    try:
        risk = unbiased_risk(pair.noisy, pair.denoise, pair.noise, seed=pair.seed)
    except MeeumError as problem:
        if type(problem) is not MeeumError:  # of the denoiser, not of the estimate
            raise
        return [ERROR.untold(str(problem), UNTOLD)]
    if math.isnan(risk.standard_error) or not risk.noise_mse > 0:
        return [ERROR.untold("the image is too small for a standard error", UNTOLD)]
    return [_finding(pair, risk)]


def _finding(pair: Pair, risk: Risk) -> Finding:
    spread = math.hypot(risk.standard_error, risk.systematic)
    share, chance = risk.mse / risk.noise_mse, spread / risk.noise_mse
    p_value, effect = float(norm.sf((share - 1) / max(chance, 1e-6))), max(share, 0.0)
    low, high = (math.sqrt(max(risk.mse + way * SURE * spread, 0.0)) for way in (-1, 1))
    sentence = _sentence(risk, chance) if risk.mse > 0 else _bound(risk, high)
    told = replace(ERROR, unit=pair.noisy.quantity).finding(risk.rmse, effect, sentence, p_value=p_value)
    if high == 0:
        return ERROR.untold(BELOW, UNTOLD)
    if abs(share - 1) < SURE * chance:
        told = replace(told, verdict="cannot tell", reason=DOUBTFUL)
    details = {**risk.as_dict(), "noise_rms": math.sqrt(risk.noise_mse)}
    return replace(told, interval=(low, high), limit=1 + SURE * chance, details=details)


def _bound(risk: Risk, high: float) -> str:
    """Where the estimate fell to 0: what is certain to 95 %."""
    return (
        f"The denoised image is at most {high:.2g} from the truth (root mean square, 95 % sure), where the noise is "
        f"{math.sqrt(risk.noise_mse):.2g}: at most {100 * high**2 / risk.noise_mse:.2g} % of the noise's squared error "
        "is left."
    )


def _sentence(risk: Risk, chance: float) -> str:
    share = max(risk.mse / risk.noise_mse, 0.0)
    told = (
        f"The denoised image is estimated to be {risk.rmse:.2g} from the truth (root mean square), "
        f"where the noise is {math.sqrt(risk.noise_mse):.2g}"
    )
    if share > 1:
        return f"{told}: its squared error is {share:.2f} ± {chance:.2f} times the noise's."
    return f"{told}: {100 * share:.0f} ± {100 * chance:.0f} % of the noise's squared error is left."
