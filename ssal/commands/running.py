"""Commands that run a recipe, or say what that would do."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssal.commands.words import CHECKPOINTS, FAILED, Checkpoints, Overrides, RecipeFile, load
from ssal.errors import BadInput, Waiting

if TYPE_CHECKING:
    from ssal.compare import Ended
    from ssal.recipe import Recipe

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Start again where another recipe's run stands")]
Jobs = Annotated[
    int, typer.Option("--jobs", "-j", min=0, help="Cells side by side; 0 is one per core, or as many as GPUs take")
]
Executor = Annotated[
    str, typer.Option(help="Where cells run: local, ray, ray://HOST:PORT, ray:auto, slurm or slurm:partition=gpu,…")
]
CellsPerGpu = Annotated[int, typer.Option(min=1, help="How many cells share a GPU")]


def run(
    recipe: RecipeFile,
    overrides: Overrides = None,
    checkpoints: Checkpoints = CHECKPOINTS,
    overwrite: Overwrite = False,
    jobs: Jobs = 0,
    executor: Executor = "local",
    cells_per_gpu: CellsPerGpu = 1,
    new_encoder: Annotated[
        bool, typer.Option("--new-encoder", help="Train the encoder anew on the images that are there now")
    ] = False,
) -> None:
    """Run a recipe, or go on where it stopped: every arm and seed, then accuracy per labels used."""
    from ssal.compare import run_all
    from ssal.conclude import conclude
    from ssal.outlook import ending

    loaded = load(recipe, overrides, checkpoints)
    ended = run_all(loaded, overrides or [], checkpoints, jobs, overwrite, executor, cells_per_gpu, new_encoder)
    _table(ended, checkpoints / loaded.name / "results.csv")
    _outlook(loaded, checkpoints)
    if ended.rows and any(arm.asks_people for arm in loaded.arms.values()):
        conclude(loaded, ended, checkpoints, _typed())
        typer.echo(f"report: {checkpoints / loaded.name / 'report.html'}")
    _leave(ended)
    for line in ending(loaded, checkpoints):
        typer.echo(line)


def compare(
    recipe: RecipeFile,
    overrides: Overrides = None,
    checkpoints: Checkpoints = CHECKPOINTS,
    overwrite: Overwrite = False,
    jobs: Jobs = 0,
    executor: Executor = "local",
    cells_per_gpu: CellsPerGpu = 1,
    status: Annotated[bool, typer.Option("--status", help="Only say how far it is, also while it runs")] = False,
) -> None:
    """Run every arm and seed side by side; print the table and a verdict, write report.html."""
    from ssal.compare import run_all
    from ssal.conclude import conclude
    from ssal.status import print_status

    loaded = load(recipe, overrides, checkpoints)
    if status:
        print_status(loaded, checkpoints)
        return
    ended = run_all(loaded, overrides or [], checkpoints, jobs, overwrite, executor, cells_per_gpu)
    concluded = conclude(loaded, ended, checkpoints, _typed())
    _table(ended, checkpoints / loaded.name / "results.csv")
    for sentence in concluded.words():
        typer.echo(f"\n{sentence}")
    _outlook(loaded, checkpoints)
    typer.echo(f"\nreport: {checkpoints / loaded.name / 'report.html'}")
    _leave(ended)


def check(recipe: RecipeFile, overrides: Overrides = None, checkpoints: Checkpoints = CHECKPOINTS) -> None:
    """Validate a recipe without training and print the plan: rounds, labels, stages, passes, disk and memory."""
    from ssal.plan import plan

    for line in plan(load(recipe, overrides, checkpoints), checkpoints):
        typer.echo(line)


def _table(ended: Ended, path: Path) -> None:
    from rich.console import Console

    from ssal.evaluation.table import final_table

    if ended.rows:
        Console().print(final_table(ended.rows))
    typer.echo(f"rows: {path}")


def _outlook(recipe: Recipe, checkpoints: Path) -> None:
    """Say how good what people taught is, and what their next answers may add."""
    from ssal.outlook import outlooks, sentences

    for line in sentences(outlooks(recipe, checkpoints)):
        typer.echo(line)


def _typed() -> str:
    return shlex.join(["ssal", *sys.argv[1:]])


def _leave(ended: Ended) -> None:
    """End with the code that says how far it went."""
    if ended.refused or ended.failed:
        for text in ended.waiting:
            typer.echo(text, err=True)
    if ended.refused:
        raise BadInput("\n".join(ended.refused))
    if ended.failed:
        raise typer.Exit(FAILED)
    if ended.waiting:
        raise Waiting("\n".join(ended.waiting))
