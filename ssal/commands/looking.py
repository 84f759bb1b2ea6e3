"""Commands that look at a run that stands: its labels, and what strategies would ask for."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated

import typer

from ssal.commands.words import CHECKPOINTS, Checkpoints, Overrides, RecipeFile, load


def audit(
    recipe: RecipeFile,
    overrides: Overrides = None,
    checkpoints: Checkpoints = CHECKPOINTS,
    arm: Annotated[str, typer.Option(help="Whose labels and encoder; the first arm with an encoder")] = "",
    seed: Annotated[int | None, typer.Option(help="Which of its seeds; the first")] = None,
) -> None:
    """List the labels that similar images disagree with, most doubtful first, as audit.csv and in report.html."""
    from ssal.audit import audit as audited
    from ssal.compare import so_far
    from ssal.conclude import conclude

    loaded = load(recipe, overrides, checkpoints)
    path, suspects = audited(loaded, checkpoints, arm, seed)
    judged = [s for s in suspects if s.disagreement is not None]
    differ, left = sum(s.propagated != s.label for s in judged), len(suspects) - len(judged)
    conclude(loaded, so_far(loaded, checkpoints), checkpoints, shlex.join(["ssal", *sys.argv[1:]]))
    typer.echo(f"{differ} of {len(judged)} labels differ from what similar images say")
    if left:
        typer.echo(f"{left} could not be judged: the only label of its class, or no label reaches it")
    typer.echo(f"labels: {path}\nreport: {checkpoints / loaded.name / 'report.html'}")


def query(
    recipe: RecipeFile,
    overrides: Overrides = None,
    checkpoints: Checkpoints = CHECKPOINTS,
    strategies: Annotated[str, typer.Option(help="all, or names with commas between")] = "all",
    arm: Annotated[str, typer.Option(help="Whose learner; the treatment, or the first arm")] = "",
    seed: Annotated[int | None, typer.Option(help="Which of its seeds; the first")] = None,
    number: Annotated[int | None, typer.Option("--round", help="Which round's learner; the last")] = None,
    size: Annotated[int | None, typer.Option(help="How many images each picks; the arm's query_size")] = None,
) -> None:
    """Show what every strategy would ask for with a learner that stands: overlap, classes, errors; changes no run."""
    from rich.console import Console

    from ssal.compare import so_far
    from ssal.conclude import conclude
    from ssal.evaluation.picks import picks_notes, picks_table
    from ssal.query import PICKS, QUERY
    from ssal.query import query as queried
    from ssal.standing import as_they_ran

    loaded = load(recipe, overrides, checkpoints)
    found = queried(loaded, checkpoints, strategies, arm, seed, number, size)
    ran = as_they_ran(loaded, checkpoints)
    conclude(ran, so_far(ran, checkpoints), checkpoints, shlex.join(["ssal", *sys.argv[1:]]))
    Console().print(picks_table(found))
    for line in picks_notes(found):
        typer.echo(line)
    folder = checkpoints / loaded.name
    typer.echo(f"picks: {folder / PICKS}\nnumbers: {folder / QUERY}\nreport: {folder / 'report.html'}")
