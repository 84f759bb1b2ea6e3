"""Everything a user may get wrong: one clear message, exit code 2, nothing half-written."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import CommandLine, refused
from tiny_runs import NAMES, write_pictures

from ssal import loop
from ssal.errors import BadInput
from ssal.labelling.ledger import Entry, Ledger
from ssal.learner.supervised import Supervised

RECIPE = """\
name: tiny
seeds: [0]
data: {source: digits, size: 8, labels: hidden, flip: false}
backbone: {name: wrn_10_1}
pretext: {method: none}
learner: {method: supervised, steps: 4, batch_size: 8}
acquisition: {strategy: margin, query_size: 6, budget: 12}
trainer: {accelerator: cpu}
"""


@pytest.fixture
def ssal(command_line: CommandLine) -> CommandLine:
    Path("tiny.yaml").write_text(RECIPE)
    return command_line


def run(ssal: CommandLine, *overrides: str | Path) -> Any:
    return ssal("run", "tiny.yaml", *overrides, "--jobs", "1")


def pictures(name: str = "pictures") -> str:
    """Write real images in class folders; return the overrides that read them."""
    write_pictures(Path(name))
    return f"data={{source: folder, path: {name}, size: 8, flip: false}}"


def half_written(folder: Path) -> list[str]:
    """Return what an ended command must not leave: files that were being written, a run that never began."""
    return [str(path) for path in folder.rglob("*.unfinished")] + [
        str(path.parent) for path in folder.rglob("run.json") if not (path.parent / "ledger.sqlite").exists()
    ]


def state(folder: Path) -> dict[str, bytes]:
    """Return every file that holds a result."""
    kept = (".json", ".csv", ".sqlite", ".safetensors", ".ckpt", ".npy")
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.name.endswith(kept)}


def plain(folder: Path) -> Any:
    """Return ledger and metrics of the one run below `folder`, without times."""
    cell = folder / "tiny" / "main" / "seed_0"
    metrics = [json.loads(path.read_text()) for path in sorted(cell.glob("round_*/metrics.json"))]
    return (
        [(e.id, e.label, e.round, e.strategy, e.score) for e in Ledger(cell / "ledger.sqlite").entries()],
        [{key: value for key, value in one.items() if not key.endswith("_seconds")} for one in metrics],
    )


# --- what is written in a recipe


@pytest.mark.parametrize(
    "old,new,parts",
    [
        ("steps: 4", "stps: 4", ["tiny.yaml:6:31: learner.stps: no such key", "did you mean 'steps'"]),
        ("steps: 4", "steps: many", ["tiny.yaml:6:38: learner.steps: expected an integer, got 'many'"]),
        ("steps: 4", "steps: 4.5", ["learner.steps: expected an integer, got 4.5"]),
        ("steps: 4", "steps: true", ["learner.steps: expected an integer, got true"]),
        ("steps: 4", "steps: 0", ["learner.steps: expected", "got 0"]),
        ("seeds: [0]", "seeds: 0", ["tiny.yaml:2:8: seeds: expected a list, got 0"]),
        ("seeds: [0]", "seeds: [0]\nseeds: [1]", ["tiny.yaml:3:1: seeds: this key stands twice (first at tiny"]),
        ("seeds: [0]", "seeds: [0", ["tiny.yaml:3:", "no valid YAML"]),
        ("name: tiny", "name: tiny\n\tseeds: [0]", ["tiny.yaml:2:1: no valid YAML"]),
        ("method: supervised", "method: suprevised", ["tiny.yaml:6:19: learner.method", "did you mean 'supervised'"]),
        ("strategy: margin", "strategy: marign", ["acquisition.strategy", "did you mean 'margin'"]),
        ("source: digits", "source: digit", ["data.source", "did you mean 'digits'"]),
        ("name: wrn_10_1", "name: wrn_101", ["tiny.yaml:4:18: backbone.name", "wrn_<depth>_<width>"]),
        ("strategy: margin", "strategy: typiclust", ["'typiclust' needs ssl_features", "set pretext.method"]),
        ("strategy: margin", "strategy: margin, first_round: margin", ["'margin' needs probabilities", "no learner"]),
        ("strategy: margin", "strategy: own.py:mine", ["acquisition.strategy: there is no file", "own.py"]),
        ("budget: 12", "budget: 5", ["acquisition.query_size: expected at most the budget of 5, got 6"]),
        ("labels: hidden", "labels: given", ["labelling.answered_by: the oracle answers from hidden labels"]),
        ("name: tiny", "name: ../tiny", ["tiny.yaml:1:7: name", "got '../tiny'"]),
        ("name: tiny", "name: learners", ["tiny.yaml:1:7: name", "choose another name"]),
    ],
)  # fmt: skip
def test_recipe(ssal: CommandLine, old: str, new: str, parts: list[str]) -> None:
    assert RECIPE.count(old) == 1
    Path("tiny.yaml").write_text(RECIPE.replace(old, new))
    for command in ("run", "check"):
        message = refused(ssal(command, "tiny.yaml"), *parts)
    assert len(message.splitlines()) == 1
    assert not Path("checkpoints").exists()


def test_all_problems_are_told_at_once_in_the_order_of_the_file(ssal: CommandLine) -> None:
    wrong = RECIPE.replace("size: 8,", "sise: 8,").replace("steps: 4", "steps: x").replace("margin", "marign")
    Path("tiny.yaml").write_text(wrong)
    lines = refused(run(ssal, "trainer.precision=31")).splitlines()
    assert [line.split(": ")[1] for line in lines[-3:]] == ["data.sise", "learner.steps", "acquisition.strategy"]
    assert lines[0].startswith("command line: trainer.precision: expected")
    assert len(lines) == 4


def test_a_strategy_that_needs_the_round_before_cannot_be_the_first(ssal: CommandLine) -> None:
    Path("own.py").write_text(
        "from ssal.registry import scores\n\n@scores\ndef moved(probabilities, previous_probabilities):\n"
        "    return (probabilities - previous_probabilities).square().sum(1)\n"
    )
    said = run(ssal, "acquisition.first_round=own.py:moved")
    refused(said, "command line: acquisition.first_round", "previous_probabilities", "before the first labels")
    assert run(ssal, "acquisition.strategy=own.py:moved", "acquisition.budget=16").code == 0


@pytest.mark.parametrize(
    "override,parts",
    [
        ("learner.treshold=0.9", ["command line: learner.treshold: no such key"]),
        ("learnr.steps=3", ["command line: learnr: no such key in a recipe", "did you mean 'learner'"]),
        ("arms.ssl.learner.steps=3", ["command line: arms.ssl: the recipe has no arm 'ssl'"]),
        ("steps", ["'steps': expected key.path=value"]),
        ("learner.steps=[3", ["command line: learner.steps: no valid YAML"]),
    ],
)
def test_override(ssal: CommandLine, override: str, parts: list[str]) -> None:
    assert len(refused(run(ssal, override), *parts).splitlines()) == 1


def test_a_list_that_is_too_short(ssal: CommandLine) -> None:
    said = run(ssal, "pretext={method: byol, blur: [1.0]}")
    refused(said, "pretext.blur.1: the list is too short: its value number 2 is missing")


def test_more_labels_than_the_learner_takes(ssal: CommandLine) -> None:
    said = run(ssal, "acquisition.budget=2400", "learner={method: gp_head}")
    refused(said, "acquisition.budget: 'gp_head' takes at most 2000 labels", "got 2400; type 2000 or less")


def test_options_that_a_new_method_leaves_behind_are_named(ssal: CommandLine) -> None:
    said = ssal("check", "tiny.yaml", "learner.method=flexmatch", "learner.batch_size=8")
    assert said.code == 0
    assert "learner.method=flexmatch: the recipe's steps do not come along" in said.err + said.log
    assert "as in learner.steps=4" in said.err + said.log


def test_no_such_recipe(ssal: CommandLine) -> None:
    refused(ssal("run", "quick.yaml"), "quick.yaml: cannot be read: No such file", "beside it: tiny.yaml")
    refused(ssal("run", "."), ".: cannot be read: Is a directory")


def test_no_such_list_command_or_option(ssal: CommandLine) -> None:
    refused(ssal("list", "nonsense"), "ssal list: expected one of strategies, learners", "got 'nonsense'")
    refused(ssal("train", "tiny.yaml"), "No such command 'train'")
    refused(ssal("run", "tiny.yaml", "--job", "1"), "No such option", "--jobs")


# --- what stands in the data


def test_data_that_is_not_there(ssal: CommandLine) -> None:
    refused(run(ssal, "data={source: folder, size: 8}"), "data.path: say where the images are: data.path=FOLDER")
    refused(run(ssal, "data={source: folder, path: nowhere, size: 8}"), "data.path: nowhere does not exist (from ")
    Path("empty").mkdir()
    refused(run(ssal, "data={source: folder, path: empty, size: 8}"), "data.path: empty holds no image (0 files")
    assert half_written(Path()) == []


def test_a_single_class(ssal: CommandLine) -> None:
    write_pictures(Path("pictures"))
    for name in ("one", "two", "three"):
        for part in ("train", "test"):
            shutil.rmtree(f"pictures/{part}/{name}")
    refused(run(ssal, "data={source: folder, path: pictures, size: 8}"), "data: there is a single class, 'nought'")


def test_a_benchmark_without_labels(ssal: CommandLine) -> None:
    write_pictures(Path("pictures"))
    flat = Path("flat")
    flat.mkdir()
    for number, path in enumerate(sorted(Path("pictures").rglob("*.png"))):
        path.rename(flat / f"{number}.png")
    said = run(ssal, "data={source: folder, path: flat, size: 8}")
    refused(said, "data.labels: hidden means that known labels answer, but no image has a label", "data.labels=given")


def test_more_budget_than_images(ssal: CommandLine) -> None:
    said = run(ssal, pictures(), "acquisition.budget=61")
    refused(said, "acquisition.budget: 61 labels are wanted, but 60 images", "type acquisition.budget=60 or less")
    refused(ssal("check", "tiny.yaml", pictures("again"), "acquisition.budget=61"), "acquisition.budget=60 or less")
    assert half_written(Path("checkpoints")) == []
    assert run(ssal, pictures(), "acquisition={budget: 60, query_size: 40}").code == 0, "the whole pool can be bought"


def test_images_that_cannot_be_read_are_listed_and_counted_and_the_run_goes_on(ssal: CommandLine) -> None:
    data = pictures()
    some = sorted(Path("pictures/train/two").glob("*.png"))
    whole = some[0].read_bytes()
    some[0].write_bytes(whole[: len(whole) // 2])
    some[1].write_bytes(b"")
    some[2].write_text("no image at all")
    said = run(ssal, data)
    assert said.code == 0, said
    assert "images: 57 in the pool" in said.log
    (line,) = [line for line in said.log.splitlines() if "unreadable" in line]
    assert "3 unreadable images left out" in line
    assert all(path.name in line for path in some[:3])
    assert "the file is empty" in line


def test_names_that_are_no_text_are_shown_with_escapes_and_used_all_the_same(ssal: CommandLine) -> None:
    data = pictures()
    strange = os.fsdecode(b"pictures/train/caf\xe9")
    Path("pictures/train/two").rename(strange)
    Path("pictures/test/two").rename(os.fsdecode(b"pictures/test/caf\xe9"))
    first = sorted(Path(strange).glob("*.png"))[0]
    first.rename(first.with_name(os.fsdecode(b"\xe8.png")))
    Path(os.fsdecode(b"pictures/\xff.\xfe")).write_text("no image")
    words = (data, "pretext={method: simclr, epochs: 1, batch_size: 30}", "data.group_by=train/(.)")
    said = run(ssal, *words)
    assert said.code == 0 and "caf\\xe9" in said.log, said
    entries = Ledger(Path("checkpoints/tiny/main/seed_0/ledger.sqlite")).entries()
    assert "caf\\xe9" in {entry.label for entry in entries}
    assert ssal("embed", "tiny.yaml", *words).code == 0
    assert "caf\\xe9/\\xe8.png" in next(Path("embeddings").glob("*.csv")).read_text(encoding="utf-8")
    with tarfile.open("pictures.tar", "w") as tar:
        tar.add("pictures/train", "train")
        tar.add("pictures/test", "test")
    people = ("data={source: folder, path: pictures.tar, size: 8, flip: false}", "labelling={answered_by: inbox}")
    assert run(ssal, *people, "name=people", f"data.classes=[{','.join(NAMES)}, 'caf\\xe9']").code == 3


def test_a_locale_without_utf_8_changes_no_file(ssal: CommandLine, tmp_path: Path) -> None:
    data = pictures()
    for part in ("train", "test"):
        Path(f"pictures/{part}/two").rename(f"pictures/{part}/čtyři")
    words = [sys.executable, "-m", "ssal", "compare", "tiny.yaml", data, "--jobs", "1"]
    left = {}
    for name, locale in (("plain", "C"), ("utf8", "C.UTF-8")):
        environment = {**os.environ, "LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        done = subprocess.run([*words, "--checkpoints", name], env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        left[name] = [p.read_bytes() for p in sorted(Path(name).glob("tiny/main/seed_0/*/chosen.csv"))]
        verdict = Path(name, "tiny/verdict.json").read_text(encoding="utf-8")
        assert json.loads(verdict) and "čtyři" in Path(name, "tiny/report.html").read_text(encoding="utf-8")
    assert left["plain"] == left["utf8"] != []


def test_what_may_not_be_read_stops_the_run_and_is_not_remembered(
    ssal: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pictures()
    real, closed = Path.read_bytes, sorted(Path("pictures/train/two").glob("*.png"))[0].name

    def read(path: Path) -> bytes:
        if path.name == closed and "two" in path.parts:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", read)
        refused(run(ssal, data), f"train/two/{closed} cannot be read (Permission denied)")
    said = run(ssal, data)
    assert said.code == 0 and "60 in the pool" in said.log


def test_a_folder_that_may_not_be_read_is_named(ssal: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    data, real = pictures(), os.scandir

    def scan(path: Any) -> Any:
        if str(path).endswith("train/two"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scan)
    refused(run(ssal, data), "pictures/train/two cannot be read (Permission denied)")


def test_a_home_that_is_not_there(ssal: CommandLine) -> None:
    for source in ("folder", "csv", "embeddings"):
        refused(
            run(ssal, f"data={{source: {source}, path: ~nobodyxyz/x}}", "learner={method: linear_probe}"),
            "~nobodyxyz/x",
        )


def test_a_backbone_without_end(ssal: CommandLine) -> None:
    refused(run(ssal, "backbone.name=wrn_100000000000_1"), "backbone.name", "wrn_")


def test_no_image_can_be_read(ssal: CommandLine) -> None:
    data = pictures()
    for path in Path("pictures").rglob("*.png"):
        path.write_bytes(b"damaged")
    refused(run(ssal, data), "data: none of the 84 images can be read")
    assert half_written(Path("checkpoints")) == []


def test_one_image_under_two_labels(ssal: CommandLine) -> None:
    data = pictures()
    first = min(Path("pictures/train/two").glob("*.png"))
    shutil.copy(first, "pictures/train/one/copy.png")
    message = refused(run(ssal, data), "data: the same image stands under two labels", "data.conflicts=skip")
    assert f"train/one/copy.png (one) and train/two/{first.name} (two)" in message
    assert run(ssal, data, "data.conflicts=skip").code == 0


def test_unknown_file_class_and_part_in_a_manifest_are_told_with_their_lines(ssal: CommandLine) -> None:
    write_pictures(Path("pictures"))
    files = sorted(Path("pictures/train").rglob("*.png"))
    rows = [f"{path},{path.parent.name},train" for path in files]
    rows[2] = f"{files[2]},nuoght,train"
    rows[4] = f"{files[4]},nought,validation"
    rows[6] = "pictures/train/gone.png,one,train"
    Path("manifest.csv").write_text("\n".join(["path,label,split", *rows]) + "\n")
    data = "data={source: csv, path: manifest.csv, size: 8, classes: [nought, one, two, three]}"
    message = refused(run(ssal, data), "manifest.csv: 3 problems")
    assert message.splitlines()[1:] == [
        "  line 4: class 'nuoght' is not in data.classes; did you mean 'nought'?",
        "  line 6: split 'validation' is neither train nor test",
        "  line 8: pictures/train/gone.png does not exist in .",
    ]
    Path("manifest.csv").write_text("file,label\nx.png,one\n")
    refused(run(ssal, data), "manifest.csv: line 1: the column 'path' is missing")


def test_unknown_id_beside_embeddings(ssal: CommandLine) -> None:
    import numpy as np

    np.save("some.npy", np.random.default_rng(0).normal(size=(3, 4)).astype("float32"))
    Path("some.csv").write_text("id,label\n0123456789abcdef,a\nnot-an-id,b\n0123456789abcdef,a\n")
    said = run(ssal, "data={source: embeddings, path: some.npy}", "learner={method: linear_probe}")
    refused(said, "line 3: id 'not-an-id' is not 16 hex digits", "line 4: id 0123456789abcdef stands in line 2 already")


# --- what stands where a run is written


def test_two_processes_on_one_run(ssal: CommandLine) -> None:
    import fcntl

    cell = Path("checkpoints/tiny/main/seed_0")
    cell.mkdir(parents=True)
    with (cell / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused(run(ssal), f"{cell}: another process is running this arm and seed; wait for it, or stop it")
        assert [path.name for path in cell.iterdir()] == [".lock"]
    assert run(ssal).code == 0


def test_checkpoints_where_a_file_stands(ssal: CommandLine) -> None:
    Path("taken").write_text("mine")
    refused(run(ssal, "--checkpoints", "taken"), "taken", "it cannot be written", "--checkpoints FOLDER")
    assert Path("taken").read_text() == "mine"


def test_a_folder_that_must_not_be_written(ssal: CommandLine, tmp_path: Path) -> None:
    assert run(ssal).code == 0
    before = plain(Path("checkpoints"))
    closed = [Path("checkpoints"), *(path for path in Path("checkpoints").rglob("*") if path.is_dir())]
    for folder in tmp_path, tmp_path.parent, tmp_path.parent.parent:
        folder.chmod(0o755)
    for folder in closed:
        folder.chmod(0o555)
    user = os.geteuid()
    if user == 0:  # to whom nothing is forbidden
        os.seteuid(65534)
    try:
        elsewhere = run(ssal, "name=other")
        further = run(ssal, "acquisition.budget=18")
    finally:
        os.seteuid(user)
        for folder in closed:
            folder.chmod(0o755)
    refused(elsewhere, "checkpoints/other", "it cannot be written", "Permission denied")
    refused(further, "checkpoints/tiny/main/seed_0", "Permission denied")
    assert plain(Path("checkpoints")) == before
    assert half_written(Path("checkpoints")) == []


@pytest.mark.parametrize("call", [0, 2, 5, 9])
def test_a_full_disk_leaves_the_old_state_and_the_same_command_goes_on(
    ssal: CommandLine, call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call-th file that is brought to the disk no longer fits."""
    real, calls = os.fsync, iter(range(1000))

    def full(file: int) -> None:
        if next(calls) >= call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(file)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        message = refused(run(ssal), "no space left while writing", "run the same command again")
    assert message.startswith("checkpoints/")
    assert [str(path) for path in Path().rglob("*.unfinished")] == []
    assert run(ssal).code == 0
    assert run(ssal, "--checkpoints", "other").code == 0
    assert plain(Path("checkpoints")) == plain(Path("other"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "none", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a disk that is really full needs the right to mount one")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_disk_that_is_really_full(ssal: CommandLine, small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that grows by a little after every failure, so that torch, NumPy and safetensors all meet its end."""
    monkeypatch.setattr(loop, "STEPS_PER_LEG", 2)
    words = ("trainer.checkpoint_seconds=0", "--checkpoints", str(small_disk))
    said = run(ssal, *words)
    met, size = [], 128
    while said.code:
        met.append(refused(said, "no space left").split(": ")[0].removeprefix(f"{small_disk}/"))
        assert size < 20_000 and half_written(small_disk) == []
        size = size * 5 // 4
        subprocess.run(["mount", "-o", f"remount,size={size}k", small_disk], check=True)
        said = run(ssal, *words)
    assert len(met) >= 4
    kinds = {Path(path).suffix for path in met}
    assert {".npy", ".safetensors"} <= kinds, met
    assert run(ssal, "--checkpoints", "other").code == 0
    assert plain(small_disk) == plain(Path("other"))


def test_a_ledger_on_a_full_disk_holds_whole_rounds_and_takes_more_when_there_is_room(small_disk: Path) -> None:
    ledger, rounds = Ledger(small_disk / "ledger.sqlite"), 0
    with pytest.raises(BadInput, match=r"ledger\.sqlite: database or disk is full; labels that were written before"):
        for rounds in range(100_000):
            ledger.append(Entry(f"{rounds}-{n}", "cat", "people", rounds, "margin") for n in range(50))
    assert rounds > 1 and len(ledger.entries()) == 50 * rounds
    subprocess.run(["mount", "-o", "remount,size=1m", small_disk], check=True)
    ledger.append(Entry(f"{rounds}-{n}", "cat", "people", rounds, "margin") for n in range(50))
    assert len(ledger.entries()) == 50 * (rounds + 1)


# --- what happens in training


def test_a_loss_that_is_not_finite_fails(ssal: CommandLine) -> None:
    said = run(ssal, "learner.learning_rate=1e30")
    assert said.code == 1
    assert "not finite at step" in said.log and "Try a smaller learning_rate" in said.log
    assert "Traceback" not in said.log + said.err
    bought = Ledger(Path("checkpoints/tiny/main/seed_0/ledger.sqlite")).entries()
    assert [entry.round for entry in bought] == [0] * 6, "labels that were bought are kept"


def test_one_arm_that_fails_does_not_stop_the_others(ssal: CommandLine) -> None:
    Path("tiny.yaml").write_text(RECIPE + "arms: {wild: {learner: {learning_rate: 1e30}}, tame: {}}\n")
    said = run(ssal)
    assert said.code == 1
    assert "wild seed 0 failed and the others go on" in said.log and "tame seed 0: done" in said.log
    assert "tame" in said.out
    again = run(ssal)
    assert again.code == 1 and "1 of 2 cells are finished already" in again.log


def test_the_last_good_checkpoint_is_kept_and_gone_on_from(ssal: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "STEPS_PER_LEG", 2)
    words = ("learner.steps=8", "trainer.checkpoint_seconds=0")
    sound = Supervised.loss

    def diverging(self: Supervised, batch: dict[str, Any], *names: int | str) -> torch.Tensor:
        return sound(self, batch, *names) * (torch.nan if self.global_step >= 5 else 1.0)

    with monkeypatch.context() as patched:
        patched.setattr(Supervised, "loss", diverging)
        said = run(ssal, *words)
    assert said.code == 1
    assert "not finite at step 5 of 8; the last good checkpoint is kept: " in said.log
    (checkpoint,) = Path("checkpoints/learners").glob("*/training/last.ckpt")
    kept = torch.load(checkpoint, weights_only=False)
    assert kept["global_step"] == 4
    assert all(bool(tensor.isfinite().all()) for tensor in kept["state_dict"].values())
    assert run(ssal, *words).code == 0
    assert run(ssal, *words, "--checkpoints", "other").code == 0
    assert plain(Path("checkpoints")) == plain(Path("other"))


def test_weights_that_are_lost_in_the_last_step_are_no_result(ssal: CommandLine) -> None:
    """The loss of the only step is finite, the weights after it are not."""
    said = run(ssal, "learner.steps=1", "learner.learning_rate=1e30", "learner.weight_decay=1e30")
    assert said.code == 1 and "the weights are not finite at step 0 of 1" in said.log
    assert not list(Path("checkpoints/learners").glob("*/record.json"))


def test_an_error_of_ones_own_strategy_fails_the_cell(ssal: CommandLine) -> None:
    Path("own.py").write_text(
        "from ssal.registry import scores\n\n@scores\ndef mine(probabilities):\n    raise ZeroDivisionError('oh')\n"
    )
    said = run(ssal, "acquisition.strategy=own.py:mine")
    assert said.code == 1 and "ZeroDivisionError: oh (" in said.log and "own.py:5, in mine)" in said.log
    Path("own.py").write_text(
        "from ssal.registry import scores\n\n@scores\ndef mine(probabilities):\n    return probabilities[:, 0] * 0 / 0"
    )
    refused(run(ssal, "acquisition.strategy=own.py:mine", "name=nan"), "mine: ", "scores are not finite")
