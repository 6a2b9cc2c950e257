"""Networks in 2D and 3D; each states its stride and its reach, from which tiles are planned.

No normalisation that depends on space or batch (a tile must equal the whole), every down-sampling is
blurred (Zhang 2019), up-sampling is linear: no transposed convolution, no max pooling, no lattice of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

Ints = tuple[int, ...]

FULL = 16  # channels at full size of the network behind a pixel-unshuffle
BYTES = {False: 31, True: 38}  # per voxel and channel at full size at the peak of a prediction, without and with a skip
BYTES_BEHIND = 24  # the same of the network behind a pixel-unshuffle
LEAST = 8  # channels for which a convolution takes room


@dataclass(frozen=True)
class Shape:
    """What a network is built from: channels at the finest level, halvings per axis and level, top skip."""

    width: int
    halvings: tuple[Ints, ...]  # one entry per level, one factor (1 or 2) per axis
    axes: int
    top_skip: bool = False


def halvings(size: Ints, spacing: tuple[float, ...], depth: int) -> tuple[Ints, ...]:
    """Which axes each level halves: never one that is short, nor one much coarser than the finest (anisotropy)."""
    levels: list[Ints] = []
    size, now = tuple(size), tuple(spacing)
    for _ in range(depth):
        # A short axis keeps its spacing while the others grow: it must not stop them.
        fine = min((s for n, s in zip(size, now, strict=True) if n >= 16), default=0.0)
        level = tuple(2 if n >= 16 and s < 1.9 * fine else 1 for n, s in zip(size, now, strict=True))
        if max(level) == 1:
            break
        levels.append(level)
        size = tuple(-(-n // f) for n, f in zip(size, level, strict=True))
        now = tuple(s * f for s, f in zip(now, level, strict=True))
    return tuple(levels)


class Conv3d(nn.Conv3d):
    """In float32 on a CPU where there are but one or two planes: results or gradients are wrong there in bfloat16.

    With torch 2.13 (oneDNN, AVX-512): of one channel and plane the output, of two planes the gradient of the weights.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] > 2 or x.device.type != "cpu":
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())


class BlurDown(nn.Module):
    """A [1 3 3 1] blur and channel mixing in one convolution, halving the axes whose factor is 2."""

    blur: Tensor

    def __init__(self, channels: int, out: int, factors: Ints, *, bias: bool = True) -> None:
        super().__init__()
        self.factors = factors
        self.mix = nn.Parameter(torch.randn(out, channels) / math.sqrt(channels))
        self.bias = nn.Parameter(torch.zeros(out)) if bias else None
        blur = torch.ones(())
        for factor in factors:
            blur = blur[..., None] * (torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8 if factor == 2 else torch.ones(1))
        self.register_buffer("blur", blur, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.mix.reshape(*self.mix.shape, *(1 for _ in self.factors)) * self.blur
        convolve = functional.conv2d if len(self.factors) == 2 else functional.conv3d
        return convolve(x, weight, self.bias, stride=self.factors, padding=tuple(f - 1 for f in self.factors))


class UNet(nn.Module):
    """U-Net (Ronneberger 2015) with blurred down- and linear up-sampling and, by default, no top skip (Höck 2022).

    Takes and gives (B, 1, *S), each side a multiple of `stride`; `reach` is how far, per axis, an output looks;
    `voxel_bytes` of memory a prediction takes.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.halvings, self.top_skip = shape.halvings, shape.top_skip
        depth, convolution = len(shape.halvings), nn.Conv2d if shape.axes == 2 else Conv3d
        widths = [shape.width * 2**level for level in range(depth + 1)]
        self.mode = "bilinear" if shape.axes == 2 else "trilinear"
        self.enter = _block(convolution, 1, widths[0])
        self.down = nn.ModuleList(
            BlurDown(widths[level], widths[level + 1], factors) for level, factors in enumerate(shape.halvings)
        )
        self.encode = nn.ModuleList(_block(convolution, width, width) for width in widths[1:])
        skips = [widths[level] if level or shape.top_skip else 0 for level in range(depth)]
        self.decode = nn.ModuleList(
            _block(convolution, widths[level + 1] + skips[level], widths[level]) for level in range(depth)
        )
        self.leave = convolution(widths[0], 1, 1)
        self.stride = tuple(math.prod(f[axis] for f in shape.halvings) for axis in range(shape.axes))
        self.reach = tuple(_reach([f[axis] for f in shape.halvings]) for axis in range(shape.axes))
        self.voxel_bytes = BYTES[shape.top_skip] * max(LEAST, shape.width)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        x = self.enter(x)
        for down, encode in zip(self.down, self.encode, strict=True):
            skips.append(x)
            x = encode(down(x))
        for level in reversed(range(len(skips))):
            factors = [float(f) for f in self.halvings[level]]
            x = functional.interpolate(x, scale_factor=factors, mode=self.mode, align_corners=False)
            x = self.decode[level](torch.cat([x, skips[level]], 1) if level or self.top_skip else x)
        leave: Tensor = self.leave(x)
        return leave


class Shuffle(nn.Module):
    """A U-Net behind a pixel-unshuffle (Shi 2016), without biases (Mohan 2020): the most for little time.

    The first halving moves voxels into channels, where nearly all the work is done. The way back is linear and ends in
    two convolutions at full size that also see the input: no pixel-shuffle, which would bring a lattice. Without biases
    f(c x) = c f(x), so that a network trained at one noise level serves at another. The finest skip is always there.
    Takes and gives (B, 1, *S), as `UNet` does.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.first, self.halvings = (shape.halvings[:1] or ((1,) * shape.axes,))[0], shape.halvings[1:]
        convolution = nn.Conv2d if shape.axes == 2 else Conv3d
        widths = [round(shape.width * 1.5**level) for level in range(len(self.halvings) + 1)]
        self.mode = "bilinear" if shape.axes == 2 else "trilinear"
        self.enter = _chain(convolution, math.prod(self.first), widths[0])
        self.down = nn.ModuleList(
            BlurDown(*pair, factors, bias=False) for pair, factors in zip(pairwise(widths), self.halvings, strict=True)
        )
        self.encode = nn.ModuleList(_chain(convolution, width, width) for width in widths[1:])
        self.narrow = nn.ModuleList(_convolution(convolution, coarse, fine, 1) for fine, coarse in pairwise(widths))
        self.decode = nn.ModuleList(_chain(convolution, width, width) for width in widths[:-1])
        self.leave = _convolution(convolution, widths[0], FULL, 1)
        self.mix = _convolution(convolution, FULL + 1, FULL, 3)
        self.last = _convolution(convolution, FULL, 1, 3)
        self.stride = tuple(math.prod(f[axis] for f in shape.halvings) for axis in range(shape.axes))
        self.reach = tuple(self._reach(axis) for axis in range(shape.axes))
        self.voxel_bytes = BYTES_BEHIND * max(FULL, shape.width // math.prod(self.first))

    def forward(self, image: Tensor) -> Tensor:
        x, skips = self.enter(unshuffle(image, self.first)), []
        for down, encode in zip(self.down, self.encode, strict=True):
            skips.append(x)
            x = encode(down(x))
        for level in reversed(range(len(skips))):
            x = self.decode[level](self._up(self.narrow[level](x), self.halvings[level]) + skips[level])
        x = self._up(self.leave(x), self.first)
        x = functional.leaky_relu(self.mix(torch.cat([x, image.to(x.dtype)], 1)), 0.1)
        last: Tensor = self.last(x)
        return last

    def _up(self, x: Tensor, factors: Ints) -> Tensor:
        if max(factors) == 1:
            return x
        scale = [float(f) for f in factors]
        return functional.interpolate(x, scale_factor=scale, mode=self.mode, align_corners=False)

    def _reach(self, axis: int) -> int:
        """Two convolutions at full size, and the U-Net behind the unshuffle, one more cell of it mixed in."""
        within = _reach([factors[axis] for factors in self.halvings], convolutions=3)
        return 2 + (2 * (within + 1) if self.first[axis] == 2 else within)


def unshuffle(image: Tensor, factors: Ints) -> Tensor:
    """(B, 1, *S) to (B, product of factors, *S / factors): voxels of a cell become channels (Shi 2016), any axes."""
    split = [part for n, f in zip(image.shape[2:], factors, strict=True) for part in (n // f, f)]
    cells = image.reshape(len(image), *split)
    inner, outer = range(2, cells.ndim, 2), range(1, cells.ndim, 2)
    layout = torch.channels_last if len(factors) == 2 else torch.channels_last_3d
    return cells.permute(0, *inner, *outer).flatten(1, len(factors)).contiguous(memory_format=layout)


def _chain(kind: type[nn.Conv2d] | type[Conv3d], channels: int, out: int) -> nn.Sequential:
    layers = [_convolution(kind, channels if first else out, out, 3) for first in (True, False, False)]
    return nn.Sequential(*(part for layer in layers for part in (layer, nn.LeakyReLU(0.1))))


def _convolution(kind: type[nn.Conv2d] | type[Conv3d], channels: int, out: int, side: int) -> nn.Module:
    layer = kind(channels, out, side, padding=side // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, a=0.1)
    return layer


def _block(convolution: type[nn.Conv2d] | type[Conv3d], channels: int, out: int) -> nn.Sequential:
    first, second = convolution(channels, out, 3, padding=1), convolution(out, out, 3, padding=1)
    for layer in (first, second):
        nn.init.kaiming_normal_(layer.weight, a=0.1)
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return nn.Sequential(first, nn.LeakyReLU(0.1), second, nn.LeakyReLU(0.1))


def _reach(factors: list[int], convolutions: int = 2) -> int:
    """How far an output looks along one axis: convolutions of every level, a blur down, a linear step up."""
    reach, step = convolutions, 1
    for factor in factors:
        reach += step * (2 if factor == 2 else 0)  # [1 3 3 1] at the finer level
        step *= factor
        reach += step * (convolutions + (1 if factor == 2 else 0))  # convolutions, then the neighbour that is mixed in
    for factor in reversed(factors):
        step //= factor
        reach += convolutions * step
    return reach


def place(network: nn.Module, axes: int, device: str) -> nn.Module:
    """Move a network (in place) to a device, in the memory layout in which convolutions run fastest."""
    layout = torch.channels_last if axes == 2 else torch.channels_last_3d
    return network.to(device).to(memory_format=layout)  # type: ignore[call-overload,no-any-return]


def build(name: str, shape: Shape, *, seed: int) -> nn.Module:
    """A network of the given name; the same seed gives the same first weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return NETWORKS[name](shape)


NETWORKS: dict[str, Callable[[Shape], nn.Module]] = {"unet": UNet, "shuffle": Shuffle}
