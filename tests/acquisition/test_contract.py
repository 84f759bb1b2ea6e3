"""What every strategy owes the round, held over the registry: a new file is tested without a new test."""

from __future__ import annotations

import hashlib

import numpy
import pytest
import torch
from torch import Tensor

from ssal import registry
from ssal.acquisition.choose import choose
from ssal.errors import BadInput
from ssal.registry import Method
from ssal.signals.vocabulary import VOCABULARY

STRATEGIES = registry.methods("strategy")
ENCODER_SIGNALS = {"features", "labelled_features", "ssl_features", "labelled_ssl_features", "contrast_loss"}
every_strategy = pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)


def table_of(pool: int = 60, labelled: int = 12, classes: int = 4, seed: int = 0) -> dict[str, Tensor]:
    """Fill every signal of the vocabulary by its shape; probabilities are softmax of a linear map of features."""
    generator = torch.Generator().manual_seed(seed)
    sizes = {"N": pool, "L": labelled, "O": 9, "C": classes, "D": 8, "E": 6}
    table = {}
    for name, signal in VOCABULARY.items():
        letters = [letter for letter in signal.shape.split(",") if len(letter) == 1]
        if not letters:
            continue
        values = torch.randn([sizes.get(letter, 3) for letter in letters], generator=generator)
        if name.endswith("probabilities"):
            values = (3 * values).softmax(-1)
        table[name] = torch.arange(labelled) % classes if name == "labels" else values
    return table


def ids_of(pool: int) -> list[str]:
    return sorted(hashlib.sha256(str(row).encode()).hexdigest()[:16] for row in range(pool))


def ask(strategy: Method, table: dict[str, Tensor], ids: list[str], size: int, seed: int = 0) -> list[str]:
    generator = torch.Generator().manual_seed(seed)
    classes = table["probabilities"].shape[1]
    chosen = choose(strategy, table, ids, size, generator, classes=classes, options={})
    assert [choice.rank for choice in chosen] == list(range(1, len(chosen) + 1))
    return [choice.id for choice in chosen]


def pool_rows(name: str) -> bool:
    return VOCABULARY[name].shape.startswith("N")


def test_the_issue_has_its_strategies() -> None:
    asked_for = {"random", "least_confidence", "margin", "entropy", "coreset", "kmeans", "badge", "typiclust"}
    assert asked_for | {"featdist", "blend"} <= set(STRATEGIES)


@every_strategy
@pytest.mark.parametrize("size", [1, 2, 17, 59, 60, 61, 500])
def test_exactly_as_many_as_asked_and_none_twice(strategy: Method, size: int) -> None:
    ids = ids_of(60)
    chosen = ask(strategy, table_of(), ids, size)
    assert len(chosen) == len(set(chosen)) == min(size, 60)
    assert set(chosen) <= set(ids)


@every_strategy
def test_a_pool_of_one(strategy: Method) -> None:
    assert ask(strategy, table_of(pool=1), ["a"], 3) == ["a"]


@every_strategy
def test_same_seed_same_images_and_no_other_randomness(strategy: Method) -> None:
    table, ids = table_of(), ids_of(60)
    before = {name: tensor.clone() for name, tensor in table.items()}
    first = ask(strategy, table, ids, 15)
    torch.manual_seed(5)
    numpy.random.seed(5)
    torch_state, numpy_state = torch.get_rng_state(), numpy.random.get_state()[1].copy()
    assert ask(strategy, table, ids, 15) == first
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (numpy.random.get_state()[1] == numpy_state).all()
    assert all(torch.equal(table[name], before[name]) for name in table), "a strategy must not write to its signals"


@every_strategy
@pytest.mark.parametrize("labelled", [0, 12])
def test_the_order_of_storage_does_not_matter(strategy: Method, labelled: int) -> None:
    table, ids = table_of(labelled=labelled), ids_of(60)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(3))
    moved = {name: tensor[order] if pool_rows(name) else tensor for name, tensor in table.items()}
    for seed in range(3):
        assert ask(strategy, moved, [ids[row] for row in order], 15, seed) == ask(strategy, table, ids, 15, seed)


@every_strategy
def test_images_that_are_all_alike_are_drawn_from_everywhere(strategy: Method) -> None:
    table = table_of()
    table = {name: tensor[:1].expand(tensor.shape) if pool_rows(name) else tensor for name, tensor in table.items()}
    ids, drawn = ids_of(60), set()
    for seed in range(12):
        chosen = ask(strategy, table, ids, 10, seed)
        assert len(set(chosen)) == 10
        drawn |= set(chosen)
    # 12 draws of 10 from 60 leave (5/6)^12 = 11 % untouched; picking by row would leave 83 %.
    assert len(drawn) > 45


@every_strategy
def test_a_pool_where_each_image_stands_twice(strategy: Method) -> None:
    table = table_of(pool=20)
    table = {name: tensor.repeat_interleave(2, 0) if pool_rows(name) else tensor for name, tensor in table.items()}
    ids = ids_of(40)
    chosen = ask(strategy, table, ids, 20)
    assert len(set(chosen)) == 20
    if strategy.name in ("coreset", "badge"):
        assert len({ids.index(id) // 2 for id in chosen}) == 20, "a twin was taken before all others were covered"


@every_strategy
def test_two_classes(strategy: Method) -> None:
    assert len(set(ask(strategy, table_of(classes=2), ids_of(60), 10))) == 10


@every_strategy
def test_certain_predictions_and_zero_features_stay_finite(strategy: Method) -> None:
    table = table_of()
    for name in ("probabilities", "previous_probabilities"):
        table[name] = torch.eye(4)[torch.arange(60) % 4]
    for name in ("features", "ssl_features"):
        table[name] = torch.zeros_like(table[name])
    assert len(set(ask(strategy, table, ids_of(60), 10))) == 10


@pytest.mark.parametrize(
    "strategy",
    [strategy for strategy in STRATEGIES.values() if set(registry.needs_of(strategy, {})) <= ENCODER_SIGNALS],
    ids=lambda strategy: strategy.name,
)
def test_a_first_round_without_any_label(strategy: Method) -> None:
    table, ids = table_of(labelled=0), ids_of(60)
    chosen = ask(strategy, table, ids, 10)
    assert len(set(chosen)) == 10
    assert chosen == ask(strategy, table, ids, 10)


def test_the_cold_starts_of_the_issue_are_among_them() -> None:
    for name in ("typiclust", "random", "kmeans", "coreset"):
        assert set(STRATEGIES[name].needs) <= ENCODER_SIGNALS


@every_strategy
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_signal_that_is_not_finite_is_named(strategy: Method, bad: float) -> None:
    ids = ids_of(60)
    for need in registry.needs_of(strategy, {}):
        table = table_of()
        if not table[need].is_floating_point():
            continue
        table[need][7] = bad
        with pytest.raises(BadInput, match=f"signal {need}: 1 of .* rows are not finite") as error:
            ask(strategy, table, ids, 5)
        assert (ids[7] in str(error.value)) == pool_rows(need)


@every_strategy
def test_a_missing_signal_is_named(strategy: Method) -> None:
    for need in registry.needs_of(strategy, {}):
        table = table_of()
        classes = table["probabilities"].shape[1]
        del table[need]
        with pytest.raises(BadInput, match=f"{strategy.name}: needs {need}, which this round does not have"):
            choose(strategy, table, ids_of(60), 5, torch.Generator(), classes=classes, options={})


@every_strategy
def test_unlabelled_classes_cannot_reach_a_strategy(strategy: Method) -> None:
    """Whatever has one row per pool image is an output or a feature; only labelled images come with classes."""
    assert "labels" not in strategy.needs or not pool_rows("labels")
    assert all(need in VOCABULARY for need in strategy.needs)


@every_strategy
def test_defaults_of_options_pass_their_own_types(strategy: Method) -> None:
    strategy.model(**strategy.options)


@pytest.mark.gpu
@every_strategy
def test_cuda_signals_give_as_many_images(strategy: Method) -> None:
    table = {name: tensor.cuda() for name, tensor in table_of().items()}
    assert len(set(ask(strategy, table, ids_of(60), 15))) == 15
    assert ask(strategy, table, ids_of(60), 15) == ask(strategy, table, ids_of(60), 15)
