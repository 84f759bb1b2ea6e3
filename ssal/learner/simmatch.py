"""SimMatch: FixMatch whose classes and similarities to labelled images correct each other."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize, one_hot

from ssal.data.images import ImageSet
from ssal.data.views import Views
from ssal.learner.contrasts import add_projection
from ssal.learner.targets import RecentMean, align, soft_cross_entropy
from ssal.learner.unlabelled import UnlabelledLearner
from ssal.registry import learner


def unfold(similarities: Tensor, probabilities: Tensor, labels: Tensor) -> Tensor:
    """Return similarities (M,K) to labelled images times the probability (M,C) of their `labels` (K,), normalised."""
    unfolded = similarities * probabilities[:, labels]
    return unfolded / unfolded.sum(dim=1, keepdim=True).clamp_min(1e-12)


def aggregate(similarities: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Return the similarities (M,K) to labelled images summed over every class (M,C)."""
    return similarities @ one_hot(labels, classes).to(similarities.dtype)


@learner("simmatch")
class SimMatch(UnlabelledLearner):
    """Views agree on classes and on similarities to labelled images, and each corrects the other (Zheng et al., 2022).

    The bank keeps one unit vector per labelled image, a running average of its projections, as the paper has it for
    small data sets; there is no teacher network. Soft targets are sure once aligned and smoothed by their neighbours.
    Differs from the paper: similarities leave out labelled images that no batch has held yet, where the authors wait
    for an epoch; classes without a label get no share in the alignment; EMA decay and BatchNorm momentum are scaled
    to schedules shorter than 10,000 steps.
    """

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        classes: int,
        *,
        threshold: Annotated[float, Field(ge=0, le=1)] = 0.95,
        temperature: Annotated[float, Field(gt=0)] = 0.1,
        own_share: Annotated[float, Field(ge=0, le=1)] = 0.9,
        bank_decay: Annotated[float, Field(ge=0, lt=1)] = 0.7,
        projection: Annotated[int, Field(gt=0)] = 128,
        alignment_batches: Annotated[int, Field(gt=0)] = 32,
        similarity_weight: Annotated[float, Field(ge=0)] = 1.0,
        **shared: Any,
    ) -> None:
        """Take the recipe's options; `own_share` of a soft target is the head's, the rest its labelled neighbours'."""
        super().__init__(encoder, views, classes, **shared)
        self.threshold, self.temperature = threshold, temperature
        self.own_share, self.bank_decay, self.projection = own_share, bank_decay, projection
        self.similarity_weight = similarity_weight
        add_projection(self, projection)
        self.recent = RecentMean(classes, alignment_batches)
        self.bank: Tensor
        """Unit vectors (K,D) of the labelled images in the order of `see`; zeros until a batch held the image."""
        self.bank_labels: Tensor

    def see(self, pool: ImageSet, rows: Tensor, labels: Tensor, unlabelled_rows: Tensor | None = None) -> None:
        """Make an empty bank with a place for every labelled image."""
        super().see(pool, rows, labels, unlabelled_rows)
        self.places = torch.full((len(pool),), -1)
        self.places[rows] = torch.arange(len(rows))
        self.register_buffer("bank", torch.zeros(len(rows), self.projection, device=self.device))
        self.register_buffer("bank_labels", labels.to(self.device))

    @torch.no_grad()
    def keep(self, rows: Tensor, vectors: Tensor) -> None:
        """Move the bank's vectors of labelled pool `rows` (B,) towards `vectors` (B,D), and back to length 1.

        A labelled image that stands in the batch several times moves towards the mean of its vectors.
        """
        places, entry = self.places[rows.cpu()].unique(return_inverse=True)
        places, chosen = places.to(vectors.device), one_hot(entry).T.to(vectors)
        new = chosen @ vectors / chosen.sum(dim=1, keepdim=True)
        old = self.bank[places]
        decay = self.bank_decay * old.any(dim=1, keepdim=True)
        moved = normalize(decay * old + (1 - decay) * new, dim=1)
        self.bank = self.bank.index_copy(0, places, moved)  # the loss still needs the old one

    def similarities(self, vectors: Tensor) -> Tensor:
        """Return logits (M,K) of the similarity of unit vectors (M,D) to the bank; empty places get none."""
        logits = vectors @ self.bank.T / self.temperature
        return logits.masked_fill(~self.bank.any(dim=1), -1e4)

    def loss(self, batch: dict[str, Any], *names: int | str) -> Tensor:
        """Return labelled cross-entropy plus the terms of classes and of similarities."""
        (labelled_logits, weak_logits, strong_logits), features = self.joint(batch, *names)
        vectors = normalize(self.network.get_submodule("projection")(torch.cat(features)).float(), dim=1)
        labelled_vectors, weak_vectors, strong_vectors = vectors.split([len(part) for part in features])
        with torch.no_grad():
            probabilities = weak_logits.softmax(dim=1)
            present = (self.class_shares > 0).float()
            probabilities = align(probabilities, present / present.sum(), self.recent(probabilities))
            similar = self.similarities(weak_vectors).softmax(dim=1)
            similar_targets = unfold(similar, probabilities, self.bank_labels)
            neighbours = aggregate(similar, self.bank_labels, probabilities.shape[1])
            targets = self.own_share * probabilities + (1 - self.own_share) * neighbours
            sure = targets.amax(dim=1) >= self.threshold
        consistency = (soft_cross_entropy(targets, strong_logits) * sure).mean()
        agreement = soft_cross_entropy(similar_targets, self.similarities(strong_vectors)).mean()
        self.keep(batch["labelled_rows"], labelled_vectors)
        labelled_loss = self.labelled_loss(labelled_logits, batch["labels"])
        return labelled_loss + self.unlabelled_weight * consistency + self.similarity_weight * agreement
