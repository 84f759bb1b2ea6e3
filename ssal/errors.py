"""The ways a run ends early, each with its own exit code in cli.py."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable


class BadInput(Exception):
    """Something the user gave cannot be used; the message says where, what was expected, what came, what to type.

    Exit code 2.
    """


class Waiting(Exception):
    """The run went as far as it can without people; the message says how many images wait, where, and how to answer.

    Exit code 3.
    """


class Diverged(Exception):
    """Training met a loss that is not finite; the last good checkpoint is kept. Exit code 1."""


class Terminated(SystemExit):
    """Somebody ended this process: unlike other SystemExits, which code of one's own may raise, it ends all cells."""


def told(error: BaseException) -> str:
    """Return what an error says and, for one nobody meant a user to see, the line it comes from."""
    if isinstance(error, BadInput | Waiting | Diverged):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno}, in {frames[-1].name})" if frames else ""
    return f"{error}{where}"


def nearest(word: str, words: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the closest of `words`, or an empty string."""
    close = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def listing(names: Iterable[str], most: int = 5) -> str:
    """Return the first `most` names and how many more there are, for a message."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def counted(count: int, one: str, many: str = "") -> str:
    """Return `1 image` or `2 images`; `many` is said of several where an s at the end would not do."""
    return f"{count} {one}" if count == 1 else f"{count} {many or f'{one}s'}"
