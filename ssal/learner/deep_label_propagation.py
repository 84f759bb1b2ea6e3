"""Deep label propagation: a network learns from pseudo-labels that spread over the graph of its own features."""

from __future__ import annotations

import math
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ssal.data.images import ImageSet
from ssal.data.views import Views
from ssal.learner.base import Learner
from ssal.learner.propagation import (
    certainty,
    class_weights,
    fitting_neighbours,
    neighbour_graph,
    propagate,
    seeds,
    shares,
)
from ssal.learner.whole_pool import over_pool
from ssal.registry import learner


def pseudo_labels(
    features: Tensor, rows: Tensor, labels: Tensor, classes: int, *, neighbours: int | None = None, **options: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """Return a class (N,), its weight ω (N,) for every row of features (N,D), and weights ζ (C,) of the classes.

    Labelled `rows` keep their labels with weight 1; a row that no label reaches weighs 0 and counts for no class.
    """
    graph = neighbour_graph(features, neighbours or fitting_neighbours(len(features), classes))
    found = shares(propagate(graph, seeds(rows, labels, len(features), classes), **options).scores)
    guesses, weights = found.argmax(dim=1), certainty(found)
    guesses[rows], weights[rows] = labels, 1.0
    return guesses, weights, class_weights(guesses[weights > 0], classes)


@learner("deep_label_propagation")
class DeepLabelPropagation(Learner):
    """Pseudo-labels spread over the network's features, sure ones and rare classes weigh more (Iscen et al., 2019).

    Pseudo-labels of the whole pool are renewed every epoch of it; half of each batch is labelled. `labelled_share` of
    the steps come before, on labelled images alone: 0 suits an encoder that has learned from a pretext.
    Differs from the paper: one learning-rate schedule serves both stages, which therefore have no restart between
    them; what is evaluated are averaged weights; labelled images are part of the unlabelled stream, too, with their
    labels; negative similarities are clipped, as features may have any sign, and images that no label reaches count
    for nothing; small pools have fewer `neighbours` than 50. Mean Teacher's consistency is left out.
    """

    pseudo: Tensor
    certainty: Tensor
    class_weights: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        classes: int,
        *,
        labelled_share: Annotated[float, Field(ge=0, lt=1)] = 0.5,
        neighbours: Annotated[int, Field(gt=0)] | None = None,
        alpha: Annotated[float, Field(gt=0, lt=1)] = 0.99,
        max_iterations: Annotated[int, Field(gt=0)] = 20,
        **shared: Any,
    ) -> None:
        """Take the recipe's options; as many unlabelled images come in a batch as labelled ones.

        `neighbours` are 50 if not given, or a tenth of a class where that is fewer, and 10 at least.
        """
        super().__init__(encoder, views, classes, **shared)
        self.unlabelled_batch_size = self.batch_size
        self.labelled_steps = round(labelled_share * self.steps)
        self.spreading: dict[str, Any] = {"neighbours": neighbours, "alpha": alpha, "max_iterations": max_iterations}

    def see(self, pool: ImageSet, rows: Tensor, labels: Tensor, unlabelled_rows: Tensor | None = None) -> None:
        """Make room for pseudo-labels; a training that is resumed goes on with those of its epoch."""
        super().see(pool, rows, labels, unlabelled_rows)
        self.register_buffer("pseudo", torch.zeros(len(pool), dtype=torch.long))
        self.register_buffer("certainty", torch.zeros(len(pool)))
        self.register_buffer("class_weights", torch.ones(self.network.head.out_features))

    def loss(self, batch: dict[str, Any], *names: int | str) -> Tensor:
        """Return the mean of ζ · ω · cross-entropy over labelled and unlabelled images.

        ω of a label is 1, and so is its ζ where `class_balanced` draws all classes equally often.
        """
        labelled, labels = self.views.weak(batch["labelled"], *names, "labelled"), batch["labels"]
        since = self.global_step - self.labelled_steps
        if since < 0:
            return self.labelled_loss(self.network(labelled)[0], labels)
        if since % math.ceil(len(self.unlabelled_rows) / self.unlabelled_batch_size) == 0:
            self.renew()
        rows = batch["unlabelled_rows"].to(self.pseudo.device)
        unlabelled = self.views.weak(batch["unlabelled"], *names, "unlabelled")
        logits, _ = self.network(torch.cat([labelled, unlabelled]))
        targets = torch.cat([labels, self.pseudo[rows]])
        of_class = self.class_weights[targets]
        if self.class_balanced:  # the draw has made labelled classes equal; ζ would favour rare ones once more
            of_class[: len(labels)] = 1
        weights = torch.cat([torch.ones_like(labels), self.certainty[rows]]) * of_class
        losses = cross_entropy(logits, targets, reduction="none", label_smoothing=self.label_smoothing)
        return (weights * losses).mean()

    def renew(self) -> None:
        """Spread the labels over the features that the network gives the pool now, deterministic view."""
        features = over_pool(self, self.network, lambda _, features: features)
        home = features.device if features.is_cuda else torch.device("cpu")
        found = pseudo_labels(
            features.to(home),
            torch.searchsorted(self.unlabelled_rows, self.labelled_rows.cpu()).to(home),
            self.labels.to(home),
            len(self.class_weights),
            **self.spreading,
        )
        rows = self.unlabelled_rows.to(self.pseudo.device)
        self.class_weights.copy_(found[2])
        for buffer, value in zip((self.pseudo, self.certainty), found[:2], strict=True):
            buffer[rows] = value.to(buffer)
