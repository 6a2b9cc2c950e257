"""The thinning objective: laws of the parts, what is judged, and how near it comes to training with clean targets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage
import torch
from test_recorrupted import flat, psnr, trained

from meeum import Volume
from meeum.errors import UsageError
from meeum.noise import Noise
from meeum.objectives import OBJECTIVES, Objective, Subject
from meeum.objectives.thinning import thinned
from meeum.patches import Batch, Normalisation
from meeum.settings import Settings

AFFINE = Normalisation(30.0, 12.0)
BLACK, GAIN = 5.0, 7.0


def counting(**changes: object) -> Noise:
    """Variance GAIN * (value - BLACK)."""
    return replace(flat(), **{"follows": "signal", "gain": GAIN, "read": -GAIN * BLACK, **changes})  # type: ignore[arg-type]


def objective(noise: Noise | None) -> Objective:
    return OBJECTIVES["thinning"](Settings(), Subject("x", (64, 64), AFFINE, noise))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("mean", [0.3, 2.0, 20.0])
def test_parts_of_a_poisson_count_are_independent_poisson_counts(mean: float) -> None:
    counts = torch.poisson(torch.full((400_000,), mean), generator=seeded(1))
    given = thinned(counts, seeded(2))
    rest = counts - given
    assert bool((given >= 0).all() and (rest >= 0).all() and (given == given.round()).all())
    for part in (given, rest):
        assert float(part.mean()) == pytest.approx(mean / 2, rel=0.02)
        assert float(part.var()) == pytest.approx(mean / 2, rel=0.03)
    table = torch.corrcoef(torch.stack([given, rest, given**2, rest**2])).numpy()
    assert abs(table[0, 1]) < 0.01 and abs(table[0, 3]) < 0.01 and abs(table[1, 2]) < 0.01


@pytest.mark.parametrize("value", [-1.4, -0.2, 0.0, 0.3, 2.3, 7.0])
def test_half_of_any_value_is_given_on_the_average(value: float) -> None:
    given = thinned(torch.full((200_000,), value), seeded())
    assert float(given.mean()) == pytest.approx(value / 2, rel=0.01, abs=1e-6)


def test_loss_of_known_networks() -> None:
    """Of counts with mean 4: f = the mean loses the target's variance; f = identity that of both parts."""
    counts = torch.poisson(torch.full((64, 32, 32), 4.0), generator=seeded(1))
    image = (counts * GAIN + BLACK - AFFINE.offset) / AFFINE.scale
    batch = Batch(image, torch.ones_like(image, dtype=torch.bool))
    loss = objective(counting())
    one, unit = (4 * GAIN + BLACK - AFFINE.offset) / AFFINE.scale, (GAIN / AFFINE.scale) ** 2
    assert float(loss(lambda x: 0 * x + one, batch, seeded())) == pytest.approx(8 * unit, rel=0.03)
    assert float(loss(lambda x: x, batch, seeded())) == pytest.approx(16 * unit, rel=0.03)


def test_only_judged_voxels_count_and_chance_is_the_generators() -> None:
    image, allowed = torch.rand(4, 32, 32, generator=seeded(2)), torch.rand(4, 32, 32, generator=seeded(3)) < 0.5
    loss, batch = objective(counting()), Batch(image, allowed)
    one = float(loss(lambda x: x / 3, batch, seeded(4)))
    assert one == float(loss(lambda x: x / 3, batch, seeded(4))) != float(loss(lambda x: x / 3, batch, seeded(5)))
    poisoned = Batch(torch.where(allowed, image, 1e4), allowed)  # other values draw other numbers
    assert float(loss(lambda x: x / 3, poisoned, seeded(4))) == pytest.approx(one, rel=0.1)
    assert float(loss(lambda x: x, Batch(image, torch.zeros_like(allowed)), seeded())) == 0


def test_noise_that_is_not_counted_is_refused() -> None:
    for noise, words in ((None, "measurement of the noise"), (flat(), "does not grow"), (counting(gain=-1.0), "grow")):
        with pytest.raises(UsageError, match=words):
            objective(noise)


def test_near_to_supervised_and_better_than_taking_the_noise_for_gaussian() -> None:
    """Counts of 1 to 6: at most 2 dB below the truth as target, same steps, the mean kept."""
    rng = np.random.default_rng(0)
    signal = scipy.ndimage.gaussian_filter(rng.standard_normal((96, 96)), 5)
    signal = 1 + 5 * (signal - signal.min()) / np.ptp(signal)
    noisy = (GAIN * rng.poisson(signal) + BLACK).astype(np.float32)
    truth = GAIN * signal + BLACK
    image = Volume(noisy, "YX")
    law = counting(std=float(GAIN * np.sqrt(signal.mean())))
    ceiling = trained(image, "thinning", law, truth)
    found, other = (trained(image, name, law) for name in ("thinning", "recorrupted"))
    assert psnr(truth, found) > psnr(truth, noisy) + 5
    assert psnr(truth, found) > psnr(truth, ceiling) - 2
    assert psnr(truth, found) > psnr(truth, other)
    assert abs(float(found.mean() - truth.mean())) < 0.05 * GAIN
