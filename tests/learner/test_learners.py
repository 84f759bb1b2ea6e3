"""Learners: worked numbers of the losses, and the contract that every registered one keeps."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from ssal import registry
from ssal.data import batches
from ssal.data.images import ImageSet
from ssal.data.views import Views
from ssal.learner.base import Learner
from ssal.learner.linear_probe import solve_head
from ssal.learner.schedules import cosine_seven_sixteenths, move_average, short_schedule_decay
from ssal.loop import decayed_groups

TRAINER = {"accelerator": "cpu", "devices": 1, "precision": "32-true"}


def test_cosine_seven_sixteenths() -> None:
    rates = [0.03 * cosine_seven_sixteenths(progress) for progress in (0.0, 0.5, 1.0)]
    assert rates == pytest.approx([0.03, 0.0231903, 0.0058527], abs=1e-7)


def test_short_schedules_scale_the_average() -> None:
    assert short_schedule_decay(0.999, 2**20) == 0.999
    assert short_schedule_decay(0.999, 1000) == pytest.approx(0.99)
    assert short_schedule_decay(0.999, 5) == 0.0


@pytest.mark.parametrize(
    ("average_decay", "steps", "momentum"),
    [
        (0.999, 2**20, 0.001),  # as published
        (0.999, 400, 0.025),  # the quickstart's schedule
        (0.999, 20, 0.5),  # less would leave the initial statistics in
        (0.95, 2**20, 0.05),
        (0.5, 2**20, 0.1),
        (0.0, 2**20, 0.1),  # not the last batch alone
        (0.0, 20, 0.5),
    ],
)
def test_batchnorm_forgets_as_fast_as_the_average_but_not_every_batch(
    average_decay: float, steps: int, momentum: float
) -> None:
    learner = make("supervised", tiny_images()[0], {"average_decay": average_decay, "steps": steps})
    for network in (learner.network, learner.average):
        found = [part.momentum for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
        assert found == pytest.approx([momentum] * len(found)) and found


def test_average_of_constant_weights_is_the_weights_and_buffers_are_copied() -> None:
    online, average = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    average.load_state_dict(online.state_dict())
    online.running_mean += 2.0  # type: ignore[operator]
    for _ in range(5):
        move_average(average, online, 0.9)
    assert torch.equal(average.weight, online.weight)
    assert torch.equal(average.running_mean, online.running_mean)  # type: ignore[arg-type]
    with torch.no_grad():
        online.weight += 1
    move_average(average, online, 0.9)
    assert average.weight[0].item() == pytest.approx(1.1)


def test_no_decay_on_batchnorm_and_bias() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    decayed, others = decayed_groups(network, 5e-4)
    assert [p.ndim for p in decayed["params"]] == [4, 2] and decayed["weight_decay"] == 5e-4
    assert [p.ndim for p in others["params"]] == [1, 1, 1, 1] and others["weight_decay"] == 0


def test_head_solver_separates_and_never_predicts_unseen_classes() -> None:
    features = torch.tensor([[0.0, 0], [0, 1], [5, 0], [5, 1], [0, 9], [1, 9]])
    labels = torch.tensor([0, 0, 2, 2, 3, 3])
    weight, bias = solve_head(features, labels, 5, 1.0)
    logits = features @ weight.T + bias
    assert torch.equal(logits.argmax(1), labels)
    assert logits.softmax(1)[:, [1, 4]].max() < 1e-20
    weight, bias = solve_head(features[:2], labels[:2], 5, 1.0)
    assert torch.equal((features @ weight.T + bias).argmax(1), torch.zeros(6, dtype=torch.long))


def test_head_solver_is_scikit_learns_for_two_classes() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    generator = torch.Generator().manual_seed(0)
    features = torch.randn(40, 3, generator=generator)
    labels = (features[:, 0] + 0.5 * torch.randn(40, generator=generator) > 0).long()
    weight, bias = solve_head(features, labels, 2, 1.0)
    scaler = StandardScaler().fit(features)
    peer = LogisticRegression(C=1.0, max_iter=1000).fit(scaler.transform(features), labels)
    ours = (features @ weight.T + bias).softmax(1)[:, 1]
    assert torch.allclose(
        ours.double(), torch.from_numpy(peer.predict_proba(scaler.transform(features))[:, 1]), atol=1e-4
    )


def tiny_images(count: int = 60, side: int = 8, classes: int = 2) -> tuple[ImageSet, torch.Tensor]:
    """Return images whose brighter half tells the class, and the classes."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % classes
    pixels = torch.randint(0, 120, (count, 3, side, side), generator=generator, dtype=torch.uint8)
    for number in range(classes):
        rows = slice(number * side // classes, (number + 1) * side // classes)
        pixels[labels == number, :, rows] += 130
    return ImageSet([f"{i:016x}" for i in range(count)], [""] * count, pixels), labels


def make(name: str, images: ImageSet, options: dict[str, object]) -> Learner:
    views = Views((0.5, 0.5, 0.5), (0.25, 0.25, 0.25), flip=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        method = registry.find("learner", name)
        if method.traits.get("frozen"):
            from ssal.backbones import Identity

            return method.call(Identity(images.shape[0]), views, 2, **options)
        from ssal.backbones import build

        return method.call(build(images.shape, name="wrn_10_1"), views, 2, **options)


LEARNERS = list(registry.methods("learner"))


def small(name: str, steps: int) -> dict[str, object]:
    wanted = {"steps": steps, "batch_size": 16, "mu": 2, "learning_rate": 0.03}
    return {key: value for key, value in wanted.items() if key in registry.find("learner", name).options}


def embedded(images: ImageSet) -> ImageSet:
    everything = images.fetch(torch.arange(len(images))).float()
    return ImageSet(images.ids, images.paths, everything.mean(dim=(1, 3)) / 255)


@pytest.mark.parametrize("name", LEARNERS)
def test_learner_contract(name: str, tmp_path: Path) -> None:
    """It fits 20 labelled images, scores without regard to the batch, and what is saved is what is loaded."""
    images, labels = tiny_images()
    if registry.find("learner", name).traits.get("frozen"):
        images = embedded(images)
    learner = make(name, images, small(name, 120))
    rows = torch.arange(20)

    def feed(steps: range):  # type: ignore[no-untyped-def]
        return batches.labelled_and_unlabelled(
            images, steps, rows, labels[rows], learner.batch_size or 20, learner.unlabelled_batch_size, (0, "t")
        )

    learner.see(images, rows, labels[rows])
    before = [p.clone() for p in learner.network.encoder.parameters()]
    learner.fit(feed, tmp_path, (0, "t"), TRAINER)
    learner.eval()
    everything = images.fetch(torch.arange(len(images)))
    with torch.no_grad():
        logits, features = learner(everything)
        one_by_one = torch.cat([learner(image[None])[0] for image in everything])
    assert torch.isfinite(logits).all() and features.shape[0] == len(images)
    assert (logits[rows].argmax(1) == labels[rows]).all(), "overfits its 20 labelled images"
    assert torch.allclose(logits, one_by_one, atol=1e-4), "a score does not depend on its batch mates"
    if before:
        after = list(learner.network.encoder.parameters())
        assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True)), "the encoder learns"
    again = make(name, images, small(name, 120))
    again.see(images, rows, labels[rows])
    again.average.load_state_dict(learner.average.state_dict())
    again.eval().to(memory_format=torch.channels_last)  # as training leaves it: other kernels round otherwise
    with torch.no_grad():
        assert torch.equal(again(everything)[0], logits)


@pytest.mark.parametrize("name", [name for name in LEARNERS if "steps" in registry.find("learner", name).options])
def test_a_training_killed_in_the_middle_resumes_to_the_same_weights(name: str, tmp_path: Path) -> None:
    images, labels = tiny_images()
    rows = torch.arange(6)
    trainer = {**TRAINER, "checkpoint_seconds": 0.0}

    class Killed(Exception):
        pass

    def run(folder: Path, dies_at: int | None) -> Learner:
        learner = make(name, images, small(name, 130))
        learner.see(images, rows, labels[rows])

        def feed(steps: range):  # type: ignore[no-untyped-def]
            for batch in batches.labelled_and_unlabelled(
                images, steps, rows, labels[rows], learner.batch_size, learner.unlabelled_batch_size, (0, "t")
            ):
                if batch["step"] == dies_at:
                    raise Killed
                yield batch

        learner.fit(feed, folder, (0, "t"), trainer)
        return learner

    whole = run(tmp_path / "whole", None)
    with pytest.raises(Killed):
        run(tmp_path / "killed", 117)
    assert (tmp_path / "killed" / "training" / "last.ckpt").exists()
    torch.rand(7)  # a resumed process has another global random state
    resumed = run(tmp_path / "killed", None)
    for (key, value), (_, other) in zip(whole.state_dict().items(), resumed.state_dict().items(), strict=True):
        assert torch.equal(value, other), key


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    from ssal.errors import Diverged

    images, labels = tiny_images()
    rows = torch.arange(6)
    learner = make("supervised", images, small("supervised", 200))

    def feed(steps: range):  # type: ignore[no-untyped-def]
        for batch in batches.labelled_and_unlabelled(images, steps, rows, labels[rows], 16, 0, (0, "t")):
            if batch["step"] == 120:  # drawn one batch ahead, so step 119 meets it
                with torch.no_grad():
                    learner.network.head.weight.fill_(float("nan"))
            yield batch

    with pytest.raises(Diverged, match=r"not finite at step 119 of 200.*last good checkpoint.*learning_rate"):
        learner.fit(feed, tmp_path, (0, "t"), {**TRAINER, "checkpoint_seconds": 0.0})
    kept = torch.load(tmp_path / "training" / "last.ckpt", weights_only=False)
    assert kept["global_step"] == 100
    assert all(torch.isfinite(value).all() for value in kept["state_dict"].values())
