"""The preview layer: a piece of the middle plane as the network denoises it so far, at its place in the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from meeum.napari_plugin import asked, layers
from meeum.napari_plugin.asked import Denoising
from meeum.napari_plugin.choice import go_to
from meeum.report.figures import IMAGE_COLORMAP
from meeum.volume import Array, Volume

if TYPE_CHECKING:
    from meeum.glimpse import Glimpse


class Preview:
    """One layer, there while a training lasts."""

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self.layer: Any = None
        self._volume: Volume | None = None
        self._name = ""

    def begin(self, errand: Denoising, name: str) -> None:
        """Another image is denoised."""
        self.end()
        self._volume, self._name = asked.chosen(errand.image, errand.settings.input), f"{name} preview"

    def show(self, seen: Glimpse) -> None:
        """The next state of the piece."""
        if self._volume is None:
            return
        data = seen.denoised.reshape([part.stop - part.start for part in seen.region])
        if self.layer is not None and self.layer in self.viewer.layers:
            self.layer.data = data
            return
        self.layer = self._add(data, self._volume, [part.start for part in seen.region])
        go_to(self.viewer, self._volume, [(part.start + part.stop - 1) / 2 for part in seen.region])

    def end(self) -> None:
        """Take it away."""
        if self.layer is not None and self.layer in self.viewer.layers:
            self.viewer.layers.remove(self.layer)
        self.layer = self._volume = None

    def _add(self, data: Array, volume: Volume, at: Sequence[int]) -> Any:
        place = layers.placement(volume)
        return self.viewer.add_image(
            data,
            name=self._name,
            **place,
            translate=[index * step for index, step in zip(at, place["scale"], strict=True)],
            contrast_limits=layers.image_limits(volume),
            colormap=IMAGE_COLORMAP,
            metadata={"preview": True},
        )
