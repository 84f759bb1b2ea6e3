"""Strategies over another one's scores: draws by their odds, classes in turn, diverse images among the best."""

from __future__ import annotations

import itertools
from typing import Any

import numpy
import pytest
import torch
from pydantic import ValidationError
from scipy.stats import chisquare
from torch import Tensor

from ssal import registry
from ssal.acquisition.choose import choose
from ssal.acquisition.chosen import Choice
from ssal.acquisition.class_balanced import class_balanced
from ssal.acquisition.diverse import diverse
from ssal.acquisition.geometry import farthest_first
from ssal.acquisition.kmeans import kmeans
from ssal.acquisition.stochastic import log_odds, stochastic
from ssal.errors import BadInput


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ----------------------------------------------------------------------------------------------------- stochastic

SCORES = torch.tensor([0.5, 0.1, 1.2, 0.8], dtype=torch.float64)


def drawn(scores: Tensor, count: int, generator: torch.Generator, **options: Any) -> list[int]:
    return stochastic({"entropy": scores}, generator=generator, **options).topk(count).indices.tolist()


@pytest.mark.parametrize(
    "form, coldness, odds",
    [
        ("power", 1.0, [0.5, 0.1, 1.2, 0.8]),
        ("power", 2.0, [0.25, 0.01, 1.44, 0.64]),
        ("softmax", 2.0, [2.718282, 1.221403, 11.023176, 4.953032]),
        ("softrank", 1.0, [1 / 3, 1 / 4, 1, 1 / 2]),
        ("softrank", 2.0, [1 / 9, 1 / 16, 1, 1 / 4]),
    ],
)
def test_draws_follow_the_odds_and_are_without_replacement(form: str, coldness: float, odds: list[float]) -> None:
    numpy.testing.assert_allclose(log_odds(SCORES, form, coldness).exp(), odds, rtol=1e-6)
    generator, draws = stream(1), 4000
    pairs = list(itertools.permutations(range(4), 2))
    counts = dict.fromkeys(pairs, 0)
    for _ in range(draws):
        counts[tuple(drawn(SCORES, 2, generator, form=form, coldness=coldness))] += 1
    total = sum(odds)
    expected = [draws * odds[a] / total * odds[b] / (total - odds[a]) for a, b in pairs]
    assert chisquare([counts[pair] for pair in pairs], expected).pvalue > 0.01


def test_equal_scores_are_drawn_alike_by_their_mean_rank() -> None:
    values = torch.tensor([3.0, 1, 1, 5])
    numpy.testing.assert_allclose(log_odds(values, "softrank", 1.0).exp(), [1 / 2, 1 / 3.5, 1 / 3.5, 1])
    assert len(log_odds(torch.zeros(5), "softrank", 1.0).unique()) == 1


def test_the_colder_the_nearer_to_the_best() -> None:
    assert drawn(SCORES, 4, stream(), form="softmax", coldness=1e9) == [2, 3, 0, 1]
    assert drawn(SCORES, 4, stream(), form="power", coldness=1e9) == [2, 3, 0, 1]
    firsts = [drawn(SCORES, 1, stream(seed), form="softmax", coldness=1e-9)[0] for seed in range(400)]
    assert chisquare(numpy.bincount(firsts, minlength=4)).pvalue > 0.01


def test_odds_of_nought_come_last_in_random_order() -> None:
    values, generator = torch.tensor([0.0, 1e-300, 0.0, 2.0, -1e-9], dtype=torch.float64), stream()
    tails = []
    for _ in range(600):
        found = stochastic({"entropy": values}, generator=generator, form="power")
        assert found.isfinite().all()
        order = found.argsort(descending=True).tolist()
        assert set(order[:2]) == {1, 3}, "the smallest odds come before none"
        tails.append(order[2:])
    for place in range(3):
        assert chisquare(numpy.bincount([tail[place] for tail in tails], minlength=5)[[0, 2, 4]]).pvalue > 0.01
    alike = [drawn(torch.zeros(4), 1, generator)[0] for _ in range(400)]
    assert chisquare(numpy.bincount(alike, minlength=4)).pvalue > 0.01


def test_power_refuses_negative_scores_and_says_what_takes_them() -> None:
    told = "form power expects scores of at least 0, but the lowest of margin is -0.4; type form: softrank"
    with pytest.raises(BadInput, match=told):
        stochastic({"margin": torch.tensor([-0.4, 0.0])}, generator=stream(), scored_by="margin", form="power")
    for form in ("softrank", "softmax"):
        found = stochastic({"margin": torch.tensor([-0.4, 0.0])}, generator=stream(), scored_by="margin", form=form)
        assert found.isfinite().all()


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("inf"), float("nan")])
def test_coldness_is_finite_and_above_nought(wrong: float) -> None:
    with pytest.raises(ValidationError):
        registry.find("strategy", "stochastic").model(coldness=wrong)


# ------------------------------------------------------------------------------------------------- class_balanced


def certain(classes: list[int], number: int = 3) -> Tensor:
    return torch.eye(number)[classes] * 0.7 + 0.1


def balanced(scores: list[float], predicted: list[int], labels: list[int], budget: int) -> list[int]:
    given = {"margin": torch.tensor(scores, dtype=torch.float64)}
    return class_balanced(given, certain(predicted), torch.tensor(labels, dtype=torch.long), budget=budget).tolist()


def test_classes_take_turns_those_with_fewest_labels_first() -> None:
    scores, predicted = [9, 8, 7, 1, 2, 3.0], [0, 0, 0, 1, 1, 2]
    # Class 2 has no label, class 1 has one, class 0 has two.
    assert balanced(scores, predicted, [0, 0, 1], 6) == [5, 4, 0, 3, 1, 2]
    assert balanced(scores, predicted, [0, 0, 1], 2) == [5, 4]
    # Of equal numbers of labels, the class with the best image.
    assert balanced(scores, predicted, [], 3) == [0, 5, 4]


def test_the_edges_of_class_balance() -> None:
    assert balanced([1, 3, 2.0], [0, 0, 0], [0, 1, 2], 2) == [1, 2], "one class alone: its best"
    assert balanced([0.5], [2], [0], 1) == [0]
    assert balanced([1, 1, 1, 1.0], [0, 0, 1, 1], [], 4) == [0, 2, 1, 3], "ties follow the order of rows"


def test_no_class_is_more_than_one_image_ahead_of_another_that_has_any_left() -> None:
    predicted = torch.randint(5, (200,), generator=stream())
    for budget in (1, 7, 23, 60):
        given = {"margin": normal(200).double()}
        rows = class_balanced(given, certain(predicted.tolist(), 5), torch.tensor([0, 0, 3]), budget=budget)
        counts = predicted[rows].bincount(minlength=5)
        assert counts.max() - counts.min() <= 1 and len(set(rows.tolist())) == budget


# -------------------------------------------------------------------------------------------------------- diverse


def spread_over(scores: Tensor, features: Tensor, budget: int, **options: Any) -> list[int]:
    labelled = options.pop("labelled", features[:0])
    found = diverse({"margin": scores}, features, labelled, budget=budget, generator=stream(3), **options)
    return found.tolist()


@pytest.mark.parametrize("spread", ["k_means", "k_centre", "k_means_pp"])
def test_only_the_best_are_spread_over(spread: str) -> None:
    scores, features = normal(100), normal(100, 4, seed=1)
    best = scores.argsort(descending=True)
    for budget, prefilter in ((5, 3), (1, 10), (4, 1), (30, 10)):
        rows = spread_over(scores, features, budget, prefilter=prefilter, spread=spread)
        assert len(set(rows)) == budget
        assert set(rows) <= set(best[: budget * prefilter].tolist())
    assert spread_over(scores, features, 4, prefilter=1, spread=spread) == best[:4].tolist()
    assert sorted(spread_over(scores, features, 100, spread=spread)) == list(range(100))
    assert spread_over(scores[:1], features[:1], 1, spread=spread) == [0]


def test_each_way_of_spreading_is_the_strategy_of_that_name_among_the_best() -> None:
    scores, features, labelled = normal(100), normal(100, 4, seed=1), normal(3, 4, seed=2)
    best = scores.argsort(descending=True)[:30]
    found = spread_over(scores, features, 6, prefilter=5, spread="k_centre", labelled=labelled)
    assert found == best[farthest_first(features[best], labelled, 6)].tolist()
    found = spread_over(scores, features, 6, prefilter=5, spread="k_means")
    assert found == best[kmeans(features[best], budget=6, generator=stream(3))].tolist()
    assert spread_over(scores, features, 6, prefilter=5, spread="k_means_pp")[0] == int(best[0])


def test_k_centre_by_hand() -> None:
    """Of the four best of 0, 1, 2, 9, 10 and 50, 50 is out; from the label at 0, 10 is farthest and then 2 or 1."""
    features, scores = torch.tensor([[0.0], [1], [2], [9], [10], [50]]), torch.tensor([5.0, 4, 3, 0, 2, 1])
    found = spread_over(scores, features, 2, prefilter=2, spread="k_centre", labelled=torch.zeros(1, 1))
    assert found == [4, 2]


@pytest.mark.parametrize("spread", ["k_means", "k_centre", "k_means_pp"])
def test_images_that_are_all_alike_are_still_chosen(spread: str) -> None:
    assert len(set(spread_over(torch.zeros(40), torch.ones(40, 3), 6, spread=spread))) == 6


# ----------------------------------------------------------------------------------------------------- in a round

TABLE = {
    "probabilities": normal(30, 3).softmax(1),
    "features": normal(30, 4, seed=1),
    "labelled_features": normal(6, 4, seed=2),
    "labels": torch.arange(6) % 3,
}
IDS = [f"{row:04x}" for row in range(30)]


def ask(name: str, size: int = 4, seed: int = 0, **options: Any) -> list[Choice]:
    method = registry.find("strategy", name)
    return choose(method, TABLE, IDS, size, stream(seed), classes=3, options=options)


def test_a_wrapper_gets_what_it_and_its_child_need() -> None:
    needs = {name: registry.needs_of(registry.find("strategy", name), {}) for name in ("diverse", "class_balanced")}
    assert set(needs["diverse"]) == {"features", "labelled_features", "probabilities"}
    assert set(needs["class_balanced"]) == {"probabilities", "labels"}
    random = {"scored_by": "random"}
    assert registry.needs_of(registry.find("strategy", "diverse"), random) == ("features", "labelled_features")
    assert registry.needs_of(registry.find("strategy", "stochastic"), {"scored_by": "featdist"}) == (
        "features",
        "labelled_features",
    )


def test_a_wrapper_ranks_by_its_childs_scores() -> None:
    best = [choice.id for choice in ask("entropy", 30)]
    assert [choice.id for choice in ask("stochastic", 30, form="softmax", coldness=1e9)] == best
    assert [choice.id for choice in ask("diverse", 4, scored_by="entropy", prefilter=1)] == best[:4]
    assert {choice.id for choice in ask("stochastic", 4, seed=1)} != {choice.id for choice in ask("stochastic", 4)}


@pytest.mark.parametrize("wrapper", ["stochastic", "class_balanced", "diverse"])
@pytest.mark.parametrize("child", ["coreset", "blend", "stochastic"])
def test_a_wrapper_refuses_a_child_without_scores_of_its_own(wrapper: str, child: str) -> None:
    with pytest.raises(BadInput, match=f"{wrapper}: '{child}' cannot be combined, as it gives no scores .* scored_by"):
        ask(wrapper, scored_by=child)
    with pytest.raises(BadInput, match="no strategy is called 'margn'; did you mean 'margin'"):
        ask(wrapper, scored_by="margn")
