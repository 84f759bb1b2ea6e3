"""The eight operations of RandAugment on pixel values, as Pillow's ImageOps and ImageEnhance compute them.

Six of them replace each value of a channel by another whatever its place, so they are one table of 256 entries per
image and channel and a whole batch takes one gather. Colour and sharpness mix the image with a derived one. Images
are (n, 3, H, W) uint8, amounts one per image or one for all. Arithmetic and rounding follow Pillow step by step, so
results are equal, not close.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Table = Callable[[Tensor, Tensor], Tensor]
"""(images (n, 3, H, W) uint8, amounts (n,) float64) -> (n, 3, 256) uint8."""


def _values(images: Tensor) -> Tensor:
    return torch.arange(256, device=images.device)


def _blend(first: Tensor, second: Tensor, factor: Tensor) -> Tensor:
    """Go from `first` (factor 0) to `second` (factor 1) or beyond, cutting off fractions and clipping to 0 … 255."""
    start = first.float()
    # Two roundings on purpose: a fused multiply-add would differ from Pillow in the last grey level.
    step = factor.float() * (second.float() - start)
    return (start + step).clamp_(0, 255).to(torch.uint8)


def _grey(images: Tensor) -> Tensor:
    """Return ITU-R 601 luma, (n, 1, H, W) int32, with Pillow's 16-bit weights."""
    red, green, blue = images.int().split(1, dim=1)
    return (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16


def auto_contrast_table(images: Tensor, amounts: Tensor) -> Tensor:
    """Stretch each channel to 0 … 255; a channel of a single value stays."""
    flat = images.flatten(2)
    low, high = flat.amin(2, keepdim=True).double(), flat.amax(2, keepdim=True).double()
    # A tensor over a tensor: torch makes 255.0 / x a rounded reciprocal times 255, one grey level off at times.
    scale = torch.full_like(low, 255) / (high - low).clamp_min(1)
    stretched = _values(images) * scale + -low * scale
    return torch.where(high > low, stretched.clamp_(0, 255), _values(images)).to(torch.uint8)


def equalize_table(images: Tensor, amounts: Tensor) -> Tensor:
    """Even out each channel's histogram; where fewer than 255 pixels lie below the brightest value it stays."""
    n, channels, height, width = images.shape
    index = images.flatten(2).long()
    histogram = torch.zeros(n, channels, 256, dtype=torch.int32, device=images.device)
    histogram.scatter_add_(2, index, torch.ones_like(index, dtype=torch.int32))
    brightest = histogram.gather(2, index.amax(2, keepdim=True))
    step = torch.div(height * width - brightest, 255, rounding_mode="floor")
    below = histogram.cumsum(2) - histogram
    evened = torch.div(step // 2 + below, step.clamp_min(1), rounding_mode="floor").clamp_(max=255)
    return torch.where(step > 0, evened, _values(images)).to(torch.uint8)


def solarize_table(images: Tensor, amounts: Tensor) -> Tensor:
    """Invert the values from `amounts` upwards."""
    values = _values(images)
    table = torch.where(values < amounts.view(-1, 1, 1), values, 255 - values)
    return table.to(torch.uint8).expand(len(images), images.shape[1], -1)


def posterize_table(images: Tensor, amounts: Tensor) -> Tensor:
    """Keep the `amounts` highest bits."""
    low = 2 ** (8 - amounts.long().view(-1, 1, 1))
    values = _values(images)
    return (values - values % low).to(torch.uint8).expand(len(images), images.shape[1], -1)


def brightness_table(images: Tensor, amounts: Tensor) -> Tensor:
    """Go from black by factor `amounts`."""
    values = _values(images)
    table = _blend(torch.zeros_like(values), values, amounts.view(-1, 1, 1))
    return table.expand(len(images), images.shape[1], -1)


def contrast_table(images: Tensor, amounts: Tensor) -> Tensor:
    """Go from the image's mean grey by factor `amounts`."""
    mean = (_grey(images).double().mean(dim=(1, 2, 3)) + 0.5).floor().view(-1, 1, 1)
    table = _blend(mean, _values(images), amounts.view(-1, 1, 1))
    return table.expand(len(images), images.shape[1], -1)


TABLES: dict[str, Table] = {
    "auto_contrast": auto_contrast_table,
    "equalize": equalize_table,
    "solarize": solarize_table,
    "posterize": posterize_table,
    "brightness": brightness_table,
    "contrast": contrast_table,
}


def look_up(images: Tensor, table: Tensor) -> Tensor:
    """Replace every value by its entry in the (n, 3, 256) table of its image and channel."""
    return table.gather(2, images.flatten(2).long()).view_as(images)


def _amounts(images: Tensor, amount: Tensor | float) -> Tensor:
    return torch.as_tensor(amount, dtype=torch.float64, device=images.device).expand(len(images))


def auto_contrast(images: Tensor, amount: Tensor | float = 0) -> Tensor:
    """Stretch each channel to 0 … 255, as ImageOps.autocontrast; `amount` has no effect."""
    return look_up(images, auto_contrast_table(images, _amounts(images, amount)))


def equalize(images: Tensor, amount: Tensor | float = 0) -> Tensor:
    """Even out each channel's histogram, as ImageOps.equalize; `amount` has no effect.

    Images of fewer than 256 pixels come back unchanged, as from Pillow.
    """
    return look_up(images, equalize_table(images, _amounts(images, amount)))


def solarize(images: Tensor, amount: Tensor | float) -> Tensor:
    """Invert the values from threshold `amount` upwards, as ImageOps.solarize."""
    return look_up(images, solarize_table(images, _amounts(images, amount)))


def posterize(images: Tensor, amount: Tensor | float) -> Tensor:
    """Keep the `amount` highest bits (1 … 8), as ImageOps.posterize."""
    return look_up(images, posterize_table(images, _amounts(images, amount)))


def brightness(images: Tensor, amount: Tensor | float) -> Tensor:
    """Scale brightness by `amount`, as ImageEnhance.Brightness."""
    return look_up(images, brightness_table(images, _amounts(images, amount)))


def contrast(images: Tensor, amount: Tensor | float) -> Tensor:
    """Scale the distance from the mean grey by `amount`, as ImageEnhance.Contrast."""
    return look_up(images, contrast_table(images, _amounts(images, amount)))


def color(images: Tensor, amount: Tensor | float) -> Tensor:
    """Scale the distance from grey by `amount`, as ImageEnhance.Color."""
    return _blend(_grey(images), images, _amounts(images, amount).view(-1, 1, 1, 1))


def sharpness(images: Tensor, amount: Tensor | float) -> Tensor:
    """Scale the distance from the smoothed image by `amount`, as ImageEnhance.Sharpness; the outermost pixels stay."""
    smooth = images.clone()
    whole = images.short()
    rows = whole[:, :, :-2] + whole[:, :, 1:-1] + whole[:, :, 2:]
    box = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    # The kernel is (1 1 1, 1 5 1, 1 1 1) / 13, rounded; a sum of whole numbers over 13 never ends in .5 exactly.
    weighted = box + 4 * whole[:, :, 1:-1, 1:-1]
    smooth[:, :, 1:-1, 1:-1] = (weighted.float() / 13 + 0.5).to(torch.uint8)
    return _blend(smooth, images, _amounts(images, amount).view(-1, 1, 1, 1))
