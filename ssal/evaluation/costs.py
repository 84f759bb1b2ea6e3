"""What a score has cost in seconds, beside its labels: everything that a run did until the score was measured."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from ssal.evaluation.results import SECONDS, Row


def seconds_until(results: Sequence[Row], arm: str) -> dict[tuple[int, int], float]:
    """Return (seed, labels) -> seconds of one arm's run, as if it had run alone, until it was measured there.

    That is its encoder, counted once a seed, all trainings so far, and scoring and selection of all rounds before: what
    a round spends on choosing the next labels counts for the next score.
    """
    found: dict[tuple[int, int], float] = {}
    for seed, rows in _runs(results, arm).items():
        spent = _pretraining(rows)
        for row in sorted(rows, key=lambda row: int(row["round"])):
            spent += _seconds(row, "train_seconds")
            found[seed, int(row["labels"])] = spent
            spent += _seconds(row, "score_seconds") + _seconds(row, "select_seconds")
    return found


def stage_seconds(results: Sequence[Row], arm: str) -> list[float]:
    """Return what each stage of SECONDS took one arm, mean over its seeds; an encoder is counted once a seed."""
    runs = _runs(results, arm).values()
    later = [fmean(sum(_seconds(row, name) for row in rows) for rows in runs) for name in SECONDS[1:]]
    return [fmean(map(_pretraining, runs)), *later]


def _runs(results: Sequence[Row], arm: str) -> dict[int, list[Row]]:
    """Return the rows of one arm by seed."""
    runs: dict[int, list[Row]] = {}
    for row in results:
        if row["arm"] == arm:
            runs.setdefault(int(row["seed"]), []).append(row)
    return runs


def _pretraining(rows: Sequence[Row]) -> float:
    """Return the seconds of one run's encoder, whatever its rows repeat."""
    return max(_seconds(row, SECONDS[0]) for row in rows)


def _seconds(row: Row, name: str) -> float:
    return float(row.get(name) or 0.0)
