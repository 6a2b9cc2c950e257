"""What napari saves through meeum: an image layer, in the format that the suffix names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meeum import io
from meeum.napari_plugin.layers import recovered


def write_image(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Write one layer; napari has asked whether an earlier file may be replaced. Never over the layer's own file."""
    return [str(io.write(recovered(data, attributes).volume, Path(path), overwrite=True))]
