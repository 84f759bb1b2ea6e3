"""Oracle: known labels answer at once, in a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field

from ssal.data.images import Images
from ssal.errors import BadInput
from ssal.labelling.answers import LABEL, NONE, Answer
from ssal.registry import answerer
from ssal.streams import generator


@answerer()
def oracle(
    ids: Sequence[str],
    images: Images,
    folder: Path,
    *,
    seed: int,
    noise: Annotated[float, Field(ge=0, lt=1)] = 0.0,
) -> dict[str, Answer]:
    """Answer from the labels that a benchmark keeps hidden, a share `noise` of them wrong; no other code trains on any.

    Whether an answer is wrong, and which of the other classes it names, each as likely, follows from `seed` and the
    image's id alone: all arms of a seed are told the same. An image out of class is of none of them, always.
    """
    unknown = [id for id in ids if id not in images.hidden]
    if unknown:
        raise BadInput(
            f"labelling.answered_by: the oracle knows no label for {len(unknown)} of {len(ids)} images asked for "
            f"(first: {unknown[0]}). Where the data have no labels, people answer: labelling.answered_by=inbox"
        )
    truth = {id: images.hidden[id] if images.hidden[id] in images.classes else None for id in ids}
    if noise:  # the classes as the images order them: by name, a renamed folder would change what is answered
        order = images.report["order"]
        truth = {id: label and noisy(label, order, noise, seed, id) for id, label in truth.items()}
    return {id: Answer(id, LABEL if label else NONE, label, "oracle") for id, label in truth.items()}


def noisy(label: str, classes: Sequence[str], noise: float, seed: int, id: str) -> str:
    """Return `label`, or with probability `noise` one of the other `classes`: symmetric noise, drawn for this id."""
    drawn = generator(seed, "noise", id)
    wrong = float(torch.rand(1, generator=drawn)) < noise
    others = [name for name in classes if name != label]
    return others[int(torch.randint(len(others), (1,), generator=drawn))] if wrong else label
