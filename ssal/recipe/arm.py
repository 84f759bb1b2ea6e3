"""What a recipe says, checked and with defaults filled in, as plain values that stages take."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ssal import registry
from ssal.learner.base import Learner
from ssal.names import CHECKPOINTS, typed

EXTENSIONS = {
    "trainer.accelerator",
    "trainer.devices",
    "trainer.checkpoint_seconds",
    "trainer.trackers",
    "data.workers",
    "data.resident_limit_gib",
    "backbone.weights",
    "data.path",
    "data.root",
    "data.manifest",
    "data.download",
    "data.classes",
    "acquisition.budget",
    "labelling.asked_of_two",
    "evaluation.references",
    "evaluation.networks",
}
"""Keys that a run which has begun may find changed.

Nothing that stands depends on most of them; the content at a path, classes, budget, references and networks are
compared for what they mean, in ssal/claim.py.
"""

ABSENT = {
    "data.redundancy": 0,
    "data.pool_seed": 0,
    "labelling.noise": 0.0,
    "labelling.audit": 0.0,
    "learner.augmentation": "weak",
    "learner.optimiser": "sgd",
    "learner.adam_learning_rate": 0.001,
}
"""Keys that the records of older runs lack -> the value that does what was done before there was such a key."""


@dataclass(frozen=True)
class Arm:
    """One validated variant of the recipe, defaults filled in, as plain values that stages take."""

    name: str
    seeds: tuple[int, ...]
    """The recipe's, or the first of them."""
    data: dict[str, Any]
    """Keyword arguments of ssal.data.load.load."""
    backbone: dict[str, Any]
    pretext_method: str
    pretext: dict[str, Any]
    encoders: int | None
    learner_method: str
    learner: dict[str, Any]
    signals: dict[str, dict[str, Any]]
    strategy: str
    """As registry.find takes it: a file's path is absolute."""
    options: dict[str, Any]
    first_round: str
    first_options: dict[str, Any]
    first_size: int
    query_size: int
    budget: int
    answered_by: str
    labelling: dict[str, Any]
    """Options of who answers."""
    audit: float
    """Share of every purchase that is drawn at random, to measure accuracy."""
    references: tuple[str, ...]
    networks: tuple[str, ...]
    trainer: dict[str, Any]
    record: dict[str, Any]

    def rounds(self, given: int = 0) -> list[int]:
        """Return how many labels have been bought when each learner trains, the last one with all of them.

        A project that starts with `given` labels has its first learner before it buys any.
        """
        return [*range(0 if given else self.first_size, self.budget, self.query_size), self.budget]

    def encoder(self, seed: int) -> dict[str, Any]:
        """Return what the pretext stage is told for a run with `seed`."""
        return {
            "seed": self.encoder_seed(seed),
            "trainer": self.trainer,
            "method": self.pretext_method,
            "options": self.pretext,
            "backbone": self.backbone,
        }

    def network(self, seed: int, name: str) -> dict[str, Any]:
        """Return what the pretext stage is told for another network of a run with `seed`: random weights, no pretext.

        It learns from the labels that the arm's own network asked for (Munjal et al., 2020). Its weights are drawn by
        the run's own seed, also where runs share encoders.
        """
        start = {"method": "none", "options": {}, "backbone": {"name": name, "weights": None}}
        return {"seed": seed, "trainer": self.trainer, **start}

    def files(self) -> dict[str, Path]:
        """Return the files that the arm's keys name and whose content it depends on, by key."""
        files = {"backbone.weights": Path(self.backbone["weights"])} if self.backbone["weights"] else {}
        own = [name for name in self.strategies() if ".py:" in name]
        return files | {f"acquisition ({name})": Path(name.rpartition(":")[0]) for name in own}

    def strategies(self) -> list[str]:
        """Return the strategies of all rounds, and those that wrappers build on, as registry.find takes them."""
        found = []
        for name, options in ((self.strategy, self.options), (self.first_round, self.first_options)):
            found += [name, *registry.find("strategy", name).children_in(options)]
        return list(dict.fromkeys(found))

    @property
    def data_path(self) -> str:
        """The path that its data are at, where their source has one, however it is written."""
        path = self.data["options"].get("path")
        return os.path.normpath(os.path.expanduser(path)) if path else ""

    @property
    def companions(self) -> dict[str, dict[str, Any]]:
        """Return the options of every head that is trained with the learner, by the signal source that reads it.

        These are the sources that a strategy needs, of either round, and those that `signals` names. A learner that
        trains none gets its heads afterwards, where a strategy needs them.
        """
        if not cast(type[Learner], registry.find("learner", self.learner_method).call).labelled_first:
            return {}
        return {name: given for name, given in self.signals.items() if registry.companion_of(name)}

    def companion_note(self) -> str:
        """Return the companions in words, with the options that are not the default; empty where there are none."""
        return ", ".join(_in_words("signal", name, given) for name, given in self.companions.items())

    @property
    def asks_people(self) -> bool:
        """Whether people answer, not known labels."""
        return bool(registry.find("answerer", self.answered_by).traits["asks_people"])

    def labelling_note(self) -> str:
        """Return who answers in words, with the options that are not the default."""
        return _in_words("answerer", self.answered_by, self.labelling)

    def oracle_note(self) -> str:
        """Return which of its sources read labels that a real project does not have; empty where none does."""
        return ", ".join(dict.fromkeys(registry.oracles_of([*self.needs(), *self.needs(first=True)])))

    def encoder_seed(self, seed: int) -> int:
        """Return the seed of the encoder that a run with `seed` uses: its own, or one of those that all runs share."""
        return seed % self.encoders if self.encoders else seed

    def needs(self, first: bool = False) -> tuple[str, ...]:
        """Return the signals that the strategy, or with `first` that of the first round, and its children need."""
        name, options = (self.first_round, self.first_options) if first else (self.strategy, self.options)
        return registry.needs_of(registry.find("strategy", name), options)

    @property
    def compares_rounds(self) -> bool:
        """Whether the strategy looks at the last round's outputs: then first_round chooses until there are some."""
        return "previous_probabilities" in self.needs()

    def resolved(self) -> dict[str, Any]:
        """Return the arm as a recipe without gaps, as JSON."""
        return self.record


@dataclass(frozen=True)
class Recipe:
    """A validated recipe: its arms, its seeds and what is to be compared."""

    name: str
    seeds: tuple[int, ...]
    path: Path
    arms: dict[str, Arm]
    conditions: dict[str, dict[str, str]]
    """Condition -> {name of an arm in it: the arm}; one called '' where nothing is varied."""
    baseline: str | None
    """Name of an arm in every condition."""
    treatment: str | None
    overrides: tuple[str, ...] = ()
    """As they were typed."""
    checkpoints: Path = CHECKPOINTS
    """Where its runs are, as it was typed."""

    @property
    def typed(self) -> str:
        """What to type for it behind a command."""
        return typed(self.path, self.overrides, self.checkpoints)

    @property
    def first_arm(self) -> str:
        """The arm that is looked at where none is named: the treatment under the first condition, or the first one."""
        arms = next(iter(self.conditions.values()))
        return arms[self.treatment] if self.treatment else next(iter(self.arms))

    @property
    def data_sets(self) -> dict[str, list[str]]:
        """Return data set -> the conditions on it; what has one source and one path is one data set.

        It is called by the end of its path, or by its source where it has none; by both where two ends are alike.
        """
        found: dict[tuple[tuple[str, str], ...], list[str]] = {}
        for condition, arms in self.conditions.items():
            used = {(arm.data["source"], arm.data_path) for arm in map(self.arms.__getitem__, arms.values())}
            found.setdefault(tuple(sorted(used)), []).append(condition)
        ends = [" and ".join(Path(path).name or source for source, path in used) for used in found]
        wholes = [" and ".join(f"{source} {path}".strip() for source, path in used) for used in found]
        names = [end if ends.count(end) == 1 else whole for end, whole in zip(ends, wholes, strict=True)]
        return dict(zip(names, found.values(), strict=True))

    def resolved(self) -> dict[str, Any]:
        """Return everything with defaults filled in, as JSON."""
        compare = {"baseline": self.baseline, "treatment": self.treatment} if self.baseline else None
        fewer = {name: {"first_seeds": len(arm.seeds)} for name, arm in self.arms.items() if arm.seeds != self.seeds}
        arms = {name: {**fewer.get(name, {}), **arm.resolved()} for name, arm in self.arms.items()}
        return {"name": self.name, "seeds": list(self.seeds), "compare": compare, "arms": arms}


def _in_words(kind: str, name: str, given: dict[str, Any]) -> str:
    usual = registry.find(kind, name).options
    changed = [f"{key}: {value}" for key, value in given.items() if value != usual[key]]
    return f"{name} ({', '.join(changed)})" if changed else name


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return the keys outside EXTENSIONS in which two resolved arms differ."""
    return [path for path, before, after in _leaves(old, new) if before != after and path not in EXTENSIONS]


def _leaves(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the key path and both values wherever at least one of the two has no keys below."""
    if isinstance(old, dict) and isinstance(new, dict) and (old or new):
        for key in dict.fromkeys([*old, *new]):
            yield from _leaves(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    else:
        usual = ABSENT.get(path)
        yield path, usual if old is None else old, usual if new is None else new
