"""What a person sees of an audit in the terminal. Needs no torch."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from meeum.auditing import Audit, Verdict
from meeum.auditing.pair import Denoiser
from meeum.auditing.table import SYMBOLS, Line, sigma, table
from meeum.examination import Examination, as_text, examine
from meeum.volume import Volume

FAILED = 3  # exit code with --strict where a measure failed
COLOURS: dict[Verdict, str] = {"fail": "bold red", "warn": "yellow", "cannot tell": "cyan", "pass": "green"}
PLAIN: dict[Verdict, str] = {"fail": "x", "warn": "!", "cannot tell": "?", "pass": "+"}  # for screens without Unicode
INDENT, WIDEST = 15, 110  # columns
TITLE = 30  # column width, which some titles exceed


def watched(pair: tuple[Volume, Volume], *, denoise: Denoiser | None, self_test: bool) -> Examination:
    """Examine a pair; on a screen a line says what is being done, and goes when it is done."""
    console = Console(stderr=True, markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        return examine(pair, denoise=denoise, self_test=self_test)
    with console.status("audit") as status:
        return examine(pair, denoise=denoise, self_test=self_test, show=lambda words: status.update(f"audit: {words}"))


def conclude(found: Examination, write: Callable[[], Sequence[Path]], *, as_json: bool, strict: bool) -> int:
    """Show an examination, then write what was asked for; JSON is printed last, and alone. The exit code."""
    if as_json:
        write()
        print(as_text(found))
        return exit_code(found.audit, strict=strict)
    console = Console(markup=False, highlight=False, emoji=False)
    audit = found.audit
    console.print(f"audit of {audit.denoised.name} against {audit.noisy.name}", soft_wrap=True)
    console.print(f"looked at      {looked_at(audit)}", soft_wrap=True)
    console.print(f"sigma          {sigma(audit)}", soft_wrap=True)
    console.print()
    show(audit, console)
    if found.selftest:
        _paragraph(console, "self-test", found.selftest.sentence)
    for path in write():
        console.print(f"written        {path}", soft_wrap=True)
    return exit_code(audit, strict=strict)


def exit_code(audit: Audit | None, *, strict: bool) -> int:
    """3 where a measure failed and that is to count, else 0."""
    return FAILED if strict and audit is not None and audit.verdict == "fail" else 0


def looked_at(audit: Audit) -> str:
    """Voxels, share and how the denoiser was judged."""
    share = "" if audit.coverage >= 1 else f" ({audit.coverage:.2g} of the image)"
    how = "the denoiser itself, too" if audit.asked else "the result alone; --model RUN questions the network too"
    return f"{audit.sampling}{share}, {audit.voxels:,} voxels; {how}"


def show(audit: Audit, console: Console, *, objections_only: bool = False) -> None:
    """A line and a sentence per finding, the gravest first, then all of it in a line."""
    lines = [line for line in table(audit) if not objections_only or line.verdict in ("fail", "warn")]
    if lines:
        head = f"{'verdict':<{INDENT}}{'measure':<{TITLE}}  value (95 % interval), ideal"
        console.print(head, style="dim", soft_wrap=True)
    for line in lines:
        _show_line(line, console)
    overall = Text.assemble(("audit          ", ""), _word(audit.verdict, console, audit.tone), f"{audit.sentence} ")
    overall.append(f"({audit.seconds:.3g} s)")
    console.print(overall, soft_wrap=True)


def _show_line(line: Line, console: Console) -> None:
    head = Text.assemble(_word(line.verdict, console), (f"{line.title:<{TITLE}}", "bold"), f"  {line.value}")
    if line.ideal != "–":
        head.append(f", ideal {line.ideal}")
    console.print(head, soft_wrap=True)
    _paragraph(console, "", line.sentence)


def _word(verdict: Verdict, console: Console, tone: Verdict | None = None) -> Text:
    """A symbol and a word: colours alone say nothing to some. `tone`: the verdict that lends its colour."""
    symbol = (PLAIN if console.options.ascii_only else SYMBOLS)[verdict]
    return Text(f"{symbol} {verdict}".ljust(INDENT), style=COLOURS[tone or verdict])


def _paragraph(console: Console, label: str, text: str) -> None:
    """Beside a label, wrapped on a screen; elsewhere one line, for grep."""
    width = min(console.width, WIDEST) - INDENT
    lines = textwrap.wrap(text, max(width, 20)) if console.is_terminal else [text]
    for number, line in enumerate(lines):
        console.print(f"{label if number == 0 else '':<{INDENT}}{line}", soft_wrap=True)
