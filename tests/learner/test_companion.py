"""Heads that are trained with a learner: what they see, when their gradient ends, and what they leave alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from test_learners import LEARNERS, TRAINER, make, small, tiny_images
from torch import Tensor, nn

from ssal import backbones, registry
from ssal.data import batches
from ssal.data.images import ImageSet
from ssal.data.views import Views
from ssal.errors import BadInput
from ssal.learner.base import Learner, Network
from ssal.learner.companion import Companions, check_stages, pooled, stages

WITH_MAPS = [name for name in LEARNERS if registry.find("learner", name).call.labelled_first]  # type: ignore[attr-defined]
HEAD: Any = registry.companion_of("loss_prediction")
ROWS = torch.arange(6)


def accompanied(
    name: str, images: ImageSet, steps: int = 8, more: dict[str, Any] | None = None, **head: Any
) -> Learner:
    learner = make(name, images, {**small(name, steps), **(more or {})})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        learner.accompany("loss_prediction", HEAD, head)
    return learner


def feed(learner: Learner, images: ImageSet, labels: Tensor, steps: range) -> Any:
    sizes = learner.batch_size, learner.unlabelled_batch_size
    return batches.labelled_and_unlabelled(images, steps, ROWS, labels[ROWS], *sizes, (0, "t"))


def fitted(learner: Learner, images: ImageSet, labels: Tensor, folder: Path) -> dict[str, Tensor]:
    learner.see(images, ROWS, labels[ROWS])
    learner.fit(lambda steps: feed(learner, images, labels, steps), folder, (0, "t"), TRAINER)
    return {name: value for name, value in learner.state_dict().items() if ".companions." not in name}


def test_most_learners_can_have_one() -> None:
    assert {"supervised", "fixmatch", "flexmatch", "freematch", "uda", "simmatch", "ceal"} <= set(WITH_MAPS)
    assert {"pseudo_label", "pi_model", "mean_teacher", "adamatch", "deep_label_propagation"} <= set(WITH_MAPS)


@pytest.mark.parametrize(
    ("name", "more"),
    [*((name, {}) for name in WITH_MAPS), ("deep_label_propagation", {"labelled_share": 0.0})],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_first_forward_with_gradients_begins_with_the_labelled_images(
    name: str, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `labelled_first` promises: a companion takes these rows for the images that the batch's labels are of."""
    monkeypatch.setattr(Views, "weak", lambda self, images, *names, **given: self.plain(images))
    images, labels = tiny_images()
    learner = accompanied(name, images, more=more)
    learner.see(images, ROWS, labels[ROWS])
    (batch,) = feed(learner, images, labels, range(1))
    seen: list[Tensor] = []
    learner.network.register_forward_pre_hook(
        lambda network, given: seen.append(given[0]) if torch.is_grad_enabled() else None
    )
    learner.train()
    loss = learner.training_step(batch, 0)
    expected = learner.views.plain(batch["labelled"])
    assert torch.equal(seen[0][: len(expected)], expected) and loss.requires_grad
    kept = learner.network.companions
    assert kept is not None and kept.maps == [] and kept.logits is None, "no graph is kept after the step"


@pytest.mark.parametrize("name", WITH_MAPS)
def test_a_detached_head_leaves_every_weight_as_it_is_and_another_does_not(name: str, tmp_path: Path) -> None:
    images, labels = tiny_images()
    plain = fitted(make(name, images, small(name, 8)), images, labels, tmp_path / "plain")
    for detach, same in (("always", True), ("late", False)):
        learner = accompanied(name, images, detach=detach)
        before = [value.clone() for value in learner.network.companions.parameters()]  # type: ignore[union-attr]
        found = fitted(learner, images, labels, tmp_path / detach)
        assert found.keys() == plain.keys()
        assert all(torch.equal(found[key], plain[key]) for key in plain) == same
        after = learner.network.companions.parameters()  # type: ignore[union-attr]
        assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True)), "the head itself learns"
        average = learner.average.companions.heads.state_dict()  # type: ignore[union-attr]
        assert average.keys() == learner.network.companions.heads.state_dict().keys()  # type: ignore[union-attr]


def test_a_training_killed_in_the_middle_resumes_to_the_same_weights(tmp_path: Path) -> None:
    images, labels = tiny_images()

    class Killed(Exception):
        pass

    def run(folder: Path, dies_at: int | None) -> Learner:
        learner = accompanied("fixmatch", images, 130, gradient_until=0.5)
        learner.see(images, ROWS, labels[ROWS])

        def fed(steps: range) -> Any:
            for batch in feed(learner, images, labels, steps):
                if batch["step"] == dies_at:
                    raise Killed
                yield batch

        learner.fit(fed, folder, (0, "t"), {**TRAINER, "checkpoint_seconds": 0.0})
        return learner

    whole = run(tmp_path / "whole", None)
    with pytest.raises(Killed):
        run(tmp_path / "killed", 117)
    torch.rand(7)
    resumed = run(tmp_path / "killed", None)
    names = whole.state_dict()
    assert any(".companions." in name for name in names)
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in names.items())


def test_gradients_end_after_their_share_of_the_steps(tmp_path: Path) -> None:
    """With the labelled loss away, the network's weights move in the first steps alone; the head's move in all."""
    images, labels = tiny_images()
    learner = accompanied("supervised", images, 10, {"weight_decay": 0.0}, gradient_until=0.6)
    learner.see(images, ROWS, labels[ROWS])
    learner.train()
    moved = []
    for step, batch in enumerate(feed(learner, images, labels, range(10))):
        network = learner.network
        assert network.companions is not None
        with network.companions.watching(rows=len(batch["labels"])):
            learner.loss(batch, "step", step)
        network.zero_grad()
        network.companions.loss(batch["labels"], step / 10).backward()
        first = next(network.encoder.parameters()).grad
        moved.append(first is not None and bool(first.any()))
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.companions.parameters())
    assert moved == [True] * 6 + [False] * 4


def test_what_it_says_is_of_the_averaged_maps_in_any_batch(tmp_path: Path) -> None:
    images, labels = tiny_images()
    learner = accompanied("supervised", images, 20)
    fitted(learner, images, labels, tmp_path)
    learner.eval()
    everything = images.fetch(torch.arange(len(images)))
    with torch.no_grad():
        whole = learner.says("loss_prediction", everything)
        one_by_one = torch.cat([learner.says("loss_prediction", image[None]) for image in everything])
        learner(everything)
        learner(everything[:3])
        again = learner.says("loss_prediction", everything)
    assert whole.shape == (60,) and len(whole.unique()) > 30
    assert torch.allclose(whole, one_by_one, atol=1e-4) and torch.equal(whole, again)


@pytest.mark.parametrize(
    ("name", "shape", "channels"),
    [
        ("wrn_10_2", (3, 12, 12), [32, 64, 128, 128]),
        ("resnet18", (3, 32, 32), [64, 128, 256, 512]),
        ("convnext_atto", (3, 32, 32), [40, 80, 160, 320]),
        ("vit_tiny_patch16_224", (3, 32, 32), [192] * 4),
        ("swin_tiny_patch4_window7_224", (3, 56, 56), [96, 192, 384, 768]),
    ],
)
def test_backbones_tell_their_stages(name: str, shape: tuple[int, ...], channels: list[int]) -> None:
    check_stages(name)
    network = Network(backbones.build(shape, name=name), 3, 0.0).eval()
    companions = Companions(network)
    images = torch.rand(3, *shape)
    with torch.no_grad(), companions.watching(rows=2):
        logits, features = network(images)
        network(torch.zeros(3, *shape))  # a later forward of the step is not looked at
    assert companions.channels == channels == [part.shape[1] for part in companions.maps]
    assert companions.logits is not None and torch.equal(companions.logits, logits[:2])
    if name in ("wrn_10_2", "resnet18"):
        assert torch.allclose(companions.maps[-1], features[:2], atol=1e-6), "the last is what the classifier reads"


def test_pooling_finds_the_channels() -> None:
    maps = torch.rand(2, 5, 3, 4)
    expected = maps.mean(dim=(2, 3))
    assert torch.allclose(pooled(maps, 5), expected)
    assert torch.allclose(pooled(maps.permute(0, 2, 3, 1), 5), expected)
    assert torch.allclose(pooled(maps.flatten(2).transpose(1, 2), 5), expected)
    assert torch.equal(pooled(expected, 5), expected)
    assert pooled(maps.bfloat16(), 5).dtype == torch.float32


def test_without_maps_it_says_so() -> None:
    with pytest.raises(BadInput, match="Linear does not say where its feature maps are; use wrn_28_2 or resnet18"):
        stages(nn.Linear(2, 2))
    images, _ = tiny_images()
    with pytest.raises(BadInput, match="MixMatch trains no companion"):
        accompanied("mixmatch", images)
    with pytest.raises(BadInput, match=r"trained without it; type signals.loss_prediction=\{\}"):
        make("supervised", images, small("supervised", 4)).says("loss_prediction", images.fetch(ROWS))
    learner = accompanied("supervised", images)
    assert learner.network.companions is not None
    none = pytest.raises(BadInput, match="expected 4 feature maps from one forward, got 0")
    with none, learner.network.companions.watching():
        pass
