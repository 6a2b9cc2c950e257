"""What the values tell: each planted trait is found with the right numbers, and nothing where nothing is."""

import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meeum.errors import UsageError
from meeum.noise.values import describe_values
from meeum.phantom import PhantomSettings, make

SIGMA = 4e-4
HALF_NORMAL = 1 / math.sqrt(2 * math.pi)  # rise of the mean of unit noise clipped at its mean


def background(rng, size=200_000, sigma=SIGMA):
    return 1.337 + sigma * rng.standard_normal(size)


@pytest.mark.parametrize("law", ["normal", "laplace", "exponential", "uniform", "standard_cauchy"])
@pytest.mark.parametrize(("offset", "scale"), [(0, 1), (1.337, 4e-4), (1000, 50)])
def test_continuous_values_give_no_finding(rng, law, offset, scale):
    values = (offset + scale * getattr(rng, law)(size=50_000)).astype(np.float32)
    found = describe_values(values, medium_index=offset or None)
    assert found.findings == () and found.step is None and found.pile_up_at is None and found.bias is None


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("cells", [0, 1, 4])
def test_phantoms_without_traits_give_no_finding(seed, cells):
    phantom = make((16, 64, 64), seed=seed, settings=PhantomSettings(cells=cells))
    for volume in (phantom.noisy, phantom.truth) if cells else (phantom.noisy,):
        assert describe_values(volume.read(), medium_index=1.337).findings == ()
        assert describe_values(volume.read()).findings == ()


@settings(max_examples=30, deadline=None)
@given(
    step=st.sampled_from([1e-4, 1e-3, 0.01, 0.37, 1.0, 3.0]),
    spread=st.floats(2, 200),
    offset=st.sampled_from([0.0, 1.3296115, 0.123]),
)
def test_the_step_of_quantised_values_is_found(step, spread, offset):
    levels = np.rint(spread * np.random.default_rng(1).standard_normal(20_000))
    found = describe_values((offset + step * levels).astype(np.float32))
    assert found.step == pytest.approx(step, rel=1e-4)
    assert found.on_grid > 0.99 and found.distinct == len(np.unique(levels)) and found.findings


def test_quantised_refractive_index_of_a_phantom():
    phantom = make((16, 64, 64), settings=PhantomSettings(quantise=True))
    found = describe_values(phantom.noisy.read(), medium_index=1.337)
    assert found.step == pytest.approx(1e-4, rel=1e-3) and not found.integer and len(found.findings) == 1
    assert "0.0001" in found.findings[0]


def test_counts_are_whole_numbers_and_not_clipped(rng):
    found = describe_values(rng.poisson(6, 50_000).astype(np.float32))
    assert found.integer and found.step == 1 and not found.clipped_low and not found.clipped_high
    assert len(found.findings) == 1 and "whole numbers" in found.findings[0]
    few = describe_values(rng.poisson(0.2, 50_000).astype(np.float32))
    assert any("photons" in sentence for sentence in few.findings) and few.at_minimum == pytest.approx(0.82, abs=0.01)


def test_saturation_is_found_at_the_top_only(rng):
    found = describe_values(np.minimum(np.rint(200 + 40 * rng.standard_normal(50_000)), 255))
    assert found.clipped_high and not found.clipped_low and found.maximum == 255
    assert found.at_maximum == pytest.approx(0.086, abs=0.005) and "saturated" in found.findings[-1]


@settings(max_examples=10, deadline=None)
@given(clip=st.floats(-0.4, 0.3), seed=st.integers(0, 100), step=st.sampled_from([0.0, 1e-4]))
def test_the_bias_of_clipping_is_estimated(clip, seed, step):
    """The rise is known: the mean after clipping less the mean before, of the very same noise, brighter cells aside.

    A clip further down leaves too few voxels at it: at -0.56 sigma the estimate scatters by a tenth.
    """
    rng = np.random.default_rng(seed)
    values, cells = background(rng, 100_000, 1e-3), 1.36 + 0.01 * rng.random(30_000)
    clipped = np.maximum(values, 1.337 + clip * 1e-3)
    stored = np.concatenate([clipped, cells])
    stored = (np.rint(stored / step) * step if step else stored).astype(np.float32)
    found = describe_values(stored, medium_index=1.337)
    assert found.clipped_low and found.bias == pytest.approx(float(clipped.mean() - values.mean()), rel=0.15, abs=3e-5)


def test_a_clipped_phantom_says_where_how_many_and_by_how_much():
    plan = PhantomSettings(cells=0, noise_std=SIGMA, clip_non_negative=True)
    found = describe_values(make((16, 64, 64), settings=plan).noisy.read(), medium_index=1.337)
    assert found.at_minimum == pytest.approx(0.5, abs=0.02)
    assert found.bias == pytest.approx(HALF_NORMAL * SIGMA, rel=0.1)
    (sentence,) = found.findings
    assert all(part in sentence for part in ("1.337", "none below", "index of the medium", "0.00016"))


def test_a_soft_pile_up_is_found_with_its_share_and_its_skewness(rng):
    """As iterative reconstructions leave it: 30 % pulled to the medium, a few voxels below, the rest above."""
    values = 1.337 + np.abs(background(rng) - 1.337) * np.where(rng.random(200_000) < 0.1, -0.3, 1)
    near = rng.random(200_000) < 0.3
    values[near] = 1.337 + 5e-7 * rng.standard_normal(near.sum())
    found = describe_values(values.astype(np.float32), medium_index=1.337)
    assert found.pile_up_at == 1.337 and found.pile_up_share == pytest.approx(0.3, abs=0.05)
    assert found.pile_up_share > 3 * found.pile_up_expected and found.skewness is not None and found.skewness > 0.8
    assert "1.337" in found.findings[0] and not found.clipped_low
    unknown = describe_values(values.astype(np.float32))
    assert unknown.pile_up_at == pytest.approx(1.337, abs=2e-6)


def test_a_quiet_background_is_no_pile_up(rng):
    """A narrow peak of background noise in an image full of structure is no trait of the values."""
    values = np.concatenate([background(rng, 100_000, 1e-4), 1.337 + 0.01 * rng.standard_normal(100_000)])
    assert describe_values(values.astype(np.float32), medium_index=1.337).findings == ()


def test_odd_inputs_do_not_crash():
    for values in ([1.0], [0, 1], [0, 1.3], [1, 2, 3, 4, 4, 4], np.full((3, 4, 5), 1.337), [np.nan, 2, 2]):
        assert asdict(describe_values(np.asarray(values, dtype=np.float32)))["minimum"] >= 0
    assert "same value" in describe_values(np.ones(5)).findings[0]
    with pytest.raises(UsageError, match="finite"):
        describe_values(np.full(3, np.nan))


def test_ties_and_input_untouched(rng):
    values = np.array([1, 1, 2, 3, 4, 5, 6, 6.5], dtype=np.float32)
    before = values.copy()
    assert describe_values(values).tied == 0.25
    np.testing.assert_array_equal(values, before)
