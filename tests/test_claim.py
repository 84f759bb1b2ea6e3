"""What may change in a run that has begun, what may not, and what is made again where a file was removed or damaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import CommandLine, refused
from safetensors.torch import load_file, save_file
from tiny_runs import NAMES, write_pictures

from ssal import backbones
from ssal.artefacts import read_facts
from ssal.labelling.ledger import Ledger
from ssal.signals.kept import realigned

RECIPE = """\
name: tiny
seeds: [0]
data: {source: folder, path: pictures, size: 8, flip: false}
backbone: {name: wrn_10_1}
pretext: {method: none}
learner: {method: supervised, steps: 4, batch_size: 8}
acquisition: {strategy: margin, query_size: 6, budget: 12}
evaluation: {references: [logistic_regression]}
trainer: {accelerator: cpu}
"""
CHECKPOINTS = Path("checkpoints")
CELL = CHECKPOINTS / "tiny/main/seed_0"
STRATEGY = """\
import torch

from ssal.registry import scores


@scores
def mine(*, pool_size):
    return torch.arange(pool_size).float()
"""


@pytest.fixture
def ssal(command_line: CommandLine) -> CommandLine:
    Path("tiny.yaml").write_text(RECIPE)
    write_pictures(Path("pictures"))
    return command_line


def run(ssal: CommandLine, *overrides: str | Path) -> Any:
    return ssal("run", "tiny.yaml", *overrides, "--jobs", "1")


def state(folder: Path = CHECKPOINTS) -> dict[str, bytes]:
    """Return every file that holds a result."""
    kept = (".json", ".csv", ".sqlite", ".safetensors", ".ckpt", ".npy")
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.name.endswith(kept)}


def metrics(cell: Path = CELL) -> list[dict[str, Any]]:
    """Return what every round measured, without times."""
    paths = sorted(cell.glob("round_*/metrics.json"))
    found = [json.loads(path.read_text()) for path in paths]
    return [{key: value for key, value in one.items() if not key.endswith("_seconds")} for one in found]


def labels(cell: Path = CELL) -> dict[str, str]:
    return Ledger(cell / "ledger.sqlite").labels()


def swap_two(part: str) -> None:
    """Correct a label: an image of `nought` is now a `one`, and the other way round."""
    first, second = (sorted(Path(f"pictures/{part}/{name}").glob("*.png"))[-1] for name in NAMES[:2])
    first.rename(second.parent / first.name)
    second.rename(Path(f"pictures/{part}/{NAMES[0]}") / second.name)


# --- what may not change


def test_a_changed_recipe_is_refused_and_overwrite_keeps_the_labels(ssal: CommandLine) -> None:
    assert run(ssal).code == 0
    before, bought = state(), labels()
    said = run(ssal, "learner.steps=5", "acquisition.strategy=entropy", "trainer.checkpoint_seconds=1")
    message = refused(said, str(CELL), "(learner.steps, acquisition.strategy differ)", "--overwrite")
    assert "checkpoint_seconds" not in message
    assert state() == before
    said = run(ssal, "learner.steps=5", "acquisition.strategy=entropy", "--overwrite")
    assert said.code == 0, said
    assert Ledger(CELL / "ledger.replaced_1.sqlite").labels() == bought
    assert {entry.strategy for entry in Ledger(CELL / "ledger.sqlite").entries()} == {"random", "entropy"}
    refused(run(ssal), "learner.steps, acquisition.strategy differ")


def test_overwrite_says_where_it_overwrites_nothing(ssal: CommandLine) -> None:
    """It starts again where another recipe's run stands, and nowhere else."""
    says = "this recipe made what stands there, so nothing is overwritten"
    assert says not in run(ssal, "--overwrite").log, "nothing stands there"
    before = state(CELL)
    for words in (("--overwrite",), ()):
        said = run(ssal, *words)
        assert said.code == 0 and state(CELL) == before
        assert said.log.count(says) == said.log.count(f"finished cells: {says}") == len(words)
    (CELL / "finished.json").unlink()
    said = run(ssal, "seeds=[0, 1]", "--overwrite")
    assert said.code == 0 and said.log.count(says) == said.log.count(f"{CELL}: {says}; it goes on") == 1
    assert state(CELL) == before
    assert says not in run(ssal, "learner.steps=5", "--overwrite").log
    assert (CELL / "ledger.replaced_1.sqlite").exists()


def test_other_images_under_the_same_recipe_are_refused(ssal: CommandLine) -> None:
    assert run(ssal).code == 0
    min(Path("pictures/train/two").glob("*.png")).unlink()
    refused(run(ssal, "acquisition.budget=18"), "(the images themselves differ)")


def test_other_hidden_labels_of_the_same_images_are_refused(ssal: CommandLine) -> None:
    assert run(ssal).code == 0
    before = state()
    swap_two("train")
    for words in ((), ("acquisition.budget=18",)):
        refused(run(ssal, *words), "(the hidden labels of the images differ)")
    assert {**state(), **before} == state(), "the images are listed anew, and nothing else is written"


def test_other_weights_in_the_same_file_are_refused(ssal: CommandLine) -> None:
    for seed in (0, 1):
        network = backbones.build((3, 8, 8), name="wrn_10_1", weights=None, seed=seed)
        save_file(network.state_dict(), "weights.safetensors")
        said = run(ssal, "backbone.weights=weights.safetensors", "acquisition.budget=12" if not seed else "")
        if not seed:
            assert said.code == 0, said
    refused(run(ssal, "backbone.weights=weights.safetensors"), "(the file of backbone.weights differ)")


@pytest.mark.parametrize(
    "words,key",
    [
        (("acquisition.strategy=mine.py:mine",), "mine.py:mine)"),
        (("acquisition.first_round=mine.py:mine",), "mine.py:mine)"),
        (
            ("acquisition.strategy=blend", "acquisition.options.weights={margin: 1, 'mine.py:mine': 1}"),
            "mine.py:mine)",
        ),
    ],
)
def test_a_changed_strategy_of_ones_own_is_refused(ssal: CommandLine, words: tuple[str, ...], key: str) -> None:
    Path("mine.py").write_text(STRATEGY)
    said = run(ssal, *words)
    assert said.code == 0, said
    Path("mine.py").write_text('"""With a comment."""\n' + Path("mine.py").read_text())
    assert run(ssal, *words, "acquisition.budget=14").code == 0, "what it does is the same"
    Path("mine.py").write_text(Path("mine.py").read_text().replace("return ", "return -1 * "))
    refused(run(ssal, *words, "acquisition.budget=18"), "(the file of acquisition (", key)


def test_a_smaller_budget_than_was_bought_is_refused(ssal: CommandLine) -> None:
    assert run(ssal).code == 0
    refused(run(ssal, "acquisition.budget=11"), "12 labels are asked for already; type acquisition.budget=12 or more")
    assert run(ssal, "acquisition.budget=11", "--overwrite").code == 0
    assert len(labels()) == 11 and len(Ledger(CELL / "ledger.replaced_1.sqlite").labels()) == 12


def test_strategies_of_ones_own_with_the_same_file_name_are_both_watched(ssal: CommandLine) -> None:
    for folder in ("a", "b"):
        Path(folder).mkdir()
        Path(folder, "mine.py").write_text(STRATEGY)
    words = ("acquisition.strategy=blend", "acquisition.options.weights={'a/mine.py:mine': 1, 'b/mine.py:mine': 1}")
    assert run(ssal, *words).code == 0
    for folder in ("a", "b"):
        Path(folder, "mine.py").write_text(STRATEGY.replace("return ", "return -1 * "))
        refused(run(ssal, *words, "acquisition.budget=18"), f"{folder}/mine.py:mine)")
        Path(folder, "mine.py").write_text(STRATEGY)


@pytest.mark.parametrize("stage", ["learner", "acquisition", "signals", "pretext"])
def test_other_code_goes_on_with_peoples_labels_and_not_with_a_benchmark(
    ssal: CommandLine, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = ("name=people", "labelling.answered_by=inbox")
    assert run(ssal).code == 0 and run(ssal, *people).code == 3
    for name in ("tiny", "people"):
        record = json.loads((CHECKPOINTS / name / "main/seed_0/run.json").read_text())
        record["code"][stage] = "another"
        (CHECKPOINTS / name / "main/seed_0/run.json").write_text(json.dumps(record))
    refused(run(ssal, "acquisition.budget=18"), f"(the code of {stage} differ)")
    again = run(ssal)
    assert again.code == 0 and f"finished with other code than ssal's of now (the code of {stage})" in again.log
    assert run(ssal, *people).code == 3


# --- what may


def test_a_run_that_was_moved_with_its_images_goes_on(ssal: CommandLine) -> None:
    assert run(ssal).code == 0
    Path("elsewhere").mkdir()
    shutil.move("pictures", "elsewhere/pictures")
    said = run(ssal, f"data.path={Path('elsewhere/pictures').absolute()}")
    assert said.code == 0 and "1 of 1 cells are finished already" in said.log


def test_a_budget_that_was_typed_wrong_can_be_taken_back(ssal: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(ssal).code == 0
    with monkeypatch.context() as patch:
        patch.setattr("ssal.round.train", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("stopped")))
        assert run(ssal, "acquisition.budget=40").code == 1
    assert run(ssal, "acquisition.budget=18").code == 0
    assert len(labels()) == 18


def test_a_choice_of_another_size_that_nobody_was_asked_about_is_made_anew(
    ssal: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(ssal).code == 0
    with monkeypatch.context() as patch:
        patch.setattr("ssal.round.ask", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("stopped")))
        assert run(ssal, "acquisition.budget=40").code == 1
    assert (CELL / "round_2/asked.json").exists()
    assert run(ssal, "acquisition.budget=14").code == 0
    assert [one["labels"] for one in metrics()] == [6, 12, 14]


def test_an_extended_run_comes_back_to_the_label_counts_of_the_others(ssal: CommandLine) -> None:
    words = ("acquisition.first_size=8",)
    assert run(ssal, *words).code == 0
    assert [one["labels"] for one in metrics()] == [8, 12]
    assert run(ssal, *words, "acquisition.budget=22").code == 0
    assert [one["labels"] for one in metrics()] == [8, 12, 14, 20, 22]


def test_corrected_test_labels_are_measured_again_and_nothing_else_is_done(ssal: CommandLine) -> None:
    assert run(ssal).code == 0
    before, measured = state(), metrics()
    for part in ("nought", "two"):  # all of one class, so that an accuracy must change
        Path(f"pictures/test/{part}").rename(f"pictures/test/was_{part}")
    Path("pictures/test/was_nought").rename("pictures/test/two")
    Path("pictures/test/was_two").rename("pictures/test/nought")
    said = run(ssal)
    assert said.code == 0, said
    after = state()
    assert {name: after[name] for name in before if name.endswith((".safetensors", "chosen.csv", ".sqlite"))} == {
        name: content for name, content in before.items() if name.endswith((".safetensors", "chosen.csv", ".sqlite"))
    }
    right = "logistic_regression_accuracy"
    assert metrics()[-1][right] != measured[-1][right]
    assert [one["learner_folder"] for one in metrics()] == [one["learner_folder"] for one in measured]
    assert "1 of 1 cells are finished already" in run(ssal).log


def test_other_references_are_measured_in_the_rounds_that_stand(ssal: CommandLine) -> None:
    assert run(ssal).code == 0
    assert run(ssal, "evaluation.references=[svm]").code == 0
    assert all("svm_accuracy" in one and "logistic_regression_accuracy" not in one for one in metrics())


def answer_all(file: Path, label: str) -> None:
    """Write one class beside every image of a to_label.csv."""
    ids = [line.split(",")[0] for line in file.read_text().splitlines()[1:]]
    file.write_text("\n".join(["id,label", *(f"{id},{label}" for id in ids)]))


def test_another_network_learns_from_the_labels_that_were_asked_for_and_asks_for_none(ssal: CommandLine) -> None:
    """Where random chooses, a run with that backbone has the same labels, and so the same accuracy to the last bit."""
    words = ("acquisition.strategy=random", "seeds=[0, 3]", "pretext.encoders=1")
    assert run(ssal, *words).code == 0
    before = {name: content for name, content in state().items() if name.endswith((".safetensors", ".sqlite"))}
    assert run(ssal, *words, "evaluation.networks=[wrn_10_2, lcnet_035]").code == 0
    assert before.items() <= state().items(), "nothing that stood was trained or asked again"
    here = [metrics(CELL.with_name(f"seed_{seed}")) for seed in (0, 3)]
    alone = ("name=other", "backbone.name=wrn_10_2", "pretext.encoders=null")
    assert run(ssal, *words, *alone).code == 0
    there = [metrics(CHECKPOINTS / f"other/main/seed_{seed}") for seed in (0, 3)]
    for ours, theirs in zip(sum(here, []), sum(there, []), strict=True):
        assert ours["network_wrn_10_2_accuracy"] == pytest.approx(theirs["accuracy"], abs=1e-7)
        assert 0 <= ours["network_lcnet_035_accuracy"] <= 1
    assert "network wrn_10_2" in run(ssal, *words, "evaluation.networks=[wrn_10_2, lcnet_035]").out


def test_people_may_add_a_class_while_they_label(ssal: CommandLine) -> None:
    Path("pictures/train/unlabelled").mkdir()
    for path in sorted(Path("pictures/train/three").glob("*.png")):
        path.rename(f"pictures/train/unlabelled/{path.name}")
    shutil.rmtree("pictures/test/three")
    words = ("data.labels=given", "labelling.answered_by=inbox", "acquisition={query_size: 4, budget: 8}")
    assert run(ssal, *words).code == 3
    three = "data.classes=[nought, one, two, three]"
    assert run(ssal, *words, three).code == 3
    file = CELL / "round_0/to_label.csv"
    answer_all(file, "three")
    assert run(ssal, *words, three).code == 3
    file = CELL / "round_1/to_label.csv"
    answer_all(file, "three")
    assert run(ssal, *words, three).code == 0
    assert list(labels().values()).count("three") == 7, "and one of eight is the audit's"
    weights = CHECKPOINTS / "learners" / metrics()[-1]["learner_folder"] / "learner.safetensors"
    assert load_file(weights)["head.weight"].shape[0] == 4
    refused(run(ssal, *words, "data.classes=[nought, one, three]"), "two")


def test_a_class_that_nobody_used_may_be_taken_back(ssal: CommandLine) -> None:
    words = ("labelling.answered_by=inbox", "data.labels=given")
    Path("pictures/train/unlabelled").mkdir()
    for path in sorted(Path("pictures/train/three").glob("*.png"))[1:]:
        path.rename(f"pictures/train/unlabelled/{path.name}")
    assert run(ssal, *words, "data.classes=[nought, one, two, three, fuor]").code == 3
    assert run(ssal, *words, "data.classes=[nought, one, two, three, four]").code == 3
    file = CELL / "round_0/to_label.csv"
    answer_all(file, "four")
    assert run(ssal, *words, "data.classes=[nought, one, two, three, four]").code == 3
    refused(
        run(ssal, *words, "data.classes=[nought, one, two, three, five]"),
        "without 'four', which was answered; name it in data.classes, or type ssal ledger rename",
    )


def test_earlier_probabilities_stand_under_the_classes_of_now(ssal: CommandLine) -> None:
    """Class numbers follow from first labels, so those of unseen classes move; columns must not be mixed up."""
    Path("own.py").write_text(
        "from ssal.registry import scores\n\n\n@scores\ndef tod(probabilities, previous_probabilities):\n"
        "    assert probabilities.shape == previous_probabilities.shape\n"
        "    return (probabilities - previous_probabilities).square().sum(1)\n"
    )
    words = ("acquisition={strategy: 'own.py:tod', first_size: 3, query_size: 3, budget: 12}", "seeds=[1]")
    assert run(ssal, *words).code == 0
    cell = CELL.with_name("seed_1")
    order = [read_facts(cell / f"round_{number}/outputs.safetensors")["classes"] for number in (1, 2)]
    assert order[0] != order[1], "else this seed shows nothing"
    table = load_file(cell / "round_1/outputs.safetensors")["probabilities"]
    numbers = {name: number for number, name in enumerate([*order[1], "new"])}
    moved = realigned(cell / "round_1/outputs.safetensors", numbers)
    for name in order[0]:
        assert torch.equal(moved[:, numbers[name]], table[:, order[0].index(name)])
    assert not moved[:, numbers["new"]].any()


# --- what was removed or damaged


@pytest.mark.parametrize(
    "pattern",
    [
        "encoders/*/encoder.safetensors",
        "encoders/*/features_*/features.safetensors",
        "learners/*/learner.safetensors",
        "data/*/pixels.npy",
        "data/*/facts.npy",
        "tiny/main/seed_0/run.json",
        "tiny/main/seed_0/finished.json",
        "tiny/main/seed_0/round_1/metrics.json",
        "tiny/main/seed_0/round_1/asked.json",
        "tiny/main/seed_0/round_1/outputs.safetensors",
        "tiny/main/seed_0/round_1/chosen.csv",
    ],
)
def test_a_file_that_is_damaged_is_named_and_one_that_is_gone_is_made_again(ssal: CommandLine, pattern: str) -> None:
    words = ("pretext={method: simclr, epochs: 1, batch_size: 30}",)
    assert run(ssal, *words).code == 0
    before, measured = state(), metrics()
    found = sorted(CHECKPOINTS.glob(pattern))
    assert found
    more = (*words, "acquisition.budget=18")
    for path in found:
        path.write_bytes(path.read_bytes()[: len(path.read_bytes()) // 2])
    said = run(ssal, *more)
    assert said.code in (0, 2) and "Traceback" not in said.err + said.log
    if said.code:
        message = refused(said, "this file is damaged", "remove it and run the same command again")
        assert any(message.startswith(f"{path}: ") for path in found)
    for path in found:
        path.unlink(missing_ok=True)
    said = run(ssal, *more)
    assert said.code == 0, said
    assert metrics()[:2] == measured and len(labels()) == 18
    timed = (
        "record.json", "asked.json", "metrics.json", "results.csv", "timings.csv", "log.jsonl", "run.json",
        "finished.json", ".sqlite",
    )  # fmt: skip
    after = state()
    same = [name for name in before if not name.endswith(timed) and name in after]
    assert {name: after[name] for name in same} == {name: before[name] for name in same}


def test_a_round_that_is_gone_is_measured_again(ssal: CommandLine) -> None:
    assert run(ssal).code == 0
    before = metrics()
    shutil.rmtree(CELL / "round_1")
    said = run(ssal)
    assert said.code == 0 and metrics() == before
    assert "12" in said.out


def test_an_encoder_without_its_weights_is_trained_again_and_never_used_as_it_started(ssal: CommandLine) -> None:
    words = ("pretext={method: simclr, epochs: 1, batch_size: 30}", "learner={method: linear_probe}")
    assert run(ssal, *words).code == 0
    (weights,) = CHECKPOINTS.glob("encoders/*/encoder.safetensors")
    (features,) = CHECKPOINTS.glob("encoders/*/features_*/features.safetensors")
    trained, known = load_file(weights), load_file(features)
    weights.unlink()
    features.unlink()
    assert run(ssal, *words, "acquisition.budget=18").code == 0
    assert all(torch.equal(trained[name], value) for name, value in load_file(weights).items())
    assert torch.equal(load_file(features)["pool"], known["pool"])


@pytest.mark.parametrize("left", [None, 61, 90])
def test_what_people_are_asked_is_known_again_when_the_choice_was_lost(ssal: CommandLine, left: int | None) -> None:
    words = ("labelling.answered_by=inbox",)
    assert run(ssal, *words).code == 3
    chosen = CELL / "round_0/chosen.csv"
    whole, asked = chosen.read_bytes(), (CELL / "round_0/to_label.csv").read_bytes()
    chosen.write_bytes(whole[:left] if left else b"")
    said = run(ssal, *words)
    if said.code == 2:
        refused(said, f"{chosen}: this file is damaged", "remove it")
        chosen.unlink()
        said = run(ssal, *words)
    assert said.code == 3 and "6 images wait" in said.err
    assert chosen.read_bytes() == whole and (CELL / "round_0/to_label.csv").read_bytes() == asked


def test_a_checkpoint_that_is_damaged_is_named(ssal: CommandLine) -> None:
    assert run(ssal).code == 0
    folder = CHECKPOINTS / "learners" / metrics()[0]["learner_folder"]
    (folder / "record.json").unlink()
    (folder / "training").mkdir()
    (folder / "training/last.ckpt").write_text("broken")
    (CELL / "round_1/metrics.json").unlink()
    refused(run(ssal), f"{folder}/training/last.ckpt: this file is damaged", "remove it")
    (folder / "training/last.ckpt").unlink()
    assert run(ssal).code == 0


def test_a_finished_run_of_an_older_ssal_is_told_as_what_it_is(ssal: CommandLine) -> None:
    assert run(ssal).code == 0
    (CELL / "finished.json").write_text('{"labels_bought": 12, "images": 60}')
    (CELL / "run.json").write_text('{"recipe": {}, "images": "0"}')
    refused(run(ssal), "as an older ssal wrote it", "--overwrite")


def test_starting_again_never_writes_over_labels_that_were_kept(ssal: CommandLine) -> None:
    assert run(ssal).code == 0
    for number, strategy in enumerate(("entropy", "margin", "random")):
        if number == 2:
            (CELL / "ledger.replaced_1.sqlite").unlink()
            kept = (CELL / "ledger.replaced_2.sqlite").read_bytes()
        assert run(ssal, f"acquisition.strategy={strategy}", "--overwrite").code == 0
    assert (CELL / "ledger.replaced_2.sqlite").read_bytes() == kept and (CELL / "ledger.replaced_1.sqlite").exists()


def test_weights_that_were_moved_are_the_same_weights(ssal: CommandLine) -> None:
    network = backbones.build((3, 8, 8), name="wrn_10_1", weights=None, seed=0)
    save_file(network.state_dict(), "weights.safetensors")
    assert run(ssal, "backbone.weights=weights.safetensors").code == 0
    Path("weights.safetensors").rename("moved.safetensors")
    said = run(ssal, "backbone.weights=moved.safetensors")
    assert said.code == 0 and "1 of 1 cells are finished already" in said.log, said


def test_a_damaged_ledger_is_told_as_what_it_is(ssal: CommandLine) -> None:
    assert run(ssal).code == 0
    for path in CELL.glob("ledger.sqlite*"):
        path.write_bytes(b"not a ledger " * 100)
    refused(run(ssal, "acquisition.budget=18"), f"{CELL}/ledger.sqlite", "the file is damaged", "move")


def test_checkpoints_where_no_folder_can_be(ssal: CommandLine) -> None:
    refused(run(ssal, "--checkpoints", "/proc/nothing"), "/proc/nothing", "it cannot be written", "--checkpoints")


def test_a_run_that_began_before_an_option_was_there_goes_on(ssal: CommandLine) -> None:
    """Options that are new do, by default, what was done before there were any."""
    assert run(ssal).code == 0
    record = json.loads((CELL / "run.json").read_text())
    for section, key in (
        ("learner", "augmentation"),
        ("learner", "optimiser"),
        ("learner", "adam_learning_rate"),
        ("data", "redundancy"),
        ("data", "pool_seed"),
    ):
        del record["recipe"][section][key]
    (CELL / "run.json").write_text(json.dumps(record))
    assert run(ssal, "acquisition.budget=18").code == 0
    assert len(labels()) == 18


def test_what_trackers_keep_belongs_to_the_run_that_stands(ssal: CommandLine) -> None:
    assert run(ssal).code == 0
    lines = CELL / "log.jsonl"
    before = lines.read_bytes()
    refused(run(ssal, "learner.steps=6"), "learner.steps differ")
    assert lines.read_bytes() == before, "a refusal is no part of the run"
    assert run(ssal, "learner.steps=6", "--overwrite").code == 0
    assert len(lines.read_bytes().splitlines()) == len(before.splitlines()), "the run of before is gone"
