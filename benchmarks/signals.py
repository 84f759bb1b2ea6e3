"""Seconds and memory of every strategy, of its signals and its choosing, at 12,000 and 50,000 images.

    python benchmarks/signals.py run [--fashion fashion-mnist-12k.tar] [--pool 12000 --pool 50000] [--limit 15]
    python benchmarks/signals.py table

`run` adds one row per finished cell to benchmarks/results/signals.csv and goes on after an interruption; a cell is
measured again once its row is deleted. `table` writes signals.md from the rows. Every cell has a process of its own, in
which one step is trained before anything is measured, so that libraries are loaded. Strategies, options and what else
a signal can be made `on` come from the registry. Encoder and learners are trained for a few steps: what is measured
depends on their shape, not on how good they are.
"""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, get_args

import torch
import typer
from measuring import measured
from pictures import CLASSES, images_of
from rows import append_row, made_now, read_rows
from torch.nn.modules.module import register_module_forward_hook

from ssal import recipe, registry
from ssal.acquisition.choose import choose
from ssal.artefacts import read_json, write_json
from ssal.conclude import environment
from ssal.data.images import Images, ImageSet
from ssal.errors import BadInput
from ssal.labelling.ledger import Entry, Ledger
from ssal.learner.train import train
from ssal.learner.trained import Trained
from ssal.pretext.encoder import Encoder
from ssal.pretext.pretrain import pretrain
from ssal.signals.collect import collect
from ssal.signals.kept import OUTPUTS
from ssal.streams import generator

HERE = Path(__file__).parent
POOLS = (12_000, 50_000)
PER_CLASS, ASKED, SEED, STEPS = 10, 100, 0, 30
LEARNERS: dict[str, dict[str, Any]] = {
    "linear_probe": {},
    "fixmatch": {"steps": STEPS, "batch_size": 32, "mu": 3, "dropout": 0.5},
}
"""One on frozen features, and one that sees images and has dropout; companion heads are trained with it."""
COLUMNS = (
    "pictures", "pool", "learner", "strategy", "on", "outcome", "signal_seconds", "choose_seconds", "mebibytes",
    "forwards_per_image", "threads", "commit", "date",
)  # fmt: skip
KEY = COLUMNS[:5]
DONE, OVER = "done", "over"

app = typer.Typer(add_completion=False)


def arm() -> recipe.Arm:
    """Return the recipe for images of one's own on 2 cores, with few steps for its encoder."""
    path = HERE.parent / "recipes" / "image_folder.yaml"
    return recipe.load(path, ["data.path=.", f"pretext.max_steps={STEPS}"]).arms["ssl_and_al"]


def standing(
    fashion: str, pool: int, learner: str, checkpoints: Path, place: Path
) -> tuple[tuple[Trained, Encoder, Images, Ledger], Path]:
    """Return a round as strategies find it and the outputs of one before, training what has not been trained yet."""
    images, ledger, counts, entries = (
        images_of(fashion, pool, checkpoints, SEED),
        Ledger(place / "ledger"),
        Counter[str](),
        [],
    )
    for id, label in images.hidden.items():
        counts[label] += 1
        entries += [Entry(id, label, "oracle", 0, "stratified")] if counts[label] <= PER_CLASS else []
    ledger.append(entries)
    encoder = pretrain(images, checkpoints, **arm().encoder(SEED))
    encoder.features(images)  # once a run
    frozen = registry.find("learner", learner).traits.get("frozen")
    heads: dict[str, Any] = {
        name: {} for name in registry.methods("signal") if registry.companion_of(name) and not frozen
    }
    trained = train(
        encoder, images, ledger, 1, checkpoints, SEED, arm().trainer,
        method=learner, options=LEARNERS[learner], companions=heads,
    )  # fmt: skip
    assert trained
    stand, before = (trained, encoder, images, ledger), checkpoints / "benchmark_signals" / trained.folder.name
    if not (before / OUTPUTS).exists():
        collect((), *stand, before, None, names=(SEED, "before"), options={})
    return stand, before / OUTPUTS


def warm_up(encoder: Encoder, images: Images, ledger: Ledger, place: Path) -> None:
    """Load what training and scoring load, which a round has behind it, on the labelled images alone."""
    ids = sorted(ledger.labels())
    pixels = images.pool.fetch(torch.tensor([images.pool.row(id) for id in ids]))
    few = replace(images, pool=ImageSet(ids, [""] * len(ids), pixels), fingerprint="few")
    options = {"steps": 1, "batch_size": 2}
    one_step = train(encoder, few, ledger, 1, place, SEED, arm().trainer, method="supervised", options=options)
    collect((), one_step, encoder, few, ledger, place, None, names=(SEED, "warm up"), options={})


@app.command(hidden=True)
def cell(told: str) -> None:
    """Measure one strategy, as JSON tells, and leave the rest of its row in row.json."""
    given = json.loads(told)
    place, pool = Path(given["place"]), given["pool"]
    stand, previous = standing(given["fashion"], pool, given["learner"], Path(given["checkpoints"]), place)
    warm_up(*stand[1:], place / "warm")
    method, images = registry.find("strategy", given["strategy"]), stand[2]
    options = {name: {"on": given["on"]} for name in others(given["strategy"]) if given["on"]}
    backbone, forwarded = type(stand[1].build()), [0]

    def count(module: torch.nn.Module, inputs: Any, _: Any) -> None:
        if isinstance(module, backbone):
            forwarded[0] += len(inputs[0])

    def ask() -> tuple[float, float]:
        began, folder, names = time.perf_counter(), place / "round", (SEED, "signals")
        needs = sorted(registry.needs_of(method, {}))
        table = collect(needs, *stand, folder, previous, names=names, options=options)
        collected = time.perf_counter()
        ids, draws = [images.pool.ids[row] for row in table["rows"].tolist()], generator(SEED, "choose")
        choose(method, table, ids, ASKED, draws, classes=CLASSES, options={})
        return collected - began, time.perf_counter() - collected

    row: dict[str, Any] = {"outcome": DONE, "threads": torch.get_num_threads()}
    try:
        with register_module_forward_hook(count):
            _, mebibytes, (signals, choosing) = measured(ask)
        row |= {"signal_seconds": round(signals, 3), "choose_seconds": round(choosing, 3)}
        row |= {"mebibytes": round(mebibytes), "forwards_per_image": round(forwarded[0] / pool, 2)}
    except BadInput as error:
        row["outcome"] = " ".join(str(error).split())
    write_json(place / "row.json", row)


def others(strategy: str) -> dict[str, list[str]]:
    """Return the sources behind a strategy that have an option `on`, and what that can be beside its default."""
    sources = registry.sources_of(registry.needs_of(registry.find("strategy", strategy), {}))
    having = {name: source for name, source in sources.items() if "on" in source.options}
    every = {name: get_args(source.model.model_fields["on"].annotation) for name, source in having.items()}
    return {name: [one for one in every[name] if one != source.options["on"]] for name, source in having.items()}


@app.command()
def run(
    fashion: Annotated[str, typer.Option(help="fashion-mnist-12k.tar; without it ten synthetic patterns")] = "",
    pool: Annotated[list[int], typer.Option(help="how many images")] = list(POOLS),  # noqa: B006
    limit: Annotated[float, typer.Option(help="minutes after which a strategy's process is ended")] = 15,
    strategy: Annotated[str, typer.Option(help="only this strategy")] = "",
    checkpoints: Path = Path("checkpoints"),
    results: Path = HERE / "results",
) -> None:
    """Measure the cells that have no row yet, one after the other."""
    pictures, path = ("fashion_mnist", str(Path(fashion).absolute())) if fashion else ("synthetic", "")
    names = [strategy] if strategy else [name for name in registry.methods("strategy") if name not in registry.bounds()]
    variants = [(name, on) for name in names for on in ("", *dict.fromkeys(sum(others(name).values(), [])))]
    done, began = (
        {tuple(row[key] for key in KEY) for row in read_rows(results / "signals.csv")},
        datetime.datetime.now(),
    )
    cells = [(pictures, str(size), learner, *one) for size in pool for learner in LEARNERS for one in variants]
    todo, prepared = [key for key in cells if key not in done], set()
    made = made_now()
    for number, key in enumerate(todo, start=1):
        facts: dict[str, Any] = {**dict(zip(KEY, key, strict=True)), "pool": int(key[1])}
        row: dict[str, Any] = {"outcome": f"{OVER} {limit:g} min", "threads": torch.get_num_threads()}
        with tempfile.TemporaryDirectory() as place:
            if key[:3] not in prepared:  # here, as training has no limit
                standing(path, facts["pool"], facts["learner"], checkpoints, Path(place) / "prepared")
                prepared.add(key[:3])
            told = json.dumps({**facts, "fashion": path, "checkpoints": str(checkpoints.absolute()), "place": place})
            command = [sys.executable, __file__, "cell", told]
            try:
                subprocess.run(command, check=True, timeout=60 * limit, capture_output=True, text=True)
                row = read_json(Path(place) / "row.json")
            except subprocess.CalledProcessError as error:
                print(f"{' '.join(key)}: no row:\n{error.stderr[-2000:]}", flush=True)
                continue
            except subprocess.TimeoutExpired:
                pass
        append_row(results / "signals.csv", COLUMNS, {**facts, **row, **made})
        took = f"{row['signal_seconds']} + {row['choose_seconds']} s" if row["outcome"] == DONE else row["outcome"]
        print(f"{number} of {len(todo)}, {datetime.datetime.now() - began}: {' '.join(key)}: {took}", flush=True)


def shown(row: dict[str, str] | None) -> str:
    """Return the three columns of a strategy and a pool."""
    if row is None or row["outcome"] != DONE:
        return f"{row['outcome'] if row else '—'} | — | —"
    seconds = (float(row[name]) for name in ("signal_seconds", "choose_seconds"))
    return " | ".join([*(f"{s:.2f}" if s < 10 else f"{s:.0f}" for s in seconds), row["mebibytes"]])


@app.command()
def table(
    results: Path = HERE / "results",
    beside: Annotated[str, typer.Option(help="What else the machine was doing meanwhile")] = "",
) -> None:
    """Write signals.md: a table per learner, a line per strategy."""
    found = read_rows(results / "signals.csv")
    machine = ", ".join(f"{key} {value}" for key, value in environment().items() if key != "threads")
    facts = {name: ", ".join(sorted({row[name] for row in found})) for name in ("threads", "date", "commit")}
    page = [
        "# Seconds and memory of every strategy",
        "",
        "`python benchmarks/signals.py run --fashion fashion-mnist-12k.tar`, then `… table`. One measurement per cell,",
        f"options at their defaults, seed {SEED}; {CLASSES * PER_CLASS} images have labels, {ASKED} are asked for.",
        "Signals: all that stands between a trained learner and the choice, networks that are fitted for it included.",
        "Every round passes over the pool once, as `random` shows. MiB: what the process grew by at its highest,",
        "beyond libraries, images and learner. Forwards: how often an image passes the backbone; for a learner on",
        "frozen features the encoder's one pass is made once a run and not counted. Images are grey, 28×28 pixels.",
        "Those of fashion_mnist are the image folder's 12,000, training and test part together; above that number they",
        "come again, moved by up to 3 pixels and with noise. Synthetic ones are ten patterns so treated.",
        f"Encoder ({arm().backbone['name']}) and FixMatch had {STEPS} steps: nothing here speaks of accuracy.",
    ]
    for pictures, learner in dict.fromkeys((row["pictures"], row["learner"]) for row in found):
        own = [row for row in found if (row["pictures"], row["learner"]) == (pictures, learner)]
        pools, lacking = sorted({int(row["pool"]) for row in own}), dict[str, str]()
        page += ["", f"## {learner}, {pictures}", "", "| strategy | forwards |"]
        page[-1] += "".join(f" {pool:,}: signals, s | choosing, s | MiB |" for pool in pools)
        page.append("|---" * (2 + 3 * len(pools)) + "|")
        for name, on in sorted({(row["strategy"], row["on"]) for row in own}):
            here = {int(row["pool"]): row for row in own if (row["strategy"], row["on"]) == (name, on)}
            called = f"{name}, on: {on}" if on else name
            reasons = {row["outcome"] for row in here.values() if not row["outcome"].startswith((DONE, OVER))}
            lacking |= dict.fromkeys([called] * len(reasons), "; ".join(sorted(reasons)))
            passes = next((row["forwards_per_image"] for row in here.values() if row["forwards_per_image"]), "—")
            cells = [passes, *(shown(here.get(pool)) for pool in pools)]
            page += [] if reasons else [f"| {called} | {' | '.join(cells)} |"]
        page += ["", "Not runnable with this learner:", ""] if lacking else []
        page += [f"- {called}: {why}" for called, why in lacking.items()]
    page += ["", "Threads {threads}; dates {date}; commits {commit}.".format(**facts)]
    page += [f"Made on one machine: cores {os.cpu_count()}, {machine}."]
    page += [f"Meanwhile it ran {beside}."] if beside else []
    (results / "signals.md").write_text("\n".join(page) + "\n", encoding="utf-8")
    print("\n".join(page))


if __name__ == "__main__":
    app()
