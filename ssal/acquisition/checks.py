"""What `choose` makes sure of: signals and scores that are finite, rows that are in the pool and distinct."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ssal.errors import BadInput, listing
from ssal.registry import Method
from ssal.signals.vocabulary import VOCABULARY

log = logging.getLogger("ssal")


def question(strategy: Method, ids: Sequence[str], query_size: int) -> None:
    """Raise BadInput where there is nothing to ask for."""
    if not ids:
        raise BadInput(f"{strategy.name}: there is no image to ask for, as all of them have a label")
    if query_size < 1 or len(set(ids)) < len(ids):
        raise BadInput(f"choose: expected distinct ids and a query size from 1, got {len(ids)} ids and {query_size}")


def signal(name: str, tensor: Tensor, order: list[int], ids: Sequence[str]) -> Tensor:
    """Return the tensor with its pool rows in `order`, in which their ids are `ids`.

    Raises BadInput where the number of rows is wrong or a number is not finite.
    """
    of_pool = VOCABULARY[name].shape.startswith("N")
    if of_pool and len(tensor) != len(order):
        raise BadInput(f"signal {name}: expected {len(order)} rows, one per pool image, got {len(tensor)}")
    if of_pool:
        tensor = tensor[torch.tensor(order, device=tensor.device)]
    # A sum reads the numbers once and writes nothing; it may overflow, so it only says when to look closer.
    if not tensor.sum().isfinite():
        bad = (~tensor.isfinite()).reshape(len(tensor), -1).any(1).nonzero()[:, 0].tolist()
        if bad:
            which = f", first {listing(ids[row] for row in bad)}" if of_pool else ""
            raise BadInput(f"signal {name}: {len(bad)} of {len(tensor)} rows are not finite{which}")
    return tensor


def alike(values: Tensor) -> bool:
    """Say whether rows differ by no more than the rounding of float32."""
    first = values[:1]
    # Nearly always the last row already tells, and the others need not be read.
    return all(torch.allclose(rows, first.expand_as(rows), rtol=1e-5, atol=1e-7) for rows in (values[-1:], values))


def told_apart(strategy: Method, answer: Any, signals: dict[str, Any], count: int, budget: int) -> None:
    """Warn where a strategy's scores, or all signals that it looks at, are the same for all images of the pool.

    So are those of a wrapper whose children all score alike. A strategy that looks at nothing, and a choice that leaves
    nothing out, need no warning.
    """
    if not signals or budget >= count:
        return
    children = list(signals.get("child_scores", {}).values())
    of_pool = [rows for name, rows in signals.items() if VOCABULARY[name].shape.startswith("N")]
    scored = strategy.returns == "scores" and isinstance(answer, Tensor) and answer.is_floating_point()
    same = all(map(alike, of_pool)) or (scored and len(answer) == count and alike(answer))
    if same or (children and all(map(alike, children))):
        log.warning("%s: nothing tells the %d images apart, so the choice is a random draw", strategy.name, count)


def scores(strategy: Method, values: Tensor, ids: Sequence[str]) -> Tensor:
    """Return the scores as float64 on the CPU. Raises BadInput unless each image has one and all are finite."""
    if not isinstance(values, Tensor) or values.shape != (len(ids),):
        came = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise BadInput(f"{strategy.name}: expected one score per image, shape ({len(ids)},), got {came}")
    values = values.detach().double().cpu()
    bad = (~values.isfinite()).nonzero()[:, 0].tolist()
    if bad:
        raise BadInput(
            f"{strategy.name}: {len(bad)} of {len(ids)} scores are not finite, first {listing(ids[row] for row in bad)}"
        )
    return values


def rows(strategy: Method, values: Tensor, pool_size: int, budget: int) -> list[int]:
    """Return the rows as a list. Raises BadInput unless they are `budget` different rows of the pool."""
    numbers = values.tolist() if isinstance(values, Tensor) else list(values)
    if any(type(number) is not int for number in numbers):
        came = listing(map(str, numbers))
        raise BadInput(f"{strategy.name}: expected a one-dimensional tensor of whole row numbers, got {came}")
    if len(numbers) != budget or len(set(numbers)) != budget or min(numbers) < 0 or max(numbers) >= pool_size:
        raise BadInput(
            f"{strategy.name}: expected {budget} different rows from 0 to {pool_size - 1}, got {len(numbers)} rows, "
            f"{len(set(numbers))} different, from {min(numbers, default=None)} to {max(numbers, default=None)}"
        )
    return numbers
