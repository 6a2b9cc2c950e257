"""The README's picture: noisy, denoised and truth of the demo at one colour scale, from the run that `make demo` left.

python bench/pictures.py --demo demo --out docs/pictures/demo.png
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from meeum import api
from meeum.report import preview


def main():
    args = parse()
    volumes = {
        "noisy": api.read(args.demo / "sample.TCF"),
        "denoised": api.read(next((args.demo / "run" / "results").glob("*.TCF"))),
        "truth": api.read(args.demo / "truth.TCF"),
    }
    planes = {name: volume.read()[volume.shape[0] // 2] for name, volume in volumes.items()}
    limits = tuple(np.percentile(planes["truth"], (0.2, 99.8)))
    voxel = volumes["noisy"].voxel_size_um
    pictures = [
        preview(
            plane, colormap="viridis", limits=limits, title=name, unit_label="refractive index", voxel_size=voxel[1:]
        )
        for name, plane in planes.items()
    ]
    sheet = Image.new("RGB", (sum(p.width for p in pictures), max(p.height for p in pictures)), "white")
    left = 0
    for picture in pictures:
        sheet.paste(picture, (left, 0))
        left += picture.width
    args.out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(args.out, optimize=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--demo", type=Path, default=Path("demo"))
    parser.add_argument("--out", type=Path, default=Path("docs/pictures/demo.png"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
