"""`ssal compare --status`: how far every cell is, told from its folder, without a change to it."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from tiny_runs import pictures, recipe, write_pictures

from ssal import compare
from ssal.artefacts import held, locked
from ssal.cells import cells_of
from ssal.project import run_project
from ssal.recipe import Recipe
from ssal.status import print_status, status


@pytest.fixture
def loaded(tmp_path: Path) -> Recipe:
    folder = write_pictures(tmp_path / "pictures")
    return recipe(
        tmp_path / "tiny.yaml",
        seeds=[0, 1],
        data={"source": "folder", "path": str(folder), "size": 8, "flip": False},
        arms={"random": {}, "margin": {"acquisition": {"strategy": "margin"}}},
    )


def states(loaded: Recipe, checkpoints: Path) -> dict[tuple[str, int], str]:
    return {(one.cell.arm.name, one.cell.seed): one.state for one in status(loaded, checkpoints)}


def test_nothing_has_begun_and_looking_makes_no_folder(loaded: Recipe, tmp_path: Path) -> None:
    assert set(states(loaded, tmp_path / "checkpoints").values()) == {"not begun"}
    assert not (tmp_path / "checkpoints").exists()


def test_done_stopped_and_failed_cells_are_told_apart(
    loaded: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = tmp_path / "checkpoints"
    images = pictures(tmp_path / "pictures", checkpoints)
    first, second, third, _ = cells_of(loaded, checkpoints)
    run_project(first.arm, first.seed, images, checkpoints, first.folder)
    run_project(second.arm, second.seed, images, checkpoints, second.folder)
    (second.folder / "finished.json").unlink()
    (second.folder / "round_2" / "metrics.json").unlink()
    real = compare.run_cell

    def fails(**cell: object) -> str:
        if (cell["arm"], cell["seed"]) == (third.arm.name, third.seed):
            raise RuntimeError("out of memory")
        return real(**cell)  # type: ignore[arg-type]

    found = status(loaded, checkpoints)
    assert [one.state for one in found] == ["done", "stopped", "not begun", "not begun"]
    assert [(one.learners, one.labels) for one in found] == [(2, 12), (1, 12), (0, 0), (0, 0)]
    assert found[0].accuracy is not None and found[2].accuracy is None
    monkeypatch.setattr(compare, "run_cell", fails)
    ended = compare.run_all(loaded, [], checkpoints, jobs=1)
    assert len(ended.failed) == 1
    found = status(loaded, checkpoints)
    assert [one.state for one in found] == ["done", "done", "failed", "done"]
    assert "RuntimeError: out of memory" in found[2].reason
    monkeypatch.setattr(compare, "run_cell", real)
    assert compare.run_all(loaded, [], checkpoints, jobs=1).failed == {}
    assert set(states(loaded, checkpoints).values()) == {"done"}


def _hold(folder: str, taken: Event, free: Event) -> None:
    with locked(Path(folder)):
        taken.set()
        free.wait(30)


def test_a_cell_that_a_process_holds_is_running_and_looking_does_not_disturb_it(loaded: Recipe, tmp_path: Path) -> None:
    checkpoints = tmp_path / "checkpoints"
    images = pictures(tmp_path / "pictures", checkpoints)
    cell = cells_of(loaded, checkpoints)[0]
    run_project(cell.arm, cell.seed, images, checkpoints, cell.folder)
    (cell.folder / "finished.json").unlink()
    spawn = multiprocessing.get_context("spawn")
    taken, free = spawn.Event(), spawn.Event()
    holder = spawn.Process(target=_hold, args=(str(cell.folder), taken, free))
    holder.start()
    try:
        assert taken.wait(60)
        assert held(cell.folder)
        assert states(loaded, checkpoints)[cell.arm.name, cell.seed] == "running"
        began = time.monotonic()
        with pytest.raises(BlockingIOError), locked(cell.folder, 0.2):
            pass
        assert time.monotonic() - began < 10
    finally:
        free.set()
        holder.join()
    assert states(loaded, checkpoints)[cell.arm.name, cell.seed] == "stopped"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("failed.json", "{}"),
        ("failed.json", "[1]"),
        ("run.json", ""),
        ("finished.json", "{}"),
        ("round_1/metrics.json", "{}"),
        ("round_2/metrics.json", '{"round":'),
        ("round_1/asked.json", "{}"),
        ("ledger.sqlite", "no database, but words"),
        ("ledger.sqlite", ""),
        ("ledger.sqlite", None),
    ],
)
def test_a_damaged_cell_is_named_and_hides_no_other(
    loaded: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str | None
) -> None:
    checkpoints = tmp_path / "checkpoints"
    cell = cells_of(loaded, checkpoints)[0]
    run_project(cell.arm, cell.seed, pictures(tmp_path / "pictures", checkpoints), checkpoints, cell.folder)
    assert states(loaded, checkpoints)[cell.arm.name, cell.seed] == "done"
    if content is None:
        (cell.folder / name).unlink()
    else:
        assert name == "failed.json" or (cell.folder / name).exists()
        (cell.folder / name).write_text(content)
    found = status(loaded, checkpoints)
    assert [one.state for one in found] == ["damaged", "not begun", "not begun", "not begun"]
    assert found[0].reason == name
    print_status(loaded, checkpoints)
    assert "damaged" in capsys.readouterr().out
