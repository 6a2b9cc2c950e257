"""What docs/audit.md says of each finding against what the code holds it to."""

import importlib
import pkgutil
import re
from pathlib import Path

from meeum import auditing
from meeum.auditing.finding import FAIL, WARN, Kind

DOCUMENT = (Path(__file__).parents[1] / "docs" / "audit.md").read_text(encoding="utf-8")


def kinds():
    """Every kind of finding that a module of the audit states, by itself or in a table of them."""
    for module in pkgutil.iter_modules(auditing.__path__):
        for stated in vars(importlib.import_module(f"{auditing.__name__}.{module.name}")).values():
            yield from (one for one in (stated.values() if isinstance(stated, dict) else [stated]) if type(one) is Kind)


def bounds(cell):
    """Numbers and their units; what stands in brackets is explained there."""
    for part in re.sub(r"\([^)]*\)", "", cell).split(";"):
        number, _, unit = part.strip().partition(" ")
        yield float(number), unit


def test_the_table_of_measures_has_every_finding_with_its_bounds():
    section, told = DOCUMENT.split("## The measures")[1].split("\n#")[0], {}
    for measure, row in re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE):
        title, _, _, ideal, worse, limits = row.split(" | ")
        assert (measure, title) not in told
        told[measure, title] = {(float(ideal), worse, *bound) for bound in bounds(limits)}
    stated = {}
    for kind in kinds():
        facts = (kind.ideal, kind.worse, kind.bound, kind.effect_unit)
        stated.setdefault((kind.measure, kind.title), set()).add(facts)
    assert len(stated) > 20
    assert told == stated


def test_the_verdicts_p_values_are_those_documented():
    assert f"1 of {1 / FAIL:g} images" in DOCUMENT
    assert f"p < {WARN:g}" in DOCUMENT
