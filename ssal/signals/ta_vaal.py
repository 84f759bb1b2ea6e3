"""TA-VAAL: VAAL whose decoder and discriminator are told the loss that the learner's companion head predicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ssal.data.images import Images, ImageSet
from ssal.data.views import Views
from ssal.pretext.encoder import Encoder
from ssal.registry import signal
from ssal.signals.adversarial import Adversary
from ssal.signals.membership import On, Positive, Rate, Weight, encoded_set, fitted_scores
from ssal.signals.variational import KLReduction, Variational, perceptron
from ssal.streams import stream


class Conditional(Adversary):
    """The decoder is given the sigmoid of the ranker's output beside the sample, the discriminator its raw value."""

    def __init__(self, *given: Any, predicted_loss: Tensor, **more: Any) -> None:
        """`predicted_loss` (N) has the pool's rows."""
        super().__init__(*given, **more)
        self.register_buffer("predicted_loss", predicted_loss.float()[:, None], persistent=False)

    def condition(self, rows: Tensor) -> Tensor:
        """Return the sigmoid of the predicted losses (B,1)."""
        return self.get_buffer("predicted_loss")[rows].sigmoid()

    def judged(self, mean: Tensor, sample: Tensor, rows: Tensor) -> Tensor:
        """Return means beside predicted losses."""
        return torch.cat([mean, self.get_buffer("predicted_loss")[rows]], dim=1)


@signal("ta_vaal_unlabelled", each="round", brings={"loss_prediction": {"ranking": "bce"}})
def ta_vaal(
    encoder: Encoder,
    images: Images,
    pool: ImageSet,
    views: Views,
    predicted_loss: Tensor,
    labelled_rows: Tensor,
    unlabelled_rows: Tensor,
    *,
    names: tuple[int | str, ...],
    trainer: dict[str, Any],
    folder: Path,
    on: On = "images",
    kl_reduction: KLReduction = "mean",
    steps: Positive = 1000,
    batch_size: Positive = 64,
    learning_rate: Rate = 5e-4,
    latent: Positive = 32,
    width: Positive = 32,
    hidden: Positive = 512,
    kl_weight: Weight = 1.0,
    adversarial_weight: Weight = 1.0,
) -> dict[str, Tensor]:
    """Give the log-odds that an image is unlabelled, of a VAE told the learner's ranking of losses (Kim et al., 2021).

    The ranker is the head of `loss_prediction`, with the paper's cross-entropy ranking unless the recipe says another;
    `ssal query` asks one head for both. VAE and discriminator step equally often. `on`, `width` and the image's side
    mean what they mean for VAAL.
    Differs from the paper: 1000 steps of 64 + 64 images and `width` 32 in place of 128, as suits small images and CPUs;
    the ranker is told at every step, theirs is noise at the first; both sets share BatchNorm's statistics; both
    networks step at once in place of in turn; images are scored without random views, all of the pool in place of
    10,000 drawn from it.
    Raises BadInput where no image is labelled or none is not, and Diverged where a loss is not finite.
    """
    seen = encoded_set(on, "ta_vaal", encoder, images, pool)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(*names, "weights"))
        module = Conditional(
            Variational(seen.shape, latent, width=width, hidden=hidden, condition=1),
            perceptron(latent + 1, hidden, hidden, 1),
            views,
            names,
            predicted_loss=predicted_loss,
            kl_reduction=kl_reduction,
            learning_rate=learning_rate,
            kl_weight=kl_weight,
            adversarial_weight=adversarial_weight,
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
    return {"ta_vaal_unlabelled": scores}
