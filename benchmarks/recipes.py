"""Run a recipe from nothing and keep what it gave: results.csv, and a page with table, verdict, machine and cost.

    python benchmarks/recipes.py quickstart recipes/quickstart.yaml
    python benchmarks/recipes.py sign_digits recipes/image_folder.yaml name=sign_digits data.path=PATH

writes benchmarks/results/NAME.csv and NAME.md. Runs start in an empty checkpoints folder, so nothing is reused.
"""

from __future__ import annotations

import datetime
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import processor_in_words

from ssal.conclude import environment
from ssal.evaluation.results import read_results
from ssal.evaluation.table import budgets_in, lines, percent

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Run, time and write."""
    name, recipe, *overrides = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "ssal", "compare", recipe, *overrides]
        began = time.perf_counter()
        done = subprocess.run([*command, "--checkpoints", folder], capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - began
        if done.returncode:
            sys.exit(done.stderr + done.stdout)
        (found,) = Path(folder).glob("*/results.csv")
        shutil.copy(found, RESULTS / f"{name}.csv")
        rows = read_results(found)
    table = lines(rows)
    budgets = budgets_in(table)
    shown = [override for override in overrides if not override.startswith("data.path=")]
    shown += [f"data.path={Path(o.split('=', 1)[1]).name}" for o in overrides if o.startswith("data.path=")]
    page = [
        f"# {name}",
        "",
        f"`ssal compare {' '.join([recipe, *shown])}` — {seconds:.0f} s in all, everything computed anew.",
        "",
        f"{processor_in_words()}, {platform.system()}; {datetime.date.today().isoformat()}; seeds "
        f"{', '.join(str(seed) for seed in sorted({int(row['seed']) for row in rows}))}; "
        + ", ".join(f"{key} {value}" for key, value in environment().items() if key != "machine"),
        "",
        "Test accuracy in percent, mean ± sd over seeds, by labels used:",
        "",
        "| arm | " + " | ".join(map(str, budgets)) + " |",
        "|---|" + "---|" * len(budgets),
        *(
            f"| {line.title} | " + " | ".join(percent(line.cells.get(labels)) for labels in budgets) + " |"
            for line in table
        ),
        "",
        *done.stdout.partition("rows: ")[2].partition("\n")[2].partition("report:")[0].strip().splitlines(),
        "",
    ]
    (RESULTS / f"{name}.md").write_text("\n".join(page), encoding="utf-8")
    print("\n".join(page))


if __name__ == "__main__":
    main()
