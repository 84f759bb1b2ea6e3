"""Which rows make the batch of step t: a function of the stream's name and t alone, so any step can be rebuilt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ssal.data.images import ImageSet
from ssal.streams import generator


@lru_cache(maxsize=16)
def _shuffled(count: int, epoch: int, names: tuple[int | str, ...]) -> Tensor:
    return torch.randperm(count, generator=generator(*names, "epoch", epoch))


def step_rows(rows: Tensor, size: int, step: int, *names: int | str) -> Tensor:
    """Return the `size` rows of step `step`: epochs over `rows`, each in its own order, one running into the next.

    A batch larger than `rows` repeats images, as the labelled batches of FixMatch do at few labels.
    """
    position = torch.arange(step * size, (step + 1) * size)
    epochs = torch.div(position, len(rows), rounding_mode="floor")
    picked = torch.empty(size, dtype=torch.long)
    for epoch in range(int(epochs[0]), int(epochs[-1]) + 1):
        here = epochs == epoch
        picked[here] = _shuffled(len(rows), epoch, names)[position[here] - epoch * len(rows)]
    return rows[picked]


def balanced_step_rows(parts: Sequence[Tensor], size: int, step: int, *names: int | str) -> Tensor:
    """Return the `size` rows of step `step`: one of every part in turn, in an order drawn anew for every turn."""
    picked = []
    for place in range(step * size, (step + 1) * size):
        turn, within = divmod(place, len(parts))
        part = int(_shuffled(len(parts), turn, (*names, "parts"))[within])
        picked.append(step_rows(parts[part], 1, turn, *names, "part", part))
    return torch.cat(picked)


def labelled_and_unlabelled(
    images: ImageSet,
    steps: range,
    labelled_rows: Tensor,
    labels: Tensor,
    labelled_size: int,
    unlabelled_size: int,
    names: tuple[int | str, ...],
    class_balanced: bool = False,
    unlabelled_rows: Tensor | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield one batch per step: `labelled` images with `labels`, and `unlabelled` images of `unlabelled_rows`.

    These are all training images if not given. The two streams are shuffled apart, and labelled images stay in the
    unlabelled stream (methods of the FixMatch family see them there too). `unlabelled_size` 0 leaves the unlabelled
    part out. With `class_balanced` every class is drawn equally often into the labelled part, however many images it
    has.
    """
    number_of_row = torch.full((len(images),), -1)
    number_of_row[labelled_rows] = labels
    if class_balanced:
        parts = [labelled_rows[labels == number] for number in labels.unique().tolist()]
        labelled = [balanced_step_rows(parts, labelled_size, step, *names, "labelled") for step in steps]
    else:
        labelled = [step_rows(labelled_rows, labelled_size, step, *names, "labelled") for step in steps]
    drawn_from = torch.arange(len(images)) if unlabelled_rows is None else unlabelled_rows
    unlabelled = (
        [step_rows(drawn_from, unlabelled_size, step, *names, "unlabelled") for step in steps]
        if unlabelled_size
        else []
    )
    unlabelled_images: Iterable[Tensor | None] = images.stream(unlabelled) if unlabelled_size else [None] * len(steps)
    for index, (step, first, second) in enumerate(zip(steps, images.stream(labelled), unlabelled_images, strict=True)):
        batch: dict[str, Any] = {
            "step": step,
            "labelled": first,
            "labels": number_of_row[labelled[index]].to(first.device),
            "labelled_rows": labelled[index],
        }
        if second is not None:
            batch["unlabelled"], batch["unlabelled_rows"] = second, unlabelled[index]
        yield batch


def unlabelled_only(
    images: ImageSet, steps: range, size: int, names: tuple[int | str, ...]
) -> Iterator[dict[str, Any]]:
    """Yield one batch of images per step for a pretext."""
    rows = [step_rows(torch.arange(len(images)), size, step, *names, "unlabelled") for step in steps]
    for step, batch in zip(steps, images.stream(rows), strict=True):
        yield {"step": step, "images": batch}


def numbered(images: ImageSet, size: int = 500) -> Iterator[dict[str, Tensor]]:
    """Yield every image once in id order as `images`, with its `rows`: for sources that draw by row."""
    parts = torch.arange(len(images)).split(size)
    for rows, batch in zip(parts, images.stream(parts), strict=True):
        yield {"rows": rows, "images": batch}


def in_order(images: ImageSet, size: int = 500) -> Iterator[Tensor]:
    """Yield every image once in id order, the last partial batch included: for scoring."""
    yield from images.stream(torch.arange(len(images)).split(size))
