"""Commands on the ledgers of a recipe's runs: check, read, copy, correct, take an answer back, rename a class."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssal.artefacts import read_json
from ssal.commands.words import CHECKPOINTS, FAILED, Checkpoints, Overrides, RecipeFile, load
from ssal.errors import BadInput, counted, listing
from ssal.labelling.settle import this_user
from ssal.names import recipe_name, typed

if TYPE_CHECKING:
    from ssal.labelling.ledger import Ledger

ledger = typer.Typer(help="Look at what was answered, check it, correct it or take it back.", no_args_is_help=True)
Arm = Annotated[str, typer.Option(help="Whose ledger; the only one, or all of them")]
Seed = Annotated[int | None, typer.Option(help="Which of its seeds")]


@ledger.command()
def verify(
    recipe: RecipeFile,
    overrides: Overrides = None,
    checkpoints: Checkpoints = CHECKPOINTS,
    arm: Arm = "",
    seed: Seed = None,
) -> None:
    """Say whether every row stands as it was written; exit code 1 where one does not."""
    whole = True
    for one in _ledgers(recipe, overrides, checkpoints, arm, seed):
        rows, damages = one.chain.rows(), one.chain.damages()
        whole = whole and not damages
        told = "; ".join(damages) or f"{counted(len(rows), 'row')}, as they were written"
        typer.echo(f"{one.path}: {told}" + (f"; last digest {rows[-1]['digest'][:16]}" if rows else ""))
    if not whole:
        raise typer.Exit(FAILED)


@ledger.command()
def log(
    recipe: RecipeFile,
    overrides: Overrides = None,
    checkpoints: Checkpoints = CHECKPOINTS,
    arm: Arm = "",
    seed: Seed = None,
) -> None:
    """Print every row as tab-separated text, in the order in which they were written."""
    from ssal.labelling.table import COLUMNS

    names = ("position", *COLUMNS)
    for one in _ledgers(recipe, overrides, checkpoints, arm, seed):
        typer.echo("\t".join(names))
        for row in one.chain.rows():  # line breaks in names stand as spaces
            typer.echo("\t".join(" ".join(str("" if row[name] is None else row[name]).split()) for name in names))


@ledger.command()
def backup(
    recipe: RecipeFile,
    file: Annotated[Path, typer.Argument(help="The file to write")],
    overrides: Overrides = None,
    checkpoints: Checkpoints = CHECKPOINTS,
    arm: Arm = "",
    seed: Seed = None,
) -> None:
    """Copy a ledger into one file, also while the run is going and the page is open, and check the copy."""
    from ssal.export.place import check_outside

    one = _one(recipe, overrides, checkpoints, arm, seed)
    made_by = one.path.with_name("run.json")
    data = read_json(made_by)["recipe"]["data"] if made_by.exists() else {}
    check_outside(file, {"path": data.get("path")}, option="")
    rows = one.chain.backup(file)
    typer.echo(
        f"{file}: {counted(rows, 'row')}, as they were written. To go back to it end run and page, remove "
        f"{one.path}-wal and {one.path}-shm where they are, and copy it to {one.path}"
    )


@ledger.command()
def undo(
    recipe: RecipeFile,
    position: Annotated[int, typer.Argument(help="Its row in `ssal ledger log`")],
    overrides: Overrides = None,
    checkpoints: Checkpoints = CHECKPOINTS,
    arm: Arm = "",
    seed: Seed = None,
) -> None:
    """Take back one answer of a person; the row stays, and one that says so follows.

    What a finished round has taken is replaced instead: ssal ledger correct.
    """
    taken = _one(recipe, overrides, checkpoints, arm, seed).undo(position, this_user()).answer
    typer.echo(f"taken back: {taken.who} said {taken.label or taken.kind} of {taken.id}")


@ledger.command()
def correct(
    recipe: RecipeFile,
    image: Annotated[str, typer.Argument(help="Its id in `ssal ledger log` or in a table, or its path in the data")],
    answer: Annotated[str, typer.Argument(help="Its class, 'none of the classes' or 'cannot tell'")],
    overrides: Overrides = None,
    who: Annotated[str, typer.Option(help="Who says so; the user")] = "",
    checkpoints: Checkpoints = CHECKPOINTS,
    arm: Arm = "",
    seed: Seed = None,
) -> None:
    """Correct an answer, or a label given by a folder, of a round that is finished; the next run trains on it.

    Answers of the round that waits are changed by ssal label or ssal answers; ssal ledger undo takes a correction back.
    """
    from ssal.correcting import correct as corrected

    one = _one(recipe, overrides, checkpoints, arm, seed)
    loaded = load(recipe, overrides, checkpoints)
    told = corrected(loaded, checkpoints, one, image, answer, who or this_user())
    typer.echo(f"{told}; ssal run {loaded.typed} goes on with what stands")


@ledger.command()
def rename(
    recipe: RecipeFile,
    old: Annotated[str, typer.Argument(help="What the class is called in the ledger")],
    new: Annotated[str, typer.Argument(help="What it is to be called; data.classes names it as well")],
    overrides: Overrides = None,
    merge: Annotated[bool, typer.Option("--merge", help="Make two classes one, for good")] = False,
    checkpoints: Checkpoints = CHECKPOINTS,
    arm: Arm = "",
    seed: Seed = None,
) -> None:
    """Call a class otherwise in all that was answered so far; change data.classes and a folder of that name, too.

    Files of answers that still have the old name are understood.
    """
    from ssal.correcting import rename as renamed

    one = _one(recipe, overrides, checkpoints, arm, seed)
    typer.echo(renamed(load(recipe, overrides, checkpoints), checkpoints, one, old, new, this_user(), merge))


def _ledgers(recipe: Path, overrides: list[str] | None, checkpoints: Path, arm: str, seed: int | None) -> list[Ledger]:
    """Return the ledgers of a recipe's runs; it is read for its name alone, since checking it whole takes seconds."""
    from ssal.labelling.ledger import Ledger

    folder = checkpoints / recipe_name(recipe, overrides or ())
    there = sorted(
        (path.parent.parent.name, int(path.parent.name[5:]), path)
        for path in folder.glob("*/seed_*/ledger.sqlite")
        if path.parent.name[5:].isdecimal()
    )
    found = [Ledger(path) for name, number, path in there if arm in ("", name) and seed in (None, number)]
    if there and not found:
        choices = _choices(path for *_, path in there)
        raise BadInput(f"{recipe}: nothing was answered for that arm and seed; type one of: {choices}")
    if not found:
        again = typed(recipe, overrides or (), checkpoints)
        raise BadInput(f"{recipe}: nothing was answered yet under {folder}; type ssal run {again}")
    return found


def _one(recipe: Path, overrides: list[str] | None, checkpoints: Path, arm: str, seed: int | None) -> Ledger:
    found = _ledgers(recipe, overrides, checkpoints, arm, seed)
    if len(found) > 1:
        choices = _choices(one.path for one in found)
        raise BadInput(f"{recipe}: {len(found)} runs have a ledger; type one of: {choices}")
    return found[0]


def _choices(ledgers: Iterable[Path]) -> str:
    """Return what to type for one of the ledgers at these paths."""
    return listing(f"--arm {path.parent.parent.name} --seed {path.parent.name[5:]}" for path in ledgers)
