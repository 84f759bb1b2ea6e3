"""How the report draws: inline SVG, byte-stable, and in the page's colours, so that light and dark read alike."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from html import escape

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

COLOURS = 8
"""Arm colours of the page, `--arm-0` to `--arm-7`; beyond so many arms, colour and marker tell one together."""
MARKERS = "osD^vPX*"
PAGE, HALF, PHONE = (1030, 400), (590, 330), (330, 290)
"""Width and height in pixels of a drawing as wide as the page, as a part of it, and as a phone."""

# Colours no drawing would hold by chance; each becomes a variable of the page.
INK, GRID, REFERENCE = "#010203", "#010204", "#010205"
ARMS = [f"#0102{16 + number:02x}" for number in range(COLOURS)]
_VARIABLES = {INK: "--ink-soft", GRID: "--line", REFERENCE: "--reference"} | {
    colour: f"--arm-{number}" for number, colour in enumerate(ARMS)
}


def look(number: int) -> tuple[str, str]:
    """Return the colour and marker of an arm by its number; no two below 64 are alike."""
    return ARMS[number % COLOURS], MARKERS[marker_of(number)]


def marker_of(number: int) -> int:
    """Return which marker an arm has: in every row of COLOURS arms they move on by one."""
    return (number + number // COLOURS) % len(MARKERS)


def frame(axes: Axes) -> None:
    """Draw quiet lines behind the numbers, and leave the rest of the frame away."""
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    axes.margins(x=0.04, y=0.08)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(color=GRID, labelcolor=INK, length=3)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(GRID)


def labels_axis(axes: Axes, budgets: Sequence[int], most: int) -> None:
    """Put label counts below, at most about `most` of them, on a log scale where they grow thirtyfold or more."""
    if budgets[-1] >= 30 * max(budgets[0], 1):
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(apart(budgets, most, axes.get_xscale() == "log"))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("labels bought" + (", log scale" if axes.get_xscale() == "log" else ""), color=INK)
    frame(axes)


def apart(budgets: Sequence[int], most: int, log: bool) -> list[int]:
    """Return the last of `budgets` and, going down, those that leave room for their numbers."""
    at = {labels: math.log(max(labels, 1)) if log else float(labels) for labels in budgets}
    gap = (at[budgets[-1]] - at[budgets[0]]) / most
    kept = [budgets[-1]]
    for labels in reversed(budgets[:-1]):
        if at[kept[-1]] - at[labels] >= gap:
            kept.append(labels)
    return kept


def both(
    draw: Callable[[Axes, tuple[int, int]], None],
    description: str,
    name: str,
    wide: tuple[int, int],
    narrow: tuple[int, int] = PHONE,
) -> str:
    """Return the drawing twice; the style sheet shows the one that fits the page, so that text keeps its size."""
    drawings = []
    for size, variant in ((wide, "wide"), (narrow, "narrow")):
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
    # A hundredth of a pixel is enough; numbers in what is written between tags stay as they are.
    body = re.sub(r"<[^>]+>", lambda tag: re.sub(r"(\d\.\d\d)\d+", r"\1", tag[0]), body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var({variable})")
    body = re.sub(r"<style.*?</style>", "", body, flags=re.S)
    body = re.sub(r"font-family: [^;\"]+; ", "", body)
    return (
        f'<svg class="{variant}" role="img" aria-label="{escape(description, quote=True)}" viewBox="{box}" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink">{body}'
    )
