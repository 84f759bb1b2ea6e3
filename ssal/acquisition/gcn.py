"""UncertainGCN and CoreGCN: ask by what a network over the graph of neighbours says of labelled and unlabelled."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor

from ssal.acquisition.geometry import farthest_first
from ssal.registry import scores, selects


@scores
def uncertain_gcn(graph_confidence: Tensor, *, margin: Annotated[float, Field(ge=0, le=1)] = 0.1) -> Tensor:
    """Ask where the confidence that the image has a label is nearest to `margin` (Caramalau et al., 2021)."""
    return -(graph_confidence - margin).abs()


@selects
def core_gcn(graph_features: Tensor, labelled_graph_features: Tensor, *, budget: int) -> Tensor:
    """Cover the pool with greedy k-centre on hidden features of the graph network (Caramalau et al., 2021).

    This is the paper, and the authors' code since April 2021; before, it covered the features that go into the network.
    """
    return farthest_first(graph_features, labelled_graph_features, budget)
