"""What a network is shown of an image: the deterministic view for scoring, random ones for training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ssal.data import augment
from ssal.data.images import Images
from ssal.streams import generator


@dataclass(frozen=True)
class Views:
    """The augmentations of one data set, on whatever device the images are; embeddings pass unchanged."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    flip: bool

    @classmethod
    def of(cls, images: Images) -> Views:
        """Return the views of a data set, normalised by its own training pixels."""
        return cls(tuple(images.mean.tolist()), tuple(images.std.tolist()), images.flip)

    def plain(self, images: Tensor) -> Tensor:
        """Return the deterministic view: normalised float32."""
        if images.dtype != torch.uint8:
            return images.float()
        return augment.normalise(images, torch.tensor(self.mean), torch.tensor(self.std))

    def weak(self, images: Tensor, *names: int | str, places: tuple[Tensor, int] | None = None) -> Tensor:
        """Return a normalised shifted (and flipped) view, drawn from the stream `names`.

        With `places`, the rows (B,) of the images among so many, an image's draw follows from its row alone.
        """
        return self.plain(augment.weak(images, generator(*names, "weak"), flip=self.flip, places=places))

    def strong(self, images: Tensor, *names: int | str) -> Tensor:
        """Return a normalised weak view under RandAugment and Cutout, drawn from the stream `names`."""
        return self.plain(augment.strong(images, generator(*names, "strong"), flip=self.flip))

    def contrastive(self, images: Tensor, seed: int, **options: Any) -> Tensor:
        """Return a normalised cropped, recoloured view for self-supervision, drawn from `seed`."""
        views = augment.contrastive(images, seed, flip=self.flip, **options)
        mean, std = (torch.tensor(values, device=views.device).view(1, -1, 1, 1) for values in (self.mean, self.std))
        return (views - mean) / std
