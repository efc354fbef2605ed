"""One rendering for a crowd.

`/metrics` and `/` say the same to everybody who is not signed in. While many ask, one rendering serves all who ask
within ten times the time that it took, a second at most: so rendering takes about a tenth of one core, whoever asks how
often. What cannot be shared waits its turn (healthd.web.lanes).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from healthd.web.desk import desk_of
from healthd.web.middleware import wants_gzip
from healthd.web.security import visitor_of

MANY = 20  # requests within a second: from then on answers are shared
SHARE = 10  # times the time it took to render: how long an answer is shared
LONGEST = 1.0  # seconds
KEPT = 32  # answers kept
PUBLIC = ("/metrics", "/status", "/badge/")
PIECE = 262_144  # bytes
Key = tuple[str, bytes, bool]


@dataclass(slots=True)
class _Shared:
    """An answer, or one that is being made. Empty when it is not to be shared."""

    made: asyncio.Future[list[Message]]
    until: float = 0.0


class SharedAnswers:
    """One rendering for many who ask the same within a moment."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._recent: deque[float] = deque(maxlen=MANY)
        self._kept: OrderedDict[Key, _Shared] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            try:
                await self._app(scope, receive, send)
            finally:
                self._kept.clear()  # whoever changed something sees that it is changed
            return
        if scope["method"] != "GET" or not _is_everybodys(scope):
            await self._app(scope, receive, send)
            return
        now = asyncio.get_running_loop().time()
        self._recent.append(now)
        is_busy = len(self._recent) == MANY and now - self._recent[0] < 1
        query = b"" if scope["path"] == "/metrics" else scope["query_string"]  # it takes no parameters
        key = (scope["path"], query, wants_gzip(Headers(scope=scope).get("accept-encoding", "")))
        messages = await self._known(key, now, is_busy)
        await _send(messages, send) if messages else await self._make(key, scope, receive, send)

    async def _known(self, key: Key, now: float, is_busy: bool) -> list[Message]:
        """An answer that is being made, or while many ask one that was made just now; nothing where there is none."""
        for _ in range(2):  # whoever makes it may be sent away: then one of those who wait for it makes it
            found = self._kept.get(key)
            if found is None or (found.made.done() and not (is_busy and now < found.until)):
                break
            if messages := await asyncio.shield(found.made):
                return messages
        return []

    async def _make(self, key: Key, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        shared = self._kept[key] = _Shared(loop.create_future())
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        messages: list[Message] = []

        async def note(message: Message) -> None:
            messages.append(message)

        try:
            await self._app(scope, receive, note)
        finally:
            shared.until = loop.time() + min(LONGEST, SHARE * (loop.time() - begun))
            whole = len(messages) == 2 and messages[0]["status"] == 200 and not messages[1].get("more_body")
            shared.made.set_result(messages if whole else [])
            loop.call_at(shared.until, self._forget, key, shared)  # they may be large
        await _send(messages, send)

    def _forget(self, key: Key, shared: _Shared) -> None:
        if self._kept.get(key) is shared:
            del self._kept[key]


async def _send(messages: list[Message], send: Send) -> None:
    """In pieces: whoever takes an answer slowly holds one piece of it."""
    for message in messages:
        if message["type"] == "http.response.start":
            await send({**message, "headers": list(message["headers"])})
            continue
        body, more = message.get("body", b""), bool(message.get("more_body"))
        for at in range(0, max(1, len(body)), PIECE):
            last = at + PIECE >= len(body)
            await send({**message, "body": body[at : at + PIECE], "more_body": more or not last})


def _is_everybodys(scope: Scope) -> bool:
    """Whether the answer is the same for whoever asks without saying who they are."""
    request = Request(scope)
    if scope["path"].startswith(PUBLIC):
        return True
    if scope["path"] != "/" or not desk_of(request).gate.reads_openly:
        return False
    headers = request.headers
    return not ("cookie" in headers or "authorization" in headers or visitor_of(request).user)
