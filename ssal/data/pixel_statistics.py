"""Mean and spread of a pool's pixels, by which every network's input is scaled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ssal.data.cache import Contents
from ssal.data.split import Entry


def pixel_statistics(contents: Contents, pool: Sequence[Entry]) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation over all pool pixels / 255, exact in both modes; per feature of embeddings."""
    places = contents.places[[entry.numbers[0] for entry in pool]]
    if isinstance(contents.pixels, Tensor) and contents.pixels.ndim == 2:
        rows = contents.pixels[torch.from_numpy(places)]
        return rows.mean(0), rows.std(0, correction=0)
    count = len(places) * int(np.prod(contents.pixels.shape[-2:]))
    mean = contents.sums[places].sum(0) / count
    variance = contents.squares[places].sum(0) / count - mean**2
    std = np.sqrt(np.maximum(variance, 0)) / 255
    # A channel without any variation must not be divided by zero.
    std[std < 1e-6] = 1
    return torch.from_numpy(mean / 255).float(), torch.from_numpy(std).float()
