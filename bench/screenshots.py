"""Pictures of what a person sees of a run: its report, and the same run in the served viewer.

python bench/screenshots.py --run demo/run --out docs/pictures

Needs playwright and a Chromium (`pip install playwright`); prints file sizes, and how long each page takes to be ready.
"""

import argparse
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
READY = "Promise.all([meeum.ready, meeum.drawn && meeum.ready.then(() => meeum.drawn())])"


def main():
    args = parse()
    args.out.mkdir(parents=True, exist_ok=True)
    path = next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright, served(args.run) as address:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        report = (args.run / "report.html").resolve()
        for name, where in (("report", report.as_uri()), ("view", address)):
            took = shoot(browser, where, args.out / f"{name}.png", args)
            print(f"{name}: ready after {1000 * took:.0f} ms")
        print(f"{report.name}: {report.stat().st_size / 1e6:.1f} MB")
        browser.close()


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, default=Path("demo/run"), help="the folder of a finished run")
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    parser.add_argument("--scheme", default="light", choices=["light", "dark"])
    parser.add_argument("--width", type=int, default=1440)
    parser.add_argument("--height", type=int, default=900)
    return parser.parse_args()


@contextmanager
def served(run):
    """The address of `meeum view` of a run."""
    command = [Path(sys.executable).with_name("meeum"), "view", run, "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield next(word for word in process.stdout.readline().split() if word.startswith("http"))
        process.terminate()


def shoot(browser, where, path, args):
    """A picture of the top of a page; seconds until its viewer was drawn."""
    page = browser.new_page(viewport={"width": args.width, "height": args.height}, color_scheme=args.scheme)
    began = time.monotonic()
    page.goto(where)
    page.evaluate(READY)
    took = time.monotonic() - began
    page.wait_for_timeout(300)
    page.screenshot(path=path)
    Image.open(path).convert("RGB").save(path, optimize=True)
    page.close()
    return took


if __name__ == "__main__":
    main()
