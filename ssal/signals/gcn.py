"""Graph network: tells images with labels from those without by their own features and their neighbours'."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytorch_lightning as pl
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import dropout, logsigmoid, normalize

from ssal import loop
from ssal.learner.propagation import Graph, neighbour_graph
from ssal.registry import signal
from ssal.signals.membership import fit, parted
from ssal.streams import generator

HIDDEN = 128


class SymmetricProduct(torch.autograd.Function):
    """Product of a symmetric sparse matrix with vectors; torch's own backward transposes it, which takes 40 times."""

    @staticmethod
    def forward(context: Any, matrix: Tensor, vectors: Tensor) -> Tensor:
        """Return matrix @ vectors (N,M)."""
        context.matrix = matrix
        return matrix @ vectors

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[None, Tensor]:
        """Return the gradient of the vectors; the matrix has none."""
        return None, context.matrix @ gradient.contiguous()


def convolve(matrix: Tensor, roots: Tensor, vectors: Tensor) -> Tensor:
    """Return A @ vectors (N,M), where A = S D^-1 + I: similarities whose columns sum to 1, and the image itself.

    `matrix` is D^-1/2 S D^-1/2 and `roots` (N,1) are those of the degrees D.
    """
    return roots * SymmetricProduct.apply(matrix, vectors / roots) + vectors


def membership_loss(labelled: Tensor, unlabelled: Tensor, unlabelled_weight: float) -> Tensor:
    """Return -mean log f(L) - weight · mean log (1 - f(U)) of the logits of f for labelled and unlabelled images."""
    return -logsigmoid(labelled).mean() - unlabelled_weight * logsigmoid(-unlabelled).mean()


class GraphNetwork(pl.LightningModule):
    """Two graph convolutions over all images: features to 128 hidden ones to the logit of having a label."""

    roots: Tensor
    convolved: Tensor

    def __init__(
        self,
        features: Tensor,
        graph: Graph,
        draws: torch.Generator,
        *,
        learning_rate: float,
        weight_decay: float,
        dropout: float,
        unlabelled_weight: float,
    ) -> None:
        """Initialise as the authors do, uniformly in ± 1 / sqrt(outputs of the layer)."""
        super().__init__()
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.dropout, self.unlabelled_weight = dropout, unlabelled_weight
        self.matrix = graph.matrix  # no buffer: the loop asks whether those are finite, which sparse tensors cannot say
        self.register_buffer("roots", graph.degrees.sqrt()[:, None], persistent=False)
        # A (X W) = (A X) W, and A X is the same in every step.
        self.register_buffer("convolved", convolve(self.matrix, self.roots, features), persistent=False)
        self.hidden, self.output = nn.Linear(features.shape[1], HIDDEN), nn.Linear(HIDDEN, 1)
        for layer in (self.hidden, self.output):
            for parameter in (layer.weight, layer.bias):
                nn.init.uniform_(parameter, -(layer.out_features**-0.5), layer.out_features**-0.5, generator=draws)

    def forward(self) -> tuple[Tensor, Tensor]:
        """Return the logits (N,) and the hidden features (N,128) of all images."""
        self.matrix = self.matrix.to(self.convolved.device)
        hidden = dropout(self.hidden(self.convolved).relu(), self.dropout, training=self.training)
        logits = convolve(self.matrix, self.roots, hidden @ self.output.weight.T) + self.output.bias
        return logits[:, 0], hidden

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        """Return the loss over the whole graph."""
        logits, _ = self()
        return membership_loss(logits[batch["labelled"]], logits[batch["unlabelled"]], self.unlabelled_weight)

    def predict_step(self, rows: Tensor, index: int) -> dict[str, Tensor]:
        """Return both signals of `rows`."""
        logits, hidden = self()
        return {"graph_confidence": logits[rows].sigmoid(), "graph_features": hidden[rows]}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam, with its weight decay on all weights as the authors have it."""
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)


@signal("graph_confidence", "graph_features", each="round")
def gcn(
    features: Tensor,
    labelled_rows: Tensor,
    unlabelled_rows: Tensor,
    *,
    names: tuple[int | str, ...],
    trainer: dict[str, Any],
    folder: Path,
    neighbours: Annotated[int, Field(gt=0)] = 100,
    steps: Annotated[int, Field(gt=0)] = 200,
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3,
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3,
    unlabelled_weight: Annotated[float, Field(ge=0)] = 1.2,
) -> dict[str, Tensor]:
    """Give a graph network's confidence that an image has a label, and its hidden features (Caramalau et al., 2021).

    Nodes are the learner's features (N,D) at unit length, the encoder's where the learner is a frozen one; edges weigh
    cosine similarities. Raises BadInput where all images have labels, or none has, and Diverged where a loss is
    not finite.
    Differs from the paper: all images are nodes, not a draw of 10,000; each is joined with its most similar
    `neighbours` and those that it is one of (twice where both hold) instead of with all; negative similarities are no
    edges; the middle layer, which the authors' code defines but never runs, is left out.
    """
    whole = parted(labelled_rows, unlabelled_rows, str(names[-1]))
    points = normalize(features.float())
    network = GraphNetwork(
        points,
        neighbour_graph(points, neighbours, exponent=1),
        generator(*names, "weights"),
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        dropout=dropout,
        unlabelled_weight=unlabelled_weight,
    )
    # Small networks gain nothing from bfloat16 or compilation, and sparse products know neither.
    plain = {**trainer, "precision": "32-true", "compile": False}
    fit(network, steps, lambda rest: (whole for _ in rest), folder, names, plain)
    return loop.predict(network, [torch.arange(len(features))], plain)
