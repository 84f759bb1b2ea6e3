"""`ssal query`: every strategy that one trained learner can serve, on one table, and a run that is left as it was."""

from __future__ import annotations

import csv
import hashlib
import inspect
import io
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import CommandLine, refused
from rich.console import Console
from tiny_runs import NAMES, pictures, recipe, small, small_signals, write_pictures
from torch import Tensor

import ssal.query
import ssal.standing
from ssal import backbones, registry
from ssal.artefacts import locked, write_tensors
from ssal.compare import so_far
from ssal.conclude import conclude
from ssal.data import batches
from ssal.data.images import Images
from ssal.errors import BadInput, Diverged, Waiting
from ssal.evaluation import picks
from ssal.labelling.ledger import Ledger
from ssal.learner.base import Network
from ssal.project import run_project
from ssal.query import ALL, query, read_query
from ssal.recipe import Recipe, load
from ssal.signals import afterwards
from ssal.signals.vocabulary import VOCABULARY, Signal

RULES = """
from ssal.registry import scores


@scores
def moved(probabilities, previous_probabilities):
    return (probabilities - previous_probabilities).abs().sum(1)
"""
WRITTEN = {"query.csv", "query.json", "report.html", "verdict.json"}


@dataclass(frozen=True)
class Run:
    """A finished run: 8 labels in round 1, 12 in round 2, 16 in round 3, the last with a learner."""

    recipe: Recipe
    checkpoints: Path
    root: Path

    @property
    def cell(self) -> Path:
        return self.checkpoints / "tiny" / "main" / "seed_0"

    def query(self, strategies: str = ALL, number: int | None = None, **more: Any) -> dict[str, Any]:
        return query(self.recipe, self.checkpoints, strategies, number=number, **more)

    def typing(self, *overrides: str) -> Run:
        return replace(self, recipe=load(self.recipe.path, overrides))

    @property
    def rows(self) -> list[dict[str, str]]:
        with (self.checkpoints / "tiny" / "query.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    def picked(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for row in self.rows:
            found.setdefault(row["strategy"], []).append(row["id"])
        return found


def make(root: Path, **sections: Any) -> Run:
    torch.manual_seed(0)
    (root / "rules.py").write_text(RULES)
    write_tensors(root / "ready.safetensors", backbones.build((3, 8, 8), name="wrn_10_1", seed=1).state_dict())
    if not (root / "pictures").exists():
        write_pictures(root / "pictures")
    data = {"source": "folder", "path": str(root / "pictures"), "size": 8, "flip": False}
    base = {
        "data": data,
        "learner": small("learner", "supervised"),
        "backbone": {"name": "wrn_10_1", "weights": str(root / "ready.safetensors")},
        "acquisition": {"strategy": "badge", "first_size": 8, "query_size": 4, "budget": 16},
        "signals": small_signals(),
    }
    loaded = recipe(root / "tiny.yaml", **{**base, **sections})
    run = Run(loaded, root / "checkpoints", root)
    more = {"labels": loaded.arms["main"].data["labels"]} if "data" in sections else {}
    run_project(loaded.arms["main"], 0, pictures(root / "pictures", run.checkpoints, **more), run.checkpoints, run.cell)
    return run


@pytest.fixture(autouse=True)
def heads_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(afterwards, "STEPS", 4)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make(tmp_path_factory.mktemp("run"))


def without_seconds(found: Any) -> Any:
    if isinstance(found, dict):
        return {key: without_seconds(value) for key, value in found.items() if "seconds" not in key}
    return found


def state(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in WRITTEN]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# --- what strategies pick


@pytest.mark.parametrize("number", [1, 2])
def test_a_strategy_picks_what_a_run_with_it_asks_for(made: Run, number: int) -> None:
    """The run's own strategy, whose draws are its own, gives the very images that the run bought in that round."""
    found = made.query("margin,badge,random", number=number)
    bought = [line.split(",")[0] for line in (made.cell / f"round_{number}/chosen.csv").read_text().splitlines()[1:]]
    assert found["size"] == 4 and list(found["strategies"]) == ["margin", "badge", "random"]
    assert made.picked()["badge"] == bought


def test_every_strategy_of_the_registry_is_served_or_listed_with_a_reason(made: Run) -> None:
    found = made.query()
    assert {*found["strategies"], *found["not_runnable"]} == set(registry.methods("strategy"))
    assert found["round"] == 3 and found["labels"] == 16 and found["pool"] == 60 - 16
    assert {"random", "margin", "coreset", "badge", "typiclust", "blend", "loss_prediction"} <= set(found["strategies"])
    fitted = {name for name, one in found["strategies"].items() if one["fitted_afterwards"]}
    assert {"loss_prediction", "ta_vaal", "vaal"} <= fitted and not {"random", "margin", "consistency"} & fitted
    assert all(why and "\n" not in why for why in found["not_runnable"].values())
    for name, ids in made.picked().items():
        assert len(set(ids)) == 4, name
    labelled = Ledger(made.cell / "ledger.sqlite").labels()
    assert not {row["id"] for row in made.rows} & set(labelled)
    for name, one in found["strategies"].items():
        method = registry.find("strategy", name)
        assert one["source"] == method.source and set(method.needs) - {"child_scores"} <= set(one["signals"])
        assert one["seconds"] >= one["choosing_seconds"] > 0
        scored = [float(row["score"]) for row in made.rows if row["strategy"] == name and row["score"]]
        assert len(scored) == (4 if method.returns == "scores" else 0) and scored == sorted(scored, reverse=True)


def test_a_head_that_the_learner_was_trained_with_is_asked_as_it_is(tmp_path: Path) -> None:
    run = make(tmp_path, signals={**small_signals(), "loss_prediction": {}})
    found = run.query("margin,loss_prediction,ta_vaal")
    assert {name: one["fitted_afterwards"] for name, one in found["strategies"].items()} == {
        "margin": False,
        "loss_prediction": False,
        "ta_vaal": True,
    }
    run.typing("signals.aalu.hidden=16").query("aalu,loss_prediction")
    for changed in ("signals.loss_prediction.margin=0.5", "signals.loss_prediction.detach=always"):
        with pytest.raises(BadInput, match="made by another recipe"):
            run.typing(changed).query("margin")
    sections = json.loads((tmp_path / "tiny.yaml").read_text())
    del sections["signals"]["loss_prediction"]
    with pytest.raises(BadInput, match="made by another recipe"):
        replace(run, recipe=recipe(tmp_path / "tiny.yaml", **sections)).query("margin")


def test_signals_may_have_other_options_than_the_run_s(made: Run, ssal_command: CommandLine) -> None:
    """What is fitted for the question follows them; the run, its report and what needs no such signal do not."""
    names = "margin,aalu,vaal,loss_prediction"
    usual = made.query(names) and made.rows
    typed = ("signals.aalu.hidden=16", "signals.vaal.on=features", "signals.loss_prediction.ranking=bce")
    said = ask(ssal_command, made, *typed, "--strategies", names)
    assert said.code == 0 and "other code" not in said.log, said
    found, _ = read_query(made.checkpoints / "tiny")
    assert found["signal_options"]["aalu"]["hidden"] == 16 and found["signal_options"]["vaal"]["on"] == "features"
    assert found["strategies"]["loss_prediction"]["fitted_afterwards"], "its options are no reason to refuse"
    for name in names.split(","):
        before, after = ([row for row in rows if row["strategy"] == name] for rows in (usual, made.rows))
        assert (before == after) == (name == "margin"), name
    page = (made.checkpoints / "tiny" / "report.html").read_text(encoding="utf-8")
    assert page.count("; fitted beside the learner, which stays as it is") == 3
    assert "trained with a companion head" not in page and "hidden: 16" not in page


def test_the_numbers_follow_from_the_picks(made: Run) -> None:
    found, images = made.query(size=10), pictures(made.root / "pictures", made.checkpoints)
    chosen = {name: set(ids) for name, ids in made.picked().items()}
    assert set(found["overlap"]["order"]) == set(chosen) == set(found["strategies"])
    for row in made.rows:
        assert row["oracle_label"] == images.hidden[row["id"]]
        assert row["oracle_wrong"] == str(int(row["predicted"] != row["oracle_label"]))
        assert row["path"] == images.pool.paths[images.pool.row(row["id"])]
    for one, facts in found["strategies"].items():
        shares = {two: len(chosen[one] & chosen[two]) / 10 for two in chosen}
        assert found["overlap"]["shares"][one] == shares and shares.pop(one) == 1
        assert facts["mean_overlap"] == pytest.approx(np.mean(list(shares.values())))
        assert facts["most_alike_overlap"] == max(shares.values()) == shares[facts["most_alike"]]
        mine = [row for row in made.rows if row["strategy"] == one]
        assert facts["oracle_error"] == pytest.approx(np.mean([row["oracle_wrong"] == "1" for row in mine]))
        assert facts["class_mix"] == {name: sum(row["predicted"] == name for row in mine) for name in sorted(NAMES)}
    assert sum(found["whole_pool"]["class_mix"].values()) == 44
    whole = made.query("random", size=44)
    assert whole["strategies"]["random"]["oracle_error"] == pytest.approx(found["whole_pool"]["oracle_error"])


def test_the_same_question_has_the_same_answer(made: Run) -> None:
    first, rows = made.query(), made.rows
    assert without_seconds(made.query()) == without_seconds(first) and made.rows == rows
    alone = made.query("badge")
    assert made.picked()["badge"] == [row["id"] for row in rows if row["strategy"] == "badge"], "whoever else is asked"
    assert alone["strategies"]["badge"]["most_alike"] == "" and alone["strategies"]["badge"]["mean_overlap"] == 0


def test_options_are_the_arm_s_where_it_has_some(made: Run, tmp_path: Path) -> None:
    other = make(
        tmp_path,
        acquisition={
            "strategy": "blend",
            "options": {"weights": {"margin": 1.0, "entropy": 0.0}},
            "query_size": 4,
            "first_size": 8,
            "budget": 12,
        },
    )
    other.query("blend,margin", number=1)
    assert set(other.picked()["blend"]) == set(other.picked()["margin"])
    made.query("blend,margin,featdist", number=1)
    assert set(made.picked()["blend"]) != set(made.picked()["margin"]), "by default it is half featdist"


# --- what a run is left as, and what nobody sees


def test_a_run_is_left_as_it_is(made: Run) -> None:
    before = state(made.checkpoints)
    made.query()
    made.query("random", number=1)
    assert state(made.checkpoints) == before and "ledger.sqlite" in " ".join(before)
    assert not (made.checkpoints / "tiny" / ".query").exists()


def test_a_killed_query_of_other_options_is_no_beginning(made: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    often = ("signals.aalu.steps=60", "trainer.checkpoint_seconds=0")
    small, large = (made.typing(f"signals.aalu.hidden={width}", *often) for width in (16, 24))
    whole = small.query("aalu") and small.rows
    honest = batches.step_rows

    def killed(rows: Tensor, size: int, step: int, *names: Any) -> Tensor:
        if step == 55:
            raise KeyboardInterrupt
        return honest(rows, size, step, *names)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(batches, "step_rows", killed)
        large.query("aalu")
    work = made.checkpoints / "tiny" / ".query"
    (left,) = (folder.relative_to(work) for folder in work.rglob("last.ckpt"))
    assert small.query("aalu") and small.rows == whole
    assert [folder.relative_to(work) for folder in work.rglob("last.ckpt")] == [left], "it still can go on"
    assert large.query("aalu") and not work.exists()


def test_a_query_leaves_the_work_of_another_alone(made: Run) -> None:
    other = made.checkpoints / "tiny" / ".query" / "of_another"
    with locked(other):
        (other / "half").write_text("fitted")
        made.query("margin")
        assert [path.name for path in other.parent.iterdir()] == ["of_another"]
        assert (other / "half").exists() and (other / ".lock").exists()
    shutil.rmtree(other)
    made.query("margin")
    assert not other.parent.exists()


class Watched(dict[str, str]):
    """Hidden labels that say when their values are read; the digest of all, which tells runs apart, is no reading."""

    events: list[str]

    def __getitem__(self, id: str) -> str:
        self.events.append("read")
        return super().__getitem__(id)

    def items(self) -> Any:
        if not any(frame.function == "_made_by" for frame in inspect.stack()):
            self.events.append("read")
        return super().items()

    def values(self) -> Any:
        self.events.append("read")
        return super().values()

    def get(self, *given: Any) -> Any:
        self.events.append("read")
        return super().get(*given)


def looking(monkeypatch: pytest.MonkeyPatch, change: Callable[[Images], Images]) -> None:
    honest = ssal.standing.images_of
    monkeypatch.setattr(ssal.standing, "images_of", lambda *given: change(honest(*given)))


def test_hidden_labels_are_read_after_every_choice(made: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    honest = ssal.query.choose

    def choose(*given: Any, **more: Any) -> Any:
        events.append("choose")
        return honest(*given, **more)

    def watched(images: Images) -> Images:
        hidden = Watched(images.hidden)
        hidden.events = events
        return replace(images, hidden=hidden)

    monkeypatch.setattr(ssal.query, "choose", choose)
    looking(monkeypatch, watched)
    found = made.query()
    runnable = len(found["strategies"])
    assert events[:runnable] == ["choose"] * runnable and set(events[runnable:]) == {"read"}


def test_other_hidden_labels_change_no_choice(made: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = made.query() and made.rows
    bought = set(Ledger(made.cell / "ledger.sqlite").labels())

    def shuffled(images: Images) -> Images:
        never = [id for id in images.hidden if id not in bought]
        others = [images.hidden[never[(place + 7) % len(never)]] for place in range(len(never))]
        return replace(images, hidden=images.hidden | dict(zip(never, others, strict=True)))

    looking(monkeypatch, shuffled)
    monkeypatch.setattr(ssal.standing, "unchanged", lambda *given: True)  # which refuses other labels, as it should
    assert made.query() and [row["oracle_label"] for row in made.rows] != [row["oracle_label"] for row in rows]
    for before, after in zip(rows, made.rows, strict=True):
        assert [before[key] for key in ssal.query.COLUMNS] == [after[key] for key in ssal.query.COLUMNS]


# --- one pass, and sources that give up


def add_source(
    monkeypatch: pytest.MonkeyPatch, name: str, call: Callable[..., dict[str, Tensor]], each: str = "batch"
) -> None:
    monkeypatch.setitem(VOCABULARY, name, Signal(name, "N", "of a test"))
    call.__name__ = name
    method = registry.signal(name, each=each)(call).__ssal_method__  # type: ignore[attr-defined]
    monkeypatch.setitem(registry._methods, ("signal", name), method)


def rule(root: Path, *signals: str) -> str:
    """Write a strategy that needs `signals`; return how it is named."""
    name = "of_" + "_".join(signals)
    (root / f"{name}.py").write_text(
        f"from ssal.registry import scores\n\n\n@scores\ndef {name}({', '.join(signals)}):\n    return {signals[0]}\n"
    )
    return f"{name}.py:{name}"


def test_one_pass_serves_every_strategy(made: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    forwarded, forward = [], Network.forward

    def counted(self: Network, images: Tensor) -> Any:
        forwarded.append(len(images))
        return forward(self, images)

    add_source(monkeypatch, "brightness", lambda learner, images: {"brightness": images.float().mean((1, 2, 3))})
    monkeypatch.setattr(Network, "forward", counted)
    names = "margin,entropy,least_confidence,badge,coreset,featdist," + rule(made.root, "brightness")
    found = made.query(names)
    assert sum(forwarded) == 60 and len(found["strategies"]) == 7
    assert set(found["signal_seconds"]) >= {"outputs", "brightness"}


def test_sources_that_give_up_take_only_their_strategies_with_them(made: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = batches.numbered
    monkeypatch.setattr(batches, "numbered", lambda images: honest(images, 7))

    def at_once(learner: Any, images: Tensor) -> dict[str, Tensor]:
        raise BadInput("this learner has no dropout;\n  type learner.dropout=0.1")

    def later(learner: Any, images: Tensor, rows: Tensor) -> dict[str, Tensor]:
        if int(rows.min()) > 20:
            raise BadInput("a constant image")
        return {"later": images.float().mean((1, 2, 3))}

    def diverges(pool: Any) -> dict[str, Tensor]:
        raise Diverged("the loss is not finite at step 3")

    def follows(diverges: Tensor) -> dict[str, Tensor]:
        return {"follows": diverges + 1}

    def infinite(pool: Any) -> dict[str, Tensor]:
        return {"infinite": torch.full((len(pool),), torch.inf)}

    def fitted(learner: Any, pool: Any, *, folder: Path, trainer: Any) -> dict[str, Tensor]:
        folder.mkdir(parents=True)
        return {"fitted": torch.arange(len(pool)).float()}

    for source, each in ((at_once, "batch"), (later, "batch"), (diverges, "round"), (follows, "round")):
        add_source(monkeypatch, source.__name__, source, each)
    add_source(monkeypatch, "infinite", infinite, "round")
    add_source(monkeypatch, "fitted", fitted, "round")
    before = made.query("margin") and made.rows
    signals = ("at_once", "later", "diverges", "follows", "infinite", "fitted")
    found = made.query(",".join(["margin", *(rule(made.root, signal) for signal in signals)]))
    why = {name.partition(":")[2].removeprefix("of_"): text for name, text in found["not_runnable"].items()}
    assert set(why) == set(signals) - {"fitted"}
    assert why["at_once"] == "this learner has no dropout; type learner.dropout=0.1"
    assert why["later"] == "a constant image"
    assert why["diverges"] == why["follows"] == "the loss is not finite at step 3"
    assert "signal infinite: 44 of 44 rows are not finite" in why["infinite"]
    assert {name: one["fitted_afterwards"] for name, one in found["strategies"].items()} == {
        "margin": False,
        "of_fitted.py:of_fitted": True,
    }
    assert [row for row in made.rows if row["strategy"] == "margin"] == before
    assert "* fits something of its own beside the learner, which stays as it is" in picks.picks_notes(found)


def test_a_strategy_that_raises_takes_no_other_with_it(made: Run) -> None:
    (made.root / "broken.py").write_text(
        "from ssal.registry import scores\n\n\n@scores\ndef broken(probabilities):\n    return probabilities[7][99]\n"
    )
    found = made.query("margin,broken.py:broken")
    assert list(found["strategies"]) == ["margin"]
    why = found["not_runnable"]["broken.py:broken"]
    assert why.startswith("IndexError: ") and why.endswith("broken.py:6, in broken)") and "\n" not in why


def test_own_strategies_of_one_name_stand_side_by_side(made: Run) -> None:
    names = []
    for folder, sign in (("first", "-"), ("second", "+")):
        (made.root / folder).mkdir()
        (made.root / folder / "own.py").write_text(
            f"from ssal.registry import scores\n\n\n@scores\ndef own(features):\n    return {sign}features[:, 0]\n"
        )
        names.append(str(made.root / folder / "own.py:own"))
    found = made.query(",".join(["margin,,", *names, "rules.py:moved"]), number=2)
    assert list(found["strategies"]) == ["margin", *names, "rules.py:moved"]
    picked = made.picked()
    assert set(picked[names[0]]).isdisjoint(picked[names[1]])
    wanted = ssal.query._wanted(made.recipe, made.recipe.arms["main"], "all , rules.py:moved,")
    assert list(wanted) == [*registry.methods("strategy"), "rules.py:moved"]


def test_what_the_run_itself_lacks_is_said_in_a_line(made: Run, tmp_path: Path) -> None:
    first = made.query("margin,rules.py:moved", number=1)
    assert first["not_runnable"] == {
        "rules.py:moved": "it looks back at the learner of the round before, and round 1 has the first one"
    }
    assert "rules.py:moved" in made.query("margin,rules.py:moved", number=2)["strategies"]
    plain = make(tmp_path, backbone={"name": "wrn_10_1"}, acquisition={"strategy": "random"})
    found = plain.query()
    lacking = {name for name, method in registry.methods("strategy").items() if "ssl_features" in method.needs}
    assert lacking <= set(found["not_runnable"]) and "margin" in found["strategies"]
    assert all("nothing gives one: pretext.method is none" in found["not_runnable"][name] for name in lacking)
    with pytest.raises(BadInput, match="none of these strategies can run here\n  typiclust: it needs an encoder"):
        plain.query("typiclust")


def test_a_project_has_no_oracle(tmp_path: Path) -> None:
    data = {"source": "folder", "path": str(tmp_path / "pictures"), "size": 8, "flip": False, "labels": "given"}
    write_pictures(tmp_path / "pictures")
    (tmp_path / "pictures/train/unlabelled").mkdir()
    for number, path in enumerate(sorted((tmp_path / "pictures/train").rglob("*.png"))):
        if number % 3:
            path.rename(tmp_path / "pictures/train/unlabelled" / path.name)
    with pytest.raises(Waiting):
        make(tmp_path, data=data, labelling={"answered_by": "inbox"})
    found = query(load(tmp_path / "tiny.yaml"), tmp_path / "checkpoints")
    assert found["oracle"] == "" and found["round"] == 0 and found["labels"] == 20
    assert found["pool"] == 36, "a tenth of 40 is the audit's: no strategy is asked about it"
    assert "oracle" not in (tmp_path / "checkpoints/tiny/query.csv").read_text()
    assert not any("oracle_error" in one for one in [found["whole_pool"], *found["strategies"].values()])
    notes = [line for line in picks.picks_notes(found) if "oracle_greedy" not in line]  # which is told not to run
    assert not any("oracle" in line for line in notes)


# --- the command, the report, bad input


@pytest.fixture
def ssal_command(made: Run, command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    monkeypatch.setenv("COLUMNS", "140")
    yield command_line


def ask(command: CommandLine, made: Run, *words: str) -> Any:
    return command("query", made.root / "tiny.yaml", *words, "--checkpoints", made.checkpoints)


def test_the_command_prints_a_table_and_the_report_has_it(made: Run, ssal_command: CommandLine) -> None:
    said = ask(ssal_command, made, "--strategies", "margin,badge,random,rules.py:moved", "--round", "1")
    assert said.code == 0, said
    for part in (
        "arm main, seed 0, round 1: supervised on 8 labels",
        "each strategy picks 4 of 52 images",
        "% wrong (oracle)",
        "mean overlap %",
        "most alike, %",
        "all of the pool",
        "two random draws share 7.7 %",
        "not runnable here:\n  rules.py:moved, because: it looks back",
        "oracle: error rates",
    ):
        assert part in said.out, part
    found, rows = read_query(made.checkpoints / "tiny")
    assert len({line.index("│ ", 4) for line in said.out.splitlines() if line.startswith("│")}) == 1, "columns align"
    for name, one in found["strategies"].items():
        (line,) = [line for line in said.out.splitlines() if line.startswith(f"│ {name} ")]
        assert f"{100 * one['oracle_error']:.1f}" in line and f"{100 * one['mean_overlap']:.1f}" in line
    page = (made.checkpoints / "tiny" / "report.html").read_text(encoding="utf-8")
    assert "What other strategies would ask for" in page and "rules.py:moved, because: it looks back" in page
    assert page.count("picked by badge") == 4 and page.count('class="self"') == 1 + 3
    for row in rows:
        assert f"Image {row['id']}, picked by {row['strategy']}, predicted {row['predicted']}" in page
        if row["oracle_wrong"] == "1":
            assert f"{row['predicted']} → {row['oracle_label']}</figcaption>" in page


def test_names_stay_in_one_piece_in_80_columns(made: Run) -> None:
    """The longest of ssal's own names, and what it shares with its equal; a path is folded, and nothing is lost."""
    name, path = "scal_reconstruction", "/home/somebody/" + 12 * "project/" + "own.py:own"
    found = made.query("scal_reconstruction,scal_similarity,loss_prediction")
    for one in found["strategies"].values():
        one |= {"most_alike": name, "most_alike_overlap": 1.0, "seconds": 9999.99, "oracle_error": 1.0}

    def lines(found: dict[str, Any]) -> list[str]:
        file = io.StringIO()
        Console(width=80, file=file).print(picks.picks_table(found))
        said = file.getvalue().splitlines()
        assert max(map(len, said)) <= 80
        return said

    said = lines(found)
    for one in (name, "scal_similarity", "loss_prediction *"):
        (line,) = [line for line in said if line.startswith(f"│ {one} ")]
        assert f" {name} 100 " in line and "9999.99" in line and " 100.0 " in line
    found["strategies"][path] = found["strategies"][name]
    column = "".join(line.split("│")[1].strip() for line in lines(found) if line.startswith("│"))
    assert path in column


def test_a_report_shows_nothing_where_nothing_was_asked_or_the_learner_is_another(made: Run) -> None:
    made.query("margin,badge")
    folder = made.checkpoints / "tiny"
    shown = []
    for change in ("", "another learner", "gone"):
        if change == "another learner":
            found = json.loads((folder / "query.json").read_text())
            (folder / "query.json").write_text(json.dumps({**found, "learner_folder": "0" * 16}))
        elif change:
            (folder / "query.json").unlink()
        conclude(made.recipe, so_far(made.recipe, made.checkpoints), made.checkpoints, "ssal")
        shown.append("What other strategies" in (folder / "report.html").read_text(encoding="utf-8"))
    assert shown == [True, False, False]


def test_what_cannot_be_asked(made: Run, ssal_command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(*words: str) -> Callable[..., str]:
        return lambda *parts: refused(ask(ssal_command, made, *words), *parts)

    told("--strategies", "margin,badg")(
        "--strategies: no strategy is called 'badg'; did you mean 'badge'?", "all asks every one"
    )
    told("--strategies", " , ")("--strategies: expected all, or names with commas between, got ' , '")
    told("--strategies", "mine.py:mine")("--strategies: there is no file", "mine.py")
    told("--round", "7")("arm 'main', seed 0 has no learner in round 7 (rounds with one: 1, 2, 3); type --round 3")
    for size in ("45", "0", "-3"):
        told("--size", size)(f"--size: expected 1 to 44, got {size}; as many images have no label in round 3")
    told("--arm", "mian")("there is no arm 'mian'; did you mean 'main'?")
    told("--seed", "3")("there is no seed 3 (seeds: 0)")
    again = "repeat the overrides the run was made with"
    told("learner.steps=5")("made by another recipe", f"undo the change, {again}, or type ssal run", "name=other")
    told("name=never")(f"has no round with a learner yet; {again}, or type ssal run")
    monkeypatch.setattr(ssal.standing.Standing, "free", 0)
    told("--size", "4")("round 3 has nothing left to ask for; type --round with an earlier one")


def test_nothing_is_trained(made: Run, tmp_path: Path) -> None:
    shutil.copytree(made.checkpoints, tmp_path / "checkpoints")
    shutil.rmtree(tmp_path / "checkpoints" / "learners")
    before = state(tmp_path)
    with pytest.raises(
        BadInput, match=r"what round 3 was trained to is not kept any more.* name=again, and repeat the over"
    ):
        query(made.recipe, tmp_path / "checkpoints")
    assert state(tmp_path) == before


# --- worked numbers


def test_overlaps_and_errors_by_hand() -> None:
    picked = {"a": ["1", "2", "3", "4"], "b": ["4", "3", "9", "8"], "c": ["5", "6", "7", "1"]}
    shares = picks.overlap(picked)
    assert shares == {
        "a": {"a": 1.0, "b": 0.5, "c": 0.25},
        "b": {"a": 0.5, "b": 1.0, "c": 0.0},
        "c": {"a": 0.25, "b": 0.0, "c": 1.0},
    }
    assert picks.most_alike(shares, "a") == ("b", 0.5) and picks.mean_overlap(shares, "a") == 0.375
    assert picks.alike_order(shares) in (["b", "a", "c"], ["c", "a", "b"])
    predicted, truth = {"1": "x", "2": "y", "3": "y", "4": "x"}, {"1": "x", "2": "x", "3": "y", "4": "y"}
    assert picks.error_rate(picked["a"], predicted, truth) == 0.5
    assert picks.class_mix(picked["a"], predicted, ["x", "y", "z"]) == {"x": 2, "y": 2, "z": 0}
