"""The curves of a comparison: accuracy by labels, and how far arms lie apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes

from ssal.evaluation.statistics import paired_interval
from ssal.evaluation.table import Line, budgets_in
from ssal.report.drawing import HALF, INK, PAGE, PHONE, REFERENCE, both, labels_axis, look

CROWDED = 1000
"""Marks of single seeds that a narrow drawing has room for."""


def learning_curves(found: Sequence[Line], colours: Mapping[str, int], band: str, condition: str = "") -> str:
    """Draw accuracy against labels: the mean of each arm, every seed's points, and a band over seeds.

    `colours` gives the number of each arm's colour; `band` is `interval` (95 % t interval) or `sd`.
    References are dashed, without points; an arm with one label count far beyond the others is a dotted level.
    Drawings of different conditions may stand on one page.
    """
    far = beyond(found)
    told = {
        line.title: ", ".join(f"{100 * cell.mean:.1f} % at {labels}" for labels, cell in line.cells.items())
        for line in found
    }
    description = "Mean test accuracy by labels bought. " + " ".join(f"{arm}: {means}." for arm, means in told.items())

    def draw(axes: Axes, size: tuple[int, int]) -> None:
        for line in found:
            labels = list(line.cells)
            means = [100 * cell.mean for cell in line.cells.values()]
            if line.reference:
                axes.plot(labels, means, color=REFERENCE, linewidth=1.4, linestyle=(0, (4, 3)), zorder=2)
                continue
            colour, marker = look(colours[line.name])
            if line in far:
                axes.axhline(means[0], color=colour, linewidth=1.8, linestyle=(0, (1, 2)), zorder=2)
                continue
            mean_curve(axes, line, colours[line.name], band)
            if size is PHONE and crowded(found):
                continue
            axes.plot(
                [count for _, count in sorted(line.points)],
                [100 * line.points[key] for key in sorted(line.points)],
                color=colour,
                linestyle="",
                marker=marker,
                markersize=4.5,
                alpha=0.55,
                markeredgewidth=0,
                zorder=3,
            )
        labels_axis(axes, budgets_in([line for line in found if line not in far]), 12 if size is not PHONE else 5)
        axes.set_ylabel("test accuracy, %", color=INK)

    return both(draw, description, f"curves{condition}", PAGE)


def crowded(found: Sequence[Line]) -> bool:
    """Say whether the marks of single seeds are too many for a phone: they would be a smear, and half of the page."""
    return sum(len(line.points) for line in found if not line.reference) > CROWDED


def mean_curve(axes: Axes, line: Line, number: int, band: str, places: Mapping[int, float] | None = None) -> None:
    """Draw the mean of one arm in percent with its band, by labels or by what `places` has for each label count."""
    labels = list(line.cells)
    across = [count if places is None else places[count] for count in labels]
    spans = [_span(line, count, band) for count in labels]
    means = [100 * cell.mean for cell in line.cells.values()]
    lows, highs = zip(*spans, strict=True)
    colour, marker = look(number)
    axes.fill_between(across, lows, highs, color=colour, alpha=0.14, linewidth=0, zorder=1)
    axes.plot(across, means, color=colour, linewidth=2.5, zorder=4, solid_capstyle="round")
    axes.plot(across, means, color=colour, linestyle="", marker=marker, markersize=8, zorder=5)


def beyond(found: Sequence[Line]) -> list[Line]:
    """Return the arms with one label count that is more than twice what every other arm has, such as all labels."""
    most = max((max(line.cells) for line in found if len(line.cells) > 1), default=None)
    return [] if most is None else [line for line in found if len(line.cells) == 1 and min(line.cells) > 2 * most]


def difference_curve(
    differences: Sequence[Mapping[str, Any]], treatment: str, baseline: str, colour: int, condition: str = ""
) -> str:
    """Draw the paired difference at each label count: every seed's, their mean, and its 95 % t interval."""
    description = f"Paired difference of {treatment} minus {baseline}. " + " ".join(
        f"{entry['labels']} labels: {100 * entry['mean']:+.1f} points." for entry in differences
    )
    labels = [entry["labels"] for entry in differences]

    def draw(axes: Axes, size: tuple[int, int]) -> None:
        axes.axhline(0, color=INK, linewidth=1.2, zorder=2)
        for entry in differences:
            if entry["low"] is not None:
                axes.vlines(
                    entry["labels"],
                    100 * entry["low"],
                    100 * entry["high"],
                    color=look(colour)[0],
                    linewidth=2,
                    alpha=0.45,
                    zorder=3,
                )
            axes.plot(
                [entry["labels"]] * len(entry["seeds"]),
                [100 * value for value in entry["seeds"].values()],
                color=look(colour)[0],
                linestyle="",
                marker="o",
                markersize=5.5,
                alpha=0.55,
                markeredgewidth=0,
                zorder=4,
            )
        axes.plot(
            labels,
            [100 * entry["mean"] for entry in differences],
            color=look(colour)[0],
            linestyle="",
            marker="_",
            markersize=16,
            markeredgewidth=2.6,
            zorder=5,
        )
        labels_axis(axes, labels, 10 if size is not PHONE else 5)
        axes.set_ylabel("difference, points", color=INK)

    return both(draw, description, f"difference{condition}", HALF)


def from_baseline(found: Sequence[Line], baseline: str, colours: Mapping[str, int], condition: str = "") -> str:
    """Draw how far the mean of each arm lies above or below the baseline's, over the seeds and label counts of both."""
    arms = {line.name: line for line in found if not line.reference}
    gaps: dict[str, dict[int, float]] = {}
    for name, line in arms.items():
        shared = set(line.points) & set(arms[baseline].points) if name != baseline else set()
        for labels in sorted({count for _, count in shared}):
            differences = [line.points[key] - arms[baseline].points[key] for key in shared if key[1] == labels]
            gaps.setdefault(name, {})[labels] = 100 * fmean(differences)
    if not gaps:
        return ""
    description = f"Mean paired difference to {baseline} by labels bought. " + " ".join(
        f"{name}: {', '.join(f'{gap:+.1f} points at {labels}' for labels, gap in line.items())}."
        for name, line in gaps.items()
    )

    def draw(axes: Axes, size: tuple[int, int]) -> None:
        axes.axhline(0, color=INK, linewidth=1.2, zorder=2)
        for name, line in gaps.items():
            colour, marker = look(colours[name])
            axes.plot(list(line), list(line.values()), color=colour, marker=marker, linewidth=2, markersize=6)
        budgets = sorted({labels for line in gaps.values() for labels in line})
        labels_axis(axes, budgets, 12 if size is not PHONE else 5)
        axes.set_ylabel(f"points above {baseline if len(baseline) <= 20 else 'the baseline'}", color=INK)

    return both(draw, description, f"from_baseline{condition}", PAGE)


def _span(line: Line, labels: int, band: str) -> tuple[float, float]:
    values = [100 * value for (_, count), value in sorted(line.points.items()) if count == labels]
    found = paired_interval(values)
    if found.sd is None or found.low is None or found.high is None:
        return found.mean, found.mean
    return (found.low, found.high) if band == "interval" else (found.mean - found.sd, found.mean + found.sd)
