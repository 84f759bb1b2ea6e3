"""Labelled or not: batches of both sets, and the fitting of what tells them apart; shared by adversarial signals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytorch_lightning as pl
import torch
from pydantic import Field
from torch import Tensor

from ssal import loop
from ssal.data import batches
from ssal.data.images import Images, ImageSet
from ssal.errors import BadInput, Diverged
from ssal.pretext.encoder import Encoder

Positive = Annotated[int, Field(gt=0)]
Rate = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
On = Literal["images", "features"]
"""What is encoded: the project's weak views of the images, or the pretrained encoder's features of them."""


def standardised(features: Tensor) -> Tensor:
    """Return features (N,D) with mean 0 and deviation 1 in every dimension; one that never varies is 0."""
    deviation = features.std(dim=0, correction=0)
    return (features - features.mean(dim=0)) / torch.where(deviation > 1e-8, deviation, torch.ones_like(deviation))


def set_of(features: Tensor, pool: ImageSet) -> ImageSet:
    """Return standardised features (N,D) in place of the pool's images."""
    return ImageSet(pool.ids, pool.paths, standardised(features.float()))


def encoded_set(on: On, source: str, encoder: Encoder, images: Images, pool: ImageSet) -> ImageSet:
    """Return what is encoded `on` images or features; data that are embeddings are features in either case.

    Raises BadInput for features of an encoder that never learned anything.
    """
    if on == "images" and len(pool.shape) == 3:
        return pool
    if not encoder.ready:
        raise BadInput(
            f"signals.{source}.on: features need an encoder that learned something, but pretext.method is none and "
            f"backbone.weights is not set; set one of them, or type signals.{source}.on=images"
        )
    return set_of(encoder.features(images)["pool"], pool)


def parted(labelled_rows: Tensor, unlabelled_rows: Tensor, source: str) -> dict[str, Tensor]:
    """Return the rows that are `labelled` and those that are `unlabelled`.

    Raises BadInput where there is none of either.
    """
    parts = {"labelled": labelled_rows, "unlabelled": unlabelled_rows}
    for name, rows in parts.items():
        if not len(rows):
            raise BadInput(
                f"signals.{source}: tells labelled from unlabelled images, but there is no {name} one; "
                + ("type acquisition.first_round=random" if name == "labelled" else "there is nothing left to ask for")
            )
    return parts


def both_sets(
    seen: ImageSet, parts: dict[str, Tensor], steps: range, size: int, names: tuple[int | str, ...]
) -> Iterator[dict[str, Tensor]]:
    """Yield one batch per step: `images` and their `rows`, `size` labelled ones and then as many unlabelled ones."""
    rows_of = [
        torch.cat([batches.step_rows(rows, size, step, *names, name) for name, rows in parts.items()]) for step in steps
    ]
    for rows, images in zip(rows_of, seen.stream(rows_of), strict=True):
        yield {"rows": rows, "images": images}


def fit(
    module: pl.LightningModule,
    steps: int,
    batches: Callable[[range], Iterable[Any]],
    folder: Path,
    names: tuple[int | str, ...],
    trainer: dict[str, Any],
) -> None:
    """Fit a source's module; where it diverges, say which source it is."""
    try:
        loop.fit(module, steps, batches, folder, names, trainer)
    except Diverged as error:
        raise Diverged(f"signals.{names[-1]}: {error}") from error


def fitted_scores(
    module: pl.LightningModule,
    seen: ImageSet,
    labelled_rows: Tensor,
    unlabelled_rows: Tensor,
    *,
    steps: int,
    batch_size: int,
    names: tuple[int | str, ...],
    trainer: dict[str, Any],
    folder: Path,
) -> Tensor:
    """Fit `module` to tell the labelled rows of `seen` from the unlabelled ones; return its `scores` (N) of all rows.

    Raises BadInput where there is nothing to tell apart, and Diverged where a loss or a weight is not finite.
    """
    parts = parted(labelled_rows, unlabelled_rows, str(names[-1]))
    fit(module, steps, lambda leg: both_sets(seen, parts, leg, batch_size, names), folder, names, trainer)
    return loop.predict(module, batches.numbered(seen), trainer)["scores"]
