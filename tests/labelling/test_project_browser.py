"""A whole project at the page: asked, labelled by keyboard with a break, trained on, asked again, exported."""

from __future__ import annotations

import csv
import tarfile
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, Browser
from command_line import CommandLine
from page_process import Served
from person import SHOWN, Person, id
from PIL import Image
from questions import DIGITS, read_json
from real_images import SHARED_DATA
from tiny_runs import digits

from ssal.artefacts import read_json as read_metrics
from ssal.labelling.answers import LABEL, NONE, SKIPPED
from ssal.labelling.ledger import Ledger

RECIPE = f"""\
name: hands
seeds: [0]
data: {{source: folder, path: hands, size: 12, labels: given, flip: false, classes: [{", ".join(DIGITS)}]}}
backbone: {{name: wrn_10_1}}
pretext: {{method: simclr, epochs: 1, max_steps: 4, batch_size: 32}}
learner: {{method: supervised, steps: 8, batch_size: 16}}
acquisition: {{strategy: margin, first_round: typiclust, first_size: 60, query_size: 6, budget: 66}}
labelling: {{answered_by: inbox, audit: 0.1}}
trainer: {{accelerator: cpu, precision: 32-true}}
"""
CELL = Path("checkpoints/hands/main/seed_0")
SIGNS = SHARED_DATA / "sign-digits" / "sign-digits.tar"


def photographs(folder: Path, count: int = 150) -> None:
    """Write photographs of hands where they are at hand, or else scanned digits; a name ends with its true class."""
    folder.mkdir()
    if not SIGNS.exists():
        for row, (pixels, digit) in enumerate(zip(*(part[:count] for part in digits()), strict=True)):
            Image.fromarray(np.kron(pixels, np.ones((4, 4), np.uint8))).save(folder / f"{row:04}_{DIGITS[digit]}.png")
        return
    with tarfile.open(SIGNS) as archive:
        members = [member for member in archive if "train/" in member.name and member.isfile()]
        for row, member in enumerate(members[:: len(members) // count][:count]):
            file = archive.extractfile(member)
            assert file
            digit = DIGITS[int(Path(member.name).parent.name)]
            (folder / f"{row:04}_{digit}.jpg").write_bytes(file.read())


def shown(number: int) -> tuple[list[str], list[str]]:
    """Return ids of the images that a round asks about, and what they show, in the order of the page."""
    images = read_json(CELL / f"round_{number}/question")["images"]
    return [one["id"] for one in images], [Path(one["path"]).stem.split("_")[1] for one in images]


@pytest.mark.slow
def test_what_was_typed_is_trained_on_and_exported(command_line: CommandLine, tmp_path: Path) -> None:
    if not CHROMIUM:
        pytest.skip("no Chromium; `make browser` installs it where apt-get may")
    Path("recipe.yaml").write_text(RECIPE)
    photographs(Path("hands"))
    run = ("run", "recipe.yaml", "--jobs", "1")
    asked = command_line(*run)
    assert asked.code == 3 and "60 images wait for labels" in asked.err
    ids, truth = shown(0)
    served = Served(Path.cwd())
    browser = Browser(tmp_path / "browser")
    ann = Person(browser, served.address, truth)
    ann.say()
    skipped = [ann.say(SKIPPED)]
    ann.say_wrongly_and_undo("u", control=False)
    none = ann.say(NONE)
    while len(ann.meant) < 30:
        ann.say()
    skipped.append(ann.say(SKIPPED))
    browser.close()
    served.kill()
    assert "29 images wait" in command_line(*run).err, "29 have an answer, and nobody has to answer the two skipped"

    served = Served(Path.cwd(), "--port", served.port)
    browser = Browser(tmp_path / "browser")
    back, meant = Person(browser, served.address, truth), ann.meant
    assert back.number() not in meant, "what was answered is not asked again"
    assert "29 of 60 answered" in browser.evaluate(f"{id('facts')}.textContent")
    back.meant = meant
    back.say_wrongly_and_undo("z", control=True)
    skipped.append(back.say(SKIPPED))
    while len(meant) < 60:
        back.say()
    browser.wait_until(f"!{id('rest')}.hidden")
    assert "Nothing is left but 3 images you skipped" in browser.evaluate(f"{id('rest')}.textContent")
    browser.click(id("look-skipped"))
    for _ in skipped:
        assert back.say() in skipped
    browser.wait_until(f"{id('rest-title')}.textContent === 'All 60 images have an answer'")
    assert "ssal run recipe.yaml" in browser.evaluate(f"{id('rest')}.textContent")
    assert browser.complaints() == []

    ledger = Ledger(CELL / "ledger.sqlite")
    expected = {number: (LABEL, truth[number]) for number in range(60)} | {none: (NONE, None)}
    assert {ids[number]: said for number, said in meant.items()} == {ids[n]: said for n, said in expected.items()}
    settled = {id: (now.kind, now.label) for (id, _), now in ledger.settled().items() if now}
    assert settled == {ids[number]: said for number, said in expected.items()}
    events = [row["event"] for row in ledger.chain.rows()]
    assert events.count("undone") == 2 and events.count("said") == 60 + 3 + 2
    assert {(one.answer.who, one.via) for one in ledger.said()} == {("ann", "page")}
    assert all(one.answer.seconds is not None and 0 <= one.answer.seconds < 600 for one in ledger.said())

    again = command_line(*run)
    assert again.code == 3 and "6 images wait for labels" in again.err and "accuracy: " in again.out
    metrics = read_metrics(CELL / "round_1/metrics.json")
    learner = read_metrics(Path("checkpoints/learners") / metrics["learner_folder"] / "record.json")
    trained_on = {image: label for image, (_, label) in settled.items() if label and image not in ledger.audited()}
    assert metrics["labels"] == 60 and ledger.labels() == trained_on and learner["labels"] == len(trained_on) > 50
    browser.wait_until(SHOWN)
    assert browser.evaluate(f"{id('title')}.textContent") == "recipe.yaml, round 1", "the next question comes by itself"
    more_ids, more_truth = shown(1)
    more = Person(browser, served.address, more_truth)
    while len(more.meant) < 6:
        more.say()
    browser.close()
    assert served.stop() == 130
    assert command_line(*run).code == 0
    assert command_line("export", "recipe.yaml", "--to", "labelled").code == 0
    with Path("labelled/labels.csv").open(newline="", encoding="utf-8-sig") as file:
        exported = {row["id"]: (row["label"], row["who"]) for row in csv.DictReader(file)}
    typed = dict(zip([*ids, *more_ids], [*truth, *more_truth], strict=True))
    typed[ids[none]] = ""
    assert exported == {image: (label, "ann") for image, label in typed.items()}
    assert ledger.chain.damages() == []
