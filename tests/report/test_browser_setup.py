"""`make browser` says in one line what it did, and never fails."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "browser"
BASH = shutil.which("bash")
TIMEOUT = 'shift; exec "$@"'
LOGGED = 'echo "$*" >> "$LOG"'


@pytest.mark.skipif(not BASH, reason="no bash")
@pytest.mark.parametrize(
    ("commands", "said", "asked"),
    [
        ({"chromium-browser": "exit 1"}, "chromium-browser is there already", []),
        ({}, "not installed, as there is no apt-get here", []),
        ({"apt-get": LOGGED, "id": "echo 1000"}, "not installed, as apt-get needs root and sudo asks", []),
        ({"apt-get": LOGGED, "id": "echo 1000", "sudo": "exit 1"}, "not installed, as apt-get needs root", []),
        ({"apt-get": LOGGED, "id": "echo 0", "timeout": TIMEOUT}, "installed Debian's chromium", ["update", "install"]),
        (
            {"apt-get": LOGGED, "id": "echo 1000", "sudo": 'shift; "$@"', "true": "exit 0", "timeout": TIMEOUT},
            "installed Debian's chromium",
            ["update", "install"],
        ),
        (
            {"apt-get": f"{LOGGED}; echo E: no network >&2; exit 100", "id": "echo 0", "timeout": TIMEOUT},
            "not installed: apt-get install chromium failed",
            ["update", "install"],
        ),
    ],
)
def test_one_line_and_no_failure(tmp_path: Path, commands: dict[str, str], said: str, asked: list[str]) -> None:
    log = tmp_path / "log"
    log.touch()
    (tmp_path / "bin").mkdir()
    for name, body in commands.items():
        (tmp_path / "bin" / name).write_text(f"#!{BASH}\n{body}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    done = subprocess.run(
        [str(BASH), str(SCRIPT)],
        env={"PATH": str(tmp_path / "bin"), "LOG": str(log)},
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = done.stdout.splitlines()
    assert line.startswith("browser: ") and said in line and done.stderr == ""
    calls = log.read_text().splitlines()
    assert len(calls) == len(asked) and all(word in call.split() for word, call in zip(asked, calls, strict=True))
    assert all(call.endswith("install -y --no-install-recommends chromium") for call in calls[1:])
