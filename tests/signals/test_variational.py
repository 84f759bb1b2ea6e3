"""The variational autoencoder: its losses by hand, its size by the image, and VAAL's networks within TA-VAAL's."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from ssal.signals.adversarial import Adversary
from ssal.signals.ta_vaal import Conditional
from ssal.signals.variational import (
    KLReduction,
    Variational,
    halved_sides,
    kl_elements,
    perceptron,
    reconstruction_error,
)
from ssal.signals.variational import kl_divergence as kl

MEAN = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
LOG_VARIANCE = torch.tensor([[0.0, 0.0], [math.log(2), 0.0]])


def test_kl_elements_are_those_of_normal_distributions() -> None:
    expected = torch.tensor([[0.5, 0.0], [0.1534, 2.0]])
    assert torch.allclose(kl_elements(MEAN, LOG_VARIANCE), expected, atol=1e-4)
    mean, log_variance = torch.randn(2, 50, 7)
    independent = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0))
    assert torch.allclose(kl_elements(mean, log_variance), independent, atol=1e-5)


@pytest.mark.parametrize(("reduction", "expected"), [("official_sum", 2.6534), ("mean", 0.6634), ("elbo", 1.3267)])
def test_kl_reductions(reduction: KLReduction, expected: float) -> None:
    assert float(kl(MEAN, LOG_VARIANCE, reduction)) == pytest.approx(expected, abs=1e-4)


def test_the_squared_error_is_summed_over_an_image_under_elbo_alone() -> None:
    inputs, off = torch.zeros(4, 3, 5, 5), torch.full((4, 3, 5, 5), 2.0)
    found = {form: float(reconstruction_error(off, inputs, form)) for form in ("elbo", "mean", "official_sum")}
    assert found == {"elbo": 300.0, "mean": 4.0, "official_sum": 4.0}


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        (4, [4, 2]),
        (8, [8, 4, 2]),
        (15, [15, 7, 3]),
        (28, [28, 14, 7, 3]),
        (32, [32, 16, 8, 4, 2]),
        (64, [64, 32, 16, 8, 4]),
    ],
)
def test_the_side_decides_how_many_convolutions(side: int, expected: list[int]) -> None:
    assert [height for height, _ in halved_sides(side, side)] == expected


@pytest.mark.parametrize("shape", [(3, 4, 4), (3, 8, 8), (3, 15, 15), (3, 28, 20), (3, 64, 64), (5,)])
def test_reconstructions_have_the_shape_of_what_is_encoded(shape: tuple[int, ...]) -> None:
    network, inputs = Variational(shape, 6, width=2, hidden=8, condition=1, decoded=4), torch.randn(3, *shape)
    reconstruction, mean, log_variance, sample = network(inputs, torch.rand(3, 1))
    assert reconstruction.shape == inputs.shape and mean.shape == log_variance.shape == sample.shape == (3, 6)
    convolutions = [layer for layer in network.encoder.modules() if isinstance(layer, torch.nn.Conv2d)]
    assert len(convolutions) == (len(halved_sides(*shape[1:])) - 1 if len(shape) == 3 else 0)
    assert [layer.out_channels for layer in convolutions] == [2 * 2**place for place in range(len(convolutions))]


def test_samples_are_drawn_around_the_mean() -> None:
    network = Variational((5,), 4, width=0, hidden=8)
    torch.manual_seed(0)
    _, mean, log_variance, sample = network(torch.randn(1, 5).expand(20_000, 5))
    assert torch.allclose(sample.mean(dim=0), mean[0], atol=0.03)
    assert torch.allclose(sample.std(dim=0), (log_variance[0] / 2).exp(), atol=0.03)


def adversaries(shape: tuple[int, ...], predicted: Tensor) -> tuple[Adversary, Conditional]:
    """Return VAAL's module, and TA-VAAL's with the same weights and none for what it is told of the ranker."""
    torch.manual_seed(0)
    given = {"kl_reduction": "mean", "learning_rate": 5e-4}
    plain = Adversary(Variational(shape, 4, width=2, hidden=8), perceptron(4, 8, 8, 1), None, (0,), **given)  # type: ignore[arg-type]
    told = Conditional(
        Variational(shape, 4, width=2, hidden=8, condition=1),
        perceptron(5, 8, 8, 1),
        None,
        (0,),
        predicted_loss=predicted,
        **given,
    )
    own = told.state_dict()
    for name, weight in plain.state_dict().items():
        own[name].zero_()
        own[name][tuple(slice(length) for length in weight.shape)] = weight
    told.load_state_dict(own)
    return plain, told


def test_ta_vaal_without_the_ranker_is_vaal() -> None:
    """With copied weights both say the same: whatever the ranker says where it has no weight, or if it says 0."""
    features = torch.randn(6, 7)
    plain, told = adversaries((7,), torch.randn(6))
    batch = {"images": features, "rows": torch.arange(6)}
    losses = []
    for module in (plain, told):
        torch.manual_seed(1)
        losses.append(module.training_step(batch, 0))
    assert torch.allclose(losses[0], losses[1], atol=1e-6)
    mean, _ = plain.variational.encode(features)
    zero = torch.zeros(6, 1)
    with torch.no_grad():
        for network in (told.variational.decoder, told.discriminator):
            network[0].weight[:, 4] = 5.0  # type: ignore[index,union-attr]
    nothing = told.discriminator(torch.cat([mean, zero], dim=1))
    assert torch.allclose(nothing, plain.discriminator(mean), atol=1e-6)
    assert torch.allclose(told.variational.decode(mean, zero), plain.variational.decode(mean), atol=1e-5)
    assert not torch.allclose(told.discriminator(told.judged(mean, mean, batch["rows"])), nothing, atol=1e-2)


def test_the_decoder_is_told_the_sigmoid_and_the_discriminator_the_raw_value() -> None:
    _, told = adversaries((7,), torch.tensor([-3.0, 0.0, 2.0]))
    rows = torch.tensor([2, 0])
    assert torch.allclose(told.condition(rows)[:, 0], torch.tensor([0.880797, 0.047426]), atol=1e-5)
    assert told.judged(torch.zeros(2, 4), torch.ones(2, 4), rows).tolist() == [[0, 0, 0, 0, 2], [0, 0, 0, 0, -3]]
