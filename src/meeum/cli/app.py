"""The application that commands join."""

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Denoise a microscope volume with nothing but itself, and show what was done to it.",
)
