"""SCAL by similarity: ask for the images least like the labelled ones of the class they are taken for."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ssal.acquisition.ordering import scores_in_turn
from ssal.neighbours import full_precision
from ssal.registry import scores


@full_precision()
def class_similarity(
    features: Tensor, predicted: Tensor, labelled_features: Tensor, labels: Tensor, height: int = 4096
) -> Tensor:
    """Return every image's largest cosine similarity (N,) to labelled images of its `predicted` class (N,).

    `features` are (N,D), `labelled_features` (L,D) with their class numbers `labels` (L,). It is -inf for a class
    without a labelled image.
    """
    unit, labelled = normalize(features.float(), dim=1), normalize(labelled_features.float(), dim=1)
    found = torch.full((len(unit),), -torch.inf, device=unit.device)
    for number in predicted.unique():
        known = labelled[labels == number]
        if len(known):
            for rows in (predicted == number).nonzero()[:, 0].split(height):
                found[rows] = (unit[rows] @ known.T).amax(dim=1)
    return found


@scores
def scal_similarity(probabilities: Tensor, features: Tensor, labelled_features: Tensor, labels: Tensor) -> Tensor:
    """Ask for the least similar to all labelled images of the predicted class, class by class (Krishnan et al., 2021).

    Similarity is the cosine of features; it was published, as featuresim, with the learner `supervised_contrastive`.
    Predicted classes take turns, each with its least similar image left; inside a turn the least similar comes first,
    and a class without a labelled image leads it.
    How turns are ordered, and what becomes of classes without a labelled image, is ssal's own.
    """
    predicted = probabilities.argmax(dim=1)
    return scores_in_turn(-class_similarity(features, predicted, labelled_features, labels), predicted)
