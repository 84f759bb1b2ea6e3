"""The README is true: its rule runs as it stands there, its tree is the tree, its commands exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import tiny_runs

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_ten_lines_of_the_readme_are_a_strategy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One new file beside the recipe, named by `strategy: my_rules.py:widest`, asks for images in a whole run."""
    (rule,) = re.findall(r"```python\n(\"\"\"Widest.*?)```", README, flags=re.DOTALL)
    assert len(rule.strip().splitlines()) <= 10
    (tmp_path / "my_rules.py").write_text(rule)
    tiny_runs.write_pictures(tmp_path / "pictures")
    recipe = tiny_runs.recipe(
        tmp_path / "mine.yaml", acquisition={"strategy": "my_rules.py:widest", "options": {"power": 2.0}}
    )
    monkeypatch.chdir(ROOT)  # the rule is found beside the recipe, wherever the command is typed
    images = tiny_runs.pictures(tmp_path / "pictures", tmp_path / "checkpoints")
    left = tiny_runs.run(recipe.arms["main"], images, tmp_path / "checkpoints")
    folder = tmp_path / "checkpoints" / "run" / "main" / "seed_0" / "round_1"
    assert "my_rules.py:widest" in json.loads((folder / "asked.json").read_text())["strategy"]
    lines = (folder / "chosen.csv").read_text().splitlines()[1:]
    scores = [float(line.split(",")[2]) for line in lines]
    assert len(lines) == 4 and scores == sorted(scores, reverse=True) and max(scores) <= 0
    assert len(left.asked()) == 12


def test_the_tree_of_the_readme_is_the_tree() -> None:
    block = README.partition("## The tree")[2].partition("`ssal list`")[0]
    for line in block.splitlines():
        found = re.match(r"    (  )?([\w.]+/?)  ", line)
        if found:
            path = ROOT / "ssal" / found[2] if found[1] else ROOT / found[2]
            assert path.exists(), line
    folders = {path.parent.name for path in (ROOT / "ssal").glob("*/__init__.py")}
    assert folders <= set(re.findall(r"(\w+)/", block)), "every folder of ssal/ is named"


def test_the_commands_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^    make (\w+)", README, flags=re.MULTILINE):
        assert f"\n{target}:" in makefile
    for recipe in re.findall(r"recipes/\w+\.yaml", README):
        assert (ROOT / recipe).exists()
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / picture).exists()


def test_the_measured_numbers_of_the_readme_are_the_committed_ones() -> None:
    """Every table row of arms stands in a page under benchmarks/results."""
    pages = "".join(page.read_text() for page in (ROOT / "benchmarks" / "results").glob("*.md"))
    rows = [line for line in README.splitlines() if re.match(r"\| (supervised|ssl_only|ssl_and_al|svm|logistic)", line)]
    assert len(rows) >= 4
    for row in rows:
        assert row in pages, row
