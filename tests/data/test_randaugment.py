from __future__ import annotations

import io
import tarfile

import pil_reference
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from real_images import shared_data
from sklearn.datasets import load_digits
from torch import Tensor

from ssal.data import affine, randaugment, tones
from ssal.data.randaugment import OPERATIONS, Policy, apply, cutout, draw, magnitudes
from ssal.streams import generator

LEVELS = [level for level in range(-9, 10) if level]
FUNCTIONS = {name: getattr(module, name) for module in (tones, affine) for name in OPERATIONS if hasattr(module, name)}


def made_up(count: int, height: int, width: int) -> Tensor:
    """Noise, soft gradients of little contrast, flat steps and one single grey."""
    images = torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=generator("made up"))
    quarter = count // 4
    ramp = torch.linspace(60, 130, width).expand(quarter, 3, height, width)
    images[quarter : 2 * quarter] = (ramp + 20 * images[quarter : 2 * quarter] / 255).to(torch.uint8)
    images[2 * quarter : 3 * quarter] = images[2 * quarter : 3 * quarter] // 64 * 50
    images[-1] = 7
    return images


def digits(count: int) -> Tensor:
    grey = torch.from_numpy(load_digits().images[:count] * 255 / 16).to(torch.uint8)
    return grey.unsqueeze(1).repeat(1, 3, 1, 1)


def from_tar(name: str, count: int) -> Tensor:
    with tarfile.open(shared_data(name)) as tar:
        members = [member for _, member in zip(range(50 * count), tar, strict=False) if member.isfile()][::40][:count]
        pictures = [Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB") for member in members]
    return torch.stack([pil_reference.to_tensor(picture) for picture in pictures])


BATCHES = {
    "8 px": lambda: made_up(12, 8, 8),
    "28 px": lambda: made_up(12, 28, 28),
    "32 px": lambda: made_up(12, 32, 32),
    "17 by 40 px": lambda: made_up(12, 17, 40),
    "digits": lambda: digits(12),
    "fashion": lambda: from_tar("fashion-mnist/fashion-mnist-12k.tar", 12),
    "cifar": lambda: from_tar("cifar10-lossless/cifar10-lossless.tar", 12),
}


def test_there_are_fourteen_operations_and_thirteen_change_something() -> None:
    assert len(set(OPERATIONS)) == 14
    assert set(FUNCTIONS) == set(OPERATIONS) - {"identity"}


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_operation_equals_pillow(name: str, batch: str) -> None:
    """At every level, and with one amount per image as with one for all."""
    images = BATCHES[batch]()
    height, width = images.shape[2:]
    signed = LEVELS if name in affine.MATRICES else [level for level in LEVELS if level > 0]
    expected = []
    for level in signed:
        amount = pil_reference.amount_of(name, level, width if name == "translate_x" else height)
        expected.append(pil_reference.each(images, name, amount))
        assert torch.equal(FUNCTIONS[name](images, amount), expected[-1]), (level, amount)
    amounts = magnitudes(height, width)[OPERATIONS.index(name), torch.tensor(signed) + 9]
    several = FUNCTIONS[name](images.repeat(len(signed), 1, 1, 1), amounts.repeat_interleave(len(images)))
    assert torch.equal(several, torch.cat(expected))


@pytest.mark.parametrize("name", ["brightness", "contrast", "color", "sharpness"])
def test_factor_one_changes_nothing(name: str) -> None:
    images = made_up(8, 32, 32)
    assert torch.equal(FUNCTIONS[name](images, 1.0), images)


def test_published_magnitudes() -> None:
    """Worked by hand for level 7 of 10 and level -3."""
    table = magnitudes(32, 32)

    def at(name: str, level: int) -> float:
        return table[OPERATIONS.index(name), level + 9].item()

    assert [at(name, 7) for name in ("rotate", "translate_x", "translate_y", "solarize", "posterize")] == [
        21, 7, 7, 256 - 179, 2,
    ]  # fmt: skip
    assert at("shear_x", 7) == pytest.approx(0.21)
    assert at("color", 7) == at("brightness", -7) == pytest.approx(1.36)
    assert (at("rotate", -3), at("translate_y", -3), at("posterize", -3)) == (-9, -3, 3)
    assert at("shear_y", -3) == pytest.approx(-0.09)


def test_translations_scale_with_the_side() -> None:
    table = magnitudes(8, 64)
    assert table[OPERATIONS.index("translate_y"), torch.tensor([10, 13, 18, 0])].tolist() == [0, 1, 2, -2]
    assert table[OPERATIONS.index("translate_x"), torch.tensor([10, 18])].tolist() == [2, 18]


@pytest.mark.parametrize("batch", ["8 px", "32 px", "17 by 40 px", "cifar"])
def test_whole_policy_equals_pillow_image_by_image(batch: str) -> None:
    """Order of operations, empty places after a second operation, and who gets what."""
    images = BATCHES[batch]().repeat(40, 1, 1, 1)
    policy = draw(len(images), generator("policy", batch), operations=3, probability=0.9)
    views = apply(images, policy)
    for at in range(len(images)):
        steps = [(OPERATIONS[policy.operation[s, at]], int(policy.level[s, at])) for s in range(3)]
        assert torch.equal(views[at], pil_reference.apply_policy(images[at], steps)), steps


def test_draws_follow_the_published_rule() -> None:
    """14 operations alike, half of them applied, levels 1 … 9 and signs alike; all within 5 standard deviations."""
    count = 40_000
    policy = draw(count, generator("rule"), operations=2, probability=1.0)
    assert policy.operation.shape == policy.level.shape == (2, count)
    for values, kinds in ((policy.operation, 14), (policy.level.abs() - 1, 9), ((policy.level > 0).long(), 2)):
        shares = torch.bincount(values.flatten(), minlength=kinds) / (2 * count)
        assert len(shares) == kinds
        assert (shares - 1 / kinds).abs().max() < 5 * (kinds - 1) ** 0.5 / kinds / (2 * count) ** 0.5
    same = (policy.operation[0] == policy.operation[1]).float().mean()
    assert abs(same - 1 / 14) < 0.007, "drawn with replacement"
    half = draw(count, generator("rule"), operations=2, probability=0.5)
    changed = (half.operation != policy.operation).float().mean()
    assert abs(changed - 0.5 * 13 / 14) < 0.01


def test_policies_are_drawn_per_image() -> None:
    images = digits(1).repeat(300, 1, 1, 1)
    views = randaugment.randaugment(images, generator("per image"))
    assert len(views.flatten(1).unique(dim=0)) > 60
    assert 0.2 < (views == images).flatten(1).all(1).float().mean() < 0.5, "about (1 - 13/28)² are left alone"


def test_empty_places_are_grey_unless_an_operation_without_alpha_follows() -> None:
    images = torch.full((3, 3, 32, 32), 200, dtype=torch.uint8)
    shift, invert, stay = (OPERATIONS.index(name) for name in ("translate_x", "solarize", "identity"))
    policy = Policy(torch.tensor([[shift] * 3, [stay, invert, shift]]), torch.tensor([[4] * 3, [4, 4, 4]]))
    after = apply(images, policy)
    assert (after[0, :, :, 28:] == 127).all() and (after[0, :, :, :28] == 200).all()
    assert (after[1, :, :, 28:] == 0).all() and (after[1, :, :, :28] == 55).all()
    assert (after[2, :, :, 24:] == 127).all() and (after[2, :, :, :24] == 200).all(), "a hole moves with the image"


@settings(max_examples=40, deadline=None)
@given(height=st.integers(8, 64), width=st.integers(8, 64), count=st.integers(0, 9), seed=st.integers(0, 2**40))
def test_any_size(height: int, width: int, count: int, seed: int) -> None:
    images = made_up(8, height, width)[:count] if count < 8 else made_up(count, height, width)
    untouched = images.clone()
    views = randaugment.randaugment(images, generator(seed), operations=3)
    assert views.shape == images.shape and views.dtype == torch.uint8
    assert torch.equal(images, untouched), "the images given are not written to"
    assert torch.equal(views, randaugment.randaugment(images, generator(seed), operations=3))
    assert torch.equal(randaugment.randaugment(images, generator(seed), probability=0.0), images)
    assert torch.equal(randaugment.randaugment(images, generator(seed), operations=0), images)


@pytest.mark.parametrize("side, half", [(8, 2), (28, 7), (32, 8), (64, 16)])
def test_cutout_is_a_clipped_square_of_half_the_side(side: int, half: int) -> None:
    images = torch.zeros(2000, 3, side, side, dtype=torch.uint8)
    covered = cutout(images, generator("cutout"))
    assert covered.unique().tolist() == [0, 127]
    assert (covered[:, 0] == covered[:, 2]).all()
    covered = covered[:, 0] > 0
    heights, widths = covered.any(2).sum(1), covered.any(1).sum(1)
    assert torch.equal(heights * widths, covered.sum((1, 2))), "a rectangle, filled"
    assert heights.max() == 2 * half and heights.min() == half, "clipped at the borders"
    whole = (heights == 2 * half).float().mean()
    assert abs(whole - (side - 2 * half + 1) / side) < 0.05, "uniform centre"
    expected = torch.tensor([min(side, c + half) - max(0, c - half) for c in range(side)]).float().mean()
    assert heights.float().mean() == pytest.approx(expected.item(), rel=0.03)


def test_cutout_of_nothing() -> None:
    images = made_up(8, 32, 32)
    assert torch.equal(cutout(images, generator(0), 0.0), images)


@pytest.mark.gpu
def test_devices_agree() -> None:
    images = made_up(256, 32, 32)
    here = randaugment.randaugment(images, generator("device"), operations=3, probability=1.0)
    there = randaugment.randaugment(images.cuda(), generator("device"), operations=3, probability=1.0)
    assert there.is_cuda and torch.equal(here, there.cpu())
    assert torch.equal(cutout(images, generator(1)), cutout(images.cuda(), generator(1)).cpu())
