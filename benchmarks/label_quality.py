"""Of labels of which 10 % were flipped, how many does the graph of an encoder's features find?

    python benchmarks/label_quality.py --fashion fashion-mnist-12k.tar

Every tenth label of the pool is changed to another class at random; `ssal audit`'s function ranks all labels. Three
encoders and flips per data set; writes benchmarks/results/label_quality.{json,md}.
"""

from __future__ import annotations

import datetime
import json
import platform
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from learners import RESULTS, arm_of

from ssal.cells import images_of
from ssal.conclude import environment
from ssal.learner.label_quality import label_disagreement
from ssal.pretext.pretrain import pretrain
from ssal.streams import generator

SHARE = 0.1
SEEDS = (0, 1, 2)


def flipped(labels: torch.Tensor, classes: int, seed: int) -> torch.Tensor:
    """Return `labels` with a tenth of them moved to another class, drawn at random."""
    draw = generator(seed, "flipped")
    rows = torch.randperm(len(labels), generator=draw)[: round(SHARE * len(labels))]
    moved = labels.clone()
    moved[rows] = (labels[rows] + torch.randint(1, classes, (len(rows),), generator=draw)) % classes
    return moved


def measured(data: str, fashion: str, seed: int, checkpoints: Path) -> dict[str, Any]:
    """Return precision and recall of the flipped labels, of all that differ and of as many as were flipped."""
    arm = arm_of(data, fashion)
    images = images_of(arm, checkpoints)
    names = sorted(images.classes)
    true = torch.tensor([names.index(images.hidden[id]) for id in images.pool.ids])
    given = flipped(true, len(names), seed)
    features = pretrain(images, checkpoints, **arm.encoder(seed)).features(images)["pool"]
    began = time.perf_counter()
    found = label_disagreement(features, torch.arange(len(given)), given)
    seconds = time.perf_counter() - began
    wrong = given != true
    differs = (found.propagated >= 0) & (found.propagated != given)
    first = torch.zeros_like(wrong)
    first[found.order[: int(wrong.sum())]] = True
    return {
        "data": data,
        "seed": seed,
        "labels": len(given),
        "flipped": int(wrong.sum()),
        "precision": float(wrong[differs].float().mean()),
        "recall": float(differs[wrong].float().mean()),
        "precision_of_the_first": float(wrong[first].float().mean()),
        "corrected": float((found.propagated == true)[differs & wrong].float().mean()),
        "seconds": seconds,
    }


def main(
    fashion: Annotated[str, typer.Option(help="fashion-mnist-12k.tar; without it only digits")] = "",
    checkpoints: Path = Path("checkpoints"),
) -> None:
    """Measure and write."""
    sets = ("digits", *(["fashion_mnist"] if fashion else []))
    rows = [measured(data, fashion, seed, checkpoints) for data in sets for seed in SEEDS]
    date = datetime.date.today().isoformat()
    (RESULTS / "label_quality.json").write_text(
        json.dumps({"date": date, "machine": platform.machine(), "environment": environment(), "rows": rows}, indent=1)
        + "\n",
        encoding="utf-8",
    )
    page = [
        "# Wrong labels found",
        "",
        "`python benchmarks/label_quality.py --fashion fashion-mnist-12k.tar`: 10 % of the pool's labels flipped at",
        f"random; mean over {len(SEEDS)} SimCLR encoders and flips; {date}, "
        + ", ".join(f"{key} {value}" for key, value in environment().items()),
        "",
        "| data | labels | flipped | precision | recall | precision among as many as were flipped | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for data in sets:
        own = [row for row in rows if row["data"] == data]
        mean = {key: sum(row[key] for row in own) / len(own) for key in own[0] if key not in ("data", "seed")}
        shares = [f"{100 * mean[key]:.1f} %" for key in ("precision", "recall", "precision_of_the_first")]
        page.append(
            f"| {data} | {mean['labels']:.0f} | {mean['flipped']:.0f} | {' | '.join(shares)} | {mean['seconds']:.1f} |"
        )
    page += ["", "Precision: of the labels that differ from what similar images say, the share that was flipped."]
    (RESULTS / "label_quality.md").write_text("\n".join(page) + "\n", encoding="utf-8")
    print("\n".join(page))


if __name__ == "__main__":
    typer.run(main)
