"""The rows of a step follow from the stream's name and the step alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssal.data import batches
from ssal.data.batches import in_order, labelled_and_unlabelled, step_rows, unlabelled_only
from ssal.data.images import ImageSet

rows_of = st.lists(st.integers(0, 10_000), min_size=1, max_size=40, unique=True).map(torch.tensor)
names_of = st.lists(st.one_of(st.integers(0, 9), st.sampled_from(["train", "round", "labelled"])), max_size=3)


def pixels(count: int) -> ImageSet:
    """Return images whose pixels say which row they are in."""
    marks = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)
    return ImageSet([f"{row:016x}" for row in range(count)], [""] * count, marks.contiguous())


def rows_in(images: torch.Tensor) -> list[int]:
    return images[:, 0, 0, 0].tolist()


def by_step(parts: Iterable[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    return {batch["step"]: batch for batch in parts}


@settings(deadline=None, max_examples=60)
@given(rows=rows_of, size=st.integers(1, 60), steps=st.integers(1, 8), names=names_of)
def test_every_epoch_is_a_permutation_whatever_the_batch_size(
    rows: torch.Tensor, size: int, steps: int, names: list[int | str]
) -> None:
    drawn = torch.cat([step_rows(rows, size, step, *names) for step in range(steps)])
    assert len(drawn) == size * steps
    epochs = drawn.split(len(rows))
    for epoch in epochs[:-1] if len(epochs[-1]) < len(rows) else epochs:
        assert sorted(epoch.tolist()) == sorted(rows.tolist())
    assert len(set(epochs[-1].tolist())) == len(epochs[-1]), "nor does an unfinished epoch repeat an image"


@settings(deadline=None, max_examples=60)
@given(rows=rows_of, size=st.integers(1, 60), step=st.integers(0, 10_000), names=names_of)
def test_a_step_follows_from_its_number_and_the_streams_name(
    rows: torch.Tensor, size: int, step: int, names: list[int | str]
) -> None:
    batches._shuffled.cache_clear()
    torch.manual_seed(step)
    before = torch.random.get_rng_state()
    alone = step_rows(rows, size, step, *names)
    assert torch.equal(torch.random.get_rng_state(), before), "the global stream stays where it was"
    for earlier in range(max(0, step - 2), step):
        step_rows(rows, size, earlier, *names)
    torch.rand(3)
    assert torch.equal(step_rows(rows, size, step, *names), alone)


@settings(deadline=None, max_examples=40)
@given(data=st.data(), count=st.integers(2, 30), size=st.integers(1, 40), step=st.integers(0, 50))
def test_the_order_is_drawn_over_places_and_not_over_what_stands_there(
    data: st.DataObject, count: int, size: int, step: int
) -> None:
    """Equivariance: with other rows at the same places, the same places are drawn."""
    rows = torch.tensor(data.draw(st.permutations(range(count))))
    assert torch.equal(step_rows(rows, size, step, "a"), rows[step_rows(torch.arange(count), size, step, "a")])


def test_a_batch_larger_than_the_set_repeats_images_evenly() -> None:
    rows = torch.tensor([3, 5, 8])
    counts = torch.bincount(step_rows(rows, 32, 0, "labelled"), minlength=9)[rows]
    assert counts.tolist() in ([10, 11, 11], [11, 10, 11], [11, 11, 10])
    counts = torch.bincount(step_rows(rows, 3 * 7, 4, "labelled"), minlength=9)[rows]
    assert counts.tolist() == [7, 7, 7]


def test_epochs_streams_and_seeds_are_shuffled_apart() -> None:
    rows = torch.arange(50)
    orders = [
        step_rows(rows, 50, step, seed, "round", number, part).tolist()
        for step in (0, 1)
        for seed in (0, 1)
        for number in (0, 1)
        for part in ("labelled", "unlabelled")
    ]
    assert len({tuple(order) for order in orders}) == 16
    places = torch.stack([step_rows(rows, 50, step, "uniform") for step in range(400)])
    first = torch.bincount(places[:, 0], minlength=50)
    # 400 draws over 50 rows: chi-square of 49 degrees of freedom, 99.99 % quantile 97.
    assert float(((first - 8.0) ** 2 / 8).sum()) < 97


def test_labelled_and_unlabelled_batches() -> None:
    images, labelled = pixels(30), torch.tensor([4, 9, 17, 22, 28])
    labels = torch.tensor([2, 0, 1, 2, 0])
    number_of = dict(zip(labelled.tolist(), labels.tolist(), strict=True))
    steps = by_step(labelled_and_unlabelled(images, range(12), labelled, labels, 4, 10, (0, "train")))
    assert list(steps) == list(range(12))
    seen: list[int] = []
    for batch in steps.values():
        rows = rows_in(batch["labelled"])
        assert [number_of[row] for row in rows] == batch["labels"].tolist()
        assert rows_in(batch["unlabelled"]) == batch["unlabelled_rows"].tolist()
        seen += rows_in(batch["unlabelled"])
    assert sorted(seen) == sorted(list(range(30)) * 4), "labelled images stay in the unlabelled stream"
    own = step_rows(labelled, 4, 5, 0, "train", "labelled")
    assert rows_in(steps[5]["labelled"]) == own.tolist()


def test_both_streams_are_drawn_apart_even_over_the_same_rows() -> None:
    images, everything = pixels(20), torch.arange(20)
    (batch,) = labelled_and_unlabelled(
        images, range(1), everything, torch.zeros(20, dtype=torch.long), 20, 20, (0, "t")
    )
    assert rows_in(batch["labelled"]) != rows_in(batch["unlabelled"])


@pytest.mark.parametrize("unlabelled_size", [0, 6])
def test_batches_from_the_middle_are_those_of_a_whole_run(unlabelled_size: int) -> None:
    """What a resumed training is fed: the same batches, although the steps before were never made."""
    images, labelled, labels = pixels(25), torch.tensor([1, 7, 20]), torch.tensor([0, 1, 1])
    whole = by_step(labelled_and_unlabelled(images, range(20), labelled, labels, 5, unlabelled_size, (3, "train")))
    batches._shuffled.cache_clear()
    later = by_step(labelled_and_unlabelled(images, range(13, 20), labelled, labels, 5, unlabelled_size, (3, "train")))
    assert list(later) == list(range(13, 20))
    for step, batch in later.items():
        assert set(batch) == {"step", "labelled", "labels", "labelled_rows"} | (
            {"unlabelled", "unlabelled_rows"} if unlabelled_size else set()
        )
        for name in set(batch) - {"step"}:
            assert torch.equal(batch[name], whole[step][name])


def test_order_of_the_labelled_rows_is_the_callers() -> None:
    """The labels that belong to rows are found by row, so pairs may come in any order."""
    images, rows, labels = pixels(12), torch.tensor([2, 5, 11]), torch.tensor([7, 8, 9])
    for order in ([0, 1, 2], [2, 0, 1]):
        (batch,) = labelled_and_unlabelled(images, range(1), rows[order], labels[order], 9, 0, (0,))
        found = dict(zip(rows_in(batch["labelled"]), batch["labels"].tolist(), strict=True))
        assert found == {2: 7, 5: 8, 11: 9}


def test_a_pretext_sees_every_image_once_an_epoch() -> None:
    images = pixels(23)
    parts = by_step(unlabelled_only(images, range(23), 8, (0, "pretrain")))
    drawn = [row for batch in parts.values() for row in rows_in(batch["images"])]
    for epoch in range(8):
        assert sorted(drawn[23 * epoch : 23 * (epoch + 1)]) == list(range(23))
    resumed = by_step(unlabelled_only(images, range(11, 23), 8, (0, "pretrain")))
    assert all(torch.equal(batch["images"], parts[step]["images"]) for step, batch in resumed.items())


@pytest.mark.parametrize("size", [1, 4, 10, 500])
def test_scoring_reads_every_image_once_in_id_order(size: int) -> None:
    parts = list(in_order(pixels(10), size))
    assert rows_in(torch.cat(parts)) == list(range(10))
    assert [len(part) for part in parts[:-1]] == [size] * (len(parts) - 1)
