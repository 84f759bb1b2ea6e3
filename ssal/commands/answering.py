"""Commands for people who answer in files of their own, instead of on the labelling page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ssal.commands.words import CHECKPOINTS, Checkpoints, Overrides, RecipeFile, load
from ssal.errors import counted

Arm = Annotated[str, typer.Option(help="Which arm; the first that waits")]
Seed = Annotated[int | None, typer.Option(help="Which of its seeds; the first that waits")]


def questions(
    recipe: RecipeFile,
    to: Annotated[Path, typer.Option(help="File or folder to write")],
    overrides: Overrides = None,
    form: Annotated[Literal["csv", "folders", "label-studio"], typer.Option("--as", help="What to write")] = "csv",
    checkpoints: Checkpoints = CHECKPOINTS,
    arm: Arm = "",
    seed: Seed = None,
) -> None:
    """Hand out the images that still wait for an answer: as CSV, as a folder to sort, or as tasks for Label Studio."""
    from ssal.exchange import hand_out, open_round

    asked = open_round(load(recipe, overrides, checkpoints), checkpoints, arm, seed)
    typer.echo(hand_out(asked, form, to))


def answers(
    recipe: RecipeFile,
    file: Annotated[Path, typer.Argument(help="CSV, a folder with a folder per class, or Label Studio's JSON")],
    overrides: Overrides = None,
    checkpoints: Checkpoints = CHECKPOINTS,
    accept_valid: Annotated[bool, typer.Option("--accept-valid", help="Leave out what cannot be used")] = False,
    decides: Annotated[
        bool, typer.Option("--decides", help="A third look: settles what people differ on, the rest is left aside")
    ] = False,
    who: Annotated[str, typer.Option(help="Who answered, where the file does not say; the user")] = "",
    arm: Arm = "",
    seed: Seed = None,
) -> None:
    """Take answers that people gave in a file: all of them, or none."""
    from ssal.exchange import open_round, take

    loaded = load(recipe, overrides, checkpoints)
    new, found = take(open_round(loaded, checkpoints, arm, seed), file, accept_valid, who, decides)
    ways = ", ".join([*found.ways(), f"{'or ' * bool(found.ways())}type ssal label {loaded.typed}"])
    rest = f"{found.words()}: {ways}" if found.waiting else f"none waits any more: type ssal run {loaded.typed}"
    typer.echo(f"{counted(new, 'new answer')} from {file}; {rest}")
