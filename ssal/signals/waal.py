"""WAAL: a critic whose means over labelled and unlabelled features lie as far apart as a bounded slope allows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from ssal.data.images import ImageSet
from ssal.neighbours import full_precision
from ssal.registry import signal
from ssal.signals.membership import Positive, Rate, Weight, fitted_scores, set_of
from ssal.signals.variational import perceptron
from ssal.streams import stream


def critic_loss(
    critic: nn.Module, labelled: Tensor, unlabelled: Tensor, ratio: float, shares: Tensor, penalty_weight: float
) -> Tensor:
    """Return `ratio` · mean critic of labelled (B,D) - mean critic of unlabelled ones, plus the gradient penalty.

    The penalty is the mean of (|gradient| - 1)² at both sets and at points between their rows, `shares` (B,1) of the
    way from unlabelled to labelled.
    """
    points = torch.cat([labelled, unlabelled, shares * labelled + (1 - shares) * unlabelled]).requires_grad_()
    answers = critic(points)
    (slopes,) = torch.autograd.grad(answers.sum(), points, create_graph=True)
    penalty = (slopes.norm(dim=1) - 1).square().mean()
    count = len(labelled)
    distance = answers[count : 2 * count].mean() - ratio * answers[:count].mean()
    return penalty_weight * penalty - distance


class Critic(pl.LightningModule):
    """A perceptron that ends in a sigmoid: near 1 for what is unlike labelled images."""

    def __init__(
        self, critic: nn.Module, names: tuple[int | str, ...], ratio: float, penalty_weight: float, learning_rate: float
    ) -> None:
        """`ratio` is the number of labelled images over that of unlabelled ones."""
        super().__init__()
        self.critic, self.names, self.ratio = critic, names, ratio
        self.penalty_weight, self.learning_rate = penalty_weight, learning_rate

    @full_precision()
    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        """Return the loss of one batch; how far points lie between the sets is drawn in the stream of this step."""
        labelled, unlabelled = batch["images"].chunk(2)
        shares = torch.rand(len(labelled), 1).to(labelled)
        return critic_loss(self.critic, labelled, unlabelled, self.ratio, shares, self.penalty_weight)

    def configure_optimizers(self) -> Any:
        """Adam, as for the other adversarial signals."""
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate)

    @full_precision()
    def predict_step(self, batch: dict[str, Tensor], index: int) -> dict[str, Tensor]:
        """Return what the critic says of each image."""
        return {"scores": self.critic(batch["images"])[:, 0]}


@signal("waal_critic", each="round")
def waal(
    pool: ImageSet,
    features: Tensor,
    labelled_rows: Tensor,
    unlabelled_rows: Tensor,
    *,
    names: tuple[int | str, ...],
    trainer: dict[str, Any],
    folder: Path,
    steps: Positive = 1000,
    batch_size: Positive = 64,
    learning_rate: Rate = 5e-4,
    hidden: Positive = 512,
    penalty_weight: Weight = 2.0,
) -> dict[str, Tensor]:
    """Give a critic's answer in (0, 1) to the learner's features, high for unlike labelled ones (Shui et al., 2020).

    The mean over labelled images counts as much less as there are fewer of them.
    Differs from the paper: the critic is fitted after the learner, whose features stay as they are, while the authors
    train the features against it; the gradient penalty is added to the critic's loss, while the authors' code
    subtracts it; two hidden layers of `hidden` in place of one of 50; Adam for a number of steps in place of SGD for
    80 epochs; features are standardised.
    Raises BadInput where no image is labelled or none is not, and Diverged where a loss is not finite.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(*names, "weights"))
        critic = nn.Sequential(perceptron(features.shape[1], hidden, hidden, 1), nn.Sigmoid())
    ratio = len(labelled_rows) / max(1, len(unlabelled_rows))
    scores = fitted_scores(
        Critic(critic, names, ratio, penalty_weight, learning_rate),
        set_of(features, pool),
        labelled_rows,
        unlabelled_rows,
        steps=steps,
        batch_size=batch_size,
        names=names,
        trainer=trainer,
        folder=folder,
    )
    return {"waal_critic": scores}
