from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms.v2 import functional

from ssal.data import augment
from ssal.data.randaugment import cutout, randaugment
from ssal.streams import generator

VIEWS = {
    "weak": lambda images, seed, **options: augment.weak(images, generator(seed), **options),
    "strong": lambda images, seed, **options: augment.strong(images, generator(seed), **options),
    "contrastive": lambda images, seed, **options: augment.contrastive(images, seed, **options),
}


def noise(count: int, height: int, width: int) -> Tensor:
    return torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=generator("noise"))


def test_normalise() -> None:
    images = noise(50, 8, 8)
    pixels = images.double() / 255
    mean, std = pixels.mean((0, 2, 3)), pixels.std((0, 2, 3))
    normal = augment.normalise(images, mean.float(), std.float())
    assert normal.dtype == torch.float32
    assert torch.allclose(normal.double(), (pixels - mean.view(1, -1, 1, 1)) / std.view(1, -1, 1, 1), atol=1e-5)
    white = augment.normalise(torch.full((1, 3, 2, 2), 255, dtype=torch.uint8), torch.zeros(3), torch.full((3,), 0.5))
    assert torch.allclose(white, torch.full((1, 3, 2, 2), 2.0))


def test_normalise_of_a_constant_channel_is_finite() -> None:
    images = torch.full((4, 3, 8, 8), 51, dtype=torch.uint8)
    normal = augment.normalise(images, torch.full((3,), 0.2), torch.zeros(3))
    assert normal.abs().max() < 1e-3


@pytest.mark.parametrize("side, share, pixels", [
    (32, 0.125, 4), (28, 0.125, 4), (96, 0.125, 12), (8, 0.125, 1), (8, 0.01, 1), (8, 0.0, 0), (8, 0.99, 7),
])  # fmt: skip
def test_shift_is_a_share_of_the_side(side: int, share: float, pixels: int) -> None:
    assert augment.shift_pixels(side, share) == pixels


@pytest.mark.parametrize("share", [-0.1, 1.0, 4])
def test_shift_out_of_range(share: float) -> None:
    with pytest.raises(ValueError, match="share of the side"):
        augment.weak(noise(1, 8, 8), generator(0), flip=False, shift=share)


@pytest.mark.parametrize("height, width, shift", [(8, 8, 0.125), (32, 32, 0.125), (12, 20, 0.3)])
def test_weak_is_a_crop_of_the_reflected_image(height: int, width: int, shift: float) -> None:
    """Every view equals one of numpy's reflect-padded crops, mirrored or not, and all of them turn up alike."""
    images = noise(1, height, width)
    down, right = augment.shift_pixels(height, shift), augment.shift_pixels(width, shift)
    padded = np.pad(images[0].numpy(), ((0, 0), (down, down), (right, right)), mode="reflect")
    crops = {}
    for top in range(2 * down + 1):
        for left in range(2 * right + 1):
            crop = padded[:, top : top + height, left : left + width]
            crops[crop.tobytes()] = (top, left, 0)
            crops[crop[:, :, ::-1].tobytes()] = (top, left, 1)
    count = 40 * len(crops)
    views = augment.weak(images.expand(count, -1, -1, -1), generator("weak"), flip=True, shift=shift)
    seen = torch.tensor([crops[view.numpy().tobytes()] for view in views])
    kinds, times = seen.unique(dim=0, return_counts=True)
    assert len(kinds) == len(crops) and times.max() < 40 + 6 * 40**0.5


@pytest.mark.parametrize("name", VIEWS)
def test_two_equal_images_get_different_draws(name: str) -> None:
    pair = noise(1, 32, 32).repeat(2, 1, 1, 1)
    different = [not torch.equal(*VIEWS[name](pair, seed, flip=True)) for seed in range(100)]
    assert sum(different) > 90


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("flip", [False, True])
def test_mirrors_only_when_told(name: str, flip: bool) -> None:
    """A bright left edge stays left: in the weak view exactly, in the others for the mean of many views."""
    images = torch.zeros(2000, 3, 16, 16, dtype=torch.uint8)
    images[..., :8] = 255
    # Cutout hides as much left as right; grey and colour leave the sides' order alone, except when solarised.
    views = VIEWS[name](images, 3, flip=flip).float()
    side = (views[..., :4].mean((1, 2, 3)) - views[..., -4:].mean((1, 2, 3))).sign()
    if flip:
        assert abs(side.mean()) < 0.12
    elif name == "strong":
        assert side.mean() > 0.7
    else:
        assert side.min() == 1 if name == "weak" else side.min() >= 0


def test_without_flip_and_shift_weak_is_the_image() -> None:
    images = noise(9, 28, 28)
    assert torch.equal(augment.weak(images, generator(0), flip=False, shift=0), images)


def test_strong_is_weak_then_randaugment_then_cutout() -> None:
    images, stream = noise(64, 32, 32), generator("strong")
    expected = cutout(randaugment(augment.weak(images, stream, flip=True), stream), stream)
    assert torch.equal(augment.strong(images, generator("strong"), flip=True), expected)
    assert (expected == 127).all(1).float().mean((1, 2)).min() >= 64 / 1024, "always a square, at least its corner"
    bare = augment.strong(images, generator("strong"), flip=True, cutout=0)
    assert (bare == 127).all(1).float().mean((1, 2)).min() == 0


@pytest.mark.parametrize("name", VIEWS)
def test_views_follow_from_the_seed_alone(name: str) -> None:
    images = noise(16, 32, 32)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = VIEWS[name](images, 5, flip=True)
    assert torch.equal(torch.get_rng_state(), state), "the global stream has moved"
    torch.manual_seed(2)
    assert torch.equal(first, VIEWS[name](images, 5, flip=True))
    assert not torch.equal(first, VIEWS[name](images, 6, flip=True))


@settings(max_examples=25, deadline=None)
@given(height=st.integers(8, 64), width=st.integers(8, 64), count=st.integers(0, 5), seed=st.integers(0, 2**62))
def test_any_size(height: int, width: int, count: int, seed: int) -> None:
    images = noise(count, height, width)
    untouched = images.clone()
    for name in ("weak", "strong"):
        views = VIEWS[name](images, seed, flip=True)
        assert views.shape == images.shape and views.dtype == torch.uint8
    views = augment.contrastive(images, seed, flip=True, blur=0.5, solarise=0.5)
    assert views.shape == images.shape and views.dtype == torch.float32
    assert views.isfinite().all() and ((views >= 0) & (views <= 1)).all()
    assert torch.equal(images, untouched)


def test_contrastive_crops_keep_the_least_share() -> None:
    ramp = torch.arange(64).mul(4).to(torch.uint8)
    image = torch.stack([ramp.expand(64, 64), ramp.view(-1, 1).expand(64, 64), torch.zeros(64, 64, dtype=torch.uint8)])
    images = image.expand(500, -1, -1, -1)
    shares = []
    for least in (0.08, 0.5):
        views = augment.contrastive(images, 3, flip=False, strength=0, grayscale=0, min_scale=least)
        width = (views[:, 0].amax((1, 2)) - views[:, 0].amin((1, 2))) * 255 / 252
        height = (views[:, 1].amax((1, 2)) - views[:, 1].amin((1, 2))) * 255 / 252
        shares.append(width * height)
        assert (width / height).log().abs().max() < 0.288 + 0.1
    assert shares[0].min() < 0.12 and 0.46 < shares[0].mean() < 0.6
    assert shares[1].min() > 0.45 and 0.65 < shares[1].mean() < 0.8


def test_local_crops_keep_the_most_share_at_a_size_of_their_own() -> None:
    ramp = torch.arange(64).mul(4).to(torch.uint8)
    image = torch.stack([ramp.expand(64, 64), ramp.view(-1, 1).expand(64, 64), torch.zeros(64, 64, dtype=torch.uint8)])
    how = {"strength": 0, "grayscale": 0, "min_scale": 0.05, "max_scale": 0.4, "size": (28, 20)}
    views = augment.contrastive(image.expand(500, -1, -1, -1), 3, flip=False, **how)
    assert views.shape == (500, 3, 28, 20)
    width = (views[:, 0].amax((1, 2)) - views[:, 0].amin((1, 2))) * 255 / 252
    height = (views[:, 1].amax((1, 2)) - views[:, 1].amin((1, 2))) * 255 / 252
    shares = width * height
    assert shares.min() < 0.09 and 0.38 < shares.max() < 0.42 and 0.18 < shares.mean() < 0.27


def test_contrastive_with_everything_off_is_the_image() -> None:
    images = noise(6, 32, 32)
    views = augment.contrastive(images, 1, flip=False, strength=0, grayscale=0, min_scale=1.0)
    aspect_kept = (views - images / 255).abs().amax((1, 2, 3)) < 1e-4
    assert aspect_kept.all(), "a whole-image crop leaves nothing to resize"


def test_grey_share_and_grey_images() -> None:
    images = noise(1, 8, 8).repeat(2000, 1, 1, 1)
    views = augment.contrastive(images, 2, flip=False, strength=0, min_scale=0.5, grayscale=0.2)
    grey = ((views[:, 0] - views[:, 1]).abs().amax((1, 2)) < 1e-3).float().mean()
    assert abs(grey - 0.2) < 0.05
    same = images[:50, :1].repeat(1, 3, 1, 1)
    views = augment.contrastive(same, 2, flip=False)
    assert (views[:, 0] - views[:, 2]).abs().max() < 1e-3, "hue and saturation leave grey images grey"


def test_solarise_inverts_the_bright_half() -> None:
    images = torch.tensor([40, 120, 140, 255], dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 3, 16, 16)
    views = augment.contrastive(images, 0, flip=False, strength=0, grayscale=0, solarise=1.0)
    assert torch.allclose(views[:, 0, 8, 8] * 255, torch.tensor([40.0, 120.0, 115.0, 0.0]), atol=0.1)


def test_blur_smooths_each_image_by_its_own_amount() -> None:
    images = noise(1, 64, 64).repeat(50, 1, 1, 1)
    plain = augment.contrastive(images, 0, flip=False, strength=0, grayscale=0, min_scale=0.99)
    blurred = augment.contrastive(images, 0, flip=False, strength=0, grayscale=0, min_scale=0.99, blur=1.0)
    rest = blurred.std((1, 2, 3)) / plain.std((1, 2, 3))
    assert rest.max() < 1.001 and rest.min() < 0.3
    assert len(rest.mul(1000).round().unique()) > 20


def test_jitter_strength() -> None:
    """A mid-grey image only moves in brightness: 0.8 s either way, four times in five."""
    images = torch.full((3000, 3, 8, 8), 102, dtype=torch.uint8)
    views = augment.contrastive(images, 4, flip=False, strength=0.5, grayscale=0)[:, 0, 4, 4] / 0.4
    assert abs((views - 1).abs().lt(1e-4).float().mean() - 0.2) < 0.04
    assert views.min() > 0.6 - 1e-3 and views.max() < 1.4 + 1e-3
    assert views.min() < 0.62 and views.max() > 1.38


def test_jitters_equal_torchvisions() -> None:
    """Factors are kornia's own draws; the order is whichever it drew, so a reordered or unlike jitter shows."""
    images = noise(40, 16, 16)
    jitter = next(step for step in augment._contrastive(16, 16, False, 1.0, 0.8, 1.0, 0.0, 0.0, 0.0, 1.0)
                  if type(step).__name__ == "ColorJitter")  # fmt: skip
    views = augment.contrastive(images, 11, flip=False, strength=1.0, min_scale=1.0, grayscale=0.0)
    drawn, checked = jitter._params, 0
    functions = [functional.adjust_brightness, functional.adjust_contrast, functional.adjust_saturation,
                 functional.adjust_hue]  # fmt: skip
    factors = [drawn[f"{name}_factor"] for name in ("brightness", "contrast", "saturation", "hue")]
    for at in range(len(images)):
        expected = images[at].float() / 255
        if drawn["batch_prob"][at]:
            for which in drawn["order"].tolist():
                expected = functions[which](expected, factors[which][at].item())
            checked += 1
        assert torch.allclose(views[at], expected, atol=1e-3)
    assert 20 < checked < 40 and len(factors[0].unique()) == 40


def test_contrastive_is_not_moved_by_autocast() -> None:
    images = noise(8, 32, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = augment.contrastive(images, 9, flip=True, blur=0.5)
    assert torch.equal(under, augment.contrastive(images, 9, flip=True, blur=0.5))


@pytest.mark.gpu
def test_devices_agree() -> None:
    images = noise(64, 32, 32)
    for name in ("weak", "strong"):
        there = VIEWS[name](images.cuda(), 1, flip=True)
        assert there.is_cuda and torch.equal(there.cpu(), VIEWS[name](images, 1, flip=True))
    there = augment.contrastive(images.cuda(), 1, flip=True, blur=0.5, solarise=0.2)
    here = augment.contrastive(images, 1, flip=True, blur=0.5, solarise=0.2)
    # Rounding differs a little, and a pixel at the solarise threshold may fall on the other side.
    assert there.is_cuda and ((there.cpu() - here).abs() < 1e-3).float().mean() > 0.999
    mean, std = torch.rand(3), torch.rand(3)
    assert torch.allclose(augment.normalise(images.cuda(), mean, std).cpu(), augment.normalise(images, mean, std))
