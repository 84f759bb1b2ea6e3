"""RandAugment and Cutout as FixMatch's authors use them, drawn per image and applied to the batch at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ssal.data.affine import MATRICES, fixed_point, warp
from ssal.data.tones import TABLES, color, look_up, sharpness

OPERATIONS = ("identity", *TABLES, *MATRICES, "color", "sharpness")
"""The 14 operations; drawn by position. Those applied together stand together."""

STRONGEST = 9
"""Drawn levels are 1 … 9 of 10."""

GREY = 127
"""What Cutout, and every place that a geometric operation reads nothing for, is filled with."""


@dataclass(frozen=True)
class Policy:
    """What happens to each image of a batch, on the CPU: one row per slot, one column per image."""

    operation: Tensor
    """(slots, B) long, positions in OPERATIONS."""
    level: Tensor
    """(slots, B) long, 1 … 9 or -1 … -9: turns, shears and shifts go either way, for the others the sign is void."""


def draw(count: int, generator: torch.Generator, *, operations: int, probability: float) -> Policy:
    """Draw a policy for `count` images: operations with replacement, each kept with `probability`."""
    shape = (operations, count)
    operation = torch.randint(len(OPERATIONS), shape, generator=generator)
    level = torch.randint(1, STRONGEST + 1, shape, generator=generator)
    sign = torch.randint(2, shape, generator=generator) * 2 - 1
    kept = torch.rand(shape, generator=generator) < probability
    return Policy(operation.where(kept, OPERATIONS.index("identity")), level * sign)


@lru_cache(maxsize=16)
def magnitudes(height: int, width: int) -> Tensor:
    """Return what the levels -9 … 9 mean to each operation, (14, 19) float64: degrees, slope, pixels, bits, factor …"""
    level = torch.arange(-STRONGEST, STRONGEST + 1)
    strength = level.abs()
    shift_x, shift_y = ((strength * side / 32 + 0.5).floor() * level.sign() for side in (width, height))
    factor = strength.double() * 1.8 / 10 + 0.1
    meaning = {
        "rotate": 3 * level,
        "shear_x": level.double() * 0.3 / 10,
        "shear_y": level.double() * 0.3 / 10,
        "translate_x": shift_x,
        "translate_y": shift_y,
        "solarize": 256 - 256 * strength // 10,
        "posterize": 4 - 4 * strength // 10,
        "brightness": factor,
        "contrast": factor,
        "color": factor,
        "sharpness": factor,
    }
    return torch.stack([meaning.get(name, torch.zeros_like(level)).double() for name in OPERATIONS])


@lru_cache(maxsize=16)
def _matrices(height: int, width: int) -> Tensor:
    """Return the fixed-point matrix of every geometric operation at every level, (14, 19, 6) int32, 0 for the rest."""
    table = torch.zeros(len(OPERATIONS), 2 * STRONGEST + 1, 6, dtype=torch.int32)
    for name, matrix in MATRICES.items():
        at = OPERATIONS.index(name)
        table[at] = fixed_point(matrix(magnitudes(height, width)[at], height, width))
    return table


def apply(images: Tensor, policy: Policy) -> Tensor:
    """Apply a policy to (B, 3, H, W) uint8 images; the result is the same on every device."""
    height, width = images.shape[2:]
    present = torch.ones_like(images[:, :1])
    for operation, level in zip(policy.operation, policy.level, strict=True):
        # Images with the same operation are brought side by side, and back in place at the end: two copies of the
        # batch, where writing rows back group by group costs several times as much.
        order = operation.argsort(stable=True)
        counts = torch.bincount(operation, minlength=len(OPERATIONS)).tolist()
        images, present = _slot(
            images.index_select(0, order.to(images.device)),
            present.index_select(0, order.to(images.device)),
            dict(zip(OPERATIONS, counts, strict=True)),
            operation[order],
            level[order] + STRONGEST,
        )
        back = order.argsort().to(images.device)
        images, present = images.index_select(0, back), present.index_select(0, back)
    return _filled(images, present)


def _slot(
    images: Tensor, present: Tensor, counts: dict[str, int], operation: Tensor, level: Tensor
) -> tuple[Tensor, Tensor]:
    """Apply one operation to each image; the images are sorted by operation, `counts` says how many have which."""
    height, width = images.shape[2:]
    amounts = magnitudes(height, width)[operation, level].to(images.device).split(list(counts.values()))
    amount = dict(zip(OPERATIONS, amounts, strict=True))
    parts = dict(zip(OPERATIONS, images.split(list(counts.values())), strict=True))
    before, tabled, warped = (sum(counts[name] for name in family) for family in (("identity",), TABLES, MATRICES))
    done = [parts["identity"]]
    if tabled:
        tables = [table(parts[name], amount[name]) for name, table in TABLES.items() if counts[name]]
        done.append(look_up(images[before : before + tabled], torch.cat(tables)))
        # The authors mark empty places in Pillow's alpha channel, which brightness and contrast, standing last, keep;
        # the other four drop it, and black is a colour like any other after them.
        forgotten = tabled - counts["brightness"] - counts["contrast"]
        present[before : before + forgotten] = 1
    if warped:
        rows = slice(before + tabled, before + tabled + warped)
        matrix = _matrices(height, width)[operation[rows], level[rows]].to(images.device)
        pixels, inside = warp(torch.cat([images[rows], present[rows]], dim=1), matrix)
        done.append(pixels[:, :3])
        present[rows] = pixels[:, 3:] * inside
    done += [enhance(parts[name], amount[name]) for name, enhance in (("color", color), ("sharpness", sharpness))]
    return torch.cat(done), present


def _filled(images: Tensor, present: Tensor) -> Tensor:
    """Return the images with grey wherever `present` (uint8) is 0; a product is many times faster than a mask."""
    return images * present + (1 - present) * GREY


def randaugment(images: Tensor, generator: torch.Generator, *, operations: int = 2, probability: float = 0.5) -> Tensor:
    """Change each image by its own random operations of random strength (Cubuk et al., 2020; Sohn et al., 2020).

    FixMatch's rule: per image 2 of 14 operations with replacement, each applied with probability 0.5 at a level
    drawn from 1 … 9. (B, 3, H, W) uint8 in and out; `generator` is on the CPU, the images anywhere.
    Differs from the authors' code: shifts of `level` pixels belong to 32 px and scale with the side, rounded to whole
    pixels; empty places are 127 where theirs are 127.5; and the crop before is not passed through floats.
    """
    return apply(images, draw(len(images), generator, operations=operations, probability=probability))


def cutout(images: Tensor, generator: torch.Generator, share: float = 0.5) -> Tensor:
    """Grey out one square per image, `share` of each side long, at a uniform centre (DeVries & Taylor, 2017).

    The square is clipped at the borders and filled with 127; a share of 0 leaves the images alone.
    """
    count, _, height, width = images.shape
    centre = torch.rand(2, count, generator=generator)

    def covered(side: int, position: Tensor) -> Tensor:
        half = max(1, int(share * side / 2)) if share else 0
        distance = torch.arange(side) - (position * side).long().view(-1, 1)
        return ((distance >= -half) & (distance < half)).to(images.device, torch.uint8)

    square = covered(height, centre[0]).unsqueeze(2) * covered(width, centre[1]).unsqueeze(1)
    return _filled(images, (1 - square).unsqueeze(1))
