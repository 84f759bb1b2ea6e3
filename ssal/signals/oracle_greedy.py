"""Oracle greedy: what each label would bring, read from hidden and test labels: a bound to set methods beside."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ssal.data.images import Images
from ssal.learner.frozen import FrozenLearner
from ssal.pretext.encoder import Encoder
from ssal.registry import signal
from ssal.streams import generator

Gain = Callable[[list[int]], float]
"""Rows that would be labelled as well -> the test accuracy of a learner that has them."""


def greedily(
    accuracy: Gain,
    unsure: Callable[[list[int]], list[int]],
    free: list[int],
    budget: int,
    candidates: int,
    draw: torch.Generator,
) -> list[int]:
    """Return `budget` rows of `free`, one after the other the best of `candidates` drawn ones (Werner et al., 2024).

    Where none of them raises the accuracy, the first row that `unsure` names is taken instead.
    """
    taken: list[int] = []
    reached = accuracy(taken)
    while len(taken) < budget:
        left = [row for row in free if row not in set(taken)]
        drawn = [left[place] for place in torch.randperm(len(left), generator=draw)[:candidates].tolist()]
        found = {row: accuracy([*taken, row]) for row in drawn}
        best = max(found, key=found.__getitem__)
        if found[best] <= reached:
            best = next(row for row in unsure(taken) if row in set(left))
        taken.append(best)
        reached = found[best] if best in found else accuracy(taken)
    return taken


@signal("oracle_rank", each="round", wants="moments", oracle=True)
def oracle_greedy(
    learner: FrozenLearner,
    encoder: Encoder,
    images: Images,
    features: Tensor,
    labelled_rows: Tensor,
    labels: Tensor,
    class_numbers: dict[str, int],
    *,
    names: tuple[int | str, ...],
    budget: int,
    candidates: Annotated[int, Field(ge=1)] = 20,
) -> dict[str, Tensor]:
    """Rank images by a greedy search for labels that raise the test accuracy most (Werner et al., 2024).

    It reads labels that nobody was asked for and the test set's: an upper bound, whose results are tagged `oracle` and
    stand outside of every test. The learner is solved anew with every candidate. Returns oracle_rank (N): `budget` for
    the first pick down to 1 for the last, 0 for all others.
    Differs from the paper: learners on frozen features, solved to their optimum, so that no weights, optimiser or
    order of batches have to be put back before each candidate.
    """
    probe = deepcopy(learner).cpu()
    test = encoder.features(images)["test"].float()
    truth = torch.tensor([class_numbers[name] for name in images.test_labels])
    hidden = torch.tensor([class_numbers.get(images.hidden.get(id, ""), -1) for id in images.pool.ids])
    known = set(labelled_rows.tolist())
    free = [row for row in (hidden >= 0).nonzero()[:, 0].tolist() if row not in known]
    rows = features.float()

    @torch.no_grad()
    def solve(more: list[int]) -> None:
        probe.solve(torch.cat([rows[labelled_rows], rows[more]]), torch.cat([labels, hidden[more]]))

    def accuracy(more: list[int]) -> float:
        solve(more)
        with torch.no_grad():
            return float((probe(test)[0].argmax(dim=1) == truth).float().mean())

    def unsure(more: list[int]) -> list[int]:
        solve(more)
        with torch.no_grad():
            first, second = probe(rows)[0].softmax(dim=1).topk(2, dim=1).values.unbind(1)
        order: list[int] = (first - second).argsort().tolist()
        return order

    taken = greedily(accuracy, unsure, free, min(budget, len(free)), candidates, generator(*names, "candidates"))
    rank = torch.zeros(len(images.pool))
    rank[taken] = torch.arange(len(taken), 0, -1.0)
    return {"oracle_rank": rank}
