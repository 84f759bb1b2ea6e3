"""Contrast loss: ask for the images whose two views the pretext matches worst."""

from __future__ import annotations

from torch import Tensor

from ssal.registry import scores


@scores
def contrast_loss(contrast_loss: Tensor) -> Tensor:
    """Ask where the trained pretext's own loss on two views of an image is highest (Ju et al., 2022).

    It needs no label, so it can choose the first images, too.
    Differs from the paper: it takes the loss of the trained network on views drawn for it, where the authors, who
    choose a fixed part of the images, add up the views' cosine similarity over all epochs of the pretext's training and
    take the lowest; they have SimCLR and MoCo alone.
    """
    return contrast_loss
