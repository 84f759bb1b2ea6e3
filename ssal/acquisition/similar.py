"""SIMILAR: ask for images that stand for the pool and are more like labelled ones than like those of no class."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from ssal.acquisition.geometry import first_largest
from ssal.neighbours import full_precision
from ssal.registry import selects

CELLS = 1 << 24
"""Similarities that stand in memory at once."""


class Gradients:
    """Directions of the last layer's gradients (p - onehot(label)) ⊗ (features, 1), which are never written out."""

    def __init__(self, probabilities: Tensor, features: Tensor, labels: Tensor) -> None:
        """Take probabilities (n, C), features (n, D) and class numbers (n,), one of each per image."""
        errors = probabilities.float() - one_hot(labels, probabilities.shape[1])
        with_bias = torch.cat([features.float(), features.new_ones(len(features), 1, dtype=torch.float32)], dim=1)
        self.factors = normalize(errors, dim=1), normalize(with_bias, dim=1)

    def __len__(self) -> int:
        return len(self.factors[0])

    def similarity(self, others: Gradients, rows: Tensor | slice = slice(None)) -> Tensor:
        """Return (1 + cosine) / 2 of all of these and those `rows` of `others`, (n, m)."""
        # The cosine of two Kronecker products is the product of the cosines of their factors.
        first, second = (own @ other[rows].T for own, other in zip(self.factors, others.factors, strict=True))
        return (1 + first * second) / 2

    def nearest(self, others: Gradients) -> Tensor:
        """Return the similarity of each of these to the most similar of `others`, (n,)."""
        parts = torch.arange(len(others)).split(max(1, CELLS // max(1, len(self))))
        return torch.stack([self.similarity(others, rows).amax(dim=1) for rows in parts]).amax(dim=0)


class Information:
    """What sets A tell of the pool: the sum over its images of max(min(max_A s, ceiling) - floor, 0)."""

    def __init__(self, pool: Gradients, ceiling: Tensor, floor: Tensor) -> None:
        """Start with the empty set; `ceiling` and `floor` (N,) are one number per image of the pool."""
        self.pool, self.ceiling, self.floor = pool, ceiling[:, None], floor[:, None]
        self.told = torch.zeros_like(self.floor)

    def of(self, rows: Tensor) -> Tensor:
        """Return what each of `rows` (m,) tells of each image of the pool, (N, m)."""
        return (self.pool.similarity(self.pool, rows).minimum(self.ceiling) - self.floor).clamp_(min=0)

    def gains(self, rows: Tensor) -> Tensor:
        """Return by how much each of `rows` (m,) would raise the sum, (m,)."""
        parts = rows.split(max(1, CELLS // len(self.pool)))
        return torch.cat([(self.of(part) - self.told).clamp_(min=0).sum(dim=0, dtype=torch.float64) for part in parts])

    def add(self, row: int) -> None:
        """Put the image at `row` into the set."""
        self.told = self.told.maximum(self.of(torch.tensor([row])))


def greedily(information: Information, budget: int) -> Tensor:
    """Return `budget` rows, each the one that raises the sum most, the lowest of those that raise it alike.

    Gains only fall while the set grows, so one that was the largest when it was last computed needs no other (Minoux,
    1978).
    """
    bounds = information.gains(torch.arange(len(information.pool)))
    seen, chosen = torch.zeros(len(bounds), dtype=torch.long, device=bounds.device), list[int]()
    while len(chosen) < budget:
        row, window = first_largest(bounds), 16
        while seen[row] < len(chosen) and bounds[row] > 0:
            rows = bounds.topk(min(window, len(bounds))).indices
            rows[-1] = row
            rows = rows[seen[rows] < len(chosen)]
            bounds[rows], seen[rows] = information.gains(rows), len(chosen)
            row, window = first_largest(bounds), 2 * window
        information.add(row)
        bounds[row], seen[row] = -1, budget
        chosen.append(row)
    return torch.tensor(chosen)


@selects
def similar(
    probabilities: Tensor,
    features: Tensor,
    labelled_probabilities: Tensor,
    labelled_features: Tensor,
    labels: Tensor,
    out_of_class_probabilities: Tensor,
    out_of_class_features: Tensor,
    *,
    budget: int,
    relevance: Annotated[float, Field(gt=0)] = 1.0,
    privacy: Annotated[float, Field(ge=0)] = 1.0,
) -> Tensor:
    """Maximise facility-location conditional mutual information (FLCMI) greedily (Kothawade et al., 2021).

    For a set A it is the sum over the pool of max(min(max_A s, relevance · max_Q s) - privacy · max_P s, 0): Q are the
    labelled images, P those found to be of none of the classes. The similarity s is (1 + cosine) / 2 of last-layer
    gradients, at a labelled image's label and at the class that any other image is taken for. Without Q nothing bounds
    what A tells, without P nothing is taken off. Images that tell nothing more are drawn at random. Time grows with the
    square of the pool.
    Differs from the paper: greedy over the whole pool, which is not drawn into parts.
    """
    taken_for = probabilities.argmax(dim=1), out_of_class_probabilities.argmax(dim=1)
    pool = Gradients(probabilities, features, taken_for[0])
    wanted = Gradients(labelled_probabilities, labelled_features, labels)
    unwanted = Gradients(out_of_class_probabilities, out_of_class_features, taken_for[1])
    with full_precision():
        ceiling = relevance * pool.nearest(wanted) if len(wanted) else torch.full_like(pool.factors[0][:, 0], torch.inf)
        floor = privacy * pool.nearest(unwanted) if len(unwanted) else torch.zeros_like(ceiling)
        return greedily(Information(pool, ceiling, floor), budget)
