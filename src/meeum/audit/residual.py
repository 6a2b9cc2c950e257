"""What was taken out of an image, against the noise that was measured in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from meeum.noise import Noise
from meeum.noise.blocks import block_spectra, multiplicity
from meeum.volume import Volume, difference

LEVELS = (0.8, 1.1)  # of the residual over the noise: denoising leaves some noise in, and should take nothing else out
UNLIKE = 0.15  # difference of correlations between neighbours


@dataclass(frozen=True)
class Residual:
    """The residual (noisy minus denoised) beside the noise.

    level        standard deviation over the measured noise's; ideal just below 1
    correlation  between neighbouring voxels, per axis; ideal that of the noise
    expected     that of the noise, per axis
    """

    level: float
    correlation: tuple[float, ...]
    expected: tuple[float, ...]

    @property
    def agrees(self) -> bool:
        """Whether what was taken out looks like the noise."""
        alike = all(abs(a - b) <= UNLIKE for a, b in zip(self.correlation, self.expected, strict=True))
        return alike and LEVELS[0] <= self.level <= LEVELS[1]

    @property
    def sentence(self) -> str:
        """For a person who reads no spectra."""
        if self.level > LEVELS[1]:
            return (
                f"more was taken out than noise: the residual is {self.level:.2f} times as strong as the noise measured"
            )
        if self.level < LEVELS[0]:
            return f"noise was left in: the residual is only {self.level:.2f} times as strong as the noise measured"
        if not self.agrees:
            found, expected = (", ".join(f"{v:.2f}" for v in row) for row in (self.correlation, self.expected))
            return f"what was taken out is unlike the noise: neighbours correlate by {found} instead of {expected}"
        return f"what was taken out looks like the noise measured ({self.level:.2f} of its strength, same correlation)"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def residual(noisy: Volume, denoised: Volume, noise: Noise) -> Residual | None:
    """Level and correlation of noisy minus denoised, from blocks drawn over all frames; None if none was measured."""
    frames = [difference(noisy.frame(i), denoised.frame(i)) for i in range(noisy.frame_count)]
    blocks = block_spectra(frames)
    if len(blocks.means) == 0 or blocks.sides != noise.sides:
        return None
    power = blocks.power.mean(axis=0)
    counts = multiplicity(blocks.sides)
    std = float(np.sqrt((power * counts).sum() / counts.sum()))
    found = replace(noise, spectrum=power)
    axes: Sequence[int] = range(len(blocks.sides))
    return Residual(std / noise.std, tuple(found.lag(a) for a in axes), tuple(noise.lag(a) for a in axes))
