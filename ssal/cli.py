"""Words in, functions called, no logic. Torch is imported inside commands, so that help comes at once."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from ssal.commands import (
    answering,
    deploying,
    encoders,
    exporting,
    labelling,
    ledgers,
    listing,
    looking,
    running,
    starting,
)
from ssal.commands.words import BAD_INPUT, FAILED, INTERRUPTED, TERMINATED, WAITING
from ssal.errors import BadInput, Diverged, Terminated, Waiting

app = typer.Typer(
    help="Train image classifiers from very few labels: self-supervised, semi-supervised and active learning.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
COMMANDS: dict[str, Callable[..., None]] = {
    "init": starting.init,
    "run": running.run,
    "compare": running.compare,
    "check": running.check,
    "label": labelling.label,
    "list": listing.list_methods,
    "schema": listing.schema,
    "questions": answering.questions,
    "answers": answering.answers,
    "query": looking.query,
    "audit": looking.audit,
    "export": exporting.export,
    "model": deploying.model,
    "predict": deploying.predict,
    "pretrain": encoders.pretrain,
    "embed": encoders.embed,
    "evaluate-encoder": encoders.evaluate_encoder,
}
for name, command in COMMANDS.items():
    app.command(name)(command)
app.add_typer(ledgers.ledger, name="ledger")


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


def _terminated(*_: object) -> None:
    raise Terminated(TERMINATED)


def main() -> None:
    """Run the command line; 0 done, 1 something failed, 2 bad input, 3 waiting for people, 130 or 143 stopped."""
    for stream in (sys.stdout, sys.stderr):  # a terminal that knows no × is no reason to stop
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    # Lightning takes a SIGTERM for a good end where nobody else listens; so workers are ended and the code is told.
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app()
    except (BadInput, Waiting, Diverged) as error:
        typer.echo(f"{error}", err=True)
        sys.exit({BadInput: BAD_INPUT, Waiting: WAITING, Diverged: FAILED}[type(error)])
    except SystemExit as end:  # typer ends like this on Ctrl-C
        if end.code in (INTERRUPTED, TERMINATED):
            typer.echo("stopped; the same command goes on from here", err=True)
        raise
