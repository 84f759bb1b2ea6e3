"""Options that every trained learner takes: SWA, label smoothing, class-balanced batches, warm start."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from on_vectors import learner_of_logits
from test_learners import TRAINER, make, tiny_images
from torch import nn

from ssal.backbones import build
from ssal.data import batches
from ssal.data.images import ImageSet
from ssal.data.views import Views
from ssal.learner.base import Learner
from ssal.learner.supervised import Supervised


def supervised(classes: int = 2, **options: Any) -> Supervised:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build((3, 8, 8), name="wrn_10_1")
        return Supervised(network, Views((0.5,) * 3, (0.25,) * 3, False), classes, **{"batch_size": 8, **options})


def fit(learner: Learner, images: ImageSet, labels: torch.Tensor, folder: Path) -> list[dict[str, torch.Tensor]]:
    """Train on the first 20 images; return the trained network's parameters after every step."""
    rows, seen = torch.arange(20), []
    learner.see(images, rows, labels[rows])

    def feed(steps: range) -> Any:
        yield from batches.labelled_and_unlabelled(
            images, steps, rows, labels[rows], learner.batch_size, 0, (0, "t"), learner.class_balanced
        )

    real = learner.on_train_batch_end

    def after(*arguments: Any) -> None:
        real(*arguments)
        seen.append({name: p.detach().clone() for name, p in learner.network.named_parameters()})

    learner.on_train_batch_end = after  # type: ignore[method-assign]
    learner.fit(feed, folder, (0, "t"), TRAINER)
    return seen


def test_swa_is_the_equal_mean_of_the_networks_since_its_start(tmp_path: Path) -> None:
    images, labels = tiny_images()
    learner = supervised(steps=20, swa_from=0.6)
    seen = fit(learner, images, labels, tmp_path)
    assert len(seen) == 20
    for name, value in learner.average.named_parameters():
        assert torch.allclose(value, torch.stack([one[name] for one in seen[12:]]).mean(0), atol=1e-6), name


def test_the_rate_stays_where_swa_begins() -> None:
    learner = supervised(steps=100, swa_from=0.5)
    schedule = learner.configure_optimizers()["lr_scheduler"]["scheduler"].lr_lambdas[0]
    assert schedule(50) == schedule(99) == pytest.approx(math.cos(7 * math.pi * 0.5 / 16))


def test_swa_has_the_batchnorm_statistics_of_its_own_weights(tmp_path: Path) -> None:
    """As torch's update_bn: the mean over batches of the pool, of weights that never trained."""
    images, labels = tiny_images()
    learner = supervised(steps=20, swa_from=0.6)
    fit(learner, images, labels, tmp_path)
    layer = next(m for m in learner.average.modules() if isinstance(m, nn.BatchNorm2d))
    online = next(m for m in learner.network.modules() if isinstance(m, nn.BatchNorm2d))
    inputs: list[torch.Tensor] = []
    layer.register_forward_pre_hook(lambda module, given: inputs.append(given[0].detach()))
    learner.average.eval()
    with torch.no_grad():
        views = learner.views.weak(images.fetch(torch.arange(20)), 0, "t", "statistics", 0)  # those it was trained on
        learner.average(views)
    assert torch.allclose(layer.running_mean, inputs[0].mean((0, 2, 3)), atol=1e-5)  # type: ignore[arg-type]
    assert not torch.allclose(layer.running_mean, online.running_mean, atol=1e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        *(("supervised", 6), ("pseudo_label", 6), ("pi_model", 6), ("mean_teacher", 6)),
        *(("fixmatch", 60), ("mixmatch", 60), ("ceal", 10)),
    ],
)
def test_swa_statistics_are_of_the_images_that_moved_them_in_training(name: str, seen: int) -> None:
    images, labels = tiny_images()  # 60 of them
    learner = make(name, images, {"steps": 10, "swa_from": 0.5, "batch_size": 8})
    learner.see(images, torch.arange(6), labels[:6])
    if name == "ceal":
        learner.pseudo_labels[20:24] = 1  # type: ignore[operator]
    counts: list[int] = []
    layer = next(m for m in learner.average.modules() if isinstance(m, nn.BatchNorm2d))
    layer.register_forward_pre_hook(lambda module, given: counts.append(len(given[0])))
    learner.on_train_end()
    assert sum(counts) == seen


def test_smoothed_labels_worked_numbers() -> None:
    logits, labels = torch.tensor([[2.0, 0.0]]), torch.tensor([0])
    sure, other = math.log(1 + math.exp(-2)), math.log(1 + math.exp(2))
    assert supervised(label_smoothing=0.2).labelled_loss(logits, labels).item() == pytest.approx(
        0.9 * sure + 0.1 * other
    )
    assert supervised().labelled_loss(logits, labels).item() == pytest.approx(sure)


def test_balanced_batches_hold_every_class_equally_often() -> None:
    images, _ = tiny_images()
    rows, labels = torch.arange(12), torch.tensor([0] * 9 + [1] * 2 + [2])
    drawn = [
        batch["labels"]
        for batch in batches.labelled_and_unlabelled(
            images, range(7), rows, labels, 6, 0, (0, "t"), class_balanced=True
        )
    ]
    assert all(torch.bincount(one).tolist() == [2, 2, 2] for one in drawn)
    order = torch.cat(drawn).view(-1, 3)
    assert len({tuple(turn.tolist()) for turn in order}) > 1, "the order of classes is drawn anew"
    picked = torch.cat(
        [
            batch["labelled_rows"]
            for batch in batches.labelled_and_unlabelled(images, range(9), rows, labels, 3, 0, (0, "t"), True)
        ]
    )
    assert sorted(picked[picked < 9].tolist()) == list(range(9)), "all images of a class take their turn"
    later = next(iter(batches.labelled_and_unlabelled(images, range(5, 6), rows, labels, 6, 0, (0, "t"), True)))
    assert torch.equal(later["labels"], drawn[5]), "a step's batch follows from its number"


def test_a_warm_start_has_the_weights_of_before_and_first_ones_for_classes_without_a_label_then() -> None:
    images, _ = tiny_images()
    for names_known in (2, 3):  # the third class may have had a name already, but no label
        before, now = supervised(classes=names_known), supervised(classes=3)
        before.see(images, torch.arange(4), torch.tensor([0, 1, 0, 1]))
        with torch.no_grad():
            for parameter in before.average.parameters():
                parameter.add_(1.0)
        first = now.network.head.weight[2].clone()
        now.start_from(before)
        for part in (now.network, now.average):
            assert torch.equal(part.head.weight[:2], before.average.head.weight[:2])
            assert torch.equal(part.head.weight[2], first)
            assert torch.equal(part.encoder.stem.weight, before.average.encoder.stem.weight)


def test_logits_are_float32_under_bfloat16() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, features = supervised().network(torch.randn(2, 3, 8, 8))
    assert logits.dtype == features.dtype == torch.float32


@pytest.mark.parametrize("name", ["fixmatch", "flexmatch", "freematch", "uda", "mixmatch"])
def test_guesses_follow_the_labels_class_shares_where_asked_for(name: str) -> None:
    logits = torch.tensor([[2.0, 0.0], [1.0, 0.0]])
    learner = learner_of_logits(name, 2, 4, [0, 1, 2, 3], [0, 1, 1, 1], distribution_alignment=True)
    probabilities = logits.softmax(dim=1)
    expected = probabilities * torch.tensor([0.25, 0.75]) / probabilities.mean(dim=0)
    found = learner.guessed(logits)  # type: ignore[operator]
    assert torch.allclose(found, expected / expected.sum(dim=1, keepdim=True), atol=1e-4)
    plain = learner_of_logits(name, 2, 4, [0, 1, 2, 3], [0, 1, 1, 1])
    assert torch.equal(plain.guessed(logits), probabilities)  # type: ignore[operator]


def test_what_supervised_sees_is_the_view_that_was_asked_for() -> None:
    images, labels = tiny_images()
    batch = {"labelled": images.fetch(torch.arange(8)), "labels": labels[:8]}
    losses = {}
    for augmentation in ("none", "weak", "strong"):
        learner = supervised(steps=4, augmentation=augmentation)
        learner.network.eval()
        stream = (0, "t", "labelled")
        views = {
            "none": learner.views.plain(batch["labelled"]),
            "weak": learner.views.weak(batch["labelled"], *stream),
            "strong": learner.views.strong(batch["labelled"], *stream),
        }
        expected = nn.functional.cross_entropy(learner.network(views[augmentation])[0], batch["labels"])
        losses[augmentation] = learner.loss(batch, 0, "t").detach()
        assert torch.equal(losses[augmentation], expected)
    assert len({float(loss) for loss in losses.values()}) == 3


def test_adam_takes_a_rate_of_its_own_and_the_same_schedule(tmp_path: Path) -> None:
    for optimiser, kind, rate in (("sgd", torch.optim.SGD, 0.03), ("adam", torch.optim.AdamW, 0.001)):
        learner = supervised(steps=20, optimiser=optimiser)
        made = learner.configure_optimizers()
        assert type(made["optimizer"]) is kind and made["optimizer"].param_groups[0]["lr"] == rate
        schedule = made["lr_scheduler"]["scheduler"]
        assert schedule.lr_lambdas[0](10) == pytest.approx(math.cos(7 * math.pi * 10 / (16 * 20)))
    assert supervised(steps=20, optimiser="adam", adam_learning_rate=0.01).learning_rate == 0.01
    images, labels = tiny_images()
    before, after = (fit(supervised(steps=6, optimiser="adam"), images, labels, tmp_path)[at] for at in (0, -1))
    assert any(not torch.equal(before[name], after[name]) for name in before)
