"""What a recipe will do before it does it: rounds, labels, stages to do or reuse, passes, disk and memory."""

from __future__ import annotations

from pathlib import Path

import torch

from ssal import backbones, registry
from ssal.cells import cells_of, images_of
from ssal.claim import measured_rounds
from ssal.data.images import Images
from ssal.data.views import Views
from ssal.learner.base import Learner
from ssal.pretext.pretrain import encoder_of, steps_of
from ssal.project import check_images
from ssal.recipe import Arm, Recipe
from ssal.signals import afterwards


def plan(recipe: Recipe, checkpoints: Path) -> list[str]:
    """Return the plan, one line each; the data are read, nothing is trained.

    Raises BadInput where the data cannot serve the recipe.
    """
    lines = [f"{recipe.path}: {len(recipe.arms)} arms × {len(recipe.seeds)} seeds"]
    for number, arm in enumerate(recipe.arms.values()):
        images = images_of(arm, checkpoints)
        if number == 0:
            lines += [f"  {line}" for line in images.summary()]
        check_images(arm, images)
        lines += _arm(recipe, arm, images, checkpoints)
    return lines


def _arm(recipe: Recipe, arm: Arm, images: Images, checkpoints: Path) -> list[str]:
    given = len(images.given)
    counts = [given + labels for labels in arm.rounds(given)]
    trainings = len(counts)
    seeds = sorted({arm.encoder_seed(seed) for seed in arm.seeds})
    encoders = [encoder_of(images, checkpoints, **arm.encoder(seed)) for seed in seeds]
    made = sum((encoder.folder / "record.json").exists() for encoder in encoders)
    cells = [cell for cell in cells_of(recipe, checkpoints) if cell.arm is arm]
    ended = sum(measured_rounds(arm, images, cell.folder) for cell in cells)
    learner = _learner(arm, images)
    again = "" if not arm.compares_rounds else " and in the first round with a learner, which has none to compare with"
    per_step = learner.batch_size + 2 * learner.unlabelled_batch_size
    parameters = sum(p.numel() for p in learner.average.parameters())
    frozen = registry.find("learner", arm.learner_method).traits.get("frozen", False)
    sources = registry.sources_of(arm.needs()).items()
    sought = [(arm.signals[name], source.traits["forwards"]) for name, source in sources if source.traits["forwards"]]
    more = sum(given[option] * times for given, (option, times) in sought)
    once = 0 if frozen else (len(images.pool) + len(images.test)) * trainings
    scored = once + more * len(images.pool) * (trainings - 1)
    fitted = [
        f"{name} for {arm.signals[name]['steps']:,} steps" for name, source in sources if "folder" in source.given
    ]
    late = [name for name, source in sources if source.traits["companion"] and name not in arm.companions]
    fitted += [f"the head of {name} for {afterwards.STEPS} steps" for name in late]
    fresh = arm.compares_rounds and arm.learner.get("warm_start") is False
    disk = 4 * trainings * (parameters + len(images.pool) * max(2, len(images.classes))) * len(arm.seeds)
    pixels = sum(len(part) * int(torch.tensor(part.shape).prod()) for part in (images.pool, images.test))
    steps = steps_of(arm.pretext, len(images.pool)) if arm.pretext else 0
    pretext = (
        f"{arm.pretext_method}: {len(encoders)} encoders of {steps} steps, {made} to reuse"
        if steps
        else "no pretext" + (f", weights from {arm.backbone['weights']}" if arm.backbone.get("weights") else "")
    )
    learner_words = arm.learner_method + (f" with {note}" if (note := arm.companion_note()) else "")
    return [
        f"arm {arm.name}",
        f"  labels: {', '.join(map(str, counts))} ({arm.first_round} first{again}, then {arm.strategy}, answered by "
        f"{arm.labelling_note()})",
        f"  {pretext}",
        f"  {learner_words}: {trainings} trainings × {len(arm.seeds)} seeds, {ended} to reuse, {learner.steps} "
        f"steps of {per_step or 'all labelled'} forward images each",
        *(f"  {name}: learns from the same labels, as often" for name in arm.networks),
        f"  scoring: {scored:,} forward images per seed" + (" (features are read, not computed)" if frozen else ""),
        *([f"  mind: {arm.strategy} compares learners, and these start afresh; type learner.warm_start=true"] * fresh),
        *(f"  fitted anew in {trainings - 1} rounds of each seed: {', '.join(fitted)}" for _ in fitted[:1]),
        f"  disk: about {disk / 2**20:,.0f} MiB; memory: about {(pixels + parameters * 24) / 2**20:,.0f} MiB beside "
        "the network's activations",
    ]


def _learner(arm: Arm, images: Images) -> Learner:
    encoder = backbones.build(images.pool.shape, **arm.backbone, seed=0)
    learner: Learner = registry.find("learner", arm.learner_method).call(
        encoder, Views.of(images), max(2, len(images.classes)), **arm.learner
    )
    return learner
