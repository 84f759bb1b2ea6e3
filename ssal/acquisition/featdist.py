"""Feature distance: ask for the images least like anything labelled."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ssal.neighbours import nearest
from ssal.registry import scores


@scores
def featdist(features: Tensor, labelled_features: Tensor) -> Tensor:
    """Score by the distance to the nearest labelled image between features of unit length.

    This is core-set without the update after each pick, and ssal's own definition. With no labelled image every score
    is 0 and the draw is random.
    """
    if len(labelled_features) == 0:
        return torch.zeros(len(features))
    return nearest(normalize(features.float(), dim=1), normalize(labelled_features.float(), dim=1), 1)[0][:, 0]
