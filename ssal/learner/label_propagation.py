"""Label propagation: labels spread over the graph of frozen features until they agree with their neighbours."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from ssal.data.images import ImageSet
from ssal.data.views import Views
from ssal.learner.frozen import FrozenLearner
from ssal.learner.pool_vote import PoolVote
from ssal.learner.propagation import Graph, fitting_neighbours, neighbour_graph, propagate, seeds
from ssal.registry import learner

log = logging.getLogger("ssal")
_graphs: dict[tuple[str, int, str], Graph] = {}
"""The newest graph alone: it takes 20 times as long as a solution, and all rounds of a run share it."""


@learner("label_propagation", frozen=True, needs_pool=True)
class LabelPropagation(FrozenLearner):
    """Labels spread over a graph of similar images until all agree with their neighbours (Zhou et al., 2004).

    The graph joins every pool image with its nearest by cosine similarity, cubed, and every class starts with the same
    weight (Iscen et al., 2019), on frozen features as in Bai et al., 2021. Labelled images are scored like all others,
    so that a wrong label can be outvoted. Images outside the pool get the vote of their nearest pool images, weighed
    as edges are; the pool's scores stay.
    Differs from the paper: edges are of k nearest neighbours, not Gaussian and dense, with fewer than 50 in small
    pools; the equations are solved by conjugate gradients to a residual instead of iterating.
    """

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        classes: int,
        *,
        neighbours: Annotated[int, Field(gt=0)] | None = None,
        alpha: Annotated[float, Field(gt=0, lt=1)] = 0.99,
        max_iterations: Annotated[int, Field(gt=0)] = 1000,
        tolerance: Annotated[float, Field(gt=0, lt=1)] = 1e-6,
        **shared: Any,
    ) -> None:
        """Take the recipe's options; `alpha` is how much a neighbour's label counts against the image's own.

        `neighbours` are 50 if not given, or a tenth of a class where that is fewer, and 10 at least.
        """
        super().__init__(encoder, views, classes, **shared)
        self.neighbours, self.alpha = neighbours, alpha
        self.max_iterations, self.tolerance = max_iterations, tolerance
        self.home, self.found = torch.device("cpu"), dict[str, Any]()

    def see(self, pool: ImageSet, rows: Tensor, labels: Tensor, unlabelled_rows: Tensor | None = None) -> None:
        """Make room for the pool's scores."""
        super().see(pool, rows, labels, unlabelled_rows)
        classes = self.network.head.out_features
        features = pool.fetch(self.unlabelled_rows).cpu().float()
        neighbours = self.neighbours or fitting_neighbours(len(features), classes)
        self.average.add_module("head", PoolVote(features, classes, neighbours))

    def fit(
        self,
        batches: Callable[[range], Iterable[Any]],
        folder: Path,
        names: tuple[int | str, ...],
        trainer_options: dict[str, Any],
    ) -> list[float]:
        """Solve on the GPU where the trainer has one."""
        gpu = trainer_options.get("accelerator", "auto") in ("auto", "gpu", "cuda") and torch.cuda.is_available()
        self.home = torch.device("cuda" if gpu else "cpu")
        return super().fit(batches, folder, names, trainer_options)

    def solve(self, features: Tensor, labels: Tensor) -> None:
        """Solve for the scores of the whole pool; `features` are rows of it."""
        vote = cast(PoolVote, self.average.head)
        graph, rows = self._graph(vote), vote.rows_of(features)
        if bool((rows < 0).any()):
            raise ValueError("label_propagation: expected labelled features that are rows of the pool, got others")
        start = seeds(rows.to(self.home), labels.to(self.home), *vote.scores.shape)
        solution = propagate(
            graph, start, alpha=self.alpha, tolerance=self.tolerance, max_iterations=self.max_iterations
        )
        if solution.residual > self.tolerance:
            log.warning(
                "label_propagation: a residual of %.1e is left after %d iterations, more than the tolerance of %.1e; "
                "set learner.max_iterations or learner.tolerance higher",
                *(solution.residual, solution.iterations, self.tolerance),
            )
        vote.scores.copy_(solution.scores)
        vote.degrees.copy_(graph.degrees)
        self.found = {
            "neighbours": vote.neighbours,
            "iterations": solution.iterations,
            "residual": solution.residual,
        }

    def _graph(self, vote: PoolVote) -> Graph:
        key = (vote.fingerprint, vote.neighbours, str(self.home))
        if key not in _graphs:
            _graphs.clear()
            _graphs[key] = neighbour_graph(vote.unit.to(self.home), vote.neighbours)
        return _graphs[key]

    def facts(self) -> dict[str, Any]:
        """Return what the solver did, too."""
        return {**super().facts(), **self.found}
