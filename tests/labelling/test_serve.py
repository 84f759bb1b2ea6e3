"""From the command to an address: what is printed, and what is said where there is nothing to serve."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path

import pytest
from command_line import CommandLine
from questions import cell_of, recipe_in, write_question

from ssal.errors import BadInput
from ssal.labelling.server import serve
from ssal.labelling.server.guard import is_loopback


def test_without_a_question_the_command_says_what_to_type(command_line: CommandLine, tmp_path: Path) -> None:
    recipe_in(tmp_path)
    said = command_line("label", "recipe.yaml")
    assert said.code == 2 and "no image waits for an answer; type `ssal run recipe.yaml`" in said.err


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("localhost", "localhost"), ("0.0.0.0", None)])
def test_the_address_is_printed_with_a_token_where_others_reach_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, shown: str | None
) -> None:
    write_question(cell_of(tmp_path / "checkpoints"), images=2, suggests=False)
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: None)
    said: list[str] = []
    serve.serve(recipe_in(tmp_path), tmp_path / "checkpoints", said.append, host=host, port=0, opens=False)
    address = next(line for line in said if line.startswith("answer here: "))
    assert ("?token=" in address) == (not is_loopback(host)) and "2 images" in said[0]
    assert f"http://{shown or serve.own_address()}:" in address


def test_a_port_that_is_taken_is_told_and_a_free_one_found_where_none_was_named() -> None:
    with closing(serve.listening("127.0.0.1", None)) as first, closing(serve.listening("127.0.0.1", None)) as second:
        taken = first.getsockname()[1]
        assert taken != second.getsockname()[1]
        assert first.proto == socket.IPPROTO_TCP, "asyncio would send what is written in two parts 40 ms apart"
        with pytest.raises(BadInput, match=f"--port {taken}.*or --port 0 for any"):
            serve.listening("127.0.0.1", taken)
    with pytest.raises(BadInput, match="--host 192.0.2.1"):
        serve.listening("192.0.2.1", None)
    with pytest.raises(BadInput, match="--host no.such.host.invalid"):
        serve.listening("no.such.host.invalid", 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_what_others_cannot_reach_needs_no_token(host: str) -> None:
    assert is_loopback(host)
    assert not is_loopback("0.0.0.0") and not is_loopback("192.168.0.7") and not is_loopback("::")
    assert not is_loopback("localhost.example")
