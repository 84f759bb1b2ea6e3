"""Heads that are fitted after the learner: the learner stays as it is, and frozen learners have them, too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy.stats import spearmanr
from tiny_runs import recipe, small, small_signals
from torch import Tensor

from ssal import registry
from ssal.data import batches
from ssal.data.images import Images
from ssal.data.load import load as load_images
from ssal.errors import BadInput, Diverged
from ssal.labelling.ledger import Entry, Ledger
from ssal.learner.train import train
from ssal.learner.trained import Trained
from ssal.pretext.pretrain import pretrain
from ssal.recipe.coherence import without_maps
from ssal.signals import afterwards
from ssal.signals.afterwards import accompany
from ssal.signals.collect import collect

TRAINER = {"accelerator": "cpu", "devices": 1, "precision": "32-true"}
FROZEN = registry.with_trait("learner", "frozen")
SOURCES = registry.sources_of(["predicted_loss"])
NAMES = (0, "round", 1, "signals")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    return load_images(tmp_path_factory.mktemp("data"), source="digits", options={}, size=8, flip=False)


def stand(root: Path, images: Images, learner: str, labels: int = 60) -> tuple[Any, Ledger, Trained]:
    """Return encoder, ledger and a learner on random labels, which is trained once."""
    ledger = Ledger(root / "ledger.sqlite")
    if not ledger.labels():
        order = torch.randperm(len(images.pool), generator=torch.Generator().manual_seed(0))
        asked = [images.pool.ids[row] for row in order[:labels]]
        ledger.append(Entry(id, images.hidden[id], "oracle", 0, "random") for id in asked)
    backbone = {"name": "wrn_10_1", "weights": None}
    encoder = pretrain(images, root, seed=0, trainer=TRAINER, method="none", options={}, backbone=backbone)
    options = {key: value for key, value in small("learner", learner).items() if key != "method"}
    trained = train(encoder, images, ledger, 1, root, 0, TRAINER, method=learner, options=options)
    assert trained is not None
    return encoder, ledger, trained


def table_of(root: Path, images: Images, learner: str) -> dict[str, Tensor]:
    encoder, ledger, trained = stand(root, images, learner)
    folder = root / "round"
    return collect(
        ["predicted_loss", "logits"], trained, encoder, images, ledger, folder, None, names=NAMES, options={}
    )


@pytest.mark.parametrize("learner", ["supervised", "mixmatch", *FROZEN])
def test_the_head_learns_and_the_learner_stays_as_it_is(learner: str, images: Images, tmp_path: Path) -> None:
    _, _, trained = stand(tmp_path, images, learner)
    before = {name: value.clone() for name, value in trained.learner.average.state_dict().items()}
    seconds = accompany(trained, SOURCES, {}, NAMES, tmp_path / "round")
    assert list(seconds) == ["loss_prediction"] and seconds["loss_prediction"] > 0
    after = trained.learner.average.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    head = trained.learner.average.companions.heads["loss_prediction"]  # type: ignore[union-attr]
    assert not any(parameter.requires_grad for parameter in head.parameters())
    logits, labels = labelled(trained)
    loss = head.loss(trained.learner.average.companions.maps, logits, labels, 1.0)  # type: ignore[union-attr]
    assert float(loss) < 0.9, "a head that knows nothing has 1, the margin"
    assert accompany(trained, SOURCES, {}, NAMES, tmp_path / "round") == {}, "it is there"


def labelled(trained: Trained) -> tuple[Tensor, Tensor]:
    """Return logits and labels of the labelled images, having shown them to the learner."""
    learner = trained.learner.eval()
    with torch.no_grad():
        logits, _ = learner(learner.pool.fetch(learner.labelled_rows))
    return logits, learner.labels


def test_a_frozen_learners_predicted_losses_follow_the_true_ones(images: Images, tmp_path: Path) -> None:
    found = table_of(tmp_path, images, "linear_probe")
    numbers = Ledger(tmp_path / "ledger.sqlite").class_numbers(images.classes)
    ids = [images.pool.ids[row] for row in found["rows"].tolist()]
    truth = torch.tensor([numbers[images.hidden[id]] for id in ids])
    losses = torch.nn.functional.cross_entropy(found["logits"], truth, reduction="none")
    assert spearmanr(found["predicted_loss"], losses).statistic > 0.2


def test_a_fit_that_is_killed_goes_on_to_the_same_head(
    images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at step 117 of 130, with a checkpoint of step 100."""
    monkeypatch.setattr(afterwards, "STEPS", 130)
    feed = batches.labelled_and_unlabelled
    begun: list[int] = []

    def heads(folder: str, dies_at: int | None) -> dict[str, Tensor]:
        def fed(pool: Any, steps: range, *given: Any, **named: Any) -> Any:
            for batch in feed(pool, steps, *given, **named):
                begun.append(batch["step"])
                if batch["step"] == dies_at:
                    raise KeyboardInterrupt
                yield batch

        monkeypatch.setattr(batches, "labelled_and_unlabelled", fed)
        _, _, trained = stand(tmp_path, images, "linear_probe")
        trained = replace(trained, trainer={**TRAINER, "checkpoint_seconds": 0.0})
        accompany(trained, SOURCES, {}, NAMES, tmp_path / folder)
        return trained.learner.average.companions.state_dict()  # type: ignore[union-attr]

    whole = heads("whole", None)
    with pytest.raises(KeyboardInterrupt):
        heads("killed", 117)
    begun.clear()
    resumed = heads("killed", None)
    assert begun[0] == 100
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_a_trained_head_is_left_alone(images: Images, tmp_path: Path) -> None:
    _, _, trained = stand(tmp_path, images, "supervised")
    learner: Any = trained.learner
    learner.accompany("loss_prediction", registry.companion_of("loss_prediction"), {})
    before = [value.clone() for value in learner.average.companions.parameters()]
    assert accompany(trained, SOURCES, {}, NAMES, tmp_path / "round") == {}
    assert all(torch.equal(a, b) for a, b in zip(before, learner.average.companions.parameters(), strict=True))


def test_a_loss_that_is_not_finite_names_the_source(
    images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, trained = stand(tmp_path, images, "linear_probe")
    trained.learner.average.head.weight.data.fill_(torch.nan)  # type: ignore[union-attr, operator]
    monkeypatch.setattr(afterwards, "STEPS", 4)
    with pytest.raises(Diverged, match=r"signals\.loss_prediction: .*not finite"):
        accompany(trained, SOURCES, {}, NAMES, tmp_path / "round")


@pytest.mark.parametrize("learner", [*FROZEN, "mixmatch"])
def test_learners_that_train_no_head_have_no_companion(learner: str, tmp_path: Path) -> None:
    for asked in ({"strategy": "loss_prediction"}, {"strategy": "ta_vaal"}):
        arm = recipe(
            tmp_path / "tiny.yaml", learner=small("learner", learner), acquisition=asked, signals=small_signals()
        ).arms["main"]
        assert arm.companions == {} and arm.companion_note() == ""


def test_embeddings_are_their_own_map(tmp_path: Path) -> None:
    data = {"source": "embeddings", "path": "some.npy"}
    arm = recipe(tmp_path / "tiny.yaml", data=data, acquisition={"strategy": "loss_prediction"}).arms["main"]
    assert arm.companions == {}


def test_a_network_without_maps_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert without_maps("linear_probe", "resnet18") == without_maps("supervised", "resnet18") == ""
    monkeypatch.setattr("ssal.recipe.coherence.check_stages", refuse)
    assert without_maps("linear_probe", "resnet18") == ""
    assert "is a head on a network's feature maps, but it says nothing" in without_maps("supervised", "resnet18")


def refuse(name: str) -> None:
    raise BadInput("it says nothing")


def test_one_labelled_image_teaches_a_head_nothing_and_a_warning_says_so(
    images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(afterwards, "STEPS", 4)
    for labels, warned in ((2, False), (1, True)):
        caplog.clear()
        _, _, trained = stand(tmp_path / str(labels), images, "linear_probe", labels)
        accompany(trained, SOURCES, {}, NAMES, tmp_path / str(labels))
        assert ("signals.loss_prediction: one labelled image has no other" in caplog.text) == warned
