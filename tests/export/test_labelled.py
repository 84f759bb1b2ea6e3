"""Folders per class and COCO's JSON hold every image once, under names that lead nowhere else."""

from __future__ import annotations

import io
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssal.data.listing import Content, content_id
from ssal.export.labelled import Labelled, coco, write_class_folders
from ssal.labelling.files.folders import read_folders


def picture(level: int, width: int = 6, orientation: int | None = None) -> bytes:
    file = io.BytesIO()
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.new("RGB", (width, 4), (level, 0, 0)).save(file, "PNG", exif=exif)
    return file.getvalue()


CLASSES = ("../../etc", "a/b", "Cat", "cat", "CON", "..", "x" * 300, "naïve é", "skipped")


@pytest.fixture
def images() -> tuple[list[Labelled], dict[str, Content]]:
    """One image of each awkward class, all called alike but one that is an array."""
    held: dict[str, Content] = {content_id(data): data for data in map(picture, range(len(CLASSES)))}
    array = np.arange(16, dtype=np.uint8).reshape(4, 4)
    held[content_id(array)] = array
    names = [*CLASSES, "Cat"]
    paths = [f"folder {number}/../IMG.PNG" for number in range(len(CLASSES))] + ["train/7"]
    return [Labelled(id, path, name) for id, path, name in zip(held, paths, names, strict=True)], held


def test_no_name_leaves_its_folder_and_no_file_is_lost(
    images: tuple[list[Labelled], dict[str, Content]], tmp_path: Path
) -> None:
    labelled, held = images
    named, written = write_class_folders(tmp_path / "out" / "images", labelled, held.__getitem__)
    assert [path.name for path in tmp_path.iterdir()] == ["out"] and len({n.casefold() for n in named.values()}) == 9
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 10 and {path.parent.parent for path in files} == {tmp_path / "out" / "images"}
    for image in labelled:
        (file,) = (path for path in files if image.id in path.name)
        assert file.parent.name == named[image.label] and written[image.id] == f"{file.parent.name}/{file.name}"
        content = held[image.id]
        if isinstance(content, bytes):
            assert file.read_bytes() == content and file.name == f"IMG_{image.id}.PNG"
        else:
            assert np.array_equal(np.asarray(Image.open(file)), content) and file.name == f"7_{image.id}.png"


def test_folders_are_read_back_as_answers(images: tuple[list[Labelled], dict[str, Content]], tmp_path: Path) -> None:
    labelled, held = images
    write_class_folders(tmp_path / "images", labelled, held.__getitem__)
    found = read_folders(tmp_path / "images", {image.id: image.path for image in labelled}, CLASSES)
    assert not found.problems
    assert {id: answer.label for id, answer in found.answers.items()} == {image.id: image.label for image in labelled}


def test_a_pseudo_label_is_told_by_its_name(tmp_path: Path) -> None:
    data = picture(1)
    image = Labelled(content_id(data), "a/b.jpg", "cat", 0.98765)
    assert write_class_folders(tmp_path, [image], lambda id: data)[0] == {"cat": "cat"}
    assert [path.name for path in (tmp_path / "cat").iterdir()] == [f"pseudo_0.988_b_{image.id}.jpg"]


def test_coco_is_indexed_as_its_readers_do() -> None:
    upright, turned = picture(1, width=10), picture(2, width=10, orientation=6)
    held = {"one": upright, "two": turned}
    labelled = [Labelled("one", "a/1.png", "dog"), Labelled("two", "b/1.png", "cat", 0.75)]
    found = coco(labelled, ["cat", "dog", "emu"], held.__getitem__, {"two": "images/cat/1.png"}, "of a test")
    assert set(found) == {"info", "licenses", "categories", "images", "annotations"}
    # As pycocotools' COCO.createIndex, getImgIds(catIds=…) and loadCats go about it.
    of_image, of_category = defaultdict(list), defaultdict(list)
    for annotation in found["annotations"]:
        of_image[annotation["image_id"]].append(annotation)
        of_category[annotation["category_id"]].append(annotation["image_id"])
    categories = {category["id"]: category["name"] for category in found["categories"]}
    assert categories == {1: "cat", 2: "dog", 3: "emu"}
    images = {image["id"]: image for image in found["images"]}
    said = {images[key]["file_name"]: categories[one["category_id"]] for key, (one,) in of_image.items()}
    assert said == {"a/1.png": "dog", "images/cat/1.png": "cat"} and of_category == {2: [1], 1: [2]}
    assert [(image["width"], image["height"], image["ssal_id"]) for image in found["images"]] == [
        (10, 4, "one"), (4, 10, "two"),
    ]  # fmt: skip
    assert [image["ssal_path"] for image in found["images"]] == ["a/1.png", "b/1.png"]
    person, model = found["annotations"]
    assert "score" not in person and model["score"] == 0.75
    assert (person["bbox"], person["area"], person["iscrowd"]) == ([0, 0, 10, 4], 40, 0)
