"""The files of an export, each written from the same material, and what people are told of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ssal
from ssal.answered import Answered
from ssal.artefacts import write_json, write_text
from ssal.audit import Suspect, suspects_text
from ssal.cells import Cell
from ssal.data.images import Images
from ssal.data.listing import Content
from ssal.errors import BadInput, counted
from ssal.export.labelled import Labelled, coco, write_class_folders
from ssal.export.pseudo_labels import PseudoLabels
from ssal.handout import contents_of
from ssal.labelling.answers import LABEL, SHOWN
from ssal.labelling.files.questions import shown_path
from ssal.labelling.ledger import AUDIT, GIVEN, Entry
from ssal.spreadsheet import table_text

FORMS = CSV, FOLDERS, COCO = ("csv", "folders", "coco")
OF_IMAGES = (FOLDERS, COCO)
"""Forms that hold images, or their size."""
LABELS, PSEUDO_LABELS, SUSPICIOUS, IMAGES, COCO_JSON = (
    "labels.csv", "pseudo_labels.csv", "suspicious.csv", "images", "coco.json",
)  # fmt: skip
COLUMNS = ("id", "path", "label", "kind", "round", "who", "when", "seconds", "strategy")
"""Of labels.csv. `kind` is one of answers.KINDS; `when` is ISO 8601 in UTC; `strategy` is who chose the image: `audit`
where it was drawn to measure accuracy, `given` where the project began with its label."""
PSEUDO_COLUMNS = ("id", "path", "label", "confidence")


@dataclass(frozen=True)
class Material:
    """What there is to export of one run."""

    cell: Cell
    images: Images
    answers: Answered
    pseudo: PseudoLabels | str
    """Or why there are none."""
    suspects: list[Suspect] | str
    """Every label, the most doubtful first; or why none can be judged."""


def write_forms(
    work: Path, material: Material, forms: Sequence[str], above: float | None
) -> tuple[dict[str, Any], list[str]]:
    """Write the `forms` into the folder `work`; return what export.json says of them, and what people are told."""
    record: dict[str, Any] = {}
    lines = _told(material, LABELS if CSV in forms else "answers")
    if CSV in forms:
        write_text(work / LABELS, _labels_text(material))
        lines += _write_pseudo_labels(work, material.pseudo)
    if isinstance(material.pseudo, PseudoLabels):
        record["classifier"] = material.pseudo.facts()
        lines += [f"  {line}" for line in material.pseudo.words()]
    if CSV in forms:
        lines += _write_suspects(work, material.suspects)
    if set(forms) & set(OF_IMAGES):
        labelled, told = _labelled(material, above)
        content, copies = _content(material), dict[str, str]()
        if FOLDERS in forms:
            record["folders"], files = write_class_folders(work / IMAGES, labelled, content)
            copies = {id: f"{IMAGES}/{file}" for id, file in files.items()}
            lines.append(f"{IMAGES}/: copies of {told}; a folder per class, {len(record['folders'])} in all")
        if COCO in forms:
            others = sorted({image.label for image in labelled} - {*material.images.classes})
            classes = [*material.images.classes, *others]  # a class that the recipe names no more keeps its labels
            about = f"arm {material.cell.arm.name}, seed {material.cell.seed}, exported by ssal {ssal.__version__}"
            write_json(work / COCO_JSON, coco(labelled, classes, content, copies, about))
            lines.append(f"{COCO_JSON}: {told}; {len(classes)} classes")
    return record, lines


def _told(material: Material, name: str) -> list[str]:
    """Say how many answers there are, of which kind, and what is not among them."""
    entries, differ = material.answers
    kinds, chosen = Counter(e.kind for e in entries), Counter(e.strategy for e in entries)
    counts = [f"{kinds[LABEL]} with a class", *(f"{kinds[kind]} {word}" for kind, word in SHOWN.items() if kinds[kind])]
    told = {
        f"drawn at random for the audit, never trained on (strategy `{AUDIT}`)": chosen[AUDIT],
        f"came with the data (strategy `{GIVEN}`)": chosen[GIVEN],
        "of images that are gone from the data, so without a path, a copy and a place in coco.json": sum(
            entry.id not in material.images.pool for entry in entries
        ),
        "not among them, since people differ and a third look decides": len(differ),
    }
    lines = [f"  {what}: {count}" for what, count in told.items() if count]
    return [f"{name}: {counted(len(entries), 'answer')}: {', '.join(counts)}", *lines]


def _labels_text(material: Material) -> str:
    pool = material.images.pool

    def row(entry: Entry) -> list[Any]:
        path = shown_path(pool.paths[pool.row(entry.id)]) if entry.id in pool else ""
        said = (entry.id, path, entry.label or "", entry.kind, entry.round, entry.who, entry.at)
        return [*said, "" if entry.seconds is None else entry.seconds, entry.strategy]

    return table_text(COLUMNS, map(row, material.answers.entries))


def _write_pseudo_labels(work: Path, pseudo: PseudoLabels | str) -> list[str]:
    if isinstance(pseudo, str):
        return [f"no {PSEUDO_LABELS}: {pseudo}"]
    rows = ([r.id, shown_path(r.path), r.label, f"{r.confidence:.6f}"] for r in pseudo.rows)
    write_text(work / PSEUDO_LABELS, table_text(PSEUDO_COLUMNS, rows))
    return [
        f"{PSEUDO_LABELS}: {counted(len(pseudo.rows), 'image')} without an answer, as the classifier of round "
        f"{pseudo.round} takes them, which learned from {counted(pseudo.labels, 'label')}"
    ]


def _write_suspects(work: Path, suspects: list[Suspect] | str) -> list[str]:
    if isinstance(suspects, str):
        return [f"no {SUSPICIOUS}: {suspects}"]
    differ = [suspect for suspect in suspects if suspect.differs]
    write_text(work / SUSPICIOUS, suspects_text(differ))
    return [f"{SUSPICIOUS}: {len(differ)} of {counted(len(suspects), 'label')} differ from what similar images say"]


def _labelled(material: Material, above: float | None) -> tuple[list[Labelled], str]:
    """Return the images with an answered class, then those with a pseudo-label that is sure enough; and say so."""
    pool, pseudo = material.images.pool, material.pseudo
    found = [
        Labelled(entry.id, pool.paths[pool.row(entry.id)], entry.label)
        for entry in material.answers.entries
        if entry.label is not None and entry.id in pool
    ]
    told = counted(len(found), "labelled image")
    if above is not None and isinstance(pseudo, PseudoLabels):
        sure = [Labelled(*row) for row in pseudo.rows if row.confidence >= above]
        return found + sure, f"{told} and {counted(len(sure), 'pseudo-label')} of confidence {above:g} or more"
    return found, told


def _content(material: Material) -> Callable[[str], Content]:
    """Return what reads an image by its id; it raises BadInput where its file cannot be read any more."""
    read, pool = contents_of(material.cell.arm, material.images), material.images.pool

    def checked(id: str) -> Content:
        try:
            return read(id)
        except OSError as error:
            raise BadInput(
                f"{pool.paths[pool.row(id)]}: this image cannot be read any more ({error.strerror}), and nothing was "
                "exported; put it back, or run the same command again where it is gone"
            ) from error

    return checked
