"""AALU: an assistant that tells labelled from unlabelled features, sees the learner's outputs and ranks its losses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ssal.data.images import ImageSet
from ssal.data.views import Views
from ssal.registry import signal
from ssal.signals.adversarial import Adversary, membership_loss
from ssal.signals.membership import Positive, Rate, Weight, fitted_scores, set_of
from ssal.signals.variational import Variational, perceptron
from ssal.streams import stream


def ranking_loss(answers: Tensor, losses: Tensor, margin: float) -> Tensor:
    """Return the mean hinge by which pairs of answers (B) are not ordered as their losses (B).

    Image i stands against image i + B/2; of an odd number the last one is left out.
    """
    half = len(answers) // 2
    order = (losses[:half] - losses[half : 2 * half]).sign()
    return (margin - order * (answers[:half] - answers[half : 2 * half])).clamp_min(0).mean()


class Assisted(Adversary):
    """The discriminator is the assistant: it is given the sample beside the learner's probabilities."""

    def __init__(
        self, *given: Any, probabilities: Tensor, losses: Tensor, ranking_weight: float, margin: float, **more: Any
    ) -> None:
        """`probabilities` (N,C) and `losses` (N), those of labelled images alone being read, have the pool's rows."""
        super().__init__(*given, **more)
        self.ranking_weight, self.margin = ranking_weight, margin
        self.register_buffer("probabilities", probabilities.float(), persistent=False)
        self.register_buffer("losses", losses, persistent=False)

    def judged(self, mean: Tensor, sample: Tensor, rows: Tensor) -> Tensor:
        """Return samples beside probabilities."""
        return torch.cat([sample, self.get_buffer("probabilities")[rows]], dim=1)

    def discriminator_loss(self, labelled: Tensor, unlabelled: Tensor, rows: Tensor) -> Tensor:
        """Return the membership loss and what the ranking of labelled images adds to it."""
        losses = self.get_buffer("losses")[rows[: len(labelled)]]
        ranking = ranking_loss(labelled.sigmoid(), losses, self.margin)
        return membership_loss(labelled, unlabelled, (0.0, 1.0)) + self.ranking_weight * ranking


@signal("aalu_unlabelled", each="round")
def aalu(
    pool: ImageSet,
    views: Views,
    features: Tensor,
    probabilities: Tensor,
    labelled_rows: Tensor,
    unlabelled_rows: Tensor,
    labels: Tensor,
    *,
    names: tuple[int | str, ...],
    trainer: dict[str, Any],
    folder: Path,
    steps: Positive = 1000,
    batch_size: Positive = 128,
    learning_rate: Rate = 5e-4,
    latent: Positive = 32,
    hidden: Positive = 256,
    adversarial_weight: Weight = 1.0,
    ranking_weight: Weight = 10.0,
    margin: Weight = 0.1,
) -> dict[str, Tensor]:
    """Give the log-odds that an image is unlabelled, of an assistant that also ranks losses (Zhu and Wang, 2020).

    VAE and assistant have three linear layers each; the VAE encodes the learner's last hidden features.
    Differs from the paper: 1000 steps in place of 100 epochs; widths of our own, as it names none; features are
    standardised, as those of encoders differ in scale; VAE and assistant step at once in place of in turn; images are
    scored by the mean encoding.
    Raises BadInput where no image is labelled or none is not, and Diverged where a loss is not finite.
    """
    losses = torch.zeros(len(pool))
    right = probabilities[labelled_rows].gather(1, labels[:, None])[:, 0].float()
    losses[labelled_rows] = -right.clamp_min(torch.finfo(torch.float32).tiny).log()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(*names, "weights"))
        module = Assisted(
            Variational(tuple(features.shape[1:]), latent, width=0, hidden=hidden),
            perceptron(latent + probabilities.shape[1], hidden, hidden, 1),
            views,
            names,
            probabilities=probabilities,
            losses=losses,
            ranking_weight=ranking_weight,
            margin=margin,
            kl_reduction="elbo",
            learning_rate=learning_rate,
            adversarial_weight=adversarial_weight,
        )
    scores = fitted_scores(
        module,
        set_of(features, pool),
        labelled_rows,
        unlabelled_rows,
        steps=steps,
        batch_size=batch_size,
        names=names,
        trainer=trainer,
        folder=folder,
    )
    return {"aalu_unlabelled": scores}
