"""The registry: what a signature says is what the framework does."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssal import registry
from ssal.errors import BadInput
from ssal.registry import MethodError, scores
from ssal.signals.vocabulary import ROUND_NAMES, VOCABULARY

ALL = [method for kind in registry.FOLDERS for method in registry.methods(kind).values()]


@pytest.mark.parametrize("method", ALL, ids=lambda method: f"{method.kind}:{method.name}")
def test_every_method_is_described(method: registry.Method) -> None:
    assert method.summary.endswith("."), "the first sentence of the docstring says what it does"
    assert method.model().model_dump().keys() == method.options.keys(), "defaults pass their own validation"
    assert method.file.parent.name == registry.FOLDERS[method.kind]
    if method.kind in ("strategy", "learner", "pretext") and method.name not in ("random", "supervised", "featdist"):
        assert method.source, f"{method.name}: the docstring names (Authors, year)"


def test_every_kind_has_methods() -> None:
    for kind in registry.FOLDERS:
        assert registry.methods(kind), kind


@pytest.mark.parametrize("name", list(registry.methods("strategy")))
def test_a_strategy_names_its_needs(name: str) -> None:
    method = registry.find("strategy", name)
    assert set(method.needs) <= set(VOCABULARY)
    assert set(method.given) <= set(ROUND_NAMES)
    assert method.returns in ("scores", "rows")


def test_an_unknown_need_is_an_error_at_import() -> None:
    with pytest.raises(MethodError, match="no signal is called 'probabilites'; did you mean 'probabilities'"):

        @scores
        def misspelt(probabilites):  # type: ignore[no-untyped-def]
            return probabilites


def test_an_option_needs_an_annotation() -> None:
    with pytest.raises(MethodError, match="option 'power' needs an annotation"):

        @scores
        def bare(probabilities, *, power=2):  # type: ignore[no-untyped-def]
            return probabilities


def test_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(BadInput, match="no strategy is called 'margn'; did you mean 'margin'"):
        registry.find("strategy", "margn")


RULE = '''"""Widest: ask where the logits spread least."""
from ssal.registry import scores

@scores
def widest(logits, *, power: float = 1.0):
    return -logits.std(dim=1) ** power
'''


def test_a_users_file_is_one_new_file(tmp_path: Path) -> None:
    (tmp_path / "my_rules.py").write_text(RULE)
    method = registry.find("strategy", "my_rules.py:widest", tmp_path)
    assert method.needs == ("logits",)
    assert method.options == {"power": 1.0}
    assert method.summary == "Widest: ask where the logits spread least."
    with pytest.raises(BadInput, match="files no method 'widst'; did you mean 'widest'"):
        registry.find("strategy", "my_rules.py:widst", tmp_path)
    with pytest.raises(BadInput, match="there is no file"):
        registry.find("strategy", "other.py:widest", tmp_path)
    with pytest.raises(BadInput, match="expected a learner, but 'widest' is a strategy"):
        registry.find("learner", "my_rules.py:widest", tmp_path)


def test_a_bool_is_no_int() -> None:
    model = registry.find("learner", "fixmatch").model
    with pytest.raises(ValueError, match="valid integer"):
        model.model_validate_json('{"steps": true}')
    with pytest.raises(ValueError, match="Extra inputs"):
        model.model_validate_json('{"tau": 0.9}')
