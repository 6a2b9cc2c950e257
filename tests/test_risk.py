"""The unbiased risk against the true error, which is known on phantoms."""

from __future__ import annotations

import math
from functools import lru_cache, partial

import numpy as np
import pytest
import scipy.ndimage
from scipy.stats import spearmanr

from meeum import Volume, phantom
from meeum.auditing import unbiased_risk
from meeum.errors import MeeumError
from meeum.noise import measure

DENOISERS = {
    "nothing": lambda values: values,
    "slight blur": partial(scipy.ndimage.gaussian_filter, sigma=0.5),
    "blur": partial(scipy.ndimage.gaussian_filter, sigma=1.0),
    "strong blur": partial(scipy.ndimage.gaussian_filter, sigma=2.0),
    "median": partial(scipy.ndimage.median_filter, size=3),
    "one value": lambda values: np.full_like(values, values.mean()),
    "shifted": lambda values: scipy.ndimage.gaussian_filter(values, 1) + np.float32(2e-3),
}


@lru_cache(maxsize=4)
def case(colour: str) -> phantom.Phantom:
    chosen = phantom.PhantomSettings(noise_std=4e-3, noise_colour=colour)
    return phantom.make((48, 96, 96), seed=1, settings=chosen)


def true_error(made: phantom.Phantom, name: str) -> float:
    found = DENOISERS[name](made.noisy.read())
    return float(np.mean((found.astype(float) - made.truth.read()) ** 2))


@pytest.mark.parametrize("colour", ["white", "optical"])
def test_estimates_the_error_of_any_denoiser(colour: str) -> None:
    made = case(colour)
    noise = measure(made.noisy)
    true, found = [], []
    for name, denoise in DENOISERS.items():
        risk = unbiased_risk(made.noisy, denoise, noise)
        true.append(true_error(made, name))
        found.append(risk.mse)
        # Four standard errors, what is unknown of the level, and that a quarter of the volume was looked at.
        assert abs(risk.mse - true[-1]) < 4 * risk.standard_error + risk.systematic + 0.15 * true[-1], name
    assert spearmanr(true, found).statistic > 0.85
    assert risk.noise_mse == pytest.approx(noise.std**2, rel=0.05)


def test_doing_nothing_leaves_the_noise() -> None:
    made = case("white")
    risk = unbiased_risk(made.noisy, DENOISERS["nothing"], measure(made.noisy))
    assert risk.mse == pytest.approx(risk.noise_mse, rel=0.05)
    assert risk.rmse == pytest.approx(math.sqrt(risk.mse))


def test_small_images_and_images_without_data() -> None:
    values = np.random.default_rng(0).normal(5, 1, (40, 50)).astype(np.float32)
    image = Volume(values, "YX")
    noise = measure(image)
    assert unbiased_risk(image, DENOISERS["one value"], noise).mse == pytest.approx(0, abs=0.1)
    with pytest.raises(MeeumError, match="no piece"):
        unbiased_risk(Volume(np.where(values > 5, values, 0), "YX", no_data=0), DENOISERS["blur"], noise)
