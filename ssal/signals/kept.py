"""What a round keeps of its signals: probabilities that later rounds look back at, and a table until it has chosen."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ssal.artefacts import read_facts, read_tensors

OUTPUTS = "outputs.safetensors"
"""Probabilities of all training images, with the class of every column."""


FITTING = "fitting_"
"""Begins the names of folders in which sources keep checkpoints of what they fit."""


def of_these(previous: Path, images: str) -> bool:
    """Say whether an earlier round's outputs stand, and are of the images with this fingerprint."""
    return previous.exists() and read_facts(previous).get("images", images) == images


def realigned(
    previous: Path,
    numbers: dict[str, int],
    called_now: Callable[[Mapping[str, Any]], list[str]] = lambda facts: list(facts["classes"]),
) -> Tensor:
    """Return an earlier round's probabilities (N,C) with a column per class of `numbers`; one new since then has 0.

    Numbers follow from the order of first label, so those of classes without a label move from round to round. A class
    that was taken back without having been used is left out. `called_now` gives the names of now for those in the
    facts of the file.
    """
    old, facts = read_tensors(previous)["probabilities"], read_facts(previous)
    table = old.new_zeros(len(old), len(numbers))
    for column, name in enumerate(called_now(facts)):
        if name in numbers:
            table[:, numbers[name]] += old[:, column]  # of two that were made one, the sum
    return table


def forget(folder: Path) -> None:
    """Remove the tables of a round that has chosen."""
    for table in folder.glob("table_*.safetensors"):
        table.unlink()
    for fitting in folder.glob(f"{FITTING}*"):
        shutil.rmtree(fitting)
