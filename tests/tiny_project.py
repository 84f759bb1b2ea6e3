"""A small project in which people answer: a flat folder whose file names know the classes, and answers by CSV."""

from __future__ import annotations

from pathlib import Path

from command_line import CommandLine
from tiny_runs import write_pictures

from ssal.artefacts import read_json

RECIPE = """\
name: project
seeds: [0]
data: {source: folder, path: pictures, size: 8, labels: given, flip: false, classes: [nought, one, two, three]}
backbone: {name: wrn_10_1}
pretext: {method: simclr, epochs: 1, max_steps: 2, batch_size: 8}
learner: {method: supervised, steps: 4, batch_size: 8}
acquisition: {strategy: margin, first_round: typiclust, query_size: 10, budget: 30}
labelling: {answered_by: inbox, audit: 0.2}
trainer: {accelerator: cpu, precision: 32-true}
"""
CELL = Path("checkpoints/project/main/seed_0")


def name_of(path: str) -> str:
    """Return the true class, which is in the image's name."""
    return Path(path).name.split("_")[0]


def write_project() -> None:
    """Leave the recipe, and a flat folder of 84 images without a label, in the current directory."""
    Path("project.yaml").write_text(RECIPE)
    write_pictures(Path("classes"))
    Path("pictures").mkdir()
    for path in sorted(Path("classes").rglob("*.png")):
        path.rename(Path("pictures") / f"{path.parent.name}_{path.parent.parent.name}_{path.name}")


def question(number: int) -> dict[str, dict[str, object]]:
    images = read_json(CELL / f"round_{number}/question/question.json")["images"]
    return {image["id"]: image for image in images}


def answer_csv(ssal: CommandLine, number: int) -> None:
    lines = [f"{id},{name_of(str(image['path']))}" for id, image in question(number).items()]
    Path("answers.csv").write_text("\n".join(["id,label", *lines]) + "\n")
    assert ssal("answers", "project.yaml", "answers.csv").code == 0
