"""Rings and inverted centres are found around planted beads; filters that only smooth pass."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scenes import grain, volume_of, white_noise
from scipy import ndimage

from meeum.auditing.beads import beads
from meeum.auditing.boxes import busiest
from meeum.auditing.pair import Pair, gather
from meeum.auditing.response import SIGMA, STRENGTHS, response
from meeum.volume import Volume

LEVEL = 0.5


def noisy(axes: str, **more) -> Volume:
    """A bright cell in the middle of a dark field, and white noise."""
    shape = (20, 72, 72) if axes == "ZYX" else (160, 150)
    lines = np.ogrid[tuple(slice(-(n // 2), n - n // 2) for n in shape)]
    inside = sum((2 * line / n) ** 2 for line, n in zip(lines, shape, strict=True)) < 0.6
    rng = np.random.default_rng(1)
    return Volume((10 + 4 * inside + rng.normal(0, LEVEL, shape)).astype(np.float32), axes, **more)


def asked(denoise, axes: str = "YX", image: Volume | None = None) -> Pair:
    image = image or noisy(axes)
    sides = (16,) * len(image.spatial_axes)
    return gather(image, image, noise=white_noise(LEVEL, sides), denoise=denoise)


def blurred(sigma: float):
    return partial(ndimage.gaussian_filter, sigma=sigma)


def ring_maker(values):
    """Half of everything, and eight copies of it around where it was."""
    less = values - 10
    steps = [(5, 0), (-5, 0), (0, 5), (0, -5), (4, 4), (4, -4), (-4, 4), (-4, -4)]
    return 10 + 0.5 * less + 0.5 * sum(np.roll(less, step, (-2, -1)) for step in steps)


def doughnuts(values):
    less = values - 10
    return 10 + 3 * blurred(2.5)(less) - 2 * blurred(1.5)(less)


@pytest.mark.parametrize("axes", ["YX", "ZYX"])
@pytest.mark.parametrize("sigma", [0.5, 1.0])
def test_a_gaussian_passes_with_the_gain_it_must_have(axes: str, sigma: float) -> None:
    """By hand: two Gaussians folded; the centre keeps (s / hypot(s, sigma)) per axis."""
    centre, ring = beads(asked(blurred(sigma), axes))
    assert (centre.verdict, ring.verdict) == ("pass", "pass")
    assert centre.value == pytest.approx((SIGMA / np.hypot(SIGMA, sigma)) ** len(axes), rel=0.03)
    assert ring.value < 0.01


@pytest.mark.parametrize("axes", ["YX", "ZYX"])
def test_the_identity_and_a_median_pass(axes: str) -> None:
    for denoise, least in ((lambda values: values, 0.999), (partial(ndimage.median_filter, size=3), 0.5)):
        centre, ring = beads(asked(denoise, axes))
        assert (centre.verdict, ring.verdict) == ("pass", "pass")
        assert least < centre.value < 1.001


@pytest.mark.parametrize("axes", ["YX", "ZYX"])
def test_doughnuts_are_caught(axes: str) -> None:
    centre, ring = beads(asked(doughnuts, axes))
    assert (centre.verdict, ring.verdict) == ("fail", "fail")
    assert centre.value < 0 < ring.value
    assert "inverted" in centre.sentence
    assert "a ring" in ring.sentence
    assert ring.picture is not None
    middle = np.array(ring.picture.values.shape) // 2
    assert ring.picture.values[tuple(middle)] < 0 < ring.picture.values.max()


def test_rings_around_an_upright_centre_are_caught() -> None:
    centre, ring = beads(asked(ring_maker))
    assert ring.verdict == "fail"
    assert 0.1 < ring.value < 0.3
    assert centre.verdict in ("pass", "warn")
    assert centre.value == pytest.approx(0.55, abs=0.1)


def test_an_amplified_and_a_vanished_bead() -> None:
    centre, _ = beads(asked(lambda values: 10 + 1.6 * (values - 10)))
    assert (centre.verdict, round(centre.value, 3)) == ("fail", 1.6)
    centre, ring = beads(asked(lambda values: np.full_like(values, 11)))
    assert (centre.verdict, ring.verdict) == ("warn", "pass")
    assert centre.value == 0


def drowned(fine: float) -> Volume:
    """Coarse structure and fine grain of this strength, in noise that is as fine as the beads."""
    rng = np.random.default_rng(7)
    shape, layers = (160, 160), ((8, 20.0), (1, fine), (SIGMA, LEVEL))
    return volume_of(10 + sum(strength * grain(rng, shape, colour) for colour, strength in layers))


@pytest.mark.parametrize(("fine", "blur", "verdict"), [(0, 2.5, "cannot tell"), (0, 30.0, "warn"), (3, 2.5, "warn")])
def test_a_loss_counts_against_what_the_best_linear_filter_leaves(fine: float, blur: float, verdict: str) -> None:
    """Without detail as fine as the beads they are blurred as the noise must be, or away; with it, for nothing."""
    rng = np.random.default_rng(8)
    sides = (64, 64)
    power = np.mean([np.abs(np.fft.rfft2(grain(rng, sides, SIGMA))) ** 2 for _ in range(200)], axis=0)
    known = replace(white_noise(LEVEL, sides), spectrum=power / 64**2)
    image = drowned(fine)
    centre, _ = beads(gather(image, image, noise=known, denoise=blurred(blur)))
    assert (centre.verdict, 0 < centre.value < 0.5) == (verdict, True)
    linear = centre.details["best_linear_filter"]
    assert linear < 0.45 if fine == 0 else linear > 0.6
    assert f"the best linear filter would leave {100 * linear:.0f} %" in centre.sentence
    assert ("hardly stands clear" in centre.reason) == (verdict == "cannot tell")


def test_a_bead_that_was_kept_passes_where_the_best_linear_filter_would_lose_it() -> None:
    image = drowned(0)
    centre, _ = beads(gather(image, image, noise=white_noise(10 * LEVEL, (16, 16)), denoise=lambda values: values))
    assert (centre.verdict, centre.value) == ("pass", pytest.approx(1))
    assert centre.details["best_linear_filter"] < 0.5


@pytest.mark.parametrize(("factor", "words"), [(0.55, "best linear filter would leave"), (1.1, "more than 120 %")])
def test_a_response_that_is_not_ideal_and_passes_says_from_where_on_it_would_not(factor: float, words: str) -> None:
    image = drowned(3)
    centre, _ = beads(gather(image, image, noise=white_noise(LEVEL, (64, 64)), denoise=lambda v: factor * v))
    assert (centre.verdict, centre.value) == ("pass", pytest.approx(factor))
    assert words in centre.sentence and "is worth a warning" in centre.sentence


def test_chance_does_not_invert_what_vanished() -> None:
    """A result that has nothing to do with the beads is no inversion, whatever its sign."""
    rng = np.random.default_rng(2)
    for _ in range(5):
        centre, ring = beads(asked(lambda values: np.float32(10) + rng.normal(0, 1, values.shape).astype(np.float32)))
        assert centre.verdict in ("warn", "cannot tell")
        assert ring.verdict in ("pass", "cannot tell")


def test_weak_beads_may_vanish() -> None:
    """A threshold removes what is weak and leaves what is strong: reported, and passed."""

    def threshold(values):
        return np.where(np.abs(values - 10) > 3.5 * LEVEL, values, np.float32(10))

    centre, _ = beads(asked(threshold))
    assert centre.verdict == "pass"
    told = centre.details
    assert told["bright 2 background"]["centre"] < 0.5 < told["bright 10 background"]["centre"]


def test_details_count_every_bead() -> None:
    pair = asked(lambda values: values)
    found = response(pair)
    assert found is not None
    told = beads(pair)[0].details
    counts = [group["beads"] for group in told.values() if isinstance(group, dict)]
    assert sum(counts) == len(found.strength)
    assert all(np.count_nonzero(found.strength == s) == len(found.strength) // 3 for s in STRENGTHS)
    profile = told["bright 10 cells"]["profile"]
    by_hand = (4 * np.exp(-0.5 * 4 / SIGMA**2) + 8 * np.exp(-0.5 * 5 / SIGMA**2)) / 12  # (2, 0) and (2, 1) all round
    assert profile[2] == pytest.approx(by_hand, abs=1e-4)


def test_without_a_denoiser_and_without_room() -> None:
    rng = np.random.default_rng(0)
    small = volume_of(rng.normal(5, LEVEL, (16, 17)))
    tiny = volume_of(rng.normal(5, LEVEL, (3, 4, 5)))
    for pair in (asked(None), asked(blurred(1), image=small), asked(blurred(1), image=tiny)):
        found = beads(pair)
        assert [one.verdict for one in found] == ["cannot tell"] * 2
        assert all(one.reason for one in found)
    assert "--model" in beads(asked(None))[0].reason


def test_beads_stay_where_all_was_measured() -> None:
    image = noisy("YX")
    values = image.read()
    values[:, 40:] = 0
    holed = replace(image, data=values, no_data=0.0)
    seen = []

    def look(given):
        seen.append(given.copy())
        return given

    beads(asked(look, image=holed))
    changed = [seen[0] != other for other in seen[1:]]
    assert all(one[:, :40].any() and not one[:, 40:].any() for one in changed)


def test_the_box_is_where_the_cells_are() -> None:
    values = np.random.default_rng(0).normal(0, LEVEL, (128, 256)).astype(np.float32)
    values[70:110, 180:230] += 8
    pair = asked(None, image=Volume(values, "YX"))
    found = busiest(pair, 64 * 64)
    assert found is not None
    rows, columns = found[1]
    assert (rows.stop - rows.start) * (columns.stop - columns.start) <= 64 * 64
    assert rows.start < 90 < rows.stop
    assert columns.start < 205 < columns.stop
