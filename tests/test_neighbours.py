"""Neighbour pairs: laws of the sampling, what is judged, and how near training on them comes to the clean target."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from meeum.errors import UsageError
from meeum.networks import Shape, build
from meeum.objectives import Subject
from meeum.objectives.neighbours import draw_pairs, fitting, neighbours, pick
from meeum.patches import Batch, Normalisation
from meeum.settings import Settings

torch.set_num_threads(1)

LEAST_P = 1e-4
SIZES = [(3, 32, 40), (2, 5, 24, 16)]  # (B, Y, X) and (B, Z, Y, X)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def objective(sides, depth=1):
    subject = Subject("picture.tif", sides, Normalisation(0.0, 1.0))
    return neighbours(Settings().changed("network", depth=depth), subject)


def places(size, seed=0):
    """Where both voxels of every pair come from: two integer arrays (pairs, axes), by drawing from an index image."""
    index = torch.arange(math.prod(size)).reshape(size)
    first, second = pick(index, draw_pairs(index, seeded(seed)))
    assert first.shape == (*size[:-2], size[-2] // 2, size[-1] // 2)
    return (np.stack(np.unravel_index(part.numpy().ravel(), size), -1) for part in (first, second))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_pair_lies_in_its_cell_and_shares_an_edge(size):
    given, target = places(size)
    cells = np.stack(np.meshgrid(*map(np.arange, (*size[:-2], size[-2] // 2, size[-1] // 2)), indexing="ij"), -1)
    cells = cells.reshape(-1, len(size))
    for part in (given, target):
        np.testing.assert_array_equal(part // [*(1 for _ in size[:-2]), 2, 2], cells)
    assert (np.abs(given - target).sum(1) == 1).all()
    assert (given[:, :-2] == target[:, :-2]).all(), "a pair left its plane"


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_all_eight_pairs_are_equally_likely(size):
    given, target = (np.concatenate(part) for part in zip(*(places(size, seed) for seed in range(8)), strict=True))
    corner = 2 * (given[:, -2] % 2) + given[:, -1] % 2
    seen = np.bincount(4 * corner + 2 * (target[:, -2] % 2) + target[:, -1] % 2, minlength=16)
    possible = [4 * a + b for a in range(4) for b in range(4) if bin(a ^ b).count("1") == 1]
    assert seen.sum() == seen[possible].sum()
    assert stats.chisquare(seen[possible]).pvalue > LEAST_P
    steps = target[:, -2:] - given[:, -2:]
    directions = [int((steps == way).all(1).sum()) for way in ((0, 1), (0, -1), (1, 0), (-1, 0))]
    assert sum(directions) == len(steps)
    assert stats.chisquare(directions).pvalue > LEAST_P


def test_cells_are_drawn_independently():
    given, _ = places((1, 256, 256))
    corner = (2 * (given[:, 1] % 2) + given[:, 2] % 2).reshape(128, 128)
    for one, other in ((corner[:, 1:], corner[:, :-1]), (corner[1:], corner[:-1])):
        table = np.bincount((4 * one + other).ravel(), minlength=16).reshape(4, 4)
        assert stats.chi2_contingency(table).pvalue > LEAST_P


def test_the_loss_is_that_of_the_paper():
    """Written a second time, pair by pair, for a network that is a fixed function of the voxel and its neighbour."""
    image = torch.randn(2, 8, 8, generator=seeded(1))

    def network(x):
        return 0.7 * x + 0.2 * torch.roll(x, 1, -1) + 0.1

    found = objective((8, 8))(network, Batch(image, torch.ones_like(image, dtype=torch.bool)), seeded(3))
    pair, whole = draw_pairs(image, seeded(3)), network(image)
    total, corners = 0.0, [(0, 0), (0, 1), (1, 0), (1, 1)]
    for patch in range(2):
        at = [[[corners[int(pair[k, patch, i, j])] for j in range(4)] for i in range(4)] for k in range(2)]
        half = torch.tensor(
            [[float(image[patch, 2 * i + at[0][i][j][0], 2 * j + at[0][i][j][1]]) for j in range(4)] for i in range(4)]
        )
        output = network(half)
        for i in range(4):
            for j in range(4):
                here, there = ((patch, 2 * i + a[i][j][0], 2 * j + a[i][j][1]) for a in at)
                error = float(output[i, j] - image[there])
                total += error**2 + (error - float(whole[here] - whole[there])) ** 2
    assert float(found) == pytest.approx(total / 32, rel=1e-5)


@pytest.mark.parametrize("sides", [(16, 16), (4, 16, 16)], ids=str)
def test_only_pairs_of_judged_voxels_count(sides):
    """Poison in the targets that may not be judged leaves loss and gradient as they were."""
    image = torch.randn(2, *sides, generator=seeded(1))
    allowed = torch.rand(image.shape, generator=seeded(2)) < 0.7
    gain = torch.ones((), requires_grad=True)

    def own(x):  # looks at no other voxel, so that poison can arrive as a target only
        return gain * x

    clean = objective(sides)(own, Batch(image, allowed), seeded())
    slope = torch.autograd.grad(clean, gain)
    poisoned = objective(sides)(own, Batch(torch.where(allowed, image, 1e6), allowed), seeded())
    torch.testing.assert_close(clean, poisoned)
    torch.testing.assert_close(slope, torch.autograd.grad(poisoned, gain))
    everywhere = objective(sides)(own, Batch(image, torch.ones_like(allowed)), seeded())
    assert float(everywhere.detach()) != pytest.approx(float(clean.detach()), rel=1e-3)
    assert float(objective(sides)(own, Batch(image, torch.zeros_like(allowed)), seeded()).detach()) == 0


def test_the_same_generator_gives_the_same_loss():
    batch = Batch(torch.randn(2, 16, 16, generator=seeded(5)), torch.ones(2, 16, 16, dtype=torch.bool))
    losses = [float(objective((16, 16))(torch.tanh, batch, seeded(seed))) for seed in (7, 7, 8)]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize(
    ("sides", "depth", "kept"),
    [
        ((64, 64), 2, (64, 64)),
        ((20, 44), 2, (16, 40)),  # halved they must still be whole strides of 4
        ((5, 32, 6), 2, (5, 32, 6)),  # an axis that short is never halved
        ((7, 33), 0, (6, 32)),
    ],
    ids=str,
)
def test_halves_are_whole_strides(sides, depth, kept):
    assert fitting(torch.zeros(1, *sides), depth).shape[1:] == kept


def test_an_image_without_neighbours_is_refused():
    with pytest.raises(UsageError, match="at least 2"):
        objective((8, 1, 16))


def discs(side, seed):
    """Bright and dark discs on a slope, (Y, X), standard deviation about 1."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    image = 0.01 * (x - y)
    for _ in range(side // 8):
        radius, (cy, cx) = rng.uniform(4, 14), rng.uniform(0, side, 2)
        image = np.where((y - cy) ** 2 + (x - cx) ** 2 < radius**2, rng.uniform(-2, 2), image)
    return torch.from_numpy(image.astype(np.float32))


def test_nearly_as_good_as_with_the_clean_target():
    """White noise of a level the objective is not told: at most 1 dB below supervised training, same steps."""
    clean, truth = discs(192, seed=1), discs(128, seed=2)
    noisy, given = (part + 0.6 * torch.randn(part.shape, generator=seeded(9)) for part in (clean, truth))
    before = psnr(given, truth)
    supervised = psnr(denoised(given, noisy, clean), truth)
    paired = psnr(denoised(given, noisy, None), truth)
    assert supervised > before + 8, "the ceiling itself is too low to tell anything"
    assert paired > supervised - 1.0


def denoised(given, noisy, clean, steps=200):
    network = build("unet", Shape(8, ((2, 2),), 2, top_skip=True), seed=0)
    optimiser = torch.optim.Adam(network.parameters(), lr=4e-3)
    ask, rng = objective((192, 192)), np.random.default_rng(0)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 4e-3 * 0.5 * (1 + math.cos(math.pi * step / steps))
        corners = rng.integers(0, 192 - 48, (4, 2))
        image, target = (
            torch.stack([part[y : y + 48, x : x + 48] for y, x in corners])
            for part in (noisy, noisy if clean is None else clean)
        )
        batch = Batch(image, torch.ones_like(image, dtype=torch.bool))
        loss = (
            ask(network, batch, seeded(step))
            if clean is None
            else ((network(image[:, None])[:, 0] - target) ** 2).mean()
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        return network(given[None, None])[0, 0]


def psnr(image, truth):
    return 10 * math.log10(float((truth.max() - truth.min()) ** 2 / ((image - truth) ** 2).mean()))
