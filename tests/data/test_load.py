from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import COLOURS, class_folders, folder_images, pack, parted, picture, save
from real_images import shared_data

from ssal.data import cache
from ssal.data.listing import Item
from ssal.data.load import load
from ssal.data.split import divide, merge
from ssal.errors import BadInput


def everything(images):
    return images.pool.fetch(torch.arange(len(images.pool))), images.test.fetch(torch.arange(len(images.test)))


def test_digits(tmp_path: Path) -> None:
    images = load(tmp_path, source="digits", options={})
    assert len(images.pool) + len(images.test) == 1797
    assert 300 < len(images.test) < 420
    assert images.classes == tuple("0123456789")
    assert images.pool.shape == (3, 8, 8)
    pool, test = everything(images)
    assert (pool.min(), pool.max(), pool.dtype) == (0, 255, torch.uint8)
    assert torch.equal(pool[:, 0], pool[:, 2])
    assert len(images.hidden) == len(images.pool) and not images.given and len(images.test_labels) == len(test)
    assert list(images.pool.ids) == sorted(images.pool.ids)
    assert all(re.fullmatch("[0-9a-f]{16}", id) for id in images.pool.ids)


def test_real_photographs(tmp_path: Path) -> None:
    tar = shared_data("sign-digits/sign-digits.tar")
    images = folder_images(tmp_path, tar, size=24)
    assert (len(images.pool), len(images.test), len(images.classes)) == (1644, 418, 10)
    # The split is by person, so no group crosses it and nothing is left out.
    grouped = folder_images(tmp_path, tar, size=24, group_by=r"/(s\d+)_")
    assert grouped.report["group_in_test"] == [] and grouped.pool.ids == images.pool.ids
    assert images.report["duplicates"] == images.report["unreadable"] == []


def test_a_tar_equals_its_folder(tmp_path: Path) -> None:
    source = parted(tmp_path / "data")
    plain = folder_images(tmp_path / "checkpoints", source)
    for prefix in ("", "outer", "outer/inner"):
        tar = pack(source, tmp_path / f"{len(prefix)}.tar", prefix)
        packed = folder_images(tmp_path / "checkpoints", tar)
        assert (packed.pool.ids, packed.test.ids) == (plain.pool.ids, plain.test.ids)
        assert (packed.hidden, packed.test_labels) == (plain.hidden, plain.test_labels)
        for one, other in zip(everything(plain), everything(packed), strict=True):
            assert torch.equal(one, other)
        lazy = folder_images(tmp_path / "checkpoints", tar, resident_limit_gib=0.0)
        assert torch.equal(everything(lazy)[0], everything(plain)[0])


@pytest.mark.parametrize("make", [class_folders, parted])
def test_renamed_and_reordered_class_folders_change_nothing_that_training_sees(tmp_path: Path, make) -> None:
    plain = folder_images(tmp_path / "checkpoints", make(tmp_path / "data"))
    names = {"blue": "zebra", "green": "ant", "red": "middle"}
    for old, new in names.items():
        for folder in [path for path in (tmp_path / "data").rglob(old) if path.is_dir()]:
            folder.rename(folder.with_name(new))
    renamed = folder_images(tmp_path / "checkpoints", tmp_path / "data")
    assert renamed.fingerprint == plain.fingerprint
    assert (renamed.pool.ids, renamed.test.ids) == (plain.pool.ids, plain.test.ids)
    assert all(torch.equal(one, other) for one, other in zip(everything(plain), everything(renamed), strict=True))
    assert torch.equal(plain.mean, renamed.mean) and torch.equal(plain.std, renamed.std)
    assert renamed.hidden == {id: names[label] for id, label in plain.hidden.items()}
    assert renamed.test_labels == tuple(names[label] for label in plain.test_labels)
    assert plain.pool.paths != renamed.pool.paths


def test_the_fingerprint_follows_content_and_size_but_no_label(tmp_path: Path) -> None:
    source = class_folders(tmp_path / "data")
    prints = [folder_images(tmp_path / "checkpoints", source, size=size).fingerprint for size in (None, 8, 8)]
    assert prints[1] == prints[2] != prints[0]
    save(picture(999), source / "red" / "new.png")
    assert folder_images(tmp_path / "checkpoints", source, size=8).fingerprint != prints[1]


def test_duplicates_collapse_and_are_reported(tmp_path: Path) -> None:
    source = class_folders(tmp_path / "data")
    before = folder_images(tmp_path / "checkpoints", source)
    (source / "red" / "copy.png").write_bytes((source / "red" / "03.png").read_bytes())
    after = folder_images(tmp_path / "checkpoints", source)
    assert after.pool.ids == before.pool.ids and after.test.ids == before.test.ids
    assert after.report["duplicates"] == [("red/copy.png", "red/03.png")]
    assert any("1 exact duplicate," in line for line in after.summary())


def test_one_image_under_two_labels(tmp_path: Path) -> None:
    source = class_folders(tmp_path / "data")
    (source / "blue" / "copy.png").write_bytes((source / "red" / "03.png").read_bytes())
    with pytest.raises(BadInput, match=r"data.conflicts=skip:\n  blue/copy.png \(blue\) and red/03.png \(red\)"):
        folder_images(tmp_path / "checkpoints", source)
    images = folder_images(tmp_path / "checkpoints", source, conflicts="skip")
    assert images.report["conflicts"] == [("blue/copy.png", "red/03.png")]
    assert len(images.pool) + len(images.test) == 29


def test_a_train_image_that_is_also_a_test_image(tmp_path: Path) -> None:
    source = parted(tmp_path / "data")
    (source / "train" / "red" / "leak.png").write_bytes((source / "test" / "red" / "07.png").read_bytes())
    images = folder_images(tmp_path / "checkpoints", source)
    assert images.report["also_in_test"] == [("train/red/leak.png", "test/red/07.png")]
    assert (len(images.pool), len(images.test)) == (18, 6)
    assert not set(images.pool.ids) & set(images.test.ids)


def test_unreadable_images_are_skipped_named_and_counted(tmp_path: Path) -> None:
    source = parted(tmp_path / "data")
    whole = save(picture(5, size=(80, 80)), source / "train" / "red" / "cut.jpg")
    whole.write_bytes(whole.read_bytes()[:1500])
    (source / "train" / "red" / "cut copy.jpg").write_bytes(whole.read_bytes())
    (source / "test" / "blue" / "empty.png").touch()
    (source / "train" / "blue" / "nowhere.png").symlink_to(tmp_path / "missing.png")
    images = folder_images(tmp_path / "checkpoints", source)
    assert (len(images.pool), len(images.test)) == (18, 6)
    reasons = dict(images.report["unreadable"])
    assert sorted(reasons) == [
        "test/blue/empty.png", "train/blue/nowhere.png", "train/red/cut copy.jpg", "train/red/cut.jpg"
    ]  # fmt: skip
    assert "truncated" in reasons["train/red/cut.jpg"] and "truncated" in reasons["train/red/cut copy.jpg"]
    assert "empty" in reasons["test/blue/empty.png"]
    assert any(line.startswith("4 unreadable images left out: test/blue/empty.png") for line in images.summary())
    json.dumps(images.report)


def test_all_unreadable(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/2.jpg"):
        (tmp_path / "data" / name).parent.mkdir(parents=True)
        (tmp_path / "data" / name).write_bytes(b"nothing")
    for size in (None, 8):
        with pytest.raises(BadInput, match=r"none of the 2 images can be read.*a/1.png \(no image"):
            folder_images(tmp_path / "checkpoints", tmp_path / "data", size=size)


def test_images_of_several_sizes_need_one(tmp_path: Path) -> None:
    source = class_folders(tmp_path / "data")
    save(picture(900, size=(30, 20)), source / "red" / "wide.png")
    with pytest.raises(BadInput, match=r"12×12 \(30 images\), 20×30 \(1 image\).*type data.size=12"):
        folder_images(tmp_path / "checkpoints", source)
    assert folder_images(tmp_path / "checkpoints", source, size=10).pool.shape == (3, 10, 10)


def test_empty_and_single(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="holds no image"):
        folder_images(tmp_path / "checkpoints", tmp_path / "empty")
    for number in range(9):
        save(picture(number), tmp_path / "one" / "cat" / f"{number}.png")
    with pytest.raises(BadInput, match="single class, 'cat'"):
        folder_images(tmp_path / "checkpoints", tmp_path / "one")
    images = folder_images(tmp_path / "checkpoints", tmp_path / "one", labels="given", classes=["dog", "cat"])
    assert images.classes == ("dog", "cat"), "as typed"


def test_hidden_needs_labels_and_given_does_not(tmp_path: Path) -> None:
    for number in range(6):
        save(picture(number), tmp_path / "flat" / f"{number}.png")
    with pytest.raises(BadInput, match="data.labels=given"):
        folder_images(tmp_path / "checkpoints", tmp_path / "flat")
    images = folder_images(tmp_path / "checkpoints", tmp_path / "flat", labels="given")
    assert (len(images.pool), len(images.test), images.classes, images.given) == (6, 0, (), {})
    assert images.test.fetch(torch.arange(0)).shape == (0, 3, 12, 12)
    assert any("data.classes=" in line for line in images.summary())
    named = folder_images(tmp_path / "checkpoints", tmp_path / "flat", labels="given", classes=["cat", "dog"])
    assert named.classes == ("cat", "dog")


def test_given_labels_and_unlabelled_images_beside_them(tmp_path: Path) -> None:
    source = class_folders(tmp_path / "data")
    for number in range(20):
        save(picture(500 + number), source / "unlabelled" / f"{number}.png")
    save(picture(600), source / "flat.png")
    images = folder_images(tmp_path / "checkpoints", source, labels="given")
    assert not images.hidden
    assert images.classes == tuple(COLOURS)
    assert len(images.given) + len(images.test) == 30 and len(images.pool) == len(images.given) + 21
    assert len(images.test) > 0
    assert set(images.given) < set(images.pool.ids) and images.report["labelled"] == len(images.given)
    # A benchmark of the same folder has the same sides.
    hidden = folder_images(tmp_path / "checkpoints", source)
    assert (hidden.pool.ids, hidden.test.ids, hidden.hidden) == (images.pool.ids, images.test.ids, images.given)


def test_unlabelled_under_train_and_test_without_label(tmp_path: Path) -> None:
    source = parted(tmp_path / "data")
    save(picture(700), source / "train" / "unlabelled" / "1.png")
    save(picture(701), source / "train" / "2.png")
    save(picture(702), source / "test" / "3.png")
    images = folder_images(tmp_path / "checkpoints", source, labels="given")
    assert (len(images.pool), len(images.given), len(images.test)) == (20, 18, 6)
    assert images.report["test_without_label"] == ["test/3.png"]


def test_parts_that_do_not_fit(tmp_path: Path) -> None:
    source = parted(tmp_path / "data")
    save(picture(800), source / "test" / "rde" / "1.png")
    with pytest.raises(BadInput, match="test part has classes without any image to learn from: rde"):
        folder_images(tmp_path / "checkpoints", source)
    for number in range(3):
        save(picture(number), tmp_path / "bare" / "train" / f"{number % 2}" / f"{number}.png")
    save(picture(9), tmp_path / "bare" / "test" / "9.png")
    with pytest.raises(BadInput, match="no image of the test part has a label"):
        folder_images(tmp_path / "checkpoints", tmp_path / "bare")


def test_an_image_stays_on_its_side_when_others_come(tmp_path: Path) -> None:
    source = class_folders(tmp_path / "data")
    before = folder_images(tmp_path / "checkpoints", source)
    class_folders(source, each=20)
    after = folder_images(tmp_path / "checkpoints", source)
    assert len(after.pool) + len(after.test) == 60
    assert set(before.test.ids) < set(after.test.ids) and set(before.pool.ids) < set(after.pool.ids)
    half = folder_images(tmp_path / "checkpoints", source, test_fraction=0.5)
    assert set(after.test.ids) < set(half.test.ids) and 18 <= len(half.test) <= 42


def test_the_share_of_the_split(tmp_path: Path) -> None:
    items = [Item(f"{number}", "ab"[number % 2]) for number in range(20_000)]
    ids = [f"{number:016x}" for number in range(20_000)]
    sides = divide(merge(items, ids, skip_conflicts=False).entries, test_fraction=0.2, group_by=None)
    # 20,000 draws at 0.2: standard deviation 57.
    assert abs(len(sides.test) - 4000) < 230
    assert "20%" in sides.sentence


def test_group_by_never_splits_a_group() -> None:
    rng = np.random.default_rng(0)
    items = [Item(f"c{rng.integers(3)}/s{rng.integers(40)}_{number}.png", "ab"[number % 2]) for number in range(800)]
    items += [Item(f"x/s{rng.integers(40)}_{number}.png") for number in range(200)]
    ids = [f"{number:016x}" for number in range(1000)]
    merged = merge(items, ids, skip_conflicts=False).entries
    sides = divide(merged, test_fraction=0.3, group_by=r"/(s\d+)_")
    group = lambda entry: entry.paths[0].split("/")[1].split("_")[0]  # noqa: E731
    assert sides.test and sides.pool
    assert not {group(entry) for entry in sides.pool} & {group(entry) for entry in sides.test}
    # Only unlabelled images of test groups are left out.
    assert len(sides.pool) + len(sides.test) + len(sides.group_in_test) == 1000
    assert sides.group_in_test and all(path.startswith("x/") for path in sides.group_in_test)
    # The whole match where there is no capture group: s1_ … s39_.
    assert {e.id for e in divide(merged, test_fraction=0.3, group_by=r"s\d+_").test} != set()


def test_groups_that_share_an_image_are_one_group() -> None:
    items = [Item(f"g{group}/{number}.png", "ab"[number % 2]) for group in range(30) for number in range(4)]
    ids = [f"{number:016x}" for number in range(120)]
    chain = [Item(f"g{group + 1}/copy.png") for group in range(29)]
    copies = [f"{4 * group:016x}" for group in range(29)]
    merged = merge(items + chain, ids + copies, skip_conflicts=False)
    assert len(merged.entries) == 120 and len(merged.duplicates) == 29
    sides = divide(merged.entries, test_fraction=0.5, group_by=r"^(g\d+)/")
    assert not sides.pool or not sides.test


def test_groups_across_the_sources_own_parts(tmp_path: Path) -> None:
    source = parted(tmp_path / "data")
    images = folder_images(tmp_path / "checkpoints", source, group_by=r"(red/0[57])")
    assert images.report["group_in_test"] == []
    with pytest.raises(BadInput, match="no image is left"):
        folder_images(tmp_path / "checkpoints", source, group_by=r"\.png")
    with pytest.raises(BadInput, match="matches no path"):
        folder_images(tmp_path / "checkpoints", source, group_by="patient")
    with pytest.raises(BadInput, match="no regular expression"):
        folder_images(tmp_path / "checkpoints", source, group_by="(")


def test_fixed_classes(tmp_path: Path) -> None:
    source = class_folders(tmp_path / "data")
    wanted = ["yellow", "red", "green", "blue"]
    assert folder_images(tmp_path / "checkpoints", source, classes=wanted).classes == tuple(wanted)
    with pytest.raises(BadInput, match=r"class 'red' \(10 images\) is not in data.classes; did you mean 'reed'"):
        folder_images(tmp_path / "checkpoints", source, classes=["reed", "green", "blue"])
    with pytest.raises(BadInput, match="two or more different names"):
        folder_images(tmp_path / "checkpoints", source, classes=["red", "red"])


def test_the_second_load_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = parted(tmp_path / "data")
    calls = []
    decode = cache.decode
    monkeypatch.setattr(cache, "decode", lambda content, size: calls.append(1) or decode(content, size))
    first = folder_images(tmp_path / "checkpoints", source)
    assert len(calls) == 24
    second = folder_images(tmp_path / "checkpoints", source, group_by="red/0[012]")
    # Other labels, classes or split: the same pixels serve.
    folder_images(tmp_path / "checkpoints", source, labels="given")
    assert len(calls) == 24
    assert torch.equal(everything(first)[1], everything(second)[1])
    save(picture(77), source / "train" / "red" / "00.png")
    changed = folder_images(tmp_path / "checkpoints", source)
    assert len(calls) == 48 and changed.pool.ids != first.pool.ids


def test_a_kill_while_decoding_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = parted(tmp_path / "data")
    decode, calls = cache.decode, []

    def dies(content, size):
        calls.append(1)
        if len(calls) > 10:
            raise KeyboardInterrupt
        return decode(content, size)

    monkeypatch.setattr(cache, "decode", dies)
    with pytest.raises(KeyboardInterrupt):
        folder_images(tmp_path / "checkpoints", source)
    [folder] = (tmp_path / "checkpoints" / "data").iterdir()
    (folder / ".pixels.npy.abc.unfinished").write_bytes(b"what kill -9 leaves")
    monkeypatch.setattr(cache, "decode", decode)
    assert len(folder_images(tmp_path / "checkpoints", source).pool) == 18
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "facts.npy", "pixels.npy", "record.json"]


def test_a_full_disk_is_said_and_can_be_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = parted(tmp_path / "data")

    def full(descriptor, data, offset):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(BadInput, match="no space left"):
            folder_images(tmp_path / "checkpoints", source)
    assert len(folder_images(tmp_path / "checkpoints", source).pool) == 18


LOADER = """
import logging, sys
from pathlib import Path
import torch
from ssal.data.load import load
logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO)
images = load(Path(sys.argv[1]), source="folder", options={"path": sys.argv[2]}, size=64)
print("sum", int(images.pool.fetch(torch.arange(len(images.pool))).long().sum()), images.fingerprint)
"""


def test_two_processes_decode_once(tmp_path: Path) -> None:
    source = class_folders(tmp_path / "data", each=60, size=(96, 96))
    command = [sys.executable, "-c", LOADER, str(tmp_path / "checkpoints"), str(source)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0].splitlines() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert outputs[0][-1] == outputs[1][-1] and outputs[0][-1].startswith("sum")
    assert sum("decoding 180 images once" in line for lines in outputs for line in lines) == 1


def test_unknown_source(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="did you mean 'folder'"):
        load(tmp_path, source="foldr", options={})


def test_embeddings_of_the_same_ids_differ_by_their_values(tmp_path: Path) -> None:
    """Two encoders of one image set: a learner of the one must never be taken for one of the other."""
    prints = []
    for name, scale in (("a", 1.0), ("b", 2.0)):
        rows = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32) * scale
        np.save(tmp_path / f"{name}.npy", rows)
        lines = [f"{row:016x},{'xy'[row % 2]}" for row in range(40)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["id,label", *lines]))
        options = {"path": str(tmp_path / f"{name}.npy")}
        images = load(tmp_path / "checkpoints", source="embeddings", options=options)
        prints.append((images.pool.ids, images.fingerprint))
    assert prints[0][0] == prints[1][0] and prints[0][1] != prints[1][1]
