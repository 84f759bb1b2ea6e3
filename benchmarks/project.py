"""A whole project, as people do it: `python benchmarks/project.py --signs sign-digits.tar`, 20 minutes on 2 idle cores.

1,644 photographs of hands lie in one folder, without a label; 418 of other people's hands are kept elsewhere. Every
command is typed as the README has it, with the recipe that `ssal init` writes, unchanged. What is asked is answered by
the names of the tar's class folders, in turn through a CSV file as spreadsheets save it, a Label Studio export, and the
page in Chromium, by keyboard. The classifier that comes out is then asked for all photographs kept elsewhere: the
accuracy that the project's own audit told can so be held against one that nothing here has seen. Writes
benchmarks/results/project.md, .csv and pictures of the page.
"""

from __future__ import annotations

import csv
import json
import os
import re
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from measuring import machine
from PIL import Image
from rows import append_row, made_now, read_rows

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # the tests' browser: Chromium over its own protocol

from browser import Browser  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "project.csv"
COLUMNS = ("step", "labels", "seconds", "processor_seconds", "said", "commit", "date")
CLASSES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
KEYS = "123456789a"
WAITING = 3
TOLD = re.compile(r"\s*(accuracy:|next \d+ images|wrote|\d)")
"""What of a command's words is kept: figures."""
SHOWN = "!document.getElementById('one').hidden && document.body.ariaBusy !== 'true'"
ALT = "document.getElementById('picture').alt"
REST = "!document.getElementById('rest').hidden"


class Project:
    """A folder with photographs and a recipe, and somebody who knows what they show."""

    def __init__(self, signs: Path, folder: Path, profile: Path) -> None:
        """Unpack the photographs under numbers, so that no name tells the class."""
        self.folder, self.profile, self.truth, self.now = folder, profile, dict[str, str](), made_now()
        self.browser: Browser | None = None
        for part in ("photographs", "elsewhere"):
            (folder / part).mkdir()
        with tarfile.open(signs) as archive:
            members = [member for member in archive if member.isfile() and re.search(r"(train|test)/\d/", member.name)]
            for number, member in enumerate(sorted(members, key=lambda one: Path(one.name).name)):
                _, part, digit, _ = f"/{member.name}".rsplit("/", 3)
                name, file = f"{number:04}.jpg", archive.extractfile(member)
                assert file
                (folder / ("photographs" if part == "train" else "elsewhere") / name).write_bytes(file.read())
                self.truth[name] = CLASSES[int(digit)]

    def type(self, *words: str, expected: tuple[int, ...] = (0,)) -> tuple[int, str]:
        """Run `ssal` with these words in the folder, keep what it took, and return its exit code and what it said."""
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "ssal", *words],
            cwd=self.folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode in expected, (words, done.returncode, done.stdout, done.stderr)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.keep(f"ssal {' '.join(words)}", time.perf_counter() - began, busy, done.stdout)
        return done.returncode, done.stdout

    def keep(self, step: str, seconds: float, busy: float | None, said: str) -> None:
        told = [
            line.strip() for line in said.splitlines() if re.match(r"\s*(accuracy:|next \d+ images|wrote|\d)", line)
        ]
        took = {"seconds": f"{seconds:.1f}", "processor_seconds": "" if busy is None else f"{busy:.1f}"}
        row = {"step": step, "labels": self.answered(), **took, "said": " / ".join(told), **self.now}
        append_row(RESULTS, COLUMNS, row)
        print(f"{seconds:6.1f} s  {step}  {row['said']}", flush=True)

    def cell(self) -> Path:
        return self.folder / "checkpoints" / "photographs" / "main" / "seed_0"

    def question(self) -> tuple[int, dict[str, str]]:
        """Return the round that waits, and file name by id of the images it asks about."""
        newest = max(self.cell().glob("round_*/question/question.json"), key=lambda one: int(one.parts[-3][6:]))
        images = json.loads(newest.read_text(encoding="utf-8"))["images"]
        return int(newest.parts[-3][6:]), {image["id"]: Path(image["path"]).name for image in images}

    def answered(self) -> int:
        from ssal.labelling.ledger import Ledger

        ledger = self.cell() / "ledger.sqlite"
        return len(Ledger(ledger).settled()) if ledger.exists() else 0

    def answer_csv(self) -> None:
        """Fill in the column; save as a spreadsheet does where commas are decimal: semicolons, a byte order mark."""
        number, names = self.question()
        self.type("questions", "recipe.yaml", "--to", f"asked_{number}.csv")
        with (self.folder / f"asked_{number}.csv").open(newline="", encoding="utf-8-sig") as file:
            rows = [{**row, "label": self.truth[names[row["id"]]]} for row in csv.DictReader(file)]
        with (self.folder / "answered.csv").open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.DictWriter(file, rows[0].keys(), delimiter=";")
            writer.writeheader()
            writer.writerows(rows)
        self.type("answers", "recipe.yaml", "answered.csv")

    def answer_label_studio(self) -> None:
        """Export as Label Studio does: every task with one annotation."""
        (asked, names), exported = self.question(), []
        self.type("questions", "recipe.yaml", "--as", "label-studio", "--to", f"tasks_{asked}.json")
        for number, task in enumerate(json.loads((self.folder / f"tasks_{asked}.json").read_text(encoding="utf-8")), 1):
            choice = {"choices": [self.truth[names[task["data"]["image_id"]]]]}
            result = {"type": "choices", "value": choice, "to_name": "image", "from_name": "choice"}
            said = {"completed_by": 1, "result": [result], "was_cancelled": False, "lead_time": 4.0}
            exported.append({"id": number, "data": task["data"], "annotations": [said], "predictions": []})
        (self.folder / "export.json").write_text(json.dumps(exported), encoding="utf-8")
        self.type("answers", "recipe.yaml", "export.json", "--who", "ben")

    def answer_page(self) -> None:
        """Answer by keyboard in a real browser, and keep how it looks."""
        typed = [sys.executable, "-m", "ssal", "label", "recipe.yaml", "--no-open", "--port", "0", "--who", "ann"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        began = time.perf_counter()
        server = subprocess.Popen(
            typed, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert server.stdout
        line = next(line for line in server.stdout if "answer here:" in line)
        started = time.perf_counter() - began
        self.browser = self.browser or Browser(self.profile)
        address, names = line.split()[-1], list(self.question()[1].values())
        self.pictures(address)
        self.browser.visit(address)
        began, pressed = time.perf_counter(), 0
        while True:
            self.browser.wait_until(f"({SHOWN} && document.getElementById('picture').complete) || {REST}")
            if self.browser.evaluate(REST):
                break
            before = self.browser.evaluate(ALT)
            label = self.truth[names[int(re.findall(r"Image (\d+) of", before)[0]) - 1]]
            self.browser.press(KEYS[self.classes().index(label)])
            self.browser.wait_until(f"({SHOWN} && {ALT} !== {json.dumps(before)}) || {REST}")
            pressed += 1
        self.browser.visit("about:blank")
        server.terminate()
        server.wait()
        seconds = time.perf_counter() - began
        self.keep(f"ssal label recipe.yaml: started in {started:.2f} s, {pressed} keys", seconds, None, "")

    def classes(self) -> list[str]:
        """Return the classes in the order of their keys."""
        number, _ = self.question()
        path = self.cell() / f"round_{number}" / "question" / "question.json"
        return list(json.loads(path.read_text(encoding="utf-8"))["classes"])

    def pictures(self, address: str) -> None:
        """Keep the page, light and wide, dark and narrow, and its grid."""
        assert self.browser
        for name, width, height, scheme, key in (
            ("project_page", 1280, 860, "light", ""),
            ("project_page_phone", 400, 760, "dark", ""),
            ("project_page_grid", 1280, 860, "dark", "g"),
        ):
            self.browser.visit(address, width, scheme)
            self.browser.resize(width, height)
            self.browser.wait_until(SHOWN)
            if key:
                self.browser.press(key)
                self.browser.wait_until("!document.getElementById('grid').hidden")
            time.sleep(0.5)
            picture = Image.fromarray(self.browser.screenshot(whole=False))
            picture.convert("P", palette=Image.Palette.ADAPTIVE).save(RESULTS.with_name(f"{name}.png"), optimize=True)

    def elsewhere(self) -> tuple[int, int]:
        """Return how many photographs of other people the classifier names rightly, and of how many."""
        self.type("predict", "model", "elsewhere", "--to", "predictions.csv")
        with (self.folder / "predictions.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        names = [Path(row["path"]).name for row in rows]
        assert sorted(names) == sorted(path.name for path in (self.folder / "elsewhere").iterdir())
        return sum(row["label"] == self.truth[name] for row, name in zip(rows, names, strict=True)), len(rows)


def run(project: Project) -> dict[str, Any]:
    """Go from a folder to a classifier, and return what the page is written from."""
    began = time.perf_counter()
    project.type("init", "photographs", "--classes", ",".join(CLASSES))
    ways, used = (project.answer_csv, project.answer_label_studio, project.answer_page), []
    code, _ = project.type("run", "recipe.yaml", expected=(WAITING,))
    while code == WAITING:
        way = ways[len(used) % len(ways)]
        way()
        used.append(way.__name__)
        code, said = project.type("run", "recipe.yaml", expected=(0, WAITING))
    told = re.findall(r"accuracy: .*", said)
    project.type("model", "recipe.yaml", "--to", "model")
    right, of = project.elsewhere()
    project.type("ledger", "verify", "recipe.yaml")
    if project.browser:
        project.browser.close()
    return {"seconds": time.perf_counter() - began, "told": told, "right": right, "of": of, "ways": used}


def page(about: dict[str, Any], found: dict[str, Any], rows: list[dict[str, str]]) -> str:
    """Return the committed page."""
    share, of = found["right"] / found["of"], found["of"]
    people = sum(float(row["seconds"]) for row in rows if row["step"].startswith("ssal label"))
    spread = 1.96 * (share * (1 - share) / of) ** 0.5
    lines = [
        "# A whole project",
        "",
        "`python benchmarks/project.py --signs sign-digits.tar`: 1,644 photographs of hands in one folder, commands as",
        "the README has them and the recipe that `ssal init` wrote, unchanged; answers by the names of the tar's class",
        "folders, in turn through a spreadsheet's CSV, a Label Studio export and the page in Chromium, by keyboard.",
        f"{about['processor']}, {about['cores']} cores,",
        f"load before {about['load_before']}, python {about['python']}, torch {about['versions']['torch']}; "
        f"{about['date']}, commit {about['commit']}; seed 0.",
        "",
        f"- {rows[-1]['labels']} answers, {found['seconds'] / 60:.0f} minutes from the empty folder to the classifier, "
        f"{people:.0f} seconds of them at the page",
        "  (a browser that knows the answers; a person takes some 4 seconds for each).",
        f"- The project's own audit at the end: {found['told'][-1]}.",
        f"- The classifier on {of} photographs of other people, which nothing here had seen: {100 * share:.1f} % "
        f"(95 % interval ± {100 * spread:.1f}).",
        "",
        "One seed, one data set: what a project is like, not a claim about methods.",
        "",
        "| step | answers so far | seconds | processor seconds | what it said |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{row['step']}` | {row['labels']} | {row['seconds']} | {row['processor_seconds'] or '–'} | {row['said']} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def main(
    signs: Annotated[Path, typer.Option(help="sign-digits.tar")],
    keep: Annotated[Path | None, typer.Option(help="New folder to leave the project in")] = None,
) -> None:
    """Run the project, and write the table."""
    about = machine("torch")
    RESULTS.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = keep or Path(temporary) / "project"
        folder.mkdir()
        found = run(Project(signs.resolve(), folder.resolve(), Path(temporary) / "browser"))
    RESULTS.with_suffix(".md").write_text(page(about, found, read_rows(RESULTS)), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
