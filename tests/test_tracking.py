"""Where numbers go while a run is under way: lines of JSON always; TensorBoard and MLflow for real, where installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import pictures, recipe, write_pictures

from ssal import tracking
from ssal.cells import cells_of
from ssal.errors import BadInput
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
