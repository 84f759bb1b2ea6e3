"""Encoder: the pretrained features, the same in every round."""

from __future__ import annotations

from torch import Tensor

from ssal.data.images import Images
from ssal.pretext.encoder import Encoder
from ssal.registry import signal


@signal("ssl_features", each="round")
def encoder(encoder: Encoder, images: Images) -> dict[str, Tensor]:
    """Give the encoder's features of every training image, computed once per run and kept on disk."""
    return {"ssl_features": encoder.features(images)["pool"]}
