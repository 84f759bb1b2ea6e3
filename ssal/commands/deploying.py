"""Commands for the classifier that comes out of a run: write it to a folder of its own, and use it on other images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ssal.commands.words import CHECKPOINTS, Checkpoints, Overrides, RecipeFile, load
from ssal.errors import counted


def model(
    recipe: RecipeFile,
    to: Annotated[Path, typer.Option(help="Folder the model is written to")],
    overrides: Overrides = None,
    checkpoints: Checkpoints = CHECKPOINTS,
    arm: Annotated[str, typer.Option(help="Whose classifier; the treatment, or the first arm")] = "",
    seed: Annotated[int | None, typer.Option(help="Which of its seeds; the first")] = None,
    number: Annotated[int | None, typer.Option("--round", help="Which round's classifier; the last")] = None,
    onnx: Annotated[bool, typer.Option(help="Write model.onnx, too, and check it with onnxruntime")] = True,
) -> None:
    """Write a run's classifier as safetensors and ONNX, checked to answer as it does, with a model card."""
    from ssal.deployment.write import export_model

    written = export_model(load(recipe, overrides, checkpoints), checkpoints, to, arm, seed, number, onnx=onnx)
    for path in written.files:
        typer.echo(path)
    for note in written.notes:
        typer.echo(note, err=True)


def predict(
    model: Annotated[Path, typer.Argument(help="A folder that `ssal model` wrote")],
    images: Annotated[Path, typer.Argument(help="A folder of images, or an uncompressed .tar of them")],
    to: Annotated[Path, typer.Option(help="CSV file that is written")] = Path("predictions.csv"),
    top: Annotated[int, typer.Option(min=1, help="How many classes per image, the likeliest first")] = 3,
) -> None:
    """Write the likeliest classes of every image in a folder or .tar, with confidences, as CSV."""
    from ssal.deployment.predict import predict as predicted

    found = predicted(model, images, to, top)
    typer.echo(f"{counted(found.images, 'image')}: {to}")
    for path, reason in found.unreadable:
        typer.echo(f"unreadable: {path} ({reason})", err=True)
