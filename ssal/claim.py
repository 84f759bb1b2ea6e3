"""Whose a run's folder is: what it was made by and from, what may change while it goes on, and how it is cleared."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from ssal.acquisition.choose import read_chosen
from ssal.artefacts import file_fingerprint, fingerprint, read_json, source_fingerprint, write_json
from ssal.data.images import Images
from ssal.errors import BadInput
from ssal.labelling.ledger import Ledger
from ssal.recipe import Arm, differences


def claim(arm: Arm, images: Images, folder: Path, overwrite: bool) -> None:
    """Write down what `folder` is made by and from, or refuse it where that is not what made what stands there.

    Raises BadInput with every key that differs. After a correction of test labels, or with other reference
    classifiers, the rounds are only measured again.
    """
    record, now = folder / "run.json", made_by(arm, images)
    if record.exists():
        before = read_json(record)
        changed = changes(before, now, arm)
        committed = _committed(folder)
        if changed and not overwrite:
            raise BadInput(
                f"{folder}: this run was made by another recipe or from other data ({', '.join(changed)} differ); "
                "undo the change, give the recipe another name, or type --overwrite to start again"
            )
        if arm.budget < committed and not overwrite:
            raise BadInput(
                f"{folder}: {committed} labels are asked for already; type acquisition.budget={committed} or more, "
                "give the recipe another name, or type --overwrite to start again"
            )
        if changed or arm.budget < committed:
            _set_aside(folder)
        elif _measured_by(before) != _measured_by(now):
            (folder / "finished.json").unlink(missing_ok=True)
            for metrics in folder.glob("round_*/metrics.json"):
                metrics.unlink()
    write_json(record, now)


def finished(arm: Arm, folder: Path) -> dict[str, Any] | None:
    """Return what made the finished run in `folder`, for `unchanged`; None where labels or measurements are missing."""
    if not ((folder / "finished.json").exists() and (folder / "run.json").exists()):
        return None
    done = read_json(folder / "finished.json")
    measured = all((folder / f"round_{number}" / "metrics.json").exists() for number in done["learners"])
    record: dict[str, Any] = read_json(folder / "run.json")
    return record if measured and done["labels_bought"] == arm.budget else None


def unchanged(record: dict[str, Any], arm: Arm, images: Images) -> bool:
    """Say whether a run with this record is the one that this arm would make of these images."""
    now = made_by(arm, images)
    return not changes(record, now, arm) and _measured_by(record) == _measured_by(now)


def measured_rounds(arm: Arm, images: Images, folder: Path) -> int:
    """Return how many rounds in `folder` this arm would take as they are."""
    if not (folder / "run.json").exists() or not unchanged(read_json(folder / "run.json"), arm, images):
        return 0
    return len(list(folder.glob("round_*/metrics.json")))


def made_by(arm: Arm, images: Images) -> dict[str, Any]:
    """Return what run.json holds; labels stand as digests that no training ever sees."""
    files = {
        key: source_fingerprint(path) if path.suffix == ".py" else file_fingerprint(path)
        for key, path in arm.files().items()
    }
    return {
        "recipe": arm.resolved(),
        "images": images.fingerprint,
        "classes": list(images.classes),
        "files": files,
        "hidden_labels": fingerprint(sorted(images.hidden.items())),
        "given_labels": fingerprint(sorted(images.given.items())),
        "test_labels": fingerprint(images.test_labels),
    }


def _measured_by(record: dict[str, Any]) -> list[Any]:
    return [record["test_labels"], record["recipe"]["evaluation"]]


def changes(before: dict[str, Any], now: dict[str, Any], arm: Arm) -> list[str]:
    """Return what differs between two records and may not in a run that has begun, in the words of a message.

    People may add classes while they label; in a benchmark the classes are part of the task.
    """
    if before.keys() != now.keys():
        return ["the version of ssal"]
    changed = differences(before["recipe"], now["recipe"])
    files = sorted({*before["files"], *now["files"]} - {*changed})
    changed += [f"the file of {key}" for key in files if before["files"].get(key) != now["files"].get(key)]
    if before["images"] != now["images"]:
        return [*changed, "the images themselves"]
    for labels in ("hidden_labels", "given_labels"):
        if before[labels] != now[labels]:
            changed.append(f"the {labels.replace('_', ' ')} of the images")
    more = set(now["classes"]) >= set(before["classes"]) and arm.answered_by != "oracle"
    if before["classes"] != now["classes"] and not more:
        changed.append("data.classes")
    return changed


def _committed(folder: Path) -> int:
    """Return how many labels are bought, or chosen and waiting for people's answers."""
    if not (folder / "ledger.sqlite").exists():
        return 0
    ledger = Ledger(folder / "ledger.sqlite")
    waiting = [path for path in folder.glob("round_*") if (path / "to_label.csv").exists()]
    open_rounds = [path for path in waiting if not ledger.asked_in(int(path.name.removeprefix("round_")))]
    return ledger.bought() + sum(len(read_chosen(path / "chosen.csv")) for path in open_rounds)


def _set_aside(folder: Path) -> None:
    """Clear a run's folder for another recipe; what people wrote is kept under other names.

    run.json goes last: until then the folder is refused to other recipes, also after a kill.
    """
    ledger, before = folder / "ledger.sqlite", len(list(folder.glob("ledger.replaced_*.sqlite")))
    if ledger.exists():
        Ledger(ledger).set_aside(folder / f"ledger.replaced_{before + 1}.sqlite")
    for item in folder.glob("round_*"):
        if (item / "to_label.csv").exists():
            (item / "to_label.csv").replace(folder / f"to_label.replaced_{before + 1}_{item.name}.csv")
        shutil.rmtree(item)
    (folder / "finished.json").unlink(missing_ok=True)
    (folder / "run.json").unlink()
