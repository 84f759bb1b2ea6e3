"""The report's drawings as inline SVG: byte-stable, and in the page's colours, so that light and dark read alike."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from statistics import fmean
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from ssal.evaluation.statistics import paired_interval
from ssal.evaluation.table import Line, budgets_in

COLOURS = 8
"""Arm colours of the page, `--arm-0` to `--arm-7`; an arm is told by its marker as well."""
MARKERS = "osD^vPX*"
PAGE, HALF, PHONE = (1030, 400), (590, 330), (330, 290)
"""Width and height in pixels of a drawing as wide as the page, as a part of it, and as a phone."""

# Colours no drawing would hold by chance; each becomes a variable of the page.
_INK, _GRID, _REFERENCE = "#010203", "#010204", "#010205"
_ARMS = [f"#0102{16 + number:02x}" for number in range(COLOURS)]
_VARIABLES = {_INK: "--ink-soft", _GRID: "--line", _REFERENCE: "--reference"} | {
    colour: f"--arm-{number}" for number, colour in enumerate(_ARMS)
}


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
                axes.plot(labels, means, color=_REFERENCE, linewidth=1.4, linestyle=(0, (4, 3)), zorder=2)
                continue
            number = colours[line.name] % COLOURS
            colour, marker = _ARMS[number], MARKERS[number]
            if line in far:
                axes.axhline(means[0], color=colour, linewidth=1.8, linestyle=(0, (1, 2)), zorder=2)
                continue
            spans = [_span(line, count, band) for count in labels]
            axes.fill_between(
                labels,
                [low for low, _ in spans],
                [high for _, high in spans],
                color=colour,
                alpha=0.14,
                linewidth=0,
                zorder=1,
            )
            axes.plot(labels, means, color=colour, linewidth=2.5, zorder=4, solid_capstyle="round")
            axes.plot(labels, means, color=colour, linestyle="", marker=marker, markersize=8, zorder=5)
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
        _labels_axis(axes, budgets_in([line for line in found if line not in far]), 12 if size is not PHONE else 5)
        axes.set_ylabel("test accuracy, %", color=_INK)

    return _both(draw, description, f"curves{condition}", PAGE)


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
        axes.axhline(0, color=_INK, linewidth=1.2, zorder=2)
        for entry in differences:
            if entry["low"] is not None:
                axes.vlines(
                    entry["labels"],
                    100 * entry["low"],
                    100 * entry["high"],
                    color=_ARMS[colour],
                    linewidth=2,
                    alpha=0.45,
                    zorder=3,
                )
            axes.plot(
                [entry["labels"]] * len(entry["seeds"]),
                [100 * value for value in entry["seeds"].values()],
                color=_ARMS[colour],
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
            color=_ARMS[colour],
            linestyle="",
            marker="_",
            markersize=16,
            markeredgewidth=2.6,
            zorder=5,
        )
        _labels_axis(axes, labels, 10 if size is not PHONE else 5)
        axes.set_ylabel("difference, points", color=_INK)

    return _both(draw, description, f"difference{condition}", HALF)


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
        axes.axhline(0, color=_INK, linewidth=1.2, zorder=2)
        for name, line in gaps.items():
            number = colours[name] % COLOURS
            axes.plot(
                list(line), list(line.values()), color=_ARMS[number], marker=MARKERS[number], linewidth=2, markersize=6
            )
        budgets = sorted({labels for line in gaps.values() for labels in line})
        _labels_axis(axes, budgets, 12 if size is not PHONE else 5)
        axes.set_ylabel(f"points above {baseline if len(baseline) <= 20 else 'the baseline'}", color=_INK)

    return _both(draw, description, f"from_baseline{condition}", PAGE)


def _span(line: Line, labels: int, band: str) -> tuple[float, float]:
    values = [100 * value for (_, count), value in sorted(line.points.items()) if count == labels]
    found = paired_interval(values)
    if found.sd is None or found.low is None or found.high is None:
        return found.mean, found.mean
    return (found.low, found.high) if band == "interval" else (found.mean - found.sd, found.mean + found.sd)


def _labels_axis(axes: Axes, budgets: Sequence[int], most: int) -> None:
    if budgets[-1] >= 30 * max(budgets[0], 1):
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(_apart(budgets, most, axes.get_xscale() == "log"))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    axes.set_xlabel("labels bought" + (", log scale" if axes.get_xscale() == "log" else ""), color=_INK)
    axes.margins(x=0.04, y=0.08)
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(color=_GRID, labelcolor=_INK, length=3)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_GRID)


def _apart(budgets: Sequence[int], most: int, log: bool) -> list[int]:
    """Return the last of `budgets` and, going down, those that leave room for their numbers."""
    at = {labels: math.log(max(labels, 1)) if log else float(labels) for labels in budgets}
    gap = (at[budgets[-1]] - at[budgets[0]]) / most
    kept = [budgets[-1]]
    for labels in reversed(budgets[:-1]):
        if at[kept[-1]] - at[labels] >= gap:
            kept.append(labels)
    return kept


def _both(draw: Any, description: str, name: str, wide: tuple[int, int]) -> str:
    """Return the drawing twice; the style sheet shows the one that fits the page, so that text keeps its size."""
    drawings = []
    for size, variant in ((wide, "wide"), (PHONE, "narrow")):
        with matplotlib.rc_context({"svg.hashsalt": f"{name}-{variant}", "svg.fonttype": "none", "font.size": 12}):
            figure = Figure(figsize=(size[0] / 72, size[1] / 72), layout="constrained")
            draw(figure.add_subplot(), size)
            text = io.StringIO()
            figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
        drawings.append(_inline(text.getvalue(), description, variant))
    return "\n".join(drawings)


def _inline(svg: str, description: str, variant: str) -> str:
    """Return matplotlib's SVG as a part of a page: its own colours, no fixed size, no ids but those it refers to."""
    body = svg[svg.index(">", svg.index("<svg")) + 1 :]
    (box,) = re.findall(r'viewBox="([^"]+)"', svg)[:1]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.S)
    used = set(re.findall(r"#([\w-]+)", " ".join(re.findall(r'href="[^"]+"|url\([^)]+\)', body))))
    body = re.sub(r' id="([^"]+)"', lambda found: found.group(0) if found.group(1) in used else "", body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var({variable})")
    body = re.sub(r"<style.*?</style>", "", body, flags=re.S)
    body = re.sub(r"font-family: [^;\"]+; ", "", body)
    return (
        f'<svg class="{variant}" role="img" aria-label="{escape(description, quote=True)}" viewBox="{box}" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink">{body}'
    )
