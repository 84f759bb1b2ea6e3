"""Whose a run's folder is: what it was made by and from, and what may change while it goes on."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ssal import registry
from ssal.artefacts import read_json, write_json
from ssal.clearing import clear
from ssal.data.images import Images
from ssal.errors import BadInput, listing
from ssal.fingerprints import file_fingerprint, fingerprint, source_fingerprint
from ssal.labelling.ask import begun
from ssal.labelling.ledger import Ledger
from ssal.labelling.naming import Names, to_write
from ssal.learner.train import sources as learner_sources
from ssal.pretext.pretrain import sources as pretext_sources
from ssal.question import open_question
from ssal.recipe import Arm, differences
from ssal.round import round_number

log = logging.getLogger("ssal")


def claim(arm: Arm, images: Images, folder: Path, overwrite: bool) -> None:
    """Write down what `folder` is made by and from, or refuse it where that is not what made what stands there.

    Raises BadInput with every key that differs. After a correction of test labels, or with other references
    or networks, the rounds are only measured again.
    """
    if (folder / "replaced.json").exists():
        clear(folder)
    record, now = folder / "run.json", _made_by(arm, images)
    if record.exists():
        before = read_json(record)
        if arm.asks_people and not overwrite:
            _check_names(now, folder)
        changed = _changes(before, now, arm, folder) + _code(before, now, arm)
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
            record.rename(folder / "replaced.json")
            clear(folder)
        else:
            if overwrite:
                log.warning("%s: this recipe made what stands there, so nothing is overwritten; it goes on", folder)
            if _measured_by(before) != _measured_by(now):
                (folder / "finished.json").unlink(missing_ok=True)
                for metrics in folder.glob("round_*/metrics.json"):
                    metrics.unlink()
    write_json(record, now)


def finished(arm: Arm, folder: Path) -> dict[str, Any] | None:
    """Return what made the finished run in `folder`, for `unchanged`; None where labels or measurements are missing.

    Nor is a run finished any more where people have corrected a label that its last learner was trained on.
    """
    if not ((folder / "finished.json").exists() and (folder / "run.json").exists()):
        return None
    done = read_json(folder / "finished.json")
    learners = done.get("learners", [-1])
    measured = all((folder / f"round_{number}" / "metrics.json").exists() for number in learners)
    record: dict[str, Any] = read_json(folder / "run.json")
    if arm.asks_people and done.get("answers") != answers_of(Ledger(folder / "ledger.sqlite")):
        return None
    return record if measured and done["labels_bought"] == arm.budget else None


def answers_of(ledger: Ledger) -> str:
    """Return a fingerprint of every label that is trained on; finished.json holds it, so that corrections are seen."""
    return fingerprint(sorted(ledger.labels().items()))


def unchanged(record: dict[str, Any], arm: Arm, images: Images, folder: Path) -> bool:
    """Say whether a run with this record is the one that this arm would make of these images.

    A finished run stays one when ssal's own code has changed since, and a warning says so.
    """
    now = _made_by(arm, images)
    if _changes(record, now, arm, folder) or _measured_by(record) != _measured_by(now):
        return False
    if code := _code(record, now, arm):
        log.warning("%s: finished with other code than ssal's of now (%s)", folder, ", ".join(code))
    return True


def stands(arm: Arm, images: Images, folder: Path) -> bool:
    """Say whether what stands in `folder` was begun by this very arm, with these images and this code."""
    if not (folder / "run.json").exists():
        return False
    before, now = read_json(folder / "run.json"), _made_by(arm, images)
    changed = _changes(before, now, arm, folder) + _code(before, now, arm)
    return not changed and _committed(folder) <= arm.budget


def measured_rounds(arm: Arm, images: Images, folder: Path) -> int:
    """Return how many rounds in `folder` this arm would take as they are."""
    if not (folder / "run.json").exists() or not unchanged(read_json(folder / "run.json"), arm, images, folder):
        return 0
    return len(list(folder.glob("round_*/metrics.json")))


def _made_by(arm: Arm, images: Images) -> dict[str, Any]:
    """Return what run.json holds; labels stand as digests that no training ever sees."""
    files = {
        key: source_fingerprint(path) if path.suffix == ".py" else file_fingerprint(path)
        for key, path in arm.files().items()
    }
    own = [name for name in arm.strategies() if ".py:" not in name]
    code = {
        "pretext": pretext_sources(arm.pretext_method),
        "learner": learner_sources(arm.learner_method),
        "signals": _files("signal", arm.signals),
        "acquisition": _files("strategy", own),
    }
    return {
        "recipe": arm.resolved(),
        "images": images.fingerprint,
        "classes": list(images.classes),
        "files": files,
        "code": {stage: source_fingerprint(*paths) for stage, paths in code.items()},
        "hidden_labels": fingerprint(sorted(images.hidden.items())),
        "given_labels": fingerprint(sorted(images.given.items())),
        "test_labels": fingerprint(images.test_labels),
    }


def _files(kind: str, names: Iterable[str]) -> set[Path]:
    return {file for name in names for file in registry.files(kind, name)}


def _measured_by(record: dict[str, Any]) -> list[Any]:
    return [record["test_labels"], {"networks": [], **record["recipe"]["evaluation"]}]


def _changes(before: dict[str, Any], now: dict[str, Any], arm: Arm, folder: Path) -> list[str]:
    """Return what differs between two records and may not in a run that has begun, in the words of a message.

    People may change the classes that they have not used yet; in a benchmark the classes are part of the task.
    """
    if before.keys() != now.keys():
        return ["what run.json holds, as an older ssal wrote it,"]
    changed = differences(before["recipe"], now["recipe"])
    files = sorted({*before["files"], *now["files"]})
    changed += [f"the file of {key}" for key in files if before["files"].get(key) != now["files"].get(key)]
    if before["images"] != now["images"] and not arm.asks_people:
        return [*changed, "the images themselves"]
    for labels in ("hidden_labels",) if arm.asks_people else ("hidden_labels", "given_labels"):
        if before[labels] != now[labels]:
            changed.append(f"the {labels.replace('_', ' ')} of the images")
    if _not_named(now, folder) if arm.asks_people else sorted(before["classes"]) != sorted(now["classes"]):
        changed.append("data.classes")
    return changed


def _not_named(now: dict[str, Any], folder: Path) -> list[str]:
    """Return the classes that people have answered and a record does not name."""
    if not (folder / "ledger.sqlite").exists():
        return []
    ledger = Ledger(folder / "ledger.sqlite")
    said = {one.label for one in ledger.settled().values() if one and one.label}  # which a round may have yet to take
    return sorted({*ledger.labels().values(), *ledger.audited().values(), *said} - {*now["classes"]})


def _check_names(now: dict[str, Any], folder: Path) -> None:
    """Raise BadInput where the classes do not name one that was answered: forgotten, or renamed in one place alone."""
    lacks = _not_named(now, folder)
    if not lacks:
        return
    renamed = Names(Ledger(folder / "ledger.sqlite").chain.rows()).renamed()
    told = [
        f"since `ssal ledger rename` a class is called {new!r}: {what}, and call the folder of its images so, too"
        for new, what in to_write(lacks, now["classes"], renamed).items()
    ]
    raise BadInput(
        f"{folder}: the classes are {listing(now['classes'], 10)}, without {listing(map(repr, lacks))}, which was "
        f"answered; {'; '.join(told) or 'name it in data.classes, or type ssal ledger rename, the recipe, OLD and NEW'}"
    )


def _code(before: dict[str, Any], now: dict[str, Any], arm: Arm) -> list[str]:
    """Return the stages whose code has changed since; people's labels outlive an upgrade, a benchmark does not."""
    if arm.asks_people or before.keys() != now.keys():
        return []
    return [f"the code of {stage}" for stage, source in now["code"].items() if before["code"].get(stage) != source]


def _committed(folder: Path) -> int:
    """Return how many labels are bought, or asked of people who have not answered yet."""
    if not (folder / "ledger.sqlite").exists():
        return 0
    ledger, waiting = Ledger(folder / "ledger.sqlite"), 0
    for place in folder.glob("round_*"):
        if begun(place) and not ledger.asked_in(round_number(place)) and (question := open_question(place)):
            waiting += question["size"]
    return ledger.bought() + waiting
