"""The final table of a comparison: arms and references by label count, over the same seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from rich.table import Table

from ssal.errors import listing
from ssal.evaluation import sentences
from ssal.evaluation.results import Row, arms_in, reference_words, references_in, remarks, scores
from ssal.evaluation.statistics import comparable


class Cell(NamedTuple):
    """Mean and spread over seeds at one budget; `sd` is None with one seed."""

    mean: float
    sd: float | None
    n: int


class Line(NamedTuple):
    """One row of the final table: an arm, or a reference classifier on the labels that arms bought.

    Every cell is over the same seeds; `points` (seed, labels) -> score are those the cells are made of.
    """

    name: str
    reference: str | None
    arms: tuple[str, ...]
    points: dict[tuple[int, int], float]
    cells: dict[int, Cell]

    @property
    def title(self) -> str:
        """Return the arm's name, or the reference's and whose labels it learnt from."""
        return f"{self.name} (labels of {listing(self.arms, 2)})" if self.reference else self.name


def lines(results: Sequence[Row], metric: str = "accuracy") -> list[Line]:
    """Return the arms, then the references on each arm's labels; equal reference rows become one.

    An arm has the label counts that all its seeds have. A count that another arm passed over, having fewer and more
    labels, is left out, unless an arm ends there: `left_out` says so.
    """
    found = {arm: _line(arm, None, (arm,), scores(results, arm, metric)) for arm in arms_in(results)}
    spans = [sorted(line.cells) for line in found.values() if line.cells]
    ends = {span[-1] for span in spans}
    passed = {n for counts in spans for n in counts if any(s[0] < n < s[-1] and n not in s for s in spans)} - ends
    kept = {arm: {key: line.points[key] for key in line.points if key[1] not in passed} for arm, line in found.items()}
    table = [_line(arm, None, (arm,), points) for arm, points in kept.items()]
    for reference in references_in(results) if metric == "accuracy" else []:
        same: dict[tuple[tuple[tuple[int, int], float], ...], list[str]] = {}
        for arm, points in kept.items():
            theirs = scores(results, arm, f"{reference}_accuracy")
            if shared := sorted((key, theirs[key]) for key in points if key in theirs):
                same.setdefault(tuple(shared), []).append(arm)
        name = reference_words(reference)
        table += [_line(name, reference, tuple(arms), dict(key)) for key, arms in same.items()]
    return [line for line in table if line.cells]


def _line(name: str, reference: str | None, arms: tuple[str, ...], points: dict[tuple[int, int], float]) -> Line:
    budgets, seeds = comparable(points)
    cells: dict[int, Cell] = {}
    for labels in budgets:
        values = [points[seed, labels] for seed in seeds]
        spread = statistics.stdev(values) if len(values) > 1 else None
        cells[labels] = Cell(statistics.fmean(values), spread, len(values))
    return Line(name, reference, arms, {(s, n): points[s, n] for n in budgets for s in seeds}, cells)


def left_out(results: Sequence[Row], table: Sequence[Line]) -> str:
    """Return one sentence on what `lines` left out of `table`, and whose seeds differ; empty where all runs agree."""
    if results and not table:
        return "No run has a test accuracy: there are no test images."
    arms = {line.name: line for line in table if not line.reference}
    every = {seed for line in arms.values() for seed, _ in line.points}
    counts: set[int] = set()
    seeds: list[str] = []
    for arm in arms_in(results):
        found, line = scores(results, arm), arms.get(arm)
        if line is None:
            seeds.append(f"{arm} has no test accuracy")
            continue
        has = {seed for seed, _ in line.points}
        counts |= {labels for seed, labels in found if seed in has} - set(line.cells)
        if early := {seed for seed, _ in found} - has:
            seeds.append(f"{sentences.seeds_named(early)} of {arm} left out, with none at {max(line.cells)} labels")
        if absent := every - has - early:
            seeds.append(f"{arm} has no {sentences.seeds_named(absent)}")
    return " ".join(sentences.unequal(counts, seeds))


def seeds_in(table: Sequence[Line]) -> str:
    """Return how many seeds the lines are over, in words."""
    counts = sorted({cell.n for line in table for cell in line.cells.values()}) or [0]
    return "one seed" if counts[-1] == 1 else f"{'–'.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} seeds"


def budgets_in(table: Sequence[Line]) -> list[int]:
    """Return every label count that a row of the table has, rising."""
    return sorted({labels for line in table for labels in line.cells})


def thinned(values: Sequence[int], most: int) -> list[int]:
    """Return at most `most` of `values`, evenly spread, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    return [values[round(at * (len(values) - 1) / (most - 1))] for at in range(most)]


def final_table(results: Sequence[Row], most: int = 6) -> Table | str:
    """Return accuracy by arm and label count as a table for the terminal: mean ± sd over seeds, in percent.

    Where there is no accuracy, the reason.
    """
    found = lines(results)
    if results and not found:
        return left_out(results, found)
    budgets = thinned(budgets_in(found), most)
    seeds = seeds_in(found)
    title = f"Test accuracy in percent, {seeds if seeds == 'one seed' else f'mean ± sd, {seeds}'}"
    if len(budgets) < len(budgets_in(found)):
        title += f"; {len(budgets)} of {len(budgets_in(found))} label counts"
    notes = [left_out(results, found), *remarks(results)]
    caption = "\n".join(filter(None, notes)) or None
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    table.add_column("arm", overflow="fold")
    for labels in budgets:
        table.add_column(f"{labels} labels" if labels == budgets[0] else str(labels), justify="right", no_wrap=True)
    table.add_column("seeds", justify="right")
    for line in found:
        n = str(next(iter(line.cells.values())).n)
        table.add_row(
            line.title,
            *(percent(line.cells.get(labels)) for labels in budgets),
            n,
            style="dim" if line.reference else None,
        )
    return table


def percent(cell: Cell | None) -> str:
    """Return `91.2 ± 0.4`, without the spread where there is one seed, or a dash where there is no cell."""
    if cell is None:
        return "–"
    return f"{100 * cell.mean:.1f}" + ("" if cell.sd is None else f" ± {100 * cell.sd:.1f}")
