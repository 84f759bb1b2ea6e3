"""Commands that say what a recipe may hold."""

from __future__ import annotations

from typing import Annotated

import typer

from ssal.errors import BadInput


def list_methods(
    kind: Annotated[str, typer.Argument(help="strategies, learners, pretexts, signals or datasets; or all")] = "",
) -> None:
    """Print every method: name, needs, options with defaults, source."""
    from ssal.listing import KINDS, describe, print_listing

    if kind and kind not in KINDS:
        raise BadInput(f"ssal list: expected one of {', '.join(KINDS)}, got {kind!r}")
    for word in [kind] if kind else list(KINDS):
        print_listing(word, describe(word))


def schema() -> None:
    """Print the JSON schema of recipes, for editors."""
    import json

    from ssal.recipe import schema as recipe_schema

    typer.echo(json.dumps(recipe_schema(), indent=2))
