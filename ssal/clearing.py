"""Clearing a run's folder for what takes its place: what people have answered is kept, under names nothing reads."""

from __future__ import annotations

import logging
import shutil
from itertools import count
from pathlib import Path

from ssal.errors import listing
from ssal.growing import BEGAN_WITH
from ssal.labelling.ledger import Ledger
from ssal.round import round_number
from ssal.tracking import KEPT

log = logging.getLogger("ssal")


def set_aside_later(folder: Path, ledger: Ledger) -> None:
    """Set aside the rounds behind the first without an entry: they began with a ledger that is no longer there.

    They keep what people wrote into their tables, under names by which nothing reads them.
    """
    first, free = 1 + max(ledger.rounds_taken(), default=-1), _free(folder)
    later = [place for place in sorted(folder.glob("round_*"), key=round_number) if round_number(place) > first]
    if not later:
        return
    log.warning(
        "%s: the answers of round %d are not in the ledger, though later rounds stand (%s): they are of a ledger that "
        "is no longer there, and are kept as set_aside.replaced_%d_..., and asked anew",
        folder,
        first,
        listing(place.name for place in later),
        free,
    )
    (folder / "finished.json").unlink(missing_ok=True)
    for place in later:
        place.rename(folder / f"set_aside.replaced_{free}_{place.name}")


def _free(folder: Path) -> int:
    """Return the first number under which nothing that was replaced is kept."""
    return next(n for n in count(1) if not [*folder.glob(f"*.replaced_{n}[._]*")])


def clear(folder: Path) -> None:
    """Clear a run's folder for another recipe; what people wrote is kept under other names.

    replaced.json, as run.json is called meanwhile, goes last: a clearing that was killed is brought to its end.
    """
    ledger, free = folder / "ledger.sqlite", _free(folder)
    for item in folder.glob("round_*"):  # before the ledger, so that no page that is open asks of them beside the next
        if (item / "to_label.csv").exists():
            (item / "to_label.csv").rename(folder / f"to_label.replaced_{free}_{item.name}.csv")
        shutil.rmtree(item)
    if ledger.exists():
        Ledger(ledger).set_aside(folder / f"ledger.replaced_{free}.sqlite")
        log.warning("%s: the labels of before are kept in ledger.replaced_%d.sqlite", folder, free)
    for name in ("finished.json", BEGAN_WITH, *KEPT):
        (folder / name).unlink(missing_ok=True)
    (folder / "replaced.json").unlink()
