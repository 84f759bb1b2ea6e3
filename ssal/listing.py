"""What `ssal list` prints: every method with its needs, options, source and a sentence, read from the registry."""

from __future__ import annotations

import shutil
import textwrap
from dataclasses import dataclass
from typing import Any

from ssal import registry
from ssal.recipe.yaml_tree import show
from ssal.signals.vocabulary import PARTS, VOCABULARY

KINDS = {
    "strategies": "strategy",
    "learners": "learner",
    "pretexts": "pretext",
    "signals": "signal",
    "datasets": "dataset",
    "answerers": "answerer",
}
"""Word of the command line -> kind of method."""


@dataclass(frozen=True)
class Row:
    """One method."""

    name: str
    needs: tuple[str, ...]
    """Strategies: the signals asked for."""
    provides: tuple[str, ...]
    """Signal sources: the signals that strategies may ask for because of it."""
    options: dict[str, Any]
    """Recipe options and their defaults, as JSON."""
    source: str
    summary: str


def describe(kind: str) -> list[Row]:
    """Return a row per method of `kind`, given as `strategy` or `strategies`, sorted by name."""
    kind = KINDS.get(kind, kind)
    rows = []
    for method in registry.methods(kind).values():
        needs = tuple(name for name in method.needs if name != "child_scores") if kind == "strategy" else ()
        options = method.model().model_dump(mode="json")
        named = (f"{part}{signal}" for signal in method.provides for part in ("", *PARTS))
        provides = tuple(name for name in named if name in VOCABULARY)
        rows.append(Row(method.name, needs, provides, options, method.source, method.summary))
    return rows


def print_listing(title: str, rows: list[Row]) -> None:
    """Print a heading and, per method, its name, sentence, needs, options and source."""
    print(title)
    width = shutil.get_terminal_size((110, 0)).columns
    for row in rows:
        print(f"  {row.name}")
        facts = {
            "": row.summary,
            "needs: ": ", ".join(row.needs),
            "provides: ": ", ".join(row.provides),
            "options: ": ", ".join(f"{key}={_written(value)}" for key, value in row.options.items()),
            "source: ": row.source,
        }
        for label, text in facts.items():
            if text:
                print(textwrap.fill(label + text, width, initial_indent=" " * 6, subsequent_indent=" " * 8))


def _written(value: Any) -> str:
    """Return a default the way a recipe writes it."""
    if isinstance(value, list):
        return f"[{', '.join(_written(part) for part in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_written(part)}' for key, part in value.items())}}}"
    return value if isinstance(value, str) and value else show(value)
