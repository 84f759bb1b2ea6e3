"""FixMatch's RandAugment for one image, written with Pillow alone: what the batched code is held against.

`amount_of` restates the published magnitudes, `change` applies one operation to an RGB or RGBA image.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps

WITHOUT_ALPHA = ("auto_contrast", "equalize", "solarize", "posterize")


def amount_of(name: str, level: int, side: int = 32) -> float:
    """Return degrees, slope, pixels, threshold, bits or factor for a signed level."""
    strength, sign = abs(level), 1 if level > 0 else -1
    if name in ("color", "contrast", "brightness", "sharpness"):
        return strength * 1.8 / 10 + 0.1
    return {
        "rotate": sign * int(strength * 30 / 10),
        "shear_x": sign * (strength * 0.3 / 10),
        "shear_y": sign * (strength * 0.3 / 10),
        "translate_x": sign * int(strength * side / 32 + 0.5),
        "translate_y": sign * int(strength * side / 32 + 0.5),
        "solarize": 256 - int(strength * 256 / 10),
        "posterize": 4 - int(strength * 4 / 10),
    }.get(name, 0)


def change(image: Image.Image, name: str, amount: float) -> Image.Image:
    """Apply one operation; those that Pillow has for RGB only drop and reset the alpha channel."""
    if name in WITHOUT_ALPHA and image.mode == "RGBA":
        return change(image.convert("RGB"), name, amount).convert("RGBA")
    matrices = {
        "shear_x": (1, amount, 0, 0, 1, 0),
        "shear_y": (1, 0, 0, amount, 1, 0),
        "translate_x": (1, 0, amount, 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, amount),
    }
    if name in matrices:
        return image.transform(image.size, Image.Transform.AFFINE, matrices[name])
    if name == "rotate":
        return image.rotate(amount)
    if name == "auto_contrast":
        return ImageOps.autocontrast(image)
    if name == "equalize":
        return ImageOps.equalize(image)
    if name == "solarize":
        return ImageOps.solarize(image, int(amount))
    if name == "posterize":
        return ImageOps.posterize(image, int(amount))
    if name == "identity":
        return image
    return getattr(ImageEnhance, name.capitalize())(image).enhance(amount)


def to_pil(image: torch.Tensor) -> Image.Image:
    return Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())


def to_tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def each(images: torch.Tensor, name: str, amount: float) -> torch.Tensor:
    """Apply one operation to every image of a batch."""
    return torch.stack([to_tensor(change(to_pil(image), name, amount)) for image in images])


def apply_policy(image: torch.Tensor, steps: list[tuple[str, int]]) -> torch.Tensor:
    """Apply (name, signed level) steps with an alpha channel, and grey out what is transparent at the end."""
    picture = to_pil(image).convert("RGBA")
    for name, level in steps:
        side = picture.width if name == "translate_x" else picture.height
        picture = change(picture, name, amount_of(name, level, side))
    pixels = to_tensor(picture)
    return torch.where(pixels[3] == 0, torch.tensor(127, dtype=torch.uint8), pixels[:3])
