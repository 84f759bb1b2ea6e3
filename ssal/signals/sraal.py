"""SRAAL: VAAL for which images that the learner is sure of count as labelled, on a code that knows classes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ssal.data.images import Images, ImageSet
from ssal.data.views import Views
from ssal.pretext.encoder import Encoder
from ssal.registry import signal
from ssal.signals.adversarial import Adversary, membership_loss
from ssal.signals.membership import On, Positive, Rate, Weight, encoded_set, fitted_scores
from ssal.signals.variational import Variational, perceptron
from ssal.streams import stream

Variance = Literal["unbiased", "population"]
RECONSTRUCTION_WEIGHT = CLASSIFIER_WEIGHT = 5.0
"""As the authors' code weighs them."""
RATE_DECAY, DECAYS = 0.85, 30
"""Factor of the learning rate, and how many times it is applied over a training."""


def online_uncertainty(probabilities: Tensor, variance: Variance) -> Tensor:
    """Return 1 - m · least / variance of each row (N,C): m is its largest probability, `least` the variance at least.

    That is the population variance of a row that shares what is left of 1 equally between all other classes; 1 where
    all probabilities are equal.
    """
    classes = probabilities.shape[1]
    probabilities = probabilities.double()
    largest, equal = probabilities.amax(dim=1), 1 / classes
    others = (1 - largest) / max(1, classes - 1)
    least = ((equal - largest).square() + (classes - 1) * (equal - others).square()) / classes
    spread = (probabilities - equal).square().sum(dim=1)
    spread = spread / (max(1, classes - 1) if variance == "unbiased" else classes)
    uncertainty = 1 - least / spread.clamp_min(1e-12) * largest
    return torch.where(spread > 1e-12, uncertainty, torch.ones_like(spread)).clamp(0, 1).float()


class Relabelled(Adversary):
    """One part of a sample is decoded, another classified; unlabelled images have their uncertainty as their target."""

    fooled = 1.0

    def __init__(
        self, *given: Any, uncertainty: Tensor, classes: nn.Module, labels: Tensor, steps: int, **more: Any
    ) -> None:
        """`uncertainty` (N) and `labels` (N), those of labelled images alone being read, have the pool's rows."""
        super().__init__(*given, **more)
        self.classifier, self.steps = classes, steps
        self.register_buffer("uncertainty", uncertainty, persistent=False)
        self.register_buffer("labels", labels, persistent=False)

    def discriminator_loss(self, labelled: Tensor, unlabelled: Tensor, rows: Tensor) -> Tensor:
        """Return the membership loss; an unlabelled image that the learner is sure of counts as labelled."""
        targets = self.get_buffer("uncertainty")[rows[len(labelled) :]]
        return membership_loss(labelled, unlabelled, (0.0, targets))

    def further_loss(self, sample: Tensor, rows: Tensor) -> Tensor:
        """Return the weighted cross-entropy of labelled images."""
        half = len(rows) // 2
        logits = self.classifier(sample[:half, self.variational.decoded :])
        return CLASSIFIER_WEIGHT * cross_entropy(logits, self.get_buffer("labels")[rows[:half]])

    def configure_optimizers(self) -> Any:
        """Adam, whose rate decays in equal steps."""
        optimiser = super().configure_optimizers()
        every = max(1, self.steps // DECAYS)
        schedule = torch.optim.lr_scheduler.StepLR(optimiser, every, gamma=RATE_DECAY)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


@signal("sraal_unlabelled", each="round")
def sraal(
    encoder: Encoder,
    images: Images,
    pool: ImageSet,
    views: Views,
    probabilities: Tensor,
    labelled_rows: Tensor,
    unlabelled_rows: Tensor,
    labels: Tensor,
    *,
    names: tuple[int | str, ...],
    trainer: dict[str, Any],
    folder: Path,
    on: On = "images",
    variance: Variance = "unbiased",
    steps: Positive = 1000,
    batch_size: Positive = 64,
    learning_rate: Rate = 5e-4,
    latent: Annotated[int, Field(gt=1)] = 200,
    width: Positive = 32,
    hidden: Positive = 512,
    adversarial_weight: Weight = 1.0,
) -> dict[str, Tensor]:
    """Give the log-odds of the state of SRAAL's discriminator, high for unlabelled and unsure (Zhang et al., 2020).

    Half of the dimensions of a sample are decoded, half classified; the discriminator sees the means of all. Higher
    means to ask first, as in the authors' code, where labelled images are 0. `variance` is that of the uncertainty:
    the authors' code divides by the unbiased one, the paper's least variance is one of a population.
    Differs from the paper: the learner gives the uncertainty in place of a network of its own; 1000 steps of 64 + 64
    images in place of 20,000 of 250 + 250, and `width` 32 in place of 128; labels go with their images in every step;
    both sets share BatchNorm's statistics; networks step at once; images are scored without random views; the first
    labels are first_round's, not those of the paper's own rule.
    Raises BadInput where no image is labelled or none is not, and Diverged where a loss is not finite.
    """
    seen, classes = encoded_set(on, "sraal", encoder, images, pool), probabilities.shape[1]
    numbers = torch.zeros(len(pool), dtype=torch.long).index_copy(0, labelled_rows, labels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(*names, "weights"))
        module = Relabelled(
            Variational(seen.shape, latent, width=width, hidden=hidden, decoded=latent // 2),
            perceptron(latent, hidden, hidden, hidden, hidden, 1),
            views,
            names,
            uncertainty=online_uncertainty(probabilities, variance),
            classes=perceptron(latent - latent // 2, 1024, 256, classes),
            labels=numbers,
            steps=steps,
            kl_reduction="elbo",
            learning_rate=learning_rate,
            reconstruction_weight=RECONSTRUCTION_WEIGHT / math.prod(seen.shape),  # of the mean over an image's values
            adversarial_weight=adversarial_weight,
            encoder_steps=2,
        )
    scores = fitted_scores(
        module,
        seen,
        labelled_rows,
        unlabelled_rows,
        steps=steps,
        batch_size=batch_size,
        names=names,
        trainer=trainer,
        folder=folder,
    )
    return {"sraal_unlabelled": scores}
