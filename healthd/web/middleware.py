"""What every answer and every request has in common: headers, the size of bodies, HEAD, compression, reading rights."""

from __future__ import annotations

import asyncio
import gzip

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from healthd.web.desk import desk_of
from healthd.web.errors import answer
from healthd.web.problem import RequestError

MAX_BODY = 131_072  # bytes of a request: of all that a silence may say each letter may be sent as twelve
MAX_HOOK = 1_048_576  # Slack sends the whole message along whose button was pressed
HOOKS = "/hooks/"  # signed, each by its own service
COMPRESS_FROM = 1_400  # bytes: less fits into one packet anyway
FAST_FROM = 1_000_000  # bytes: beyond this speed counts more than size
ALWAYS_OPEN = (
    *("/metrics", "/healthz", "/readyz", "/static/", "/sign-in", "/favicon.ico", "/-/", HOOKS),
    *("/status", "/badge/"),  # if they are switched on at all
)
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send forms with Origin: null
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class SecurityHeaders:
    """On every answer; pages and API are not to be kept in caches."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                # a browser asks each time whether its copy of a static file is still the newest
                fresh = "no-cache" if scope["path"].startswith("/static/") else "no-store"
                headers.setdefault("Cache-Control", fresh)
            await send(message)

        await self._app(scope, receive, with_headers)


class WithoutNul:
    """No text holds U+0000, and not every database takes it: it becomes U+FFFD, as do bytes that are no text."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "\0" in scope["path"]:
            scope = {**scope, "path": scope["path"].replace("\0", "\ufffd")}
        if b"%00" in scope["query_string"]:
            scope = {**scope, "query_string": scope["query_string"].replace(b"%00", b"%EF%BF%BD")}
        await self._app(scope, receive, send)


class HeadAsGet:
    """The application sees GET; the server leaves the body away."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)


class BodyLimit:
    """Refuses requests that say they are, or turn out to be, larger than MAX_BODY."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        said = Headers(scope=scope).get("content-length", "0")
        most = MAX_HOOK if scope["path"].startswith(HOOKS) else MAX_BODY
        if said.isdigit() and int(said) > most:
            await (await answer(Request(scope), too_large(most)))(scope, receive, send)
            return
        taken, is_whole = 0, False

        async def bounded() -> Message:
            nonlocal taken, is_whole
            message = await receive()
            if message["type"] == "http.disconnect" and not is_whole:
                raise RequestError(400, "the request broke off")  # said to nobody: no mistake of ours
            is_whole = not message.get("more_body")
            taken += len(message.get("body", b""))
            if taken > most:
                raise too_large(most)
            return message

        await self._app(scope, bounded, send)


def too_large(most: int) -> RequestError:
    """What is said to a body that is."""
    return RequestError(413, f"the request's body is larger than {most} bytes")


class ReadingRights:
    """Where the settings close pages and API to those without the token. What monitors need stays open."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        desk = desk_of(request)
        try:
            if scope["path"].startswith(ALWAYS_OPEN) or desk.gate.may_read(request, desk.now()):
                await self._app(scope, receive, send)
                return
        except RequestError as too_many:
            await (await answer(request, too_many))(scope, receive, send)
            return
        refusal = RequestError(401, "reading needs the token", "sign in, or send Authorization: Bearer <HEALTHD_TOKEN>")
        await (await answer(request, refusal))(scope, receive, send)


class Compression:
    """gzip for whoever asks for it. In a thread: a large exposition takes longer than a check may wait."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not wants_gzip(Headers(scope=scope).get("accept-encoding", "")):
            await self._app(scope, receive, send)
            return
        started: Message | None = None

        async def compressed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = message
                return
            if started is not None:
                message = await _compress(started, message)
                await send(started)
                started = None
            await send(message)

        await self._app(scope, receive, compressed)


async def _compress(start: Message, body: Message) -> Message:
    headers = MutableHeaders(scope=start)
    headers.add_vary_header("Accept-Encoding")
    content = body.get("body", b"")
    if body.get("more_body") or len(content) < COMPRESS_FROM or "content-encoding" in headers:
        return body
    level = 1 if len(content) >= FAST_FROM else 5
    small = await asyncio.to_thread(gzip.compress, content, level, mtime=0)
    headers["Content-Encoding"] = "gzip"
    headers["Content-Length"] = str(len(small))
    return {**body, "body": small}


def wants_gzip(accepted: str) -> bool:
    """What an Accept-Encoding header says of gzip."""
    for part in accepted.split(","):
        coding, _, parameters = part.strip().partition(";")
        if coding.strip().lower() in ("gzip", "*"):
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
