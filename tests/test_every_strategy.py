"""Bad input, for every strategy with a learner of features and one of images: it asks, or says in a line why not."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from standing_rounds import LEARNERS, noise, pool_of, sections, standing_round
from tiny_runs import recipe, run, small_signals

from ssal import registry
from ssal.errors import BadInput, Diverged
from ssal.query import Asked, Wanted, ask_all
from ssal.signals import afterwards

STRATEGIES = {name: one for name, one in registry.methods("strategy").items() if name not in registry.bounds()}
FITTED = tuple(small_signals())
COUNT, SIZE = 24, 3

Outcome = Callable[[str, str], tuple[Asked, str]]
every_strategy = pytest.mark.parametrize("name", STRATEGIES)
every_learner = pytest.mark.parametrize("learner", LEARNERS)

SITUATIONS: dict[str, dict[str, Any]] = {
    "usual": {"labelled": range(12)},
    "no round before": {"labelled": range(12), "previous": False},
    "one label of four classes": {"labelled": [5]},
    "constant images": {"labelled": range(12), "images": pool_of(noise(1).expand(COUNT, -1, -1, -1).clone())},
    "a pool of one": {"labelled": range(COUNT - 1)},
    "two images": {"labelled": [0], "images": pool_of(noise(2))},
    "all labelled": {"labelled": range(COUNT)},
    "diverging": {"labelled": range(12), "learning_rate": 1e30},
}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Return what comes of asking all strategies in a situation with a learner, and what is logged meanwhile."""

    @cache
    def ask(situation: str, learner: str) -> tuple[Asked, str]:
        folder = tmp_path_factory.mktemp("standing")
        given = {"images": pool_of(noise(COUNT)), **SITUATIONS[situation]}
        stand = standing_round(folder, learner, **given)
        wanted = {name: Wanted(method, {}) for name, method in STRATEGIES.items()}
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(afterwards, "STEPS", 4)
            patched.setattr(afterwards, "LEARNING_RATE", given.get("learning_rate", 1e-3))
            said: list[str] = []
            warn = lambda text, *more: said.append(text % more)  # noqa: E731
            patched.setattr("ssal.acquisition.checks.log.warning", warn)
            return ask_all(wanted, stand, SIZE, folder / "work"), "\n".join(said)

    return ask


def sources_of(name: str) -> set[str]:
    return set(registry.sources_of(registry.needs_of(STRATEGIES[name], {})))


def lack(name: str, learner: str) -> str:
    """Return what a learner of features cannot give a strategy, or an empty string."""
    found = {
        "views": "view_probabilities: expected a learner that sees images, got one of an encoder's features",
        "mc_dropout": "mc_probabilities: expected a learner with dropout, got one of an encoder's features, without",
    }
    wanted = [found[source] for source in sorted(sources_of(name)) if source in found]
    return wanted[0] if wanted and learner == "linear_probe" else ""


@every_learner
@every_strategy
def test_in_a_usual_round_all_ask_that_the_learner_can_serve(outcome: Outcome, name: str, learner: str) -> None:
    asked, warned = outcome("usual", learner)
    if why := lack(name, learner):
        assert asked.refused[name] == why and name not in asked.chosen
    else:
        assert len({choice.id for choice in asked.chosen[name]}) == SIZE and name not in asked.refused
    assert f"{name}: nothing tells" not in warned


@pytest.mark.parametrize("name", registry.bounds())
def test_a_bound_is_nothing_to_ask_people_by(name: str, tmp_path: Path) -> None:
    stand = standing_round(tmp_path, "linear_probe", labelled=range(12), images=pool_of(noise(COUNT)))
    wanted = {one: Wanted(registry.find("strategy", one), {}) for one in (name, "margin")}
    asked = ask_all(wanted, stand, SIZE, tmp_path / "work")
    assert list(asked.chosen) == ["margin"]
    assert (
        asked.refused[name]
        == f"{name} reads hidden and test labels: a bound for benchmarks, and nothing to ask people by"
    )


@every_learner
@every_strategy
def test_a_recipe_is_refused_where_the_learner_cannot_serve_it(name: str, learner: str, tmp_path: Path) -> None:
    """Before anything runs, and in one line."""
    acquisition = {"strategy": name, "budget": 16}
    if not lack(name, learner):
        recipe(tmp_path / "tiny.yaml", acquisition=acquisition, **sections(learner))
        return
    with pytest.raises(BadInput) as error:
        recipe(tmp_path / "tiny.yaml", acquisition=acquisition, **sections(learner))
    told = str(error.value)
    assert "'linear_probe'" in told and "use one of: " in told and len(told.splitlines()) == 1


@every_learner
@every_strategy
def test_without_a_round_before_only_what_compares_two_is_refused(outcome: Outcome, name: str, learner: str) -> None:
    asked, _ = outcome("no round before", learner)
    if "previous_round" in sources_of(name):
        assert asked.refused[name] == "it looks back at the learner of the round before, and round 1 has the first one"
    else:
        assert asked.refused.get(name, "") == lack(name, learner)


@every_learner
@every_strategy
@pytest.mark.parametrize("situation", ["one label of four classes", "a pool of one", "two images"])
def test_few_images_and_few_labels_are_enough(outcome: Outcome, situation: str, name: str, learner: str) -> None:
    """Fewer labelled images than classes; one image left to ask for; one labelled image beside one without."""
    asked, _ = outcome(situation, learner)
    assert asked.refused.get(name, "") == lack(name, learner)
    if name in asked.chosen:
        assert len({choice.id for choice in asked.chosen[name]}) == (SIZE if "classes" in situation else 1)


@every_learner
@every_strategy
def test_constant_images_are_drawn_at_random_and_a_warning_says_so(outcome: Outcome, name: str, learner: str) -> None:
    """Views of an image differ although images do not, so what looks at views has something to go by."""
    asked, warned = outcome("constant images", learner)
    assert asked.refused.get(name, "") == lack(name, learner)
    if name in asked.chosen:
        assert len({choice.id for choice in asked.chosen[name]}) == SIZE
        looks = {"views", "contrast_loss", "previous_round"} & sources_of(name) or name == "random"
        told = f"{name}: nothing tells the {COUNT - 12} images apart, so the choice is a random draw"
        assert (told in warned) != bool(looks)


@every_learner
@every_strategy
def test_where_all_have_labels_nothing_is_asked(outcome: Outcome, name: str, learner: str) -> None:
    asked, _ = outcome("all labelled", learner)
    assert asked.chosen == {}
    told = ("no unlabelled one; there is nothing left to ask for", "no image to ask for, as all of them have a")
    assert asked.refused[name] == lack(name, learner) or any(part in asked.refused[name] for part in told)


@every_learner
@every_strategy
def test_a_fit_that_diverges_takes_only_its_strategies_with_it(outcome: Outcome, name: str, learner: str) -> None:
    asked, _ = outcome("diverging", learner)
    fitted = sources_of(name) & set(FITTED)
    if learner == "linear_probe" and "loss_prediction" in sources_of(name):
        fitted = {"loss_prediction"}  # its head is fitted afterwards, and ta_vaal is not without it
    if lack(name, learner) or not fitted:
        assert asked.refused.get(name, "") == lack(name, learner)
    else:
        (source,) = fitted
        assert (
            asked.refused[name].startswith(f"signals.{source}: ") and "not finite at step 1 of" in asked.refused[name]
        )
    assert (name in asked.chosen) != (name in asked.refused)


@pytest.mark.parametrize("name", [name for name in STRATEGIES if sources_of(name) & set(FITTED)])
def test_a_run_whose_fit_diverges_ends_before_it_asks(name: str, tmp_path: Path) -> None:
    given = sections("fixmatch", learning_rate=1e30)
    arm = recipe(tmp_path / "tiny.yaml", acquisition={"strategy": name, "budget": 12}, **given).arms["main"]
    (source,) = sources_of(name) & set(FITTED)
    with pytest.raises(Diverged, match=f"signals.{source}: .* not finite at step 1 of .* smaller learning_rate"):
        run(arm, pool_of(noise(COUNT)), tmp_path)
    left = {path.parent.name for path in (tmp_path / "run").rglob("chosen.csv")}
    assert left == {"round_0"}, "the first round was random's"
