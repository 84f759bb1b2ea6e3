"""Near-duplicates: a pool in which every image stands several times, each time a little different."""

from __future__ import annotations

import torch
from torch import Tensor

from ssal.data.images import ImageSet
from ssal.data.listing import content_id
from ssal.errors import BadInput
from ssal.streams import generator

SHIFT = 1 / 16
"""Of the image's side, at most and at least one pixel: what two frames of a film or two crops of a scan differ by."""
BRIGHTNESS, NOISE = 0.1, 5.0
"""Brightness changes by up to this share, pixels by this standard deviation of 255 levels, all channels alike."""
BLOCK = 1024


def near_duplicate(images: Tensor, ids: list[str], number: int, seed: int) -> Tensor:
    """Return uint8 (n, 3, H, W): every image a little shifted, lighter or darker, and noisy.

    What is drawn for an image follows from `seed`, its id and `number` alone. Pixels beyond the edge repeat it.
    """
    height, width = images.shape[-2:]
    far = max(1, round(SHIFT * min(height, width)))
    moves, gains, noises = [], [], []
    for id in ids:
        drawn = generator(seed, "near-duplicate", id, number)
        moves.append(torch.randint(-far, far + 1, (2,), generator=drawn))
        gains.append(torch.rand(1, generator=drawn))
        noises.append(torch.randn(height, width, generator=drawn))
    move = torch.stack(moves)
    rows = (torch.arange(height) + move[:, :1]).clamp(0, height - 1)
    columns = (torch.arange(width) + move[:, 1:]).clamp(0, width - 1)
    image, channel = torch.arange(len(images))[:, None, None, None], torch.arange(3)[:, None, None]
    moved = images[image, channel, rows[:, None, :, None], columns[:, None, None, :]].float()
    gain = 1 + BRIGHTNESS * (2 * torch.stack(gains) - 1)
    # White stays 255 before the noise is added, so that two near-duplicates of a blank image still differ.
    light = (moved * gain[:, :, None, None]).clamp(0, 255)
    return (light + NOISE * torch.stack(noises)[:, None]).round().clamp(0, 255).to(torch.uint8)


def with_near_duplicates(
    pool: ImageSet, copies: int, seed: int, limit_gib: float
) -> tuple[ImageSet, dict[str, str], list[str]]:
    """Return the pool with `copies` near-duplicates beside each image, whose each one is, and what to tell of it.

    Made of pool images alone and after the split, they never meet the test set. Raises BadInput for embeddings, and
    where they do not fit into `limit_gib`.

    Differs from the paper: near-duplicates, where points are repeated as they are (Beck et al., 2021); an exact copy
    has the same id, and one id is one image here.
    """
    if len(pool.shape) != 3:
        raise BadInput(
            "data.redundancy: near-duplicates are made of images, and embeddings have no pixels; type "
            "data.redundancy=0, or let ssal embed write the features of a recipe of images that has data.redundancy"
        )
    count = len(pool)
    gib = count * (1 + copies) * int(torch.tensor(pool.shape).prod()) / 2**30
    if not pool.resident or gib > limit_gib:
        raise BadInput(
            f"data.redundancy: near-duplicates stay in memory; with {copies} beside each of {count} images the pool "
            f"takes {gib:.1f} GiB; type data.resident_limit_gib={int(gib) + 1} or more, a smaller data.size, or "
            "fewer of them"
        )
    pixels = torch.empty((count * (1 + copies), *pool.shape), dtype=torch.uint8)
    pixels[:count] = pool.fetch(torch.arange(count))
    ids, paths, whose = list(pool.ids), list(pool.paths), dict[str, str]()
    for number in range(1, copies + 1):
        for start in range(0, count, BLOCK):
            places = range(start, min(start + BLOCK, count))
            made = near_duplicate(pixels[start : places.stop], ids[start : places.stop], number, seed)
            pixels[number * count + start : number * count + places.stop] = made
            own = [content_id(image) for image in made.numpy()]
            whose |= dict(zip(own, ids[start : places.stop], strict=True))
            ids += own
        paths += [f"{path} (near-duplicate {number})" for path in pool.paths]
    order = sorted(range(len(ids)), key=ids.__getitem__)
    found = ImageSet([ids[at] for at in order], [paths[at] for at in order], pixels, torch.tensor(order))
    told = f"redundancy: {copies} near-duplicates beside each of {count} pool images, {len(found)} in all"
    return found, whose, [told]
