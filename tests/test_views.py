"""Estimates beside the plain one: hidden voxels, noisy copies, flips, mixing; whole and in tiles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from meeum import Volume, api, predict, preparation, session, views
from meeum.checkpoint import Model
from meeum.errors import UsageError
from meeum.networks import Shape, build
from meeum.noise import Noise
from meeum.patches import Normalisation
from meeum.settings import Settings, assumed, override

SHAPE = (21, 27)
NOISE = Noise(1.0, np.ones((8, 5)), (8, 8), "nothing", (), 0.0, 0.0, "test", 1.0, 0.0, 0.02, 1.0)


def model(objective: str = "masked", *, noise: Noise | None = None, **prediction: Any) -> Model:
    settings = Settings().changed("masking", masking="mean", mask_size=(5,))
    settings = settings.changed("training", objective=objective).changed("prediction", **prediction)
    shape = Shape(4, ((2, 2),), 2)
    return Model(build("unet", shape, seed=3), settings, shape, Normalisation(2.0, 1.5), "YX", noise=noise)


def image(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(2, 1.5, SHAPE).astype(np.float32)


def denoised(made: Model, values: np.ndarray) -> np.ndarray:
    result = np.empty_like(values)
    for _ in predict.fill(result, Volume(values, "YX"), made, device="cpu"):
        pass
    return result


def test_masked_estimates_do_not_depend_on_their_own_voxel() -> None:
    made, values = model(masked=True), image()
    before = denoised(made, values)
    for place in ((0, 0), (10, 13), (20, 26)):
        changed = values.copy()
        changed[place] += 5
        after = denoised(made, changed)
        assert after[place] == pytest.approx(before[place], abs=1e-5)
        assert np.abs(after - before).max() > 1e-3  # its neighbours see it
    plain = model()
    changed = values.copy()
    changed[10, 13] += 5
    assert abs(denoised(plain, changed)[10, 13] - denoised(plain, values)[10, 13]) > 1e-3


@pytest.mark.parametrize(("footprint", "share"), [((0,), 0.05), ((1,), 0.02), ((0, 2), 0.03)])
def test_every_voxel_is_hidden_once(footprint: tuple[int, ...], share: float) -> None:
    made = model(masked=True)
    masking = views._masking(replace(made, settings=made.settings.changed("masking", footprint=footprint)), SHAPE)
    grids = list(views._grids(SHAPE, (3, 5), replace(masking, share=share)))
    total = torch.stack(grids).sum(0)
    assert total.min() == total.max() == 1
    shifted = list(views._grids((18, 22), (6, 10), replace(masking, share=share)))
    for whole, part in zip(grids, shifted, strict=True):
        assert torch.equal(whole[3:, 5:], part)


ALONE: list[dict[str, Any]] = [{"masked": True}, {"draws": 3}, {"flips": True}, {"displaced": True}]
WAYS = [*ALONE, {"draws": 2, "masked": True}, {"draws": 2, "flips": True}]


@pytest.mark.parametrize("how", WAYS)
def test_tiled_equals_whole(how: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    made = model("recorrupted", noise=NOISE, **how)
    values = np.random.default_rng(1).normal(2, 1.5, (70, 90)).astype(np.float32)
    whole = denoised(made, values)
    tiles = predict.plan_tiles(values.shape, made.stride, _reach(made, values.shape), most_voxels=3600)
    assert len(tiles) > 3
    monkeypatch.setattr(predict, "tiles", lambda shape, model: tiles)
    np.testing.assert_allclose(denoised(made, values), whole, atol=2e-5)


def _reach(made: Model, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(r + f for r, f in zip(made.reach, views.extra_reach(made, shape), strict=True))


def one_sided(seen: views.Seen) -> Tensor:
    """Each pixel becomes the one below it: a direction, and no grid."""
    return torch.roll(seen.image, 1, 0)


def test_mean_over_flips_has_no_direction() -> None:
    values = torch.rand(24, 32, generator=torch.Generator().manual_seed(0))
    found = views._flipped(one_sided, (4, 4))(seen(values))
    both = (torch.roll(values, 1, 0) + torch.roll(values, -1, 0)) / 2
    torch.testing.assert_close(found[4:-4], both[4:-4])


@pytest.mark.parametrize(("axes", "step"), [(2, 2), (3, 2), (3, 4)])
def test_mean_over_flips_cancels_what_the_grid_lays(axes: int, step: int) -> None:
    """In the values, and in the differences of neighbours: within a block of the grid they are smaller than between."""
    shape, stride = (32, 24, 16)[:axes], (step,) * axes
    values = torch.rand(shape, generator=torch.Generator().manual_seed(0))

    def gridded(piece: views.Seen) -> Tensor:
        index = torch.arange(piece.image.shape[-1])
        return piece.image + (index % step).float()

    added = views._flipped(gridded, stride)(seen(values)) - values
    assert float(gridded(seen(values)).sub(values).std()) > 0.4
    torch.testing.assert_close(added, torch.full(shape, (step - 1) / 2))

    def blocked(piece: views.Seen) -> Tensor:
        return piece.image.unflatten(-1, (-1, 2)).mean(-1).repeat_interleave(2, -1)

    rough = views._flipped(blocked, stride)(seen(values)).diff(dim=-1).square()
    within, between = float(rough[..., 0::2].mean()), float(rough[..., 1::2].mean())
    assert within == pytest.approx(between, rel=0.25)


@pytest.mark.parametrize("axes", [2, 3])
def test_two_passes_a_voxel_apart_are_rough_alike_on_both_places_of_a_grid(axes: int) -> None:
    shape, stride = (64, 48, 56)[:axes], (2,) * axes
    values = torch.rand(shape, generator=torch.Generator().manual_seed(1))

    def blocked(piece: views.Seen) -> Tensor:
        image = piece.image
        for axis in range(axes):
            image = image.unflatten(axis, (-1, 2)).mean(axis + 1).repeat_interleave(2, axis)
        return image

    for axis in range(axes):
        ratios = []
        for ask in (blocked, views._displaced(blocked, stride)):
            rough = ask(seen(values)).diff(dim=axis).square().movedim(axis, 0)[4:-4]
            ratios.append(float(rough[0::2].mean() / rough[1::2].mean()))
        assert ratios[0] == 0 and ratios[1] == pytest.approx(1, rel=0.25)


def test_passes_are_taken_where_they_were_asked_for() -> None:
    """One pass, two, or four in two dimensions; flips take the place of displacement alone."""
    for how, expected in (({}, 1), ({"displaced": True}, 2), ({"flips": True, "displaced": True}, 4)):
        calls: list[int] = []
        made = model("recorrupted", noise=NOISE, **how)
        ask = views.estimate(Counting(calls), made)
        ask(seen(torch.rand(16, 16)))
        assert len(calls) == expected


class Counting(torch.nn.Module):
    def __init__(self, calls: list[int]) -> None:
        super().__init__()
        self.calls = calls

    def forward(self, image: Tensor) -> Tensor:
        self.calls.append(1)
        return image


def seen(values: Tensor) -> views.Seen:
    return views.Seen(values, (0,) * values.ndim, torch.ones((1,) * values.ndim))


def test_mean_over_flips_of_what_changes_nothing_changes_nothing() -> None:
    values = torch.rand(8, 12, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(views._flipped(lambda piece: piece.image, (2, 4, 4))(seen(values)), values)


def test_noisy_copies_are_averaged() -> None:
    """For a linear network the mean over copies is the estimate plus alpha times the mean of the noise."""
    made = model("recorrupted", noise=NOISE, draws=16)
    alpha = made.settings.training.alpha
    ask = views._recorrupted(lambda seen: seen.image, made)
    plain = torch.zeros(60, 60)
    found = ask(views.Seen(plain, (0, 0), torch.full((1, 1), 2.0)))
    assert float(found.std()) == pytest.approx(2.0 * alpha / 4, rel=0.1)
    moved = ask(views.Seen(plain[:30, :30], (30, 30), torch.full((1, 1), 2.0)))
    assert torch.equal(moved, found[30:, 30:])


def test_draws_need_a_measured_noise() -> None:
    with pytest.raises(UsageError, match="draws"):
        denoised(model(draws=2), image())


@pytest.mark.parametrize("error", [0.0, 0.5, 2.0])
def test_mixing_gives_the_least_error(error: float) -> None:
    rng = torch.Generator().manual_seed(0)
    truth = torch.randn(4, 40, 40, generator=rng)
    noisy = truth + torch.randn(truth.shape, generator=rng)
    estimated = truth + error * torch.randn(truth.shape, generator=rng)
    share = views.mixing(estimated, noisy, torch.ones_like(noisy, dtype=torch.bool), torch.ones(4, 1, 1))
    assert share == pytest.approx(error**2 / (1 + error**2), abs=0.05)


def test_what_is_far_off_does_not_say_how_far_off_that_is() -> None:
    rng = torch.Generator().manual_seed(0)
    truth = torch.randn(4, 40, 40, generator=rng)
    noisy = torch.where(torch.rand(truth.shape, generator=rng) < 0.1, 30.0, truth)
    estimated = truth + 0.5 * torch.randn(truth.shape, generator=rng)
    far = views.far_off(estimated, noisy, torch.ones_like(noisy, dtype=torch.bool))
    assert far == pytest.approx(6 * 0.5, rel=0.15)


def test_the_share_is_mixed_in() -> None:
    made, values = model(), image()
    mixed = denoised(replace(made, mixing=0.25), values)
    plain = denoised(made, values)
    np.testing.assert_allclose(mixed, 0.75 * plain + 0.25 * values, atol=1e-5)
    limit = float(np.median(np.abs(values - plain)))
    some = denoised(replace(made, mixing=0.25, far=limit / made.normalisation.scale), values)
    near = np.abs(values - plain) <= limit
    assert 0.4 < near.mean() < 0.6
    np.testing.assert_allclose(some[near], mixed[near], atol=1e-5)
    np.testing.assert_allclose(some[~near], plain[~near], atol=1e-5)


def test_salt_and_pepper_go_and_the_rest_stays(tmp_path: Path) -> None:
    """From the file to the result: pixels not far off keep most of their value, saved, and resumed once more."""
    rng = np.random.default_rng(0)
    truth = 100 + 40 * np.sin(np.arange(96) / 9) * np.ones((96, 1)) + rng.normal(0, 1, (96, 96))
    pepper = rng.random(truth.shape) < 0.08
    noisy = Volume(np.where(pepper, 255, truth).astype(np.float32), "YX")
    words = ["training.steps=60", "training.patch=32", "training.precision=float32", "network.width=4"]
    running = preparation.prepare([noisy], override(assumed(noisy.shape), words))
    for _ in running.run():
        pass
    trained = running.snapshot()
    clean = api.denoise(noisy, trained).read()
    assert trained.far is not None and trained.mixing > 0.5
    assert np.abs(clean - truth)[~pepper].mean() < 0.5 * np.abs(255 - clean)[pepper].mean()
    assert np.sqrt(np.mean((clean - truth) ** 2)) < 0.3 * np.sqrt(np.mean((noisy.read() - truth) ** 2))
    api.save(trained, tmp_path)
    kept = api.load(tmp_path)
    assert (kept.far, kept.mixing) == (trained.far, trained.mixing)
    again = session.resume([noisy], trained).snapshot()
    assert (again.far, again.mixing) == pytest.approx((trained.far, trained.mixing), rel=1e-6)
