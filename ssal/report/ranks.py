"""The critical-difference diagram: mean ranks over data sets, and bars that join arms which do not differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.textpath import TextPath

from ssal.evaluation.significance import ALPHA
from ssal.report.drawing import INK, PAGE, PHONE, both, look

FONT, GAP = 12, 8
"""Size of a drawing's text, and what lies between a name and its line."""
AXIS, LEVEL, ROW = 62, 9, 22
"""How far down the axis lies, and how much a bar and a name take."""
SIDES = {PAGE[0]: (2, 290), PHONE[0]: (1, 138)}
"""Width of a drawing -> on how many of its sides the names stand, and the most that they take there."""


def ranks(ranking: Mapping[str, Any] | None, colours: Mapping[str, int]) -> dict[str, Any] | None:
    """Return what ranks.html draws of evaluation.data_sets' ranking; None where there is none."""
    if not ranking:
        return None
    return {
        **ranking,
        "rejected": bool(ranking["ranks"]) and ranking["p"] <= ALPHA,
        "averaged": any(len(one["conditions"]) > 1 for one in ranking["data_sets"]),
        "diagram": Markup(rank_diagram(ranking, colours)) if ranking["ranks"] else "",
    }


def rank_diagram(ranking: Mapping[str, Any], colours: Mapping[str, int]) -> str:
    """Draw mean ranks on an axis, best first, with a line from each to its arm's name (Demšar, 2006).

    Bars join the groups that do not differ, and a length at the top is the critical difference. Differs from the paper:
    the best ranks are on the left, and a narrow drawing has all names on one side.
    """
    mean_ranks: Mapping[str, float] = ranking["ranks"]
    names, apart = list(mean_ranks), ranking["critical_difference"]
    bars = levels([(mean_ranks[group[0]], mean_ranks[group[-1]]) for group in ranking["groups"]])
    first = AXIS + LEVEL * (2 + max((level for *_, level in bars), default=-1)) + ROW / 2

    def size(width: int) -> tuple[int, int]:
        return width, round(first + ROW * (-(-len(names) // SIDES[width][0]) - 0.5))

    def draw(axes: Axes, size: tuple[int, int]) -> None:
        axes.set_position((0, 0, 1, 1))
        axes.set(xlim=(0, size[0]), ylim=(size[1], 0))
        axes.set_axis_off()
        sides, most = SIDES[size[0]]
        half = -(-len(names) // sides)
        left, right = names[:half], names[half:][::-1]
        texts = {arm: _fitting(arm, f"  {rank:.2f}", most) for arm, rank in mean_ranks.items()}
        edges = [max((_width(texts[arm]) for arm in side), default=0.0) + GAP for side in (left, right)]
        start, end = edges[0] + 2 * GAP, size[0] - edges[1] - 2 * GAP

        def across(rank: float) -> float:
            return start + (rank - 1) / (len(names) - 1) * (end - start)

        _axis(axes, across, len(names), 12 if sides == 2 else 6)
        _length(axes, across(1), across(1 + apart), f"{'critical difference' if sides == 2 else 'CD'} {apart:.2f}")
        for side, edge, align in ((left, edges[0], "right"), (right, size[0] - edges[1], "left")):
            for row, arm in enumerate(side):
                colour, marker = look(colours[arm])
                at, down = across(mean_ranks[arm]), first + ROW * row
                axes.plot([at, at, edge], [AXIS, down, down], color=colour, linewidth=1.6, zorder=2)
                axes.plot([at], [AXIS], color=colour, marker=marker, markersize=7, zorder=5)
                gap = -GAP / 2 if align == "right" else GAP / 2
                axes.text(edge + gap, down, texts[arm], ha=align, va="center", color=INK)
        for low, high, level in bars:
            down = AXIS + LEVEL * (level + 1.4)
            axes.plot(
                [across(low) - 4, across(high) + 4],
                [down, down],
                color=INK,
                linewidth=4.5,
                solid_capstyle="butt",
                zorder=4,
            )

    description = f"Critical-difference diagram. {ranking['sentence']}"
    return both(draw, description, "ranks", size(PAGE[0]), size(PHONE[0]))


def levels(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float, int]]:
    """Return each span, which come by their beginnings, with the first level where it meets no other one."""
    ends: list[float] = []
    found = []
    for low, high in spans:
        level = next((at for at, end in enumerate(ends) if end < low), len(ends))
        ends[level : level + 1] = [high]
        found.append((low, high, level))
    return found


def _axis(axes: Axes, across: Callable[[float], float], arms: int, most: int) -> None:
    """Draw the line of ranks from 1, the best, with at most about `most` numbers."""
    axes.plot([across(1), across(arms)], [AXIS, AXIS], color=INK, linewidth=1.2, zorder=1)
    for rank in range(1, arms + 1, -(-arms // most)):
        axes.plot([across(rank)] * 2, [AXIS - 6, AXIS], color=INK, linewidth=1.2, zorder=1)
        axes.text(across(rank), AXIS - 9, str(rank), ha="center", va="bottom", color=INK)


def _length(axes: Axes, start: float, end: float, name: str) -> None:
    """Draw the critical difference as a length, named above."""
    for xs, ys in (([start, end], [24, 24]), ([start, start], [20, 28]), ([end, end], [20, 28])):
        axes.plot(xs, ys, color=INK, linewidth=1.6)
    axes.text(start, 17, name, ha="left", va="bottom", color=INK)


def _fitting(name: str, after: str, most: float) -> str:
    """Return `name` and `after`; a name that takes more than `most` loses its middle, as its end may tell it apart."""
    kept = len(name)
    text = name + after
    while _width(text) > most and kept > 2:
        kept -= 1
        text = f"{name[: kept - kept // 2]}…{name[-(kept // 2) :]}{after}"
    return text


def _width(text: str) -> float:
    return float(TextPath((0, 0), text, size=FONT).get_extents().width)
