"""Class-balanced: let the predicted classes take turns, so that no batch is of a few classes alone."""

from __future__ import annotations

import torch
from torch import Tensor

from ssal.acquisition.ordering import rows_in_turn
from ssal.method import Child
from ssal.registry import selects


@selects
def class_balanced(
    child_scores: dict[str, Tensor],
    probabilities: Tensor,
    labels: Tensor,
    *,
    budget: int,
    scored_by: Child = "margin",
) -> Tensor:
    """Ask for the best image of each predicted class in turn, by the scores of `scored_by`.

    Classes with the fewest labels go first; of equal ones, the one whose best image scores highest. A class that no
    image is predicted to be of has no turn.
    This is ssal's own rule. The class-balanced active learning of Bengar et al., 2022, is another one: an integer
    programme over the whole batch that adds to the scores, with a weight, how far the expected number of labels per
    class is from an equal one.
    """
    values, predicted = child_scores[scored_by], probabilities.argmax(1).cpu()
    counts = torch.bincount(labels.cpu(), minlength=probabilities.shape[1])
    best = values.argsort(descending=True, stable=True)
    queues = {number: best[predicted[best] == number].tolist() for number in predicted.unique().tolist()}
    turns = sorted(queues, key=lambda number: (int(counts[number]), -float(values[queues[number][0]])))
    return torch.tensor(rows_in_turn([queues[number] for number in turns], budget))
