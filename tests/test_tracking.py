"""Where numbers go while a run is under way: lines of JSON always; TensorBoard and MLflow for real, where installed."""

from __future__ import annotations

import json
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tiny_runs import pictures, recipe, write_pictures

from ssal import tracking
from ssal.cells import cells_of
from ssal.errors import BadInput, Diverged, Waiting
from ssal.project import results, run_project


def finished(folder: Path, **trainer: Any) -> tuple[Path, list[dict[str, Any]]]:
    """Return the folder of a tiny run and the rows it came to."""
    root = write_pictures(folder / "pictures")
    loaded = recipe(
        folder / "tiny.yaml",
        data={"source": "folder", "path": str(root), "size": 8, "flip": False},
        learner={"method": "fixmatch", "steps": 4, "batch_size": 8, "mu": 2},
        trainer={"accelerator": "cpu", **trainer},
    )
    (cell,) = cells_of(loaded, folder / "checkpoints")
    images = pictures(root, folder / "checkpoints")
    run_project(cell.arm, 0, images, folder / "checkpoints", cell.folder)
    return cell.folder, results(cell.arm, 0, cell.folder)


def test_losses_and_metrics_are_lines_of_json(tmp_path: Path) -> None:
    folder, rows = finished(tmp_path)
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    losses = [line for line in lines if any(name.endswith("/loss") for name in line)]
    assert [line["step"] for line in losses] == [4, 4]
    measured = [line for line in lines if "labels/accuracy" in line]
    assert [line["step"] for line in measured] == [8, 12]
    assert [line["labels/accuracy"] for line in measured] == [row["accuracy"] for row in rows]
    assert all(line["at"] for line in lines)


def test_nothing_is_sent_outside_of_a_run(tmp_path: Path) -> None:
    tracking.log(["round", 1], {"loss": 0.5}, 10)
    with tracking.tracking((), tmp_path / "experiment" / "arm" / "seed_0"):
        tracking.log(["round", 1], {"loss": 0.5, "name": "no number"}, 10)
    tracking.log(["round", 1], {"loss": 0.25}, 20)
    (line,) = (tmp_path / "experiment/arm/seed_0/log.jsonl").read_text().splitlines()
    assert {name: value for name, value in json.loads(line).items() if name != "at"} == {
        "step": 10,
        "round/1/loss": 0.5,
    }


@pytest.mark.slow
def test_tensorboard_shows_what_the_lines_say(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed: pip install 'ssal[tensorboard]'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder, rows = finished(tmp_path, trackers=["tensorboard"])
    events = EventAccumulator(str(folder.parent.parent / "tensorboard" / "main-seed_0"))
    events.Reload()
    found = events.Scalars("labels/accuracy")
    assert [event.step for event in found] == [8, 12]
    assert [event.value for event in found] == pytest.approx([row["accuracy"] for row in rows])
    assert sum(tag.endswith("/loss") for tag in events.Tags()["scalars"]) == 2


@pytest.mark.slow
def test_mlflow_keeps_a_run_per_cell_which_goes_on_after_a_stop(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="MLflow is not installed: pip install 'ssal[mlflow]'")
    from mlflow.tracking import MlflowClient

    folder, rows = finished(tmp_path, trackers=["mlflow"])
    for name in ("finished.json", "round_2/metrics.json"):
        (folder / name).unlink()
    finished(tmp_path, trackers=["mlflow"])
    client = MlflowClient(f"sqlite:///{tmp_path / 'checkpoints' / 'mlflow.sqlite'}")
    (experiment,) = [one for one in client.search_experiments() if one.name == "tiny"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "main-seed_0"
    history = client.get_metric_history(run.info.run_id, "labels/accuracy")
    assert [one.step for one in history] == [8, 12, 12], "the round that was measured again is sent again"
    assert [one.value for one in history[:2]] == pytest.approx([row["accuracy"] for row in rows])


def test_a_tracker_that_is_not_installed_is_told_when_the_recipe_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tracking.TRACKERS, "mlflow", ("no_such_package", tracking.TRACKERS["mlflow"][1]))
    with pytest.raises(
        BadInput, match=r"trainer.trackers\[0\]: mlflow is not installed; type pip install 'ssal\[mlflow\]'"
    ):
        recipe(tmp_path / "tiny.yaml", trainer={"accelerator": "cpu", "trackers": ["mlflow"]})


def test_naming_a_tracker_later_keeps_the_run(tmp_path: Path) -> None:
    folder, rows = finished(tmp_path)
    before = (folder / "round_1" / "metrics.json").stat().st_mtime_ns
    assert finished(tmp_path, trackers=[], checkpoint_seconds=5)[1] == rows
    assert (folder / "round_1" / "metrics.json").stat().st_mtime_ns == before


ENDS: list[tuple[type[BaseException] | None, str, int]] = [
    (None, "FINISHED", 0),
    (RuntimeError, "FAILED", 1),
    (Diverged, "FAILED", 1),
    (BadInput, "FAILED", 1),
    (Waiting, "SCHEDULED", 255),
    (KeyboardInterrupt, "KILLED", 255),
    (SystemExit, "KILLED", 255),
]
"""What ends a cell, MLflow's state for it, and the code that W&B is given."""


def runs(tracker: str, folder: Path, error: type[BaseException] | None) -> None:
    """Run a cell that logs a number and ends with `error`."""
    with tracking.tracking([tracker], folder):
        tracking.log(["round", 1], {"loss": 0.5}, 10)
        if error:
            raise error("the end")


@pytest.mark.slow
def test_mlflow_is_told_how_a_cell_ended_and_that_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="MLflow is not installed: pip install 'ssal[mlflow]'")
    from mlflow.tracking import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # which MLflow sets when it is told a place
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.sqlite'}")
    folder = tmp_path / "experiment" / "arm" / "seed_0"
    seen = []
    for error, _, _ in ENDS:  # one run, resumed again and again
        try:
            runs("mlflow", folder, error)
        except BaseException as caught:
            assert type(caught) is error
        run_id = json.loads((folder / "mlflow.json").read_text())["run_id"]
        seen.append(client.get_run(run_id).info.status)
        with tracking.tracking(["mlflow"], folder):
            assert client.get_run(run_id).info.status == "RUNNING"
    assert seen == [state for _, state, _ in ENDS]
    (experiment,) = [one for one in client.search_experiments() if one.name == "experiment"]
    assert len(client.search_runs([experiment.experiment_id])) == 1


class Run:
    """A run of the stand-in for W&B, which holds one at a time, as the real one does."""

    def __init__(self, module: ModuleType, options: dict[str, Any]) -> None:
        self.module, self.options = module, options
        self.logged: list[dict[str, Any]] = []
        self.code: int | None = None

    def log(self, metrics: dict[str, Any]) -> None:
        assert self.code is None, "it is finished"
        self.logged.append(metrics)

    def finish(self, exit_code: int) -> None:
        self.code, self.module.run = exit_code, None  # type: ignore[attr-defined]


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Return the runs of a stand-in for W&B: Lightning's own logger works on it, the package itself is not tried."""
    from pytorch_lightning.loggers import wandb as of_lightning

    modules = {name: ModuleType(name) for name in ("wandb", "wandb.sdk", "wandb.sdk.lib", "wandb.wandb_run")}
    for name, module in modules.items():
        module.__spec__ = ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    found: list[Run] = []
    main: Any = modules["wandb"]

    def init(**options: Any) -> Run:
        main.run = Run(main, options)
        found.append(main.run)
        return main.run  # type: ignore[no-any-return]

    main.run, main.init = None, init
    modules["wandb.sdk.lib"].RunDisabled = type("RunDisabled", (), {})  # type: ignore[attr-defined]
    modules["wandb.wandb_run"].Run = type("Run", (), {})  # type: ignore[attr-defined]
    monkeypatch.setattr(of_lightning, "_WANDB_AVAILABLE", True)
    return found


def test_each_cell_has_a_wandb_run_of_its_own_which_is_told_how_it_ended(tmp_path: Path, wandb: list[Run]) -> None:
    """On a stand-in for W&B, which cannot be installed here."""
    for number, (error, _, code) in enumerate(ENDS):
        try:
            runs("wandb", tmp_path / "experiment" / "arm" / f"seed_{number}", error)
        except BaseException as caught:
            assert type(caught) is error
        assert wandb[number].code == code
    assert [run.options["name"] for run in wandb] == [f"arm-seed_{number}" for number in range(len(ENDS))]
    assert all([entry["round/1/loss"] for entry in run.logged] == [0.5] for run in wandb)
    runs("wandb", tmp_path / "experiment" / "arm" / "seed_0", None)
    ids = [run.options["id"] for run in wandb]
    assert ids[-1] == ids[0] and len(set(ids)) == len(ENDS), "a cell that is resumed goes on in its own run"


def test_wandb_runs_of_two_machines_with_the_same_folders_are_two(
    tmp_path: Path, wandb: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    for machine in ("one", "other"):
        (tmp_path / machine).mkdir()
        monkeypatch.chdir(tmp_path / machine)
        runs("wandb", Path("checkpoints/experiment/arm/seed_0"), None)
    assert len({run.options["id"] for run in wandb}) == 2


def test_a_tracker_is_named_once(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"trainer.trackers\[1\]: tensorboard is named twice; type it once"):
        recipe(tmp_path / "tiny.yaml", trainer={"accelerator": "cpu", "trackers": ["tensorboard", "tensorboard"]})
