"""What a survey says of a folder is what was put into it, and what a run later finds there."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pictures import class_folders, folder_images, pack, parted, picture, save
from PIL import Image

from ssal import survey
from ssal.errors import BadInput
from ssal.survey import look


def flat(root: Path) -> Path:
    """Fill a folder with ten files, of which the tests know everything."""
    for number in range(3):
        save(picture(number), root / f"plain {number}.png")
    shutil.copy(root / "plain 1.png", root / "copy of 1.png")
    save(picture(3, size=(20, 10)).convert("L"), root / "grey.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    save(picture(4, size=(40, 30)), root / "turned.jpg", exif=exif)
    save(Image.new("RGB", (8, 8), "white"), root / "blank.bmp")
    (root / "empty.png").write_bytes(b"")
    whole = save(picture(5, size=(64, 64)), root / "cut.png").read_bytes()
    (root / "cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "nowhere.png").symlink_to(root / "gone.png")
    (root / "notes.txt").write_text("about")
    return root


@pytest.mark.parametrize("packed", [False, True])
def test_every_fact_of_a_flat_folder(tmp_path: Path, packed: bool) -> None:
    root = flat(tmp_path / "flat")
    seen = look(str(pack(root, tmp_path / "flat.tar") if packed else root))
    assert seen.sizes == Counter({(12, 12): 4, (20, 10): 1, (30, 40): 1, (8, 8): 1})
    reasons = dict(seen.unreadable)
    assert [*reasons] == ["cut.png", "empty.png"] + [] * packed + ["nowhere.png"] * (not packed)
    assert reasons["empty.png"] == "the file is empty" and "truncated" in reasons["cut.png"]
    assert reasons.get("nowhere.png") == (None if packed else "there is no such file")
    assert (seen.sampled, seen.grey, seen.blank) == (6, 2, ("blank.bmp",))
    assert [set(pair) for pair in seen.merged.duplicates] == [{"copy of 1.png", "plain 1.png"}]
    assert (len(seen.merged.entries), seen.waiting, seen.labelled, len(seen.sides.test)) == (6, 6, 0, 0)
    assert (seen.side, seen.long, seen.classes) == (12, 1, Counter())
    assert seen.lines() == [
        "6 images of 8×8 to 30×40 pixels (width × height, median shorter side 12), 4 of 6 in colour",
        "1 exact copy, counted once",
        f"{len(reasons)} files cannot be read: " + ", ".join(f"{path} ({why})" for path, why in reasons.items()),
        "1 of 6 looked at are almost of one colour: blank.bmp",
        "no class folders",
        "6 images without a label, 0 with one",
        "note: other files left aside: 1 × .txt",
    ]


def half_labelled(root: Path) -> Path:
    class_folders(root)
    for number in range(7):
        save(picture(500 + number), root / "unlabelled" / "later" / f"{number}.png")
    shutil.copy(root / "unlabelled" / "later" / "0.png", root / "red" / "known after all.png")
    return root


def parted_and_leaking(root: Path) -> Path:
    parted(root)
    shutil.copy(root / "test" / "red" / "06.png", root / "train" / "red" / "leak.png")
    save(picture(700), root / "train" / "unlabelled" / "new.png")
    save(picture(701), root / "test" / "unlabelled" / "useless.png")
    return root


def under_two_labels(root: Path) -> Path:
    class_folders(root)
    shutil.copy(root / "blue" / "03.png", root / "red" / "blue, too.png")
    return root


@pytest.mark.parametrize("fill", [class_folders, parted, half_labelled, parted_and_leaking, under_two_labels, flat])
def test_counts_are_those_of_a_run(tmp_path: Path, fill: Callable[[Path], Path]) -> None:
    root = fill(tmp_path / "data")
    seen = look(str(root))
    images = folder_images(tmp_path / "checkpoints", root, size=8, labels="given", conflicts="skip")
    assert (len(seen.sides.pool), len(seen.sides.test)) == (len(images.pool), len(images.test))
    assert (seen.labelled, seen.waiting) == (len(images.given), len(images.askable))
    assert sorted(seen.classes) == list(images.classes)
    report = images.report
    assert len(seen.merged.duplicates) == len(report["duplicates"])
    assert len(seen.merged.also_in_test) == len(report["also_in_test"])
    assert len(seen.merged.conflicts) == len(report["conflicts"])
    assert sorted(seen.unreadable) == sorted(map(tuple, report["unreadable"]))


def test_folders_within_a_folder_called_unlabelled_are_no_classes(tmp_path: Path) -> None:
    for index in range(4):
        save(picture(index), tmp_path / "data" / "unlabelled" / "ab"[index % 2] / f"{index}.png")
    seen = look(str(tmp_path / "data"))
    assert (seen.classes, seen.waiting) == (Counter(), 4)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.webp", {"lossless": True}),
        ("a.tif", {}),
        ("a.jpg", {"icc_profile": bytes(3 * survey.HEAD)}),
        ("a.png", {"icc_profile": np.random.default_rng(0).bytes(3 * survey.HEAD)}),
    ],
)
def test_headers_of_every_kind_and_length(tmp_path: Path, name: str, how: dict[str, object]) -> None:
    save(picture(0, size=(300, 200)), tmp_path / name, **how)
    seen = look(str(tmp_path))
    assert seen.sizes == Counter({(300, 200): 1}) and not seen.unreadable


def test_tiny_and_large_images(tmp_path: Path) -> None:
    for number in range(3):
        save(picture(number, size=(8, 8)), tmp_path / f"{number}.png")
    save(Image.linear_gradient("L").resize((4000, 3000)), tmp_path / "large.png")
    seen = look(str(tmp_path))
    assert seen.sizes == Counter({(8, 8): 3, (4000, 3000): 1}) and seen.side == 8
    assert (seen.sampled, seen.grey, seen.blank) == (4, 1, ())


def test_the_sample_is_small_where_images_are_large_and_spread_evenly() -> None:
    def sample(count: int, size: tuple[int, int]) -> list[int]:
        headers = [survey._Header(1, size)] * count
        return survey._sample(list(range(count)), [f"{number}" for number in range(count)], headers)

    assert sample(10, (100, 100)) == list(range(10))
    assert sample(800, (100, 100)) == list(range(0, 800, 2))
    assert sample(1000, (4000, 4000)) == list(range(0, 1000, 40))
    assert len(sample(3, (40_000, 40_000))) == 1
    twice = survey._sample([0, 1, 2], ["same", "other", "same"], [survey._Header(1, (9, 9))] * 3)
    assert twice == [0, 1], "a copy is not looked at again"


def test_a_damaged_file_and_its_copy_are_both_unreadable(tmp_path: Path) -> None:
    save(picture(0), tmp_path / "fine.png")
    whole = save(picture(1, size=(64, 64)), tmp_path / "a.png").read_bytes()
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    seen = look(str(tmp_path))
    assert [path for path, _ in seen.unreadable] == ["a.png", "b.png"] and len(seen.merged.entries) == 1


def test_a_file_that_may_not_be_read_is_no_damaged_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    save(picture(0), tmp_path / "closed.png")
    monkeypatch.setattr(survey, "_beginning", refuse)
    with pytest.raises(BadInput, match=r"closed\.png cannot be read \(Permission denied\); open it, or move it away"):
        look(str(tmp_path))


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no image"):
        look(str(tmp_path))
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"no image")
    with pytest.raises(BadInput, match=r"none of the 2 images can be read.*a\.png \(no image that can be read"):
        look(str(tmp_path))
