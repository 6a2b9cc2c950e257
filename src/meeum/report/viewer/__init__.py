"""The viewer in a page: the scene, and the script that shows it, as HTML that needs nothing but itself."""

from __future__ import annotations

import html
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import numpy as np
from cmap import Colormap

from meeum.report.figures import RESIDUAL_COLORMAP
from meeum.report.templates import safe_json

COLORMAPS = {name: name for name in ("viridis", "cividis", "gray", "magma")} | {"residual": RESIDUAL_COLORMAP}
SCRIPTS = (  # in the order in which they are read; all are one scope
    "dom",
    "numbers",
    "geometry",
    "colours",
    "embedded",
    "served",
    "measures",
    "charts",
    "state",
    "actions",
    "pane",
    "pointer",
    "bars",
    "panel",
    "results",
    "keys",
    "main",
)
_ASSETS = files(__name__)


def fragment(scene: Mapping[str, Any]) -> str:
    """The viewer of a scene as HTML for the body of any page, once in a page; `uPlot` is known to what follows it."""
    return "\n".join(
        (
            f"<style>{_text('vendor/uPlot.min.css')}\n{_text('viewer.css')}</style>",
            '<div id="meeum-viewer"></div>',
            _json("meeum-scene", scene),
            _json("meeum-colormaps", {name: colour_table(colormap) for name, colormap in COLORMAPS.items()}),
            f"<script>{_text('vendor/uPlot.iife.min.js')}</script>",
            f"<script>\n{script()}</script>",
        )
    )


def page(scene: Mapping[str, Any], *, title: str = "meeum") -> str:
    """A complete page with the viewer alone; its policy forbids every request but to the server of a served scene."""
    reaches = "'self'" if scene["source"] == "served" else "'none'"
    policy = (
        "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        f"connect-src {reaches}"
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<link rel="icon" href="data:,">
<title>{html.escape(title)}</title>
</head>
<body class="meeum-page">
{fragment(scene)}
</body>
</html>
"""


def script() -> str:
    """The viewer's own files one after the other, in a scope of their own."""
    parts = "\n".join(_text(f"{name}.js") for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}\n}})();\n'


def colour_table(colormap: str) -> str:
    """256 colours from low to high, six hexadecimal digits each."""
    table = Colormap(colormap).lut(256)[:, :3]
    return bytes(np.rint(255 * table).astype(np.uint8).ravel()).hex()


def _json(name: str, content: Mapping[str, Any]) -> str:
    return f'<script type="application/json" id="{name}">{safe_json(content)}</script>'


def _text(name: str) -> str:
    return _ASSETS.joinpath(name).read_text(encoding="utf-8")
