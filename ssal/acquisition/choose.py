"""The stage: hand a strategy what it asks for, check what it returns, break ties, write down what was chosen."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Sequence
from typing import Any

import torch
from torch import Tensor

from ssal import streams
from ssal.acquisition import checks
from ssal.acquisition.chosen import Choice
from ssal.errors import BadInput, listing
from ssal.registry import Method, find, needs_of


def missing(strategy: Method, table: Container[str], options: dict[str, Any]) -> list[str]:
    """Return the signals that a strategy and its children ask for and `table` lacks."""
    return [name for name in needs_of(strategy, options) if name not in table]


def choose(
    strategy: Method,
    table: dict[str, Tensor],
    ids: Sequence[str],
    query_size: int,
    generator: torch.Generator,
    *,
    classes: int,
    options: dict[str, Any],
) -> list[Choice]:
    """Return the `query_size` images of the pool that `strategy` asks for, best first, or the whole pool if it is less.

    The rows reach the strategy in an order that follows from the generator and the ids alone. Equal scores, and rows
    that a strategy would take in order, thus never follow the order of folders, which is the order of classes.
    Raises BadInput for a missing signal and for signals, scores or rows that are not
    finite, not as many as expected or not distinct. Warns where nothing tells images apart, so that the draw decides.
    """
    checks.question(strategy, ids, query_size)
    if absent := missing(strategy, table, options):
        raise BadInput(f"{strategy.name}: needs {listing(absent)}, which this round does not have")
    seed = int(torch.randint(2**62, (1,), generator=generator))
    order = sorted(range(len(ids)), key=lambda row: hashlib.sha256(f"{seed}/{ids[row]}".encode()).digest())
    shuffled, budget = [ids[row] for row in order], min(query_size, len(ids))
    needs = needs_of(strategy, options)
    signals: dict[str, Any] = {name: checks.signal(name, table[name], order, shuffled) for name in needs}
    given = {"budget": budget, "classes": classes, "pool_size": len(ids)}
    if strategy.children:
        signals["child_scores"] = {
            name: checks.scores(child, _call(child, signals, given, seed, {}), shuffled)
            for name, child in _children(strategy, options).items()
        }
    answer = _call(strategy, signals, given, seed, options)
    checks.told_apart(strategy, answer, signals, len(ids), budget)
    values: list[float | None]
    if strategy.returns == "scores":
        sorted_scores, best = checks.scores(strategy, answer, shuffled).sort(descending=True, stable=True)
        rows, values = best[:budget].tolist(), sorted_scores[:budget].tolist()
    else:
        rows = checks.rows(strategy, answer, len(ids), budget)
        values = [None] * budget
    ranked = enumerate(zip(rows, values, strict=True), start=1)
    return [Choice(shuffled[row], rank, value, strategy.name) for rank, (row, value) in ranked]


def _children(strategy: Method, options: dict[str, Any]) -> dict[str, Method]:
    """Return the strategies that a wrapper's options name, all of which must give scores."""
    found = {}
    for name in strategy.children_in(options):
        found[name] = find("strategy", name)
        if found[name].returns != "scores" or found[name].children:
            raise BadInput(
                f"{strategy.name}: {name!r} cannot be combined, as it gives no scores of its own; "
                f"name strategies that score every image, such as margin or featdist, in {strategy.children}"
            )
    return found


def _call(
    strategy: Method, signals: dict[str, Any], given: dict[str, int], seed: int, options: dict[str, Any]
) -> Tensor:
    """Call a strategy with a random stream of its own, which no other strategy's draws can move."""
    supplied: dict[str, Any] = {**given, "generator": streams.generator(seed, strategy.name)}
    round_values = {name: supplied[name] for name in strategy.given}
    with torch.no_grad():
        return strategy.call(*(signals[name] for name in strategy.needs), **round_values, **options)
