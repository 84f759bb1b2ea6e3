"""Guard: who may ask the page's server at all. Every request passes here before anything else looks at it.

A page elsewhere in the same browser can reach a server on this machine: under its own name, if that is made to point
here (DNS rebinding), or by sending requests that it cannot read the answers to (CSRF). Host and Origin tell both.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import socket
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BODY = 256 * 1024
"""Bytes of a request: 1,000 answers of a grid take half of it."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_HOST = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<name>[^\[\]:]+))(?::(?P<port>\d+))?")


class Guard:
    """Middleware: checks Host, Origin, token and size of every request, and sends headers with every answer."""

    def __init__(self, app: ASGIApp, *, host: str, port: int, token: str | None, open_paths: frozenset[str]) -> None:
        """Guard `app`, which listens at `host` and `port`; `open_paths` hold nothing that needs the token."""
        self._app = app
        self._host = host
        self._port = port
        self._token = token
        self._open = open_paths
        self._local = is_loopback(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)

        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                for name, value in HEADERS.items():
                    MutableHeaders(scope=message)[name] = value
                MutableHeaders(scope=message).setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refused(scope, headers) or self._without_token(scope)
        if refusal is None and scope["method"] == "POST":
            body = await _body(headers, receive)
            if body is None:
                refusal = _refuse(413, f"expected at most {MOST_BODY} bytes")
            else:
                receive = _again(body, receive)
        await (refusal or self._app)(scope, receive, send_more)

    def _refused(self, scope: Scope, headers: Headers) -> Response | None:
        """Return the refusal of a request that comes from elsewhere, or is of no kind that the page sends."""
        host, origin, posts = headers.get("host", ""), headers.get("origin"), scope["method"] == "POST"
        if not self._known(host):
            return _refuse(421, f"expected Host: {self._host}:{self._port}; open the address that `ssal label` printed")
        if origin != f"http://{host}" and (posts or origin is not None):
            return _refuse(403, "requests come from the page itself alone")
        entering = scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate"
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none") and not entering:
            return _refuse(403, "requests come from the page itself alone")
        if posts and headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return _refuse(415, "expected application/json")
        return None

    def _known(self, host: str) -> bool:
        """Say whether a Host header names this server: by address, which no name can be made to, or by its own name."""
        parts = _HOST.fullmatch(host)
        if parts is None or (parts["port"] or "80") != str(self._port):  # browsers leave out HTTP's own port
            return False
        name = parts["name"] or parts["six"]
        try:
            address = ipaddress.ip_address(name) if parts["name"] else ipaddress.IPv6Address(name)
        except ValueError:
            own = {"localhost", self._host.lower()} | (set() if self._local else own_names())
            return parts["name"] is not None and name.lower() in own
        return address.is_loopback or not self._local

    def _without_token(self, scope: Scope) -> Response | None:
        """Return the answer to who has no token where one is needed, or has just brought it."""
        if self._token is None:
            return None
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token")
        if given and scope["path"] == "/":
            if not _same(given[0], self._token):
                return _refuse(403, "this link is of another start of `ssal label`; open the one it printed last")
            entered = RedirectResponse("/", status_code=303)
            entered.set_cookie(self._cookie, self._token, httponly=True, samesite="strict", path="/")
            return entered
        if scope["path"] in self._open or _same(Request(scope).cookies.get(self._cookie, ""), self._token):
            return None
        return _refuse(401, "open the link that `ssal label` printed: it holds the token that this page needs")

    @property
    def _cookie(self) -> str:
        """The cookie's name; browsers keep one jar for all ports of a host."""
        return f"ssal_{self._port}"


def is_loopback(host: str) -> bool:
    """Say whether an address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def own_names() -> set[str]:
    """Return what this machine is called in its network."""
    name = socket.gethostname().lower()
    return {name, f"{name}.local", f"{name.partition('.')[0]}.local"}


def _same(given: str, token: str) -> bool:
    """Compare in a time that tells nothing of where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode())


def _refuse(status: int, why: str) -> Response:
    return JSONResponse({"error": why}, status_code=status)


async def _body(headers: Headers, receive: Receive) -> bytes | None:
    """Return a request's body; None where it is too large, whatever its header says."""
    declared = headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > MOST_BODY:
        return None
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MOST_BODY:
            return None
    return body


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a receive that gives the body that was read, once."""
    given: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return given.pop() if given else await receive()

    return replayed
