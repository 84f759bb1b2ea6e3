"""Suggest: from what a folder holds to a recipe in which every value has its reason."""

from __future__ import annotations

import io
import shlex
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from ssal.survey import TEST_FRACTION, Survey

CPU_SIDE, GPU_SIDE, TINY_SIDE, LEAST_SIDE = 24, 64, 12, 4
"""Pixels: what two cores were measured with, what a GPU affords, where crops show too little, what a recipe takes."""
FIRST, QUERY, BATCHES = 4, 3, 6
"""Labels per class in the first batch and in every other, as in recipes/image_folder.yaml, and how many others."""
FEWEST, MOST_FIRST, MOST_QUERY = 10, 500, 300
"""Labels in a batch: fewer are not worth the training between, and TypiClust makes 500 clusters at most."""
SECONDS_PER_LABEL = 4
CODE, WIDTH = 32, 118
"""Column where reasons begin, and where they end."""


@dataclass(frozen=True)
class Suggestion:
    """The values that follow from a survey; all others are the same for every folder."""

    gpu: bool
    size: int
    backbone: str
    encoder_batch: int
    first_size: int
    query_size: int
    budget: int
    people: bool
    """Whether there is something to ask; otherwise all labels are known, and are hidden to compare strategies."""


def suggest(survey: Survey, classes: Sequence[str], *, gpu: bool) -> Suggestion:
    """Return values for the images of `survey`; `gpu`: whether a GPU will train."""
    size = max(LEAST_SIDE, min(survey.side, GPU_SIDE if gpu else CPU_SIDE))
    backbone = "wrn_28_2" if gpu else "wrn_10_1" if size <= TINY_SIDE else "wrn_10_2"
    pool, people = len(survey.sides.pool), survey.waiting > 0
    batch = 512 if gpu else 128
    while batch > 2 and 2 * batch > pool:
        batch //= 2
    first = min(MOST_FIRST, max(FEWEST, FIRST * len(classes)))
    query = min(MOST_QUERY, max(FEWEST, QUERY * len(classes)))
    budget = min(first + BATCHES * query, survey.waiting if people else survey.labelled)
    return Suggestion(gpu, size, backbone, batch, min(first, budget), min(query, budget), budget, people)


def next_command(suggestion: Suggestion, recipe: Path) -> str:
    """Return what to type after the recipe was written."""
    return f"ssal {'run' if suggestion.people else 'compare'} {shlex.quote(str(recipe))}"


def recipe_text(survey: Survey, suggestion: Suggestion, classes: Sequence[str], name: str, recipe: Path) -> str:
    """Return a recipe (YAML) for the images of `survey`, every value with the reason for it."""
    head = [f"Written by ssal init, which looked at {survey.path}:", *(f"  {line}" for line in survey.lines())]
    if suggestion.people:
        known = f"  trains on the {survey.labelled} labels of the class folders, picks {suggestion.query_size} images"
        none = f"  trains an encoder without labels, picks the first {suggestion.first_size} images with it"
        head += [
            f"Next: {next_command(suggestion, recipe)}",
            f"{known if survey.labelled else none}, says how people",
            "  answer, and goes on when you type it again after the answers. Change what you like before; a larger",
            "  budget and more classes may also come later.",
        ]
    else:
        head += [
            "Every image to learn from has a label, so there is nothing to ask people. This recipe hides the labels",
            "and compares two strategies that ask for them. For a project, add images without a label, in a folder",
            "named unlabelled beside the class folders, and let ssal init look again.",
            f"Next: {next_command(suggestion, recipe)}",
        ]
    body = [
        *_top(suggestion, name),
        *_data(survey, suggestion, classes),
        *_encoder(survey, suggestion),
        *_learner(suggestion),
        *_acquisition(survey, suggestion, len(classes)),
        *_rest(suggestion),
    ]
    return "\n".join([*(f"# {_one_line(line)}" for line in head), *body]) + "\n"


def _top(suggestion: Suggestion, name: str) -> list[str]:
    one = "one run: people answer every question once"
    return [
        _line(f"name: {_quoted(name)}", "where it writes: checkpoints/ and this name; two projects need two names"),
        _line(
            f"seeds: {'[0]' if suggestion.people else '[0, 1, 2]'}", one if suggestion.people else "runs of each arm"
        ),
    ]


def _data(survey: Survey, suggestion: Suggestion, classes: Sequence[str]) -> list[str]:
    if survey.side <= suggestion.size:
        size = "pixels per side: their own shorter side, as enlarging adds nothing"
    elif suggestion.gpu:
        size = f"pixels per side, of {survey.side}: look whether you would know the classes at that size, or type more"
    else:
        size = (
            f"pixels per side, of {survey.side}: what two cores can afford. Look whether you would know the classes at "
            "that size; 32 or 48 show more, and time grows with the square"
        )
    if survey.long:
        size += f"; {survey.long} images are longer than 3:2, and only their centre square is seen"
    given = "labels of class folders are used from the start, people are asked for the others"
    hidden = "known labels answer only what is asked"
    conflicts = [
        ("  conflicts: skip", f"left out until corrected: {len(survey.merged.conflicts)} images under two labels")
    ]
    split = [
        ("  test_fraction: " + str(TEST_FRACTION), "no test/ folder: this share of the labelled images is kept apart")
    ]
    rows = [
        ("  source: folder", ""),
        (f"  path: {_quoted(survey.path)}", "relative to where commands are typed"),
        (f"  size: {suggestion.size}", size),
        (f"  labels: {'given' if suggestion.people else 'hidden'}", given if suggestion.people else hidden),
        ("  flip: true", "false where a mirror image is another class: digits, letters, left and right"),
        *split * bool(survey.classes and not survey.own_test_part),
        *conflicts * bool(survey.merged.conflicts),
        ("  classes:", "what people may answer" if suggestion.people else "the class folders"),
        *((f"    - {_quoted(name)}", "") for name in classes),
    ]
    return ["", "data:", *(_line(text, reason) for text, reason in rows)]


def _encoder(survey: Survey, suggestion: Suggestion) -> list[str]:
    small = suggestion.size <= TINY_SIDE
    network = {"wrn_10_1": "enough for so small images", "wrn_10_2": "seconds per hundred steps on a CPU"}
    fewer = ", fewer than otherwise, as there are few images" if suggestion.encoder_batch < 128 else ""
    colours = "the images are grey, so only light and contrast change" if survey.grey == survey.sampled else ""
    rows = [
        (f"  name: {suggestion.backbone}", network.get(suggestion.backbone, "a GPU was found; the papers' network")),
        ("  weights: null", "a file of ready weights saves the training of an encoder (then pretext.method: none)"),
    ]
    of_pretext = [
        ("  method: simclr", "an encoder from the images alone: it finds typical ones before there is any label"),
        ("  epochs: 100", "once, before the first question, and kept for all later rounds"),
        (
            f"  max_steps: {3000 if suggestion.gpu else 350}",
            "not measured: more is better" if suggestion.gpu else "a cap of minutes on two cores; more is better",
        ),
        (f"  batch_size: {suggestion.encoder_batch}", f"images that repel each other{fewer}"),
        ("  temperature: 0.2", "short schedules want it sharper than the authors' 0.5"),
        ("  optimiser: lars", ""),
        ("  learning_rate: 2.0", "per 256 images"),
        ("  strength: 0.5", f"of the colour jitter{'; ' * bool(colours)}{colours}"),
        (
            f"  min_scale: {0.5 if small else 0.2}",
            "smallest share of the image that a crop keeps" + ("; less shows too little of so few pixels" * small),
        ),
        ("  warm_up: 0.1", "share of the steps with a rising rate"),
    ]
    of_backbone = [_line(text, reason) for text, reason in rows]
    return ["", "backbone:", *of_backbone, "", "pretext:", *(_line(text, reason) for text, reason in of_pretext)]


def _learner(suggestion: Suggestion) -> list[str]:
    steps, batch, mu = (3000, 64, 7) if suggestion.gpu else (400, 32, 3)
    cost = (
        "not measured: more is better and slower" if suggestion.gpu else "about a minute or two per round on two cores"
    )
    rows = [
        ("  method: fixmatch", "learns from images without a label, too: 2 to 3 points more at four labels per class"),
        (f"  steps: {steps}", cost),
        (f"  batch_size: {batch}", "labelled images per step"),
        (f"  mu: {mu}", "unlabelled images per labelled one: more is slower and steadier"),
        ("  threshold: 0.95", "how sure it must be of a guess to learn from it"),
        ("  learning_rate: 0.03", ""),
    ]
    return ["", "learner:", *(_line(text, reason) for text, reason in rows)]


def _acquisition(survey: Survey, suggestion: Suggestion, classes: int) -> list[str]:
    first, query, budget = suggestion.first_size, suggestion.query_size, suggestion.budget
    minutes = max(1, round(budget * SECONDS_PER_LABEL / 60))
    everything = budget == (survey.waiting if suggestion.people else survey.labelled)
    size = f"labels in all: {'every image' if everything else 'a start'}"
    time = f", about {minutes} minutes at {SECONDS_PER_LABEL} seconds each" if suggestion.people else ""
    more = "" if everything else "; raise it whenever you like, the run goes on"
    rows = [
        ("  strategy: margin", "where the two likeliest classes are closest: 2 to 3 points above random on two sets"),
        (
            "  first_round: typiclust",
            "typical images of clusters: needs no label; 94 % in place of 79 % with 25 digits",
        ),
        (f"  first_size: {first}", f"the first batch, of {classes} classes" + (" (used where no label is known)")),
        (f"  query_size: {query}", "every later batch: minutes of a person, then a training"),
        (f"  budget: {budget}", size + time + more),
    ]
    return ["", "acquisition:", *(_line(text, reason) for text, reason in rows)]


def _rest(suggestion: Suggestion) -> list[str]:
    who = ("inbox", "people, in their own time") if suggestion.people else ("oracle", "the hidden labels")
    found = "a GPU was found" if suggestion.gpu else "no GPU was found; one is used as soon as there is one"
    rows = [
        ("labelling:", ""),
        (f"  answered_by: {who[0]}", who[1]),
        *([("  audit: 0.1", "a tenth is drawn at random, never trained on, and tells accuracy")] * suggestion.people),
        ("trainer:", ""),
        ("  accelerator: auto", found),
        ("  precision: auto", "bfloat16 where the device computes in it: faster, no difference in accuracy was shown"),
    ]
    arms = ["", "compare: {baseline: random, treatment: margin}", "arms:"]
    arms += ["  random: {acquisition: {strategy: random}}", "  margin: {}"]
    return ["", *(_line(text, reason) for text, reason in rows), *arms * (not suggestion.people)]


def _line(text: str, reason: str) -> str:
    """Return a line of YAML with its reason behind it, which goes on below where it is long."""
    if not reason:
        return text
    lines = textwrap.wrap(_one_line(reason), WIDTH - CODE - 2)
    return "\n".join([f"{text:<{CODE - 1}} # {lines[0]}", *(f"{'':<{CODE}}# {line}" for line in lines[1:])])


def _quoted(text: str) -> str:
    """Return text as YAML of any version reads it: `yes`, `null` and `1` are words, too."""
    yaml, written = YAML(), io.StringIO()
    yaml.width = 2**31
    yaml.dump(DoubleQuotedScalarString(text), written)
    return written.getvalue().rstrip("\n")


def _one_line(text: str) -> str:
    """Return text that ends no comment: names of files may hold anything."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
