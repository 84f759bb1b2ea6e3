"""What a network in the middle of its training says of the pool."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ssal.learner.base import Learner, Network


@torch.no_grad()
def over_pool(learner: Learner, network: Network, read: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return what `read` makes of logits (B,C) and features (B,D) of the learner's unlabelled rows of the pool.

    `network`, one of the learner's two, sees deterministic views in evaluation and goes on in training afterwards.
    Batch by batch, as logits and features of a large pool need not both be kept.
    """
    network.eval()
    batches = learner.pool.stream(learner.unlabelled_rows.split(500))
    found = [read(*network(learner.views.plain(images.to(learner.device)))) for images in batches]
    network.train()
    return torch.cat(found)
