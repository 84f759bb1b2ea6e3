"""Adversarial signals: an autoencoder hides which images are labelled, and a discriminator tells it all the same."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ssal.data.views import Views
from ssal.neighbours import full_precision
from ssal.signals.variational import KLReduction, Variational, kl_divergence, reconstruction_error


def membership_loss(labelled: Tensor, unlabelled: Tensor, targets: tuple[Tensor | float, Tensor | float]) -> Tensor:
    """Return the cross-entropy of log-odds (B) of both sets from their targets in [0, 1], each set's mean, added up."""
    parts = zip((labelled, unlabelled), targets, strict=True)
    return torch.stack(
        [
            binary_cross_entropy_with_logits(odds, torch.as_tensor(target).to(odds).expand_as(odds))
            for odds, target in parts
        ]
    ).sum()


class Adversary(pl.LightningModule):
    """VAE and discriminator, whose log-odds say unlabelled; both step at once, from gradients at the same weights.

    Both sets share every forward, so that BatchNorm shows the same to either and scores follow from averaged
    statistics. A method says what the discriminator and the decoder are given beside the encoding, and its loss.
    """

    fooled: float = 0.0
    """What the encoder wants the discriminator to say of every image: by default that it is labelled."""

    def __init__(
        self,
        variational: Variational,
        discriminator: nn.Module,
        views: Views,
        names: tuple[int | str, ...],
        *,
        kl_reduction: KLReduction,
        learning_rate: float,
        reconstruction_weight: float = 1.0,
        kl_weight: float = 1.0,
        adversarial_weight: float = 1.0,
        encoder_steps: int = 1,
    ) -> None:
        """`discriminator` gives one log-odd per row (B,1) and steps once every `encoder_steps` steps of the VAE."""
        super().__init__()
        self.variational, self.discriminator, self.views, self.names = variational, discriminator, views, names
        self.kl_reduction: KLReduction = kl_reduction
        self.learning_rate, self.encoder_steps = learning_rate, encoder_steps
        self.reconstruction_weight, self.kl_weight = reconstruction_weight, kl_weight
        self.adversarial_weight = adversarial_weight

    def condition(self, rows: Tensor) -> Tensor | None:
        """Return what the decoder is given beside the sample, by row."""
        return None

    def judged(self, mean: Tensor, sample: Tensor, rows: Tensor) -> Tensor:
        """Return what the discriminator is given; at scoring the sample is the mean."""
        return mean

    def discriminator_loss(self, labelled: Tensor, unlabelled: Tensor, rows: Tensor) -> Tensor:
        """Return the discriminator's loss of log-odds (B) of both sets; `rows` (2B) are those of both."""
        return membership_loss(labelled, unlabelled, (0.0, 1.0))

    def further_loss(self, sample: Tensor, rows: Tensor) -> Tensor | float:
        """Return what a method adds to the autoencoder's loss."""
        return 0.0

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        """Return the autoencoder's loss and, when it is its turn, the discriminator's."""
        images, rows = batch["images"], batch["rows"]
        inputs = self.views.weak(images, *self.names, "step", self.global_step) if images.ndim == 4 else images
        outputs = self.variational(inputs, self.condition(rows))
        with torch.autocast(inputs.device.type, enabled=False):
            loss = self.further_loss(outputs[3], rows) + sum(
                self.reconstruction_weight * reconstruction_error(reconstruction, part, self.kl_reduction)
                + self.kl_weight * kl_divergence(mean, log_variance, self.kl_reduction)
                for reconstruction, mean, log_variance, part in zip(
                    *(tensor.chunk(2) for tensor in outputs[:3]), inputs.chunk(2), strict=True
                )
            )
            judged = self.judged(outputs[1], outputs[3], rows)
            self.discriminator.requires_grad_(False)
            labelled, unlabelled = self.discriminator(judged)[:, 0].chunk(2)
            self.discriminator.requires_grad_(True)
            loss = loss + self.adversarial_weight * membership_loss(labelled, unlabelled, (self.fooled, self.fooled))
            if self.global_step % self.encoder_steps == self.encoder_steps - 1:
                labelled, unlabelled = self.discriminator(judged.detach())[:, 0].chunk(2)
                loss = loss + self.discriminator_loss(labelled, unlabelled, rows)
        return loss

    def configure_optimizers(self) -> Any:
        """One Adam for both networks: it moves every weight by its own gradients alone, so it equals two."""
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate)

    @full_precision()
    def predict_step(self, batch: dict[str, Tensor], index: int) -> dict[str, Tensor]:
        """Return the log-odds that each image is unlabelled, of its mean encoding, deterministic view."""
        mean, _ = self.variational.encode(self.views.plain(batch["images"]))
        return {"scores": self.discriminator(self.judged(mean, mean, batch["rows"]))[:, 0]}
