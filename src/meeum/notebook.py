"""`meeum.view`: a pair of images in the report's viewer, inside a notebook or as a page of its own."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from pathlib import Path

from meeum.api import Image, image
from meeum.auditing import Audit
from meeum.io.files import replacing
from meeum.report import viewer
from meeum.report.html import shown

HEIGHT = 760  # pixels of the frame in a notebook
MOST_MB = 16.0  # of the page: a notebook keeps what it shows


@dataclass(frozen=True)
class View:
    """A complete offline page, which a notebook shows in a frame."""

    page: str = field(repr=False)
    height: int = HEIGHT

    def _repr_html_(self) -> str:
        page = html.escape(self.page, quote=True)
        return f'<iframe srcdoc="{page}" style="width: 100%; height: {self.height}px; border: 0"></iframe>'

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the page, which any browser opens."""
        path = Path(path)
        with replacing(path, overwrite=overwrite) as temporary:
            temporary.write_text(self.page, encoding="utf-8")
        return path


def view(
    noisy: Image,
    clean: Image | None = None,
    *,
    audit: Audit | None = None,
    height: int = HEIGHT,
    most_mb: float = MOST_MB,
) -> View:
    """Noisy, denoised and their difference side by side, linked; of a single image that alone.

    Arrays are (Y, X), (Z, Y, X) or (T, Z, Y, X). With its `audit` the places it found can be jumped to. Of images
    that do not fit into `most_mb` (10^6 bytes) the middle is shown, at full resolution, and the page says so.
    """
    before = image(noisy)
    after = None if clean is None else image(clean)
    told = shown(before, after, audit, most_bytes=int(most_mb * 1e6))
    return View(viewer.page(told, title=before.name), height)
