"""Networks: the stride and reach they state hold, they bring no lattice of their own, and seeds are kept."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from torch.nn import functional

from meeum.networks import NETWORKS, BlurDown, Shape, build, halvings, place

torch.set_num_threads(1)

# halvings per level and sides of an image that holds twice the reach
PLANS = [
    ((), (16, 16)),
    (((2, 2),), (40, 40)),
    (((2, 2), (2, 2)), (88, 88)),
    (((1, 2), (2, 2)), (44, 88)),
    (((1, 2), (1, 2)), (28, 88)),
    (((2, 2, 2),), (32, 32, 32)),
    (((1, 2, 2), (2, 1, 1)), (44, 52, 52)),
]
CASES = [(name, *plan, top_skip) for name in NETWORKS for plan in PLANS for top_skip in (False, True)]
EVERY = pytest.mark.parametrize(("name", "levels", "size", "top_skip"), CASES, ids=str)


def network(name, levels, axes, top_skip=False, *, width=2, seed=1):
    return build(name, Shape(width, levels, axes, top_skip), seed=seed).requires_grad_(False)


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def furthest(net, size):
    """How far, per axis, a change of one voxel is seen, at worst over all places within a stride."""
    image = noise(1, 1, *size)
    before, worst = net(image), np.zeros(len(size), dtype=int)
    for shift in range(max(net.stride)):
        at = tuple(n // 2 // s * s + shift % s for n, s in zip(size, net.stride, strict=True))
        changed = image.clone()
        changed[(0, 0, *at)] += 1e6
        seen = (net(changed) != before)[0, 0].nonzero().numpy()
        worst = np.maximum(worst, abs(seen - np.array(at)).max(axis=0))
    return worst


@EVERY
def test_an_output_looks_as_far_as_the_stated_reach_and_hardly_less(name, levels, size, top_skip):
    net = network(name, levels, len(size), top_skip)
    seen, stated = furthest(net, size), np.array(net.reach)
    assert all(n > 2 * reach for n, reach in zip(size, stated, strict=True))
    assert (seen <= stated).all()
    assert (stated <= 1.15 * seen).all()


@EVERY
def test_the_stride_is_that_of_the_halvings_and_the_size_is_kept(name, levels, size, top_skip):
    net = network(name, levels, len(size), top_skip)
    assert net.stride == tuple(math.prod(level[axis] for level in levels) for axis in range(len(size)))
    side = tuple(3 * stride for stride in net.stride)
    assert net(noise(2, 1, *side)).shape == (2, 1, *side)


def test_the_memory_stated_is_that_of_the_channels_at_full_size():
    """Few channels take the room of eight; behind a pixel-unshuffle those of the last convolutions mostly count."""
    stated = lambda name, width, levels=((2, 2, 2),), **how: network(name, levels, 3, width=width, **how).voxel_bytes  # noqa: E731
    assert stated("unet", 4) == stated("unet", 8) == stated("unet", 16) / 2 >= 230  # measured
    assert stated("unet", 8, top_skip=True) >= 290
    assert stated("shuffle", 4) == stated("shuffle", 16) == stated("shuffle", 128) >= 371
    assert stated("shuffle", 32, ()) == 2 * stated("shuffle", 16, ())


@EVERY
def test_a_shift_by_the_stride_shifts_the_output(name, levels, size, top_skip):
    net = network(name, levels, len(size), top_skip)
    image = noise(1, 1, *size)
    for axis, stride in enumerate(net.stride):
        moved = net(image.roll(stride, 2 + axis)).roll(-stride, 2 + axis)
        inside = (..., *(slice(r + s, n - r - s) for r, s, n in zip(net.reach, net.stride, size, strict=True)))
        assert moved[inside].numel()
        torch.testing.assert_close(moved[inside], net(image)[inside], rtol=0, atol=1e-5)


@EVERY
def test_a_constant_stays_constant_inside(name, levels, size, top_skip):
    net = network(name, levels, len(size), top_skip)
    output = net(torch.full((1, 1, *size), 2.0))
    inside = output[(..., *(slice(r, n - r) for r, n in zip(net.reach, size, strict=True)))]
    assert inside.numel()
    assert float(inside.max() - inside.min()) < 1e-5 < float(output.max() - output.min())


def test_the_top_skip_adds_channels_at_the_finest_level_only():
    without, having = (network("unet", ((2, 2), (2, 2)), 2, skip, width=4) for skip in (False, True))
    assert [decode[0].in_channels for decode in without.decode] == [8, 16 + 8]
    assert [decode[0].in_channels for decode in having.decode] == [8 + 4, 16 + 8]


@pytest.mark.parametrize("factors", [(2, 2), (1, 2), (2, 2, 2), (1, 2, 2)], ids=str)
def test_blur_down_is_a_blur_then_a_mix_of_channels_then_every_second_voxel(factors):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        down = BlurDown(3, 4, factors).double().requires_grad_(False)
    down.bias += torch.tensor([0.1, -0.2, 0.3, 0.4])
    image = noise(2, 3, *(6, 8, 10)[-len(factors) :]).double()
    blurred = image.numpy()
    for axis, factor in enumerate(factors, start=2):
        if factor == 2:
            taps = [1 / 8, 3 / 8, 3 / 8, 1 / 8]
            padded = np.pad(blurred, [(1, 2) if a == axis else (0, 0) for a in range(blurred.ndim)])
            n = blurred.shape[axis]
            blurred = sum(t * padded.take(range(i, i + n), axis=axis) for i, t in enumerate(taps))
            blurred = blurred.take(range(0, n, 2), axis=axis)
    expected = np.einsum("oc,bc...->bo...", down.mix.numpy(), blurred) + down.bias.numpy().reshape(
        -1, *[1] * len(factors)
    )
    np.testing.assert_allclose(down(image).numpy(), expected, rtol=1e-12, atol=1e-12)


def test_down_then_linear_up_does_not_move_the_image():
    """Blur and up-sampling share their centre: a ramp stays where it is."""
    down = BlurDown(1, 1, (1, 2)).requires_grad_(False)
    down.mix.fill_(1)
    ramp = torch.arange(32.0).expand(1, 1, 2, 32)
    up = functional.interpolate(down(ramp), scale_factor=[1.0, 2.0], mode="bilinear", align_corners=False)
    torch.testing.assert_close(up[..., 4:-4], ramp[..., 4:-4])


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_seed_alone_decides_the_weights(name, axes):
    levels = ((2,) * axes,)
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    one = network(name, levels, axes, seed=5)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(12)
    same, other = (network(name, levels, axes, seed=seed) for seed in (5, 6))
    for key, value in one.state_dict().items():
        assert torch.equal(value, same.state_dict()[key])
    assert any(not torch.equal(value, other.state_dict()[key]) for key, value in one.state_dict().items())


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_each_image_of_a_batch_is_its_own_and_the_layout_does_not_matter(name, axes):
    net = network(name, ((2,) * axes,), axes)
    batch = noise(3, 1, *[16] * axes)
    together = net(batch)
    for index in range(3):
        torch.testing.assert_close(net(batch[index : index + 1])[0], together[index], rtol=0, atol=1e-5)
    torch.testing.assert_close(place(net, axes, "cpu")(batch), together, rtol=0, atol=1e-5)


# --- which axes are halved

ISOTROPIC = (0.2, 0.2, 0.2)


@pytest.mark.parametrize(
    ("size", "spacing", "depth", "expected"),
    [
        ((64, 64), (1.0, 1.0), 2, [(2, 2), (2, 2)]),
        ((64, 64), (1.0, 1.0), 0, []),
        ((32, 32, 32), ISOTROPIC, 2, [(2, 2, 2), (2, 2, 2)]),
        ((32, 32), (1.0, 1.0), 4, [(2, 2), (2, 2)]),  # 8 is short
        ((15, 15), (1.0, 1.0), 2, []),
        ((64, 15), (1.0, 1.0), 2, [(2, 1), (2, 1)]),
        ((32, 64, 64), (0.8, 0.2, 0.2), 3, [(1, 2, 2), (1, 2, 2), (2, 2, 2)]),  # z waits until x and y are as coarse
        ((32, 64, 64), (0.38, 0.2, 0.2), 2, [(1, 2, 2), (2, 2, 2)]),
        ((32, 64, 64), (0.37, 0.2, 0.2), 2, [(2, 2, 2), (2, 2, 2)]),
        ((32, 64, 64), (0.1, 0.2, 0.2), 2, [(2, 1, 1), (2, 2, 2)]),  # the finest may be z
        ((5, 64, 64), (0.8, 0.2, 0.2), 2, [(1, 2, 2), (1, 2, 2)]),
        ((5, 64, 64), ISOTROPIC, 3, [(1, 2, 2)] * 3),  # a short axis does not stop the others
        ((1, 64, 64), (1.0, 1.0, 1.0), 2, [(1, 2, 2)] * 2),
        ((8, 64, 64), (0.05, 0.2, 0.2), 2, [(1, 2, 2)] * 2),
        ((20, 64, 64), ISOTROPIC, 3, [(2, 2, 2), (1, 2, 2), (1, 2, 2)]),
    ],
    ids=str,
)
def test_halvings(size, spacing, depth, expected):
    assert halvings(size, spacing, depth) == tuple(expected)


def test_halvings_keep_every_side_a_multiple_and_no_axis_much_coarser_than_another_that_is_long():
    for size, z, depth in product([(16, 48, 48), (40, 64, 32)], (0.1, 0.2, 0.45, 1.0), (1, 2, 3)):
        spacing = np.array([z, 0.2, 0.2])
        levels = halvings(size, tuple(spacing), depth)
        sides = np.array(size)
        for level in levels:
            long = sides >= 16
            assert not any(factor == 2 for factor, enough in zip(level, long, strict=True) if not enough)
            finest = spacing[long].min()
            assert all(s < 1.9 * finest for s, factor in zip(spacing, level, strict=True) if factor == 2)
            sides, spacing = -(-sides // level), spacing * level


def gradient(network, image, *, low):
    network.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=low):
        output = network(image)
    output.float().square().mean().backward()
    return torch.cat([part.grad.flatten() for part in network.parameters()])


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_bfloat16_gradients_of_thin_stacks(name, depth):
    network = place(build(name, Shape(16, ((1, 2, 2), (1, 2, 2)), 3), seed=0), 3, "cpu")
    image = torch.randn(1, 1, depth, 32, 32, generator=torch.Generator().manual_seed(0))
    exact = gradient(network, image, low=False)
    for _ in range(4):
        assert (gradient(network, image, low=True) - exact).norm() < 0.2 * exact.norm()
