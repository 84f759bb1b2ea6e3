"""CEAL: entropies and thresholds by hand, and when, by whom and for how long the pool is pseudo-labelled."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from on_vectors import batch, learner_of_logits
from test_learners import TRAINER, make, tiny_images

from ssal.data import batches
from ssal.learner.base import Learner
from ssal.learner.ceal import CEAL, sure_classes, threshold_of_round

NAMES = (0, "round", 2, "train")


def test_entropy_worked_numbers() -> None:
    probabilities = torch.tensor([[0.99, 0.01], [0.0, 1.0], [0.995, 0.005], [0.5, 0.5]])
    assert sure_classes(probabilities, 0.05).tolist() == [-1, 1, 0, -1]  # .056002 is too much, .031479 is not
    assert sure_classes(probabilities[:1], 0.0560).tolist() == [-1]
    assert sure_classes(probabilities[:1], 0.0561).tolist() == [0]
    assert sure_classes(probabilities[1:2], 0.0).tolist() == [-1], "below, not at"


def test_threshold_worked_numbers() -> None:
    found = [threshold_of_round((0, "round", number, "train"), 0.05, 0.0033) for number in range(4)]
    assert found == pytest.approx([0.05, 0.0467, 0.0434, 0.0401])
    assert threshold_of_round((0, "t"), 0.05, 0.0033) == 0.05


def test_true_and_pseudo_labelled_images_count_alike() -> None:
    learner = learner_of_logits("ceal", 2, 8, [0, 1], [0, 1])
    learner.pseudo_labels[2:8] = 0
    given = batch(torch.tensor([[0.8, 0.2], [0.5, 0.5]]).log().tolist(), [0, 1], [])
    supervised = -(math.log(0.8) + math.log(0.5)) / 2
    assert learner.loss(given, "t").item() == pytest.approx(supervised, abs=1e-6)
    more = {"pseudo_labelled": torch.tensor([[0.9, 0.1], [0.3, 0.7]]).log(), "pseudo_labels": torch.tensor([0, 0])}
    guessed = -(math.log(0.9) + math.log(0.3)) / 2
    expected = (2 * supervised + 6 * guessed) / 8
    assert learner.loss({**given, **more}, "t").item() == pytest.approx(expected, abs=1e-6)


IMAGES, LABELS = tiny_images()
ROWS = torch.arange(6)


class Killed(Exception):
    pass


def train(
    folder: Path,
    dies_at: int | None = None,
    seen: list[Any] | None = None,
    names: tuple[int | str, ...] = NAMES,
    after: Learner | None = None,
    **options: Any,
) -> CEAL:
    learner = make("ceal", IMAGES, {"steps": 90, "batch_size": 16, "threshold": 0.0105, "decay": 0.001, **options})
    assert isinstance(learner, CEAL)
    learner.see(IMAGES, ROWS, LABELS[ROWS])
    if after:
        learner.start_from(after)

    def feed(steps: range):  # type: ignore[no-untyped-def]
        for one in batches.labelled_and_unlabelled(IMAGES, steps, ROWS, LABELS[ROWS], 16, 0, (0, "t")):
            if one["step"] == dies_at:
                raise Killed
            yield one

    plain = learner.loss

    def loss(batch: dict[str, Any], *names: int | str) -> torch.Tensor:
        if seen is not None:
            seen.append((learner.global_step, batch, learner.pseudo_labels.clone()))
        return plain(batch, *names)

    learner.loss = loss  # type: ignore[method-assign]
    learner.fit(feed, folder, names, {**TRAINER, "checkpoint_seconds": 0.0})
    return learner


def test_the_pool_is_labelled_at_half_and_learned_from_then_on(tmp_path: Path) -> None:
    seen: list[Any] = []
    learner = train(tmp_path, seen=seen)
    assert [step for step, _, _ in seen] == list(range(90))
    assert all("pseudo_labelled" not in batch and bool((kept == -1).all()) for _, batch, kept in seen[:45])
    kept = seen[-1][2]
    count = int((kept >= 0).sum())
    assert bool((kept[ROWS] == -1).all()) and 5 < count < 54 and learner.facts() == {"pseudo_labelled": count}
    assert (kept == LABELS)[kept >= 0].float().mean() > 0.8
    by_pixels = {image.numpy().tobytes(): row for row, image in enumerate(IMAGES.fetch(torch.arange(60)))}
    drawn: set[int] = set()
    for _, given, then in seen[45:]:
        rows = torch.tensor([by_pixels[image.numpy().tobytes()] for image in given["pseudo_labelled"]])
        assert len(rows) == 16 and torch.equal(kept[rows], given["pseudo_labels"]) and torch.equal(then, kept)
        drawn |= set(rows.tolist())
    assert drawn == set((kept >= 0).nonzero().squeeze(1).tolist()), "every one of them and no other"


@pytest.mark.parametrize(("options", "by"), [({}, "average"), ({"swa_from": 0.3}, "network")])
def test_who_labels_the_pool_and_when(options: dict[str, Any], by: str, tmp_path: Path) -> None:
    """Batches are drawn one ahead of the step: the weights that label must not be one step younger.

    Weights that are averaged equally have no BatchNorm statistics of their own before the end, so they do not label.
    """
    seen: list[Any] = []
    learner = train(tmp_path / "whole", seen=seen, **options)
    counts = [int(value) for name, value in learner.network.state_dict().items() if "num_batches_tracked" in name]
    assert set(counts) == {90}, "in train mode again afterwards"
    with pytest.raises(Killed):
        train(tmp_path / "killed", dies_at=45, **options)
    state = torch.load(tmp_path / "killed" / "training" / "last.ckpt", weights_only=False)
    assert state["global_step"] == 45
    half = make("ceal", IMAGES, {"steps": 90, "batch_size": 16})
    half.see(IMAGES, ROWS, LABELS[ROWS])
    half.load_state_dict(state["state_dict"])
    found = {name: guesses(half, getattr(half, name)) for name in ("average", "network")}
    assert torch.equal(seen[-1][2], found[by]) and not torch.equal(found["average"], found["network"])


def guesses(learner: Learner, network: torch.nn.Module) -> torch.Tensor:
    """Return what `network` says of the pool in deterministic views, -1 where it is not sure or a label is known."""
    with torch.no_grad():
        logits, _ = network.eval()(learner.views.plain(IMAGES.fetch(torch.arange(60))))
    found = sure_classes(logits.softmax(dim=1), 0.0105 - 2 * 0.001)
    found[ROWS] = -1
    return found


@pytest.mark.parametrize(("dies_at", "alone"), [(45, 0.5), (46, 0.5), (70, 0.5), (85, 0.35)])
def test_a_kill_before_or_after_the_labelling_changes_nothing(dies_at: int, alone: float, tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", alone=alone, threshold=0.3)
    with pytest.raises(Killed):
        train(tmp_path / "killed", dies_at=dies_at, alone=alone, threshold=0.3)
    state = torch.load(tmp_path / "killed" / "training" / "last.ckpt", weights_only=False)
    assert state["global_step"] == (45 if alone == 0.5 else 81)
    torch.rand(7)
    resumed = train(tmp_path / "killed", alone=alone, threshold=0.3)
    assert whole.facts()["pseudo_labelled"] > 0
    for (key, value), (_, other) in zip(whole.state_dict().items(), resumed.state_dict().items(), strict=True):
        assert torch.equal(value, other), key


def test_nothing_is_sure_enough_late_in_the_loop(tmp_path: Path) -> None:
    seen: list[Any] = []
    learner = train(tmp_path, seen=seen, names=(0, "round", 91, "train"))  # .0105 − 91 × .001 is below 0
    assert learner.facts() == {"pseudo_labelled": 0} and len(seen) == 90
    assert all("pseudo_labelled" not in batch for _, batch, _ in seen)


def test_the_network_of_the_round_before_labels_where_training_goes_on_from_it(tmp_path: Path) -> None:
    before = train(tmp_path / "before", names=(0, "round", 1, "train"))
    seen: list[Any] = []
    after = train(tmp_path / "after", seen=seen, after=before, alone=0.0, warm_start=True, steps=4)
    expected = guesses(before, before.average)
    assert torch.equal(after.pseudo_labels, expected) and bool((expected >= 0).any())
    assert all("pseudo_labelled" in batch for _, batch, _ in seen)
    untrained = train(tmp_path / "untrained", alone=0.0, steps=4, threshold=0.05)
    assert untrained.facts() == {"pseudo_labelled": 0}, "a first round has nothing to go by"
