"""Redundancy: every pool image stands several times, a little different, and the test set knows nothing of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pictures import class_folders, folder_images
from sklearn.metrics import pairwise_distances
from torch.nn.functional import pad

from ssal.data import near_duplicates
from ssal.data.images import Images
from ssal.data.listing import content_id
from ssal.data.load import load
from ssal.data.near_duplicates import near_duplicate
from ssal.errors import BadInput

IDS = [f"{number:016x}" for number in range(40)]


def digits(checkpoints: Path, **keys: Any) -> Images:
    return load(checkpoints, source="digits", options={}, flip=False, **keys)


def noise(count: int = 40, size: int = 16) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_without_light_and_noise_it_is_a_shift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_duplicates, "BRIGHTNESS", 0.0)
    monkeypatch.setattr(near_duplicates, "NOISE", 0.0)
    for size, far in ((8, 1), (16, 1), (32, 2)):
        images = noise(size=size)
        made = near_duplicate(images, IDS, 1, seed=0)
        edged = pad(images.float(), (far,) * 4, mode="replicate").to(torch.uint8)
        moves = set()
        for image, twin in zip(edged, made, strict=True):
            found = [
                (down, right)
                for down in range(2 * far + 1)
                for right in range(2 * far + 1)
                if torch.equal(image[:, down : down + size, right : right + size], twin)
            ]
            assert len(found) == 1
            moves |= set(found)
        assert len(moves) > (2 * far + 1) ** 2 / 2, "shifts are drawn"


def test_light_and_noise_are_small_and_grey_stays_grey(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_duplicates, "SHIFT", 0.0)
    grey = torch.full((40, 3, 64, 64), 128, dtype=torch.uint8)
    made = near_duplicate(grey, IDS, 1, seed=0).float()
    assert torch.equal(made[:, 0], made[:, 1]) and torch.equal(made[:, 0], made[:, 2])
    light = made.mean(dim=(1, 2, 3))
    assert ((light / 128 - 1).abs() < 0.11).all() and light.std() > 3
    assert ((made[:, 0] - light[:, None, None]).std(dim=(1, 2)) - 5).abs().max() < 0.4


@pytest.mark.parametrize("level", [0, 255])
def test_blank_images_have_near_duplicates_that_differ(level: int) -> None:
    blank = torch.full((1, 3, 8, 8), level, dtype=torch.uint8)
    made = [near_duplicate(blank, IDS[:1], number, seed=0) for number in range(1, 21)]
    assert len({content_id(image[0].numpy()) for image in [blank, *made]}) == 21


def test_an_image_has_its_own_whatever_stands_beside_it() -> None:
    images = noise()
    made = near_duplicate(images, IDS, 2, seed=5)
    assert torch.equal(made[7:9], near_duplicate(images[7:9], IDS[7:9], 2, seed=5))
    assert not torch.equal(made, near_duplicate(images, IDS, 1, seed=5))
    assert not torch.equal(made, near_duplicate(images, IDS, 2, seed=6))


def test_the_pool_of_digits_with_near_duplicates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_duplicates, "BLOCK", 1000)  # the last block is not whole
    plain, found = digits(tmp_path), digits(tmp_path, redundancy=2)
    assert (found.test.ids, found.test_labels) == (plain.test.ids, plain.test_labels)
    assert torch.equal(*(one.test.fetch(torch.arange(len(one.test))) for one in (plain, found)))
    assert len(found.pool) == 3 * len(plain.pool) and set(plain.pool.ids) < set(found.pool.ids)
    assert not set(found.pool.ids) & set(found.test.ids)
    assert list(found.pool.ids) == sorted(found.pool.ids) and found.askable == set(found.pool.ids)
    everything = found.pool.fetch(torch.arange(len(found.pool)))
    originals = torch.tensor([found.pool.row(id) for id in plain.pool.ids])
    assert torch.equal(everything[originals], plain.pool.fetch(torch.arange(len(plain.pool))))
    for row in range(0, len(found.pool), 50):
        if found.pool.ids[row] not in plain.pool:
            assert found.pool.ids[row] == content_id(everything[row].numpy())
    assert torch.equal(found.mean, plain.mean) and torch.equal(found.std, plain.std)
    assert f"note: redundancy: 2 near-duplicates beside each of {len(plain.pool)} pool images" in "\n".join(
        found.summary()
    )


def test_a_near_duplicate_has_the_label_of_its_original(tmp_path: Path) -> None:
    source = class_folders(tmp_path / "data", size=(32, 32))
    plain = folder_images(tmp_path / "checkpoints", source)
    found = folder_images(tmp_path / "checkpoints", source, redundancy=1)
    paths = {path: found.hidden[id] for id, path in zip(found.pool.ids, found.pool.paths, strict=True)}
    for id, path in zip(plain.pool.ids, plain.pool.paths, strict=True):
        assert paths[path] == paths[f"{path} (near-duplicate 1)"] == plain.hidden[id]


def test_digits_and_their_near_duplicates_are_neighbours(tmp_path: Path) -> None:
    plain, found = digits(tmp_path), digits(tmp_path, redundancy=1)
    rows = found.pool.fetch(torch.arange(len(found.pool)))[:, 0].flatten(1).float().numpy()
    new = [row for row, id in enumerate(found.pool.ids) if id not in plain.pool]
    old = [row for row, id in enumerate(found.pool.ids) if id in plain.pool]
    nearest = pairwise_distances(rows[new], rows[old]).argmin(axis=1)
    paths = found.pool.paths
    own = [paths[a] == f"{paths[old[b]]} (near-duplicate 1)" for a, b in zip(new, nearest, strict=True)]
    # A shift by one of eight pixels moves a digit far; those that are not shifted, one in nine, find their original.
    assert sum(own) / len(own) > 1 / 9


def test_the_pool_follows_from_its_seed(tmp_path: Path) -> None:
    first, again, other = (digits(tmp_path, redundancy=1, pool_seed=seed) for seed in (0, 0, 1))
    assert first.pool.ids == again.pool.ids and first.fingerprint == again.fingerprint != other.fingerprint


def test_only_what_stays_is_repeated(tmp_path: Path) -> None:
    thin = digits(tmp_path, imbalance=10, out_of_class=["3"])
    found = digits(tmp_path, imbalance=10, out_of_class=["3"], redundancy=3)
    assert len(found.pool) == 4 * len(thin.pool) and found.test.ids == thin.test.ids
    assert sum(label == "3" for label in found.hidden.values()) == 4 * sum(v == "3" for v in thin.hidden.values())


@pytest.mark.parametrize("limit", [0.0, 0.0003])
def test_they_stay_in_memory(tmp_path: Path, limit: float) -> None:
    """Lazy images have none, and those that fit alone may not fit with their near-duplicates."""
    with pytest.raises(BadInput, match=r"^data.redundancy: .*type data.resident_limit_gib=1 or more, a smaller"):
        digits(tmp_path, redundancy=3, resident_limit_gib=limit)
