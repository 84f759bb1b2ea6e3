"""Run a recipe and keep what it gave: results.csv, and a page with table, verdict, machine and cost.

    python benchmarks/recipes.py quickstart recipes/quickstart.yaml
    python benchmarks/recipes.py sign_digits recipes/image_folder.yaml name=sign_digits data.path=PATH
    python benchmarks/recipes.py questions/many_seeds recipes/questions/many_seeds.yaml --checkpoints FOLDER --report

writes benchmarks/results/NAME.csv and NAME.md. Runs start in an empty checkpoints folder, so nothing is reused. With
`--checkpoints FOLDER` they go on from what stands there, and share encoders with other recipes; the cost is then what
the runs themselves took. `--report` keeps report.html, too.
"""

from __future__ import annotations

import datetime
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from measuring import processor_in_words

from ssal.conclude import environment
from ssal.evaluation.results import SECONDS, Row, arms_in, read_results
from ssal.evaluation.table import budgets_in, lines, percent
from ssal.recipe import Recipe, load
from ssal.report.report import spell

RESULTS = Path(__file__).parent / "results"


def main(
    name: str,
    recipe: str,
    overrides: Annotated[list[str] | None, typer.Argument()] = None,
    checkpoints: Path | None = None,
    report: bool = False,
) -> None:
    """Run, time and write."""
    overrides = overrides or []
    with tempfile.TemporaryDirectory() as empty:
        folder = checkpoints or Path(empty)
        command = [sys.executable, "-m", "ssal", "compare", recipe, *overrides]
        began = time.perf_counter()
        done = subprocess.run([*command, "--checkpoints", str(folder)], capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - began
        if done.returncode:
            sys.exit(done.stderr + done.stdout)
        loaded = load(Path(recipe), overrides)
        found = folder / loaded.name / "results.csv"
        rows = read_results(found)
        (RESULTS / name).parent.mkdir(exist_ok=True)
        shutil.copy(found, RESULTS / f"{name}.csv")
        if report:
            shutil.copy(found.with_name("report.html"), RESULTS / f"{name}.html")
    shown = [override for override in overrides if not override.startswith("data.path=")]
    shown += [f"data.path={Path(o.split('=', 1)[1]).name}" for o in overrides if o.startswith("data.path=")]
    cost = _cost(rows, loaded) if checkpoints else f"{seconds:.0f} s in all, everything computed anew"
    page = [
        f"# {Path(name).name}",
        "",
        f"`ssal compare {' '.join([recipe, *shown])}` — {cost}.",
        "",
        f"{processor_in_words()}, {platform.system()}; {datetime.date.today().isoformat()}; seeds "
        f"{', '.join(str(seed) for seed in sorted({int(row['seed']) for row in rows}))}; "
        + ", ".join(f"{key} {value}" for key, value in environment().items() if key != "machine"),
        "",
        "Test accuracy in percent, mean ± sd over seeds, by labels used:",
        "",
        *(line for condition in loaded.conditions for line in _table(condition, loaded, rows)),
        *done.stdout.partition("rows: ")[2].partition("\n")[2].partition("report:")[0].strip().splitlines(),
        "",
    ]
    (RESULTS / f"{name}.md").write_text("\n".join(page), encoding="utf-8")
    print("\n".join(page))


def _table(condition: str, recipe: Recipe, rows: Sequence[Row]) -> list[str]:
    """Return the table of one condition, under its name where there are several."""
    arms = set(recipe.conditions[condition].values())
    table = lines([row for row in rows if row["arm"] in arms])
    budgets = budgets_in(table)
    return [
        *([f"## {condition}", ""] if condition else []),
        "| arm | " + " | ".join(map(str, budgets)) + " |",
        "|---|" + "---|" * len(budgets),
        *(
            f"| {line.title} | " + " | ".join(percent(line.cells.get(labels)) for labels in budgets) + " |"
            for line in table
        ),
        "",
    ]


def _cost(rows: Sequence[Row], recipe: Recipe) -> str:
    """Return what the runs took by timings.csv: every encoder once, everything else of every run."""
    encoders, spent = {}, dict.fromkeys(arms_in(rows), 0.0)
    for row in rows:
        arm = recipe.arms[row["arm"]]
        if row[SECONDS[0]]:
            encoders[arm.encoder_seed(int(row["seed"])), str(arm.data)] = float(row[SECONDS[0]])
        spent[arm.name] += sum(float(row[name]) for name in SECONDS[1:])
    dearest = max(spent, key=spent.__getitem__)
    told = f"{spell(sum(spent.values()))} of one core for training, scoring and selection"
    told += f" ({spell(spent[dearest])} of it for {dearest})" if spent[dearest] > sum(spent.values()) / 3 else ""
    return told + f"; {len(encoders)} encoders in {spell(sum(encoders.values()))} of one core" * bool(encoders)


if __name__ == "__main__":
    typer.run(main)
