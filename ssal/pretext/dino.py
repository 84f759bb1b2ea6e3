"""DINO: a student says of every crop what a following teacher says of the large ones."""

from __future__ import annotations

import copy
import math
import warnings
from typing import Annotated, Any

import torch
from lightly.loss import DINOLoss
from lightly.models.modules import DINOProjectionHead
from lightly.models.utils import update_momentum
from pydantic import Field
from torch import Tensor, nn

from ssal.data.views import Views
from ssal.errors import BadInput
from ssal.pretext.base import Optimiser, Pretext, Probability, WeightDecay, half_cosine
from ssal.registry import pretext


def information(probabilities: Tensor) -> Tensor:
    """Return the entropy of the mean of `probabilities` (B,K) minus their mean entropy, over its maximum log min(B,K).

    1 where every image has an output of its own, 0 where all have the same, be it one output or the uniform mixture.
    """
    mean_entropy = torch.special.entr(probabilities).sum(dim=1).mean()
    entropy_of_mean = torch.special.entr(probabilities.mean(dim=0)).sum()
    return (entropy_of_mean - mean_entropy) / math.log(min(probabilities.shape))


@pretext("dino")
class DINO(Pretext):
    """Matches a following teacher's sharpened output on two global crops from all others (Caron et al., 2021).

    Defaults are the authors': 100 epochs, AdamW with rate 5e-4 per 256 images and 10 % of the steps to warm up, weight
    decay 0.04 rising to 0.4, gradients clipped to 3 per parameter, teacher decay 0.996 rising to 1, temperatures 0.04
    and 0.1, centre decay 0.9, two global crops of 0.4 to 1 and eight local ones of 0.05 to 0.4 at 3/7 of the side, the
    last layer frozen for 1 % of the steps. For convnets they advise optimiser=sgd, learning_rate=0.03, weight_decay and
    weight_decay_end 1e-4, min_scale=0.14. The teacher is what is kept. Transformers need local_size=1.
    Differs from the paper: 4096 outputs in place of 65536 and BatchNorm in the head, which the authors leave out, as
    suits small images and convnets; batch 512 in place of 1024; blur is off unless asked for; the teacher's temperature
    stays where it starts, as in the authors' code if not told otherwise; rates end at zero, theirs at 1e-6; crops are
    bilinear, theirs bicubic. Its `spread` is the share of what teacher outputs could tell of their image.
    """

    saturation = 0.4

    def __init__(
        self,
        backbone: nn.Module,
        views: Views,
        *,
        epochs: Annotated[int, Field(gt=0)] = 100,
        hidden: Annotated[int, Field(gt=0)] = 2048,
        bottleneck: Annotated[int, Field(gt=0)] = 256,
        outputs: Annotated[int, Field(gt=1)] = 4096,
        head_batch_norm: bool = True,
        student_temperature: Annotated[float, Field(gt=0)] = 0.1,
        teacher_temperature: Annotated[float, Field(gt=0)] = 0.04,
        teacher_decay_base: Annotated[float, Field(ge=0, lt=1)] = 0.996,
        centre_decay: Annotated[float, Field(ge=0, lt=1)] = 0.9,
        frozen_last_layer: Annotated[float, Field(ge=0, le=1)] = 0.01,
        clip: Annotated[float, Field(gt=0)] | None = 3.0,
        optimiser: Optimiser = "adamw",
        learning_rate: Annotated[float, Field(gt=0)] = 5e-4,
        weight_decay: WeightDecay = 0.04,
        weight_decay_end: Annotated[float, Field(ge=0)] = 0.4,
        warm_up: Annotated[float, Field(ge=0, lt=1)] = 0.1,
        min_scale: Annotated[float, Field(gt=0, le=1)] = 0.4,
        local_crops: Annotated[int, Field(ge=0)] = 8,
        local_min_scale: Annotated[float, Field(gt=0, le=1)] = 0.05,
        local_size: Annotated[float, Field(gt=0, le=1)] = 3 / 7,
        blur: tuple[Probability, Probability, Probability] = (0.0, 0.0, 0.0),
        solarise: tuple[Probability, Probability] = (0.0, 0.2),
        **shared: Any,
    ) -> None:
        """Take the recipe's options; blur is for the first, the second and the local crops.

        `frozen_last_layer` is a share of the steps, `local_size` one of the side. Local crops end at `min_scale`.
        """
        super().__init__(
            backbone,
            views,
            optimiser=optimiser,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            warm_up=warm_up,
            min_scale=min_scale,
            **shared,
        )
        self.differ(blur=blur[:2], solarise=solarise)
        scales = {"min_scale": min(local_min_scale, min_scale), "max_scale": min_scale}
        self.local_options = {**self.view_options[0], **scales, "blur": blur[2], "solarise": 0.0}
        self.local_crops, self.local_size = local_crops, local_size
        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # lightly's weight_norm is an old one
            frozen = round(frozen_last_layer * self.steps)
            self.head, self.teacher_head = (
                DINOProjectionHead(self.width, hidden, bottleneck, outputs, head_batch_norm, frozen) for _ in range(2)
            )
        self.teacher_head.requires_grad_(False).load_state_dict(self.head.state_dict())
        self.teacher_backbone = copy.deepcopy(backbone).requires_grad_(False)
        self.criterion = DINOLoss(outputs, student_temp=student_temperature, center_momentum=centre_decay)
        self.teacher_temperature, self.teacher_decay_base = teacher_temperature, teacher_decay_base
        self.weight_decay_end, self.clip = weight_decay_end, clip or math.inf

    def draw(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return both global crops of every image and, in one batch, its smaller local ones, crop by crop."""
        if not self.local_crops:
            return super().draw(images)
        side = [max(1, round(self.local_size * length)) for length in images.shape[2:]]
        many = images.repeat(self.local_crops, 1, 1, 1)
        return *super().draw(images), self.views.contrastive(many, self.seed(3), size=(*side,), **self.local_options)

    def loss(self, first: Tensor, second: Tensor, local: Tensor | None = None) -> Tensor:
        """Return the cross-entropy of the student's views from each global view of the teacher's that is another."""
        both = torch.cat([first, second])
        with torch.no_grad():
            targets = self.teacher_head(self.teacher_backbone(both))
            self.track(((targets - self.criterion.center[0]) / self.teacher_temperature).softmax(dim=1), information)
        features = self.backbone(both)
        if local is not None:
            try:
                features = torch.cat([features, self.backbone(local)])
            except AssertionError as error:  # networks with position embeddings know their image size
                raise BadInput(
                    f"pretext.local_size: {str(error).rstrip('.')}; type pretext.local_size=1 or local_crops=0"
                ) from error
        answers = self.head(features).float().split(len(first))
        with torch.autocast(first.device.type, enabled=False):  # probabilities need more digits than bfloat16 has
            return self.criterion([*targets.float().chunk(2)], [*answers], teacher_temp=self.teacher_temperature)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Set this step's weight decay, clip the gradients, and keep the last layer frozen at first."""
        progress = self.global_step / self.steps
        optimizer.param_groups[0]["weight_decay"] = half_cosine(self.weight_decay, self.weight_decay_end, progress)
        for parameter in self.parameters():  # each on its own, as the authors do
            nn.utils.clip_grad_norm_(parameter, self.clip)
        self.head.cancel_last_layer_gradients(self.global_step)

    def on_train_batch_end(self, outputs: Any, batch: Any, index: int) -> None:
        """Let the teacher follow."""
        decay = half_cosine(self.teacher_decay_base, 1, max(0, self.global_step - 1) / self.steps)  # the step just made
        update_momentum(self.backbone, self.teacher_backbone, decay)
        update_momentum(self.head, self.teacher_head, decay)

    def on_train_end(self) -> None:
        """Keep the teacher, the better of the two, as the encoder."""
        self.backbone.load_state_dict(self.teacher_backbone.state_dict())
