"""Put a table where docs/benchmarks.md keeps it, between `<!-- begin NAME -->` and `<!-- end NAME -->`."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def put(name, text, page=PAGE):
    """Replace the table of that name; the page must have a place for it."""
    found = place(name, page)
    page.write_text(found.string[: found.start(1)] + text + found.string[found.end(1) :], encoding="utf-8")


def place(name, page=PAGE):
    """Where the page keeps the table of that name: a match whose first group is the table."""
    found = re.search(rf"<!-- begin {name} -->\n(.*?)<!-- end {name} -->", page.read_text(encoding="utf-8"), re.DOTALL)
    if not found:
        raise SystemExit(f"{page}: no place for a table named {name}")
    return found
