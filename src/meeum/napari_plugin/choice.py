"""The choice of an image layer, which follows the viewer's layers; and how the viewer is moved to a place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qtpy.compat import isalive
from qtpy.QtWidgets import QComboBox

from meeum.errors import UsageError
from meeum.napari_plugin.layers import Opened, placement, recovered
from meeum.napari_plugin.panel import narrow
from meeum.volume import Volume


class LayerChoice:
    """The image layers of a viewer, by name; `prefer` says by a word in its name which to take at first."""

    def __init__(self, viewer: Any, changed: Callable[[], None], prefer: str = "noisy") -> None:
        self.native = narrow(QComboBox())
        self._viewer, self._prefer, self._changed = viewer, prefer, changed
        for event in ("inserted", "removed", "reordered"):
            getattr(viewer.layers.events, event).connect(self._refresh)
        self._list()
        self.native.currentIndexChanged.connect(lambda *_: changed())

    @property
    def name(self) -> str:
        return str(self.native.currentText())

    @property
    def layer(self) -> Any | None:
        return next((layer for layer in self._viewer.layers if layer.name == self.name), None)

    def image(self) -> Opened:
        """What the chosen layer shows."""
        layer = self.layer
        if layer is None:
            raise UsageError("no image layer is there; open a file, or File > Open Sample > meeum")
        data, attributes, _ = layer.as_layer_data_tuple()
        return recovered(data, attributes)

    def _refresh(self, event: Any = None) -> None:
        if not isalive(self.native):  # the widget is closed; the viewer tells of its layers still
            return
        before = self.name
        self._list()
        if self.name != before:
            self._changed()

    def _list(self) -> None:
        """List what is there; a choice that is still there stays."""
        names = [
            layer.name for layer in self._viewer.layers if layer._type_string == "image" and not _is_preview(layer)
        ]
        before = self.name
        self.native.blockSignals(True)
        self.native.clear()
        self.native.addItems(names)
        liked = [name for name in names if self._prefer in name.lower()]
        if names:
            self.native.setCurrentText(before if before in names else (liked or names)[-1])
        self.native.blockSignals(False)


def _is_preview(layer: Any) -> bool:
    return bool(layer.metadata.get("preview"))


def go_to(viewer: Any, volume: Volume, at: Sequence[float]) -> None:
    """Move the viewer to a place of an image, given in voxels, one number per axis of the image."""
    scale = placement(volume)["scale"]
    world = [place * step for place, step in zip(at, scale, strict=True)]
    first = viewer.dims.ndim - len(world)
    for axis, value in enumerate(world):
        viewer.dims.set_point(first + axis, value)
    shown = [world[axis - first] if axis >= first else 0.0 for axis in viewer.dims.displayed]
    scene = getattr(viewer, "scene", viewer)  # where napari 0.9 and later keep the camera
    scene.camera.center = tuple([0.0] * (3 - len(shown)) + shown)
