"""Variational autoencoder, for images and for features, and its losses; what the adversarial signals share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

KLReduction = Literal["elbo", "mean", "official_sum"]
"""How squared errors and KL elements (B,Z) become one number: `elbo` sums both over an image and takes the mean over
images, as a likelihood does; `mean` takes the mean over all elements of both, as TA-VAAL's authors do; `official_sum`
takes the mean of the squared errors, but sums the KL over images and dimensions, as VAAL's authors do."""
MOST_HALVINGS = 4
"""Convolutions of the published encoder, each of which halves the side."""


def kl_elements(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(N(mean, variance) || N(0, 1)) in nats for every image and dimension (B,Z)."""
    return (mean.square() + log_variance.exp() - 1 - log_variance) / 2


def kl_divergence(mean: Tensor, log_variance: Tensor, reduction: KLReduction) -> Tensor:
    """Return the KL elements (B,Z) as one number, in the form that `reduction` names."""
    elements = kl_elements(mean, log_variance)
    if reduction == "elbo":
        return elements.sum(dim=1).mean()
    return elements.mean() if reduction == "mean" else elements.sum()


def reconstruction_error(reconstruction: Tensor, inputs: Tensor, reduction: KLReduction) -> Tensor:
    """Return the squared error: summed over each image and averaged under `elbo`, else the mean over all elements."""
    squared = (reconstruction - inputs).square()
    return squared.flatten(1).sum(dim=1).mean() if reduction == "elbo" else squared.mean()


def perceptron(*sizes: int) -> nn.Sequential:
    """Return linear layers of these widths with a ReLU between each two."""
    layers: list[nn.Module] = []
    for before, after in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def halved_sides(height: int, width: int) -> list[tuple[int, int]]:
    """Return the sides before and after each halving: at most four, and none that would leave a side below 2.

    An image of 4 to 7 pixels is halved once, of 8 to 15 twice, of 16 to 31 three times, and of 32 four times, to 2 × 2.
    """
    sides = [(height, width)]
    while len(sides) <= MOST_HALVINGS and (min(sides[-1]) >= 4 or len(sides) == 1):
        sides.append((sides[-1][0] // 2, sides[-1][1] // 2))
    return sides


def _convolutions(channels: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in zip(channels, channels[1:], strict=False):
        layers += [nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten())


def _deconvolutions(inputs: int, channels: Sequence[int], sides: Sequence[tuple[int, int]]) -> nn.Sequential:
    """Return the mirror image: `channels` and `sides` run from the smallest map to the image."""
    (height, width), top = sides[0], channels[0]
    layers: list[nn.Module] = [nn.Linear(inputs, top * height * width), nn.Unflatten(1, (top, height, width))]
    for place in range(1, len(channels)):
        odd = (sides[place][0] - 2 * sides[place - 1][0], sides[place][1] - 2 * sides[place - 1][1])
        layers += [
            nn.BatchNorm2d(channels[place - 1]),
            nn.ReLU(),
            nn.ConvTranspose2d(channels[place - 1], channels[place], 4, stride=2, padding=1, output_padding=odd),
        ]
    return nn.Sequential(*layers)


class Variational(nn.Module):
    """Encoder to a normal distribution over `latent` dimensions, and a decoder of samples from it."""

    def __init__(
        self,
        shape: tuple[int, ...],
        latent: int,
        *,
        width: int,
        hidden: int,
        condition: int = 0,
        decoded: int | None = None,
    ) -> None:
        """Build for images (channels, height, width), or for features (D,) with two hidden layers of `hidden` units.

        Convolutions have `width` channels, twice as many after each halving. The decoder is given the first `decoded`
        dimensions of a sample, all by default, and `condition` further numbers.
        """
        super().__init__()
        self.latent, self.decoded = latent, latent if decoded is None else decoded
        inputs = self.decoded + condition
        if len(shape) == 1:
            self.encoder = nn.Sequential(perceptron(shape[0], hidden, hidden), nn.ReLU())
            self.decoder = perceptron(inputs, hidden, hidden, shape[0])
            encoded = hidden
        else:
            sides = halved_sides(*shape[1:])
            channels = [shape[0], *(width * 2**place for place in range(len(sides) - 1))]
            self.encoder = _convolutions(channels)
            self.decoder = _deconvolutions(inputs, channels[::-1], sides[::-1])
            encoded = channels[-1] * sides[-1][0] * sides[-1][1]
        self.statistics = nn.Linear(encoded, 2 * latent)

    def encode(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and log variances (B,Z) in float32."""
        mean, log_variance = self.statistics(self.encoder(inputs)).float().chunk(2, dim=1)
        return mean, log_variance

    def decode(self, sample: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return reconstructions in float32 of samples (B,Z) and, where there is one, a condition (B,K)."""
        parts = [sample[:, : self.decoded], *([] if condition is None else [condition])]
        return self.decoder(torch.cat(parts, dim=1)).float()

    def forward(self, inputs: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return reconstructions, means, log variances and samples; the draw is from the global stream."""
        mean, log_variance = self.encode(inputs)
        sample = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        return self.decode(sample, condition), mean, log_variance, sample
