"""The table of a round: one pass over the pool for every source, rows that belong to their ids."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import pytest
import torch
from pydantic import Field
from tiny_runs import pictures, recipe, run, small, write_pictures
from torch import Tensor

from ssal import registry
from ssal.artefacts import read_tensors, write_tensors
from ssal.data import batches
from ssal.data.images import Images, ImageSet
from ssal.errors import BadInput
from ssal.labelling.ledger import Entry, Ledger
from ssal.learner.base import Learner, Network
from ssal.learner.train import train
from ssal.learner.trained import Trained
from ssal.pretext.encoder import Encoder
from ssal.pretext.pretrain import pretrain
from ssal.registry import sources_of
from ssal.signals.collect import collect
from ssal.signals.vocabulary import VOCABULARY, Signal, whole

TRAINER = {"accelerator": "cpu", "devices": 1, "precision": "32-true"}
EVERYTHING = ("probabilities", "logits", "features", "labelled_probabilities", "labels", "ssl_features")


@dataclass(frozen=True)
class Round:
    """A learner trained on the first labels, and what `collect` is given of it."""

    learner: Trained
    encoder: Encoder
    images: Images
    ledger: Ledger

    def collect(self, folder: Path, needs: tuple[str, ...] = EVERYTHING, **changes: Any) -> dict[str, Tensor]:
        folder.mkdir(exist_ok=True)
        given = {"learner": self.learner, "previous": None, "names": (0, "t"), "options": {}, **changes}
        return collect(needs, encoder=self.encoder, images=self.images, ledger=self.ledger, folder=folder, **given)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def begun(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Round:
    checkpoints = tmp_path_factory.mktemp("run")
    images = pictures(root, checkpoints)
    ledger = Ledger(checkpoints / "ledger.sqlite")
    asked = images.pool.ids[3::9]
    ledger.append(Entry(id, images.hidden[id], "oracle", 0, "random") for id in asked)
    backbone = {"name": "wrn_10_1", "weights": None}
    encoder = pretrain(images, checkpoints, seed=0, trainer=TRAINER, method="none", options={}, backbone=backbone)
    learner = train(
        encoder, images, ledger, 1, checkpoints, 0, TRAINER, method="supervised", options={"steps": 3, "batch_size": 8}
    )
    assert learner is not None
    return Round(learner, encoder, images, ledger)


def test_labelled_images_and_the_pool_part_the_training_images(begun: Round, tmp_path: Path) -> None:
    table = begun.collect(tmp_path)
    ids, labels = begun.images.pool.ids, begun.ledger.labels()
    assert [ids[row] for row in table["rows"].tolist()] == [id for id in ids if id not in labels]
    numbers = begun.ledger.class_numbers(begun.images.classes)
    assert table["labels"].tolist() == [numbers[labels[id]] for id in ids if id in labels]
    for name in ("probabilities", "logits", "features", "ssl_features"):
        assert len(table[name]) == len(ids) - len(labels) and len(table[f"labelled_{name}"]) == len(labels)
    assert torch.allclose(table["logits"].softmax(dim=1), table["probabilities"], atol=1e-6)
    assert table["probabilities"].shape[1] == len(begun.images.classes)


@pytest.mark.parametrize("size", [1, 7, 500])
def test_row_i_belongs_to_id_i_whatever_the_batch_size(
    size: int, begun: Round, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = batches.numbered
    monkeypatch.setattr(batches, "numbered", lambda images: honest(images, size))
    table = begun.collect(tmp_path)
    outputs = read_tensors(tmp_path / "outputs.safetensors")["probabilities"]
    learner, images = begun.learner.learner.eval(), begun.images.pool
    with torch.no_grad():
        alone = torch.cat([learner(images.fetch(torch.tensor([row])))[0] for row in range(len(images))])
    assert torch.allclose(outputs, alone.softmax(dim=1), atol=1e-5)
    assert torch.allclose(table["logits"], alone[table["rows"]], atol=1e-4)
    numbers = begun.ledger.numbered(begun.images.classes)
    labelled = [images.row(id) for id in sorted(numbers)]
    assert torch.allclose(table["labelled_logits"], alone[labelled], atol=1e-4)
    assert not torch.allclose(alone, alone.roll(1, dims=0), atol=1e-3), "rows can be told apart"


def test_one_pass_serves_every_source(begun: Round, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool is read once and goes through the network once, however many sources look at it."""
    read, forwarded, met = [], [], []
    forward, stream = Network.forward, ImageSet.stream

    def counted(self: Network, images: Tensor) -> Any:
        forwarded.append(len(images))
        return forward(self, images)

    def streamed(self: ImageSet, rows: Any) -> Iterator[Tensor]:
        for batch in stream(self, rows):
            read.append(len(batch))
            yield batch

    for number in (1, 2):
        name = f"looked_{number}"

        def looked(learner: Learner, images: Tensor, *, name: str = name) -> dict[str, Tensor]:
            met.append(images.data_ptr())
            return {name: images.float().mean(dim=(1, 2, 3))}

        monkeypatch.setitem(VOCABULARY, name, Signal(name, "N", "mean of the pixels"))
        looked.__name__ = name
        method = registry.signal(name, each="batch")(looked).__ssal_method__  # type: ignore[attr-defined]
        monkeypatch.setitem(registry._methods, ("signal", name), method)
    monkeypatch.setattr(Network, "forward", counted)
    monkeypatch.setattr(ImageSet, "stream", streamed)
    table = begun.collect(tmp_path, ("probabilities", "logits", "looked_1", "looked_2"))
    assert sum(read) == sum(forwarded) == len(begun.images.pool)
    assert len(met) == 2 and met[0] == met[1], "both sources are handed the same batch"
    everything = begun.images.pool.fetch(table["rows"]).float().mean(dim=(1, 2, 3))
    assert torch.allclose(table["looked_1"], everything) and torch.equal(table["looked_1"], table["looked_2"])


def test_before_the_first_labels_features_are_the_encoders(begun: Round, tmp_path: Path) -> None:
    empty = replace(begun, ledger=Ledger(tmp_path / "empty.sqlite"))
    table = empty.collect(tmp_path / "round_0", ("features", "labelled_features", "ssl_features"), learner=None)
    expected = begun.encoder.features(begun.images)["pool"]
    assert torch.equal(table["features"], expected) and torch.equal(table["ssl_features"], expected)
    assert table["labelled_features"].shape == (0, expected.shape[1]) and len(table["labels"]) == 0
    assert table["rows"].tolist() == list(range(len(begun.images.pool)))
    assert not (tmp_path / "round_0" / "outputs.safetensors").exists(), "no learner said anything"


def test_features_are_the_learners_once_there_is_one(begun: Round, tmp_path: Path) -> None:
    table = begun.collect(tmp_path, ("features", "ssl_features"))
    assert table["features"].shape == table["ssl_features"].shape
    assert not torch.equal(table["features"], table["ssl_features"])


def test_a_table_that_stands_is_not_made_again(begun: Round, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = begun.collect(tmp_path)
    monkeypatch.setattr(Network, "forward", None)
    again = begun.collect(tmp_path)
    assert all(torch.equal(again[name], rows) for name, rows in table.items()) and set(again) == set(table)


def test_previous_probabilities_are_what_the_last_round_left(begun: Round, tmp_path: Path) -> None:
    said = torch.rand(len(begun.images.pool), 4).softmax(dim=1)
    order = list(begun.ledger.class_numbers(begun.images.classes))
    write_tensors(tmp_path / "before.safetensors", {"probabilities": said}, classes=order)
    table = begun.collect(tmp_path, ("previous_probabilities",), previous=tmp_path / "before.safetensors")
    assert torch.equal(table["previous_probabilities"], said[table["rows"]])
    with pytest.raises(BadInput, match="expected a learner in the round before, but this one has the first"):
        begun.collect(tmp_path / "first", ("previous_probabilities",))


def test_every_signal_of_the_vocabulary_has_a_source() -> None:
    needs = [name for name in VOCABULARY if name != "child_scores"]
    assert {name for source in sources_of(needs).values() for name in source.provides} >= {
        whole(name) for name in needs if name != "labels"
    }


def test_a_signal_that_nothing_provides_is_named(begun: Round, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no source provides the signal 'probabilites'; did you mean 'probabilities'\?"):
        sources_of(["probabilites"])
    with pytest.raises(BadInput, match="no source provides the signal 'member_probabilities'"):
        begun.collect(tmp_path, ("member_probabilities",))


DRIFT = """
from ssal.registry import scores


@scores
def drift(probabilities, previous_probabilities):
    return (probabilities - previous_probabilities).abs().sum(1)
"""


def test_a_strategy_that_compares_two_rounds(root: Path, tmp_path: Path) -> None:
    """Its first round with a learner has no earlier one, so first_round chooses then; afterwards scores are exact."""
    (tmp_path / "rules.py").write_text(DRIFT)
    loaded = recipe(
        tmp_path / "tiny.yaml",
        learner=small("learner", "supervised"),
        acquisition={"strategy": "rules.py:drift", "first_size": 6, "query_size": 3, "budget": 12},
    )
    left = run(loaded.arms["main"], pictures(root, tmp_path), tmp_path)
    tables = {number: list(csv.DictReader(text.splitlines())) for number, text in left.chosen.items()}
    assert [rows[0]["strategy"] for rows in tables.values()] == ["random", "random", "drift"]
    rounds = [tmp_path / "run" / "main" / "seed_0" / f"round_{number}" / "outputs.safetensors" for number in (1, 2)]
    before, after = (read_tensors(path)["probabilities"] for path in rounds)
    scores = dict(
        zip(sorted({*left.labels, *pictures(root, tmp_path).pool.ids}), (after - before).abs().sum(1), strict=True)
    )
    for row in tables[2]:
        assert float(row["score"]) == pytest.approx(float(scores[row["id"]]), abs=1e-6)
    labelled = {row["id"] for number in (0, 1) for row in tables[number]}
    best = sorted((score for id, score in scores.items() if id not in labelled), reverse=True)[:3]
    assert [float(row["score"]) for row in tables[2]] == pytest.approx([float(score) for score in best], abs=1e-6)


BRIGHT = """
from ssal.registry import scores


@scores
def bright(brightness):
    return brightness
"""


def test_a_source_takes_its_options_from_the_recipe(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One vocabulary line and one function make a source; `signals:` sets its options, checked as it loads."""

    def brightness(
        learner: Learner, images: Tensor, *, sign: Annotated[int, Field(ge=-1, le=1)] = 1
    ) -> dict[str, Tensor]:
        return {"brightness": sign * images.float().mean(dim=(1, 2, 3))}

    monkeypatch.setitem(VOCABULARY, "brightness", Signal("brightness", "N", "mean of the pixels"))
    filed = registry.signal("brightness", each="batch")(brightness).__ssal_method__  # type: ignore[attr-defined]
    monkeypatch.setitem(registry._methods, ("signal", "brightness"), filed)
    (tmp_path / "rules.py").write_text(BRIGHT)
    images = pictures(root, tmp_path)
    mean = images.pool.fetch(torch.arange(len(images.pool))).float().mean(dim=(1, 2, 3))
    for sign in (1, -1):
        loaded = recipe(
            tmp_path / "tiny.yaml",
            acquisition={"strategy": "rules.py:bright"},
            learner=small("learner", "supervised"),
            signals={"brightness": {"sign": sign}},
        )
        left = run(loaded.arms["main"], images, tmp_path / str(sign))
        first = set(left.asked()[:8])
        best = sorted(
            (id for id in images.pool.ids if id not in first), key=lambda id: -sign * mean[images.pool.row(id)]
        )
        assert left.asked()[8:] == best[:4]
    with pytest.raises(BadInput, match="signals.brightness.sign: expected at most 1, got 2"):
        recipe(tmp_path / "tiny.yaml", signals={"brightness": {"sign": 2}})
