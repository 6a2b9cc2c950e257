"""The command line called from a test, and the smallest training there is."""

import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from unittest import mock

import torch

from meeum import cli

TINY = tuple(
    word
    for setting in (
        "network.width=2",
        "training.batch=1",
        "training.patch=8,16,16",
        "training.precision=float32",
        "training.device=cpu",
    )
    for word in ("--set", setting)
)
TINY_2D = tuple(word.replace("8,16,16", "16,16") for word in TINY)
TWO_STEPS = ("--set", "training.steps=2")


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


def call(*words: object) -> Outcome:
    """`meeum WORDS...` in this process: exit code, standard output and standard error."""
    torch.set_num_threads(1)
    out, err, code = StringIO(), StringIO(), 0
    argv = mock.patch.object(sys, "argv", ["meeum", *map(str, words)])
    with redirect_stdout(out), redirect_stderr(err), argv:
        try:
            cli.main()
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 0
    return Outcome(code, out.getvalue(), err.getvalue())
