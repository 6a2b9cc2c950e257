"""What the questions have in common: images whose truth is known, and short trainings that are never done twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from meeum import api, phantom
from meeum.checkpoint import Model
from meeum.networks import NETWORKS, Shape
from meeum.noise import Noise, measure
from meeum.settings import Settings, override
from meeum.volume import Volume, maximum_projection

Array = NDArray[Any]
Words = tuple[str, ...]

STEPS = 300
SIDE, PLANES = 96, 24  # of the flat phantom, and of the volume it is the projection of
SOLID = (16, 64, 64)
STRONG, WEAK = 0.5, 1 / 15  # noise over the standard deviation of the image: a hard case, and what instruments have
MOST = {2: (256, 256), 3: (24, 96, 96)}  # the middle of a user's image that is looked at, by the number of axes

# Small patches: a step must not take longer than a fraction of a second on one core.
SMALL = {
    2: ("training.batch=4", "training.patch=48"),
    3: ("training.batch=1", "training.patch=16,32,32"),
}
UPS: Words = ("masking.masking=UPS", "masking.mask_size=5")
THEN: Words = ("network.top_skip=true",)  # U-Nets of 2019 passed the finest level across
AUTO: Words = ("training.objective=auto",)
# The lab note's schemes and those that came after it; `mask_std` of G is filled in from the image.
SCHEMES: Mapping[str, Words] = {
    "UPS": UPS,
    "G": ("masking.masking=G", "masking.mask_std={std}"),
    "GF": ("masking.masking=GF", "masking.mask_size=5"),
    "GPS": ("masking.masking=GPS", "masking.mask_std=5"),
    "mean": ("masking.masking=mean", "masking.mask_size=5"),
    "median": ("masking.masking=median", "masking.mask_size=5"),
    "UPS_nocentre": ("masking.masking=UPS_nocentre", "masking.mask_size=5"),
}


@dataclass(frozen=True)
class Image:
    """An image that is asked about; truth and cells, arrays of its shape, where they are known.

    std  of its noise, data units: planted in a phantom, measured in a file
    """

    name: str
    noisy: Volume
    std: float
    truth: Array | None = None
    cells: NDArray[np.bool_] | None = None
    noise: Noise | None = None
    whole: Volume | None = None  # what it was cut from

    @property
    def values(self) -> Array:
        return self.noisy.read()

    @property
    def spread(self) -> float:
        """Standard deviation of the noisy image, which the lab note chose `mask_std` by."""
        return float(self.values.std())


@dataclass(frozen=True)
class Trained:
    """A model and what it made of the image it was trained on."""

    model: Model
    output: Array
    ask: Callable[[Array], Array] = field(repr=False)


@dataclass(frozen=True)
class Bench:
    """How long to train, in which precision; `known` holds what was trained before."""

    steps: int = STEPS
    precision: str = "float32"
    known: dict[str, Trained] = field(default_factory=dict, repr=False, compare=False)

    def train(self, noisy: Volume, words: Words, *, seed: int, steps: int | None = None) -> Trained:
        """Train on an image by `section.key=value` words, and denoise it; the same is not trained twice."""
        count = steps or self.steps
        key = hashlib.sha256(noisy.read().tobytes() + repr((words, seed, count)).encode()).hexdigest()
        if key not in self.known:
            self.known[key] = _trained(noisy, settings(noisy, words, seed=seed, steps=count, precision=self.precision))
        return self.known[key]


def settings(noisy: Volume, words: Words, *, seed: int, steps: int, precision: str) -> Settings:
    """Plain Noise2Void of small patches, with these words on top."""
    spread = float(noisy.read().std())
    filled = [word.replace("{std}", f"{spread:.4g}") for word in words]
    fixed = [f"training.steps={steps}", f"training.seed={seed}", f"training.precision={precision}"]
    return override(Settings(), [*SMALL[len(noisy.shape)], *fixed, *filled])


def _trained(noisy: Volume, chosen: Settings) -> Trained:
    model = api.train(noisy, chosen)
    ask = api.denoiser(noisy, model)
    return Trained(model, ask(noisy.read()), ask)


def bench(steps: int) -> Bench:
    """A bench in the precision that is faster here, measured once so that all trainings share it."""
    tried = api.train(
        blank(48, seed=0).noisy, settings(blank(48, seed=0).noisy, UPS, seed=0, steps=1, precision="auto")
    )
    return Bench(steps, tried.settings.training.precision)


def flat(seed: int, *, noise: float, side: int = SIDE) -> Image:
    """A maximum projection of a phantom's truth plus white Gaussian noise, `noise` times its standard deviation."""
    made = phantom.make((PLANES, side, side), seed=seed, settings=phantom.PhantomSettings(noise_std=0))
    truth = made.truth.read().max(0)
    std = noise * float(truth.std())
    rng = np.random.default_rng([seed, 5])
    values = (truth + std * rng.standard_normal(truth.shape)).astype(np.float32)
    noisy = replace(maximum_projection(made.noisy), data=values)
    return Image("phantom", noisy, std, truth, np.asarray(made.cell_mask.any(0)))


def solid(seed: int, *, noise: float, colour: str = "white", shape: tuple[int, int, int] | None = None) -> Image:
    """A small phantom volume with noise, `noise` times its standard deviation."""
    sides = shape or SOLID
    plain = phantom.make(sides, seed=seed, settings=phantom.PhantomSettings(noise_std=0))
    std = noise * float(plain.truth.read().std())
    made = phantom.make(sides, seed=seed, settings=phantom.PhantomSettings(noise_std=std, noise_colour=colour))
    return Image("phantom volume", made.noisy, std, made.truth.read(), made.cell_mask)


def blank(side: int, *, seed: int, noise: Noise | None = None, optical: bool = False) -> Image:
    """Nothing but Gaussian noise of variance 1: white, as the optics colour it, or as it was measured."""
    rng = np.random.default_rng([seed, 7])
    values = rng.standard_normal((side, side), dtype=np.float32)
    if noise is not None:
        values = noise.sample((side, side), rng) if len(noise.sides) == 2 else noise.sample((8, side, side), rng)[4]
    elif optical:
        support = phantom.optical_support((16, side, side), phantom.OPTICS["ht-2h"])
        values = phantom.coloured_noise(support + 0.01, rng)[8]
    return Image("blank", Volume(np.ascontiguousarray(values), "YX"), float(values.std()))


def examined(volume: Volume) -> Image:
    """The middle of a user's image, its first frame, with its noise measured."""
    frame = volume.frame(0)
    sides = [min(n, most) for n, most in zip(frame.shape, MOST[len(frame.shape)], strict=True)]
    box = tuple(slice((n - s) // 2, (n - s) // 2 + s) for n, s in zip(frame.shape, sides, strict=True))
    middle = frame.with_data(np.ascontiguousarray(frame.read(box)))
    noise = measure(middle)
    return Image(volume.name, middle, noise.std, noise=noise, whole=frame)


def projected(image: Image) -> Image:
    """The maximum projection of an image, as the lab note's files were; planes stay as they are."""
    if "Z" not in image.noisy.axes:
        return image
    return replace(examined(maximum_projection(image.whole or image.noisy)), name=f"{image.name}, projected")


class Transposed(nn.Module):
    """Bad on purpose: max pooling, a transposed convolution of stride 2, the finest level passed across."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        deep, width = shape.axes == 3, shape.width
        convolution, up = (nn.Conv3d, nn.ConvTranspose3d) if deep else (nn.Conv2d, nn.ConvTranspose2d)
        pool = nn.MaxPool3d if deep else nn.MaxPool2d
        self.enter = nn.Sequential(convolution(1, width, 3, padding=1), nn.ReLU())
        self.inner = nn.Sequential(pool(2), convolution(width, 2 * width, 3, padding=1), nn.ReLU())
        self.up = up(2 * width, width, 3, stride=2, padding=1, output_padding=1)
        self.leave = convolution(2 * width, 1, 1)
        self.stride, self.reach = (2,) * shape.axes, (8,) * shape.axes

    def forward(self, x: Tensor) -> Tensor:
        fine = self.enter(x)
        leave: Tensor = self.leave(torch.cat([fine, self.up(self.inner(fine))], 1))
        return leave


@contextmanager
def offered(name: str, network: Callable[[Shape], nn.Module]) -> Iterator[None]:
    """A network that settings may name only for as long as an experiment lasts."""
    NETWORKS[name] = network
    try:
        yield
    finally:
        del NETWORKS[name]
