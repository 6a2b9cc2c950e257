"""The optimiser: orthogonal steps for matrices, Adam for the rest, and a state that goes on where it was left."""

import copy
import math

import pytest
import torch
from torch import nn

from meeum.optimiser import DECAY, GAIN, LEAST, Muon, orthogonal

torch.set_num_threads(1)


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def steps(weight, grads, optimiser):
    for grad in grads:
        weight.grad = grad.clone()
        optimiser.step()
    return weight.detach().clone()


@pytest.mark.parametrize("sides", [(8, 8), (16, 72), (48, 48 * 9)], ids=str)
def test_all_singular_values_come_near_one_and_the_directions_stay(sides):
    matrices = noise(3, *sides) * torch.tensor([1e-3, 1.0, 1e3])[:, None, None]
    result = orthogonal(matrices)
    values = torch.linalg.svdvals(result.double())
    assert float(values.min()) > 0.3 and float(values.max()) < 1.3
    left, _, right = torch.linalg.svd(matrices.double(), full_matrices=False)
    along = left.mT @ result.double() @ right.mT  # diagonal where singular vectors are kept
    off = along - torch.diag_embed(torch.diagonal(along, dim1=1, dim2=2))
    assert float(off.abs().max()) < 1e-3


@pytest.mark.parametrize("shape", [(LEAST - 1, 32, 3, 3), (32, LEAST - 1, 3, 3), (1, 8, 1, 1), (32,)], ids=str)
def test_few_channels_and_vectors_take_the_steps_of_adam(shape):
    one, other = (nn.Parameter(noise(*shape)) for _ in range(2))
    grads = [noise(*shape, seed=seed) for seed in range(1, 6)]
    adam = torch.optim.AdamW([other], lr=1e-2, betas=(0.9, 0.99), weight_decay=DECAY)
    torch.testing.assert_close(steps(one, grads, Muon([one], lr=1e-2)), steps(other, grads, adam))


@pytest.mark.parametrize("shape", [(16, 8, 3, 3), (32, 8), (8, 8, 3, 3, 3), (48, 16, 1, 1)], ids=str)
def test_a_first_step_of_a_matrix_is_its_gradient_made_orthogonal(shape):
    """U V' of the gradient, of the stated size, within what five rounds leave; whatever the gradient's own size."""
    before, grad = noise(*shape), 1e-4 * noise(*shape, seed=1)
    weight = nn.Parameter(before.clone())
    moved = ((1 - DECAY * 0.01) * before - steps(weight, [grad], Muon([weight], lr=0.01))).reshape(len(weight), -1)
    left, _, right = torch.linalg.svd(grad.reshape(len(grad), -1), full_matrices=False)
    exact = left @ right * 0.01 * GAIN * math.sqrt(max(moved.shape))
    assert float((moved * exact).sum() / moved.norm() / exact.norm()) > 0.97
    assert float(moved.norm() / exact.norm()) == pytest.approx(1, abs=0.2)


def test_weights_stepped_together_step_as_they_would_alone():
    starts = [noise(8, 16, 3, 3), noise(16, 8, seed=1), noise(8, 16, 3, 3, seed=2)]
    together = [nn.Parameter(start.clone()) for start in starts]
    optimiser = Muon(together, lr=0.01)
    for turn in range(3):
        for index, weight in enumerate(together):
            weight.grad = noise(*weight.shape, seed=10 * turn + index)
        optimiser.step()
    for index, (start, weight) in enumerate(zip(starts, together, strict=True)):
        alone = nn.Parameter(start.clone())
        grads = [noise(*start.shape, seed=10 * turn + index) for turn in range(3)]
        torch.testing.assert_close(steps(alone, grads, Muon([alone], lr=0.01)), weight.detach(), rtol=0, atol=1e-5)


def test_a_restored_state_goes_on_exactly():
    weights = [nn.Parameter(noise(16, 8, 3, 3)), nn.Parameter(noise(5))]
    optimiser = Muon(weights, lr=0.01)
    grads = [[noise(*weight.shape, seed=seed) for weight in weights] for seed in range(4)]

    def go(some, its):
        for weight, grad in zip(some, its, strict=True):
            weight.grad = grad.clone()

    for its in grads[:2]:
        go(weights, its)
        optimiser.step()
    copies = [nn.Parameter(weight.detach().clone()) for weight in weights]
    restored = Muon(copies, lr=0.01)
    restored.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    for its in grads[2:]:
        for some, mover in ((weights, optimiser), (copies, restored)):
            go(some, its)
            mover.step()
    for one, other in zip(weights, copies, strict=True):
        assert torch.equal(one, other)
