"""Parts of a pool: what may be asked for, what has a label, what is of none of the classes, and what has no label."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from ssal.data.images import Images
from ssal.labelling.ledger import Ledger
from ssal.signals.vocabulary import PARTS

Table = dict[str, Tensor]


def unlabelled(images: Images, ledger: Ledger, aside: Collection[str] = ()) -> Tensor:
    """Return the rows (M,) of images that stand for those without a label in what is fitted to tell them apart.

    Images that were found to be of none of the classes, and those set `aside` for the audit, are not among them.
    """
    known = set(ledger.labels()).union(ledger.not_trained_on(), aside)
    return torch.tensor([row for row, id in enumerate(images.pool.ids) if id not in known], dtype=torch.long)


def split(everything: Table, images: Images, ledger: Ledger, aside: Collection[str] = ()) -> Table:
    """Return what may be asked for under its own name and as `rows`, `labelled_…` with `labels`, and `out_of_class_…`.

    Images that nobody can label (a benchmark's own unlabelled part) are trained on, but never asked for; nor are those
    again that were found to be of none of the classes; nor those set `aside`, which the audit draws.
    """
    numbers, ids = ledger.numbered(images.classes), images.pool.ids
    wanted = (images.askable - ledger.answered()).difference(aside)
    table: Table = {}
    for part, those in zip(("", *PARTS), (wanted, numbers, ledger.of_no_class()), strict=True):
        table[f"{part}rows"] = torch.tensor([row for row, id in enumerate(ids) if id in those], dtype=torch.long)
        table |= {f"{part}{name}": rows[table[f"{part}rows"]] for name, rows in everything.items()}
    return table | {"labels": torch.tensor([numbers[id] for id in ids if id in numbers], dtype=torch.long)}
