"""Put a table where docs/benchmarks.md keeps it, between `<!-- begin NAME -->` and `<!-- end NAME -->`."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def put(name, text, page=PAGE):
    """Replace the table of that name; the page must have a place for it."""
    before = page.read_text(encoding="utf-8")
    place = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
    if not place.search(before):
        raise SystemExit(f"{page}: no place for a table named {name}")
    page.write_text(place.sub(lambda found: f"{found[1]}{text}{found[2]}", before), encoding="utf-8")
