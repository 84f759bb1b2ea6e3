"""Names to methods: a decorator files a method under its name; needs and options are read from its signature.

A method is one function or class in one file of its stage's folder. Positional parameters are what the framework
supplies by name, keyword-only parameters without default are the round's, keyword-only parameters with default and
annotation are the recipe's options; a class that takes `**shared` has its base's options too. There is no second list:
a file that exists is found.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import pkgutil
import re
import sys
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ssal.errors import BadInput, nearest
from ssal.method import Method
from ssal.signals.vocabulary import ROUND_NAMES, SOURCE_NAMES, SUPPLIED, VOCABULARY, whole

FOLDERS = {
    "strategy": "acquisition",
    "learner": "learner",
    "pretext": "pretext",
    "signal": "signals",
    "answerer": "labelling",
    "dataset": "data",
}
"""Kind of method -> the stage folder its files live in."""


class MethodError(Exception):
    """A method is written in a way the framework cannot call; raised at import, so it is never met in a run."""


_methods: dict[tuple[str, str], Method] = {}


def _file_under(kind: str, call: Callable[..., Any], **facts: Any) -> Callable[..., Any]:
    """Check the signature, attach the Method and, for ssal's own files, enter it under its name."""
    name = facts.pop("name", None) or _snake(call.__name__)
    method = Method(kind, name, call, **facts)
    where = f"{method.file.name}: {call.__name__}"
    for option in method.options:
        if option not in method._annotations:
            raise MethodError(f"{where}: option {option!r} needs an annotation, which is its type in recipes")
    if kind == "strategy":
        for need in method.needs:
            if need not in VOCABULARY:
                raise MethodError(f"{where}: no signal is called {need!r}{nearest(need, VOCABULARY)}")
        for given in method.given:
            if given not in ROUND_NAMES:
                hint = nearest(given, ROUND_NAMES)
                raise MethodError(f"{where}: the round supplies {ROUND_NAMES}, not {given!r}{hint}")
    if kind == "signal":
        known = SUPPLIED[method.traits["each"]]
        for need in method.needs:
            if need not in known and (method.traits["each"] == "batch" or need not in VOCABULARY):
                raise MethodError(
                    f"{where}: a source is supplied {', '.join(known)}, not {need!r}{nearest(need, known)}"
                )
        for given in method.given:
            if given not in SOURCE_NAMES:
                raise MethodError(f"{where}: a source is supplied {SOURCE_NAMES}, not {given!r}")
    for provided in method.provides:
        if provided not in VOCABULARY:
            raise MethodError(f"{where}: {provided!r} is not in signals/vocabulary.py{nearest(provided, VOCABULARY)}")
    call.__ssal_method__ = method  # type: ignore[attr-defined]
    if call.__module__.startswith("ssal."):
        other = _methods.get((kind, name))
        if other and other.file != method.file:
            raise MethodError(f"{kind} {name!r} stands in two files: {other.file} and {method.file}")
        _methods[kind, name] = method
    return call


def _snake(name: str) -> str:
    return name if name.islower() else re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def scores(call: Callable[..., Any]) -> Callable[..., Any]:
    """File a strategy that returns one float per pool row, higher = ask first."""
    return _file_under("strategy", call, returns="scores")


def selects(call: Callable[..., Any]) -> Callable[..., Any]:
    """File a strategy that returns the pool rows to ask for, best first."""
    return _file_under("strategy", call, returns="rows")


def learner(name: str, **traits: Any) -> Callable[[type], type]:
    """File a learner class under `name`."""
    return lambda call: typing.cast(type, _file_under("learner", call, name=name, traits=traits))


def pretext(name: str, **traits: Any) -> Callable[[type], type]:
    """File a pretext class under `name`."""
    return lambda call: typing.cast(type, _file_under("pretext", call, name=name, traits=traits))


def signal(
    *provides: str,
    each: str,
    wants: str | None = None,
    forwards: tuple[str, int] | None = None,
    companion: type | None = None,
    brings: Mapping[str, Mapping[str, Any]] | None = None,
    oracle: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """File a signal source; `each` is `batch` (joins the one predict pass) or `round` (called once).

    `wants` says which learners it can look at: those that see `images`, or that have `dropout`; None is any.
    `forwards` is the option that says how often each image is forwarded beside the one pass, and how often for one.
    `companion` is the class of a head that is trained with the learner, for this source to read. `brings` are options
    that other sources have on its behalf, by source, where the recipe says nothing else. An `oracle` reads labels that
    a real project does not have.
    """
    looks = {"each": each, "wants": wants, "forwards": forwards, "oracle": oracle}
    traits = {**looks, "companion": companion, "brings": brings or {}}
    return lambda call: _file_under("signal", call, provides=provides, traits=traits)


def answerer(*, asks_people: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """File something that turns chosen ids into answers, or says that people are still to answer."""
    return lambda call: _file_under("answerer", call, traits={"asks_people": asks_people})


def dataset(call: Callable[..., Any]) -> Callable[..., Any]:
    """File a data source: a function that lists images and what is known of their labels."""
    return _file_under("dataset", call)


def methods(kind: str) -> dict[str, Method]:
    """Return every method of one kind by name, importing its folder on first use."""
    package = importlib.import_module(f"ssal.{FOLDERS[kind]}")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return {name: method for (filed, name), method in sorted(_methods.items()) if filed == kind}


def with_trait(kind: str, trait: str) -> list[str]:
    """Return the names of the methods of one kind that are filed with `trait`."""
    return [name for name, method in methods(kind).items() if method.traits.get(trait)]


def find(kind: str, name: str, folder: Path | None = None) -> Method:
    """Return the method called `name`, or the one at `file.py:function` (relative to `folder`).

    Raises BadInput with the nearest name where there is none.
    """
    if ".py:" in name:
        return _load(kind, name, folder or Path.cwd())
    known = methods(kind)
    if name not in known:
        raise BadInput(f"no {kind} is called {name!r}{nearest(name, known)} (one of: {', '.join(known)})")
    return known[name]


def _load(kind: str, name: str, folder: Path) -> Method:
    """Import a user's own file and return the method it files under that function's name."""
    path_text, _, attribute = name.rpartition(":")
    path = (folder / path_text).resolve()
    if not path.is_file():
        raise BadInput(f"{name}: there is no file {path}")
    tag = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    spec = importlib.util.spec_from_file_location(f"ssal_user_{path.stem}_{tag}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except MethodError as error:
        raise BadInput(str(error)) from error
    except Exception as error:
        raise BadInput(f"{name}: importing {path} failed: {type(error).__name__}: {error}") from error
    filed = {key: value.__ssal_method__ for key, value in vars(module).items() if hasattr(value, "__ssal_method__")}
    if attribute not in filed:
        raise BadInput(f"{name}: {path.name} files no method {attribute!r}{nearest(attribute, filed)}")
    found: Method = filed[attribute]
    if found.kind != kind:
        raise BadInput(f"{name}: expected a {kind}, but {attribute!r} is a {found.kind}")
    return found


def files(kind: str, name: str) -> list[Path]:
    """Return the method's own file and those of its folder that hold no method: all that its code may depend on."""
    own = find(kind, name).file
    others = {method.file for method in methods(kind).values()} - {own}
    return [file for file in sorted(own.parent.glob("*.py")) if file not in others]


def sources_of(needs: Iterable[str]) -> dict[str, Method]:
    """Return the signal sources, by name, that provide the signals in `needs` and those that these sources need.

    `labelled_…` and `out_of_class_…` come with their own. A source stands after those that it needs.
    """
    known, found = methods("signal"), dict[str, Method]()
    of = {signal: name for name, source in known.items() for signal in source.provides}
    for need in sorted({whole(need) for need in needs} - {"labels", "child_scores"}):
        if need not in of:
            raise BadInput(f"no source provides the signal {need!r}{nearest(need, of)}")
        source = known[of[need]]
        found |= sources_of(signals_needed(source)) | {of[need]: source}
    return found


def companion_of(source: str) -> type | None:
    """Return the class of the head that a signal source reads and that is trained with the learner, if it has one."""
    found: type | None = find("signal", source).traits.get("companion")
    return found


def oracles_of(needs: Iterable[str]) -> list[str]:
    """Return the sources behind `needs` that read labels which a real project does not have."""
    return [name for name, source in sources_of(needs).items() if source.traits["oracle"]]


def bounds() -> list[str]:
    """Return the strategies that read labels which a real project does not have: what others are set beside."""
    return [name for name, method in methods("strategy").items() if not method.children and oracles_of(method.needs)]


def signals_needed(source: Method) -> list[str]:
    """Return the signals of other sources that a signal source is called with."""
    return [need for need in source.needs if need not in SUPPLIED[source.traits["each"]]]


def needs_of(strategy: Method, options: dict[str, Any]) -> tuple[str, ...]:
    """Return the signals a strategy needs; a wrapper needs what its children need."""
    needs = dict.fromkeys(strategy.needs)
    for name in strategy.children_in(options):
        needs |= dict.fromkeys(needs_of(find("strategy", name), {}))
    needs.pop("child_scores", None)
    return tuple(needs)
