"""Time and memory of choosing, beside scikit-activeml: `python benchmarks/selection.py`, about 4 minutes on 2 cores.

Each case draws new features per repeat and runs ssal and its peer on them in turn, so that a busy moment meets both.
Figures are medians; memory is what the process grew by at its highest while choosing. Where both follow the same rule
the images chosen are compared. Writes benchmarks/results/selection.json and .md.
"""

from __future__ import annotations

import json
import statistics
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import torch
from measuring import machine, measured
from skactiveml.classifier import SklearnClassifier
from skactiveml.pool import Badge, CoreSet, TypiClust
from sklearn.linear_model import LogisticRegression

from ssal import registry
from ssal.acquisition.choose import choose

FEATURES, LABELLED = 512, 100
RESULT = Path(__file__).parent / "results" / "selection.json"

# strategy, pool, classes, query size, repeats, peer repeats. Peers run where three runs fit into minutes;
# BADGE's at 50,000 would write out 50,000 × 51,200 gradients (20 GB), so it does not run.
CASES = [
    ("coreset", 5_000, 10, 100, 5, 5),
    ("coreset", 50_000, 10, 100, 3, 3),
    ("coreset", 50_000, 10, 1000, 3, 0),
    ("badge", 5_000, 10, 100, 3, 3),
    ("badge", 50_000, 100, 1000, 3, 0),
    ("typiclust", 5_000, 10, 100, 5, 5),
    ("typiclust", 50_000, 10, 100, 3, 0),
    ("kmeans", 50_000, 10, 100, 3, 0),
    ("featdist", 50_000, 10, 100, 3, 0),
    ("margin", 50_000, 10, 100, 3, 0),
    ("random", 50_000, 10, 100, 3, 0),
]
PEERS: dict[str, Callable[[], Any]] = {
    "coreset": lambda: CoreSet(random_state=0),
    "badge": lambda: Badge(random_state=0),
    "typiclust": lambda: TypiClust(k=20, random_state=0),
}


def run(strategy: str, pool: int, classes: int, size: int, repeats: int, peer_repeats: int) -> dict[str, Any]:
    ours, theirs, same = [], [], []
    method, ids = registry.find("strategy", strategy), [f"{row:016x}" for row in range(pool)]
    for seed in range(repeats):
        generator = torch.Generator().manual_seed(seed)
        features = torch.randn(LABELLED + pool, FEATURES, generator=generator)
        classifier = SklearnClassifier(LogisticRegression(), classes=range(classes))
        answers = numpy.full(len(features), numpy.nan)
        answers[:LABELLED] = numpy.arange(LABELLED) % classes
        classifier.fit(features[:LABELLED].numpy(), answers[:LABELLED])
        table = {
            "probabilities": torch.from_numpy(classifier.predict_proba(features[LABELLED:].numpy())).float(),
            "features": features[LABELLED:],
            "labelled_features": features[:LABELLED],
        }
        table |= {"ssl_features": table["features"], "labelled_ssl_features": table["labelled_features"]}

        def ask(table: dict[str, torch.Tensor] = table, seed: int = seed) -> list[int]:
            stream = torch.Generator().manual_seed(seed)
            chosen = choose(method, table, ids, size, stream, classes=classes, options={})
            return [int(choice.id, 16) for choice in chosen]

        def ask_peer(features: torch.Tensor = features, answers: Any = answers, model: Any = classifier) -> list[int]:
            given = (model, False) if strategy == "badge" else ()
            rows = PEERS[strategy]().query(features.numpy(), answers, *given, batch_size=size)
            return [int(row) - LABELLED for row in rows]

        ours.append(measured(ask))
        if seed < peer_repeats:
            theirs.append(measured(ask_peer))
            same.append(sorted(ours[-1][2]) == sorted(theirs[-1][2]))

    row: dict[str, Any] = {"strategy": strategy, "pool": pool, "classes": classes, "query_size": size}
    row |= {
        "seconds": middle(ours, 0),
        "mebibytes": round(middle(ours, 1)),
        "all_seconds": [round(t[0], 4) for t in ours],
    }
    if theirs:
        ratios = [their[0] / our[0] for our, their in zip(ours, theirs, strict=False)]
        row |= {
            "peer": f"scikit-activeml {type(PEERS[strategy]()).__name__}",
            "peer_seconds": middle(theirs, 0),
            "peer_mebibytes": round(middle(theirs, 1)),
            "peer_all_seconds": [round(t[0], 4) for t in theirs],
            "times_faster": round(statistics.median(ratios), 1),
            "same_images": f"{sum(same)} of {len(same)}" if strategy == "coreset" else "not the same rule",
        }
    return row


def middle(runs: list[tuple[float, float, list[int]]], column: int) -> float:
    return round(statistics.median(run[column] for run in runs), 4)


def about() -> dict[str, Any]:
    packages = ("torch", "numpy", "scikit-learn", "scikit-activeml")
    return machine(*packages) | {
        "seeds": "0 to repeats - 1, one per repeat",
        "features": f"{FEATURES} per image, standard normal; {LABELLED} labelled images beside the pool",
    }


def main() -> None:
    warnings.filterwarnings("ignore")
    result: dict[str, Any] = {"machine": about(), "cases": []}
    run("coreset", 500, 10, 10, 1, 1)  # load every library once before anything is timed
    lines = [
        "Choosing, " + ", ".join(f"{key} {value}" for key, value in result["machine"].items() if key != "features"),
        f"\nFeatures: {result['machine']['features']}. Medians; the ratio is the median of ratios within a repeat. "
        "0 MiB: what was\nneeded fitted into memory that the process had freed before.\n",
        "| strategy | pool | classes | asked | seconds | MiB | peer | seconds | MiB | times faster | same images |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    columns = ["strategy", "pool", "classes", "query_size", "seconds", "mebibytes"]
    columns += ["peer", "peer_seconds", "peer_mebibytes", "times_faster", "same_images"]
    for case in CASES:
        row = run(*case)
        result["cases"].append(row)
        lines.append("| " + " | ".join(str(row.get(column, "")) for column in columns) + " |")
        print(lines[-1], flush=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    RESULT.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
