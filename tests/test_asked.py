"""What ledgers and learners have left of finished runs, for the report: read once, and equal to what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ssal import asked as module
from ssal.asked import Asked, asked
from ssal.compare import Ended, run_all
from ssal.conclude import conclude
from ssal.labelling.ledger import Ledger
from ssal.recipe import Recipe, load
from ssal.report.report import SHOWN

RECIPE = """\
name: tried
seeds: [0, 1]
data: {source: digits, size: 8, flip: false}
backbone: {name: wrn_10_1}
learner: {method: linear_probe}
acquisition: {strategy: random, first_size: 20, query_size: 10, budget: 40}
compare: {baseline: random, treatment: margin}
arms:
  random: {}
  margin: {acquisition: {strategy: margin}}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Recipe, Ended, Path]]:
    """Two arms with two seeds, on frozen features of an untrained network, where a cell costs a second."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "r.yaml").write_text(RECIPE)
    recipe = load(folder / "r.yaml")
    yield recipe, run_all(recipe, [], folder, jobs=1), folder


@pytest.fixture(scope="module")
def found(made: tuple[Recipe, Ended, Path]) -> Asked:
    return asked(made[0], made[2])


def test_what_was_bought_is_what_the_ledgers_hold(made: tuple[Recipe, Ended, Path], found: Asked) -> None:
    recipe, _, folder = made
    for arm in recipe.arms:
        for seed in recipe.seeds:
            bought = found.bought[arm][seed]
            assert [len(ids) for ids in bought] == [20, 10, 10]
            ledger = Ledger(folder / "tried" / arm / f"seed_{seed}" / "ledger.sqlite")
            assert frozenset().union(*bought) == ledger.answered()
        assert [sum(part["counts"].values()) for part in found.mix[arm]] == [40, 20, 20]
        assert [(number, len(pictures), count) for number, pictures, count in found.gallery[arm]] == [
            (0, SHOWN, 20),
            (1, 10, 10),
            (2, 10, 10),
        ]
    assert found.bought["random"][0][0] == found.bought["margin"][0][0] != found.bought["random"][1][0]


def test_the_bins_of_the_last_learner_give_the_error_that_was_measured(
    made: tuple[Recipe, Ended, Path], found: Asked
) -> None:
    last = [row for row in made[1].rows if row["labels"] == 40]
    assert len(last) == 4
    for row in last:
        labels, bins = found.sureness[row["arm"]][row["seed"]]
        images = float(bins.images.sum())
        assert labels == 40 and images > 300
        assert float(bins.right.sum()) / images == pytest.approx(row["accuracy"])
        error = float((bins.right - bins.confidence).abs().sum()) / images
        assert error == pytest.approx(row["expected_calibration_error"], abs=1e-12)


def test_every_ledger_is_opened_once_and_the_page_holds_it_all(
    made: tuple[Recipe, Ended, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, ended, folder = made
    opened: list[Path] = []

    class Counted(Ledger):
        def entries(self):
            opened.append(self.path)
            return super().entries()

    monkeypatch.setattr(module, "Ledger", Counted)
    conclude(recipe, ended, folder, "ssal compare r.yaml")
    assert len(opened) == len(set(opened)) == 4
    page = (folder / "tried" / "report.html").read_text(encoding="utf-8")
    for heading in ("Images that two arms bought", "Calibration", "For your methods section"):
        assert f"<h2>{heading}</h2>" in page
    assert "Round 0, the first 12 of 20" in page and "Reliability diagram. " in page


def test_a_learner_that_is_gone_and_a_cell_that_has_not_begun_leave_the_rest(
    made: tuple[Recipe, Ended, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, _, folder = made
    monkeypatch.setattr(module, "KEPT", "gone.safetensors")
    assert asked(recipe, folder).sureness == {} and len(asked(recipe, folder).bought) == 2
    assert asked(recipe, folder / "elsewhere") == Asked()
