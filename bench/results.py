"""A results file: a script runs what is missing there and appends it, or with --table makes tables of what is there."""

import argparse
from pathlib import Path

from page import PAGE, put
from peers import recorded


def options(text, name, page="audit.md"):
    """Those of every such script; `text` is its docstring, `name` that of its results file."""
    parser = argparse.ArgumentParser(description=text.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path(f"bench-{name}.jsonl"), help="file to append to")
    parser.add_argument("--table", type=Path, help="make the tables of this results file instead")
    parser.add_argument("--keep", action="store_true", help=f"put the tables into docs/{page}")
    parser.set_defaults(page=PAGE.with_name(page))
    return parser


def start(args, run, tables):
    """`run` with the arguments; or, from all rows, `tables`: texts by the names of their places on the page."""
    if not args.table:
        run(args)
        return
    for name, text in tables(recorded(args.table)).items():
        print(text)
        if args.keep:
            put(name, text, args.page)


def has(rows, head):
    """Whether one of the rows begins like this."""
    return any(all(row.get(key) == value for key, value in head.items()) for row in rows)
