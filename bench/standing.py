"""Tables of peers.py as they stand on the page: what a results file lacks stays, what it holds takes its place."""

import re
from dataclasses import dataclass, field

from page import place

HEAD = re.compile(r"\*\*(?P<group>\w+)\*\* .*?; (?:(?P<minutes>[\d.]+) minutes of|no) training")
SUPERVISED = "*supervised, the ceiling*"


@dataclass
class Table:
    head: str
    columns: str
    lines: dict = field(default_factory=dict)  # label -> cells


def parsed(text):
    """{set: {(group, minutes): Table}} and {set: its note}, from Markdown as peers.py writes it."""
    sets, notes, name, table = {}, {}, None, None
    for line in text.splitlines():
        if line.startswith("### "):
            name, table = line[4:], None
            sets[name] = {}
        elif found := HEAD.match(line):
            table = sets[name][found["group"], found["minutes"]] = Table(line, "")
        elif line.startswith("| method") and table:
            table.columns = line
        elif line.startswith("| ") and table:
            label, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            table.lines[label] = cells
        elif line and name and table is None:
            notes[name] = line
    return sets, notes


def merged(text, sets, labels):
    """The tables of `text` with those of the page around and within them, in the order of `sets` and `labels`."""
    (new, new_notes), (old, notes) = parsed(text), parsed(place("peers")[1])
    notes |= new_notes
    parts = []
    for name in [name for name in sets if name in old or name in new]:
        parts.append(f"### {name}\n\n{notes[name]}\n")
        parts += [written(table, labels) for table in together(old.get(name, {}), new.get(name, {})).values()]
    return "\n".join(parts)


def together(old, new):
    """Tables of one set; lines of methods that do not train belong to every table of their group."""
    tables = dict(old)
    for (group, minutes), table in new.items():
        alike = [key for key in old if key[0] == group and minutes is None] or [(group, minutes)]
        for key in alike:
            before = tables.get(key, table)
            head = before.head if minutes is None else table.head
            tables[key] = Table(head, table.columns, before.lines | table.lines)
    return dict(sorted(tables.items(), key=lambda item: (item[0][0], float(item[0][1] or 0))))


def written(table, labels):
    """Markdown, the distance to supervised training told anew."""
    ceiling = psnr(table.lines[SUPERVISED]) if SUPERVISED in table.lines else None
    lines = []
    for label in [label for label in labels if label in table.lines]:
        cells, own = table.lines[label], psnr(table.lines[label])
        known = None not in (ceiling, own) and label != SUPERVISED
        lines.append([label, cells[0], f"{own - ceiling:+.2f}" if known else "", *cells[2:]])
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return f"{table.head}\n\n{table.columns}\n{'|---' * (table.columns.count('|') - 1)}|\n{text}"


def psnr(cells):
    """Mean PSNR in the first cell of a line; None where the method did not run."""
    found = re.match(r"[\d.]+", cells[0])
    return float(found[0]) if found else None
