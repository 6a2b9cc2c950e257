"""meeum: denoise a microscope volume with nothing but itself, and show what was done to it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meeum.api import audit, denoise, load, measure_noise, read, save, score, train, write
    from meeum.errors import MeeumError, UsageError
    from meeum.notebook import view
    from meeum.settings import Settings
    from meeum.volume import Volume

__version__ = "0.1.0"
__all__ = [
    "MeeumError",
    "Settings",
    "UsageError",
    "Volume",
    "audit",
    "denoise",
    "load",
    "measure_noise",
    "read",
    "save",
    "score",
    "train",
    "view",
    "write",
]

# Imported when first used: torch takes seconds, `meeum --help` should not.
_ROOMS = {
    "Settings": "settings",
    "Volume": "volume",
    "MeeumError": "errors",
    "UsageError": "errors",
    "view": "notebook",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'meeum' has no attribute {name!r}")
    return getattr(import_module(f"meeum.{_ROOMS.get(name, 'api')}"), name)
