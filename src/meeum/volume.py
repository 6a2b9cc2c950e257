"""`Volume`: the one type that carries image data, with its axes, voxel size and meaning, between rooms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from meeum.errors import UsageError

Region = tuple[slice, ...]
Array = NDArray[Any]


class LazyArray(Protocol):
    """What a volume's data must offer; a numpy array does, and so does each reader's file-backed array."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def __getitem__(self, region: Any, /) -> Any: ...


@dataclass(frozen=True, repr=False)
class Volume:
    """An image with one letter of "TZYX" per dimension; nothing is read before `read` or `data[...]` asks.

    Values are in the data's own units (`quantity`); a voxel whose value is `no_data` (0 in refractive
    index files, or nan) was never measured.
    """

    data: LazyArray
    axes: str
    voxel_size_um: tuple[float, ...] | None = None  # one per spatial axis, in the order of `axes`
    quantity: str = "intensity"
    medium_index: float | None = None
    no_data: float | None = None
    frame_interval_s: float | None = None
    source: Path | None = None
    stored_dtype: str = "float32"  # the dtype of the file, before any scaling to `quantity`
    details: Mapping[str, str] = field(default_factory=dict)  # what `meeum info` shows beside the above
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.axes) != len(self.data.shape) or self.axes not in ("YX", "ZYX", "TYX", "TZYX"):
            raise UsageError(
                f"{self.name}: axes {self.axes!r} do not fit an array of shape {self.data.shape}; "
                'meeum takes "YX", "ZYX", "TYX" or "TZYX"'
            )
        if self.voxel_size_um is not None and len(self.voxel_size_um) != len(self.spatial_axes):
            raise UsageError(f"{self.name}: {len(self.voxel_size_um)} voxel sizes given for axes {self.spatial_axes!r}")

    def __repr__(self) -> str:
        """In one line, and without reading anything."""
        size = " x ".join(map(str, self.shape))
        edges = " x ".join(f"{edge:.4g}" for edge in self.voxel_size_um or ())
        return f"<Volume {self.name}: {self.axes} {size}, {self.quantity}{f', voxels of {edges} µm' if edges else ''}>"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError(f"{self.name}: is read from where it lies, which makes a copy")
        values = self.read()
        return values if dtype is None else values.astype(dtype, copy=False)

    @property
    def name(self) -> str:
        return self.source.name if self.source else "array"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def spatial_axes(self) -> str:
        return self.axes.removeprefix("T")

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        return self.data.shape[-len(self.spatial_axes) :]

    @property
    def frame_count(self) -> int:
        return self.data.shape[0] if self.axes.startswith("T") else 1

    def frame(self, index: int) -> Volume:
        """One time point, without the T axis, still lazy."""
        if not self.axes.startswith("T"):
            return self
        return replace(self, data=_Frame(self.data, index), axes=self.spatial_axes)

    def read(self, region: Region | None = None) -> NDArray[np.float32]:
        """Values of a region (one slice per axis; everything if none is given) as a new float32 array."""
        selected = region if region is not None else tuple(slice(None) for _ in self.shape)
        return np.array(self.data[selected], dtype=np.float32)

    def valid(self, values: Array) -> NDArray[np.bool_]:
        """True where `values`, as read from this volume, were measured."""
        if self.no_data is None:
            return np.ones(values.shape, dtype=bool)
        return ~np.isnan(values) if np.isnan(self.no_data) else values != self.no_data

    def with_data(self, data: LazyArray) -> Volume:
        """The same image with other values: axes, voxel size, quantity and source stay."""
        return replace(self, data=data)


def maximum_projection(volume: Volume) -> Volume:
    """Maximum along Z, lazily: (T, Z, Y, X) -> (T, Y, X); voxels without data never win."""
    if "Z" not in volume.axes:
        raise UsageError(f"{volume.name}: a projection needs a Z axis; this image has axes {volume.axes!r}")
    return replace(
        volume,
        data=_Projection(volume),
        axes=volume.axes.replace("Z", ""),
        voxel_size_um=volume.voxel_size_um[1:] if volume.voxel_size_um else None,
        details={**volume.details, "projection": "maximum along Z"},
    )


def difference(one: Volume, other: Volume, *, factor: float = 1.0) -> Volume:
    """(one - other) * factor, lazily; nan where either was not measured."""
    return replace(one, data=_Difference(one, other, factor), no_data=float("nan"))


@dataclass(frozen=True)
class _Difference:
    one: Volume
    other: Volume
    factor: float

    @property
    def shape(self) -> tuple[int, ...]:
        return self.one.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float32)

    def __getitem__(self, region: Any, /) -> Any:
        one, other = self.one.read(region), self.other.read(region)
        both = self.one.valid(one) & self.other.valid(other)
        return np.where(both, (one - other) * np.float32(self.factor), np.float32(np.nan))


@dataclass(frozen=True)
class _Frame:
    stack: LazyArray
    index: int

    @property
    def shape(self) -> tuple[int, ...]:
        return self.stack.shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.stack.dtype

    def __getitem__(self, region: Any, /) -> Any:
        rest = region if isinstance(region, tuple) else (region,)
        return self.stack[(self.index, *rest)]


@dataclass(frozen=True)
class _Projection:
    volume: Volume

    @property
    def shape(self) -> tuple[int, ...]:
        z = self.volume.axes.index("Z")
        return self.volume.shape[:z] + self.volume.shape[z + 1 :]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.volume.data.dtype

    def __getitem__(self, region: Any, /) -> Any:
        z = self.volume.axes.index("Z")
        selected = list(region if isinstance(region, tuple) else (region,))
        selected += [slice(None)] * (len(self.shape) - len(selected))
        stack = np.asarray(self.volume.data[(*selected[:z], slice(None), *selected[z:])])
        axis = sum(isinstance(part, slice) for part in selected[:z])
        if self.volume.no_data is None:
            return stack.max(axis=axis)
        lowest = np.where(self.volume.valid(stack), stack, -np.inf).max(axis=axis)
        return np.where(np.isneginf(lowest), self.volume.no_data, lowest).astype(stack.dtype)
