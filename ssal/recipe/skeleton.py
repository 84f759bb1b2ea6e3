"""The fixed keys of a recipe, section by section; methods' own options join them from their signatures."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from ssal.data.load import load as load_images
from ssal.names import FOLDER_NAME
from ssal.registry import Method

BESIDE_ARMS = {
    **dict.fromkeys(("slurm", "tensorboard", "wandb"), "is where logs of all arms go"),
    **dict.fromkeys(
        ("audit.csv", "query.csv", "query.json", "report.html", "results.csv", "timings.csv", "verdict.json"),
        "is a file of the whole recipe",
    ),
}
"""What stands beside the arms' folders under checkpoints/<recipe>/ -> why no arm can be called like that."""
Positive = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """Strict: true is no number, '3' is no integer, and no other key is allowed."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)


class Head(Section):
    """What belongs to the whole recipe."""

    name: str = Field(pattern=FOLDER_NAME)
    """Folder under checkpoints/ that the run writes to."""
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field((0,), min_length=1)
    """One run per arm and seed."""


class Draws(Section):
    """How often an arm runs."""

    first_seeds: Positive | None = None
    """For an arm that costs more than the others: it runs with so many of the recipe's seeds, the first ones."""


class Compare(Section):
    """The two arms whose paired difference is the claim."""

    baseline: str
    """Name of the arm to beat."""
    treatment: str
    """Name of the arm that should be better."""


class DataSection(Section):
    """Where the images come from; the source's own options stand beside these keys.

    Paths are relative to the current directory.
    """


DATA_HELP = {
    "source": "Name of a data source, see `ssal list datasets`.",
    "size": "Side in pixels that images are resized to; null keeps their own.",
    "labels": "hidden: known labels only answer what is asked (benchmark); given: the project starts from them.",
    "flip": "Whether the mirror image keeps its class: false for digits and letters.",
    "test_fraction": "Share kept for testing where the source has no test part.",
    "group_by": "Regular expression on the path: images of one group stay on one side of that split.",
    "classes": "Names of the classes, in the order people see them; null: those that the labels show.",
    "imbalance": "Benchmark: n times as many images of the most frequent class as of the rarest; or class: share kept.",
    "out_of_class": "Benchmark: classes whose images stay in the pool, are no class's, and leave the test set.",
    "redundancy": "Benchmark: near-duplicates (shifted, lighter or darker, noisy) beside each image of the pool.",
    "pool_seed": "Draws which classes are rare, which images stay, and how near-duplicates differ.",
}


def _keywords(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the keyword-only parameters of a stage's door as fields; `options` are the method's."""
    hints = get_type_hints(function, include_extras=True)
    found = inspect.signature(function).parameters.values()
    keywords = {p.name: ... if p.default is p.empty else p.default for p in found if p.kind is p.KEYWORD_ONLY}
    del keywords["options"]
    return {name: (hints[name], Field(default, description=DATA_HELP.get(name))) for name, default in keywords.items()}


Data = create_model("Data", __base__=DataSection, __doc__=DataSection.__doc__, **_keywords(load_images))


class Backbone(Section):
    """The network."""

    name: str = "wrn_28_2"
    """wrn_<depth>_<width>, or any timm model."""
    weights: str | None = None
    """File of ready weights (.pt, .safetensors), relative to the current directory; null: random."""


class Pretext(Section):
    """Stage 1, images to encoder; the method's own options stand beside these keys."""

    method: str = "none"
    """Name of a pretext, see `ssal list pretexts`; none trains no encoder."""
    encoders: Positive | None = None
    """How many encoders all seeds share: seed s uses encoder s modulo this number; null is one per seed."""


class Learner(Section):
    """Stage 2, encoder and labels to classifier; the method's own options stand beside these keys."""

    method: str
    """Name of a learner, see `ssal list learners`."""


class Acquisition(Section):
    """Stage 4, which images to ask for."""

    strategy: str
    """Name of a strategy, see `ssal list strategies`, or file.py:function beside the recipe."""
    options: dict[str, Any] | None = None
    """Options of the strategy."""
    first_round: str = "random"
    """Strategy of the round without labels."""
    first_options: dict[str, Any] | None = None
    """Options of first_round."""
    first_size: Positive | None = None
    """Labels to buy in the first round; null is query_size."""
    query_size: Positive
    """Labels to buy in every other round."""
    budget: Positive
    """Labels to buy in all."""


class Labelling(Section):
    """Stage 5, who answers; the answerer's own options stand beside this key."""

    answered_by: str = "oracle"
    """oracle answers from hidden labels; inbox waits for people."""
    audit: Annotated[float, Field(ge=0, le=0.5)] | None = None
    """Share of the images of every round that is drawn at random to measure accuracy and never trained on; null: 0.1
    where people answer, 0 in a benchmark, which has a test set."""


class Evaluation(Section):
    """What accuracy is set beside."""

    references: tuple[str, ...] = ()
    """Classifiers on raw pixels, trained on the same labels: svm, logistic_regression."""
    networks: tuple[str, ...] = ()
    """Backbones that learn from the same labels as the arm's learner does, from random weights: do they serve these?"""


class Trainer(Section):
    """Lightning's Trainer."""

    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"] = "auto"
    devices: Literal[1] | tuple[Annotated[int, Field(ge=0)]] = 1
    """1, or [n] for the n-th GPU. Several GPUs: `--jobs` runs arms and seeds side by side, one device each."""
    precision: Literal["auto", "32-true", "16-mixed", "bf16-mixed"] = "auto"
    """auto: bf16-mixed where the GPU or CPU computes in bfloat16, else 32-true; a run keeps what it began with."""
    compile: bool = False
    """Whether torch.compile makes training faster after a slow start."""
    checkpoint_seconds: float = Field(30.0, ge=0)
    """Least time between two checkpoints of a training; 0 writes one every fifty steps."""
    trackers: tuple[Literal["tensorboard", "mlflow", "wandb"], ...] = ()
    """Where losses and every round's metrics are sent beside log.jsonl."""


@dataclass(frozen=True)
class Shape:
    """How a section is built: its fixed keys, and the key that names the method whose options join them."""

    model: type[Section]
    switch: str = ""
    kind: str = ""


SECTIONS: dict[str, Shape] = {
    "data": Shape(Data, "source", "dataset"),
    "backbone": Shape(Backbone),
    "pretext": Shape(Pretext, "method", "pretext"),
    "learner": Shape(Learner, "method", "learner"),
    "acquisition": Shape(Acquisition),
    "labelling": Shape(Labelling, "answered_by", "answerer"),
    "evaluation": Shape(Evaluation),
    "trainer": Shape(Trainer),
}
"""Section -> its shape; `signals` has no fixed keys: they are the sources' names."""

STRATEGIES = {"strategy": "options", "first_round": "first_options"}
"""Key of acquisition that names a strategy -> key of that strategy's options."""

NO_PRETEXT = "none"


def section_model(section: str, method: Method | None) -> type[BaseModel]:
    """Return the model of a section: its fixed keys and, flat beside them, the options of `method`."""
    return SECTIONS[section].model if method is None else _joined(section, method.call)


@lru_cache(maxsize=128)
def _joined(section: str, call: Callable[..., Any]) -> type[BaseModel]:
    shape, method = SECTIONS[section], call.__ssal_method__  # type: ignore[attr-defined]
    fixed = shape.model.model_fields[shape.switch]
    default = method.name if fixed.default == method.name else ...
    name: dict[str, Any] = {shape.switch: (Literal[method.name], Field(default, description=fixed.description))}
    return create_model(f"{section} {method.name}", __base__=(method.model, shape.model), **name)
