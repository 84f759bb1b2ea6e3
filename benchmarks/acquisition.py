"""Every strategy against random, from the same encoders, first labels and seeds: area under the budget curve.

    python benchmarks/acquisition.py run frozen   [--fashion fashion-mnist-12k.tar] [--jobs 2]
    python benchmarks/acquisition.py run fixmatch [--fashion fashion-mnist-12k.tar] [--jobs 2]
    python benchmarks/acquisition.py table

`frozen` has a linear probe on features of five SimCLR encoders, six budgets, and 20 draws of the first labels for
strategies that compute, 5 for those that fit a network. `fixmatch` has FixMatch with a small Wide ResNet and the
strategies that look at how a network learns. Both add one row per finished cell to
benchmarks/results/acquisition.csv and go on after an interruption; `table` writes acquisition.md from it. Seed s uses
encoder s modulo 5; a strategy is set beside random of the same seed, which begins with the same labels.
"""

from __future__ import annotations

import datetime
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
import yaml
from rows import append_row, made_now, read_rows

from ssal import registry
from ssal.cells import Cell, cells_of
from ssal.conclude import environment
from ssal.errors import BadInput
from ssal.evaluation.statistics import aubc, paired_interval
from ssal.executors import local
from ssal.project import results
from ssal.recipe import load

HERE = Path(__file__).parent
RESULTS = HERE / "results"
TABLE = RESULTS / "acquisition.csv"
RECIPES = {"digits": "quickstart", "fashion_mnist": "image_folder"}
"""Data set -> the recipe whose data, backbone, encoder and FixMatch schedule are used."""
ENCODERS = 5
DRAWS, FEW = 20, 5
"""Seeds of strategies on frozen features: of those that compute, and of those that fit a network."""
SEEDS = {"digits": 5, "fashion_mnist": 3}
"""Of FixMatch."""
SIZES = {"digits": 20, "fashion_mnist": 40}
"""Labels of the first round and of every other one."""
ROUNDS = {"frozen": 6, "fixmatch": 4}
"""Label counts at which a learner is trained."""
COMPLETE = yaml.safe_load((HERE.parent / "recipes" / "complete.yaml").read_text(encoding="utf-8"))
"""Its arms and signals are those of `fixmatch`."""
CONTROLS = {"tod": "random_warm_start", "loss_prediction": "random_with_hinge_head", "ta_vaal": "random_with_bce_head"}
"""What trains its learner in another way than random does has a random of its own beside it."""
FEATURES = {"vaal": {"on": "features"}, "ta_vaal": {"on": "features"}, "sraal": {"on": "features"}}
"""On frozen features autoencoders encode these, too."""
COLUMNS = (
    "setting", "data", "arm", "strategy", "seed", "encoder", "labels", "accuracies", "aubc", "pretrain_seconds",
    "train_seconds", "score_seconds", "select_seconds", "commit", "date",
)  # fmt: skip
Setting = Literal["frozen", "fixmatch"]
WHAT = {
    "frozen": "A linear probe on features of five SimCLR encoders; autoencoders encode these features. 20 draws of\n"
    "the first labels where a strategy only computes, 5 where it fits a network.",
    "fixmatch": "FixMatch from the same encoders. TOD's learner starts warm, and those of loss_prediction and TA-VAAL\n"
    "train a head, so they stand beside a random arm whose learner does the same. TOD chooses from the second\n"
    "purchase on; consistency has 10 views in place of 50.",
}

app = typer.Typer(add_completion=False)


def arms_of(setting: Setting) -> dict[str, dict[str, Any]]:
    """Return what each arm lays over the recipe; on frozen features there is one per strategy of the registry."""
    if setting == "fixmatch":
        return dict(COMPLETE["arms"])
    names = ["random", *(name for name in registry.methods("strategy") if name not in ("random", *registry.bounds()))]
    return {name: {"acquisition": {"strategy": name}} for name in names}


def recipe_file(setting: Setting, data: str, arms: dict[str, dict[str, Any]], fashion: str, checkpoints: Path) -> Path:
    """Write the recipe of one setting and data set: the committed recipe's sections with these arms."""
    base = yaml.safe_load((HERE.parent / "recipes" / f"{RECIPES[data]}.yaml").read_text(encoding="utf-8"))
    base |= {"name": f"acquisition_{setting}_{data}", "arms": arms, "seeds": list(range(DRAWS))}
    base["compare"] = {"baseline": "random", "treatment": next(name for name in reversed(arms) if name != "random")}
    base["pretext"]["encoders"] = ENCODERS
    base["evaluation"] = {"references": []}
    size = SIZES[data]
    base["acquisition"] |= {
        "strategy": "random", "first_size": size, "query_size": size, "budget": ROUNDS[setting] * size,
    }  # fmt: skip
    if data == "fashion_mnist":
        base["data"]["path"] = str(Path(fashion).absolute())
    if setting == "frozen":
        base |= {"learner": {"method": "linear_probe"}, "signals": FEATURES}
    else:
        base["signals"] = COMPLETE["signals"]
    path = checkpoints / f"{base['name']}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(base, indent=1), encoding="utf-8")  # JSON is YAML
    return path


def runnable(
    setting: Setting, data: str, fashion: str, checkpoints: Path
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return the arms whose recipe loads, and why the others' does not."""
    arms, refused = {}, {}
    for name, section in arms_of(setting).items():
        try:
            load(
                recipe_file(
                    setting,
                    data,
                    {"random": {}, "margin": arms_of(setting)["margin"], name: section},
                    fashion,
                    checkpoints,
                )
            )
            arms[name] = section
        except BadInput as error:
            refused[name] = str(error).splitlines()[0].partition("; ")[0].rpartition(": ")[2]
    return arms, refused


def draws(setting: Setting, data: str, cell: Cell) -> int:
    """Return how many seeds an arm has."""
    if setting == "fixmatch":
        return SEEDS[data]
    sources = registry.sources_of(cell.arm.needs()).values()
    return FEW if any(source.traits["companion"] or "folder" in source.given for source in sources) else DRAWS


def row_of(setting: Setting, data: str, cell: Cell) -> dict[str, Any]:
    """Return the row of a finished cell."""
    found = results(cell.arm, cell.seed, cell.folder)
    labels, accuracies = [row["labels"] for row in found], [row["accuracy"] for row in found]
    return {
        "setting": setting,
        "data": data,
        "arm": cell.arm.name,
        "strategy": cell.arm.strategy,
        "seed": cell.seed,
        "encoder": cell.arm.encoder_seed(cell.seed),
        "labels": " ".join(map(str, labels)),
        "accuracies": " ".join(f"{accuracy:.6f}" for accuracy in accuracies),
        "aubc": aubc(labels, accuracies),
        "pretrain_seconds": found[0]["pretrain_seconds"],
        **{name: sum(row[name] for row in found) for name in ("train_seconds", "score_seconds", "select_seconds")},
    }


@app.command()
def run(
    setting: Annotated[str, typer.Argument(help="frozen or fixmatch")],
    fashion: Annotated[str, typer.Option(help="fashion-mnist-12k.tar; without it only digits")] = "",
    jobs: int = local.cores(),
    checkpoints: Path = Path("checkpoints"),
    only: Annotated[str, typer.Option(help="only this arm")] = "",
) -> None:
    """Run the cells that have no row yet, seed by seed, so that an interrupted table compares the same seeds."""
    chosen: Setting = "fixmatch" if setting == "fixmatch" else "frozen"
    done = {(row["setting"], row["data"], row["arm"], row["seed"]) for row in read_rows(TABLE)}
    made = made_now()
    for data in ("digits", *(["fashion_mnist"] if fashion else [])):
        arms, refused = runnable(chosen, data, fashion, checkpoints)
        for name, why in refused.items():
            print(f"{name} is not runnable here: {why}", flush=True)
        path = recipe_file(chosen, data, arms, fashion, checkpoints)
        cells = [cell for cell in cells_of(load(path), checkpoints) if only in ("", cell.arm.name)]
        cells = sorted((c for c in cells if c.seed < draws(chosen, data, c)), key=lambda cell: cell.seed)
        todo = [cell for cell in cells if (chosen, data, cell.arm.name, str(cell.seed)) not in done]
        told = [
            {
                "path": str(path),
                "overrides": [],
                "arm": cell.arm.name,
                "seed": cell.seed,
                "checkpoints": str(checkpoints),
            }
            for cell in todo
        ]
        names = [f"{data} {cell.arm.name} seed {cell.seed}" for cell in todo]
        began = datetime.datetime.now()
        for count, (index, state, value) in enumerate(local.run("ssal.cells:run_cell", told, names, jobs), start=1):
            passed = datetime.datetime.now() - began
            if state != "done":
                print(f"{names[index]}: {state}: {value}", flush=True)
                continue
            row = {**row_of(chosen, data, todo[index]), **made}
            append_row(TABLE, COLUMNS, row)
            print(f"{count} of {len(todo)}, {passed}: {names[index]}: {row['aubc']:.4f}", flush=True)


Column = dict[str, dict[int, float]]
"""Arm -> seed -> AUBC, of one setting and data set."""


def difference(column: Column, arm: str, control: str) -> tuple[float, str]:
    """Return the mean paired difference of two arms' AUBC in points, and it with its 95 % interval over encoders."""
    found, beside = column.get(arm, {}), column.get(control, {})
    groups: dict[int, list[float]] = defaultdict(list)  # draws on one encoder are not independent of each other
    for seed in sorted(found.keys() & beside.keys()):
        groups[seed % ENCODERS].append(100 * (found[seed] - beside[seed]))
    if arm == control or not groups:
        return (0.0, "") if arm == control else (-100.0, "—")
    interval = paired_interval(np.mean(values) for values in groups.values())
    reach = "" if interval.low is None else f" [{interval.low:+.1f}, {interval.high:+.1f}]"
    return interval.mean, f"{interval.mean:+.1f}{reach}"


def lines_of(setting: str, columns: dict[str, Column], seconds: dict[str, list[float]]) -> Iterator[str]:
    """Yield the lines of one table, the largest difference on the first data set first."""

    def beside(column: Column, arm: str) -> tuple[float, str]:
        return difference(column, arm, CONTROLS.get(arm, "random") if setting == "fixmatch" else "random")

    first = next(iter(columns.values()))
    yield "| arm | " + " | ".join(f"{data} | difference | seeds" for data in columns) + " | seconds |"
    yield "|---|" + "---|---|---|" * len(columns) + "---|"
    arms = {arm for column in columns.values() for arm in column}
    for arm in sorted(arms, key=lambda arm: (-beside(first, arm)[0], arm)):
        cells = [
            f"{100 * np.mean(list(column[arm].values())):.1f} | {beside(column, arm)[1]} | {len(column[arm])}"
            if arm in column
            else "— | — | 0"
            for column in columns.values()
        ]
        yield f"| {arm} | " + " | ".join(cells) + f" | {np.median(seconds[arm]):.1f} |"


@app.command()
def table() -> None:
    """Write acquisition.md: mean AUBC in percent and the paired difference to random, losses as losses."""
    columns: dict[str, dict[str, Column]] = {}
    seconds: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    spent: dict[str, float] = defaultdict(float)
    counts: dict[tuple[str, str], str] = {}
    for row in read_rows(TABLE):
        setting, data, arm = row["setting"], row["data"], row["arm"]
        columns.setdefault(setting, {}).setdefault(data, {}).setdefault(arm, {})[int(row["seed"])] = float(row["aubc"])
        scored = float(row["score_seconds"]) + float(row["select_seconds"])
        seconds[setting][arm].append(scored / (len(row["labels"].split()) - 1))
        spent[setting] += scored + float(row["train_seconds"])
        counts[setting, data] = row["labels"].replace(" ", ", ")
    page = [
        "# Strategies against random",
        "",
        "`python benchmarks/acquisition.py run frozen|fixmatch --fashion fashion-mnist-12k.tar`, then `… table`.",
        "Area under the budget curve (AUBC: test accuracy in percent, averaged over the label counts), mean over",
        "seeds; the paired difference to random of the same seed with a 95 % t interval over encoders; seconds to",
        "score and choose per round, median over all seeds of both data sets. Intervals are not corrected for",
        "the number of strategies: of twenty without any effect, one would exclude zero by chance alone.",
    ]
    for setting, found in columns.items():
        page += ["", f"## {setting}", "", WHAT[setting], ""]
        page += [f"- {data}: {counts[setting, data]} labels" for data in found]
        with tempfile.TemporaryDirectory() as place:
            refused = runnable("frozen" if setting == "frozen" else "fixmatch", "digits", "", Path(place))[1]
        page += [f"- {name} is not runnable here: {why}" for name, why in refused.items()]
        page += ["", *lines_of(setting, found, seconds[setting])]
        page += ["", f"{spent[setting] / 3600:.1f} hours of one core."]
    machine = ", ".join(f"{key} {value}" for key, value in environment().items())
    page += ["", f"Rows with seed, commit and date in acquisition.csv. Made on one machine: {machine}."]
    (RESULTS / "acquisition.md").write_text("\n".join(page) + "\n", encoding="utf-8")
    print("\n".join(page))


if __name__ == "__main__":
    app()
