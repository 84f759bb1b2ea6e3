"""MoCo v2: a view is told from a queue of other images' keys, which a following network makes."""

from __future__ import annotations

import copy
from typing import Annotated, Any

import torch
from lightly.loss import NTXentLoss
from lightly.models.modules import MoCoProjectionHead
from lightly.models.utils import update_momentum
from pydantic import Field
from torch import Tensor, nn

from ssal.data.views import Views
from ssal.pretext.base import Pretext
from ssal.pretext.image_losses import cross_entropy_among
from ssal.registry import pretext


@pretext("moco_v2", image_losses=True)
class MoCoV2(Pretext):
    """Contrasts a view with its key and a queue of older keys of a slowly following network (Chen, Fan, et al., 2020).

    Defaults are the authors' for CIFAR-10: 200 epochs, batch 512, SGD with rate 0.03 per 256 images, weight decay 5e-4,
    no warm-up, a queue of 4096 keys of 128 values, key decay 0.99, temperature 0.1, no blur. The head is the two-layer
    one of version 2; for ImageNet its authors took queue 65536, decay 0.999, temperature 0.2 and min_scale 0.2.
    Differs from the paper: on one device there is no shuffled BatchNorm, queries and keys see whole batches (on
    CIFAR-10 the authors lost 4 points at 800 epochs without it); biases and BatchNorm do not decay. A queue longer than
    the pool holds older keys of the query's own image among its negatives.
    """

    def __init__(
        self,
        backbone: nn.Module,
        views: Views,
        *,
        temperature: Annotated[float, Field(gt=0)] = 0.1,
        projection: Annotated[int, Field(gt=0)] = 128,
        queue: Annotated[int, Field(gt=0)] = 4096,
        key_decay: Annotated[float, Field(ge=0, lt=1)] = 0.99,
        **shared: Any,
    ) -> None:
        """Take the recipe's options; `queue` counts keys."""
        super().__init__(backbone, views, **shared)
        self.projection = MoCoProjectionHead(self.width, self.width, projection)
        self.key_backbone = copy.deepcopy(backbone).requires_grad_(False)
        self.key_projection = copy.deepcopy(self.projection).requires_grad_(False)
        self.criterion = NTXentLoss(temperature, memory_bank_size=(queue, projection))
        memory = self.criterion.memory_bank
        for name in ("bank", "bank_ptr"):  # lightly leaves them out of checkpoints
            memory.register_buffer(name, getattr(memory, name), persistent=True)
        self.key_decay = key_decay

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the cross-entropy of finding each query's key among the queue; then the keys join the queue."""
        queries, keys = self.queries_and_keys(first, second)
        self.track(queries)
        return self.criterion(queries, keys)

    def image_losses(self, first: Tensor, second: Tensor, rows: Tensor) -> Tensor:
        """Return the same of every single image; the queue is the one that training left, and stays."""
        queue = self.criterion.memory_bank.bank
        temperature = self.criterion.temperature
        return cross_entropy_among(*self.queries_and_keys(first, second), queue, temperature, len(queue))

    def queries_and_keys(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Return the projections of the first views, and those of the second ones by the following network."""
        with torch.no_grad():
            keys = self.key_projection(self.key_backbone(second))
        return self.projection(self.backbone(first)), keys

    def on_train_batch_end(self, outputs: Any, batch: Any, index: int) -> None:
        """Let the network of the keys follow."""
        update_momentum(self.backbone, self.key_backbone, self.key_decay)
        update_momentum(self.projection, self.key_projection, self.key_decay)
