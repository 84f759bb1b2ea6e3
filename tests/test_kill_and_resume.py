"""kill -9 anywhere, then the same command again: the same labels, weights and metrics as a run that nothing broke."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from killed_runs import Runs

from ssal.labelling.ledger import Entry, Ledger

RECIPE = """
name: tiny
data: {source: digits, size: 8, labels: hidden, flip: false}
backbone: {name: wrn_10_1}
pretext: {method: simclr, epochs: 1, batch_size: 256}
learner: {method: fixmatch, steps: 6, batch_size: 8, mu: 2}
acquisition: {strategy: margin, first_size: 10, query_size: 8, budget: 26}
evaluation: {references: [logistic_regression]}
trainer: {accelerator: cpu, checkpoint_seconds: 0}
"""

Left = dict[str, Any]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    started = Runs(tmp_path_factory.mktemp("logs"))
    yield started
    started.close()


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def unbroken(runs: Runs, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Left:
    checkpoints = tmp_path_factory.mktemp("unbroken")
    assert go(runs, recipe, checkpoints) == 0, runs.said
    left = left_in(checkpoints)
    assert [len(ids) for ids in left["rounds"]] == [10, 8, 8]
    return left


def go(runs: Runs, recipe: Path, checkpoints: Path, **how: Any) -> int:
    return runs.run("run", str(recipe), "--checkpoints", str(checkpoints), "--jobs", "1", **how)


def left_in(checkpoints: Path) -> Left:
    """Return everything a run leaves but times: the ledger in order, metrics, choices, weights, results."""
    folder = checkpoints / "tiny" / "main" / "seed_0"
    entries = Ledger(folder / "ledger.sqlite").entries()
    hidden = ("_seconds",)
    metrics = {
        path.parent.name: {k: v for k, v in json.loads(path.read_text()).items() if not k.endswith(hidden)}
        for path in sorted(folder.glob("round_*/metrics.json"))
    }
    return {
        "ledger": [(e.id, e.label, e.who, e.round, e.strategy, e.score) for e in entries],
        "rounds": [[e.id for e in entries if e.round == number] for number in range(max(e.round for e in entries) + 1)],
        "metrics": metrics,
        "chosen": {path.parent.name: path.read_text() for path in sorted(folder.glob("round_*/chosen.csv"))},
        "weights": {
            str(path.relative_to(checkpoints)): hashlib.sha256(path.read_bytes()).hexdigest()
            for kind in ("encoders", "learners")
            for path in sorted((checkpoints / kind).rglob("*.safetensors"))
        },
        "finished": json.loads((folder / "finished.json").read_text()),
        "columns": (checkpoints / "tiny" / "results.csv").read_text().splitlines()[0],
    }


def loose_ends(checkpoints: Path) -> list[str]:
    """Return what a finished run must not leave: half-written files, tables, checkpoints of trainings that ended."""
    found = [p for p in checkpoints.rglob("*") if p.name in ("last.ckpt", "training")]
    found += checkpoints.rglob("table*")
    found += [p for p in checkpoints.rglob(".*") if not p.name.endswith(".lock")]
    return [str(path.relative_to(checkpoints)) for path in found]


# Which calls: those of round 0, where the encoder is trained and no learner is, of rounds that train, and of the last,
# which buys nothing. Dying after a stage is dying before the next one.
WORDS = "pretrain-0 collect-0 choose-0 ask-0 append-0 train-1 measure-1 collect-1 choose-1 ask-1 append-1"
BOUNDARIES = [*WORDS.split(), "append-2", "train-3", "measure-3"]


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_at_a_boundary(boundary: str, runs: Runs, recipe: Path, unbroken: Left, tmp_path: Path) -> None:
    stage, number = boundary.split("-")
    assert go(runs, recipe, tmp_path, die=(stage, "after", int(number))) == -signal.SIGKILL, runs.said
    bought = len(Ledger(tmp_path / "tiny/main/seed_0/ledger.sqlite").entries())
    done = [one for one in BOUNDARIES[: BOUNDARIES.index(boundary) + 1] if one.startswith("append")]
    assert bought == (0, 10, 18, 26)[len(done)], "an acknowledged round is kept, an unfinished one leaves nothing"
    assert go(runs, recipe, tmp_path) == 0, runs.said
    assert left_in(tmp_path) == unbroken
    assert loose_ends(tmp_path) == []


@pytest.mark.slow
def test_before_a_written_file_counts(runs: Runs, recipe: Path, unbroken: Left, tmp_path: Path) -> None:
    """One run, killed again and again at the moment a file is about to take its name, later in every attempt."""
    deaths = 0
    for number in range(1, 40, 2):
        code = go(runs, recipe, tmp_path, die=("replace", "before", number))
        if code == 0:
            break
        assert code == -signal.SIGKILL, runs.said
        deaths += 1
    assert deaths > 5
    assert left_in(tmp_path) == unbroken


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["encoders", "learners"])
def test_in_the_middle_of_a_training(kind: str, runs: Runs, recipe: Path, unbroken: Left, tmp_path: Path) -> None:
    """Killed between two checkpoints of the encoder's training, or of a learner's: it goes on from the checkpoint."""
    for attempt in range(40):
        assert go(runs, recipe, tmp_path, die=("replace", "before", attempt)) == -signal.SIGKILL, runs.said
        if checkpoints := list((tmp_path / kind).glob("*/training/last.ckpt")):
            break
    (checkpoint,) = checkpoints
    step = torch.load(checkpoint, weights_only=False)["global_step"]
    assert 0 < step < 6
    assert runs.run("-v", "run", str(recipe), "--checkpoints", str(tmp_path), "--jobs", "1") == 0, runs.said
    training = runs.said.partition("pretrain simclr" if kind == "encoders" else "train fixmatch on 10")[2]
    assert re.findall(r"step (\d+) of 6: loss", training)[0] == str(step + 2), "no step is repeated"
    assert left_in(tmp_path) == unbroken
    assert loose_ends(tmp_path) == []


@pytest.mark.slow
def test_at_random_moments(runs: Runs, recipe: Path, unbroken: Left, tmp_path: Path) -> None:
    """Killed from outside wherever it is, again and again, later every time, until it gets to its end."""
    assert go(runs, recipe, tmp_path / "timed") == 0
    whole, deaths = runs.seconds, 0
    for attempt in range(40):
        code = go(runs, recipe, tmp_path, after=whole * (0.1 + 0.06 * attempt))
        deaths += code == -signal.SIGKILL
        if code == 0:
            break
    assert deaths >= 3
    assert left_in(tmp_path) == unbroken
    assert loose_ends(tmp_path) == []


def test_starting_over_keeps_the_labels_of_a_killed_run(runs: Runs, recipe: Path, tmp_path: Path) -> None:
    """They may stand in the write-ahead log alone; and starting over may itself be killed and started over."""
    folder = tmp_path / "tiny/main/seed_0"
    assert go(runs, recipe, tmp_path, die=("append", "after", 0)) == -signal.SIGKILL
    bought = Ledger(folder / "ledger.sqlite").labels()
    leave_as_killed(folder / "ledger.sqlite", Entry("late", "7", "oracle", 1, "margin"))
    other = ("run", str(recipe), "learner.threshold=0.5", "--checkpoints", str(tmp_path), "--jobs", "1")
    assert runs.run(*other) == 2 and "learner.threshold" in runs.said
    assert runs.run(*other, "--overwrite", die=("set_aside", "after", 0)) == -signal.SIGKILL
    assert runs.run(*other) == 0, "what was begun is brought to its end"
    assert Ledger(folder / "ledger.replaced_1.sqlite").labels() == {**bought, "late": "7"}
    assert "late" not in Ledger(folder / "ledger.sqlite").labels()
    assert not list(folder.glob("ledger.replaced_2*"))


def leave_as_killed(ledger: Path, entry: Entry) -> None:
    """Append an entry and leave the files as a process does that is killed before it closes them."""
    with sqlite3.connect(ledger) as open_too:
        open_too.execute("SELECT count(*) FROM ledger").fetchone()
        Ledger(ledger).append([entry])
        files = [path for path in ledger.parent.glob(f"{ledger.name}*") if not path.name.endswith("-shm")]
        kept = {path: path.read_bytes() for path in files}
    open_too.close()
    assert len(kept) == 2
    for path, content in kept.items():
        path.write_bytes(content)


@pytest.mark.parametrize("sent,code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("moment", [("collect", "after", 1), ("replace", "after", 4)], ids=["between", "in_training"])
def test_an_interrupt_stops_politely(
    sent: int, code: int, moment: tuple[str, str, int], runs: Runs, recipe: Path, unbroken: Left, tmp_path: Path
) -> None:
    """Ctrl-C and SIGTERM, which Lightning takes for an end of its own, have their exit codes and one line."""
    assert go(runs, recipe, tmp_path, die=moment, sent=sent) == code, runs.said
    assert "Traceback" not in runs.said and runs.said.rstrip().endswith("the same command goes on from here")
    in_training = bool(list(tmp_path.glob("encoders/*/training/last.ckpt")))
    assert in_training == (moment[0] == "replace")
    assert go(runs, recipe, tmp_path) == 0, runs.said
    assert left_in(tmp_path) == unbroken


def test_extending_goes_on_from_what_is_there(runs: Runs, recipe: Path, unbroken: Left, tmp_path: Path) -> None:
    """A larger budget and other checkpoint times go on; the first labels are those of the short run."""
    base = ("run", str(recipe), "--checkpoints", str(tmp_path), "--jobs", "1")
    assert runs.run(*base, "acquisition.budget=18") == 0
    assert runs.run(*base, "trainer.checkpoint_seconds=5") == 0, runs.said
    assert "pretrain" not in runs.said
    assert left_in(tmp_path) == unbroken
    assert runs.run(*base) == 0
    assert "1 of 1 cells are finished already" in runs.said
    assert left_in(tmp_path) == unbroken
