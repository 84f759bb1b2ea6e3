"""Every learner from the same encoders and the same few labels: test accuracy at 4 and 25 labels per class.

    python benchmarks/learners.py run --fashion fashion-mnist-12k.tar [--data digits] [--jobs 2]
    python benchmarks/learners.py encoders --fashion fashion-mnist-12k.tar
    python benchmarks/learners.py table

`run` adds one row per finished cell to benchmarks/results/learners.csv and goes on after an interruption; `table`
writes learners.md from it; `encoders` says how far each encoder's neighbours share a class, which bounds what can be
propagated. Labels are drawn stratified by class, which takes an oracle. Encoder e, seed e and draw d
belong together: a learner is set beside `supervised` from the same encoder on the same labels. What is solved on
frozen features is cheap and gets 20 draws, and so does `supervised` from the encoders.
"""

from __future__ import annotations

import csv
import datetime
import os
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rows import append_row, made_now, read_rows

from ssal import registry
from ssal.cells import images_of
from ssal.conclude import environment
from ssal.data.images import Images
from ssal.evaluation.metrics import evaluate
from ssal.evaluation.statistics import paired_interval
from ssal.executors import local
from ssal.labelling.ledger import Entry, Ledger
from ssal.learner.train import train
from ssal.neighbours import most_similar_others
from ssal.pretext.pretrain import pretrain
from ssal.recipe import Arm, load
from ssal.streams import generator

HERE = Path(__file__).parent
RESULTS = HERE / "results"
TABLE = RESULTS / "learners.csv"
RECIPES = {"digits": "quickstart", "fashion_mnist": "image_folder"}
"""Data set -> the recipe whose data, backbone, encoder and schedule are used."""
PER_CLASS = (4, 25)
ENCODERS = 3
DRAWS = 20
"""Of labels, for learners on frozen features and for `supervised` beside them; the others have one per encoder."""
FIRST = ("supervised", "fixmatch")
"""Trained from scratch as well."""
NEAREST = (1, 5, 10, 14, 50)
"""Label propagation joins 14 neighbours on digits, 50 on fashion-mnist."""
COLUMNS = (
    "data", "per_class", "start", "learner", "encoder", "draw", "labels", "accuracy", "expected_calibration_error",
    "pretrain_seconds", "train_seconds", "steps", "learner_folder", "commit", "date",
)  # fmt: skip

app = typer.Typer(add_completion=False)


def arm_of(data: str, fashion: str) -> Arm:
    """Return the SSL arm of a data set's recipe."""
    path = [f"data.path={fashion}"] if data == "fashion_mnist" else []
    return load(HERE.parent / "recipes" / f"{RECIPES[data]}.yaml", path).arms["ssl_only"]


def drawn(images: Images, per_class: int, draw: int) -> list[Entry]:
    """Return `per_class` labels of every class, drawn at random and written class by class in turn."""
    by_class: dict[str, list[str]] = defaultdict(list)
    for id, label in sorted(images.hidden.items()):
        by_class[label].append(id)
    picked = []
    for label, ids in sorted(by_class.items()):
        order = np.random.default_rng(generator(draw, "stratified", label).initial_seed()).permutation(len(ids))
        picked.append([Entry(ids[row], label, "oracle", 0, "stratified") for row in order[:per_class]])
    return [entry for turn in zip(*picked, strict=True) for entry in turn]


def options_of(arm: Arm, method: str) -> dict[str, Any]:
    """Return a learner's own defaults with the recipe's schedule: steps, batch, unlabelled share and rate.

    MixMatch's rate belongs to Adam and stays its own.
    """
    own = registry.find("learner", method).options
    schedule = {key: arm.learner[key] for key in ("steps", "batch_size", "mu", "learning_rate") if key in own}
    if method == "mixmatch":
        schedule.pop("learning_rate")
    return {**own, **schedule}


def run_cell(
    data: str, per_class: int, start: str, learner: str, encoder: int, draw: int, fashion: str, checkpoints: str
) -> dict[str, Any]:
    """Train one learner on one draw of labels and return its row."""
    arm, folder = arm_of(data, fashion), Path(checkpoints)
    images = images_of(arm, folder)
    if start == "scratch":
        arm = replace(arm, pretext_method="none", pretext={})
    with tempfile.TemporaryDirectory() as place:
        ledger = Ledger(Path(place) / "ledger.sqlite")
        ledger.append(drawn(images, per_class, draw))
        trained_encoder = pretrain(images, folder, **arm.encoder(encoder))
        options = options_of(arm, learner)
        trained = train(trained_encoder, images, ledger, 1, folder, draw, arm.trainer, method=learner, options=options)
        assert trained
        numbers = ledger.class_numbers(images.classes)
        truth = [numbers[label] for label in images.test_labels]
        measured = evaluate(trained.test_probabilities(), torch.tensor(truth))
        return {
            "data": data,
            "per_class": per_class,
            "start": start,
            "learner": learner,
            "encoder": encoder,
            "draw": draw,
            "labels": len(ledger.labels()),
            "accuracy": measured["accuracy"],
            "expected_calibration_error": measured["expected_calibration_error"],
            "pretrain_seconds": trained_encoder.record["seconds"],
            "train_seconds": trained.record["train_seconds"],
            "steps": trained.learner.steps,
            "learner_folder": trained.folder.name,
        }


def cells_of(data: str) -> list[dict[str, Any]]:
    """Return every cell of a data set, supervised first, so that an interrupted table can be read."""
    methods = registry.methods("learner")
    frozen = [name for name, method in methods.items() if method.traits.get("frozen")]
    trained = [*FIRST, *(name for name in methods if name not in (*FIRST, *frozen))]
    cells = []
    for per_class in PER_CLASS:
        for number in range(ENCODERS):
            same = {"data": data, "per_class": per_class, "encoder": number, "draw": number}
            cells += [{**same, "start": "simclr", "learner": name} for name in trained]
            cells += [{**same, "start": "scratch", "learner": name} for name in FIRST]
        for draw in range(DRAWS):
            same = {"data": data, "per_class": per_class, "encoder": draw % ENCODERS, "draw": draw}
            again = [FIRST[0]] if draw >= ENCODERS else []
            cells += [{**same, "start": "simclr", "learner": name} for name in (*again, *frozen)]
    return cells


def name_of(cell: dict[str, Any]) -> tuple[str, ...]:
    """Return what tells a cell from the others."""
    return tuple(str(cell[key]) for key in ("data", "per_class", "start", "learner", "encoder", "draw"))


@app.command()
def run(
    fashion: Annotated[str, typer.Option(help="fashion-mnist-12k.tar; without it only digits")] = "",
    jobs: int = local.cores(),
    checkpoints: Path = Path("checkpoints"),
    learner: Annotated[str, typer.Option(help="only this learner")] = "",
    most: Annotated[int, typer.Option(help="stop after so many cells")] = 10_000,
) -> None:
    """Run the cells that have no row yet; a learner that has changed is done again once its rows are deleted."""
    done = {name_of(row) for row in read_rows(TABLE)}
    cells = [cell for data in ("digits", *(["fashion_mnist"] if fashion else [])) for cell in cells_of(data)]
    todo = [cell for cell in cells if name_of(cell) not in done and learner in ("", cell["learner"])][:most]
    told = [{**cell, "fashion": str(Path(fashion).absolute()), "checkpoints": str(checkpoints)} for cell in todo]
    made = made_now()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])  # for the workers
    names = [" ".join(name_of(cell)) for cell in todo]
    began = datetime.datetime.now()
    for count, (index, state, value) in enumerate(local.run("learners:run_cell", told, names, jobs), start=1):
        passed = datetime.datetime.now() - began
        if state != "done":
            print(f"{names[index]}: {state}: {value}", flush=True)
            continue
        row = {**value, **made}
        append_row(TABLE, COLUMNS, row)
        print(f"{count} of {len(todo)}, {passed}: {names[index]}: {value['accuracy']:.4f}", flush=True)


@app.command()
def encoders(
    fashion: Annotated[str, typer.Option(help="fashion-mnist-12k.tar; without it only digits")] = "",
    checkpoints: Path = Path("checkpoints"),
) -> None:
    """Write learners_encoders.csv: of a pool image's nearest others by cosine, the share that is of its class.

    Uses every label of the pool, which no learner sees.
    """
    lines = []
    for data in ("digits", *(["fashion_mnist"] if fashion else [])):
        arm = arm_of(data, fashion)
        images = images_of(arm, checkpoints)
        names = sorted(images.classes)
        truth = torch.tensor([names.index(images.hidden[id]) for id in images.pool.ids])
        for encoder in range(ENCODERS):
            features = pretrain(images, checkpoints, **arm.encoder(encoder)).features(images)["pool"].float()
            nearest = most_similar_others(features, max(NEAREST))[1]
            same = (truth[nearest] == truth[:, None]).float()
            lines += [
                {"data": data, "encoder": encoder, "neighbours": count, "of_its_class": float(same[:, :count].mean())}
                for count in NEAREST
            ]
    with (RESULTS / "learners_encoders.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def neighbourhoods() -> list[str]:
    """Return a line per data set: the share of the nearest others that are of an image's class, over encoders."""
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in read_rows(RESULTS / "learners_encoders.csv"):
        found[row["data"]][int(row["neighbours"])].append(float(row["of_its_class"]))
    return [
        f"- {data}: "
        + ", ".join(f"of the {count} nearest {mean_and_sd(values)} %" for count, values in by_count.items())
        for data, by_count in found.items()
    ]


def mean_and_sd(values: list[float]) -> str:
    """Return percent, mean ± sd."""
    spread = f" ± {100 * np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{100 * np.mean(values):.1f}{spread}"


def by_encoder(found: dict[tuple[int, int], float]) -> list[float]:
    """Return one mean per encoder: draws on one encoder are not independent of each other."""
    groups: dict[int, list[float]] = defaultdict(list)
    for (encoder, _), value in sorted(found.items()):
        groups[encoder].append(value)
    return [float(np.mean(values)) for values in groups.values()]


@app.command()
def table() -> None:
    """Write learners.md: accuracy, and the paired difference to supervised from the same encoder on the same labels."""
    scores: dict[tuple[str, int], dict[tuple[str, str], dict[tuple[int, int], float]]] = {}
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in read_rows(TABLE):
        line = (row["learner"], row["start"])
        column = scores.setdefault((row["data"], int(row["per_class"])), {})
        column.setdefault(line, {})[int(row["encoder"]), int(row["draw"])] = float(row["accuracy"])
        if row["data"] == "fashion_mnist":
            seconds[line].append(float(row["train_seconds"]))
    lines = sorted({line for column in scores.values() for line in column}, key=lambda line: (line[1], line[0]))
    lines = sorted(lines, key=lambda line: line != ("supervised", "simclr"))
    page = [
        "# Learners",
        "",
        "`python benchmarks/learners.py run --fashion fashion-mnist-12k.tar`, then `… table`.",
        "Test accuracy in percent, mean ± sd over",
        f"{ENCODERS} SimCLR encoders with one stratified draw of labels (an oracle's) each,",
        f"{DRAWS} draws for learners on frozen features and for supervised from SimCLR.",
        "In brackets: the mean paired difference to supervised from the same encoder",
        "on the same labels and its 95 % t interval over the encoders' means.",
        "Steps, batch and rate are the recipes' for 2 cores,",
        "everything else the learner's defaults: the published ones belong to schedules a thousand times as long.",
        "",
        "| learner | start | " + " | ".join(f"{data}, {n} per class" for data, n in scores) + " | seconds |",
        "|---|---|" + "---|" * len(scores) + "---|",
    ]
    for line in lines:
        cells = []
        for column in scores.values():
            found, beside = column.get(line, {}), column.get(("supervised", "simclr"), {})
            if not found:
                cells.append("—")
                continue
            text = mean_and_sd(list(found.values()))
            shared = {key: found[key] - beside[key] for key in found if key in beside}
            if shared and line != ("supervised", "simclr"):
                interval = paired_interval(by_encoder(shared))
                reach = "" if interval.low is None else f" [{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]"
                text += f" ({100 * interval.mean:+.1f}{reach})"
            cells.append(text)
        took = f"{np.median(seconds[line]):.0f}" if seconds[line] else "—"
        page.append(f"| {line[0]} | {line[1]} | " + " | ".join(cells) + f" | {took} |")
    machine = ", ".join(f"{key} {value}" for key, value in environment().items())
    hours = sum(float(row["train_seconds"]) for row in read_rows(TABLE)) / 3600
    page += [
        "",
        f"{len(read_rows(TABLE))} trainings, {hours:.1f} hours of one core; rows with commit and date in learners.csv.",
        f"Seconds: median on fashion-mnist. Made on one machine: {machine}.",
        "",
        "## Neighbours of the encoders",
        "",
        "Pool images of the same class among an image's nearest others by cosine of SimCLR's features, mean ± sd over",
        "encoders: what a wrong neighbour says cannot be outvoted where most of them are wrong.",
        "",
        *neighbourhoods(),
    ]
    (RESULTS / "learners.md").write_text("\n".join(page) + "\n", encoding="utf-8")
    print("\n".join(page))


if __name__ == "__main__":
    app()
