"""Deep label propagation: its loss by hand, its pseudo-labels, and when they are renewed."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from on_vectors import batch, learner_of_logits
from test_learners import TRAINER, make, small, tiny_images

from ssal.data import batches
from ssal.data.images import ImageSet
from ssal.learner.deep_label_propagation import DeepLabelPropagation, pseudo_labels


def of_logits(**options: object) -> DeepLabelPropagation:
    learner = learner_of_logits("deep_label_propagation", 2, 4, [0, 2], [0, 1], steps=10, **options)
    assert isinstance(learner, DeepLabelPropagation)
    return learner


def test_loss_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = of_logits(labelled_share=0.0)
    monkeypatch.setattr(learner, "renew", lambda: None)
    learner.pseudo.copy_(torch.tensor([0, 1, 1, 0]))
    learner.certainty.copy_(torch.tensor([1.0, 0.5, 1.0, 0.0]))
    learner.class_weights.copy_(torch.tensor([2.0, 3.0]))
    given = batch([[1.0, 0.0]], [0], [[0.0, 0.0], [5.0, 1.0]], unlabelled_rows=[1, 3])
    # label: ζ 2 · log(1 + e^-1); row 1: ζ 3 · ω .5 · log 2; row 3: ω 0; mean of three
    expected = (2 * math.log(1 + math.exp(-1)) + 1.5 * math.log(2)) / 3
    assert learner.loss(given, 0).item() == pytest.approx(expected, abs=1e-6)


def test_balanced_batches_are_not_balanced_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = of_logits(labelled_share=0.0, class_balanced=True)
    monkeypatch.setattr(learner, "renew", lambda: None)
    learner.pseudo.copy_(torch.tensor([0, 1, 1, 0]))
    learner.certainty.fill_(0.5)
    learner.class_weights.copy_(torch.tensor([2.0, 3.0]))
    given = batch([[1.0, 0.0]], [0], [[0.0, 0.0]], unlabelled_rows=[1])
    expected = (math.log(1 + math.exp(-1)) + 3 * 0.5 * math.log(2)) / 2  # the label's ζ is 1, the guess's 3
    assert learner.loss(given, 0).item() == pytest.approx(expected, abs=1e-6)


def test_labelled_steps_come_first() -> None:
    learner = of_logits(labelled_share=0.5)
    given = batch([[1.0, 0.0]], [0], [[9.0, 0.0]])
    assert learner.loss(given, 0).item() == pytest.approx(math.log(1 + math.exp(-1)), abs=1e-6)
    assert not learner.certainty.any()


def test_pseudo_labels_spread_and_labels_stay() -> None:
    angles = torch.linspace(0, 1, 11) ** 2  # denser at the start
    features = torch.stack([angles.cos(), angles.sin(), torch.zeros(11)], 1)
    features = torch.cat([features, torch.tensor([[0.0, 0, 1]])])  # like none
    rows, labels = torch.tensor([0, 10, 9]), torch.tensor([1, 0, 1])  # 9 is labelled wrong
    found, weights, of_classes = pseudo_labels(features, rows, labels, 3, neighbours=3, alpha=0.5, max_iterations=50)
    assert found[:5].tolist() == [1] * 5 and found[rows].tolist() == labels.tolist()
    assert weights[rows].tolist() == [1, 1, 1] and weights[11] == 0 and (weights[1:9] < 1).all()
    counts = torch.bincount(found[:11], minlength=3)  # the one that no label reaches is of no class
    assert of_classes.tolist() == pytest.approx([11 / 3 / counts[0].item(), 11 / 3 / counts[1].item(), 0])


def test_renewing_uses_the_network_as_it_is_and_changes_nothing_of_it() -> None:
    images, labels = tiny_images()
    learner = make("deep_label_propagation", images, {**small("deep_label_propagation", 10), "neighbours": 50})
    assert isinstance(learner, DeepLabelPropagation)
    learner.see(images, torch.arange(6), labels[:6])
    learner.network.train()
    before = {name: value.clone() for name, value in learner.network.state_dict().items()}
    torch.manual_seed(5)
    learner.renew()
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1)), "no draw of the step's stream is used up"
    assert all(torch.equal(before[name], value) for name, value in learner.network.state_dict().items())
    assert all(part.training for part in learner.network.modules())
    with torch.no_grad():
        learner.network.eval()
        features = learner.network(learner.views.plain(images.fetch(torch.arange(60))))[1]
    expected = pseudo_labels(features, torch.arange(6), labels[:6], 2, **learner.spreading)
    assert torch.equal(learner.pseudo, expected[0]) and learner.certainty[:6].tolist() == [1] * 6
    assert torch.allclose(learner.certainty, expected[1]) and torch.allclose(learner.class_weights, expected[2])
    with torch.no_grad():
        next(learner.network.parameters()).normal_(generator=torch.Generator().manual_seed(1))
    learner.renew()
    assert not torch.allclose(learner.certainty, expected[1]), "another network, other pseudo-labels"


def test_pseudo_labels_are_renewed_every_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = tiny_images()  # 60 of them
    images = ImageSet(images.ids, images.paths, images.fetch(torch.arange(60)))
    steps: list[int] = []
    monkeypatch.setattr(DeepLabelPropagation, "renew", lambda self: steps.append(self.global_step))
    learner = make("deep_label_propagation", images, {"steps": 16, "batch_size": 16, "labelled_share": 0.25})
    rows = torch.arange(6)
    learner.see(images, rows, labels[rows])

    def feed(steps: range):  # type: ignore[no-untyped-def]
        return batches.labelled_and_unlabelled(images, steps, rows, labels[rows], 16, 16, (0, "t"))

    learner.fit(feed, tmp_path, (0, "t"), TRAINER)
    assert steps == [4, 8, 12]
