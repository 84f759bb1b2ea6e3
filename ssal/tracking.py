"""Where a run's numbers go while it is under way: a line in log.jsonl always, and to the trackers a recipe names."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from ssal.artefacts import locked, make_folder, read_json, write_json
from ssal.errors import Waiting

LINES = "log.jsonl"
KEPT = (LINES, "mlflow.json", "wandb.json")
"""What a run's folder keeps for those who look on: its numbers, and its runs' names elsewhere."""


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


End = Callable[[str], None]
"""Told how a run ended: done, failed, waiting (for people) or stopped."""


def _tensorboard(experiment: Path, run: str, folder: Path) -> tuple[Sink, End]:
    from pytorch_lightning.loggers import TensorBoardLogger

    logger = TensorBoardLogger(experiment, name="tensorboard", version=run, default_hp_metric=False)
    return logger, logger.finalize  # it knows no states and closes its file


def _mlflow(experiment: Path, run: str, folder: Path) -> tuple[Sink, End]:
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
    if known:  # a resumed run goes on where it was
        logger.experiment.update_run(known, "RUNNING")
    else:
        write_json(kept, {"run_id": logger.run_id})
    states = {"done": "FINISHED", "failed": "FAILED", "waiting": "SCHEDULED", "stopped": "KILLED"}
    return logger, lambda ended: logger.finalize(states[ended])


def _wandb(experiment: Path, run: str, folder: Path) -> tuple[Sink, End]:
    from pytorch_lightning.loggers import WandbLogger

    kept = folder / "wandb.json"
    if not kept.exists():  # drawn, since machines that share a project may have the same folders
        write_json(kept, {"run_id": secrets.token_hex(8)})
    logger = WandbLogger(project=experiment.name, name=run, id=read_json(kept)["run_id"], save_dir=experiment)
    codes = {"done": 0, "failed": 1}  # 255 is W&B's own for a run that was interrupted
    # Lightning leaves the run open, and the next logger of this process would go on in it.
    return logger, lambda ended: logger.experiment.finish(exit_code=codes.get(ended, 255))


TRACKERS: dict[str, tuple[str, Callable[[Path, str, Path], tuple[Sink, End]]]] = {
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
    ends: list[End] = []
    ended = "stopped"  # by Ctrl-C, a signal or an exit, which are no errors
    try:
        if trackers:
            with locked(experiment / ".trackers"):  # of many cells at once, one makes the database
                for name in trackers:
                    sink, end = TRACKERS[name][1](experiment, run, folder)
                    sinks.append(sink)
                    ends.append(end)
        token = _sinks.set(tuple(sinks))
        try:
            yield
        finally:
            _sinks.reset(token)
        ended = "done"
    except Waiting:
        ended = "waiting"
        raise
    except Exception:
        ended = "failed"
        raise
    finally:
        for end in ends:
            end(ended)


def log(where: Sequence[int | str], metrics: Mapping[str, Any], step: int) -> None:
    """Send the numbers among `metrics`, named after where they come from, as in round/2/accuracy."""
    found = {name: float(value) for name, value in metrics.items() if isinstance(value, int | float)}
    prefixed = {"/".join([*map(str, where), name]): value for name, value in found.items()}
    for sink in _sinks.get():
        sink.log_metrics(prefixed, step)
