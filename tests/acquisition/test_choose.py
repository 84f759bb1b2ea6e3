from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ssal import registry
from ssal.acquisition.choose import choose, missing
from ssal.acquisition.chosen import CHOSEN, Choice, read_chosen, write_chosen
from ssal.errors import BadInput
from ssal.registry import Method, scores, selects

IDS = ["1f", "2e", "3d", "4c", "5b"]
PROBABILITIES = torch.tensor([[0.9, 0.1], [0.5, 0.5], [0.7, 0.3], [0.6, 0.4], [1.0, 0.0]])


def ask(method: Method, size: int = 2, seed: int = 0, ids: list[str] = IDS, **options: Any) -> list[Choice]:
    generator = torch.Generator().manual_seed(seed)
    table = {"probabilities": PROBABILITIES, "features": PROBABILITIES, "labelled_features": torch.eye(2)}
    return choose(method, table, ids, size, generator, classes=2, options=options)


def filed(decorate, answer) -> Method:
    """File a strategy whose answer for the rows as it gets them is given."""

    @decorate
    def mine(probabilities: Tensor) -> Any:
        """Answer what the test says."""
        return answer(probabilities)

    return mine.__ssal_method__


def test_best_first_with_its_score() -> None:
    assert [(c.id, c.rank) for c in ask(registry.find("strategy", "margin"), 3)] == [("2e", 1), ("4c", 2), ("3d", 3)]
    assert [round(c.score, 4) for c in ask(registry.find("strategy", "margin"), 3)] == [0, -0.2, -0.4]
    assert [c.score for c in ask(registry.find("strategy", "coreset"))] == [None, None]


def test_rows_come_back_as_the_ids_they_were() -> None:
    method = filed(selects, lambda probabilities: probabilities[:, 0].argsort())
    with pytest.raises(BadInput, match="expected 2 different rows"):
        ask(method)
    assert [c.id for c in ask(method, 5)] == ["2e", "4c", "3d", "1f", "5b"]


def test_what_was_chosen_is_on_disk(tmp_path: Path) -> None:
    chosen = ask(registry.find("strategy", "entropy"))
    write_chosen(tmp_path / "round_0" / CHOSEN, chosen)
    assert read_chosen(tmp_path / "round_0" / CHOSEN) == chosen
    with (tmp_path / "round_0" / "chosen.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["id"], int(r["rank"]), float(r["score"]), r["strategy"]) for r in rows] == [
        (c.id, c.rank, c.score, "entropy") for c in chosen
    ]
    write_chosen(tmp_path / "round_1" / CHOSEN, ask(registry.find("strategy", "coreset")))
    assert (tmp_path / "round_1" / "chosen.csv").read_text().splitlines()[1].endswith(",1,,coreset")
    assert [path.name for path in (tmp_path / "round_0").iterdir()] == ["chosen.csv"]


def test_ties_follow_the_generator_and_not_the_folder() -> None:
    method = filed(scores, lambda probabilities: torch.zeros(5))
    firsts = {ask(method, 1, seed)[0].id for seed in range(40)}
    assert firsts == set(IDS)


def test_a_random_draw_takes_every_image_equally_often() -> None:
    counts = dict.fromkeys(IDS, 0)
    for seed in range(2000):
        for choice in ask(registry.find("strategy", "random"), 2, seed):
            counts[choice.id] += 1
    # 800 each, standard deviation sqrt(2000 · 0.4 · 0.6) = 22.
    assert all(abs(count - 800) < 4 * 22 for count in counts.values())


def test_a_wrapper_gets_its_childrens_scores() -> None:
    blend = registry.find("strategy", "blend")
    assert registry.needs_of(blend, {"weights": {"entropy": 1.0}}) == ("probabilities",)
    alone = ask(registry.find("strategy", "margin"), 5)
    wrapped = ask(blend, 5, weights={"margin": 2.0})
    assert [c.id for c in wrapped] == [c.id for c in alone]
    assert [c.score for c in wrapped] == [1, 0.75, 0.5, 0.25, 0]


def test_a_childs_draw_is_its_own() -> None:
    """The random child draws what random alone draws, whatever stands beside it."""
    alone = [c.id for c in ask(registry.find("strategy", "random"), 5, 7)]
    weights = {"margin": 0.0, "random": 1.0}
    assert [c.id for c in ask(registry.find("strategy", "blend"), 5, 7, weights=weights)] == alone


@pytest.mark.parametrize("child", ["coreset", "blend"])
def test_a_wrapper_refuses_children_without_scores(child: str) -> None:
    with pytest.raises(BadInput, match=f"blend: '{child}' cannot be combined"):
        ask(registry.find("strategy", "blend"), weights={"margin": 1.0, child: 1.0})


def test_a_wrapper_names_the_unknown_child() -> None:
    with pytest.raises(BadInput, match="no strategy is called 'magrin'; did you mean 'margin'"):
        ask(registry.find("strategy", "blend"), weights={"magrin": 1.0})


def test_missing_signals_of_children_are_found() -> None:
    blend = registry.find("strategy", "blend")
    assert missing(blend, {"probabilities"}, {}) == ["features", "labelled_features"]
    assert missing(blend, {"probabilities"}, {"weights": {"entropy": 1.0}}) == []


@pytest.mark.parametrize(
    "answer, message",
    [
        (lambda p: torch.where(p[:, 0] == 0.7, torch.nan, p[:, 0]), "mine: 1 of 5 scores are not finite, first 3d"),
        (lambda p: p[:, 1] / (1 - p[:, 0]), "mine: 1 of 5 scores are not finite, first 5b"),
        (lambda p: torch.full((5,), torch.inf), "mine: 5 of 5 scores are not finite"),
        (lambda p: p, r"mine: expected one score per image, shape \(5,\), got \(5, 2\)"),
        (lambda p: p[:3, 0], r"shape \(5,\), got \(3,\)"),
        (lambda p: [0.1] * 5, r"shape \(5,\), got list"),
    ],
)
def test_scores_that_cannot_be_ranked_raise(answer, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        ask(filed(scores, answer))


@pytest.mark.parametrize(
    "answer, message",
    [
        ([0, 0], "expected 2 different rows from 0 to 4, got 2 rows, 1 different"),
        ([0, 5], "from 0 to 5"),
        ([-1, 2], "from -1 to 2"),
        ([0, 1, 2], "got 3 rows"),
        ([], "got 0 rows"),
        ([0.5, 1.0], "expected a one-dimensional tensor of whole row numbers, got 0.5, 1.0"),
        ([[0, 1]], "expected a one-dimensional tensor of whole row numbers"),
    ],
)
def test_rows_that_cannot_be_asked_for_raise(answer, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        ask(filed(selects, lambda probabilities: torch.tensor(answer)))


def test_where_all_have_labels_there_is_no_image_to_ask_for() -> None:
    with pytest.raises(BadInput, match="margin: there is no image to ask for, as all of them have a label"):
        ask(registry.find("strategy", "margin"), 2, ids=[])


@pytest.mark.parametrize("ids, size", [(["1f"] * 5, 2), (IDS, 0)])
def test_a_pool_that_cannot_be_asked_raises(ids: list[str], size: int) -> None:
    with pytest.raises(BadInput, match="choose: expected distinct ids and a query size from 1"):
        ask(registry.find("strategy", "margin"), size, ids=ids)


def test_a_signal_of_another_length_raises() -> None:
    with pytest.raises(BadInput, match="signal probabilities: expected 4 rows, one per pool image, got 5"):
        ask(registry.find("strategy", "margin"), ids=IDS[:4])


def test_a_strategy_is_one_file_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "my_rules.py").write_text(
        '"""My rules."""\n'
        "from ssal.registry import scores\n\n\n"
        "@scores\n"
        "def my_rule(probabilities, *, which: int = 0):\n"
        '    """Ask for the images most likely of one class."""\n'
        "    return probabilities[:, which]\n"
    )
    mine = registry.find("strategy", "my_rules.py:my_rule", tmp_path)
    assert [c.id for c in ask(mine, 2)] == ["5b", "1f"]
    assert [c.id for c in ask(mine, 2, which=1)] == ["2e", "4c"]


@pytest.mark.parametrize("size, warned", [(2, True), (5, False)])
def test_a_draw_that_decides_is_not_silent(size: int, warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Where scores, or all that a strategy looks at, are the same for all images; not where all images are taken."""
    told = "nothing tells the 5 images apart, so the choice is a random draw"
    flat = {"probabilities": PROBABILITIES, "features": torch.ones(5, 3), "labelled_features": torch.zeros(1, 3)}
    given: dict[str, Any] = {"classes": 2, "options": {}}
    for name in ("featdist", "coreset", "stochastic", "margin", "random"):
        caplog.clear()
        if name in ("stochastic", "margin"):
            flat["probabilities"] = PROBABILITIES[:1].expand(5, 2)
        choose(registry.find("strategy", name), flat, IDS, size, torch.Generator(), **given)
        assert (f"{name}: {told}" in caplog.text) == (warned and name != "random")
    sure = {"probabilities": torch.eye(2)[[0, 1, 0, 1, 1]], "features": torch.rand(5, 3), "labels": torch.tensor([0])}
    sure["labelled_features"] = torch.zeros(1, 3)
    for name in ("class_balanced", "diverse"):  # all margins are the same, though classes and features are not
        caplog.clear()
        choose(registry.find("strategy", name), sure, IDS, size, torch.Generator(), **given)
        assert (f"{name}: {told}" in caplog.text) == warned
    caplog.clear()
    choose(registry.find("strategy", "badge"), sure, IDS, size, torch.Generator(), **given)
    assert "badge: the learner is wholly sure of every image, so the choice is a random draw" in caplog.text
    caplog.clear()
    ask(filed(scores, lambda probabilities: torch.full((5,), 3.0)), size)
    assert (f"mine: {told}" in caplog.text) == warned
    caplog.clear()
    ask(registry.find("strategy", "margin"), size)
    assert told not in caplog.text
