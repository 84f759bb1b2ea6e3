"""VAAL: a variational autoencoder and a discriminator between labelled and unlabelled images."""

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


@signal("vaal_unlabelled", each="round")
def vaal(
    encoder: Encoder,
    images: Images,
    pool: ImageSet,
    views: Views,
    labelled_rows: Tensor,
    unlabelled_rows: Tensor,
    *,
    names: tuple[int | str, ...],
    trainer: dict[str, Any],
    folder: Path,
    on: On = "images",
    kl_reduction: KLReduction = "elbo",
    steps: Positive = 1000,
    batch_size: Positive = 64,
    learning_rate: Rate = 5e-4,
    latent: Positive = 32,
    width: Positive = 32,
    hidden: Positive = 512,
    kl_weight: Weight = 1.0,
    adversarial_weight: Weight = 1.0,
) -> dict[str, Tensor]:
    """Give the log-odds that an image is unlabelled, of a discriminator of a VAE's mean encoding (Sinha et al., 2019).

    The VAE sees weak views and takes two steps for each of the discriminator's; the images' side decides how many
    convolutions it has, up to the published four. On `features`, and where the data are embeddings, it is one of linear
    layers on the pretrained encoder's standardised features: seconds in place of minutes.
    Differs from the paper: 1000 steps of 64 + 64 images in place of 78,125 of 128 + 128, and `width` 32 in place of
    128, as suits small images and CPUs; the last deconvolution gives the image at once; both terms of the VAE's loss
    are summed over an image unless `kl_reduction` names another form; both sets share BatchNorm's statistics; both
    networks step at once in place of in turn; images are scored without random views, by averaged statistics.
    Raises BadInput where no image is labelled or none is not, and Diverged where a loss is not finite.
    """
    seen = encoded_set(on, "vaal", encoder, images, pool)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(*names, "weights"))
        module = Adversary(
            Variational(seen.shape, latent, width=width, hidden=hidden),
            perceptron(latent, hidden, hidden, 1),
            views,
            names,
            kl_reduction=kl_reduction,
            learning_rate=learning_rate,
            kl_weight=kl_weight,
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
    return {"vaal_unlabelled": scores}
