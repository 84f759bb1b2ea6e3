"""Fixtures every test folder shares."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser
from command_line import CommandLine
from tiny_project import write_project

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def command_line(
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> CommandLine:
    """Return the command line, in an empty current directory."""
    monkeypatch.chdir(tmp_path)
    return CommandLine(capsys, caplog)


@pytest.fixture
def ssal(command_line: CommandLine) -> CommandLine:
    """Return the command line in a directory with the tiny project, which waits for its first run."""
    write_project()
    return command_line


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip("no Chromium; `make browser` installs it where apt-get may")
    found = Browser(tmp_path_factory.mktemp("browser"))
    yield found
    found.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip `gpu` tests where there is no CUDA device."""
    import torch

    torch.set_num_threads(1)
    if not torch.cuda.is_available():
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))
