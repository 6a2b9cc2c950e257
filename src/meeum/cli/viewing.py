"""The command that shows images in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from meeum.cli import options
from meeum.cli.app import app
from meeum.errors import UsageError


@app.command()
def view(
    what: Annotated[Path, typer.Argument(help="the folder of a run, or an image", show_default=False)],
    denoised: Annotated[Path | None, typer.Argument(help="its denoised version")] = None,
    dataset: options.Dataset = None,
    channel: options.Channel = None,
    no_data: options.NoData = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free")] = 0,
    browser: Annotated[bool, typer.Option(help="open the browser")] = True,
) -> None:
    """Look at a run or at images of any size in the browser; nothing leaves this machine."""
    from meeum import serving

    if what.is_dir() and what.suffix.lower() != ".zarr":
        if denoised or dataset or channel is not None or no_data is not None:
            raise UsageError(f"{what}: a run knows its images; leave out the other file and its options")
        exhibit = serving.run(what)
    else:
        exhibit = serving.files(what, denoised, serving.Choice(dataset, channel, no_data))
    with serving.listen(exhibit, port=port) as server:
        typer.echo(f"{exhibit.title}: {server.address}  (Ctrl-C ends it)")
        if browser:
            typer.launch(server.address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            typer.echo("ended")
