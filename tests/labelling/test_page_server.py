"""The labelling page's server: what it serves, whom it refuses, and what stands in the ledger afterwards."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from questions import DIGITS, cell_of, finish, write_question

from ssal.labelling.answers import CANNOT_TELL, LABEL, NONE, SKIPPED
from ssal.labelling.ledger import Ledger
from ssal.labelling.server.app import FILES, make_app
from ssal.labelling.server.guard import HEADERS, MOST_BODY
from ssal.labelling.server.place import Place
from ssal.labelling.server.question import Cell

ORIGIN = "http://127.0.0.1:8765"


class Page:
    """What a page asks of the server, and the ledger beside it."""

    def __init__(self, cell: Path, host: str = "127.0.0.1", token: str | None = None, port: int = 8765) -> None:
        self.cell = cell
        self.ledger = Ledger(cell / "ledger.sqlite")
        self.time = 0.0
        place = Place(Cell(cell, "margin", 0), now=lambda: self.time)
        options: dict[str, Any] = {"host": host, "port": port, "token": token}
        self.app = make_app(place, recipe="recipe.yaml", command="ssal run recipe.yaml", **options)
        origin = ORIGIN if port == 8765 else "http://127.0.0.1"
        self.client = TestClient(
            self.app, base_url=origin, headers={"Origin": origin}, raise_server_exceptions=False, follow_redirects=False
        )
        self.key = "" if token else self.client.get("/api/question").json()["key"]

    def post(self, path: str, status: int = 200, **body: Any) -> dict[str, Any]:
        answer = self.client.post(f"/api/{path}", json={"key": self.key, **body})
        assert answer.status_code == status, answer.text
        return answer.json()

    def look(self, who: str = "ann", **more: Any) -> list[int]:
        return [image["number"] for image in self.post("look", who=who, **more)["images"]]

    def progress(self, who: str = "ann") -> dict[str, Any]:
        return self.post("look", who=who)["progress"]

    def say(self, number: int, said: str | None, who: str = "ann", **more: Any) -> list[int]:
        """Answer with a class or with the kind of an answer without one."""
        kind = said if said in (NONE, CANNOT_TELL, SKIPPED) else LABEL
        answer = {"number": number, "kind": kind, "label": said if kind == LABEL else None, "seconds": 1.5}
        return self.post("answers", who=who, answers=[answer], **more)["positions"]


@pytest.fixture
def page(tmp_path: Path) -> Page:
    write_question(cell_of(tmp_path))
    return Page(cell_of(tmp_path))


def test_every_answer_carries_the_headers(page: Page) -> None:
    for path in ("/", "/page.js", "/api/question", f"/images/{page.key}/0", "/nothing", "/images/other/0"):
        found = page.client.get(path)
        assert HEADERS.items() <= {**{name: found.headers[name] for name in HEADERS}}.items(), path
        assert "cache-control" in found.headers and "server" not in found.headers
    assert "unsafe" not in HEADERS["Content-Security-Policy"] and "http" not in HEADERS["Content-Security-Policy"]


def test_all_of_the_page_is_served_and_names_nothing_elsewhere(page: Page) -> None:
    assert page.client.get("/").text == page.client.get("/page.html").text
    for name, kind in FILES.items():
        found = page.client.get(f"/{name}")
        assert found.status_code == 200 and found.headers["content-type"] == kind
        assert "http:" not in found.text.replace("http://www.w3.org/2000/svg", "") and "https:" not in found.text, name
        assert "innerHTML" not in found.text and "style=" not in found.text and "onclick=" not in found.text


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "127.0.0.1", "127.0.0.1:80", "192.168.0.7:8765", ""]
)
def test_another_host_is_refused(page: Page, host: str) -> None:
    """A name that is made to point at this machine (DNS rebinding) is not this server's."""
    assert page.client.get("/api/question", headers={"Host": host, "Origin": f"http://{host}"}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:8765", "127.0.0.1:8765", "[::1]:8765", "LOCALHOST:8765"])
def test_this_machine_by_any_name_is_served(page: Page, host: str) -> None:
    assert page.client.get("/api/question", headers={"Host": host, "Origin": f"http://{host}"}).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200), ("localhost", 200), ("[::1]", 200), ("127.0.0.1:80", 200), ("[::1]:80", 200),
        ("evil.example", 421), ("127.0.0.1:8765", 421), ("192.168.0.7", 421), ("::1", 421), ("[::1", 421), ("", 421),
        ("[::1]8", 421), ("127.0.0.1:", 421), ("[localhost]", 421), ("[127.0.0.1]", 421),
    ],
)  # fmt: skip
def test_at_port_80_browsers_name_no_port(tmp_path: Path, host: str, status: int) -> None:
    write_question(cell_of(tmp_path))
    page = Page(cell_of(tmp_path), port=80)
    assert page.client.get("/api/question", headers={"Host": host, "Origin": f"http://{host}"}).status_code == status
    posted = page.client.post("/api/look", json={"key": page.key, "who": "ann"}, headers={"Host": host})
    assert posted.status_code in (403, status), "the Origin is another"


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "https://127.0.0.1:8765", None]
)
def test_another_origin_writes_nothing(page: Page, origin: str | None) -> None:
    page.client.headers.pop("Origin")
    headers = {"Origin": origin} if origin else {}
    body = {"key": page.key, "who": "ann", "answers": [{"number": 0, "kind": "none"}]}
    assert page.client.post("/api/answers", json=body, headers=headers).status_code == 403
    assert page.ledger.said() == []
    if origin:
        assert page.client.get("/api/question", headers=headers).status_code == 403


def test_another_site_may_link_to_the_page_and_see_nothing(page: Page) -> None:
    page.client.headers.pop("Origin")
    for path in ("/api/question", f"/images/{page.key}/0", "/page.js"):
        assert page.client.get(path, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
        assert page.client.get(path, headers={"Sec-Fetch-Site": "same-site"}).status_code == 403
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert page.client.get("/", headers=link).status_code == 200
    assert page.client.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/app.py", "/../app.py", "/..%2fapp.py", "/%2e%2e/ledger.sqlite", "/ledger.sqlite", "/question.json",
        "/page.js/", "/images/KEY/../../../ledger.sqlite", "/images/KEY/..%2f..%2f..%2fledger.sqlite",
        "/images/KEY/0000.webp", "/images/KEY/0/0000.webp", "/images/KEY/0/n_0001_0.webp",
        "/images/KEY/-1", "/images/KEY/12", "/images/KEY/99999999999999999999", "/images/KEY/0/2", "/images/KEY/0/-1",
        "/images/KEY/1e0", "/images/KEY/%00", "/images/", "/images/KEY", "/images/other/0", "/docs", "/openapi.json",
        "//etc/passwd", "/etc/passwd",
    ],
)  # fmt: skip
def test_no_path_of_a_request_is_opened(page: Page, path: str) -> None:
    found = page.client.get(path.replace("KEY", page.key))
    assert 400 <= found.status_code < 500 and set(found.json()) == {"error"}


def test_images_are_those_of_the_question_as_they_lie_there(page: Page) -> None:
    folder = page.cell / "round_0" / "question"
    for path, file in {
        f"/images/{page.key}/3": "0003.webp",
        f"/images/{page.key}/3/n_0003_1.webp": "n_0003_1.webp",
    }.items():
        found = page.client.get(path)
        assert found.content == (folder / file).read_bytes() and found.headers["content-type"] == "image/webp"
    (folder / "0003.webp").unlink()
    (folder / "0003.webp").symlink_to(page.ledger.path)
    assert page.client.get(f"/images/{page.key}/3").status_code == 404


GOOD: dict[str, Any] = {"number": 0, "kind": "label", "label": "one", "seconds": 1.0}


@pytest.mark.parametrize(
    "change",
    [
        {"who": ""}, {"who": " "}, {"who": "a" * 61}, {"who": "a\nb"}, {"who": "\ud800"}, {"who": None}, {"who": 3},
        {"key": None}, {"answers": []}, {"answers": {}}, {"answers": [GOOD] * 1001}, {"answers": [GOOD, GOOD]},
        {"decides": 1}, {"decides": "true"}, {"more": 1}, {"\ud800": 1},
        *({"answers": [GOOD | change]} for change in (
            {"number": "0"}, {"number": True}, {"number": 0.0}, {"number": -1}, {"number": 2**40}, {"number": None},
            {"kind": "labels"}, {"kind": None}, {"kind": "none"}, {"kind": "skipped", "label": ""}, {"label": None},
            {"label": "eleven"}, {"label": "One"}, {"label": "\ud800"}, {"label": ["one"]}, {"seconds": -1.0},
            {"seconds": "1"}, {"seconds": True}, {"seconds": 1e9}, {"seconds": float("nan")}, {"seconds": float("inf")},
            {"id": "0"},
        )),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_refused_whole(page: Page, change: dict[str, Any]) -> None:
    body = {"key": page.key, "who": "ann", "answers": [GOOD | {"number": 1}], "decides": False, **change}
    found = page.client.post("/api/answers", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert found.status_code == 422 and "nothing was written" in found.json()["error"]
    assert page.ledger.said() == []


@pytest.mark.parametrize("body", ["", "{", "[]", "1", '"x"', "[" * 50_000, '{"key": ' * 20_000, "\x00", "null"])
def test_what_is_no_json_is_refused(page: Page, body: str) -> None:
    found = page.client.post("/api/answers", content=body, headers={"Content-Type": "application/json"})
    assert 400 <= found.status_code < 500 and "error" in found.json()


def test_size_and_kind_of_a_body_are_limited(page: Page) -> None:
    kind = {"Content-Type": "application/json"}
    parts = (b" " * 65536 for _ in range(9))
    assert page.client.post("/api/look", content=b" " * (MOST_BODY + 1), headers=kind).status_code == 413
    assert page.client.post("/api/look", content=parts, headers=kind).status_code == 413
    assert page.client.post("/api/look", content="{}", headers={"Content-Type": "text/plain"}).status_code == 415
    assert page.client.put("/api/look", content="{}", headers=kind).status_code == 405


def test_another_address_needs_the_token(tmp_path: Path) -> None:
    write_question(cell_of(tmp_path))
    page = Page(cell_of(tmp_path), host="0.0.0.0", token="secret-of-this-start")
    for path in ("/api/question", "/images/x/0", "/nothing"):
        assert page.client.get(path).status_code == 401
        assert page.client.get(f"{path}?token=secret-of-this-start").status_code == 401, "the link is the page's alone"
    assert page.client.get("/").status_code == page.client.get("/page.js").status_code == 200
    for wrong in ("secret", "", "secret-of-this-start2", "%ff", "ä"):
        assert page.client.get(f"/?token={wrong}").status_code in (200, 403) and not page.client.cookies
    entered = page.client.get("/?token=secret-of-this-start")
    assert entered.status_code == 303 and entered.headers["location"] == "/"
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(entered.headers["set-cookie"].split("; "))
    assert page.client.get("/api/question").status_code == 200
    lan = {"Host": "192.168.0.7:8765", "Origin": "http://192.168.0.7:8765"}
    assert page.client.get("/", headers=lan).status_code == 200
    assert page.client.get("/", headers={"Host": "evil.example:8765"}).status_code == 421


def test_answers_are_in_the_ledger_when_they_are_acknowledged(page: Page) -> None:
    for number, said in enumerate(["one", NONE, CANNOT_TELL, SKIPPED]):
        assert page.say(number, said) == [number + 1]
    said = [one.answer for one in page.ledger.said()]
    assert [(one.kind, one.label) for one in said] == [
        (LABEL, "one"),
        (NONE, None),
        (CANNOT_TELL, None),
        (SKIPPED, None),
    ]
    assert {(one.who, one.seconds) for one in said} == {("ann", 1.5)}
    assert {(one.via, one.round, one.decides) for one in page.ledger.said()} == {("page", 0, False)}
    found = page.progress()
    assert (found["answered"], found["skipped"], found["left"], found["pace"], found["minutes"]) == (3, 1, 8, 1.5, 0.1)


def test_what_is_sent_twice_is_written_once(page: Page) -> None:
    """A page that did not hear back sends its answer again; a later answer to the same image is another one."""
    assert page.say(0, "one") == page.say(0, "one") == [1]
    assert page.say(0, "two") == [2] and page.say(0, "one") == [3]
    assert len(page.ledger.said()) == 3


def test_several_answers_are_one_transaction(page: Page) -> None:
    answers = [{"number": number, "kind": "label", "label": "one"} for number in (4, 2, 7)]
    assert page.post("answers", who="ann", answers=answers)["positions"] == [1, 2, 3]
    page.post("answers", 404, who="ann", answers=[answers[0], {"number": 12, "kind": "none"}])
    assert len(page.ledger.said()) == 3
    assert len(page.post("undo", who="ann", positions=[1, 2, 3])["undone"]) == 3
    assert page.ledger.said() == []


def test_undo_takes_back_what_one_said_oneself(page: Page) -> None:
    page.say(0, "one")
    page.say(1, "two", "ben")
    page.say(2, "two")
    assert page.post("undo", who="ann")["undone"] == [{"who": "ann", "kind": "label", "label": "two", "number": 2}]
    assert page.post("undo", who="ann", positions=[2])["undone"] == [], "that is what ben said"
    assert page.post("undo", who="ann")["undone"][0]["number"] == 0 and page.post("undo", who="ann")["undone"] == []
    assert [one.answer.who for one in page.ledger.said()] == ["ben"]


def test_the_queue_puts_off_what_was_skipped(page: Page) -> None:
    assert page.look() == [0, 1, 2, 3]
    page.say(0, SKIPPED)
    assert page.look() == [1, 2, 3, 4]
    for number in range(1, 12):
        page.say(number, "one")
    assert page.look() == [] and page.look(look="skipped") == [0] and page.progress()["done"]
    assert page.look("ben") == [0], "others are asked for what one skipped"
    page.say(0, "three", "ben")
    assert page.look(look="skipped") == [] and page.progress()["skipped"] == 0
    assert page.look(look="again", number=5) == [5]


def test_who_skips_again_is_shown_the_others_first(page: Page) -> None:
    for number in range(12):
        page.say(number, SKIPPED)
    assert page.look(look="skipped") == [0, 1, 2, 3]
    page.post("answers", who="ann", answers=[{"number": 0, "kind": "skipped", "seconds": 2.5}])
    assert page.look(look="skipped") == [1, 2, 3, 4]


def test_two_people_are_never_shown_the_same_image(page: Page) -> None:
    assert page.look("ann") == [0, 1, 2, 3] and page.look("ben") == [4, 5, 6, 7]
    page.say(0, "one", "ann")
    page.say(4, "one", "ben")
    assert page.look("ben") == [5, 6, 7, 8] and page.look("ann") == [1, 2, 3, 9]
    assert page.look("eve") == [10, 11] and page.look("joe") == []


def test_what_two_are_asked_is_offered_to_each_and_to_no_third(tmp_path: Path) -> None:
    write_question(cell_of(tmp_path), images=2, asked_of_two=1.0)
    page = Page(cell_of(tmp_path))
    page.say(0, "one", "ann")
    assert page.progress("ann")["second"] == 1 and page.look("ann") == [1] and not page.progress()["done"]
    page.say(1, "one", "ann")
    assert page.look("ann") == [] and page.progress("ann")["second"] == 2 and not page.progress()["done"]
    assert page.look(" ANN") == [], "the same person by another spelling"
    assert page.look("ben") == [0, 1]
    page.say(0, "one", "ben")
    page.say(1, "two", "ben")
    assert page.look("eve") == [] and page.progress("eve")["differ"] == 1 and not page.progress()["done"]
    page.say(1, "one", "ann", decides=True)
    assert page.progress()["done"]


def test_two_people_may_be_at_an_image_that_both_are_asked_about(tmp_path: Path) -> None:
    write_question(cell_of(tmp_path), images=3, asked_of_two=0.67)
    page = Page(cell_of(tmp_path))
    two = [n for n, image in enumerate(json.loads((page.cell / "round_0/question/question.json").read_text())["images"])
           if image["people"] == 2]  # fmt: skip
    assert page.look("ann") == [0, 1, 2] and page.look("ben") == two and len(two) == 2
    page.say(two[0], "one", "ann")
    page.say(two[0], "two", "ben")
    assert page.look("ben") == [two[1]]
    assert page.look("ann", look="third") == [two[0]] and page.look("ben", look="third") == []


def test_one_person_under_two_spellings_of_a_name_is_one(page: Page) -> None:
    assert page.look("ann") == page.look(" ANN") == [0, 1, 2, 3], "nobody else is at them"
    assert page.look("ben") == [4, 5, 6, 7]


def test_skipping_is_no_answer_of_one_of_two(tmp_path: Path) -> None:
    write_question(cell_of(tmp_path), images=1, asked_of_two=1.0)
    page = Page(cell_of(tmp_path))
    page.say(0, "one", "ann")
    page.say(0, SKIPPED, "ben")
    assert page.progress()["second"] == 1 and not page.progress()["done"]
    assert page.look("ben", look="skipped") == [0]
    page.say(0, "one", "eve")
    assert page.progress()["done"] and page.progress()["second"] == 0


def test_a_third_look_is_taken_only_where_people_differ_and_may_be_changed(tmp_path: Path) -> None:
    write_question(cell_of(tmp_path), images=2, asked_of_two=1.0)
    page = Page(cell_of(tmp_path))
    page.say(0, "one", "ann", decides=True)
    assert [one.decides for one in page.ledger.said()] == [False] and page.progress()["second"] == 1
    page.say(0, "two", "ben")
    assert page.say(0, "two", "eve", decides=True) == page.say(0, "two", "eve", decides=True) == [3]
    page.say(0, "three", "eve")
    assert [answer.label for answer in page.ledger.settled().values() if answer] == ["three"]


def test_a_third_look_settles_what_people_disagree_on(page: Page) -> None:
    page.say(0, "one", "ann")
    page.say(0, "two", "ben")
    found = page.post("look", who="eve", look="third")["images"][0]
    assert [(said["who"], said["label"]) for said in found["said"]] == [("ann", "one"), ("ben", "two")]
    assert page.look("joe", look="third") == [], "one person settles it"
    page.say(0, "two", "eve", decides=True)
    assert page.look("eve", look="third") == [] and page.progress()["differ"] == 0
    settled = page.ledger.settled()
    assert [answer.label for answer in settled.values() if answer] == ["two"]


def test_a_person_sees_no_other_person_s_answer(page: Page) -> None:
    page.say(0, "one", "ann")
    assert page.post("look", who="ben", look="again", number=0)["images"][0]["said"] == []


def test_the_grid_shows_all_that_the_model_takes_for_a_class(page: Page) -> None:
    groups = page.post("look", who="ann", look="grid", label="one")["groups"]
    assert sum(group["images"] for group in groups) == 12 and {group["label"] for group in groups} <= set(DIGITS)
    shown = page.post("look", who="ann", look="grid", label="one")["images"]
    assert len(shown) > 1 and {image["suggestions"][0][0] for image in shown} == {"one"}
    assert not {image["number"] for image in shown} & set(page.look("ben")), "they are on one screen alone"


def test_the_grid_has_a_place_for_images_without_a_suggestion(tmp_path: Path) -> None:
    write_question(cell_of(tmp_path), images=3, suggests=False)
    page = Page(cell_of(tmp_path))
    assert page.post("look", who="ann")["groups"] == [{"label": None, "images": 3}]
    assert page.look(look="grid", label=None) == [0, 1, 2]


def test_the_next_question_is_noticed(page: Page) -> None:
    for number in range(12):
        page.say(number, "one")
    old = page.key
    finish(page.cell, 0)
    assert page.progress()["taken"]
    write_question(page.cell, 1, images=5, begin=12)
    page.time = 2.0
    page.post("answers", 409, who="ann", answers=[GOOD])
    page.key = page.client.get("/api/question").json()["key"]
    assert page.key != old and page.look() == [0, 1, 2, 3]
    assert page.client.get("/images/other/0").status_code == 404
    assert page.client.get(f"/images/{old}/0").status_code == 200, "earlier answers are shown with their images"
    page.say(0, "two")
    assert page.ledger.said()[-1].round == 1


def test_a_project_that_is_started_anew_gets_no_answer_of_before(page: Page) -> None:
    """`ssal run --overwrite` beside an open page: what was said stays in the ledger that is kept, and there alone."""
    page.say(0, "one")
    shutil.rmtree(page.cell / "round_0")
    kept = page.cell / "ledger.replaced_1.sqlite"
    page.ledger.set_aside(kept)
    told = page.post("answers", 409, who="ann", answers=[GOOD])["error"]
    assert "was started anew" in told and "nothing was written" in told
    waits = page.client.get("/api/question")
    assert waits.status_code == 503 and "what it asks comes here by itself" in waits.json()["error"]
    assert not page.ledger.path.exists(), "nobody but the run begins a ledger"
    page.ledger = Ledger(page.ledger.path)
    assert page.client.get("/api/question").status_code == 503
    write_question(page.cell)
    page.post("answers", 409, who="ann", answers=[GOOD])
    page.post("undo", 409, who="ann", positions=[1])
    assert page.client.get(f"/images/{page.key}/0").status_code == 404
    old, page.key = page.key, page.client.get("/api/question").json()["key"]
    assert page.key != old and page.progress()["answered"] == 0, "the same images are asked about anew"
    page.say(0, "two")
    assert [one.answer.label for one in page.ledger.said()] == ["two"]
    assert [one.answer.label for one in Ledger(kept).said()] == ["one"]


def test_a_backup_that_is_put_back_under_an_open_page_is_noticed(page: Page, tmp_path: Path) -> None:
    """Also in the very place on the disk; what the page knew of the other ledger takes nothing back in this one."""
    page.say(0, "one", "bob")
    copies = [tmp_path / "copied.sqlite", tmp_path / "backed_up.sqlite"]
    shutil.copyfile(page.ledger.path, copies[0])
    page.ledger.chain.backup(copies[1])
    keys = [page.key]
    for copy in (*copies, copies[0]):
        page.say(1, "one")
        (at,) = page.say(2, "two")
        assert page.progress()["answered"] == 3 and page.progress()["mine"] == 2
        shutil.copyfile(copy, page.ledger.path)
        for refused in ({"answers": [GOOD]}, {"look": "queue"}, {"positions": [at]}):
            path = {"answers": "answers", "look": "look", "positions": "undo"}[next(iter(refused))]
            assert "nothing was written" in page.post(path, 409, who="ann", **refused)["error"]
        page.ledger = Ledger(page.ledger.path)
        assert len(page.ledger.said()) == 1
        keys.append(page.client.get("/api/question").json()["key"])
        page.key = keys[-1]
        assert page.progress()["answered"] == 1 and page.progress()["mine"] == 0 and page.look() == [1, 2, 3, 4]
        page.say(3, "two", "bob")
        assert page.progress("bob")["mine"] == 2
        page.post("undo", who="bob", positions=None)
    assert len(set(keys)) == len(keys)


def test_a_ledger_that_is_being_copied_into_its_place_is_left_alone(page: Page) -> None:
    page.say(0, "one")
    kept = page.ledger.path.read_bytes()
    page.ledger.path.write_bytes(b"")
    for _ in range(2):
        assert "nothing was written" in page.post("answers", 409, who="ann", answers=[GOOD])["error"]
        assert page.client.get("/api/question").status_code == 503
    assert page.ledger.path.read_bytes() == b""
    page.ledger.path.write_bytes(kept)
    page.key = page.client.get("/api/question").json()["key"]
    assert page.look() == [1, 2, 3, 4]


def test_answers_that_come_another_way_are_seen_at_once(page: Page) -> None:
    other = Page(page.cell)
    other.say(0, "one", "ben")
    assert page.look("ann") == [1, 2, 3, 4]
    other.ledger.undo(1, "ben")
    other.ledger.say([])
    assert page.look("ann") == [0, 1, 2, 3]


def test_a_full_disk_is_told_and_the_answer_not_acknowledged(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    def full(*_: Any, **__: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("ssal.labelling.chain.insert", full)
    told = page.post("answers", 503, who="ann", answers=[GOOD])["error"]
    assert "disk is full" in told and "nothing new was written" in told


def test_the_server_imports_no_torch(tmp_path: Path) -> None:
    """It starts at once and stays small, whatever the run beside it uses."""
    write_question(cell_of(tmp_path))
    code = (
        "import sys\nfrom pathlib import Path\n"
        "import ssal.cli, ssal.labelling.server.serve\n"
        "from test_page_server import Page\n"
        f"page = Page(Path({str(cell_of(tmp_path))!r}))\n"
        "page.look(); page.say(0, 'one'); page.client.get(f'/images/{page.key}/1')\n"
        "heavy = {'torch', 'pytorch_lightning', 'timm', 'kornia', 'torchvision', 'lightly', 'faiss', 'matplotlib'}\n"
        "print(heavy & set(sys.modules))"
    )
    paths = [str(Path(__file__).parent), *filter(None, sys.path)]
    found = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n{code}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout.strip() == "set()", found.stderr


def test_names_are_taken_without_the_spaces_around_them(page: Page) -> None:
    page.say(0, "one", "  ann ")
    assert page.ledger.said()[0].answer.who == "ann"


def answered(page: Page) -> list[str]:
    """Answer twelve images as ann but the last, which ben does, and finish the round; return what they were called."""
    said = [DIGITS[number % 10] for number in range(12)]
    for number, label in enumerate(said):
        page.say(number, label, "ben" if number == 11 else "ann")
    finish(page.cell, 0)
    return said


def found(page: Page, find: str = "") -> list[tuple[int, int, str, str]]:
    images = page.post("earlier", who="ann", find=find)["images"]
    return [(image["round"], image["number"], image["label"], image["who"]) for image in images]


def test_what_was_answered_earlier_is_found_by_what_one_knows_of_it(page: Page) -> None:
    assert page.client.get("/api/question").json()["earlier"] == 0 and found(page) == []
    page.say(0, "one")
    assert found(page) == [], "this round is not finished"
    said = answered(page)
    assert page.client.get("/api/question").json()["earlier"] == 1
    assert found(page) == [(0, number, said[number], "ben" if number == 11 else "ann") for number in range(11, -1, -1)]
    write_question(page.cell, 1, images=5, begin=12)
    page.time = 2.0
    page.key = page.client.get("/api/question").json()["key"]
    for words, numbers in {
        "three": [3], "THREE ann": [3], "ann three ben": [], "ben": [11], "nine_00009": [9], "photos one": [11, 1],
        "round 0": list(range(11, -1, -1)), "round 1": [], "round 0 two": [2],
    }.items():  # fmt: skip
        these = [number for _, number, _, _ in found(page, words)]
        assert these == numbers, words
    earlier = page.post("earlier", who="ann", find="ben")["images"][0]
    image = page.client.get(f"/images/{earlier['key']}/11")
    assert image.content == (page.cell / "round_0" / "question" / "0011.webp").read_bytes()
    (page.cell / "round_0" / "question" / "question.json").write_text("{")
    other = Page(page.cell)
    assert found(other) == [] and other.look() == [0, 1, 2, 3], "what is damaged is left out"


def test_an_earlier_answer_is_corrected_by_anybody_and_taken_back(page: Page) -> None:
    answered(page)
    write_question(page.cell, 1, images=5, begin=12, classes=(*DIGITS, "ten"))
    old, page.time = page.key, 2.0
    page.key = page.client.get("/api/question").json()["key"]
    (seen,) = page.post("earlier", who="eve", find="ben")["images"]
    place = {"earlier": seen["key"]}
    shown = page.post("look", who="eve", look="again", number=11, **place)["images"]
    assert [image["number"] for image in shown] == [11] and page.look("eve") == [0, 1, 2, 3]
    image = shown[0]["id"]
    positions = page.say(11, "ten", "eve", **place)
    assert page.say(11, "ten", "eve", **place) == positions, "sent twice, written once"
    assert page.ledger.labels()[image] == "ten" and len(page.ledger.said()) == 13
    assert found(page)[0] == (0, 11, "ten", "eve"), "what was said last comes first"
    page.say(11, NONE, "ann", **place)
    assert page.ledger.of_no_class() == {image}
    page.post("answers", 422, who="ann", answers=[{"number": 11, "kind": "skipped"}], **place)
    page.post("answers", 404, who="ann", answers=[{"number": 12, "kind": "none"}], **place)
    page.post("answers", 404, who="ann", answers=[GOOD], earlier="other")
    assert page.client.post("/api/answers", json={"key": old, "who": "ann", "answers": [GOOD]}).status_code == 409
    assert page.post("undo", who="ann", **place)["undone"][0]["kind"] == NONE
    assert page.post("undo", who="ann", **place)["undone"] == [], "what the run took is not taken back"
    assert page.post("undo", who="eve", positions=positions, **place)["undone"][0]["label"] == "ten"
    assert page.ledger.labels()[image] == "one" and page.progress()["answered"] == 0


def test_while_the_run_trains_its_answers_can_be_corrected(page: Page) -> None:
    answered(page)
    assert page.post("undo", who="ann")["undone"] == []
    page.post("answers", 409, who="ann", answers=[GOOD | {"number": 11}])
    assert len(page.ledger.said()) == 12, "who did not know that it is taken corrects nothing"
    page.say(11, "nine", "ann", decides=True)
    assert found(page)[0] == (0, 11, "nine", "ann")
    page.post("answers", 422, who="ann", answers=[{"number": 11, "kind": "skipped"}], decides=True)
    assert page.ledger.labels()[page.ledger.said()[-1].answer.id] == "nine"


def test_classes_follow_while_a_question_is_open(page: Page) -> None:
    page.say(0, "one")
    page.ledger.rename("one", "uno", "ann")
    now = page.post("look", who="ann", look="again", number=0)
    assert now["classes"][1] == "uno" and now["images"][0]["said"][0]["label"] == "uno"
    assert page.client.get("/api/question").json()["classes"][1] == "uno"
    assert page.post("look", who="ann", look="grid", label="uno")["images"][0]["suggestions"][0][0] == "uno"
    page.say(1, "one")
    page.say(2, "uno")
    assert [one.answer.label for one in page.ledger.said()] == ["uno"] * 3, (
        "a page that knows the old name is understood"
    )
    page.ledger.rename("uno", "two", "ann")
    assert page.post("look", who="ann")["classes"] == [name for name in DIGITS if name != "one"], "two became one"
    folder = page.cell / "round_0" / "question"
    question = json.loads((folder / "question.json").read_text())
    classes = ["one", *question["classes"], "ten"]
    classes.remove("one")
    changed = question | {"classes": [*classes, "lynx"], "position": page.ledger.chain.last()}
    (folder / "question.json").write_text(json.dumps(changed))
    page.time = 5.0
    now = page.post("look", who="ann")
    assert now["classes"] == [*classes, "lynx"] and now["progress"]["answered"] == 3, "the run has added one"
    page.say(4, "lynx")
    page.say(5, "one")
    assert [one.answer.label for one in page.ledger.said()][-2:] == ["lynx", "one"], "a new class of the old name"
    (folder / "question.json").unlink()
    page.time = 8.0
    assert page.look() == [3, 6, 7, 8], "what is in memory goes on"
