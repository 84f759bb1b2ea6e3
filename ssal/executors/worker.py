"""A worker process: reads cells as JSON lines, runs them, answers with one JSON line each. Spawned, never forked."""

from __future__ import annotations

import json
import logging
import os
import sys
from importlib import import_module


def main() -> None:
    """Serve `module:function` (first argument) until standard input ends."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("ssal").setLevel(int(os.environ.get("SSAL_LOG_LEVEL", logging.INFO)))
    module, _, name = sys.argv[1].partition(":")
    function = getattr(import_module(module), name)
    answers = sys.stdout
    sys.stdout = sys.stderr  # whatever a library prints must not end up among the answers
    for line in sys.stdin:
        try:
            answer: dict[str, object] = {"state": "done", "value": function(**json.loads(line))}
        except Exception as error:
            answer = {"state": type(error).__name__, "value": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
