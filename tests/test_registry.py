"""The registry: what a signature says is what the framework does."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ssal import registry
from ssal.errors import BadInput
from ssal.registry import MethodError, scores
from ssal.signals.vocabulary import ROUND_NAMES, VOCABULARY

ALL = [method for kind in registry.FOLDERS for method in registry.methods(kind).values()]
OPTIONS = [(method, option) for method in ALL for option in method.options if option != method.children]
"""Without the weights of wrappers, which the recipe checks."""
OF_NO_PAPER = ("random", "supervised")
"""What everybody knows by that name; whatever else has no source says that it is ssal's own."""


@pytest.mark.parametrize("method", ALL, ids=lambda method: f"{method.kind}:{method.name}")
def test_every_method_is_described(method: registry.Method) -> None:
    assert method.summary.endswith("."), "the first sentence of the docstring says what it does"
    assert method.model().model_dump().keys() == method.options.keys()
    method.model.model_validate_json(method.model().model_dump_json())  # defaults pass their own validation
    assert method.file.parent.name == registry.FOLDERS[method.kind]
    if method.kind in ("strategy", "learner", "pretext"):
        told = method.source or "ssal's own" in method.docstring or method.name in OF_NO_PAPER
        assert told, f"{method.name}: the docstring names (Authors, year), or says that it is ssal's own"


def with_one_number(part: dict[str, Any], value: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """Yield the schema of every number in an option's schema, and `value` with None in that number's place."""
    if part.get("type") in ("integer", "number"):
        yield part, None
    for variant in part.get("anyOf", ()):
        yield from with_one_number(variant, value)
    for place, inner in enumerate(part.get("prefixItems", ())):
        for number, _ in with_one_number(inner, None):
            yield number, [None if at == place else one for at, one in enumerate(value)]
    if isinstance(part.get("items"), dict):
        yield from ((number, [None]) for number, _ in with_one_number(part["items"], None))
    inner = part.get("additionalProperties")
    assert not isinstance(inner, dict) or not [*with_one_number(inner, None)], "teach this test about such options"


@pytest.mark.parametrize(
    ("method", "option"), OPTIONS, ids=[f"{method.kind}:{method.name}:{option}" for method, option in OPTIONS]
)
def test_numbers_have_a_lower_bound_that_is_kept(method: registry.Method, option: str) -> None:
    part = method.model.model_json_schema()["properties"][option]
    for number, value in with_one_number(part, part["default"]):
        assert {"minimum", "exclusiveMinimum"} & number.keys(), "write Annotated[…, Field(gt=0)] or the like"
        below = number["minimum"] - 1 if "minimum" in number else number["exclusiveMinimum"]
        for wrong in (below, -math.inf, math.nan):
            given = [wrong if one is None else one for one in value] if isinstance(value, list) else wrong
            with pytest.raises(ValidationError):
                method.model.model_validate_json(json.dumps({option: given}))


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
