"""MixMatch: the loss by hand, whose BatchNorm statistics move, and the authors' optimiser."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from normed import Normed
from on_vectors import SameViews, batch, learner_of_logits
from torch import Tensor

from ssal.learner import mixmatch as module
from ssal.learner.mixmatch import MixMatch
from ssal.learner.targets import sharpen

LABELLED = torch.tensor([[0.8, 0.2], [0.5, 0.5]])
UNLABELLED = torch.tensor([[0.9, 0.1], [0.3, 0.7]])
GIVEN = batch(LABELLED.log().tolist(), [0, 1], UNLABELLED.log().tolist())


class Blurred(SameViews):
    """Takes half of the certainty away in the second view: probabilities p become the root of p, normalised."""

    def weak(self, images: Tensor, *names: int | str) -> Tensor:
        return images / 2 if names[-1] == 2 else images


def mixmatch(**options: Any) -> MixMatch:
    learner = learner_of_logits("mixmatch", 2, 4, [0, 1], [0, 1], **{"warm_up_steps": 0, "batch_size": 2, **options})
    assert isinstance(learner, MixMatch)
    learner.views = Blurred((), (), flip=False)
    return learner


def test_the_loss_by_hand_without_mixing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "mixing_shares", lambda count, alpha, seed: torch.ones(count))
    # roots of .9 and .1 are as 3 to 1: .75; mean (.825, .175), sharpened .825² / (.825² + .175²)
    first = 0.825**2 / (0.825**2 + 0.175**2)
    root = math.sqrt(0.7) / (math.sqrt(0.3) + math.sqrt(0.7))
    mean = (0.7 + root) / 2
    second = mean**2 / (mean**2 + (1 - mean) ** 2)
    squares = [(first - 0.9) ** 2, (second - 0.7) ** 2, (first - 0.75) ** 2, (second - root) ** 2]
    supervised = -(math.log(0.8) + math.log(0.5)) / 2
    assert mixmatch().loss(GIVEN, "t").item() == pytest.approx(supervised + 75 * sum(squares) / 4, abs=1e-4)
    assert mixmatch(warm_up_steps=5).loss(GIVEN, "t").item() == pytest.approx(supervised, abs=1e-6)
    smoothed = -0.8 * math.log(0.8) - 0.2 * math.log(0.2) - math.log(0.5)
    found = mixmatch(label_smoothing=0.4, unlabelled_weight=0.0).loss(GIVEN, "t").item()
    assert found == pytest.approx(smoothed / 2, abs=1e-6), "targets (.8, .2)"


@pytest.mark.parametrize("mu", [1, 3])
def test_every_image_is_mixed_with_its_partner_and_comes_back_to_its_place(
    mu: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    plain = module.mixup
    monkeypatch.setattr(module, "mixup", lambda *given: seen.append((given, plain(*given))) or seen[-1][1])
    learner = mixmatch(batch_size=4, mu=mu)
    generator = torch.Generator().manual_seed(1)
    labelled, unlabelled = torch.randn(4, 2, generator=generator), torch.randn(4 * mu, 2, generator=generator)
    given = batch(labelled.tolist(), [0, 1, 1, 0], unlabelled.tolist())
    loss = learner.loss(given, "t").item()
    (images, targets, partners, shares), (mixed, mixed_targets) = seen[0]
    assert torch.equal(images, torch.cat([labelled, unlabelled, unlabelled / 2]))
    assert torch.equal(targets[:4], torch.eye(2)[[0, 1, 1, 0]]), "labels stay in front"
    guess = (unlabelled.softmax(1) + (unlabelled / 2).softmax(1)) / 2
    assert torch.allclose(targets[4:], sharpen(guess, 0.5).repeat(2, 1), atol=1e-6)
    assert torch.equal(partners.sort().values, torch.arange(4 + 8 * mu))
    assert shares.unique().numel() == 4 + 8 * mu and bool((shares >= 0.5).all()), "a draw for every image"
    log = mixed.log_softmax(dim=1)  # the head hands vectors on, so no batch mate matters
    supervised = -(mixed_targets[:4] * log[:4]).sum(1).mean()
    consistency = (mixed_targets[4:] - log[4:].exp()).square().mean()
    assert loss == pytest.approx((supervised + 75 * consistency).item(), rel=1e-5)
    learner.loss(given, "t")
    learner.loss(given, "u")
    assert torch.equal(seen[1][0][2], partners) and torch.equal(seen[1][0][3], shares)
    assert not torch.equal(seen[2][0][2], partners) and not torch.equal(seen[2][0][3], shares)


def test_only_the_first_interleaved_batch_moves_the_statistics() -> None:
    learner = mixmatch()
    learner.network.encoder = Normed()
    mixed = torch.arange(12.0).view(6, 2)  # groups (rows 0 1) (rows 2 3) (rows 4 5)
    logits = learner._mixed_logits(mixed, 2)
    norm = learner.network.encoder.norm
    assert norm.num_batches_tracked == 1 and norm.running_mean.tolist() == [3.0, 4.0], "of rows 0 and 3"
    assert logits.shape == (6, 2)


def test_a_guess_gets_no_gradient_and_moves_no_statistics() -> None:
    learner, logits = mixmatch(), UNLABELLED.log().requires_grad_()
    learner.network.encoder = Normed()
    assert not learner._guess([logits, logits / 2]).requires_grad
    assert learner.network.encoder.norm.num_batches_tracked == 0


def test_defaults_and_optimiser_are_the_authors() -> None:
    learner = learner_of_logits("mixmatch", 2, 4, [0, 1], [0, 1])
    optimiser = learner.configure_optimizers()
    assert type(optimiser) is torch.optim.AdamW and learner.unlabelled_batch_size == 64
    assert [group["weight_decay"] for group in optimiser.param_groups] == [0.02, 0.0]
    assert (learner.warm_up_steps, learner.unlabelled_weight, learner.alpha) == (16_384, 75.0, 0.75)
    assert learner_of_logits("mixmatch", 2, 4, [0, 1], [0, 1], steps=400).warm_up_steps == 400, (
        "all of a short schedule"
    )
    before = learner.network.head.weight.detach().clone()
    for parameter in learner.network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    assert torch.allclose(learner.network.head.weight, before * (1 - 0.02 * 0.002)), "decay without gradient"
