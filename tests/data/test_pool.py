"""Imbalance and classes out of the pool: exact counts, the same test images, and nothing that a name moves."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import class_folders, folder_images, picture, save

from ssal.data.images import Images
from ssal.data.load import load
from ssal.data.pool import profile
from ssal.errors import BadInput


def digits(checkpoints: Path, **keys: Any) -> Images:
    return load(checkpoints, source="digits", options={}, flip=False, **keys)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Images:
    return digits(tmp_path_factory.mktemp("checkpoints"))


def test_the_profile_is_that_of_long_tailed_cifar() -> None:
    """The counts of CIFAR-10-LT with ratio 100, as published with Cao et al. (2019)."""
    assert profile([5000] * 10, 100) == [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]


@pytest.mark.parametrize(
    ("available", "ratio", "kept"),
    [
        ([100, 100, 100], 100, [100, 10, 1]),
        ([90, 100, 95], 1, [90, 90, 90]),
        ([100, 100, 5], 10, [50, 15, 5]),  # the rarest class has 5, so the others make do
        ([60, 100, 100], 100, [60, 6, 0]),
        ([7], 3, [7]),
    ],
)
def test_profile(available: list[int], ratio: float, kept: list[int]) -> None:
    assert profile(available, ratio) == kept


def test_a_ratio_thins_the_pool_and_leaves_the_test_set(tmp_path: Path, plain: Images) -> None:
    found = digits(tmp_path, imbalance=20)
    assert (found.test.ids, found.test_labels) == (plain.test.ids, plain.test_labels)
    assert set(found.pool.ids) < set(plain.pool.ids) and found.classes == plain.classes
    assert found.hidden == {id: plain.hidden[id] for id in found.pool.ids} and found.askable == set(found.pool.ids)
    counts = Counter(found.hidden.values())
    by_rank = [name for name, _ in counts.most_common()]
    have = Counter(plain.hidden.values())
    assert [counts[name] for name in by_rank] == profile([have[name] for name in by_rank], 20)
    assert counts[by_rank[0]] // counts[by_rank[-1]] in (20, 21), "counts are rounded down"
    told = f"note: imbalance: {len(found.pool)} of {len(plain.pool)} pool images of the classes stay ({by_rank[0]}: "
    assert any(line.startswith(told) for line in found.summary())


def test_the_pool_follows_from_its_seed(tmp_path: Path, plain: Images) -> None:
    found = {seed: digits(tmp_path, imbalance=20, pool_seed=seed) for seed in range(8)}
    assert found[0].pool.ids == digits(tmp_path, imbalance=20).pool.ids
    assert len({one.pool.ids for one in found.values()}) == len({one.fingerprint for one in found.values()}) == 8
    assert len({Counter(one.hidden.values()).most_common()[0][0] for one in found.values()}) > 2, "the order is drawn"
    assert all(one.test.ids == plain.test.ids for one in found.values())
    assert digits(tmp_path, pool_seed=3).fingerprint == plain.fingerprint, "without an option there is nothing to draw"


def test_a_higher_ratio_keeps_some_of_what_a_lower_one_keeps(tmp_path: Path) -> None:
    pools = [set(digits(tmp_path, imbalance=ratio).pool.ids) for ratio in (100, 10, 2)]
    assert pools[0] < pools[1] < pools[2]


def test_shares_by_class(tmp_path: Path, plain: Images) -> None:
    found = digits(tmp_path, imbalance={"3": 0.1, "8": 0.5, "1": 1.0})
    before, after = Counter(plain.hidden.values()), Counter(found.hidden.values())
    expected = {**before, "3": before["3"] // 10, "8": before["8"] // 2}
    assert after == expected and found.test.ids == plain.test.ids


def test_classes_out_of_the_pool(tmp_path: Path, plain: Images) -> None:
    found = digits(tmp_path, out_of_class=["5", "3"])
    assert found.classes == tuple("01246789")
    assert found.pool.ids == plain.pool.ids and found.hidden == plain.hidden and found.askable == set(found.pool.ids)
    kept = [(id, label) for id, label in zip(plain.test.ids, plain.test_labels, strict=True) if label not in "35"]
    assert list(zip(found.test.ids, found.test_labels, strict=True)) == kept
    out, gone = sum(label in "35" for label in plain.hidden.values()), len(plain.test) - len(kept)
    told = f"note: out of class: {out} of {len(plain.pool)} pool images are of none of the classes (3, 5); {gone} test"
    assert any(line.startswith(told) for line in found.summary())


def test_out_of_class_images_are_not_thinned(tmp_path: Path, plain: Images) -> None:
    found = digits(tmp_path, out_of_class=["3", "5"], imbalance=10)
    before, after = Counter(plain.hidden.values()), Counter(found.hidden.values())
    assert after["3"] == before["3"] and after["5"] == before["5"]
    rest = sorted((after[name] for name in found.classes), reverse=True)
    assert rest[0] // rest[-1] == 10 and found.test.ids == digits(tmp_path, out_of_class=["3", "5"]).test.ids


def test_classes_that_are_named_need_not_name_those_out(tmp_path: Path) -> None:
    source = class_folders(tmp_path / "data")
    wanted = folder_images(tmp_path / "checkpoints", source, classes=["blue", "green"], out_of_class=["red"])
    assert wanted.classes == ("blue", "green") and "red" in wanted.hidden.values()
    with pytest.raises(BadInput, match="class 'red'"):
        folder_images(tmp_path / "checkpoints", source, classes=["blue", "green"])


@pytest.mark.parametrize("lazy", [False, True])
def test_renamed_folders_move_nothing(tmp_path: Path, lazy: bool) -> None:
    names = {"blue": "zebra", "green": "ant", "red": "middle"}
    limit = {"resident_limit_gib": 0.0} if lazy else {}
    options: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"imbalance": 4.0}, {"imbalance": 4.0}),
        ({"imbalance": {"red": 0.5}}, {"imbalance": {"middle": 0.5}}),
        ({"out_of_class": ["green"], "imbalance": 2.0}, {"out_of_class": ["ant"], "imbalance": 2.0}),
    ]
    source = class_folders(tmp_path / "plain", each=14)
    other = class_folders(tmp_path / "renamed", each=14)
    for old, new in names.items():
        (other / old).rename(other / new)
    for before, after in options:
        one = folder_images(tmp_path / "checkpoints", source, **before, **limit)
        two = folder_images(tmp_path / "checkpoints", other, **after, **limit)
        assert one.pool.ids == two.pool.ids and one.test.ids == two.test.ids and one.fingerprint == two.fingerprint
        assert one.pool.resident is not lazy
        assert two.hidden == {id: names[label] for id, label in one.hidden.items()}
        assert two.report["order"] == [names[label] for label in one.report["order"]]


def test_embeddings_have_rare_classes_and_others_too(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).normal(size=(120, 4)).astype(np.float32))
    (tmp_path / "rows.csv").write_text("\n".join(["label", *("xyz"[row % 3] for row in range(120))]))
    keys: dict[str, Any] = {"source": "embeddings", "options": {"path": str(tmp_path / "rows.npy")}}
    plain = load(tmp_path, **keys)
    found = load(tmp_path, **keys, out_of_class=["z"], imbalance=5)
    most, least = (count for name, count in Counter(found.hidden.values()).most_common() if name != "z")
    assert most // least == 5 and found.classes == ("x", "y") and set(found.test.ids) < set(plain.test.ids)
    with pytest.raises(BadInput, match=r"^data.redundancy: .*embeddings have no pixels.*ssal embed"):
        load(tmp_path, **keys, redundancy=1)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"imbalance": {"gren": 0.5}}, r"^data.imbalance: no pool image is of a class 'gren'; did you mean 'green'\?"),
        ({"imbalance": {"x": 0.5}}, r"no pool image is of a class 'x' \(classes: blue, green, red\)"),
        ({"imbalance": 1e6}, r"^data.imbalance: a ratio of 1e\+06 leaves none of the \d pool images of class"),
        ({"imbalance": {"red": 0.01}}, r"^data.imbalance: so small a share leaves none of the \d pool images of class"),
        ({"out_of_class": ["rde"]}, r"^data.out_of_class: no pool image is of a class 'rde'; did you mean 'red'\?"),
        ({"out_of_class": ["red", "green"]}, "^data.out_of_class: 2 of 3 classes are put out.*name fewer"),
        ({"out_of_class": ["red", "green", "blue"]}, "^data.out_of_class: 3 of 3 classes are put out"),
        ({"imbalance": {"red": 0.5}, "out_of_class": ["red"]}, "^data.imbalance: no pool image is of a class 'red'"),
        ({"imbalance": 2.0, "labels": "given"}, "^data.imbalance: .*data.labels is given; type data.labels=hidden"),
        ({"out_of_class": ["red"], "labels": "given"}, "^data.out_of_class: .*type data.labels=hidden"),
        ({"redundancy": 1, "labels": "given"}, "^data.redundancy: .*type data.labels=hidden"),
    ],
)
def test_what_cannot_be(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        folder_images(tmp_path / "checkpoints", class_folders(tmp_path / "data"), **keys)


def test_imbalance_needs_the_label_of_every_pool_image(tmp_path: Path) -> None:
    source = class_folders(tmp_path / "data")
    for number in range(2):
        save(picture(500 + number), source / "unlabelled" / f"{number}.png")
    with pytest.raises(BadInput, match=r"^data.imbalance: 2 of \d+ pool images have no label.*first: unlabelled/"):
        folder_images(tmp_path / "checkpoints", source, imbalance=2.0)
    found = folder_images(tmp_path / "checkpoints", source, out_of_class=["red"])
    assert len(found.askable) == len(found.pool) - 2, "images of nobody knows what are still not asked for"


def test_a_test_set_of_other_classes_alone(tmp_path: Path) -> None:
    for index, (name, part) in enumerate([("red", "train"), ("blue", "train"), ("green", "train"), ("red", "test")]):
        for number in range(3):
            save(picture(10 * index + number), tmp_path / "data" / part / name / f"{number}.png")
    with pytest.raises(BadInput, match="no image of the test part"):
        folder_images(tmp_path / "checkpoints", tmp_path / "data", out_of_class=["red"])
