"""The greedy oracle: takes what helps most, falls back to what is unsure, and is told as what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import pictures, recipe, write_pictures

from ssal import registry
from ssal.cells import cells_of
from ssal.compare import run_all
from ssal.errors import BadInput
from ssal.evaluation.verdict import verdict
from ssal.labelling.ledger import Ledger
from ssal.project import results, run_project
from ssal.signals.oracle_greedy import greedily

WORTH = {0: 0.0, 1: 0.1, 2: 0.3, 3: 0.2, 4: 0.0}
"""Row -> what its label adds to the accuracy."""


def worth(taken: list[int]) -> float:
    return sum(WORTH[row] for row in taken)


def test_the_best_is_taken_first_and_the_unsure_where_nothing_helps() -> None:
    draw = torch.Generator().manual_seed(0)
    assert greedily(worth, lambda taken: [4, 0], [0, 1, 2, 3, 4], 5, 5, draw) == [2, 3, 1, 4, 0]
    assert greedily(worth, lambda taken: [4, 0], [0, 1, 3, 4], 2, 4, draw) == [3, 1]


def test_only_the_drawn_are_tried() -> None:
    tried: list[int] = []

    def accuracy(taken: list[int]) -> float:
        tried.extend(taken[-1:])
        return worth(taken)

    taken = greedily(accuracy, lambda taken: list(WORTH), list(WORTH), 1, 2, torch.Generator().manual_seed(2))
    assert len(set(tried)) == 2 and max(map(WORTH.__getitem__, tried)) > 0
    assert taken == [max(set(tried), key=WORTH.__getitem__)]


ARMS = {"random": {}, "oracle": {"acquisition": {"strategy": "oracle_greedy"}}}


def test_it_is_above_random_and_tagged_in_every_row(tmp_path: Path) -> None:
    root = write_pictures(tmp_path / "pictures", train=40, test=25)
    loaded = recipe(
        tmp_path / "tiny.yaml",
        seeds=[0, 1, 2],
        data={"source": "folder", "path": str(root), "size": 8, "flip": False},
        acquisition={"first_size": 4, "query_size": 4, "budget": 8},
        compare={"baseline": "random", "treatment": "oracle"},
        arms=ARMS,
    )
    ended = run_all(loaded, [], tmp_path, jobs=1)
    assert {row["oracle"] for row in ended.rows if row["arm"] == "random"} == {""}
    assert {row["oracle"] for row in ended.rows if row["arm"] == "oracle"} == {"oracle_greedy"}
    last = {
        arm: [row["accuracy"] for row in ended.rows if row["arm"] == arm and row["labels"] == 8]
        for arm in ("random", "oracle")
    }
    assert sum(last["oracle"]) > sum(last["random"])
    said = verdict(ended.rows, "random", "oracle")
    assert said["sentence"].startswith("No claim: oracle uses labels that a real project does not have.")


def test_the_same_seed_asks_for_the_same_and_the_order_is_the_search_s(tmp_path: Path) -> None:
    root = write_pictures(tmp_path / "pictures")
    asked: list[Any] = []
    for place in ("a", "b"):
        loaded = recipe(
            tmp_path / "tiny.yaml",
            data={"source": "folder", "path": str(root), "size": 8, "flip": False},
            acquisition={"strategy": "oracle_greedy"},
        )
        (cell,) = cells_of(loaded, tmp_path / place)
        run_project(cell.arm, 0, pictures(root, tmp_path / place), tmp_path / place, cell.folder)
        entries = Ledger(cell.folder / "ledger.sqlite").asked_in(1)
        asked.append([entry.id for entry in entries])
        assert [entry.score for entry in entries] == [4.0, 3.0, 2.0, 1.0]
        assert len(results(cell.arm, 0, cell.folder)) == 2
    assert asked[0] == asked[1]


def test_a_learner_that_takes_long_is_refused_when_the_recipe_loads(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="'fixmatch' takes too long to learn anew for each candidate; use"):
        recipe(
            tmp_path / "tiny.yaml",
            learner={"method": "fixmatch", "steps": 4},
            acquisition={"strategy": "oracle_greedy"},
        )


def test_a_wrapper_around_it_is_an_oracle_too() -> None:
    blend = registry.find("strategy", "blend")
    assert registry.oracles_of(registry.needs_of(blend, {"weights": {"margin": 1.0, "oracle_greedy": 1.0}})) == [
        "oracle_greedy"
    ]
    assert registry.oracles_of(registry.needs_of(blend, {"weights": {"margin": 1.0}})) == []
