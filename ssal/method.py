"""What a method's signature says: its needs, its options and their schema, its summary and source."""

from __future__ import annotations

import importlib
import inspect
import re
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, create_model
from pydantic_core import PydanticCustomError


class ChildStrategies:
    """Marks the option that names the strategies a wrapper builds on."""


Children = Annotated[dict[str, float], ChildStrategies()]
"""Several strategies, each with a weight."""


def _one(value: Any) -> Any:
    """Say of anything but text that one strategy is meant."""
    if not isinstance(value, str):
        raise PydanticCustomError("one_strategy", "expected the name of one strategy, such as margin")
    return value


Child = Annotated[str, BeforeValidator(_one), ChildStrategies()]
"""One strategy."""


def citations(docstring: str | None) -> list[str]:
    """Return every `(Authors, year)` of a docstring, which is where a source is named, without the brackets."""
    return re.findall(r"\(([^()]*\b(?:19|20)\d\d[a-z]?)\)", inspect.cleandoc(docstring or "").replace("\n", " "))


@dataclass(frozen=True)
class Method:
    """A registered method and everything its signature says about it."""

    kind: str
    name: str
    call: Callable[..., Any]
    returns: str = ""
    """Strategies: `scores` (one float per row, higher = ask first) or `rows` (best first)."""
    provides: tuple[str, ...] = ()
    """Signals: the names of the tensors it leaves in the table."""
    traits: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def _signatures(self) -> list[Callable[..., Any]]:
        """The function itself, or a class's `__init__` and those above it that take its `**shared` keywords.

        A signal source that reads a companion has the companion's options too.
        """
        if not inspect.isclass(self.call):
            return [self.call, *(one.__init__ for one in [self.traits.get("companion")] if one)]
        found = []
        for owner in self.call.__mro__:
            if "__init__" in vars(owner):
                found.append(vars(owner)["__init__"])
                if not any(p.kind is p.VAR_KEYWORD for p in inspect.signature(found[-1]).parameters.values()):
                    break
        return found

    @cached_property
    def _parameters(self) -> list[inspect.Parameter]:
        own, *above = [inspect.signature(call).parameters for call in self._signatures]
        found = {name: p for name, p in own.items() if name != "self" and p.kind is not p.VAR_KEYWORD}
        for shared in above:
            found |= {name: p for name, p in shared.items() if p.kind is p.KEYWORD_ONLY and name not in found}
        return list(found.values())

    @cached_property
    def _annotations(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for call in self._signatures:
            found = typing.get_type_hints(call, include_extras=True) | found
        return found

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the positional parameters."""
        return tuple(p.name for p in self._parameters if p.kind is p.POSITIONAL_OR_KEYWORD)

    @property
    def given(self) -> tuple[str, ...]:
        """Names of the keyword-only parameters without default."""
        return tuple(p.name for p in self._parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty)

    @property
    def options(self) -> dict[str, Any]:
        """Recipe options and their defaults."""
        return {p.name: p.default for p in self._parameters if p.kind is p.KEYWORD_ONLY and p.default is not p.empty}

    @cached_property
    def model(self) -> type[BaseModel]:
        """The pydantic model of the options: strict (a bool is no int), and no other key is allowed."""
        fields: dict[str, Any] = {name: (self._annotations[name], default) for name, default in self.options.items()}
        return create_model(f"{self.name} options", __config__=ConfigDict(extra="forbid", strict=True), **fields)

    @property
    def children(self) -> str | None:
        """The option that names the strategies this one builds on, if it is a wrapper."""
        for name in self.options:
            if any(isinstance(mark, ChildStrategies) for mark in getattr(self._annotations[name], "__metadata__", ())):
                return name
        return None

    def children_in(self, options: dict[str, Any]) -> tuple[str, ...]:
        """Return the strategies that `options`, or else the defaults, have this one build on; none for no wrapper."""
        if not self.children:
            return ()
        named = options.get(self.children, self.options[self.children])
        return (named,) if isinstance(named, str) else tuple(named)

    @property
    def docstring(self) -> str:
        """The method's own docstring, or its module's where a file holds just one method."""
        own = self.call.__dict__.get("__doc__") if inspect.isclass(self.call) else self.call.__doc__
        return inspect.cleandoc(own or importlib.import_module(self.call.__module__).__doc__ or "")

    @property
    def summary(self) -> str:
        """First sentence of the docstring."""
        return re.split(r"(?<=\.)\s|\n\n", self.docstring, maxsplit=1)[0].replace("\n", " ").strip()

    @property
    def source(self) -> str:
        """Where the method comes from: the first `(Authors, year)` of the docstring."""
        return next(iter(citations(self.docstring)), "")

    @property
    def file(self) -> Path:
        """The file the method stands in."""
        return Path(inspect.getfile(self.call))
