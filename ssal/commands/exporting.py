"""The command that takes labels out of a project, in the forms that other programs read."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ssal.commands.words import CHECKPOINTS, Checkpoints, Overrides, RecipeFile, load


class Form(StrEnum):
    """What can be written, as an option that may be repeated."""

    csv = "csv"
    folders = "folders"
    coco = "coco"


def export(
    recipe: RecipeFile,
    overrides: Overrides = None,
    to: Annotated[Path | None, typer.Option(help="Folder to write; export, beside results.csv")] = None,
    checkpoints: Checkpoints = CHECKPOINTS,
    arm: Annotated[str, typer.Option(help="Whose labels; the treatment, or the first arm")] = "",
    seed: Annotated[int | None, typer.Option(help="Which of its seeds; the first")] = None,
    forms: Annotated[list[Form] | None, typer.Option("--as", help="What to write, may be repeated; all")] = None,
    above: Annotated[
        float | None,
        typer.Option(
            "--pseudo-labels-above",
            min=0,
            max=1,
            help="Also put images into folders and coco.json that the classifier is at least so sure of",
        ),
    ] = None,
) -> None:
    """Write labels, pseudo-labels and suspicious labels: as CSV, as a folder per class, as COCO's JSON."""
    from ssal.export.export import export as exported

    for line in exported(load(recipe, overrides, checkpoints), checkpoints, to, arm, seed, forms or (), above).lines:
        typer.echo(line)
