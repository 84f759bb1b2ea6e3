"""The accuracy of each arm by what it has cost in seconds, in the colours and markers of the curves by labels."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from ssal.evaluation.table import Line
from ssal.report.curves import mean_curve
from ssal.report.drawing import INK, PAGE, PHONE, both, frame

Seconds = Mapping[str, Mapping[tuple[int, int], float]]
"""Arm -> (seed, labels) -> seconds until then."""
APART = 30
"""Times the least seconds from which the axis is a log one: on a linear one the cheapest arms would be one mark."""


def seconds_called(devices: Collection[str]) -> str:
    """Return what seconds are called that were spent on these devices; "" is one that nobody noted."""
    return "GPU-seconds" if devices and not {"", "CPU"} & set(devices) else "seconds of computing"


def cost_curves(
    found: Sequence[Line], seconds: Seconds, called: str, colours: Mapping[str, int], band: str, condition: str = ""
) -> str:
    """Draw accuracy by mean seconds until then; empty where no second was counted."""
    places = {line.name: _places(line, seconds[line.name]) for line in found if not line.reference}
    every = [spent for by_labels in places.values() for spent in by_labels.values()]
    if not any(every):
        return ""
    arms = [line for line in found if not line.reference]
    told = " ".join(
        f"{line.name}: {', '.join(_told(cell.mean, places[line.name][labels]) for labels, cell in line.cells.items())}."
        for line in arms
    )

    def draw(axes: Axes, size: tuple[int, int]) -> None:
        for line in arms:
            mean_curve(axes, line, colours[line.name], band, places[line.name])
        frame(axes)
        log = min(every) > 0 and max(every) >= APART * min(every)
        if log:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if size is not PHONE else (1, 3)))
            axes.xaxis.set_minor_locator(NullLocator())
        else:
            axes.xaxis.set_major_locator(MaxNLocator(8 if size is not PHONE else 4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.set_xlabel(f"{called} per run{', log scale' * log}", color=INK)
        axes.set_ylabel("test accuracy, %", color=INK)

    return both(draw, f"Mean test accuracy by {called}. {told}", f"costs{condition}", PAGE)


def _places(line: Line, seconds: Mapping[tuple[int, int], float]) -> dict[int, float]:
    """Return labels -> mean seconds over the seeds that the line's cell is made of."""
    return {count: fmean(seconds[key] for key in line.points if key[1] == count) for count in line.cells}


def _told(mean: float, spent: float) -> str:
    return f"{100 * mean:.1f} % after {spent:,.{0 if spent >= 10 else 1}f}"
