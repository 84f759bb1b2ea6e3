"""Backbones: timm models by name with a stem for small images, and the Wide ResNets of the semi-supervised papers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import timm
import torch
from torch import Tensor, nn

from ssal.errors import BadInput, nearest
from ssal.streams import stream

SMALL_IMAGE = 64
"""Sides up to this many pixels get a 3×3 stride-1 stem: an ImageNet stem leaves a 32 px image 8×8 at once."""


class WideResNet(nn.Module):
    """Wide ResNet for small images (Zagoruyko and Komodakis, 2016), as the FixMatch family uses it.

    Images (B,3,H,W) in, features (B, 64·width) out; leaky ReLU of slope 0.1, pre-activation blocks.
    """

    def __init__(self, depth: int, width: int) -> None:
        """Depth is 6n + 4; width multiplies the 16, 32 and 64 channels of the three groups."""
        super().__init__()
        blocks = (depth - 4) // 6
        channels = [16, 16 * width, 32 * width, 64 * width]
        self.stem = nn.Conv2d(3, channels[0], 3, padding=1, bias=False)
        self.groups = nn.Sequential(
            *(
                nn.Sequential(
                    *(
                        WideBlock(
                            channels[group] if block == 0 else channels[group + 1],
                            channels[group + 1],
                            stride=2 if group > 0 and block == 0 else 1,
                        )
                        for block in range(blocks)
                    )
                )
                for group in range(3)
            )
        )
        self.norm = nn.BatchNorm2d(channels[3])
        self.num_features = channels[3]
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="leaky_relu", a=0.1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the pooled features of normalised images."""
        maps = nn.functional.leaky_relu(self.norm(self.groups(self.stem(images))), 0.1)
        return maps.mean(dim=(2, 3))


class WideBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut, each behind BatchNorm and leaky ReLU."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        """The shortcut is a 1×1 convolution where the shape changes."""
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        same = stride == 1 and channels_in == channels_out
        self.shortcut = None if same else nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps (B, channels_out, H/stride, W/stride)."""
        active = nn.functional.leaky_relu(self.norm1(maps), 0.1)
        inner = self.conv2(nn.functional.leaky_relu(self.norm2(self.conv1(active)), 0.1))
        return inner + (maps if self.shortcut is None else self.shortcut(active))


class Identity(nn.Module):
    """Passes feature vectors through: the backbone of data that are embeddings already."""

    def __init__(self, num_features: int) -> None:
        """Remember the width that heads are built for."""
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, D) as given."""
        return features


def check(name: str) -> None:
    """Raise BadInput where no backbone has this name."""
    if wide := re.fullmatch(r"wrn_(\d+)_(\d+)", name):
        depth, width = int(wide[1]), int(wide[2])
        if (depth - 4) % 6 or not 10 <= depth <= 1000 or not 1 <= width <= 100:
            raise BadInput(
                f"backbone {name!r}: the depth of a Wide ResNet is 6n + 4, from 10 to 1000, its width 1 to 100 "
                "(wrn_10_2, wrn_16_2, wrn_28_2 …)"
            )
    elif not timm.is_model(name):
        known = [*timm.list_models(), "wrn_10_2", "wrn_16_2", "wrn_28_2"]
        raise BadInput(f"no backbone is called {name!r}{nearest(name, known)} (wrn_<depth>_<width> or a timm model)")


def build(shape: tuple[int, ...], *, name: str = "resnet18", weights: str | None = None, seed: int = 0) -> nn.Module:
    """Return a backbone that maps normalised images of `shape` to features; `num_features` is their width.

    Initial weights follow from `seed` and the name only. `weights` is a .safetensors or .pt file of the same network,
    from `ssal pretrain` or timm; a file made for the ImageNet stem keeps that stem.
    """
    if len(shape) == 1:
        return Identity(shape[0])
    check(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(seed, "backbone"))
        network = _new(name, shape, small_stem=max(shape[1:]) <= SMALL_IMAGE)
        if weights is not None and not _load(network, weights):
            network = _new(name, shape, small_stem=False)
            if not _load(network, weights):
                raise BadInput(
                    f"backbone.weights: {weights} does not fit the backbone {name!r}; "
                    f"name the network it was saved from in backbone.name (first parameters expected: "
                    f"{', '.join(list(network.state_dict())[:3])})"
                )
    return network


def _new(name: str, shape: tuple[int, ...], small_stem: bool) -> nn.Module:
    if wide := re.fullmatch(r"wrn_(\d+)_(\d+)", name):
        return WideResNet(int(wide[1]), int(wide[2]))
    options: dict[str, Any] = {"pretrained": False, "num_classes": 0, "in_chans": 3}
    try:
        network = timm.create_model(name, img_size=shape[1:], **options)
    except TypeError:  # only networks with position embeddings know their image size
        network = timm.create_model(name, **options)
    if small_stem:
        _keep_resolution(network)
    cast(Any, network).num_features = _width(network, name, shape)
    _no_stride_over_one_pixel(network, shape)
    return network


def _keep_resolution(network: nn.Module) -> None:
    """Keep small images' resolution: ResNets get a 3×3 stem without pooling, others stride 1 in their first layer."""
    if isinstance(getattr(network, "maxpool", None), nn.Module) and hasattr(network, "conv1"):
        network.conv1 = nn.Conv2d(3, cast(nn.BatchNorm2d, network.bn1).num_features, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
        network.maxpool = nn.Identity()
        return
    first = next((module for module in network.modules() if isinstance(module, nn.Conv2d)), None)
    if first is not None and first.stride == (2, 2):  # patches of vision transformers and ConvNeXt stay
        first.stride = (1, 1)


@torch.no_grad()
def _width(network: nn.Module, name: str, shape: tuple[int, ...]) -> int:
    """Return how many features come out, which is not what every timm model calls `num_features`."""
    try:
        width = int(network.eval()(torch.zeros(1, *shape)).shape[1])
    except (RuntimeError, AssertionError, ValueError) as error:
        raise BadInput(
            f"backbone {name!r} cannot take images of {shape[1]}×{shape[2]} pixels ({error}); "
            "type another data.size or backbone.name"
        ) from error
    network.train()
    return width


@torch.no_grad()
def _no_stride_over_one_pixel(network: nn.Module, shape: tuple[int, ...]) -> None:
    """Give convolutions that are shown maps of one pixel stride 1, with which they compute the same.

    With another stride, depthwise ones in bfloat16 and channels-last have gradients on CPUs that are whatever lay in
    memory (torch 2.13 and 2.15): MobileNets of 8-pixel images diverged, or learned noise.
    """

    def look(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        if isinstance(module, nn.Conv2d) and given[0].shape[2:] == made.shape[2:] == (1, 1):
            padding = module.padding if isinstance(module.padding, tuple) else (-1, -1)
            if all(2 * pad == size - 1 for pad, size in zip(padding, module.kernel_size, strict=True)):
                module.stride = (1, 1)

    hooks = [module.register_forward_hook(look) for module in network.modules() if isinstance(module, nn.Conv2d)]
    network.eval()(torch.zeros(1, *shape))
    network.train()
    for hook in hooks:
        hook.remove()


def _load(network: nn.Module, weights: str) -> bool:
    """Load a file into `network`; say whether every parameter but a classifier's found its place."""
    path = Path(weights)
    if not path.is_file():
        raise BadInput(f"backbone.weights: there is no file {path}; weights are never downloaded, put them there first")
    try:
        state = timm.models.load_state_dict(str(path), use_ema=False)
    except Exception as error:
        raise BadInput(f"backbone.weights: {path} cannot be read ({type(error).__name__}: {error})") from error
    wanted = network.state_dict()
    fits = {key: value for key, value in state.items() if key in wanted and wanted[key].shape == value.shape}
    if set(wanted) - set(fits):
        return False
    network.load_state_dict(fits)
    return True
