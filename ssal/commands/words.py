"""The words that several commands take, and how a recipe is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssal.names import CHECKPOINTS as CHECKPOINTS

if TYPE_CHECKING:
    from ssal.recipe import Recipe

DONE, FAILED, BAD_INPUT, WAITING, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 130, 143
"""Exit codes."""
RecipeFile = Annotated[Path, typer.Argument(help="A recipe, e.g. recipes/quickstart.yaml")]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="Recipe keys to replace, e.g. learner.threshold=0.9 seeds=[0,1]")
]
Checkpoints = Annotated[Path, typer.Option(help="Where runs are written")]


def load(recipe: Path, overrides: list[str] | None, checkpoints: Path) -> Recipe:
    """Return the recipe with the overrides laid over it, which knows where its runs are."""
    from ssal.recipe import load as load_recipe

    return replace(load_recipe(recipe, overrides or []), checkpoints=checkpoints)
