"""Words in, functions called, no logic. Torch is imported inside commands, so that help comes at once."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ssal.errors import BadInput, Diverged, Waiting

if TYPE_CHECKING:
    from ssal.compare import Ended
    from ssal.recipe import Recipe

DONE, FAILED, BAD_INPUT, WAITING, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 130, 143

app = typer.Typer(
    help="Train image classifiers from very few labels: self-supervised, semi-supervised and active learning.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
RecipeFile = Annotated[Path, typer.Argument(help="A recipe, e.g. recipes/quickstart.yaml")]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="Recipe keys to replace, e.g. learner.threshold=0.9 seeds=[0,1]")
]
Checkpoints = Annotated[Path, typer.Option(help="Where runs are written")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Start again where another recipe's run stands")]
Jobs = Annotated[
    int, typer.Option("--jobs", "-j", min=0, help="Cells side by side; 0 is one per core, or one on a GPU")
]


@app.callback()
def common(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Also say how each training goes")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings and the result")] = False,
) -> None:
    """Set how much is said."""
    level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    logging.basicConfig(format="%(message)s", stream=sys.stderr, level=logging.WARNING)
    logging.getLogger("ssal").setLevel(level)
    os.environ["SSAL_LOG_LEVEL"] = str(level)


@app.command()
def run(
    recipe: RecipeFile,
    overrides: Overrides = None,
    checkpoints: Checkpoints = Path("checkpoints"),
    overwrite: Overwrite = False,
    jobs: Jobs = 0,
) -> None:
    """Run a recipe, or go on where it stopped: every arm and seed, then accuracy per labels used."""
    from ssal.compare import run_all

    loaded = _load(recipe, overrides)
    ended = run_all(loaded, overrides or [], checkpoints, jobs, overwrite)
    _table(ended, checkpoints / loaded.name / "results.csv")
    _leave(ended)


@app.command()
def compare(
    recipe: RecipeFile,
    overrides: Overrides = None,
    checkpoints: Checkpoints = Path("checkpoints"),
    overwrite: Overwrite = False,
    jobs: Jobs = 0,
    status: Annotated[bool, typer.Option("--status", help="Only say how far it is, also while it runs")] = False,
) -> None:
    """Run every arm and seed side by side; print the table and a verdict, write report.html."""
    from ssal.compare import run_all
    from ssal.conclude import conclude
    from ssal.status import print_status

    loaded = _load(recipe, overrides)
    if status:
        print_status(loaded, checkpoints)
        return
    ended = run_all(loaded, overrides or [], checkpoints, jobs, overwrite)
    comparisons = conclude(loaded, ended, checkpoints, shlex.join(["ssal", *sys.argv[1:]]))
    _table(ended, checkpoints / loaded.name / "results.csv")
    for sentence in (sentence for one in comparisons for sentence in one.words()):
        typer.echo(f"\n{sentence}")
    typer.echo(f"\nreport: {checkpoints / loaded.name / 'report.html'}")
    _leave(ended)


@app.command()
def check(recipe: RecipeFile, overrides: Overrides = None, checkpoints: Checkpoints = Path("checkpoints")) -> None:
    """Validate a recipe without training and print the plan: rounds, labels, stages, passes, disk and memory."""
    from ssal.plan import plan

    for line in plan(_load(recipe, overrides), checkpoints):
        typer.echo(line)


@app.command("list")
def list_methods(
    kind: Annotated[str, typer.Argument(help="strategies, learners, pretexts, signals or datasets; or all")] = "",
) -> None:
    """Print every method: name, needs, options with defaults, source."""
    from ssal.listing import KINDS, describe, print_listing

    if kind and kind not in KINDS:
        raise BadInput(f"ssal list: expected one of {', '.join(KINDS)}, got {kind!r}")
    for word in [kind] if kind else list(KINDS):
        print_listing(word, describe(word))


@app.command()
def schema() -> None:
    """Print the JSON schema of recipes, for editors."""
    import json

    from ssal.recipe import schema as recipe_schema

    typer.echo(json.dumps(recipe_schema(), indent=2))


@app.command()
def pretrain(recipe: RecipeFile, overrides: Overrides = None, checkpoints: Checkpoints = Path("checkpoints")) -> None:
    """Train the encoders that a recipe's arms and seeds need, and print where they are."""
    from ssal.embed import encoders_of

    for name, (encoder, _) in encoders_of(_load(recipe, overrides), checkpoints).items():
        typer.echo(f"{name}: {encoder.folder if encoder.trained else encoder.backbone['weights']}")


@app.command()
def embed(
    recipe: RecipeFile,
    overrides: Overrides = None,
    checkpoints: Checkpoints = Path("checkpoints"),
    out: Annotated[Path, typer.Option(help="Folder the features are written to")] = Path("embeddings"),
) -> None:
    """Write every image's encoder features with its id, in the form the `embeddings` source reads."""
    from ssal.embed import write_embeddings

    for path in write_embeddings(_load(recipe, overrides), checkpoints, out):
        typer.echo(path)


@app.command()
def audit(
    recipe: RecipeFile,
    overrides: Overrides = None,
    checkpoints: Checkpoints = Path("checkpoints"),
    arm: Annotated[str, typer.Option(help="Whose labels and encoder; the first arm with an encoder")] = "",
    seed: Annotated[int | None, typer.Option(help="Which of its seeds; the first")] = None,
) -> None:
    """List the labels that similar images disagree with, most doubtful first, as audit.csv and in report.html."""
    from ssal.audit import audit as audited
    from ssal.compare import so_far
    from ssal.conclude import conclude

    loaded = _load(recipe, overrides)
    path, suspects = audited(loaded, checkpoints, arm, seed)
    judged = [s for s in suspects if s.disagreement is not None]
    differ, left = sum(s.propagated != s.label for s in judged), len(suspects) - len(judged)
    conclude(loaded, so_far(loaded, checkpoints), checkpoints, shlex.join(["ssal", *sys.argv[1:]]))
    typer.echo(f"{differ} of {len(judged)} labels differ from what similar images say")
    if left:
        typer.echo(f"{left} could not be judged: the only label of its class, or no label reaches it")
    typer.echo(f"labels: {path}\nreport: {checkpoints / loaded.name / 'report.html'}")


@app.command()
def query(
    recipe: RecipeFile,
    overrides: Overrides = None,
    checkpoints: Checkpoints = Path("checkpoints"),
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

    loaded = _load(recipe, overrides)
    found = queried(loaded, checkpoints, strategies, arm, seed, number, size)
    ran = as_they_ran(loaded, checkpoints)
    conclude(ran, so_far(ran, checkpoints), checkpoints, shlex.join(["ssal", *sys.argv[1:]]))
    Console().print(picks_table(found))
    for line in picks_notes(found):
        typer.echo(line)
    folder = checkpoints / loaded.name
    typer.echo(f"picks: {folder / PICKS}\nnumbers: {folder / QUERY}\nreport: {folder / 'report.html'}")


@app.command("evaluate-encoder")
def evaluate_encoder(
    recipe: RecipeFile, overrides: Overrides = None, checkpoints: Checkpoints = Path("checkpoints")
) -> None:
    """Measure a recipe's encoders with all labels of the pool: kNN and linear accuracy on the test images."""
    from ssal.evaluate_encoder import evaluate_encoders

    for line in evaluate_encoders(_load(recipe, overrides), checkpoints):
        typer.echo(line)


def _load(recipe: Path, overrides: list[str] | None) -> Recipe:
    from ssal.recipe import load

    return load(recipe, overrides or [])


def _table(ended: Ended, path: Path) -> None:
    from rich.console import Console

    from ssal.evaluation.results import final_table

    if ended.rows:
        Console().print(final_table(ended.rows))
    typer.echo(f"rows: {path}")


def _leave(ended: Ended) -> None:
    """End with the code that says how far it went."""
    if ended.failed:
        for text in ended.waiting:
            typer.echo(text, err=True)
        raise typer.Exit(FAILED)
    if ended.waiting:
        raise Waiting("\n".join(ended.waiting))


def main() -> None:
    """Run the command line; 0 done, 1 something failed, 2 bad input, 3 waiting for people, 130 or 143 stopped."""
    for stream in (sys.stdout, sys.stderr):  # a terminal that knows no × is no reason to stop
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    # Lightning takes a SIGTERM for a good end where nobody else listens; so workers are ended and the code is told.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        app()
    except (BadInput, Waiting, Diverged) as error:
        typer.echo(f"{error}", err=True)
        sys.exit({BadInput: BAD_INPUT, Waiting: WAITING, Diverged: FAILED}[type(error)])
    except SystemExit as end:  # typer ends like this on Ctrl-C
        if end.code in (INTERRUPTED, TERMINATED):
            typer.echo("stopped; the same command goes on from here", err=True)
        raise
