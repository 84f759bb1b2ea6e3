"""Probabilities under dropout masks: the same masks for every image, and only the head is run again."""

from __future__ import annotations

import pytest
import torch
from small_learner import halves, supervised
from torch import nn

from ssal import registry
from ssal.acquisition.disagreement import bald
from ssal.backbones import Identity
from ssal.data.views import Views
from ssal.errors import BadInput
from ssal.learner.base import Learner
from ssal.signals.mc_dropout import dropout_masks, masked_probabilities, mc_dropout


def dropping(share: float) -> Learner:
    return supervised(halves()[0], dropout=share)


def test_masks_keep_the_mean_and_are_dropouts() -> None:
    masks = dropout_masks(4000, 5, 0.25, 0, "t")
    assert masks.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert masks.mean(dim=0).tolist() == pytest.approx([1.0] * 5, abs=0.05)
    assert torch.equal(masks, dropout_masks(4000, 5, 0.25, 0, "t"))
    assert not torch.equal(masks, dropout_masks(4000, 5, 0.25, 1, "t"))


def test_every_image_is_seen_under_the_same_masks_whatever_stands_beside_it() -> None:
    learner, features = dropping(0.5), torch.randn(30, 64, generator=torch.Generator().manual_seed(0))
    features = features[:, : learner.average.head.in_features]
    features[7] = features[3]
    whole = mc_dropout(learner, features, names=(0, "t"), masks=9)["mc_probabilities"]
    assert whole.shape == (30, 9, 2) and torch.allclose(whole.sum(2), torch.ones(30, 9))
    assert torch.equal(whole[7], whole[3]), "one image twice says the same twice"
    part = mc_dropout(learner, features[5:12], names=(0, "t"), masks=9)["mc_probabilities"]
    assert torch.allclose(part, whole[5:12], atol=1e-6)
    more = mc_dropout(learner, features, names=(0, "t"), masks=4)["mc_probabilities"]
    assert torch.allclose(more, whole[:, :4], atol=1e-6)
    assert (bald(whole) > 1e-6).all()


def test_the_mean_over_masks_is_what_pytorchs_dropout_gives() -> None:
    torch.manual_seed(0)
    head, features = nn.Linear(6, 3), torch.randn(1, 6)
    ours = masked_probabilities(features, dropout_masks(20000, 6, 0.3, 0), head)[0]
    with torch.no_grad():
        peer = head(nn.functional.dropout(features.expand(20000, 6), 0.3)).softmax(dim=1)
    assert torch.allclose(ours.mean(dim=0), peer.mean(dim=0), atol=0.01)
    assert torch.allclose(ours.std(dim=0), peer.std(dim=0), atol=0.01)


def test_the_head_runs_as_often_as_there_are_masks_and_the_encoder_never() -> None:
    learner, runs = dropping(0.5), []
    learner.average.head.register_forward_hook(lambda *_: runs.append("head"))
    learner.average.encoder.register_forward_hook(lambda *_: runs.append("encoder"))
    mc_dropout(learner, torch.randn(10, learner.average.head.in_features), names=(0, "t"), masks=9)
    assert runs == ["head"] * 9


def test_without_dropout_nothing_would_differ() -> None:
    with pytest.raises(BadInput, match=r"expected a learner with dropout, got dropout 0; type learner.dropout=0.5"):
        mc_dropout(dropping(0.0), torch.randn(2, 16), names=(0, "t"))
    frozen = registry.find("learner", "linear_probe").call(Identity(4), Views((), (), flip=False), 2)
    with pytest.raises(BadInput, match=r"expected a learner with dropout, got one of an encoder's features, without"):
        mc_dropout(frozen, torch.randn(2, 4), names=(0, "t"))
