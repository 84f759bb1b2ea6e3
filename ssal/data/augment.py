"""Random views of a batch of images, on the device the images are on and with draws of its own for every image.

Images come as (B, 3, H, W) uint8. Draws follow from a CPU generator (or a seed) alone, so every device sees the same.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from kornia import augmentation as kornia
from torch import Tensor, nn

from ssal.data.randaugment import cutout as cut_out
from ssal.data.randaugment import randaugment


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return float32 pixels minus `mean` over `std`, both (3,) of pixels in [0, 1].

    A channel that never varies (std 0) is only centred, scaled as if its std were one grey level.
    """
    mean, std = mean.to(images.device).view(1, -1, 1, 1), std.to(images.device).view(1, -1, 1, 1)
    std = std.clamp_min(1 / 255)
    return images.float().mul_(1 / (255 * std)).sub_(mean / std)


def shift_pixels(side: int, share: float) -> int:
    """Return the largest shift in pixels: `share` of the side, at least 1 unless the share is 0 (32 px, 1/8: 4)."""
    if not 0 <= share < 1:
        raise ValueError(f"shift: expected a share of the side from 0 to below 1, got {share}")
    return min(max(1, int(share * side + 0.5)), side - 1) if share else 0


def _mirrored(places: Tensor, side: int) -> Tensor:
    """Fold places beyond the borders back in, without repeating the border pixel."""
    return (side - 1) - ((side - 1) - places.abs()).abs()


def weak(
    images: Tensor,
    generator: torch.Generator,
    *,
    flip: bool,
    shift: float = 0.125,
    places: tuple[Tensor, int] | None = None,
) -> Tensor:
    """Shift each image by its own whole pixels over reflected borders, and mirror every second one (Sohn et al., 2020).

    `shift` is a share of the side: 4 px at 32, as published. uint8 in and out. With `places`, the rows (B,) of the
    images among so many, each image gets the draw of its row, whatever stands beside it in the batch.
    """
    count, channels, height, width = images.shape
    kept, count = (slice(None), count) if places is None else places
    down, right = shift_pixels(height, shift), shift_pixels(width, shift)
    rows = torch.randint(-down, down + 1, (count, 1), generator=generator)[kept] + torch.arange(height)
    columns = torch.randint(-right, right + 1, (count, 1), generator=generator)[kept] + torch.arange(width)
    turned = torch.rand((count, 1), generator=generator)[kept] < 0.5
    if flip:
        columns = torch.where(turned, width - 1 - columns, columns)
    source = (_mirrored(rows, height) * width).unsqueeze(2) + _mirrored(columns, width).unsqueeze(1)
    source = source.flatten(1).unsqueeze(1).to(images.device).expand(-1, channels, -1)
    return images.flatten(2).gather(2, source).view_as(images)


def strong(
    images: Tensor, generator: torch.Generator, *, flip: bool, shift: float = 0.125, cutout: float = 0.5
) -> Tensor:
    """Return a weak view under RandAugment and then Cutout (Sohn et al., 2020); uint8 in and out.

    `cutout` is a share of the side: 16 px at 32, as published.
    """
    views = randaugment(weak(images, generator, flip=flip, shift=shift), generator)
    return cut_out(views, generator, cutout) if cutout else views


@lru_cache(maxsize=32)
def _contrastive(
    height: int,
    width: int,
    flip: bool,
    strength: float,
    saturation: float,
    min_scale: float,
    grayscale: float,
    blur: float,
    solarise: float,
    max_scale: float,
) -> nn.Sequential:
    kernel = max(3, int(0.1 * min(height, width)) // 2 * 2 + 1)
    steps: list[nn.Module] = [
        # "resample" crops the batch in one warp; "slice" loops over the images.
        kornia.RandomResizedCrop((height, width), scale=(min_scale, max_scale), cropping_mode="resample"),
        kornia.RandomHorizontalFlip(p=0.5 if flip else 0.0),
        kornia.ColorJitter(0.8 * strength, 0.8 * strength, saturation * strength, 0.2 * strength, p=0.8),
        kornia.RandomGrayscale(p=grayscale),
    ]
    if blur:
        steps.append(kornia.RandomGaussianBlur(kernel, (0.1, 2.0), p=blur))
    if solarise:
        steps.append(kornia.RandomSolarize(thresholds=(0.5, 0.5), additions=(0.0, 0.0), p=solarise))
    return nn.Sequential(*steps)


@torch.no_grad()
def contrastive(
    images: Tensor,
    stream_seed: int,
    *,
    flip: bool,
    strength: float = 0.5,
    saturation: float = 0.8,
    min_scale: float = 0.2,
    grayscale: float = 0.2,
    blur: float = 0.0,
    solarise: float = 0.0,
    max_scale: float = 1.0,
    size: tuple[int, int] | None = None,
) -> Tensor:
    """Crop, resize and recolour each image at random for self-supervision (Chen et al., 2020; Grill et al., 2020).

    A crop of `min_scale` to `max_scale` of the area with sides 3:4 to 4:3, a mirror image half the time if `flip`,
    colour jitter of 0.8, 0.8, `saturation` and 0.2 times `strength` with probability 0.8, then grey, blur (kernel a
    tenth of the side, sigma 0.1 … 2) and solarise (above one half) with the probabilities given. SimCLR leaves blur
    and solarise out on small images; BYOL's two views are `blur=1.0` and `blur=0.1, solarise=0.2`, with
    `saturation=0.4` for both. DINO's local crops have a `size` below that of the images and a `max_scale` below 1.
    uint8 in, float32 in [0, 1] out, of the same size or of `size` (height, width); no other random stream moves.
    Differs from the authors' code: crops are resized by bilinear interpolation with aligned corners, and the order of
    the four jitters, each of them equal to torchvision's, is drawn once per call. All else is drawn per image.
    """
    if not len(images):
        return images.float()
    height, width = size or images.shape[2:]
    steps = _contrastive(height, width, flip, strength, saturation, min_scale, grayscale, blur, solarise, max_scale)
    # kornia draws from the global CPU generator, whatever device the images are on.
    with torch.random.fork_rng(devices=[]), torch.autocast(images.device.type, enabled=False):
        torch.default_generator.manual_seed(stream_seed)
        return steps(images.float().div_(255)).clamp_(0, 1)
