"""Companions: heads that are trained with a learner because a signal needs them; they see its feature maps.

They are part of the network under `companions`: optimised, averaged, saved and warm-started with it. The averaged head
thus belongs to the averaged maps that it scores, and a training that is resumed has it in its checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import timm
import torch
from torch import Tensor, nn

from ssal.backbones import Identity, WideResNet
from ssal.errors import BadInput

STAGES = 4
"""Feature maps that a companion sees, as in a ResNet (Yoo and Kweon, 2019)."""


def stages(encoder: nn.Module) -> list[tuple[nn.Module, int]]:
    """Return the last four stages of an encoder and their channels; fewer where it has no more.

    timm says itself which modules end its stages: ResNets' four layers, the blocks of vision transformers. A Wide
    ResNet has three groups; the fourth is what it gives, its last map normalised, rectified and pooled, since that is
    what the classifier reads and the third group, before its BatchNorm, is not. Features that pass unchanged are their
    own and only map. Raises BadInput where there are none.
    """
    if isinstance(encoder, Identity):
        return [(encoder, encoder.num_features)]
    if isinstance(encoder, WideResNet):
        last: list[Any] = [group[-1] for group in encoder.groups]  # type: ignore[index]
        return [*((block, block.conv2.out_channels) for block in last), (encoder, encoder.num_features)]
    told = getattr(encoder, "feature_info", None) or ()
    known = dict(encoder.named_modules())
    found = [(known[one["module"]], int(one["num_chs"])) for one in told if one["module"] in known]
    if not found:
        raise BadInput(f"{type(encoder).__name__} does not say where its feature maps are; use wrn_28_2 or resnet18")
    return found[-STAGES:]


def check_stages(name: str) -> None:
    """Raise BadInput where a backbone of this name has no stages; nothing is computed for that."""
    if timm.is_model(name):
        with torch.device("meta"):
            stages(timm.create_model(name, pretrained=False, num_classes=0))


def pooled(maps: Tensor, channels: int) -> Tensor:
    """Return the mean (B,C) over all places of maps (B,C,H,W), (B,H,W,C) or tokens (B,T,C), in float32."""
    if maps.ndim == 2:
        return maps.float()
    if maps.ndim == 4 and maps.shape[1] == channels:
        return maps.mean(dim=(2, 3), dtype=torch.float32)
    return maps.flatten(1, -2).mean(dim=1, dtype=torch.float32)


class Companion(nn.Module):
    """A head on pooled feature maps. A method adds what it says and what it learns from labelled images."""

    def __init__(self, channels: Sequence[int]) -> None:
        """`channels` are those of the maps; keyword-only parameters of a method are the recipe's options."""
        super().__init__()

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return a row per image, of pooled maps (B,C_1) … (B,C_4)."""
        raise NotImplementedError

    def loss(self, maps: Sequence[Tensor], logits: Tensor, labels: Tensor, progress: float) -> Tensor:
        """Return the loss for the labelled part of a batch, at the share `progress` of the steps.

        Gradients of `maps` and `logits` reach the network; a method detaches what is not to change it.
        """
        raise NotImplementedError


class Companions(nn.Module):
    """The companions of one network, and the hooks by which they see its maps."""

    def __init__(self, network: Any) -> None:
        """Watch `network`, which returns logits first, and its encoder's stages; nothing is kept unless asked for."""
        super().__init__()
        self.heads = nn.ModuleDict()
        found = stages(network.encoder)
        self.channels = [channels for _, channels in found]
        self.maps: list[Tensor] = []
        self.logits: Tensor | None = None
        self.batch: Tensor | None = None
        """The stored images that the maps are of, in scoring."""
        self._open = self._through_gradients = False
        self._rows: int | None = None
        for stage, channels in found:
            stage.register_forward_hook(partial(self._take, channels=channels))
        network.register_forward_hook(self._close)

    def _watches(self) -> bool:
        return self._open and torch.is_grad_enabled() == self._through_gradients

    def _take(self, stage: nn.Module, given: Any, output: Tensor, *, channels: int) -> None:
        if self._watches():
            self.maps.append(pooled(output[: self._rows], channels))

    def _close(self, network: nn.Module, given: Any, output: tuple[Tensor, Tensor]) -> None:
        if self._watches():
            self.logits, self._open = output[0][: self._rows], False

    @contextmanager
    def watching(self, rows: int | None = None, batch: Tensor | None = None) -> Iterator[None]:
        """Keep the pooled maps and the logits of the first `rows` of the first forward, in the block's gradient mode.

        In training that is the first forward that gradients flow through, in which labelled images stand first.
        """
        self.maps, self.logits, self.batch, self._rows = [], None, None, rows
        self._open, self._through_gradients = True, torch.is_grad_enabled()
        try:
            yield
        finally:
            self._open = False
        if len(self.maps) != len(self.channels) or self.logits is None:
            raise BadInput(
                f"companions: expected {len(self.channels)} feature maps from one forward, got {len(self.maps)}; "
                "use wrn_28_2 or resnet18"
            )
        self.batch = batch

    def loss(self, labels: Tensor, progress: float) -> Tensor:
        """Return the sum of the companions' losses for what was watched."""
        assert self.logits is not None
        losses = [head.loss(self.maps, self.logits, labels, progress) for head in self.heads.values()]  # type: ignore[operator]
        self.maps, self.logits = [], None
        return torch.stack(losses).sum()
