"""Commands by which people answer."""

from __future__ import annotations

from typing import Annotated

import typer

from ssal.commands.words import CHECKPOINTS, Checkpoints, Overrides, RecipeFile
from ssal.errors import BadInput


def label(
    recipe: RecipeFile,
    overrides: Overrides = None,
    checkpoints: Checkpoints = CHECKPOINTS,
    host: Annotated[str, typer.Option(help="Address to listen at; one that others reach needs a token")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="8765; 0 takes any free one")] = None,
    who: Annotated[str, typer.Option(help="Your name in the ledger; the page asks for it otherwise")] = "",
    arm: Annotated[str, typer.Option(help="Whose images, where several arms wait; the first")] = "",
    seed: Annotated[int | None, typer.Option(help="Which of its seeds; the first that waits")] = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Open no browser")] = False,
) -> None:
    """Answer what a run asks, in a page on this machine: one image at a time, by keyboard or by mouse."""
    try:
        from ssal.labelling.server.serve import serve
    except ModuleNotFoundError as error:
        raise BadInput(f"the page needs {error.name}; type pip install 'ssal[label]', which installs it") from error
    serve(
        recipe, checkpoints, typer.echo,
        host=host, port=port, who=who, arm=arm, seed=seed, overrides=overrides or (), opens=not no_open,
    )  # fmt: skip
