"""The page in real browsers with a run beside it: people who differ, a third look, classes that change, corrections.

Each person has a browser of their own, with its own storage.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser
from command_line import CommandLine
from page_process import Served
from person import ALT, SHOWN, faults, id
from tiny_runs import NAMES, write_pictures

from ssal.labelling.ledger import Ledger

RECIPE = """\
name: project
seeds: [0]
data: {source: folder, path: pictures, size: 8, labels: given, flip: false, classes: [nought, one, three, two]}
backbone: {name: wrn_10_1}
learner: {method: supervised, steps: 4, batch_size: 8}
acquisition: {strategy: margin, query_size: 4, budget: 8}
labelling: {answered_by: inbox, audit: 0, asked_of_two: 1}
trainer: {accelerator: cpu}
"""
CELL = Path("checkpoints/project/main/seed_0")


@pytest.fixture
def ssal(command_line: CommandLine) -> CommandLine:
    """A project with two labels of each class and many images without."""
    Path("recipe.yaml").write_text(RECIPE)
    write_pictures(Path("pictures"))
    Path("pictures/train/unlabelled").mkdir()
    for name in NAMES:
        for path in sorted(Path(f"pictures/train/{name}").glob("*.png"))[2:]:
            path.rename(f"pictures/train/unlabelled/{name}_{path.name}")
    return command_line


@pytest.fixture
def people(tmp_path: Path) -> Iterator[list[Browser]]:
    if not CHROMIUM:
        pytest.skip("no Chromium; `make browser` installs it where apt-get may")
    found = [Browser(tmp_path / f"browser_{name}") for name in ("ann", "ben")]
    yield found
    for one in found:
        one.close()


def enter(browser: Browser, address: str, name: str) -> None:
    browser.visit(address)
    browser.wait_until(f"{id('names')}.open")
    browser.call("Input.insertText", text=name)
    browser.press("Enter")
    browser.wait_until(SHOWN)


def truth(browser: Browser) -> str:
    return browser.evaluate(f"{id('path')}.textContent").split("/")[-1].split("_")[0]


def say(browser: Browser, label: str) -> str:
    """Press the key of a class, wait for what is next, and return the path of what was answered."""
    browser.wait_until(f"{SHOWN} && {id('picture')}.complete")
    path, before = browser.evaluate(f"{id('path')}.textContent"), browser.evaluate(ALT)
    key = browser.evaluate(
        f"[...{id('classes')}.children].find(one => one.value === {json.dumps(label)}).querySelector('kbd').textContent"
    )
    browser.press(key)
    browser.wait_until(f"({SHOWN} && {ALT} !== {json.dumps(before)}) || !{id('rest')}.hidden")
    return path


@pytest.mark.slow
def test_two_people_differ_and_the_run_takes_the_third_look(ssal: CommandLine, people: list[Browser]) -> None:
    run = ("run", "recipe.yaml", "--jobs", "1")
    assert "4 images wait for labels: " in ssal(*run).err
    served = Served(Path.cwd())
    ann, ben = people
    enter(ann, served.address, "ann")
    said = {}
    for _ in range(4):
        label = truth(ann)
        said[say(ann, label)] = label
    assert "4 images wait for a second person" in ann.evaluate(f"{id('rest')}.textContent")
    assert "ssal run recipe.yaml labelling.asked_of_two=0" in ann.evaluate(f"{id('rest')}.textContent")
    assert "4 images wait for a second person" in ssal(*run).err

    enter(ben, served.address, "ben")
    odd = ""
    for at in range(4):
        label = truth(ben)
        wrong = next(name for name in NAMES if name != label)
        path = say(ben, wrong if at == 1 else label)
        odd = path if at == 1 else odd
    assert "1 image was answered differently" in ben.evaluate(f"{id('rest')}.textContent")
    assert "1 image waits for a third look (people differ): " in ssal(*run).err
    ann.wait_until(f"!{id('look-third')}.hidden")
    ann.click(id("look-third"))
    ann.wait_until(SHOWN)
    assert ann.evaluate(f"{id('path')}.textContent") == odd
    note = ann.evaluate(f"{id('note')}.textContent")
    assert "A third look settles this: " in note and f"ann says {said[odd]}" in note and "ben says " in note
    assert faults(ann) == []
    third = next(name for name in NAMES if f"says {name}" not in note)
    say(ann, third)
    ann.wait_until(f"{id('rest-title')}.textContent === 'All 4 images have an answer'")
    ben.wait_until(f"{id('rest-title')}.textContent === 'All 4 images have an answer'")
    assert ann.complaints() == ben.complaints() == []

    assert "4 images wait for labels: " in ssal(*run).err, "the next round"
    ledger = Ledger(CELL / "ledger.sqlite")
    taken = {entry.id: (entry.label, entry.who) for entry in ledger.asked_in(0)}
    paths = {image["id"]: image["path"] for image in question(0)["images"]}
    assert {paths[id]: label for id, (label, _) in taken.items()} == said | {odd: third}
    assert [one.answer.label for one in ledger.said() if one.decides] == [third]
    for one in people:
        one.wait_until(SHOWN)
        assert one.evaluate(f"{id('title')}.textContent") == "recipe.yaml, round 1"
        one.visit("about:blank")
    served.kill()


@pytest.mark.slow
def test_an_open_page_goes_on_with_a_project_that_is_started_anew(ssal: CommandLine, people: list[Browser]) -> None:
    Path("recipe.yaml").write_text(RECIPE.replace(", asked_of_two: 1", ""))
    run = ("run", "recipe.yaml", "--jobs", "1")
    assert ssal(*run).code == 3
    served, ann = Served(Path.cwd()), people[0]
    enter(ann, served.address, "ann")
    say(ann, truth(ann))
    assert ssal(*run, "learner.steps=5", "--overwrite").code == 3
    ann.press("1")
    ann.wait_until(f"{SHOWN} && {id('facts')}.textContent.startsWith('0 of 4')")
    assert "nothing was written" in ann.evaluate(f"{id('status')}.textContent")
    assert Ledger(CELL / "ledger.sqlite").said() == []
    paths = {say(ann, truth(ann)) for _ in range(4)}
    ann.wait_until(f"{id('rest-title')}.textContent === 'All 4 images have an answer'")
    assert len(Ledger(CELL / "ledger.sqlite").said()) == 4 == len(paths)
    assert len(Ledger(CELL / "ledger.replaced_1.sqlite").said()) == 1
    ann.visit("about:blank")
    served.kill()


def question(number: int) -> dict:
    return json.loads((CELL / f"round_{number}/question/question.json").read_text())


@pytest.mark.slow
def test_classes_change_and_an_earlier_answer_is_corrected(ssal: CommandLine, people: list[Browser]) -> None:
    Path("recipe.yaml").write_text(RECIPE.replace(", asked_of_two: 1", ""))
    run = ("run", "recipe.yaml", "--jobs", "1")
    assert ssal(*run).code == 3
    served, ann = Served(Path.cwd()), people[0]
    classes = f"[...{id('classes')}.children].map(one => one.value).join()"
    enter(ann, served.address, "ann")
    assert ann.evaluate(classes) == "nought,one,three,two" and not ann.evaluate(f"!{id('before')}.hidden")
    first = say(ann, "nought")
    assert ssal("ledger", "rename", "recipe.yaml", "nought", "zero").code == 0
    changed = RECIPE.replace(", asked_of_two: 1", "").replace(
        "[nought, one, three, two]", "[zero, one, three, two, lynx]"
    )
    Path("recipe.yaml").write_text(changed)
    for part in ("train", "test"):
        Path(f"pictures/{part}/nought").rename(f"pictures/{part}/zero")  # the labels that the project began with
    second = say(ann, "nought")
    ann.wait_until(f"{classes} === 'zero,one,three,two'")
    assert ann.evaluate(f"{id('recent')}.textContent") == "zerozero"
    assert "2 images wait for labels" in ssal(*run).err
    third = say(ann, "one")
    ann.wait_until(f"{classes} === 'zero,one,three,two,lynx'")
    fourth = say(ann, "lynx")
    ann.wait_until(f"{id('rest-title')}.textContent === 'All 4 images have an answer'")
    assert "4 images wait for labels: " in ssal(*run).err
    ledger = Ledger(CELL / "ledger.sqlite")

    def stands() -> dict[str, str | None]:
        paths = {image["id"]: image["path"] for image in question(0)["images"]}
        return {paths[entry.id]: entry.label for entry in ledger.asked_in(0)}

    assert stands() == {first: "zero", second: "zero", third: "one", fourth: "lynx"}

    ann.wait_until(f"{SHOWN} && !{id('before')}.hidden")
    ann.events.clear()  # the page asked for the round that was over, and was told so
    asked = question(1)["images"]
    found = f"[...{id('earlier-found')}.querySelectorAll('.word:not(.soft)')].map(one => one.textContent).join()"
    ann.press("0")
    ann.wait_until(f"{found} === 'lynx,one,zero,zero'")
    for width, height in ((1280, 900), (360, 740)):
        ann.resize(width, height)
        assert faults(ann) == []
    ann.resize(1280, 900)
    ann.call("Input.insertText", text="lynx round 0")
    ann.wait_until(f"{found} === 'lynx'")
    ann.press("Enter")
    ann.press("Enter")
    ann.wait_until(f"{SHOWN} && {id('path')}.textContent === {json.dumps(fourth)}")
    assert "In round 0 ann said lynx." in ann.evaluate(f"{id('note')}.textContent")
    ann.press("s")
    assert "is corrected, or left" in ann.evaluate(f"{id('status')}.textContent")
    ann.press("3")
    ann.wait_until(f"!{id('earlier')}.hidden && {found} === ''")  # none is called lynx any more
    assert stands()[fourth] == "three"
    ann.click(id("earlier-leave"))
    ann.wait_until(SHOWN)
    ann.press("u")
    ann.wait_until(f"!{id('earlier')}.hidden")
    assert stands()[fourth] == "lynx", "a correction is taken back as any answer"
    ann.wait_until(f"{found} === 'lynx'")
    ann.click(f"{id('earlier-found')}.querySelector('button')")
    ann.wait_until(SHOWN)
    ann.press("4")
    ann.wait_until(f"!{id('earlier')}.hidden")
    ann.press("Escape")
    ann.wait_until(f"{SHOWN} && {id('title')}.textContent.endsWith('round 1')")
    assert ann.complaints() == []
    said = ssal(*run)
    assert said.code == 3 and "4 images wait for labels: " in said.err, "nothing is asked again"
    assert "train supervised on 12 labels" in said.log and stands()[fourth] == "two"
    assert [image["id"] for image in question(1)["images"]] == [image["id"] for image in asked]
    assert ledger.chain.damages() == []
    ann.visit("about:blank")
    served.kill()
