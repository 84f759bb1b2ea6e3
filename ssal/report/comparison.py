"""What the page shows of one comparison: its verdict, curves, differences and table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from ssal.evaluation.costs import seconds_until
from ssal.evaluation.results import Row
from ssal.evaluation.sentences import INTERVALS_FROM
from ssal.evaluation.table import Line, budgets_in, left_out, lines, seeds_in
from ssal.report.calibration import Sureness, calibration
from ssal.report.costs import cost_curves
from ssal.report.curves import beyond, crowded, difference_curve, from_baseline, learning_curves

MOST_OTHERS = 6
"""Sentences against arms that are not compared which the terminal shows."""


class Comparison(NamedTuple):
    """The arms under one condition, by their names in it."""

    condition: str
    """Empty where nothing is varied."""
    arms: Mapping[str, str]
    """Name of an arm in it -> its whole name."""
    results: Sequence[Row]
    verdict: Mapping[str, Any]
    """What evaluation.verdict returns."""
    overlap: Mapping[str, Any] | None = None
    """What evaluation.overlaps returns."""
    sureness: Sureness | None = None
    """What the arms' last learners say of the test images."""

    def words(self) -> list[str]:
        """Return the verdict in sentences, after the name of the condition."""
        said = self.verdict
        others = said["others"]
        if len(others) > MOST_OTHERS:
            others = [f"{len(others)} more sentences, against every other arm, are in the report and in verdict.json."]
        return [*filter(None, [self.condition]), said["sentence"], *said["details"], *others]


def shown(comparison: Comparison, colours: Mapping[str, int], seconds: str) -> dict[str, Any]:
    """Return what comparison.html draws; `colours` gives the number of each arm's colour, `seconds` their name."""
    condition, _, results, verdict, overlap, sureness = comparison
    found = lines(results)
    budgets, drawn, pairs = budgets_in(found), _drawn(found, verdict), verdict.get("differences") or []
    least = min((cell.n for line in found if not line.reference for cell in line.cells.values()), default=0)
    band = "interval" if least >= INTERVALS_FROM else "sd"
    spent = {line.name: seconds_until(results, line.name) for line in found if not line.reference}
    treatment, baseline = verdict.get("treatment"), verdict.get("baseline")
    return {
        "condition": condition,
        "verdict": verdict,
        "overlap": overlap,
        "calibration": calibration(results, sureness or {}, colours, band, condition),
        "found": found,
        "budgets": budgets,
        "references": any(line.reference for line in found),
        "unequal": left_out(results, found),
        "tested": seeds_in(found),
        "band": band,
        "tiles": _tiles(found, verdict, budgets),
        "curves": Markup(learning_curves(drawn, colours, band, condition)) if found else "",
        "costs": Markup(cost_curves(drawn, spent, seconds, colours, band, condition)) if found else "",
        "seconds": seconds,
        "crowded": crowded(found),
        "drawn": drawn,
        "far": beyond(found),
        "pairs": pairs,
        "difference": Markup(difference_curve(pairs, str(treatment), str(baseline), colours[str(treatment)], condition))
        if pairs
        else "",
        "from_baseline": Markup(from_baseline(found, str(baseline), colours, condition)) if pairs else "",
        "most_saved": max((one["ratio"] or 0.0 for one in verdict.get("label_efficiency") or []), default=0.0) or 1.0,
    }


def _drawn(found: Sequence[Line], verdict: Mapping[str, Any]) -> list[Line]:
    """Return the arms, and of each reference the line on the baseline's labels, or its first."""
    kept: dict[str, Line] = {}
    for line in found:
        if line.reference and (line.reference not in kept or verdict.get("baseline") in line.arms):
            kept[line.reference] = line
    return [line for line in found if not line.reference or kept[line.reference] is line]


def _tiles(found: Sequence[Line], verdict: Mapping[str, Any], budgets: Sequence[int]) -> dict[str, Any]:
    labels = (verdict.get("final") or {}).get("labels", budgets[-1] if budgets else 0)
    return {"labels": labels, "lines": [line for line in found if labels in line.cells]}
