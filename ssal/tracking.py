"""Where a run's numbers go while it is under way: a line in log.jsonl always, and to the trackers a recipe names."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from ssal.artefacts import fingerprint, locked, make_folder, read_json, write_json

LINES = "log.jsonl"


class Sink(Protocol):
    """What takes numbers: Lightning's loggers do, and so do the lines of a file."""

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        """Take named numbers at a step."""


class Lines:
    """Numbers as lines of JSON with their time; a kill can cut the last one short."""

    def __init__(self, path: Path) -> None:
        """Append to `path`."""
        self.path = path

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        """Add one line."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"at": datetime.now(UTC).isoformat(), "step": step, **metrics}) + "\n")


def _tensorboard(experiment: Path, run: str, folder: Path) -> Sink:
    from pytorch_lightning.loggers import TensorBoardLogger

    return TensorBoardLogger(experiment, name="tensorboard", version=run, default_hp_metric=False)


def _mlflow(experiment: Path, run: str, folder: Path) -> Sink:
    from pytorch_lightning.loggers import MLFlowLogger

    place = f"sqlite:///{(experiment.parent / 'mlflow.sqlite').absolute()}"
    kept = folder / "mlflow.json"
    known = read_json(kept)["run_id"] if kept.exists() else None
    logger = MLFlowLogger(
        experiment_name=experiment.name,
        run_name=run,
        run_id=known,
        tracking_uri=os.environ.get("MLFLOW_TRACKING_URI", place),
    )
    if not known:  # a resumed run goes on where it was
        write_json(kept, {"run_id": logger.run_id})
    return logger


def _wandb(experiment: Path, run: str, folder: Path) -> Sink:
    from pytorch_lightning.loggers import WandbLogger

    return WandbLogger(project=experiment.name, name=run, id=fingerprint(str(folder)), save_dir=experiment)


TRACKERS: dict[str, tuple[str, Callable[[Path, str, Path], Sink]]] = {
    "tensorboard": ("tensorboard", _tensorboard),
    "mlflow": ("mlflow", _mlflow),
    "wandb": ("wandb", _wandb),
}
"""Tracker -> the package it needs, and what starts it for an experiment's folder, a run's name and its folder."""


def missing(trackers: Sequence[str]) -> list[str]:
    """Return those of `trackers` whose package is not installed."""
    return [name for name in trackers if find_spec(TRACKERS[name][0]) is None]


_sinks: ContextVar[tuple[Sink, ...]] = ContextVar("sinks", default=())


@contextmanager
def tracking(trackers: Sequence[str], folder: Path) -> Iterator[None]:
    """Send what is logged in the block to log.jsonl in `folder`, <experiment>/<arm>/<seed>, and to the trackers."""
    experiment, run = folder.parent.parent, f"{folder.parent.name}-{folder.name}"
    sinks: list[Sink] = [Lines(make_folder(folder) / LINES)]
    if trackers:
        with locked(experiment / ".trackers"):  # of many cells at once, one makes the database
            sinks += [TRACKERS[name][1](experiment, run, folder) for name in trackers]
    token = _sinks.set(tuple(sinks))
    try:
        yield
    finally:
        _sinks.reset(token)
        for sink in sinks[1:]:
            sink.finalize("success")  # type: ignore[attr-defined]


def log(where: Sequence[int | str], metrics: Mapping[str, Any], step: int) -> None:
    """Send the numbers among `metrics`, named after where they come from, as in round/2/accuracy."""
    found = {name: float(value) for name, value in metrics.items() if isinstance(value, int | float)}
    prefixed = {"/".join([*map(str, where), name]): value for name, value in found.items()}
    for sink in _sinks.get():
        sink.log_metrics(prefixed, step)
