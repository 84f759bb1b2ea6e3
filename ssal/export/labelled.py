"""Labelled images as other programs take them: a folder per class, and COCO's JSON for image classification."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ssal.data.decode import upright_size
from ssal.data.listing import Content
from ssal.labelling.files.folders import file_of, folder_names, safe_name
from ssal.labelling.files.questions import shown_path


@dataclass(frozen=True)
class Labelled:
    """One image with its class."""

    id: str
    path: str
    label: str
    confidence: float | None = None
    """Of a pseudo-label; None where a person, or the data, gave the label."""


def write_class_folders(
    target: Path, labelled: Iterable[Labelled], content: Callable[[str], Content]
) -> tuple[dict[str, str], dict[str, str]]:
    """Write a copy of every image into `target`/<class>; return the folder's name by class, and <class>/<file> by id.

    `content` gives an image by its id, as a file's bytes or an array. No name leads out of its folder, and none is
    taken twice: a file is called as it was, then _ and its id; before that of a pseudo-label stand `pseudo_` and its
    confidence. Classes without an image have no folder.
    """
    labelled = list(labelled)
    classes = sorted({image.label for image in labelled})
    named = {label: name for name, (_, label) in folder_names(classes).items() if label is not None}
    files = {}
    for image in labelled:
        folder = target / named[image.label]
        folder.mkdir(parents=True, exist_ok=True)
        ending, data = file_of(image.path, content(image.id))
        stem = safe_name(PurePosixPath(shown_path(image.path)).stem)
        sure = "" if image.confidence is None else f"pseudo_{image.confidence:.3f}_"
        file = folder / f"{sure}{stem}_{safe_name(image.id)}{ending}"
        file.write_bytes(data)
        files[image.id] = file.relative_to(target).as_posix()
    return named, files


def coco(
    labelled: Iterable[Labelled],
    classes: Sequence[str],
    content: Callable[[str], Content],
    files: Mapping[str, str],
    about: str,
) -> dict[str, Any]:
    """Return COCO's JSON: `images`, `categories`, and one annotation per image, with ids from 1.

    COCO has boxes and no format for whole images, so every annotation has a box around all of its image; readers of
    classes need `image_id` and `category_id` alone. `score` is the confidence of a pseudo-label, and other labels have
    none. `file_name` is that of an image's copy in `files` by id, or where there is none its path in the data, which
    `ssal_path` always is. Width and height are those of the upright image; `ssal_id` is its id in all files of ssal's.
    """
    number = {name: place for place, name in enumerate(classes, start=1)}
    images, annotations = [], []
    for place, image in enumerate(labelled, start=1):
        height, width = upright_size(content(image.id))
        images.append(
            {
                "id": place,
                "file_name": files.get(image.id, shown_path(image.path)),
                "width": width,
                "height": height,
                "ssal_id": image.id,
                "ssal_path": shown_path(image.path),
            }
        )
        annotation = {
            "id": place,
            "image_id": place,
            "category_id": number[image.label],
            "bbox": [0, 0, width, height],
            "area": width * height,
            "iscrowd": 0,
        }
        annotations.append(annotation | ({} if image.confidence is None else {"score": round(image.confidence, 6)}))
    return {
        "info": {"description": about},
        "licenses": [],
        "categories": [{"id": place, "name": name, "supercategory": ""} for name, place in number.items()],
        "images": images,
        "annotations": annotations,
    }
