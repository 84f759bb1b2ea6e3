"""The command line: help at once, listings, schema, plan, encoders on their own, how much is said, exit codes."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import CommandLine, refused
from tiny_runs import write_pictures

from ssal import registry
from ssal.data.load import load as load_images

RECIPE = """\
name: tiny
seeds: [0, 1]
data: {source: folder, path: pictures, size: 8, flip: false}
backbone: {name: wrn_10_1}
pretext: {method: simclr, epochs: 1, batch_size: 30, encoders: 1}
learner: {method: fixmatch, steps: 4, batch_size: 8, mu: 2}
acquisition: {strategy: margin, query_size: 6, budget: 12}
evaluation: {references: [svm]}
trainer: {accelerator: cpu}
compare: {baseline: passive, treatment: active}
arms:
  passive: {acquisition: {strategy: random}}
  active: {}
"""
COMMANDS = (
    "init", "run", "compare", "check", "label", "list", "schema", "pretrain", "embed", "query", "evaluate-encoder",
)  # fmt: skip


@pytest.fixture
def ssal(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setenv("COLUMNS", "160")
    Path("tiny.yaml").write_text(RECIPE)
    write_pictures(Path("pictures"))
    return command_line


def alone(*words: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run `python -m ssal …` in a process of its own; return it and the processor seconds it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "ssal", *words], capture_output=True, text=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["compare", "--help"]])
def test_help_comes_at_once(words: list[str]) -> None:
    """Processor time, because the wall clock depends on what else the machine does."""
    done, seconds = alone(*words)
    assert done.returncode == 0
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "ssal" in imported
    assert not imported & {"torch", "pytorch_lightning", "sklearn", "numpy", "matplotlib", "faiss", "scipy"}
    assert seconds < 2
    names = COMMANDS if words == ["--help"] else ("--checkpoints", "--overwrite", "--jobs")
    assert all(name in done.stdout for name in names)


def test_no_words_print_the_help(ssal: CommandLine) -> None:
    said = ssal()
    assert "Usage" in said.out + said.err and said.code in (0, 2)


KINDS = {
    "strategies": "strategy",
    "learners": "learner",
    "pretexts": "pretext",
    "signals": "signal",
    "datasets": "dataset",
}


@pytest.mark.parametrize("word", KINDS)
def test_every_method_is_listed_with_what_it_needs_its_options_and_its_source(ssal: CommandLine, word: str) -> None:
    said = ssal("list", word)
    assert said.code == 0
    blocks: dict[str, str] = {}
    for line in said.out.splitlines():
        if line.startswith("  ") and not line.startswith("   "):
            name = line.strip()
            blocks[name] = ""
        elif line.startswith("   "):
            blocks[name] += " " + line.strip()
    methods = registry.methods(KINDS[word])
    assert list(blocks) == list(methods)
    for name, method in methods.items():
        text = blocks[name]
        assert method.summary.split(" ")[0] in text
        assert all(f"{option}=" in text for option in method.options), name
        if word == "strategies":
            assert all(need in text for need in method.needs if need != "child_scores"), name
        assert f"source: {method.source}" in text if method.source else "source: " not in text


def test_a_list_of_everything(ssal: CommandLine) -> None:
    said = ssal("list")
    assert said.code == 0
    assert [line for line in said.out.splitlines() if line and not line.startswith(" ")][:5] == list(KINDS)


def test_the_schema_is_json_that_takes_a_recipe_and_refuses_a_misspelt_one(ssal: CommandLine) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    said = ssal("schema")
    assert said.code == 0 and said.err == ""
    schema = json.loads(said.out)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    recipe: dict[str, Any] = {"name": "x", "learner": {"method": "fixmatch", "threshold": 0.9}}
    assert validator.is_valid(recipe)
    recipe["learner"]["treshold"] = recipe["learner"].pop("threshold")
    assert not validator.is_valid(recipe)


def test_check_prints_the_plan_and_trains_nothing(ssal: CommandLine) -> None:
    said = ssal("check", "tiny.yaml")
    assert said.code == 0, said
    for part in (
        "2 arms × 2 seeds",
        "images: 60 in the pool, 24 for testing",
        "arm passive",
        "arm active",
        "6, 12",
        "random first, then margin, answered by oracle",
        "simclr: 1 encoder",
        "0 to reuse",
        "fixmatch: 2 trainings × 2 seeds",
        "scoring: ",
        "disk: about",
        "memory: about",
    ):
        assert part in said.out, part
    assert [path.name for path in Path("checkpoints").iterdir()] == ["data"]


@pytest.mark.slow
def test_compare_runs_every_cell_and_says_what_it_found(ssal: CommandLine) -> None:
    said = ssal("compare", "tiny.yaml", "--jobs", "1")
    assert said.code == 0, said
    folder = Path("checkpoints/tiny")
    assert len((folder / "results.csv").read_text().splitlines()) == 1 + 2 * 2 * 2
    for part in (
        "passive",
        "active",
        "svm on raw inputs",
        f"rows: {folder}/results.csv",
        f"report: {folder}/report.html",
    ):
        assert part in said.out, part
    (verdict,) = json.loads((folder / "verdict.json").read_text())["comparisons"]
    assert verdict["sentence"] in said.out
    assert (folder / "report.html").stat().st_size > 10_000
    assert len(list(Path("checkpoints/encoders").iterdir())) == 1, "one encoder for all, as encoders: 1 says"
    assert len(list(Path("checkpoints/learners").iterdir())) == 2 + 2 * 2, "arms share the first training of a seed"
    again = ssal("compare", "tiny.yaml", "--jobs", "1")
    assert again.code == 0 and "4 of 4 cells are finished already" in again.log
    assert again.out == said.out
    plan = ssal("check", "tiny.yaml")
    assert "1 to reuse" in plan.out and "4 to reuse" in plan.out


def levels(ssal: CommandLine, *words: str) -> tuple[str, str]:
    said = ssal(*words, "run", "tiny.yaml", "arms=null", "compare=null", "seeds=[0]", "--jobs", "1")
    assert said.code == 0, said
    return said.log, said.out


def test_how_much_is_said(ssal: CommandLine) -> None:
    quiet, table = levels(ssal, "-q")
    assert quiet == "" and "main" in table, "only the result"
    normal, table = levels(ssal)
    assert "finished already" in normal and "main" in table
    Path("checkpoints").rename("before")
    normal, _ = levels(ssal)
    stages = ("images: 60", "round 0", "pretrain simclr: ", "round 1", "train fixmatch on 6 labels", "signals of 60")
    assert all(stage in normal for stage in stages) and "loss" not in normal
    Path("checkpoints").rename("before that")
    verbose, _ = levels(ssal, "-v")
    assert all(stage in verbose for stage in stages) and "step 4 of 4: loss" in verbose


def test_pretrain_trains_each_encoder_once_and_says_where_it_is(ssal: CommandLine) -> None:
    said = ssal("pretrain", "tiny.yaml", "pretext.encoders=null")
    assert said.code == 0, said
    lines = said.out.splitlines()
    assert [line.split(": ")[0] for line in lines] == ["passive seed 0, active seed 0", "passive seed 1, active seed 1"]
    folders = [Path(line.split(": ")[1]) for line in lines]
    assert len(set(folders)) == 2 and all((folder / "encoder.safetensors").is_file() for folder in folders)
    assert not Path("checkpoints/tiny").exists()
    again = ssal("pretrain", "tiny.yaml", "pretext.encoders=null")
    assert again.out == said.out and "pretrain simclr" not in again.log
    refused(ssal("pretrain", "tiny.yaml", "pretext.method=none"), "no arm trains an encoder", "pretext.method=simclr")


def test_embeddings_are_read_back_with_the_same_ids_labels_and_parts(ssal: CommandLine) -> None:
    said = ssal("embed", "tiny.yaml", "--out", "features")
    assert said.code == 0, said
    (path,) = map(Path, said.out.split())
    assert path.parent == Path("features") and path.suffix == ".npy"
    images = load_images(Path("checkpoints"), source="folder", options={"path": "pictures"}, size=8, flip=False)
    back = load_images(Path("checkpoints"), source="embeddings", options={"path": str(path)})
    assert back.pool.ids == images.pool.ids and back.test.ids == images.test.ids
    assert back.pool.paths == images.pool.paths
    assert back.hidden == images.hidden and back.test_labels == images.test_labels and back.classes == images.classes
    features = np.load(path)
    assert features.shape[0] == 84 and np.isfinite(features).all() and len(np.unique(features, axis=0)) == 84
    words = ("name=frozen", f"data={{source: embeddings, path: {path}}}", "pretext={method: none}", "arms=null")
    more = ("compare=null", "learner={method: linear_probe}", "evaluation.references=[]")
    said = ssal("run", "tiny.yaml", *words, *more, "--jobs", "1")
    assert said.code == 0 and "main" in said.out, said


def test_embed_writes_no_file_without_an_encoder(ssal: CommandLine) -> None:
    refused(ssal("embed", "tiny.yaml", "pretext.method=none"), "no arm trains an encoder")
    assert not Path("embeddings").exists()


def test_encoders_are_measured_with_every_label_of_the_pool(ssal: CommandLine) -> None:
    said = ssal("evaluate-encoder", "tiny.yaml", "pretext.encoders=null")
    assert said.code == 0, said
    oracle, *lines = said.out.splitlines()
    assert oracle.startswith("oracle evaluation: ") and "all 60 labels of the pool, 60 of them hidden" in oracle
    form = r"(.*): kNN (\d+\.\d\d) %, linear (\d+\.\d\d) %, trained in (\d+\.\d) s"
    found = [re.fullmatch(form, line) for line in lines]
    assert [one and one[1] for one in found] == ["passive seed 0, active seed 0", "passive seed 1, active seed 1"]
    assert all(one and 40 < float(one[2]) <= 100 and 60 < float(one[3]) <= 100 for one in found), "of four classes"
    again = ssal("evaluate-encoder", "tiny.yaml", "pretext.encoders=null")
    assert again.out == said.out and "pretrain simclr" not in again.log
    assert not Path("checkpoints/tiny").exists()
    alone = ssal("evaluate-encoder", "tiny.yaml", "arms.passive.pretext.method=none")
    assert [line.split(":")[0] for line in alone.out.splitlines()[1:]] == ["active seed 0, active seed 1"]


def test_encoders_are_not_measured_where_nothing_can_be(ssal: CommandLine) -> None:
    command = ("evaluate-encoder", "tiny.yaml")
    refused(ssal(*command, "pretext.method=none"), "no arm trains an encoder")
    for picture in Path("pictures/train/one").iterdir():
        picture.rename(Path("pictures") / picture.name)
    for folder in ("train", "test"):
        shutil.rmtree(Path("pictures") / folder)
    own = ("data.labels=given", "data.classes=[one, two]", "labelling.answered_by=inbox")
    refused(ssal(*command, *own), "arm passive: an encoder cannot be evaluated without test images")
    assert not Path("checkpoints/encoders").exists(), "which is told before any training"


@pytest.mark.slow
def test_the_installed_command_runs_and_says_nothing_but_its_own_words(ssal: CommandLine) -> None:
    """A process of its own: libraries' warnings, which tests do not see, would stand between the lines."""
    command = Path(sys.executable).with_name("ssal")
    if not command.exists():
        pytest.skip("the package is not installed as a command")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = ["run", "tiny.yaml", "arms=null", "compare=null", "seeds=[0]", "--jobs", "1"]
    done = subprocess.run([command, *words], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr, done.stderr
    assert "train fixmatch on 6 labels" in done.stderr and "main" in done.stdout
