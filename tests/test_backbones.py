"""Backbones: shapes, sizes, stems for small images, initial weights that follow from the seed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from ssal.artefacts import write_tensors
from ssal.backbones import Identity, build, check
from ssal.errors import BadInput


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def same(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().items(), second.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


def map_sizes(network: nn.Module, side: int) -> list[int]:
    """Return the sides of the maps that convolutions make of an image, one after the other."""
    sizes: list[int] = []

    def note(module: nn.Module, given: tuple[torch.Tensor, ...], maps: torch.Tensor) -> None:
        sizes.append(maps.shape[-1])

    hooks = [module.register_forward_hook(note) for module in network.modules() if isinstance(module, nn.Conv2d)]
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, side, side))
    for hook in hooks:
        hook.remove()
    return list(dict.fromkeys(sizes))


@pytest.mark.parametrize(("name", "expected"), [("wrn_28_2", 1_467_610), ("wrn_28_8", 23_354_842)])
def test_wide_resnets_have_the_papers_size(name: str, expected: int) -> None:
    """1.47 and 23.4 million parameters with ten classes are what the FixMatch family reports for its networks."""
    network = build((3, 32, 32), name=name)
    assert parameters(network) + parameters(nn.Linear(network.num_features, 10)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("side", [8, 28, 32])
def test_wide_resnet_maps_halve_twice(side: int) -> None:
    network = build((3, side, side), name="wrn_10_2")
    assert map_sizes(network, side) == [side, -(-side // 2), -(-side // 4)]
    network.train()
    features = network(torch.rand(5, 3, side, side))
    assert features.shape == (5, 128) and network.num_features == 128
    features.sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize("name", ["resnet18", "resnet10t", "test_resnet"])
def test_small_images_meet_a_small_stem(name: str) -> None:
    """At 32 pixels the first map keeps its 32 pixels and the last has 4 × 4; an ImageNet stem would leave 1 × 1."""
    network = build((3, 32, 32), name=name)
    assert map_sizes(network, 32) == [32, 16, 8, 4]
    conv = network.conv1
    assert isinstance(conv, nn.Conv2d) and conv.kernel_size == (3, 3) and conv.stride == (1, 1) and conv.bias is None
    usual = timm.create_model(name, pretrained=False, num_classes=0)
    assert map_sizes(usual, 32)[-1] == 1
    assert network(torch.rand(2, 3, 32, 32)).shape == (2, network.num_features)


@pytest.mark.parametrize(("side", "last"), [(64, 8), (65, 3), (96, 3)])
def test_larger_images_keep_the_stem_of_imagenet(side: int, last: int) -> None:
    assert map_sizes(build((3, side, side), name="resnet10t"), side)[-1] == last


def test_a_vision_transformer_is_built_for_the_size_of_the_images() -> None:
    for side, patches in ((32, 4), (64, 16)):
        network = build((3, side, side), name="test_vit")
        assert network.pos_embed.shape[1] == patches + 1, "patches of 16 pixels and the class token"  # type: ignore[union-attr, index]
        assert network(torch.rand(2, 3, side, side)).shape == (2, network.num_features)


@pytest.mark.parametrize(
    "name", ["mobilenetv3_small_050", "convnext_atto", "test_efficientnet", "test_vit", "wrn_10_1"]
)
def test_the_width_is_what_comes_out(name: str) -> None:
    """A head is built for `num_features`, which some timm models use for an inner width."""
    network = build((3, 32, 32), name=name)
    assert network.training
    assert network.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, network.num_features)


@pytest.mark.parametrize("name", ["wrn_10_1", "test_resnet", "test_vit"])
def test_initial_weights_follow_from_the_seed_alone(name: str) -> None:
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    first = build((3, 32, 32), name=name, seed=3)
    assert torch.equal(torch.random.get_rng_state(), state), "the global stream stays where it was"
    torch.rand(9)
    assert same(first, build((3, 32, 32), name=name, seed=3))
    assert not same(first, build((3, 32, 32), name=name, seed=4))


def test_embeddings_pass_through() -> None:
    network = build((12,), name="wrn_10_1")
    features = torch.rand(4, 12)
    assert isinstance(network, Identity) and network.num_features == 12 and torch.equal(network(features), features)


@pytest.mark.parametrize("name", ["wrn_10_1", "wrn_28_2", "resnet18", "resnet18.a1_in1k", "vit_tiny_patch16_224"])
def test_known_names(name: str) -> None:
    check(name)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("resnet81", "no backbone is called 'resnet81'; did you mean 'resnet18'?"),
        ("wrn28_2", "no backbone is called 'wrn28_2'; did you mean 'wrn_28_2'?"),
        ("wrn_28", "no backbone is called 'wrn_28'; did you mean 'wrn_28_2'?"),
        ("WRN_28_2", "no backbone is called 'WRN_28_2'; did you mean 'wrn_28_2'?"),
        ("", "no backbone is called ''"),
        ("wrn_27_2", "the depth of a Wide ResNet is 6n + 4"),
        ("wrn_4_2", "the depth of a Wide ResNet is 6n + 4"),
        ("wrn_28_0", "its width 1 to 100"),
    ],
)
def test_unknown_names(name: str, says: str) -> None:
    with pytest.raises(BadInput, match=re.escape(says)):
        check(name)
    with pytest.raises(BadInput):
        build((3, 8, 8), name=name)


@pytest.mark.parametrize(("name", "side"), [("test_vit", 40), ("inception_v3", 32)])
def test_a_network_that_cannot_take_the_images_says_so(name: str, side: int) -> None:
    says = f"backbone '{name}' cannot take images of {side}×{side} pixels (.*); type another data.size"
    with pytest.raises(BadInput, match=says):
        build((3, side, side), name=name)


@pytest.mark.parametrize("name", ["wrn_10_1", "test_resnet", "resnet10t"])
@pytest.mark.parametrize("ending", ["safetensors", "pt"])
def test_weights_of_the_same_network_are_loaded(name: str, ending: str, tmp_path: Path) -> None:
    made = build((3, 32, 32), name=name, seed=1)
    for buffer in made.buffers():
        buffer += 2  # BatchNorm statistics are weights too
    path = tmp_path / f"w.{ending}"
    if ending == "pt":
        torch.save(made.state_dict(), path)
    else:
        write_tensors(path, made.state_dict())
    assert same(build((3, 32, 32), name=name, weights=str(path), seed=0), made)


@pytest.mark.parametrize("name", ["test_resnet", "resnet10t"])
def test_weights_of_timm_bring_their_own_stem_and_leave_the_classifier(name: str, tmp_path: Path) -> None:
    """A file made for ImageNet: the first convolution stays as it was trained, the 1000 classes are left aside."""
    made = timm.create_model(name, pretrained=False)
    torch.save({"state_dict": made.state_dict()}, tmp_path / "w.pth")
    network = build((3, 32, 32), name=name, weights=str(tmp_path / "w.pth"))
    state = made.state_dict()
    loaded = network.state_dict()
    assert set(state) - set(loaded) == {"fc.weight", "fc.bias"}
    assert all(torch.equal(rows, state[key]) for key, rows in loaded.items())


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    write_tensors(tmp_path / "w.safetensors", build((3, 8, 8), name="wrn_10_1").state_dict())
    (tmp_path / "broken.safetensors").write_bytes(b"no weights at all")
    (tmp_path / "broken.pt").write_bytes(b"no weights at all")
    for name, weights, says in (
        ("wrn_10_2", "w.safetensors", "does not fit the backbone 'wrn_10_2'"),
        ("wrn_16_1", "w.safetensors", "does not fit the backbone 'wrn_16_1'"),
        ("test_resnet", "w.safetensors", "does not fit the backbone 'test_resnet'"),
        ("wrn_10_1", "broken.safetensors", "cannot be read"),
        ("wrn_10_1", "broken.pt", "cannot be read"),
        ("wrn_10_1", "none.pt", "there is no file .*; weights are never downloaded"),
    ):
        with pytest.raises(BadInput, match=f"^backbone.weights: .*{says}"):
            build((3, 8, 8), name=name, weights=str(tmp_path / weights))


@pytest.mark.parametrize("name", ["efficientnet_b0", "regnetx_002", "mobilenetv3_small_050"])
def test_other_families_keep_a_small_images_resolution_for_one_more_stage(name: str) -> None:
    small = build((3, 32, 32), name=name)
    first = next(module for module in small.modules() if isinstance(module, nn.Conv2d))
    assert first.stride == (1, 1)
    large = build((3, 96, 96), name=name)
    assert next(module for module in large.modules() if isinstance(module, nn.Conv2d)).stride == (2, 2)


@pytest.mark.parametrize("name", ["lcnet_035", "mobilenetv3_small_050"])
@pytest.mark.parametrize("side", [8, 24])
def test_no_convolution_over_one_pixel_has_a_stride(name: str, side: int) -> None:
    """In bfloat16 and channels-last torch's own gradient of a depthwise one is, now and then, what was in memory."""
    network, seen = build((3, side, side), name=name).eval(), list[tuple[int, ...]]()
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.stride != (1, 1):
            module.register_forward_hook(lambda _, given, made: seen.append(given[0].shape[2:]))
    network(torch.zeros(1, 3, side, side))
    assert seen and (1, 1) not in seen


def test_convolutions_over_one_pixel_compute_the_same_without_their_stride() -> None:
    network, images = build((3, 8, 8), name="lcnet_035").eval(), torch.randn(4, 3, 8, 8)
    before = timm.create_model("lcnet_035", num_classes=0).eval()
    before.load_state_dict(network.state_dict())
    next(module for module in before.modules() if isinstance(module, nn.Conv2d)).stride = (1, 1)  # the small stem
    own, theirs = ([one.stride for one in net.modules() if isinstance(one, nn.Conv2d)] for net in (network, before))
    assert own != theirs, "a stride is gone"
    assert torch.equal(network(images), before(images))
