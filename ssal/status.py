"""How far a comparison is: read from its folders, while it runs or after it was stopped, without loading any data."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from ssal.artefacts import held, read_json
from ssal.cells import Cell, cells_of
from ssal.claim import finished
from ssal.errors import BadInput
from ssal.labelling.ask import begun
from ssal.labelling.ledger import Ledger
from ssal.project import FAILED, results
from ssal.recipe import Recipe
from ssal.round import round_number

HOLDS = {
    "run.json": (),
    FAILED: ("state", "reason"),
    "finished.json": ("labels_bought",),
    "round_*/metrics.json": ("round",),
    "round_*/asked.json": ("score_seconds", "select_seconds"),
}
"""File of a cell -> what is looked up in it here."""
LEDGER = "ledger.sqlite"


class Status(NamedTuple):
    """How far one cell is."""

    cell: Cell
    state: str
    """done, running, waits for people, failed, stopped, damaged or not begun."""
    learners: int
    """Rounds whose learner is trained and measured."""
    labels: int
    """Labels bought so far."""
    accuracy: float | None
    """Of the last of these learners."""
    reason: str
    """Why it failed, or which file is damaged."""


def status(recipe: Recipe, checkpoints: Path) -> list[Status]:
    """Return how far every cell is."""
    return [_status(cell) for cell in cells_of(recipe, checkpoints)]


def _status(cell: Cell) -> Status:
    if damaged := _damaged(cell.folder):
        return Status(cell, "damaged", 0, 0, None, damaged)
    if not (cell.folder / "run.json").exists():
        reason = _reason(cell.folder)
        return Status(cell, "failed" if reason else "not begun", 0, 0, None, reason)
    rows = results(cell.arm, cell.seed, cell.folder)
    ledger = Ledger(cell.folder / LEDGER) if (cell.folder / LEDGER).exists() else None
    reason = _reason(cell.folder)
    if finished(cell.arm, cell.folder):
        state = "done"
    elif held(cell.folder):
        state = "running"
    elif reason:
        state = "failed"
    elif ledger and any(
        begun(place) and not ledger.asked_in(round_number(place)) for place in cell.folder.glob("round_*")
    ):
        state = "waits for people"
    else:
        state = "stopped"
    last = max(rows, key=lambda row: row["round"], default={})
    return Status(cell, state, len(rows), ledger.bought() if ledger else 0, last.get("accuracy"), reason)


def _damaged(folder: Path) -> str:
    """Return the name of the first file that does not hold what it should, so that other cells are shown all the same.

    The ledger is one where it is gone, although rounds stand, or has fewer labels than the finished run bought.
    """
    for pattern, keys in HOLDS.items():
        for path in sorted(folder.glob(pattern)):
            try:
                facts = read_json(path)
            except BadInput:
                facts = None
            if not isinstance(facts, dict) or not set(keys) <= set(facts):
                return str(path.relative_to(folder))
    if not any(folder.glob("round_*")):  # the first is made after the ledger
        return ""
    done = folder / "finished.json"
    try:
        bought = Ledger(folder / LEDGER).bought() if (folder / LEDGER).exists() else -1
    except BadInput:
        return LEDGER
    return LEDGER if bought < (read_json(done)["labels_bought"] if done.exists() else 0) else ""


def _reason(folder: Path) -> str:
    if not (folder / FAILED).exists():
        return ""
    failed = read_json(folder / FAILED)
    return f"{failed['state']}: {failed['reason']}"


def print_status(recipe: Recipe, checkpoints: Path) -> None:
    """Print how far every cell is, under a line that counts their states."""
    found = status(recipe, checkpoints)
    counts = Counter(one.state for one in found)
    title = f"{len(found)} cells: " + ", ".join(f"{number} {state}" for state, number in counts.most_common())
    table = Table(title=title, title_justify="left")
    for name, justify in (("arm", "left"), ("seed", "right"), ("state", "left"), ("learners", "right")):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    table.add_column("labels", justify="right")
    table.add_column("accuracy", justify="right")
    for one in found:
        accuracy = "–" if one.accuracy is None else f"{100 * one.accuracy:.1f}"
        state = one.state + (f" ({one.reason})" if one.reason and one.state in ("failed", "damaged") else "")
        labels = f"{one.labels} of {one.cell.arm.budget}"
        table.add_row(one.cell.arm.name, str(one.cell.seed), state, str(one.learners), labels, accuracy)
    Console().print(table)
