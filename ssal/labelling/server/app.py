"""The labelling page's server: what the page asks, and the files it is made of. It imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Request
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import AfterValidator, Field
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from ssal.errors import BadInput
from ssal.labelling.answers import LABEL, SKIPPED, Answer
from ssal.labelling.server.desk import Desk
from ssal.labelling.server.guard import Guard
from ssal.labelling.server.place import Place
from ssal.labelling.server.question import Part, Shown, read_image

HERE = Path(__file__).parent
FILES = {
    "page.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    **dict.fromkeys(
        ("page.js", "ask.js", "clock.js", "earlier.js", "grid.js", "keys.js", "make.js", "show.js"),
        "text/javascript; charset=utf-8",
    ),
}
"""The page, all of it: there is no folder that a request could look into."""
OPEN_PATHS = frozenset({"/", *(f"/{name}" for name in FILES)})
MOST_ANSWERS = 1000


def _name(text: str) -> str:
    """Return a person's name without the spaces around it."""
    name = text.strip()
    if not (0 < len(name) <= 60 and name.isprintable()):
        raise ValueError("expected a name of 1 to 60 printable characters")
    return name


Who = Annotated[str, AfterValidator(_name)]
Key = Annotated[str, Field(max_length=64)]
Number = Annotated[int, Field(ge=0, lt=2**31)]


class Asking(Part):
    """Who asks, and of which question: the one that waits or, beside its key, one of an earlier round."""

    key: Key
    who: Who
    earlier: Key | None = None


class Look(Asking):
    """What somebody wants to look at."""

    look: Literal["queue", "skipped", "third", "grid", "again"] = "queue"
    label: str | None = None
    number: Number | None = None


class Given(Part):
    """What somebody said of one image, and how many seconds they looked at it."""

    number: Number
    kind: Literal["label", "none", "cannot_tell", "skipped"]
    label: str | None = None
    seconds: Annotated[float, Field(ge=0, le=86_400)] | None = None


class Answers(Asking):
    """What somebody said of one image, or of several at once."""

    answers: Annotated[list[Given], Field(min_length=1, max_length=MOST_ANSWERS)]
    decides: bool = False


class Undo(Asking):
    """Which of their answers somebody takes back; the last one where there are no positions."""

    positions: Annotated[list[Annotated[int, Field(ge=1)]], Field(max_length=MOST_ANSWERS)] | None = None


class Find(Asking):
    """Words about images of earlier rounds."""

    find: Annotated[str, Field(max_length=200)] = ""


def make_app(
    place: Place, *, recipe: str, command: str, who: str = "", host: str, port: int, token: str | None = None
) -> ASGIApp:
    """Return the server's application; `command` is what to type when all is answered, `who` a name to begin with."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    files = {name: (HERE / name).read_bytes() for name in FILES}

    def static(name: str) -> Response:
        return Response(files[name], media_type=FILES[name], headers={"Cache-Control": "no-cache"})

    @app.get("/")
    async def page() -> Response:
        return static("page.html")

    @app.get("/{name}")
    async def file(name: str) -> Response:
        if name not in files:
            raise HTTPException(404, "no such page")
        return static(name)

    @app.get("/api/question")
    def question() -> dict[str, Any]:
        desk = place.current()
        asked = desk.question.model_dump(include={"round", "classes", "chosen_by"}) | {"key": desk.key}
        return asked | {"recipe": recipe, "command": command, "who": who, "earlier": place.rounds_before()}

    @app.post("/api/look")
    def look(wanted: Look) -> dict[str, Any]:
        desk = place.desk(wanted.key, wanted.earlier)
        if wanted.number is not None:
            _image(desk, wanted.number)
        return desk.look(wanted.who, wanted.look, wanted.label, wanted.number)

    @app.post("/api/answers")
    def answers(given: Answers) -> dict[str, Any]:
        asked, desk = place.desk(given.key), place.desk(given.key, given.earlier)
        numbered = {one.number: _answer(asked, _image(desk, one.number).id, one, given.who) for one in given.answers}
        if len(numbered) < len(given.answers):
            raise HTTPException(422, "an image stands there twice; nothing was written")
        decides, taken = given.decides or given.earlier is not None, desk.finished()
        if taken and not decides:  # said by somebody who did not know it yet, and so no correction
            raise HTTPException(409, "the run has taken these answers by now; nothing was written")
        if taken and any(one.kind == SKIPPED for one in given.answers):
            raise HTTPException(422, "skipping is no correction; nothing was written")
        return {"positions": desk.answer(given.who, numbered, decides)}

    @app.post("/api/undo")
    def undo(wanted: Undo) -> dict[str, Any]:
        return {"undone": place.desk(wanted.key, wanted.earlier).undo(wanted.who, wanted.positions)}

    @app.post("/api/earlier")
    def earlier(wanted: Find) -> dict[str, Any]:
        place.desk(wanted.key)
        return place.earlier.find(wanted.find)

    @app.get("/images/{key}/{number}")
    def image(key: str, number: Annotated[int, InPath(ge=0)]) -> Response:
        desk = place.pictures(key)
        return _picture(desk.folder / _image(desk, number).file)

    @app.get("/images/{key}/{number}/{file}")
    def neighbour(key: str, number: Annotated[int, InPath(ge=0)], file: str) -> Response:
        desk = place.pictures(key)
        # By name, as browsers keep what an address showed; a place among the neighbours is another's when one goes.
        named = next((one.file for one in _image(desk, number).neighbours if one.file == file), None)
        if named is None:
            raise HTTPException(404, "no such image")
        return _picture(desk.folder / named)

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> Response:
        return JSONResponse({"error": error.detail}, status_code=error.status_code)

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> Response:
        problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5]]
        told = "; ".join(problems).encode("ascii", "backslashreplace").decode()  # it may name what cannot be encoded
        return JSONResponse({"error": f"{told}; nothing was written"}, status_code=422)

    @app.exception_handler(BadInput)
    async def unusable(_: Request, error: BadInput) -> Response:
        return JSONResponse({"error": str(error)}, status_code=503)

    return Guard(app, host=host, port=port, token=token, open_paths=OPEN_PATHS)


def _image(desk: Desk, number: int) -> Shown:
    if number >= len(desk.question.images):
        raise HTTPException(404, "no such image")
    return desk.question.images[number]


def _answer(desk: Desk, id: str, given: Given, who: str) -> Answer:
    """Return an answer; its class is one of those of the question that waits, whichever round the image is of."""
    label = desk.class_of(given.label)
    if (label is not None) != (given.kind == LABEL) or (label is None and given.label is not None):
        raise HTTPException(422, "expected a label, which is one of the classes, or no label; nothing was written")
    return Answer(id, given.kind, label, who, given.seconds)


def _picture(path: Path) -> Response:
    try:
        found = read_image(path)
    except OSError as error:
        raise HTTPException(404, "this image is gone; run the recipe again, which makes it anew") from error
    return Response(found, media_type="image/webp", headers={"Cache-Control": "private, max-age=3600"})
