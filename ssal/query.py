"""What every strategy that one trained learner can serve would ask for, side by side; a run is left as it is."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from ssal import registry
from ssal.acquisition.choose import choose
from ssal.acquisition.chosen import Choice
from ssal.artefacts import locked, read_json, write_json, write_text
from ssal.cells import cells_named
from ssal.errors import BadInput, Diverged, listing, told
from ssal.evaluation import picks
from ssal.fingerprints import fingerprint
from ssal.recipe import Arm, Recipe
from ssal.recipe.coherence import OF_ENCODER, behind, without_maps
from ssal.recipe.filling import located
from ssal.registry import Method
from ssal.signals.afterwards import accompany
from ssal.signals.collect import collect
from ssal.signals.watch import Watch
from ssal.spreadsheet import read_table, table_text
from ssal.standing import Standing, standing
from ssal.streams import generator

QUERY, PICKS, WORK = "query.json", "query.csv", ".query"
ALL = "all"
COLUMNS = ("strategy", "rank", "id", "path", "score", "predicted")
ORACLE_COLUMNS = ("oracle_label", "oracle_wrong")
ORACLE = "oracle: error rates are of hidden labels, which were read after every choice and which a project has not"


@dataclass(frozen=True)
class Wanted:
    """A strategy with the options it is called with."""

    method: Method
    options: dict[str, Any]

    @property
    def needs(self) -> tuple[str, ...]:
        """The signals that it and its children are called with."""
        return registry.needs_of(self.method, self.options)

    @property
    def sources(self) -> dict[str, Method]:
        """The signal sources behind them. Raises BadInput where a signal has none."""
        return registry.sources_of(self.needs)


@dataclass
class Asked:
    """What came of asking every strategy."""

    table: dict[str, Tensor] = field(default_factory=dict)
    chosen: dict[str, list[Choice]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    """Of choosing alone, by strategy."""
    fitted: set[str] = field(default_factory=set)
    """Sources whose head the learner was not trained with, and has now."""
    refused: dict[str, str] = field(default_factory=dict)
    """Why a strategy cannot run here, in one line."""
    watch: Watch = field(default_factory=Watch)


def query(
    recipe: Recipe,
    checkpoints: Path,
    strategies: str = ALL,
    arm: str = "",
    seed: int | None = None,
    number: int | None = None,
    size: int | None = None,
) -> dict[str, Any]:
    """Write query.csv and query.json beside results.csv, and return what the latter holds.

    `strategies` are `all`, or names with commas between. The arm is the treatment or the first, the seed the first,
    round `number` the last with a learner, `size` the arm's own or the rest of the pool, unless given. Every strategy
    is called as a run would call it in that round, with the arm's options where it has some. Raises BadInput.
    """
    cell = cells_named(recipe, checkpoints, arm or recipe.first_arm, seed)[0]
    wanted = _wanted(recipe, cell.arm, strategies)
    stand = standing(recipe, cell, checkpoints, number)
    if not stand.free:
        raise BadInput(
            f"{recipe.path}: round {stand.number} has nothing left to ask for; type --round with an earlier one"
        )
    if size is not None and not 1 <= size <= stand.free:
        what = f"as many images have no label in round {stand.number}"
        raise BadInput(f"--size: expected 1 to {stand.free}, got {size}; {what}")
    asked = ask_all(wanted, stand, size or min(cell.arm.query_size, stand.free), checkpoints / recipe.name / WORK)
    if not asked.chosen:
        reasons = "".join(f"\n  {name}: {why}" for name, why in asked.refused.items())
        raise BadInput(f"{recipe.path}: none of these strategies can run here{reasons}")
    return _write(checkpoints / recipe.name, wanted, stand, asked)


def read_query(folder: Path) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Return `folder`'s query.json and the rows of its query.csv; both empty where the run went on with others since.

    A run that was started again has another learner in the round that was asked about.
    """
    if not ((folder / QUERY).exists() and (folder / PICKS).exists()):
        return {}, []
    found = read_json(folder / QUERY)
    metrics = folder / found["arm"] / f"seed_{found['seed']}" / f"round_{found['round']}" / "metrics.json"
    if not metrics.exists() or read_json(metrics)["learner_folder"] != found["learner_folder"]:
        return {}, []
    return found, read_table(folder / PICKS)


def _wanted(recipe: Recipe, arm: Arm, strategies: str) -> dict[str, Wanted]:
    """Return the strategies by name, those of a file as `file.py:name`, with the path where two files share theirs.

    Raises BadInput with the nearest name.
    """
    options = {arm.first_round: arm.first_options, arm.strategy: arm.options}
    every = [*(name for name in arm.strategies() if ".py:" in name), *registry.methods("strategy")]
    typed = [name for part in strategies.split(",") if (name := part.strip())]
    if not typed:
        raise BadInput(f"--strategies: expected {ALL}, or names with commas between, got {strategies!r}")
    try:
        places = [place for name in typed for place in (every if name == ALL else [located(name, recipe.path.parent)])]
        found = {place: Wanted(registry.find("strategy", place), options.get(place, {})) for place in places}
    except BadInput as error:
        raise BadInput(f"--strategies: {error}; {ALL} asks every one") from error
    namesakes = Counter(Path(place).name for place in found)
    return {place if namesakes[Path(place).name] > 1 else Path(place).name: one for place, one in found.items()}


def _hindrance(wanted: Wanted, stand: Standing) -> str:
    """Return why the run itself lacks what a strategy needs, or an empty string."""
    try:
        needed = {name for need in wanted.needs for name in behind(need)}
    except BadInput as error:
        return _line(error)
    if not stand.encoder.ready and needed & OF_ENCODER:
        return "it needs an encoder, and nothing gives one: pretext.method is none and backbone.weights null"
    if oracles := registry.oracles_of(wanted.needs):
        return f"{listing(oracles)} reads hidden and test labels: a bound for benchmarks, and nothing to ask people by"
    if stand.previous is None and "previous" in needed:
        return f"it looks back at the learner of the round before, and round {stand.number} has the first one"
    for name in filter(registry.companion_of, wanted.sources):
        if why := without_maps(stand.cell.arm.learner_method, stand.cell.arm.backbone["name"]):
            return f"{name} {why}"
    return ""


def _line(error: Exception) -> str:
    """Return what to tell of an error, with its kind where nobody meant a user to see it."""
    kind = "" if isinstance(error, BadInput | Diverged) else f"{type(error).__name__}: "
    return " ".join(f"{kind}{told(error)}".split())


def ask_all(wanted: Mapping[str, Wanted], stand: Standing, size: int, work: Path) -> Asked:
    """Return what every strategy picks from one table; why others cannot run is in `refused`.

    What sources fit is kept in `work` until all have chosen, so that a query that is killed goes on from there.
    """
    asked, images, names = Asked(), stand.images, (stand.cell.seed, "round", stand.number)
    asked.refused = {name: why for name, one in wanted.items() if (why := _hindrance(one, stand))}
    needs = {need for name, one in wanted.items() if name not in asked.refused for need in one.needs}
    drawn, options = (*names, "signals"), stand.cell.arm.signals
    folder = work / fingerprint(stand.learner.folder.name, stand.number, options)  # all that a fit follows from
    with locked(folder):
        for table in folder.glob("table_*"):
            table.unlink()  # nobody knows any more what it lacks, and why
        for name, source in registry.sources_of(needs).items():
            try:
                took = accompany(stand.learner, {name: source}, options, drawn, folder)
                asked.fitted |= set(took)
                asked.watch.seconds |= took
            except (BadInput, Diverged) as error:
                asked.watch.refused[name] = _line(error)
        asked.table = collect(
            sorted({"probabilities", *needs}), stand.learner, stand.encoder, images, stand.ledger, folder,
            stand.previous, names=drawn, options=options, budget=size, aside=stand.aside, watch=asked.watch,
        )  # fmt: skip
        ids = [images.pool.ids[row] for row in asked.table["rows"].tolist()]
        classes = len(stand.ledger.class_numbers(images.classes))
        for name, one in wanted.items():
            if name in asked.refused:
                continue
            given_up = [asked.watch.refused[source] for source in one.sources if source in asked.watch.refused]
            began = time.perf_counter()
            try:
                if given_up:
                    raise BadInput(given_up[-1])
                asked.chosen[name] = choose(
                    one.method, asked.table, ids, size, generator(*names, "choose"),
                    classes=classes, options=one.options,
                )  # fmt: skip
            except Exception as error:  # of somebody's own file: the others have nothing to do with it
                asked.refused[name] = _line(error)
            asked.seconds[name] = time.perf_counter() - began
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # another query is at work there
        work.rmdir()
    return asked


def _answered(arm: Arm) -> str:
    note = arm.labelling_note()
    return "" if note == arm.answered_by else f"; what the run itself was told is by {note}"


def _write(folder: Path, wanted: Mapping[str, Wanted], stand: Standing, asked: Asked) -> dict[str, Any]:
    """Write both files and return query.json; this is where hidden labels are read, all choices having been made."""
    images, watch = stand.images, asked.watch
    classes = list(stand.ledger.class_numbers(images.classes))
    pool = [images.pool.ids[row] for row in asked.table["rows"].tolist()]
    guesses = asked.table["probabilities"].argmax(dim=1).tolist()
    predicted = {id: classes[number] for id, number in zip(pool, guesses, strict=True)}
    labels = {id: images.hidden[id] for id in pool} if images.hidden else {}
    found = {name: [choice.id for choice in choices] for name, choices in asked.chosen.items()}
    answer = {
        "arm": stand.cell.arm.name,
        "seed": stand.cell.seed,
        "round": stand.number,
        "learner": stand.cell.arm.learner_method,
        "learner_folder": stand.learner.folder.name,
        "labels": len(stand.ledger.labels()),
        "pool": len(pool),
        "size": len(next(iter(found.values()))),
        "oracle": f"{ORACLE}{_answered(stand.cell.arm)}" if labels else "",
        **picks.side_by_side(found, predicted, labels, sorted(classes)),
        "signal_options": stand.cell.arm.resolved()["signals"],
        "signal_seconds": watch.seconds,
        "not_runnable": {name: asked.refused[name] for name in wanted if name in asked.refused},
    }
    for name, facts in answer["strategies"].items():
        method, sources = wanted[name].method, wanted[name].sources
        facts |= {"source": method.source, "signals": list(wanted[name].needs)}
        fits = asked.fitted | {source for source in sources if "folder" in sources[source].given}
        facts["fitted_afterwards"] = bool(fits & set(sources))
        facts["choosing_seconds"] = asked.seconds[name]
        facts["seconds"] = asked.seconds[name] + sum(watch.seconds.get(source, 0.0) for source in sources)
    rows = []
    for name, choices in asked.chosen.items():
        for c in choices:
            path, score = images.pool.paths[images.pool.row(c.id)], "" if c.score is None else c.score
            truth = [labels[c.id], int(labels[c.id] != predicted[c.id])] if labels else []
            rows.append([name, c.rank, c.id, path, score, predicted[c.id], *truth])
    write_text(folder / PICKS, table_text([*COLUMNS, *(ORACLE_COLUMNS if labels else ())], rows))
    write_json(folder / QUERY, answer)
    return answer
