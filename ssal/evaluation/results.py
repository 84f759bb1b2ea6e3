"""The tidy results of a comparison: one row per arm, seed and round that trained a learner; and its final table."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssal.artefacts import write_text
from ssal.errors import BadInput
from ssal.evaluation import sentences
from ssal.evaluation.references import ACCURACY, NETWORK, REFERENCES

Row = dict[str, Any]

COUNTS = ("seed", "round", "labels", "threads")
WORDS = ("arm", "strategy", "learner", "pretext", "companions", "oracle", "learner_folder")
MACHINE = ("device", "threads")
"""What a round was measured on, which is where it trained unless its learner was at hand already."""
METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "expected_calibration_error")
SECONDS = ("pretrain_seconds", "train_seconds", "score_seconds", "select_seconds")


KEY = ("arm", "seed", "round", "labels")
"""What tells a row from every other."""
TIMINGS = "timings.csv"
"""Beside results.csv, which thus follows from the recipe alone: no run takes the same time twice."""


def write_results(path: Path, results: Sequence[Row]) -> None:
    """Write `results` as CSV to `path`, and their seconds and machines to timings.csv beside it.

    Values that a row lacks are left empty. Each file is written whole or not at all.
    """
    write_text(path.with_name(TIMINGS), _text((*KEY, *SECONDS, *MACHINE), results))
    write_text(path, results_text(results))


def results_text(results: Sequence[Row]) -> str:
    """Return what results.csv holds."""
    references = [f"{name}{ACCURACY}" for name in references_in(results)]
    columns = [*KEY, *METRICS, *references, *WORDS[1:-1]]
    columns += dict.fromkeys(name for row in results for name in row if name not in (*columns, *SECONDS, *MACHINE))
    return _text(columns, results)


def _text(columns: Sequence[str], rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def read_results(path: Path) -> list[Row]:
    """Return what `write_results` left at `path` and beside it, numbers as numbers; empty ones are left out."""
    timings = {_key(row): row for row in _read(path.with_name(TIMINGS))} if path.with_name(TIMINGS).exists() else {}
    return [{**row, **timings.get(_key(row), {})} for row in _read(path)]


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in KEY)


def _read(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    try:
        return [{name: _typed(name, text) for name, text in row.items() if text or name in WORDS} for row in rows]
    except ValueError as error:
        raise BadInput(f"{path}: expected numbers outside the columns {', '.join(WORDS)}, got {error}") from error


def _typed(name: str, text: str) -> Any:
    if name in (*WORDS, MACHINE[0]):
        return text
    return int(text) if name in COUNTS else float(text)


def arms_in(results: Sequence[Row]) -> list[str]:
    """Return the arms, in order of first appearance."""
    return list(dict.fromkeys(row["arm"] for row in results))


def renamed(results: Sequence[Row], arms: Mapping[str, str]) -> list[Row]:
    """Return the rows of `arms` (name -> name in `results`), each under its name."""
    names = {arm: name for name, arm in arms.items()}
    return [{**row, "arm": names[row["arm"]]} for row in results if row["arm"] in names]


def companions_in(results: Sequence[Row]) -> dict[str, str]:
    """Return arm -> the heads that its learner is trained with, in words; empty where there are none."""
    return {row["arm"]: str(row.get("companions") or "") for row in results}


def oracles_in(results: Sequence[Row]) -> set[str]:
    """Return the arms of which a row is tagged as using hidden or test labels: they are outside of all tests."""
    return {row["arm"] for row in results if str(row.get("oracle", "")).lower() not in ("", "false", "none")}


def remarks(results: Sequence[Row]) -> list[str]:
    """Return what is to be known of the arms' learners and answers before their scores are compared, as sentences."""
    noise = {row["arm"]: float(row.get("noise", 0)) for row in results}
    last = max((int(row["labels"]) for row in results), default=0)
    without = {
        arm: statistics.fmean(float(row.get("without_class", 0)) for row in results if _at(row, arm, last))
        for arm in arms_in(results)
        if any(_at(row, arm, last) for row in results)
    }
    told = sentences.companions(companions_in(results))
    return [*told, *sentences.noisy(noise), *sentences.without_class(without, last)]


def _at(row: Row, arm: str, labels: int) -> bool:
    return bool(row["arm"] == arm and row["labels"] == labels)


def references_in(results: Sequence[Row]) -> list[str]:
    """Return the references that at least one row was measured with, then the other networks: `network_<backbone>`."""
    columns = dict.fromkeys(column for row in results for column in row)
    networks = [name for name in columns if name.startswith(NETWORK) and name.endswith(ACCURACY)]
    names = [*(f"{name}{ACCURACY}" for name in REFERENCES if f"{name}{ACCURACY}" in columns), *networks]
    return [name.removesuffix(ACCURACY) for name in names]


def reference_words(reference: str) -> str:
    """Return what a reference of `references_in` is: 'svm on raw inputs', 'network resnet18'."""
    network = reference.removeprefix(NETWORK)
    return f"{reference} on raw inputs" if network == reference else f"network {network}"


def scores(results: Sequence[Row], arm: str, metric: str = "accuracy") -> dict[tuple[int, int], float]:
    """Return (seed, labels) -> `metric` of one arm. Raises BadInput where an arm has a seed and label count twice."""
    found: dict[tuple[int, int], float] = {}
    for row in results:
        if row["arm"] == arm and row.get(metric) is not None:
            key = (int(row["seed"]), int(row["labels"]))
            if key in found:
                raise BadInput(
                    f"results: expected one row per arm, seed and label count, got two for arm {arm!r}, seed {key[0]}, "
                    f"{key[1]} labels; remove one"
                )
            found[key] = float(row[metric])
    return found
