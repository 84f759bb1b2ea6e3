"""Pages to look at in a browser, each written to a folder: the ordinary one and those most likely to break."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synthetic_report import synthetic_audits, synthetic_conditions, synthetic_query, synthetic_report
from synthetic_results import synthetic_results, untested

from ssal.evaluation.data_sets import over_data_sets
from ssal.evaluation.verdict import verdict

SIX = ("birds", "clouds", "flowers", "leaves", "mosses", "stones_of_the_northern_shore")
LONG = "a_rather_long_arm_name_that_somebody_thought_was_needed_" * 2


def full(folder: Path) -> Path:
    return synthetic_report(folder, queried=synthetic_query())


def many_arms(folder: Path) -> Path:
    names = [f"{LONG}{number}" for number in range(10)] + ["ssl_only", "ssl_and_al"]
    results = synthetic_results(6, arms={name: (0.3, 0.6 + 0.03 * at) for at, name in enumerate(names)})
    strategies = (*(f"strategy_{number}" for number in range(14)), LONG)
    said = verdict(results, names[0], "ssl_and_al")
    return synthetic_report(folder, shown=4, results=results, verdict=said, queried=synthetic_query(strategies))


def conditions(folder: Path) -> Path:
    rows, comparisons = synthetic_conditions({"50 images a class": 0.0, "5 images a class": 0.3})
    return synthetic_report(folder, 5, shown=4, results=rows, comparisons=comparisons)


def data_sets(folder: Path) -> Path:
    """Twelve arms, some with long names, ranked over six data sets, of which two are shown as conditions."""
    names = ["ssl_only", "ssl_and_al", f"{LONG}1", f"{LONG}2", *(f"strategy_{number}" for number in range(8))]
    rows, comparisons = synthetic_conditions(dict.fromkeys(SIX, 0.0), 3, names)
    ranking = over_data_sets({one.condition: {one.condition: one.results} for one in comparisons})
    shown = {arm for one in comparisons[:2] for arm in one.arms.values()}
    rows = [row for row in rows if row["arm"] in shown]
    parts: dict[str, Any] = {"comparisons": comparisons[:2], "ranking": ranking, "gallery": {}, "class_mix": {}}
    return synthetic_report(folder, 3, results=rows, **parts)


def empty(folder: Path) -> Path:
    said = verdict([], "ssl_only", "ssl_and_al")
    return synthetic_report(folder, results=[], gallery={}, class_mix={}, verdict=said, notes=[])


def audited(folder: Path) -> Path:
    """A comparison whose arms have an audit slice beside test images, one with a long name."""
    names = ["ssl_only", "ssl_and_al", LONG]
    results = synthetic_results(2, arms=dict.fromkeys(names, (0.3, 0.7)))
    return synthetic_report(folder, 2, shown=4, results=results, audits=synthetic_audits(names, seeds=2))


def project(folder: Path, **audits: Any) -> Path:
    """What one person labels, without a test image; `audits` are arguments of synthetic_audits."""
    results = untested(synthetic_results(1, arms={"main": (0.3, 0.8)}))
    notes = ["main, seed 0: 20 images wait for labels in checkpoints/project/main/seed_0/round_5"]
    found = synthetic_audits(["main"], **audits)
    said = verdict(results, None, None)
    return synthetic_report(folder, 1, results=results, verdict=said, notes=notes, audits=found)


def young_project(folder: Path) -> Path:
    """One that has its first learner, and nobody measured how long answers took."""
    return project(folder, learners=1, images=4, minutes=None)


def unaudited_project(folder: Path) -> Path:
    """One without a learner: its first images are asked."""
    return project(folder, learners=0)
