"""Made-up results of a comparison: drawn numbers in the form of results.csv, measured on nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

ARMS = {"supervised": (0.10, 0.86), "ssl_only": (0.42, 0.93), "ssl_and_al": (0.42, 0.955)}
"""Arm -> made-up accuracy at the first and the last budget."""


def synthetic_results(
    seeds: int = 3,
    budgets: tuple[int, ...] = (20, 40, 60, 80, 100),
    gain: float = 0.0,
    noise: float = 0.012,
    arms: dict[str, tuple[float, float]] | None = None,
) -> list[dict[str, Any]]:
    """Return one row per arm, seed and budget, with `gain` added to the arm `ssl_and_al` after its first budget."""
    rows = []
    for arm, (start, end) in (arms or ARMS).items():
        for seed in range(seeds):
            draw = np.random.default_rng([seed, 7])  # the seed's own luck is shared by the arms
            own = np.random.default_rng([seed, *map(ord, arm)])
            luck = draw.normal(0, noise, len(budgets))
            svm = draw.normal(0, noise, len(budgets))
            for number, labels in enumerate(budgets):
                share = (number / (len(budgets) - 1)) ** 0.6 if len(budgets) > 1 else 1.0
                bonus = gain if arm == "ssl_and_al" and number else 0.0
                accuracy = start + (end - start) * share + luck[number] + bonus
                accuracy += own.normal(0, noise / 4) * (number > 0)
                active = 0.01 * number * (arm == "ssl_and_al")
                rows.append(
                    {
                        "arm": arm,
                        "seed": seed,
                        "round": number,
                        "labels": labels,
                        "accuracy": round(float(min(accuracy, 1.0)), 4),
                        "balanced_accuracy": round(float(min(accuracy - 0.004, 1.0)), 4),
                        "macro_f1": round(float(min(accuracy - 0.006, 1.0)), 4),
                        "expected_calibration_error": 0.05,
                        "negative_log_likelihood": 0.4,
                        "learner_folder": f"{arm}-{seed}-{number}",
                        "svm_accuracy": round(float(0.35 + 0.5 * share + svm[number] + active), 4),
                        "pretrain_seconds": 0.0 if arm == "supervised" else 14.5,
                        "train_seconds": 3.0 if arm == "supervised" else 9.5,
                        "score_seconds": 0.4,
                        "select_seconds": 0.02,
                        "strategy": "margin" if arm == "ssl_and_al" else "random",
                        "learner": "supervised" if arm == "supervised" else "fixmatch",
                        "pretext": "none" if arm == "supervised" else "simclr",
                        "companions": "",
                        "oracle": "",
                    }
                )
    return rows


EXTENDED = (8, 12, 18, 28)
"""Label counts of a run that stopped at 12 labels and was extended; one that was not has no 12."""


def without(
    rows: list[dict[str, Any]], arm: str | None = None, seeds: tuple[int, ...] = (), labels: tuple[int, ...] = ()
) -> list[dict[str, Any]]:
    """Return the rows but those of `arm`, of `seeds` and at `labels`; what is not named stands for all of them."""
    return [
        row
        for row in rows
        if not (
            arm in (None, row["arm"])
            and (not seeds or row["seed"] in seeds)
            and (not labels or row["labels"] in labels)
        )
    ]


def untested(rows: list[dict[str, Any]], arm: str | None = None) -> list[dict[str, Any]]:
    """Return the rows, those of `arm` (None: all) as they are where there are no test images."""
    measured = ("accuracy", "balanced_accuracy", "macro_f1", "expected_calibration_error", "negative_log_likelihood")
    return [
        {name: value for name, value in row.items() if name not in (*measured, "svm_accuracy")}
        if arm in (None, row["arm"])
        else row
        for row in rows
    ]
