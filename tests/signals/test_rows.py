"""Row i of every signal is of image i: in batches of any size and order, under other ids, in other processes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from standing_rounds import LEARNERS, noise, pool_of, sections, standing_round
from tiny_runs import write_pictures
from torch import Tensor

from ssal import loop, registry
from ssal.artefacts import read_facts, read_tensors, write_tensors
from ssal.compare import run_all
from ssal.data import batches
from ssal.data.images import Images
from ssal.labelling.ledger import Ledger
from ssal.recipe import load
from ssal.signals import afterwards
from ssal.signals.collect import collect
from ssal.signals.vocabulary import VOCABULARY, whole
from ssal.standing import Standing

COUNT, LABELLED = 40, range(3, 19)
OF_IMAGES = {"view_probabilities", "mc_probabilities"}
"""Signals that a learner of features cannot give."""
BY_ROW = {"view_probabilities", "contrast_loss", "aalu_unlabelled", "vaal_unlabelled", "ta_vaal_unlabelled"}
BY_ROW |= {"sraal_unlabelled", "waal_critic"}
"""Signals whose draws follow from rows, or those of the batches that a network is fitted to."""
EVERYTHING = {name for name in VOCABULARY if whole(name) == name} - {"labels", "child_scores", "oracle_rank"}


def needs_of(stand: Standing) -> set[str]:
    return EVERYTHING - (OF_IMAGES if stand.cell.arm.learner_method == "linear_probe" else set())


def table_of(stand: Standing, folder: Path, needs: set[str], **options: dict[str, Any]) -> dict[str, Tensor]:
    """Return all rows of `needs` in the order of the pool, from sources that nothing was kept of."""
    folder.mkdir()
    images = replace(stand.images, fingerprint=f"{stand.images.fingerprint} in {folder.name}")
    table = collect(
        sorted(needs), stand.learner, stand.encoder, images, stand.ledger, folder, stand.previous,
        names=(0, "t"), options={**stand.cell.arm.signals, **options},
    )  # fmt: skip
    assert needs <= set(table)
    labelled = torch.ones(COUNT, dtype=torch.bool)
    labelled[table["rows"]] = False
    found = {}
    for name in needs:
        found[name] = torch.empty(COUNT, *table[name].shape[1:])
        found[name][table["rows"]], found[name][labelled] = table[name], table[f"labelled_{name}"]
    return found


@pytest.fixture(autouse=True)
def cheap_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(afterwards, "STEPS", 4)


@pytest.fixture(scope="module", params=LEARNERS)
def stand(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Standing:
    return standing_round(tmp_path_factory.mktemp("standing"), request.param, pool_of(noise(COUNT)), LABELLED)


@pytest.fixture(scope="module")
def expected(stand: Standing, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    found = table_of(stand, tmp_path_factory.mktemp("table") / "whole", needs_of(stand))
    for name, rows in found.items():
        assert rows.flatten(1).std(dim=0).max() > 1e-5 if rows.ndim > 1 else rows.std() > 1e-5, name
    return found


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, rows in expected.items():
        torch.testing.assert_close(
            found[name], rows, atol=2e-5, rtol=1e-4, msg=lambda text, name=name: f"{name}: {text}"
        )
        assert not torch.allclose(rows, rows.roll(1, dims=0), atol=1e-4, rtol=1e-3), f"rows of {name} can be told apart"


@pytest.mark.parametrize("size", [1, 7])
def test_in_batches_of_any_size(
    size: int, stand: Standing, expected: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cut in ("numbered", "in_order"):
        honest = getattr(batches, cut)
        other = lambda images, usual=500, honest=honest: honest(images, size if usual == 500 else usual)  # noqa: E731
        monkeypatch.setattr(batches, cut, other)
    same(table_of(stand, tmp_path / "parts", needs_of(stand)), expected)


def shuffled(given: Iterable[Any], order: Tensor) -> list[Any]:
    """Return the batches' rows in another order, in batches of seven."""
    parts = list(given)
    if isinstance(parts[0], Tensor):
        return list(torch.cat(parts)[order].split(7))
    whole = {name: torch.cat([part[name] for part in parts])[order] for name in parts[0]}
    return [{name: rows[start : start + 7] for name, rows in whole.items()} for start in range(0, len(order), 7)]


def test_in_batches_of_any_order(
    stand: Standing, expected: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the pretext's loss, which cuts blocks of its own."""
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(1))
    honest, seen = loop.predict, []

    def predict(module: Any, given: Any, trainer: Any) -> dict[str, Tensor]:
        seen.append(type(module).__name__)
        found = honest(module, shuffled(given, order), trainer)
        return {name: rows[order.argsort()] for name, rows in found.items()}

    monkeypatch.setattr(loop, "predict", predict)
    needs = needs_of(stand) - {"contrast_loss"}
    same(table_of(stand, tmp_path / "moved", needs), {name: expected[name] for name in needs})
    passes = {"OnePass", "_Embed", "GraphNetwork", "Assisted", "Adversary", "Conditional", "Relabelled", "Critic"}
    assert set(seen) == passes


def under_other_ids(stand: Standing, order: Tensor, folder: Path) -> Standing:
    """Return the same round in which image `order[i]` has id i."""
    old, ids = stand.images, stand.images.pool.ids
    new_id = {ids[place]: ids[row] for row, place in enumerate(order.tolist())}
    images: Images = pool_of(old.pool.fetch(order))
    images = replace(images, hidden={new_id[id]: label for id, label in old.hidden.items()}, fingerprint="moved")
    folder.mkdir()
    ledger = Ledger(folder / "ledger.sqlite")
    ledger.append(replace(entry, id=new_id[entry.id]) for entry in stand.ledger.entries())
    assert stand.previous
    said = read_tensors(stand.previous)["probabilities"][order]
    write_tensors(folder / "before.safetensors", {"probabilities": said}, classes=read_facts(stand.previous)["classes"])
    frozen = stand.learner.learner.frozen
    learner = replace(stand.learner, images=stand.encoder.embedded(images) if frozen else images)
    return replace(stand, images=images, ledger=ledger, learner=learner, previous=folder / "before.safetensors")


def test_under_other_ids(stand: Standing, tmp_path: Path) -> None:
    """An image takes its rows with it where neither draws nor batches of a fit follow from them."""
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(2))
    needs = needs_of(stand) - BY_ROW
    still = {"gcn": {**stand.cell.arm.signals["gcn"], "dropout": 0.0}}
    whole = table_of(stand, tmp_path / "whole", needs, **still)
    moved = table_of(under_other_ids(stand, order, tmp_path / "run"), tmp_path / "moved", needs, **still)
    same(moved, {name: rows[order] for name, rows in whole.items()})


@pytest.mark.slow
def test_in_any_number_of_processes(tmp_path: Path) -> None:
    """A blend of all strategies that score changes with each of them, and with it what is asked and its scores."""
    every = {name: one for name, one in registry.methods("strategy").items() if name not in registry.bounds()}
    scoring = [name for name, one in every.items() if one.returns == "scores"]
    weights = dict.fromkeys(scoring, 1.0)
    for name in ("random", "blend", "stochastic"):
        del weights[name]
    written = {
        "name": "tiny",
        "seeds": [0, 1],
        "data": {"source": "folder", "path": str(write_pictures(tmp_path / "pictures")), "size": 8, "flip": False},
        "backbone": {"name": "wrn_10_1"},
        "acquisition": {
            "strategy": "blend",
            "options": {"weights": weights},
            "first_size": 8,
            "query_size": 4,
            "budget": 16,
        },
        **sections("fixmatch"),
    }
    (tmp_path / "tiny.yaml").write_text(json.dumps(written))
    loaded = load(tmp_path / "tiny.yaml")
    left = []
    for jobs in (1, 2):
        ended = run_all(loaded, [], tmp_path / str(jobs), jobs=jobs)
        assert not ended.failed
        found = sorted((tmp_path / str(jobs) / "tiny").rglob("chosen.csv"))
        left.append({str(path.relative_to(tmp_path / str(jobs))): path.read_text() for path in found})
    assert left[0] == left[1] and len(left[0]) == 6
    assert sum(",blend\n" in text for text in left[0].values()) == 2, "tod looks back from the second learner on"
