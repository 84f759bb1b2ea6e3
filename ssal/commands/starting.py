"""The command that starts a project of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init(
    folder: Annotated[Path, typer.Argument(help="A folder of images, or an uncompressed .tar of them")],
    classes: Annotated[
        str, typer.Option(help="What people may answer, e.g. cat,dog; class folders that exist are classes anyway")
    ] = "",
    classes_file: Annotated[Path | None, typer.Option(help="The same from a file, one name per line")] = None,
    recipe: Annotated[Path, typer.Option(help="The file to write")] = Path("recipe.yaml"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file where it exists")] = False,
) -> None:
    """Look at a folder of images and write a recipe for it, with the reason for every value."""
    import torch

    from ssal.starting import start

    for line in start(folder, classes, classes_file, recipe, overwrite, torch.cuda.is_available()):
        typer.echo(line)
