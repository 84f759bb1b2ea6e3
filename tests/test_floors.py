"""Imports go down only: the architecture, held over the import graph."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import ssal
from ssal import registry

ROOT = Path(ssal.__file__).parent
STAGES = {
    "data.load",
    "pretext.pretrain",
    "learner.train",
    "signals.collect",
    "signals.parts",
    "acquisition.choose",
    "labelling.ask",
    "evaluation.measure",
}
GROUND = {
    "registry",
    "method",
    "artefacts",
    "fingerprints",
    "progress",
    "tracking",
    "neighbours",
    "errors",
    "names",
    "streams",
    "whole_folder",
    "spreadsheet",
    "signals.vocabulary",
}
TOP = {
    "cli": 5,
    "__main__": 6,
    "compare": 4,
    "conclude": 4,
    "status": 4,
    "cells": 4,
    "asked": 4,
    "project": 4,
    "audit": 4,
    "outlook": 4,
    "growing": 4,
    "exchange": 4,
    "correcting": 4,
    "query": 4,
    "standing": 4,
    "claim": 4,
    "clearing": 4,
    "embed": 4,
    "evaluate_encoder": 4,
    "plan": 4,
    "listing": 4,
    "question": 3,
    "round": 3,
}
BESIDE = {
    "learner": {"data", "backbones", "loop"},
    "pretext": {"data", "backbones", "loop"},
    "signals": {"data", "learner", "pretext", "loop"},
    "acquisition": set(),
    "labelling": {"data"},
    "evaluation": set(),
    "data": set(),
}
"""Which neighbours on the methods' floor each stage folder may import."""


def floor(module: str) -> int:
    folder = module.partition(".")[0]
    if module in GROUND:
        return 0
    if module in STAGES:
        return 2
    if folder in ("executors", "report", "deployment", "export"):
        return 4
    if folder == "commands":
        return 5
    if folder == "recipe":
        return 3
    return TOP.get(module, 1 if folder in {*BESIDE, "backbones", "loop"} else 3)


def imports(path: Path) -> set[str]:
    """Return the ssal modules a file imports when it runs (imports for type checkers only are left out)."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    names = {name.removeprefix("ssal.") for name in found if name.startswith("ssal.")}
    return {name for name in names if (ROOT / (name.replace(".", "/") + ".py")).exists()}


MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in ROOT.rglob("*.py") if path.name != "__init__.py"
)


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down(module: str) -> None:
    path = ROOT / (module.replace(".", "/") + ".py")
    folder = module.partition(".")[0]
    for imported in imports(path):
        beside = imported.partition(".")[0]
        if floor(module) == floor(imported) == 1:
            assert beside == folder or beside in BESIDE.get(folder, {"data"}), f"{module} imports {imported}"
        elif beside != folder and floor(module) in (1, 2):
            assert floor(imported) < floor(module), f"{module} (floor {floor(module)}) imports {imported}"
        else:
            assert floor(imported) <= floor(module), f"{module} (floor {floor(module)}) imports {imported}"


def test_methods_never_import_each_other() -> None:
    """A file that holds a registered method is reached through the registry alone; shared maths has a named home."""
    files = {method.file for kind in registry.FOLDERS for method in registry.methods(kind).values()}
    homes = {".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files}
    for module in MODULES:
        if floor(module) <= 2:
            assert not imports(ROOT / (module.replace(".", "/") + ".py")) & homes, f"{module} imports a method's file"


def test_acquisition_holds_no_model_and_no_data() -> None:
    for path in (ROOT / "acquisition").glob("*.py"):
        tree = ast.parse(path.read_text())
        outside = {
            (alias.name if isinstance(node, ast.Import) else node.module or "").partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        assert outside <= {
            "__future__",
            "torch",
            "numpy",
            "faiss",
            "ssal",
            "math",
            "heapq",
            "csv",
            "io",
            "hashlib",
            "logging",
            "typing",
            "collections",
            "dataclasses",
            "pathlib",
            "pydantic",
        }, path


def test_no_dispatch_by_name_in_stages() -> None:
    """Stage code never asks which method it has; the signature says what it needs."""
    for module in (*STAGES, "round", "project"):
        path = ROOT / (module.replace(".", "/") + ".py")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare) and any(isinstance(o, ast.Eq | ast.NotEq) for o in node.ops):
                words = [c.value for c in node.comparators if isinstance(c, ast.Constant) and isinstance(c.value, str)]
                named = set(words) & {m for kind in ("strategy", "learner", "pretext") for m in registry.methods(kind)}
                assert not named, f"{path.name}:{node.lineno} compares with {named}"


def test_files_fit_a_head() -> None:
    for module in MODULES:
        lines = len((ROOT / (module.replace(".", "/") + ".py")).read_text().splitlines())
        assert lines <= (120 if module in STAGES else 260), f"{module} has {lines} lines"
