"""The picture of docs/napari.md: napari with the phantom, denoised by the widget. Needs a display (Xvfb will do).

xvfb-run python bench/pictures_napari.py --minutes 3 --out docs/pictures/napari.png
"""

import argparse
import time
from pathlib import Path

import napari
from PIL import Image
from qtpy.QtWidgets import QApplication


def main():
    args = parse()
    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1400, 900)
    viewer.open_sample("meeum", "truth")
    viewer.open_sample("meeum", "noisy")
    _, panel = viewer.window.add_plugin_dock_widget("meeum", "Denoise")
    panel.form.fields["training.minutes"].put(str(args.minutes))
    panel.start()
    while panel.work.busy:
        pause(0.1)
    if panel.work.state.text() != "Done":
        raise SystemExit(f"napari: {panel.work.state.text()}; no picture was made")
    side_by_side(viewer)
    pause(2)
    picture = Image.fromarray(viewer.screenshot(canvas_only=False, flash=False)).convert("RGB")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    picture.save(args.out, optimize=True)
    print(f"{args.out}: {args.out.stat().st_size / 1e3:.0f} kB")
    viewer.close()


def side_by_side(viewer):
    """Truth, noisy, residual and denoised beside each other, with one window."""
    for layer in [one for one in viewer.layers if one.name.endswith("hot spots")]:
        viewer.layers.remove(layer)
    for layer in viewer.layers:
        layer.visible = True
    viewer.layers["phantom truth"].contrast_limits = viewer.layers["phantom noisy"].contrast_limits
    viewer.canvas.grid.shape = (2, 2)
    viewer.canvas.grid.enabled = True
    viewer.reset_view()


def pause(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3.0, help="time to train")
    parser.add_argument("--out", type=Path, default=Path("docs/pictures/napari.png"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
