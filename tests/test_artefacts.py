"""Files that are whole or not there, work that is done once whoever asks, fingerprints that follow from what counts."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from ssal import artefacts
from ssal.artefacts import locked, once, read_json, read_tensors, write_json, write_tensors, write_text, writing
from ssal.errors import BadInput
from ssal.fingerprints import file_fingerprint, fingerprint, source_fingerprint


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_json(tmp_path / "deep" / "a.json", {"ä": [1, None, 0.1]})
    assert read_json(tmp_path / "deep" / "a.json") == {"ä": [1, None, 0.1]}
    tensors = {"a": torch.arange(6).reshape(2, 3).T, "b": torch.empty(0, 4), "c": torch.tensor(2.5)}
    write_tensors(tmp_path / "t.safetensors", tensors)
    back = read_tensors(tmp_path / "t.safetensors")
    assert all(torch.equal(back[name], tensors[name]) for name in tensors) and len(back) == 3
    assert (tmp_path / "deep" / "a.json").stat().st_mode & 0o777 == 0o644


def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(ZeroDivisionError), writing(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "a.txt").read_text() == "old" and files(tmp_path) == ["a.txt"]


def test_nothing_stands_under_the_final_name_before_all_is_written(tmp_path: Path) -> None:
    with writing(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        assert not (tmp_path / "a.txt").exists() and temporary.parent == tmp_path
        temporary.write_text("whole")
    assert (tmp_path / "a.txt").read_text() == "whole" and files(tmp_path) == ["a.txt"]


def test_readers_beside_writers_see_only_whole_files(tmp_path: Path) -> None:
    path, texts, seen = tmp_path / "a.txt", [str(n) * 20_000 for n in range(4)], set()
    write_text(path, texts[0])
    writers = [threading.Thread(target=lambda text=text: [write_text(path, text) for _ in range(20)]) for text in texts]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        seen.add(path.read_text())
    assert seen <= set(texts) and files(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS])
def test_what_the_disk_refuses_is_told_and_other_errors_pass(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text(tmp_path / "a.txt", "old")

    def refuse(file: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(BadInput, match="what was there before is unchanged") as refused:
        write_text(tmp_path / "a.txt", "new")
    assert str(refused.value).startswith(f"{tmp_path / 'a.txt'}: ") and os.strerror(number) in str(refused.value)
    assert (tmp_path / "a.txt").read_text() == "old" and files(tmp_path) == ["a.txt"]
    number = errno.EIO
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        write_text(tmp_path / "a.txt", "new")


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail at inline_container.cc:671] . unexpected pos 704 vs 598"),
        OSError("1000000 requested and 262112 written"),
        type("SafetensorError", (Exception,), {})("I/O error: No space left on device (os error 28)"),
    ],
)
def test_libraries_that_hide_why_they_could_not_write_are_understood(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What torch, NumPy and safetensors raise on a full disk; the first two say nothing, so the disk is asked."""
    told = "os error" in str(error)
    if not told:
        with pytest.raises(type(error)), writing(tmp_path / "a"):
            raise error
        full = os.statvfs_result((4096, 4096, 1000, 0, 0, 1000, 1000, 1000, 0, 255))
        monkeypatch.setattr(os, "statvfs", lambda path: full)
    with pytest.raises(BadInput, match="no space left"), writing(tmp_path / "a"):
        raise error
    assert files(tmp_path) == []


ONCE = """
import os, sys, time
from pathlib import Path
from ssal.artefacts import once
def make(folder):
    with (folder / "calls").open("a") as file:
        file.write(f"{os.getpid()}\\n")
    time.sleep(0.3)
    return {"by": os.getpid()}
once(Path(sys.argv[1]), make)
"""


def test_once_is_once_however_many_processes_ask(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    asking = [subprocess.Popen([sys.executable, "-c", ONCE, str(folder)]) for _ in range(2)]
    assert [process.wait() for process in asking] == [0, 0]
    (call,) = (folder / "calls").read_text().split()
    assert read_json(folder / "record.json") == {"by": int(call)}


def test_once_goes_on_after_a_kill_and_removes_what_was_being_written(tmp_path: Path) -> None:
    folder = tmp_path / "work"

    def make(_: Path) -> dict[str, int]:
        return {"leftovers": len(list(folder.rglob("*.unfinished")))}

    killed = subprocess.Popen([sys.executable, "-c", ONCE.replace("0.3", "60"), str(folder)])
    while not (folder / "calls").exists():
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    (folder / "training").mkdir()
    for name in (".record.json.abc.unfinished", "training/.last.ckpt.xyz.unfinished"):
        (folder / name).touch()
    assert not (folder / "record.json").exists()
    once(folder, make)
    assert read_json(folder / "record.json") == {"leftovers": 0}
    assert not (folder / "training").exists(), "checkpoints of a training that ended"


def test_once_leaves_no_record_of_what_failed(tmp_path: Path) -> None:
    calls = []

    def make(folder: Path) -> dict[str, int]:
        calls.append(folder)
        if len(calls) == 1:
            raise ZeroDivisionError
        return {}

    with pytest.raises(ZeroDivisionError):
        once(tmp_path / "work", make)
    once(tmp_path / "work", make)
    once(tmp_path / "work", make)
    assert len(calls) == 2


def test_who_is_locked_out_waits(tmp_path: Path) -> None:
    order = []

    def second() -> None:
        with locked(tmp_path):
            order.append("second")

    with locked(tmp_path):
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(0.2)
        order.append("first")
    waiting.join(timeout=10)
    assert order == ["first", "second"]


def test_fingerprints_follow_from_values_and_not_from_their_order() -> None:
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    different = [fingerprint(x) for x in ({"a": 1}, {"a": 1.5}, {"a": "1"}, {"a": None}, ["a", 1], {"a": True})]
    assert len(set(different)) == len(different) and all(len(one) == 16 for one in different)
    assert fingerprint("a", "b") != fingerprint("ab")


def test_a_files_fingerprint_is_that_of_its_content(tmp_path: Path) -> None:
    for name, text in (("a", "same"), ("b", "same"), ("c", "other")):
        (tmp_path / name).write_text(text)
    a, b, c = (file_fingerprint(tmp_path / name) for name in "abc")
    assert a == b != c and file_fingerprint(tmp_path / "d") == "absent"


CODE = '''
"""What this module does."""
def area(width, height=2):
    """Return the area."""
    # a rectangle's
    return width * height

class Shape:
    """A shape."""
    sides = 4
'''


@pytest.mark.parametrize(
    "old,new,same",
    [
        ('"""What this module does."""', '"""Something else."""', True),
        ('"""Return the area."""', '"""Return width times height."""', True),
        ('    """Return the area."""\n', "", True),
        ("# a rectangle's", "# another comment", True),
        ('    """A shape."""\n', "", True),
        ("width * height", "(width  *  height)", True),
        ("width * height", "height * width", False),
        ("height=2", "height=3", False),
        ("sides = 4", "sides = 3", False),
        ("sides = 4", 'sides = "4"', False),
        ("def area", "def surface", False),
    ],
)
def test_a_source_fingerprint_follows_from_what_code_does(tmp_path: Path, old: str, new: str, same: bool) -> None:
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    assert CODE.count(old) == 1
    first.write_text(CODE)
    second.write_text(CODE.replace(old, new))
    assert (source_fingerprint(first) == source_fingerprint(second)) is same


def test_a_source_fingerprint_sees_a_file_that_changed_meanwhile(tmp_path: Path) -> None:
    path, other = tmp_path / "a.py", tmp_path / "b.py"
    path.write_text("x = 1\n")
    other.write_text("y = 1\n")
    before = source_fingerprint(path, other)
    assert source_fingerprint(other, path) == before, "the order of the files does not count"
    path.write_text("x = 2\n")
    assert source_fingerprint(path, other) != before


def test_temporary_files_are_known_by_their_name(tmp_path: Path) -> None:
    with writing(tmp_path / "a.txt") as temporary:
        assert temporary in tmp_path.glob(artefacts.LEFTOVERS)


def test_a_checkpoint_that_a_kill_behind_the_record_left_is_swept(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(folder: Path) -> dict[str, int]:
        made.append(folder)
        return {}

    once(tmp_path / "work", make)
    (tmp_path / "work/training").mkdir()
    (tmp_path / "work/training/last.ckpt").write_text("left")
    once(tmp_path / "work", make)
    assert made == [tmp_path / "work"] and not (tmp_path / "work/training").exists()
