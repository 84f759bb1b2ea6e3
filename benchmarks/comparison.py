"""How long `ssal compare` takes where training costs little: 20 seeds × 6 strategies × 10 rounds on frozen features.

    python benchmarks/comparison.py [--jobs 2]

12,000 vectors of 512 numbers in ten overlapping clusters stand in for an encoder's features (2,000 of them for
testing); what they are does not matter for the time. The command is timed as a whole, from its start to its last line,
with all its processes' CPU seconds; what the stages took is in timings.csv, and the rest is what is around them.
Writes benchmarks/results/comparison.{json,md}.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import typer
from measuring import machine, processor_in_words

from ssal.evaluation.results import SECONDS, read_results

RESULTS = Path(__file__).parent / "results"
IMAGES, TEST, WIDTH, CLASSES = 14_000, 2_000, 512, 10
STRATEGIES = ("random", "margin", "entropy", "badge", "coreset", "typiclust")
SEEDS, ROUNDS, SIZE = 20, 10, 20
GOAL = 600.0
"""Seconds on 2 cores."""


def write_features(path: Path) -> None:
    """Write normal vectors around one centre per class, and the CSV that says which are for testing."""
    draw = np.random.default_rng(0)
    labels = draw.integers(CLASSES, size=IMAGES)
    centres = draw.normal(size=(CLASSES, WIDTH))
    np.save(path, (0.25 * centres[labels] + draw.normal(size=(IMAGES, WIDTH))).astype(np.float32))
    parts = ["test" if row < TEST else "train" for row in range(IMAGES)]
    lines = [f"row_{row},{label},{part}" for row, (label, part) in enumerate(zip(labels, parts, strict=True))]
    path.with_suffix(".csv").write_text("\n".join(["path,label,split", *lines]), encoding="utf-8")


def write_recipe(folder: Path) -> Path:
    """Write the recipe of the comparison."""
    recipe = {
        "name": "comparison",
        "seeds": list(range(SEEDS)),
        "data": {"source": "embeddings", "path": str(folder / "features.npy"), "flip": False},
        "learner": {"method": "linear_probe"},
        "acquisition": {"strategy": "random", "first_size": SIZE, "query_size": SIZE, "budget": ROUNDS * SIZE},
        "arms": {name: {"acquisition": {"strategy": name}} for name in STRATEGIES},
        "compare": {"baseline": "random", "treatment": "margin"},
    }
    path = folder / "comparison.yaml"
    path.write_text(json.dumps(recipe), encoding="utf-8")  # JSON is YAML
    return path


def main(jobs: int = 2) -> None:
    """Time and write."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_features(folder / "features.npy")
        command = [sys.executable, "-m", "ssal", "compare", str(write_recipe(folder)), "--jobs", str(jobs)]
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([*command, "--checkpoints", name], capture_output=True, check=True)
        seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        rows = read_results(folder / "comparison" / "results.csv")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    stages = {name: sum(float(row[name]) for row in rows) for name in SECONDS[1:]}
    found: dict[str, Any] = {
        "seconds": seconds,
        "cpu_seconds": cpu,
        "jobs": jobs,
        "rounds": len(rows),
        "stages": stages,
        "around": jobs * seconds - sum(stages.values()),
        "machine": machine(),
    }
    (RESULTS / "comparison.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    words = {"train_seconds": "training and measuring", "score_seconds": "signals", "select_seconds": "selection"}
    shares = [(words[name], taken) for name, taken in stages.items()]
    shares.append(("around them: starting, reading, writing what resumes, waiting, table and report", found["around"]))
    page = [
        "# comparison",
        "",
        f"{SEEDS} seeds × {len(STRATEGIES)} strategies × {ROUNDS} rounds, linear_probe on {IMAGES - TEST:,} × {WIDTH} "
        f"features: **{seconds / 60:.1f} minutes** with {jobs} jobs (the goal was under {GOAL / 60:.0f}), "
        f"{cpu:.0f} CPU seconds, {1000 * seconds * jobs / len(rows):.0f} ms of one core per round.",
        "",
        f"`python benchmarks/comparison.py --jobs {jobs}`; {processor_in_words()}; "
        + ", ".join(f"{key} {value}" for key, value in found["machine"].items()),
        "",
        "| where the time goes | seconds of one core | share |",
        "|---|---|---|",
        *(f"| {what} | {taken:.0f} | {100 * taken / (jobs * seconds):.0f} % |" for what, taken in shares),
        "",
    ]
    (RESULTS / "comparison.md").write_text("\n".join(page), encoding="utf-8")
    print("\n".join(page))


if __name__ == "__main__":
    typer.run(main)
