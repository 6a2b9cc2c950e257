"""The remedy for a lattice in the data: what is periodic is measured, and that, and nothing else, is taken out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meeum.noise.envelopes import Wave
from meeum.noise.periodic import Lattices, measure
from meeum.volume import Volume

__all__ = ["Lattices", "Remedy", "measure", "pattern", "remove"]


@dataclass(frozen=True)
class Remedy:
    """What was done to one image before training."""

    original: Volume
    lattices: Lattices

    @property
    def removed(self) -> Volume | None:
        """What was taken out; None if nothing was."""
        return pattern(self.original, self.lattices) if self.lattices.removed else None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        lattices = [one.as_dict() for one in self.lattices.removed]
        return {"removed": {"sentence": self.lattices.sentence, "lattices": lattices}}


def remove(volume: Volume, lattices: Lattices) -> Volume:
    """The image without its lattices, lazily; the very same volume if there are none."""
    waves = tuple(one.wave for one in lattices.removed)
    return volume.with_data(_Cleaned(volume, waves)) if waves else volume


def pattern(volume: Volume, lattices: Lattices) -> Volume:
    """What `remove` takes out, lazily: image = removed + cleaned; 0 where nothing was measured."""
    data = _Pattern(volume, tuple(one.wave for one in lattices.removed))
    return replace(volume, data=data, no_data=None)


@dataclass(frozen=True)
class _Cleaned:
    volume: Volume
    waves: tuple[Wave, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.volume.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float32)

    def __getitem__(self, region: Any, /) -> Any:
        values = self.volume.read(region)
        return np.where(self.volume.valid(values), values - _summed(self.waves, region, self.volume), values)


@dataclass(frozen=True)
class _Pattern(_Cleaned):
    def __getitem__(self, region: Any, /) -> Any:
        values = self.volume.read(region)
        return np.where(self.volume.valid(values), _summed(self.waves, region, self.volume), np.float32(0))


def _summed(waves: Sequence[Wave], region: Any, volume: Volume) -> NDArray[np.float32]:
    """The waves on a region of the image; an index instead of a slice drops its axis, as in any array."""
    parts = region if isinstance(region, tuple) else (region,)
    parts = (*parts, *[slice(None)] * (len(volume.shape) - len(parts)))
    at = dict(
        zip(
            volume.axes, (np.atleast_1d(np.arange(n)[p]) for n, p in zip(volume.shape, parts, strict=True)), strict=True
        )
    )
    single = np.zeros(1, int)
    frames = [
        sum((wave.field(int(t), (at.get("Z", single), at["Y"], at["X"])) for wave in waves), np.float32(0))
        for t in at.get("T", single)
    ]
    return np.stack(frames).reshape(
        [len(at[a]) for a, p in zip(volume.axes, parts, strict=True) if isinstance(p, slice)]
    )
