"""The oracle: what the data say, wrong as often as the recipe says, and the same for every arm of a seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ssal import registry
from ssal.data.images import Images, ImageSet
from ssal.errors import BadInput
from ssal.labelling.answers import LABEL, NONE
from ssal.labelling.oracle import noisy, oracle

CLASSES = ("ant", "bee", "cat", "dog")
COUNT = 4000


@pytest.fixture(scope="module")
def images() -> Images:
    """Return images of four classes, and every fifth of none of them."""
    ids = [f"{number:016x}" for number in range(COUNT)]
    names = (*CLASSES, "elk")
    hidden = {id: names[number % 5] for number, id in enumerate(ids)}
    pixels, half = torch.zeros((1, 3, 4, 4), dtype=torch.uint8), torch.full((3,), 0.5)
    pool = ImageSet(ids, ids, pixels, torch.zeros(COUNT, dtype=torch.long))
    report = {"order": ["dog", "ant", "cat", "bee"]}
    return Images(pool, ImageSet((), (), pixels[:0]), CLASSES, half, half, hidden, {}, (), "", False, report)


def labels(ids: Sequence[str], images: Images, noise: float, seed: int = 0) -> dict[str, str | None]:
    said = oracle(ids, images, Path(), seed=seed, noise=noise)
    assert all(answer.kind == (LABEL if answer.label else NONE) for answer in said.values())
    return {id: answer.label for id, answer in said.items()}


def answers(images: Images, noise: float = 0.0, seed: int = 0) -> dict[str, str | None]:
    return labels(images.pool.ids, images, noise, seed)


def test_without_noise_it_says_what_is_known(images: Images) -> None:
    found = answers(images)
    assert found == {id: label if label in CLASSES else None for id, label in images.hidden.items()}
    assert sum(label is None for label in found.values()) == COUNT // 5


def test_a_share_of_the_answers_is_wrong_and_no_other_class_is_preferred(images: Images) -> None:
    found, truth = answers(images, 0.3), answers(images)
    known = [id for id, label in truth.items() if label is not None]
    wrong = [id for id in known if found[id] != truth[id]]
    # 3,200 draws at 0.3: standard deviation 0.008.
    assert abs(len(wrong) / len(known) - 0.3) < 0.033
    pairs = Counter((truth[id], found[id]) for id in wrong)
    assert len(pairs) == 12 and None not in {label for pair in pairs for label in pair}
    assert all(abs(count - 80) < 36 for count in pairs.values()), "80 of each pair are expected, ± 9"
    assert all(found[id] is None for id in truth if truth[id] is None), "what is out of class is always told"


def test_an_answer_follows_from_seed_and_image_alone(images: Images) -> None:
    found = answers(images, 0.3)
    some = images.pool.ids[700:100:-7]
    assert labels(some, images, 0.3) == {id: found[id] for id in some}
    assert answers(images, 0.3, seed=1) != found
    asked = set(some)
    others = {id: label if id in asked else "ant" for id, label in images.hidden.items()}
    again = labels(some, replace(images, hidden=others), 0.3)
    assert again == {id: found[id] for id in some}, "labels that were not asked for move no answer"


def test_more_noise_takes_back_no_wrong_answer(images: Images) -> None:
    truth, little, much = answers(images), answers(images, 0.1), answers(images, 0.5)
    wrong = [id for id in truth if little[id] != truth[id]]
    assert wrong and all(much[id] == little[id] for id in wrong)


def test_renamed_classes_get_the_same_answers(images: Images) -> None:
    new = dict(zip((*CLASSES, "elk"), ("zebra", "yak", "ape", "owl", "fox"), strict=True))
    renamed = replace(
        images,
        classes=tuple(sorted(new[name] for name in CLASSES)),
        hidden={id: new[label] for id, label in images.hidden.items()},
        report={"order": [new[name] for name in images.report["order"]]},
    )
    told = {id: label and new[label] for id, label in answers(images, 0.3).items()}
    assert answers(renamed, 0.3) == told


def test_noisy_by_hand() -> None:
    assert noisy("a", ["a", "b"], 0.0, 0, "x") == "a"
    found = {noisy("a", ["a", "b"], 0.999999, 0, f"{number}") for number in range(50)}
    assert found == {"b"}


def test_an_image_that_nobody_knows(images: Images) -> None:
    with pytest.raises(BadInput, match=r"^labelling.answered_by: the oracle knows no label for 1 of 2 images"):
        oracle([images.pool.ids[0], "f" * 16], images, Path(), seed=0)


def test_noise_is_an_option_of_recipes() -> None:
    method = registry.find("answerer", "oracle")
    assert method.options == {"noise": 0.0} and method.given == ("seed",)
