"""The level of the emptiest blocks: one level is kept, textures are left out, chance is not taken for emptiness."""

import numpy as np
import pytest

from meeum.noise import measure
from meeum.noise.blocks import block_spectra, chance
from meeum.noise.emptiest import emptiest, shared
from meeum.volume import Volume

CHANCE = 0.014


def measured(true, seed=0):
    return true * np.random.default_rng(seed).gamma(1 / CHANCE, CHANCE, len(true))


@pytest.mark.parametrize("seed", range(5))
def test_one_level_is_the_mean_not_a_low_quantile(seed):
    assert emptiest(measured(np.full(300, 7.0), seed), CHANCE) == pytest.approx(7, rel=0.025)


@pytest.mark.parametrize("empty", [0.15, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_texture_in_most_blocks_does_not_raise_the_level(empty, seed):
    rng = np.random.default_rng([7, seed])
    true = np.where(rng.random(1000) < empty, 1, 1.05 + rng.exponential(0.5, 1000))
    values = measured(true, seed)
    assert emptiest(values, CHANCE) == pytest.approx(1, abs=0.06)
    assert values.mean() > 1.2


def test_what_the_emptiest_blocks_share_at_each_frequency():
    """One level, texture in seven blocks of ten, and signal in all of them, which is not taken for noise."""
    rng = np.random.default_rng(3)
    texture = np.where(rng.random(1000) < 0.3, 1, 1.05 + rng.exponential(1, 1000))
    power = np.stack([measured(true, 1) for true in (np.full(1000, 7.0), texture, 1 + rng.exponential(3, 1000))], 1)
    levels, agree = shared(power, np.full(3, CHANCE))
    assert levels[:2] == pytest.approx([7, 1], rel=0.06)
    assert agree.tolist() == [True, True, False]


@pytest.mark.parametrize("sides", [(32, 32), (24, 16), (8, 16, 16)])
def test_chance_is_that_of_white_noise(sides):
    rng = np.random.default_rng(1)
    noise = rng.standard_normal([400 * sides[0], *sides[1:]]).astype(np.float32)
    volume = Volume(noise, "ZYX"[-len(sides) :])
    axes = [np.fft.fftfreq(side) for side in sides[:-1]] + [np.fft.rfftfreq(sides[-1])]
    fine = sum(k**2 for k in np.meshgrid(*axes, indexing="ij")) > 0.4**2
    blocks = block_spectra([Volume(part, volume.axes) for part in np.split(noise, 400)])
    powers = blocks.power[:, fine].mean(axis=1)
    assert len(powers) == 300 or len(sides) == 2
    assert powers.var() / powers.mean() ** 2 == pytest.approx(chance(sides, fine), rel=0.25)


def test_images_with_grain_give_the_level_of_the_noise():
    rng = np.random.default_rng(2)
    images = []
    for _ in range(40):
        grain = rng.standard_normal((96, 96)) * (rng.random() > 0.2) * rng.uniform(5, 20)
        images.append(Volume((100 + grain + 25 * rng.standard_normal((96, 96))).astype(np.float32), "YX"))
    assert measure(images).std == pytest.approx(25, rel=0.02)
