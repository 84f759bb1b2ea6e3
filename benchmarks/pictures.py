"""As many grey images of 28×28 pixels as a benchmark of cost wants."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn.functional import interpolate

from ssal.data import load
from ssal.data.images import Images, ImageSet
from ssal.data.listing import content_id
from ssal.fingerprints import fingerprint
from ssal.streams import generator

CLASSES = 10


def images_of(fashion: str, pool: int, checkpoints: Path, seed: int) -> Images:
    """Return `pool` images: those of fashion-mnist-12k or ten patterns, and from then on the same moved and noisy."""
    draws = generator(seed, "pictures")
    if fashion:
        found = load.load(checkpoints, source="folder", options={"path": fashion})
        own = torch.cat([part.fetch(torch.arange(len(part)))[:, :1] for part in (found.pool, found.test)])
        names = [*(found.hidden[id] for id in found.pool.ids), *found.test_labels]
    else:
        rough = torch.rand(CLASSES, 1, 7, 7, generator=draws)
        own = (255 * interpolate(rough, size=28, mode="bilinear")).to(torch.uint8)
        names = [f"pattern {number}" for number in range(CLASSES)]
    grey = own[torch.arange(pool) % len(own)]
    changed = grey[len(own) :]
    for row, shift in enumerate(torch.randint(-3, 4, (len(changed), 2), generator=draws).tolist()):
        changed[row] = changed[row].roll(shift, (1, 2))
    noise = torch.randint(-20, 21, changed.shape, generator=draws, dtype=torch.int16)
    changed.copy_((changed + noise).clamp(0, 255))
    ids, seen = [f"{row:016x}" for row in range(pool)], grey.float() / 255
    return Images(
        pool=ImageSet(ids, [""] * pool, grey.expand(-1, 3, -1, -1).contiguous()),
        test=ImageSet([], [], torch.empty(0, 3, 28, 28, dtype=torch.uint8)),
        classes=tuple(sorted(set(names))),
        mean=seen.mean().repeat(3),
        std=seen.std().repeat(3),
        hidden={id: names[row % len(names)] for row, id in enumerate(ids)},
        given={},
        test_labels=(),
        fingerprint=fingerprint("signals", content_id(grey.numpy())),
        flip=True,
        report={},
    )
