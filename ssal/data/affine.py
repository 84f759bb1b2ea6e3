"""The five geometric operations of RandAugment: one 2×3 matrix per image, one nearest-neighbour gather for the batch.

Pixel for pixel what Pillow's `Image.transform(size, AFFINE, matrix)` and `Image.rotate(angle)` return, because the
source positions are computed as Pillow does: at pixel centres, in 16.16 fixed point. A matrix leads from the output
back to the input, x' = a x + b y + c and y' = d x + e y + f, and is made on the CPU in float64.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Matrix = Callable[[Tensor, int, int], Tensor]
"""(amounts (n,) float64, height, width) -> (n, 6) float64."""


def _matrix(amount: Tensor, **entries: Tensor) -> Tensor:
    """Return identity matrices with some of the entries a … f replaced."""
    matrix = amount.new_tensor([1, 0, 0, 0, 1, 0]).repeat(len(amount), 1)
    for letter, values in entries.items():
        matrix[:, "abcdef".index(letter)] = values
    return matrix


def rotation(amount: Tensor, height: int, width: int) -> Tensor:
    """Turn by `amount` degrees, counterclockwise, about the centre."""
    radians = -torch.deg2rad(amount.remainder(360))
    # Pillow rounds these too, so that a quarter turn has an exact 0.
    cosine, sine = radians.cos().round(decimals=15), radians.sin().round(decimals=15)
    x, y = width / 2, height / 2
    c, f = x - cosine * x - sine * y, y + sine * x - cosine * y
    return _matrix(amount, a=cosine, b=sine, c=c, d=-sine, e=cosine, f=f)


def shearing_x(amount: Tensor, height: int, width: int) -> Tensor:
    """Read x + `amount` · y at x."""
    return _matrix(amount, b=amount)


def shearing_y(amount: Tensor, height: int, width: int) -> Tensor:
    """Read y + `amount` · x at y."""
    return _matrix(amount, d=amount)


def translation_x(amount: Tensor, height: int, width: int) -> Tensor:
    """Read `amount` whole pixels to the right."""
    return _matrix(amount, c=amount)


def translation_y(amount: Tensor, height: int, width: int) -> Tensor:
    """Read `amount` whole pixels below."""
    return _matrix(amount, f=amount)


MATRICES: dict[str, Matrix] = {
    "rotate": rotation,
    "shear_x": shearing_x,
    "shear_y": shearing_y,
    "translate_x": translation_x,
    "translate_y": translation_y,
}


def fixed_point(matrix: Tensor) -> Tensor:
    """Return (n, 6) matrices that start at the first pixel's centre, as int32 multiples of 1 / 65536."""
    a, b, c, d, e, f = matrix.unbind(1)
    centred = torch.stack([a, b, c + (a + b) / 2, d, e, f + (d + e) / 2], dim=1)
    return (centred * 65536 + 0.5).floor().int()


def warp(images: Tensor, fixed: Tensor) -> tuple[Tensor, Tensor]:
    """Return the images (n, channels, H, W) warped by fixed-point matrices, and where there was something to read.

    The second is (n, 1, H, W) of the images' type, 1 inside and 0 outside; outside the images are 0.
    """
    n, channels, height, width = images.shape
    a, b, c, d, e, f = fixed.t().reshape(6, n, 1, 1)
    x = torch.arange(width, dtype=torch.int32, device=images.device)
    y = torch.arange(height, dtype=torch.int32, device=images.device).view(-1, 1)
    source_x = (a * x + (b * y + c)) >> 16
    source_y = (d * x + (e * y + f)) >> 16
    # The sign bits of these four say "outside"; whole-number arithmetic is many times faster than masks on a CPU.
    outside = (source_x | (width - 1 - source_x) | source_y | (height - 1 - source_y)) >> 31
    source = ((source_y * width + source_x) & ~outside).long().view(n, 1, -1)
    inside = (outside + 1).to(images.dtype).unsqueeze(1)
    return images.flatten(2).gather(2, source.expand(-1, channels, -1)).view_as(images) * inside, inside


def _operation(matrix: Matrix, images: Tensor, amount: Tensor | float) -> Tensor:
    amounts = torch.as_tensor(amount, dtype=torch.float64).cpu().expand(len(images))
    height, width = images.shape[2:]
    return warp(images, fixed_point(matrix(amounts, height, width)).to(images.device))[0]


def rotate(images: Tensor, amount: Tensor | float) -> Tensor:
    """Rotate by `amount` degrees, counterclockwise, about the centre; black outside."""
    return _operation(rotation, images, amount)


def shear_x(images: Tensor, amount: Tensor | float) -> Tensor:
    """Shift row y by `amount` · y pixels to the left; black outside."""
    return _operation(shearing_x, images, amount)


def shear_y(images: Tensor, amount: Tensor | float) -> Tensor:
    """Shift column x by `amount` · x pixels upwards; black outside."""
    return _operation(shearing_y, images, amount)


def translate_x(images: Tensor, amount: Tensor | float) -> Tensor:
    """Shift by `amount` whole pixels to the left; black outside."""
    return _operation(translation_x, images, amount)


def translate_y(images: Tensor, amount: Tensor | float) -> Tensor:
    """Shift by `amount` whole pixels upwards; black outside."""
    return _operation(translation_y, images, amount)
