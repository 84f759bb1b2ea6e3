"""Seconds behind each score, added up by hand."""

from __future__ import annotations

from typing import Any

import pytest

from ssal.evaluation.costs import seconds_until


def row(round: int, labels: int, *seconds: float, arm: str = "a", seed: int = 0) -> dict[str, Any]:
    names = ("pretrain_seconds", "train_seconds", "score_seconds", "select_seconds")
    return {"arm": arm, "seed": seed, "round": round, "labels": labels, **dict(zip(names, seconds, strict=False))}


def test_an_encoder_counts_once_and_choosing_counts_for_the_next_score() -> None:
    rows = [
        row(3, 30, 100.0, 7.0, 0.0, 0.0),
        row(1, 10, 100.0, 5.0, 2.0, 0.5),
        row(2, 20, 100.0, 6.0, 3.0, 0.25),
        row(1, 10, 80.0, 4.0, 1.0, 0.0, seed=1),
        row(1, 10, 1.0, 1.0, 1.0, 1.0, arm="b"),
    ]
    assert seconds_until(rows, "a") == {
        (0, 10): 105.0,
        (0, 20): 105.0 + 2.5 + 6.0,
        (0, 30): pytest.approx(113.5 + 3.25 + 7.0),
        (1, 10): 84.0,
    }


def test_rows_without_times_cost_nothing() -> None:
    assert seconds_until([row(1, 10), row(2, 20)], "a") == {(0, 10): 0.0, (0, 20): 0.0}
    assert seconds_until([], "a") == {}
