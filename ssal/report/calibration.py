"""Whether a learner is as often right as it says: calibration error by labels, and a reliability diagram at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ssal.evaluation.metrics import BINS, Bins
from ssal.evaluation.results import Row
from ssal.evaluation.table import Line, budgets_in, lines
from ssal.report.curves import mean_curve
from ssal.report.drawing import HALF, INK, PHONE, REFERENCE, both, frame, labels_axis, look

LEAST = 20
"""Images that a bin needs to be drawn: the share that is right among fewer says next to nothing."""
Sureness = Mapping[str, Mapping[int, tuple[int, Bins]]]
"""Arm -> seed -> label count of its last learner, and the test images by that learner's confidence."""


class Reliability(NamedTuple):
    """Of one arm at one label count, over seeds: (mean confidence, share that is right) of each bin that has images."""

    labels: int
    seeds: int
    points: list[tuple[float, float]]


def reliability(found: Mapping[int, tuple[int, Bins]]) -> Reliability:
    """Add up the bins of the seeds that came to the largest label count; bins with fewer than LEAST images are out."""
    last = max(labels for labels, _ in found.values())
    every = [bins for labels, bins in found.values() if labels == last]
    images, confidence, right = (sum(part[1:], part[0]).tolist() for part in zip(*every, strict=True))
    points = [
        (sure / count, hit / count)
        for count, sure, hit in zip(images, confidence, right, strict=True)
        if count >= LEAST
    ]
    return Reliability(last, len(every), points)


def calibration(
    results: Sequence[Row], sureness: Sureness, colours: Mapping[str, int], band: str, condition: str
) -> dict[str, Any] | None:
    """Return what calibration.html draws; None where no calibration error was measured."""
    found = lines(results, "expected_calibration_error")
    if not found:
        return None
    diagrams = {line.name: reliability(sureness[line.name]) for line in found if sureness.get(line.name)}
    return {
        "found": found,
        "budgets": budgets_in(found),
        "bins": BINS,
        "least": LEAST,
        "curves": Markup(error_curves(found, colours, band, condition)),
        "diagram": Markup(reliability_diagram(diagrams, colours, condition)) if diagrams else "",
        "labels": sorted({one.labels for one in diagrams.values()}),
    }


def error_curves(found: Sequence[Line], colours: Mapping[str, int], band: str, condition: str = "") -> str:
    """Draw the calibration error of each arm in percent by labels, with its band over seeds."""
    told = (
        f"{line.name}: {', '.join(f'{100 * cell.mean:.1f} % at {labels}' for labels, cell in line.cells.items())}."
        for line in found
    )

    def draw(axes: Axes, size: tuple[int, int]) -> None:
        for line in found:
            mean_curve(axes, line, colours[line.name], band)
        labels_axis(axes, budgets_in(found), 8 if size is not PHONE else 5)
        axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
        axes.set_ylabel("calibration error, %", color=INK)

    return both(draw, f"Expected calibration error by labels bought. {' '.join(told)}", f"errors{condition}", HALF)


def reliability_diagram(found: Mapping[str, Reliability], colours: Mapping[str, int], condition: str = "") -> str:
    """Draw how often each arm's last learners are right by how sure they are; on the diagonal they are calibrated."""
    told = (
        f"{arm} at {one.labels} labels: "
        f"{', '.join(f'{100 * hit:.0f} % right where {100 * sure:.0f} % sure' for sure, hit in one.points)}."
        for arm, one in found.items()
    )

    def draw(axes: Axes, size: tuple[int, int]) -> None:
        axes.plot([0, 100], [0, 100], color=REFERENCE, linewidth=1.4, linestyle=(0, (4, 3)), zorder=2)
        for arm, one in found.items():
            colour, marker = look(colours[arm])
            axes.plot(
                [100 * sure for sure, _ in one.points],
                [100 * hit for _, hit in one.points],
                color=colour,
                marker=marker,
                linewidth=2,
                markersize=6,
                zorder=4,
            )
        frame(axes)
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_xlabel("confidence, %", color=INK)
        axes.set_ylabel("right, %", color=INK)

    return both(draw, f"Reliability diagram. {' '.join(told)}", f"reliability{condition}", HALF)
