"""What the networks of `audit_networks.py` made of each volume, on one sheet: middle planes with their verdicts.

    python bench/networks_sheet.py bench-networks.jsonl        # into docs/pictures/

Reads the pictures that `--pictures` left (noisy, denoised and true plane side by side).
"""

import argparse
from pathlib import Path

from peers import recorded
from PIL import Image, ImageDraw, ImageFont

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
SIDE, COLUMNS, LINE = 150, 6, 13  # pixels of a plane; planes in a row; pixels of a line of text
COLOURS = {"fail": "#b3261e", "warn": "#9a6700", "cannot tell": "#555555", "pass": "#1a7f37"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="results file of audit_networks.py")
    rows = recorded(parser.parse_args().results)
    for volume in dict.fromkeys(row["volume"] for row in rows):
        here = [row for row in rows if row["volume"] == volume]
        path = PICTURES / f"networks_{volume}.png"
        sheet([*given(here[0]), *map(made, here)]).quantize(64, Image.Quantize.MAXCOVERAGE).save(path, optimize=True)
        print(path)


def given(row):
    """The noisy and the true plane, which have no verdict."""
    return [("noisy", "", plane(row, 0)), ("truth", "", plane(row, 2))]


def made(row):
    return row["case"], row["verdict"], plane(row, 1)


def plane(row, number):
    """One of the three planes in a picture: noisy, denoised, true."""
    with Image.open(row["picture"]) as picture:
        width = picture.width // 3
        cut = picture.crop((number * width, 0, (number + 1) * width, picture.height))
    return cut.resize((SIDE, SIDE * cut.height // cut.width))


def sheet(entries):
    """Planes in rows, under each its network's name and verdict."""
    font = ImageFont.load_default(11)
    height = entries[0][2].height + 3 * LINE + 6
    rows = -(-len(entries) // COLUMNS)
    result = Image.new("RGB", (COLUMNS * (SIDE + 6), rows * height), "white")
    pen = ImageDraw.Draw(result)
    for number, (name, verdict, image) in enumerate(entries):
        left, top = number % COLUMNS * (SIDE + 6) + 3, number // COLUMNS * height + 3
        result.paste(image.convert("RGB"), (left, top))
        below = top + image.height + 1
        for shift, text in enumerate(wrapped(name, font)):
            pen.text((left, below + shift * LINE), text, "black", font)
        pen.text((left, below + 2 * LINE), verdict, COLOURS.get(verdict, "black"), font)
    return result


def wrapped(name, font):
    """A name on at most two lines of a plane's width."""
    words, lines = name.split(), [""]
    for word in words:
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= SIDE:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines[:2]


if __name__ == "__main__":
    main()
