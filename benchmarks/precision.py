"""What bfloat16 costs and brings beside float32: `python benchmarks/precision.py --fashion fashion-mnist-12k.tar`.

Both precisions take turns on the recipes' SimCLR (accuracy of its nearest neighbours, with all labels), then on
`supervised` and `fixmatch` at 25 labels per class from the same encoder; three seeds each. Writes
benchmarks/results/precision.json and .md.
"""

from __future__ import annotations

import datetime
import json
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from learners import RESULTS, arm_of, drawn

from ssal.cells import images_of
from ssal.conclude import environment
from ssal.data.images import Images
from ssal.evaluate_encoder import measure
from ssal.evaluation.metrics import evaluate
from ssal.evaluation.statistics import paired_interval
from ssal.labelling.ledger import Ledger
from ssal.learner.train import train
from ssal.pretext.encoder import Encoder
from ssal.pretext.pretrain import pretrain
from ssal.recipe import Arm

SEEDS = (0, 1, 2)
PRECISIONS = ("32-true", "bf16-mixed")
PER_CLASS = 25
LEARNERS = ("supervised", "fixmatch")


def pretrained(arm: Arm, images: Images, seed: int, place: Path) -> tuple[Encoder, float, float]:
    """Return an encoder trained under the arm's precision, its seconds, and the accuracy of its neighbours."""
    encoder = pretrain(images, place, **arm.encoder(seed))
    found = measure("simclr", encoder.features(images), images, images.hidden, encoder.record["seconds"])
    return encoder, encoder.record["seconds"], found.neighbours


def learned(arm: Arm, images: Images, encoder: Encoder, method: str, seed: int, place: Path) -> tuple[float, float]:
    """Return seconds and test accuracy of a learner trained under the arm's precision."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "ledger.sqlite")
        ledger.append(drawn(images, PER_CLASS, seed))
        options = {**arm.learner} if method == arm.learner_method else {}
        schedule = {key: arm.learner[key] for key in ("steps", "batch_size", "learning_rate")}
        options = {**schedule, **options}
        trained = train(encoder, images, ledger, 1, place, seed, arm.trainer, method=method, options=options)
        assert trained
        numbers = ledger.class_numbers(images.classes)
        truth = torch.tensor([numbers[label] for label in images.test_labels])
        return trained.record["train_seconds"], evaluate(trained.test_probabilities(), truth)["accuracy"]


def rows_of(data: str, fashion: str, place: Path) -> list[dict[str, Any]]:
    """Return a row per seed, stage and precision; the precision that goes first changes from seed to seed."""
    rows = []
    images = images_of(arm_of(data, fashion), place)
    for seed in SEEDS:
        order = PRECISIONS if seed % 2 else PRECISIONS[::-1]
        base = arm_of(data, fashion)
        arms = {name: replace(base, trainer={**base.trainer, "precision": name}) for name in order}
        encoders = {}
        for name, arm in arms.items():
            encoders[name], seconds, accuracy = pretrained(arm, images, seed, place)
            rows.append({"data": data, "stage": "simclr", "seed": seed, "precision": name})
            rows[-1] |= {"seconds": seconds, "accuracy": accuracy}
        for method in LEARNERS:
            for name, arm in arms.items():
                seconds, accuracy = learned(arm, images, encoders["32-true"], method, seed, place)
                rows.append({"data": data, "stage": method, "seed": seed, "precision": name})
                rows[-1] |= {"seconds": seconds, "accuracy": accuracy}
                print(rows[-1], flush=True)
    return rows


def line_of(rows: list[dict[str, Any]], data: str, stage: str) -> str:
    """Return one line of the page: medians of seconds and of their ratios, mean accuracies, the paired difference."""
    of = {
        name: {row["seed"]: row for row in rows if (row["data"], row["stage"], row["precision"]) == (data, stage, name)}
        for name in PRECISIONS
    }
    full, half = (of[name] for name in PRECISIONS)
    seconds = [statistics.median(row["seconds"] for row in found.values()) for found in (full, half)]
    ratio = statistics.median(full[seed]["seconds"] / half[seed]["seconds"] for seed in full)
    accuracies = [100 * statistics.mean(row["accuracy"] for row in found.values()) for found in (full, half)]
    interval = paired_interval([half[seed]["accuracy"] - full[seed]["accuracy"] for seed in full])
    assert interval.low is not None and interval.high is not None
    return (
        f"| {data} | {stage} | {seconds[0]:.1f} | {seconds[1]:.1f} | {ratio:.2f} | {accuracies[0]:.1f} |"
        f" {accuracies[1]:.1f} | {100 * interval.mean:+.1f} [{100 * interval.low:+.1f}, {100 * interval.high:+.1f}] |"
    )


def main(fashion: Annotated[str, typer.Option(help="fashion-mnist-12k.tar; without it only digits")] = "") -> None:
    """Measure and write."""
    sets = ("digits", *(["fashion_mnist"] if fashion else []))
    with tempfile.TemporaryDirectory() as place:
        rows = [row for data in sets for row in rows_of(data, fashion, Path(place))]
    about = {"date": datetime.date.today().isoformat(), "environment": environment()}
    RESULTS.joinpath("precision.json").write_text(
        json.dumps({**about, "rows": rows}, indent=1) + "\n", encoding="utf-8"
    )
    page = [
        "# bfloat16 beside float32",
        "",
        f"`python benchmarks/precision.py --fashion fashion-mnist-12k.tar`, {about['date']}, "
        + ", ".join(f"{key} {value}" for key, value in environment().items()),
        "",
        f"channels_last in both. Seconds and their ratio are medians of {len(SEEDS)} seeds, interleaved; accuracy on",
        "the test images is a mean, simclr's that of its nearest neighbours with all labels, the learners' at",
        f"{PER_CLASS} labels per class from the float32 encoder. Difference: bfloat16 - float32, paired by seed,",
        "95 % t interval.",
        "",
        "| data | stage | seconds, float32 | bfloat16 | times faster | accuracy, float32 | bfloat16 | difference |",
        "|---|---|---|---|---|---|---|---|",
        *(line_of(rows, data, stage) for data in sets for stage in ("simclr", *LEARNERS)),
    ]
    (RESULTS / "precision.md").write_text("\n".join(page) + "\n", encoding="utf-8")
    print("\n".join(page))


if __name__ == "__main__":
    typer.run(main)
