"""Commands that stop after the encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ssal.commands.words import CHECKPOINTS, Checkpoints, Overrides, RecipeFile, load


def pretrain(recipe: RecipeFile, overrides: Overrides = None, checkpoints: Checkpoints = CHECKPOINTS) -> None:
    """Train the encoders that a recipe's arms and seeds need, and print where they are."""
    from ssal.embed import encoders_of

    for name, (encoder, _) in encoders_of(load(recipe, overrides, checkpoints), checkpoints).items():
        typer.echo(f"{name}: {encoder.folder if encoder.trained else encoder.backbone['weights']}")


def embed(
    recipe: RecipeFile,
    overrides: Overrides = None,
    checkpoints: Checkpoints = CHECKPOINTS,
    out: Annotated[Path, typer.Option(help="Folder the features are written to")] = Path("embeddings"),
) -> None:
    """Write every image's encoder features with its id, in the form the `embeddings` source reads."""
    from ssal.embed import write_embeddings

    for path in write_embeddings(load(recipe, overrides, checkpoints), checkpoints, out):
        typer.echo(path)


def evaluate_encoder(recipe: RecipeFile, overrides: Overrides = None, checkpoints: Checkpoints = CHECKPOINTS) -> None:
    """Measure a recipe's encoders with all labels of the pool: kNN and linear accuracy on the test images."""
    from ssal.evaluate_encoder import evaluate_encoders

    for line in evaluate_encoders(load(recipe, overrides, checkpoints), checkpoints):
        typer.echo(line)
