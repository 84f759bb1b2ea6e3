"""What images drawn at random say of a project: accuracy by labels, what it cost in minutes, and what may come next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes

from ssal.outlook import Outlook, Outlooks, sentences
from ssal.report.drawing import INK, PAGE, PHONE, both, labels_axis, look


def audit(found: Outlooks, colours: Mapping[str, int]) -> dict[str, Any] | None:
    """Return what audit.html draws; None where nothing was asked of anybody yet. `colours` are numbers of arms."""
    said = sentences(found)
    if not said:
        return None
    drawn = {name: one for name, one in found.items() if one.curve}
    return {
        "words": [f"{line[0].upper()}{line[1:]}" for line in said] if len(found) == 1 else said,
        "runs": list(found),
        "rows": [(arm, seed, learned) for (arm, seed), one in drawn.items() for learned in one.curve],
        "curves": Markup(audit_curves(drawn, colours)) if drawn else "",
        "forecast": any(one.next for one in drawn.values()),
        "timed": any(learned.minutes is not None for one in drawn.values() for learned in one.curve),
        "untimed": sum(one.untimed for one in drawn.values()),
    }


def labels_of(found: Outlooks) -> list[int]:
    """Return the label counts of all learners that were audited."""
    return sorted({learned.labels for one in found.values() for learned in one.curve})


def audit_curves(found: Outlooks, colours: Mapping[str, int]) -> str:
    """Draw the accuracy of every run on its audited images by labels with its 95 % interval, and what is forecast."""
    told = " ".join(f"{arm}, seed {seed}: {', '.join(_told(one))}." for (arm, seed), one in found.items())

    def draw(axes: Axes, size: tuple[int, int]) -> None:
        for (arm, _), one in found.items():
            colour, marker = look(colours[arm])
            labels = [learned.labels for learned in one.curve]
            means, lows, highs = zip(
                *((100 * now.mean, 100 * now.low, 100 * now.high) for _, _, now, _ in one.curve), strict=True
            )
            if len(found) == 1:  # bands of several runs, which share most of their images, hide one another
                axes.fill_between(labels, lows, highs, color=colour, alpha=0.14, linewidth=0, zorder=1)
            axes.vlines(labels, lows, highs, color=colour, linewidth=2, alpha=0.45, zorder=3)
            axes.plot(labels, means, color=colour, linewidth=2.5, marker=marker, markersize=8, zorder=5)
            if one.next:
                then = [min(100.0, max(0.0, means[-1] + 100 * part)) for part in one.next[1:]]
                dashed = (0, (4, 3))
                axes.plot([labels[-1], one.next.labels], [means[-1], then[0]], color=colour, linestyle=dashed, zorder=4)
                axes.vlines(one.next.labels, then[1], then[2], color=colour, linestyle=dashed, zorder=4)
                axes.plot([one.next.labels], [then[0]], color=colour, linestyle="", marker="_", markersize=14, zorder=5)
        budgets = {one.next.labels for one in found.values() if one.next}
        labels_axis(axes, sorted(budgets | set(labels_of(found))), 12 if size is not PHONE else 5)
        axes.set_ylabel("accuracy, %", color=INK)

    return both(draw, f"Accuracy on audited images by labels. {told}", "audit", PAGE)


def _told(one: Outlook) -> list[str]:
    said = [
        f"{100 * now.mean:.1f} % ({100 * now.low:.1f} to {100 * now.high:.1f}) at {labels}"
        for _, labels, now, _ in one.curve
    ]
    return [*said, f"{100 * one.next.gain:+.1f} points expected at {one.next.labels}"] if one.next else said
