"""SCAL by reconstruction: ask for images whose features their predicted class's labelled ones cannot make up."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ssal.acquisition.ordering import scores_in_turn
from ssal.registry import scores

Share = Annotated[float, Field(gt=0, lt=1)]


def principal_axes(points: Tensor, variance: float) -> tuple[Tensor, Tensor]:
    """Return the mean (D,) of `points` (n,D) and the fewest principal axes (k,D) that keep that share of variance.

    One or two points, and points that are all alike, have no axes: every direction away from their mean counts.
    """
    points = points.double()
    mean = points.mean(dim=0)
    if len(points) <= 2:
        return mean, points[:0]
    _, spread, axes = torch.linalg.svd(points - mean, full_matrices=False)
    kept = spread.square().cumsum(dim=0)
    # Below this, differences are rounding of float32 features, and their axes point anywhere.
    if kept[-1] <= (1e-6 * points.abs().max()).square() * points.numel():
        return mean, points[:0]
    return mean, axes[: int((kept <= variance * kept[-1]).sum()) + 1]


def reconstruction_error(points: Tensor, mean: Tensor, axes: Tensor) -> Tensor:
    """Return the squared distance (n,) of `points` (n,D) from the plane through `mean` (D,) along `axes` (k,D)."""
    centred = points.double() - mean
    return (centred - centred @ axes.T @ axes).square().sum(dim=1)


@scores
def scal_reconstruction(
    probabilities: Tensor,
    features: Tensor,
    labelled_features: Tensor,
    labels: Tensor,
    *,
    variance: Share = 0.995,
) -> Tensor:
    """Ask where principal components of the predicted class leave most of the features over (Krishnan et al., 2021).

    The components are those of the class's labelled images that keep `variance` of their variance; the error is the
    squared distance from them. A class with one or two labelled images has its mean alone. Predicted classes take
    turns, each with its largest error left; inside a turn the largest comes first, and a class without a labelled
    image leads it. It was published, as fre, with the learner `supervised_contrastive`.
    `variance`, the turns and the square are those of a product of the authors' company, where a class without a
    labelled image has no error and is asked for last; that it leads, and the mean of one or two, are ssal's own.
    """
    predicted = probabilities.argmax(dim=1)
    errors = torch.full((len(features),), torch.inf, dtype=torch.float64, device=features.device)
    for number in predicted.unique():
        known, rows = labelled_features[labels == number], predicted == number
        if len(known):
            errors[rows] = reconstruction_error(features[rows], *principal_axes(known, variance))
    return scores_in_turn(errors, predicted)
