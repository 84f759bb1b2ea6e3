"""What a score has cost in seconds, beside its labels: everything that a run did until the score was measured."""

from __future__ import annotations

from collections.abc import Sequence

from ssal.evaluation.results import Row


def seconds_until(results: Sequence[Row], arm: str) -> dict[tuple[int, int], float]:
    """Return (seed, labels) -> seconds of one arm's run, as if it had run alone, until it was measured there.

    That is its encoder, counted once a seed, all trainings so far, and scoring and selection of all rounds before: what
    a round spends on choosing the next labels counts for the next score.
    """
    runs: dict[int, list[Row]] = {}
    for row in results:
        if row["arm"] == arm:
            runs.setdefault(int(row["seed"]), []).append(row)
    found: dict[tuple[int, int], float] = {}
    for seed, rows in runs.items():
        spent = max(_seconds(row, "pretrain_seconds") for row in rows)
        for row in sorted(rows, key=lambda row: int(row["round"])):
            spent += _seconds(row, "train_seconds")
            found[seed, int(row["labels"])] = spent
            spent += _seconds(row, "score_seconds") + _seconds(row, "select_seconds")
    return found


def _seconds(row: Row, name: str) -> float:
    return float(row.get(name) or 0.0)
