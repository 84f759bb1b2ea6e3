"""A made-up comparison to draw a report from: drawn numbers, and scikit-learn's digits as the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from synthetic_results import ARMS, synthetic_results

from ssal.evaluation.metrics import Bins, by_confidence
from ssal.evaluation.outlook import accuracy, forecast
from ssal.evaluation.overlaps import Bought, overlaps
from ssal.evaluation.picks import side_by_side
from ssal.evaluation.results import Row
from ssal.evaluation.verdict import verdict
from ssal.outlook import Learned, Outlook
from ssal.report.calibration import Sureness
from ssal.report.comparison import Comparison
from ssal.report.report import data_uri, write_report


def synthetic_query(names: tuple[str, ...] = ("margin", "entropy", "random"), size: int = 8) -> dict[str, Any]:
    """Return what `ssal query` would say of strategies that pick at random, with pictures of noise."""
    draw = np.random.default_rng(0)
    ids = [f"{row:016x}" for row in range(60)]
    predicted = {id: str(draw.integers(10)) for id in ids}
    labels = {id: str(draw.integers(10)) for id in ids}
    chosen = {name: list(draw.choice(ids, size, replace=False)) for name in names}
    found = side_by_side(chosen, predicted, labels, [str(number) for number in range(10)])
    for one in found["strategies"].values():
        one |= {"source": "Somebody, 2020", "fitted_afterwards": True, "seconds": 1.5}
    noise = torch.from_numpy(draw.integers(0, 256, (60, 3, 28, 28), dtype=np.uint8))
    pictures = {
        name: [
            {
                "id": id,
                "path": f"{id}.png",
                "label": predicted[id],
                "truth": labels[id] if labels[id] != predicted[id] else "",
                "score": "0.5",
                "data_uri": data_uri(noise[ids.index(id)]),
            }
            for id in picked
        ]
        for name, picked in chosen.items()
    }
    facts = {"arm": "ssl_and_al", "seed": 0, "round": 3, "learner": "fixmatch", "labels": 40, "pool": 60, "size": size}
    refused = {f"{name} elsewhere": f"{name} has no dropout" for name in names[:1]}
    shown = {name: [(3, items, len(items))] for name, items in pictures.items()}
    return {**facts, **found, "oracle": "oracle", "not_runnable": refused, "pictures": shown}


def synthetic_conditions(
    gains: Mapping[str, float], seeds: int = 5, names: Sequence[str] = ()
) -> tuple[list[Row], list[Comparison]]:
    """Return the rows of all arms under every condition, by what the treatment gains in it, and its comparisons.

    Where `names` are given, these are the arms, each one's end a little above the last, with luck of its own.
    """
    rows, comparisons = [], []
    for at, (condition, gain) in enumerate(gains.items()):
        luck = np.random.default_rng(at).normal(0, 0.04, len(names))
        ends = {name: (0.3, 0.6 + 0.02 * place + luck[place]) for place, name in enumerate(names)}
        made = synthetic_results(seeds, gain=gain, arms=ends or ARMS)
        arms = {arm: f"{arm}-{condition}" for arm in ends or ARMS}
        rows += [{**row, "arm": arms[row["arm"]]} for row in made]
        comparisons.append(Comparison(condition, arms, made, verdict(made, "ssl_only", "ssl_and_al")))
    return rows, comparisons


ASKABLE = 200
"""Images that the arms of `synthetic_bought` draw from."""


def synthetic_bought(arms: Sequence[str], seeds: int = 2, rounds: int = 3, size: int = 10) -> Bought:
    """Return what arms would have bought that draw at random after a start that they share."""
    ids = np.array([f"{number:016x}" for number in range(ASKABLE)])
    bought: dict[str, dict[int, list[frozenset[str]]]] = {arm: {} for arm in arms}
    for seed in range(seeds):
        start = np.random.default_rng(seed).permutation(ids)
        for number, arm in enumerate(arms):
            later = np.random.default_rng([seed, number]).permutation(start[size:])
            parts = [start[:size], *(later[turn * size : (turn + 1) * size] for turn in range(rounds - 1))]
            bought[arm][seed] = [frozenset(part) for part in parts]
    return bought


def synthetic_sureness(rows: Sequence[Row]) -> Sureness:
    """Return 500 test images of each run by a confidence that knows nothing."""
    found: dict[str, dict[int, tuple[int, Bins]]] = {}
    last = max((row["labels"] for row in rows), default=0)
    for row in rows:
        if row["labels"] == last:
            draw = torch.Generator().manual_seed(row["seed"])
            probabilities = torch.randn(500, 10, generator=draw).mul(2).softmax(1)
            labels = torch.randint(10, (500,), generator=draw)
            found.setdefault(row["arm"], {})[row["seed"]] = (last, by_confidence(probabilities, labels))
    return found


def synthetic_audits(
    arms: Sequence[str], seeds: int = 1, learners: int = 5, images: int = 60, minutes: float | None = 6.5
) -> dict[tuple[str, int], Outlook]:
    """Return what audits would say of runs that get better; minutes are those of each batch of twenty."""
    found = {}
    for place, arm in enumerate(arms):
        for seed in range(seeds):
            draw = np.random.default_rng([place, seed])
            labels = [20 * (number + 1) for number in range(learners)]
            correct = draw.random(images) < np.linspace(0.5, 0.8, learners)[:, None] + 0.03 * place
            curve = [
                Learned(number + 1, count, known, minutes and minutes * (number + 1))
                for number, (count, row) in enumerate(zip(labels, correct, strict=True))
                if (known := accuracy(row))
            ]
            after = forecast(labels, correct, labels[-1] + 20) if labels else None
            found[arm, seed] = Outlook(curve, after, minutes, 20, 3 if minutes else 0)
    return found


def synthetic_report(folder: Path, seeds: int = 3, gain: float = 0.0, shown: int = 12, **changes: Any) -> Path:
    """Write a report of made-up results to `folder`; `changes` replace arguments of write_report."""
    results = changes.get("results", synthetic_results(seeds, gain=gain))
    arms = list(dict.fromkeys(row["arm"] for row in results))
    digits = load_digits()
    pixels = torch.from_numpy(np.round(digits.images / 16 * 255).astype(np.uint8))[:, None].repeat(1, 3, 1, 1)
    gallery: dict[str, Any] = {}
    mix: dict[str, Any] = {}
    for number, arm in enumerate(arms):
        draw = np.random.default_rng(number)
        for turn in range(5):
            rows = draw.choice(len(pixels), 60, replace=False)
            labels = [str(digits.target[row]) for row in rows]
            gallery.setdefault(arm, []).append(
                (
                    turn,
                    [
                        {
                            "id": f"{row:016x}",
                            "data_uri": data_uri(pixels[row]),
                            "label": label,
                            "score": float(draw.random()),
                        }
                        for row, label in zip(rows[:shown], labels, strict=False)
                    ],
                    len(rows),
                )
            )
            counts = {name: labels.count(name) for name in map(str, range(10))}
            mix.setdefault(arm, []).append({"round": turn, "counts": counts})
    arguments: dict[str, Any] = {
        "results": results,
        "gallery": gallery,
        "class_mix": mix,
        "recipe_resolved": {"name": "synthetic", "seeds": list(range(seeds)), "learner": {"method": "fixmatch"}},
        "verdict": verdict(results, "ssl_only", "ssl_and_al"),
        "notes": [
            "Synthetic numbers, made to test the page: they were measured on nothing.",
            "digits: 1437 pool images, 360 test images, split by content, no duplicates across",
        ],
        "environment": {
            "ssal": "0.1.0",
            "python": "3.11",
            "device": "CPU",
            "command": "ssal compare recipes/synthetic.yaml",
        },
    }
    arguments |= changes
    rows, said = arguments["results"], arguments.pop("verdict")
    names = list(dict.fromkeys(row["arm"] for row in rows))
    shared = overlaps(synthetic_bought(names), dict.fromkeys(names, ASKABLE))
    whole = [Comparison("", dict(zip(names, names, strict=True)), rows, said, shared, synthetic_sureness(rows))]
    return write_report(folder, **({"comparisons": whole} | arguments))
