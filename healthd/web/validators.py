"""ETags: a program that asks again for what has not changed is told so, and nothing more."""

from __future__ import annotations

from hashlib import blake2b

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TAGGED = ("/api/", "/badge/")


class EntityTags:
    """On whole answers of the API, and on badges. Weak: what is compressed says the same as what is not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(TAGGED):
            await self._app(scope, receive, send)
            return
        known = _tags(Headers(scope=scope).getlist("if-none-match"))
        started: Message | None = None

        async def tagged(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = message
                return
            if started is not None:
                message = _tag(started, message, known)
                await send(started)
                started = None
            await send(message)

        await self._app(scope, receive, tagged)


def _tags(lines: list[str]) -> set[str]:
    """Those of If-None-Match, which are compared weakly: W/ says nothing then (RFC 9110, 13.1.2)."""
    return {tag.strip().removeprefix("W/") for line in lines for tag in line.split(",")}


def _tag(start: Message, body: Message, known: set[str]) -> Message:
    if start["status"] != 200 or body.get("more_body"):
        return body
    headers = MutableHeaders(scope=start)
    tag = f'"{blake2b(body.get("body", b""), digest_size=12).hexdigest()}"'
    headers["ETag"] = f"W/{tag}"
    if tag not in known and "*" not in known:
        return body
    start["status"] = 304
    for name in ("content-length", "content-type"):
        del headers[name]
    return {**body, "body": b""}
