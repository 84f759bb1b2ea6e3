"""Maths that several strategies share: greedy k-centre and D² sampling."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ssal.neighbours import full_precision

SAME = 1e-12
"""Squared distances below this share of the squared lengths are rounding of float32 features, and count as zero."""


class Cover:
    """Squared distance of every point to its nearest centre, brought up to date only where it is asked for.

    A point is the Kronecker product of its row in each of `factors` (n, D_f), which is never written out: the inner
    product of two such vectors is the product of the factors' inner products. Plain features are one factor.
    `bounds` (n,) never falls below the true squared distance, since centres only come nearer; `refresh` makes it exact.
    Exact distances come from float64 and are kept in float32, so that equal ones compare equal in blocks of any size.
    """

    def __init__(self, factors: Sequence[Tensor], centres: Sequence[Tensor], room: int) -> None:
        """Start from `centres` (m, D_f), one tensor per factor, and leave room for so many more."""
        self.factors = [factor.detach().float() for factor in factors]
        self.lengths = _squares(self.factors)
        self.count = len(centres[0])
        self.centres = [
            torch.cat([old.to(factor).double(), factor.new_empty(room, factor.shape[1], dtype=torch.float64)])
            for old, factor in zip(centres, self.factors, strict=True)
        ]
        self.centre_lengths = _squares(self.centres)
        self.bounds = torch.full_like(self.lengths, torch.inf)
        self.seen = torch.zeros_like(self.lengths, dtype=torch.long)
        self.open = torch.ones_like(self.lengths, dtype=torch.bool)
        if self.count:
            self._bound_all()

    def add(self, row: int) -> None:
        """Make the point at `row` a centre; it is not open any more and its bound is -1."""
        for centre, factor in zip(self.centres, self.factors, strict=True):
            centre[self.count] = factor[row]
        self.centre_lengths[self.count] = _squares([centre[self.count, None] for centre in self.centres])[0]
        self.count += 1
        if self.count == 1:
            self._bound_all()
        self.bounds[row] = -1
        self.open[row] = False

    def refresh(self, rows: Tensor, height: int = 4096) -> None:
        """Make `bounds[rows]` the exact squared distances to the nearest centre."""
        first = int(self.seen[rows].min())
        if first == self.count:
            return
        against = [centre[first : self.count] for centre in self.centres]
        for block in rows.split(height):
            points = [factor[block].double() for factor in self.factors]
            lengths = _squares(points)[:, None] + self.centre_lengths[first : self.count]
            inner = _product([point @ centre.T for point, centre in zip(points, against, strict=True)])
            distances = lengths - 2 * inner
            distances = distances.masked_fill_(distances < SAME * lengths, 0).amin(1)
            self.bounds[block] = torch.minimum(self.bounds[block], distances.float())
        self.seen[rows] = self.count

    def _bound_all(self, height: int = 4096) -> None:
        """Bound every distance from above, in float32 with the most that its rounding can amount to."""
        against = [centre[: self.count].float() for centre in self.centres]
        centre_lengths = _squares(against)
        # Twice the error bound of inner products of that many terms.
        rounding = (8 + sum(factor.shape[1] for factor in self.factors)) * torch.finfo(torch.float32).eps
        parts = zip(self.lengths.split(height), *(factor.split(height) for factor in self.factors), strict=True)
        with full_precision():
            bounds = []
            for lengths, *points in parts:
                inner = _product([point @ centre.T for point, centre in zip(points, against, strict=True)])
                nearest = (centre_lengths - 2 * inner).amin(1) + lengths
                bounds.append(nearest + rounding * (lengths + centre_lengths.max()))
        self.bounds = torch.cat(bounds)


def _product(tensors: Sequence[Tensor]) -> Tensor:
    return math.prod(tensors[1:], start=tensors[0])


def _squares(factors: Sequence[Tensor]) -> Tensor:
    return _product([torch.linalg.vector_norm(factor, dim=1).square() for factor in factors])


def first_largest(values: Tensor) -> int:
    """Return the lowest row that holds the largest value."""
    return int((values == values.max()).nonzero()[0])


def farthest_first(points: Tensor, centres: Tensor, budget: int) -> Tensor:
    """Return `budget` rows of `points` (n, D), each the farthest from `centres` (m, D) and the rows before it.

    Equal distances go to the lowest row. Without centres the first row is the one nearest to the mean of the points.
    The rows are those of the plain greedy algorithm (Gonzalez, 1985); only distances that can matter are computed.
    """
    cover = Cover([points], [centres], budget)
    chosen: list[int] = []
    if not cover.count:
        middle = points.double().mean(0)
        chosen.append(first_largest(-torch.linalg.vector_norm(points - middle, dim=1)))
        cover.add(chosen[0])
    while len(chosen) < budget:
        row, window = first_largest(cover.bounds), 16
        # A bound of zero cannot fall any more, so it is exact.
        while cover.seen[row] < cover.count and cover.bounds[row] > 0:
            rows = cover.bounds.topk(min(window, len(points))).indices
            rows[-1] = row
            cover.refresh(rows)
            row, window = first_largest(cover.bounds), 2 * window
        chosen.append(row)
        cover.add(row)
    return torch.tensor(chosen)


def squared_distance_sampling(
    factors: Sequence[Tensor], budget: int, generator: torch.Generator, first: int | None = None
) -> Tensor:
    """Return `budget` rows: `first` or the longest vector, then each by its squared distance to those before it.

    This is the seeding of k-means++ (Arthur and Vassilvitskii, 2007), without replacement.
    The draws are exact: a row is proposed by its old, larger distance and kept with odds new / old. When only copies of
    chosen vectors are left, they are drawn with equal odds.
    """
    cover = Cover(factors, [factor[:0] for factor in factors], budget)
    chosen = [first_largest(cover.lengths) if first is None else first]
    while len(chosen) < budget:
        cover.add(chosen[-1])
        chosen.append(_draw(cover, generator))
    return torch.tensor(chosen)


def _draw(cover: Cover, generator: torch.Generator) -> int:
    """Draw one open row with odds of its squared distance to the nearest centre."""
    proposals = 32
    while True:
        mass = cover.bounds.double().clamp_(min=0).cumsum(0)
        if mass[-1] <= 0:
            left = cover.open.nonzero()[:, 0].tolist()
            return int(left[int(torch.randint(len(left), (1,), generator=generator))])
        where, keep = torch.rand(2, proposals, generator=generator, dtype=torch.float64).to(mass.device)
        rows = torch.searchsorted(mass, where * mass[-1], right=True).clamp_(max=len(mass) - 1)
        old = cover.bounds[rows]
        cover.refresh(rows)
        kept = (keep * old < cover.bounds[rows]).nonzero()
        if len(kept):
            return int(rows[kept[0, 0]])
        proposals = min(2 * proposals, 4096)
