"""Views: what the evaluated learner says of several random views of each image."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ssal.errors import BadInput
from ssal.learner.base import Learner
from ssal.registry import signal


@signal("view_probabilities", each="batch", wants="images", forwards=("views", 1))
def views(
    learner: Learner,
    images: Tensor,
    rows: Tensor,
    *,
    names: tuple[int | str, ...],
    pool_size: int,
    views: Annotated[int, Field(ge=2, le=1000)] = 50,
) -> dict[str, Tensor]:
    """Give softmax outputs (B,V,C) of `views` weak views of each image, averaged weights (Gao et al., 2020).

    A view is the weak one of training, and its draw follows from the image's row. One view of the batch is forwarded
    at a time, so that no more memory is needed than for outputs; the table holds 4·N·V·C bytes. 50 views are those of
    a public re-implementation: of the paper the abstract was at hand.
    Raises BadInput for a learner that sees the encoder's features, of which there are no views.
    """
    if learner.frozen:
        raise BadInput("view_probabilities: expected a learner that sees images, got one of an encoder's features")
    places = (rows.cpu(), pool_size)
    seen = (learner.views.weak(images, *names, number, places=places) for number in range(views))
    # To the CPU batch by batch: for 50,000 images, 50 views and 100 classes it is a gigabyte.
    return {"view_probabilities": torch.stack([learner(view)[0].softmax(dim=1) for view in seen], dim=1).cpu()}
