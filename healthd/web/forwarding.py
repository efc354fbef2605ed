"""A replica that does not lead knows nothing of the checks: what it is asked, it asks the one that leads."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import httpx
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from healthd.model.tasks import end_tasks
from healthd.web.daemon import Daemon
from healthd.web.desk import desk_of
from healthd.web.errors import answer
from healthd.web.problem import RequestError
from healthd.web.security import visitor_of
from healthd.web.tls import pinned
from healthd.web.visitors import FORWARDED

T = TypeVar("T")
OWN = ("/healthz", "/readyz", "/metrics", "/static/", "/favicon.ico")  # of every replica
PATIENCE = 60.0  # seconds; a check that is run by hand takes its time
CONNECT = 3.0  # a node that is gone does not even refuse
LOOK = 0.5  # between looks whether the one that was asked still leads
# of one connection, not of the request or the answer (RFC 9110, 7.6.1)
HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
     "upgrade", "host", "content-length"}
)  # fmt: skip
NOBODY = "no replica leads right now: try again in some seconds"


class ToLeader:
    """Answers with what the leader answers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._client: httpx.AsyncClient | None = None
        self._chains: tuple[str, ...] = ()  # our certificate, and the one before it: replicas renew one by one

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(OWN):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        daemon = desk_of(request).daemon
        if daemon.leading or not daemon.leader_address:  # without a leader the pages say what is the matter
            await self._app(scope, receive, send)
            return
        try:
            await self._forward(request, daemon.leader_address, send)
        except RequestError as refusal:
            await (await answer(request, refusal))(scope, receive, send)
        except (httpx.HTTPError, httpx.InvalidURL, OSError):
            silent = RequestError(503, "the leader does not answer", NOBODY)
            await (await answer(request, silent))(scope, receive, send)

    async def _ready(self, cert: Path | None) -> httpx.AsyncClient:
        """A client that knows a leader with our own certificate, where the port has one."""
        now = await asyncio.to_thread(cert.read_text) if cert else ""
        if self._client is None or (cert and now not in self._chains[:1]):
            self._chains = (now, *self._chains[:1]) if now else ()
            # certificates of the world are loaded once, and only where there is something to forward
            verify = pinned(*self._chains) if self._chains else True
            timeout = httpx.Timeout(PATIENCE, connect=CONNECT)
            self._client = await asyncio.to_thread(httpx.AsyncClient, timeout=timeout, trust_env=False, verify=verify)
        return self._client

    async def _forward(self, request: Request, leader: str, send: Send) -> None:
        if FORWARDED in request.headers:
            raise RequestError(503, "the replicas do not agree who leads", NOBODY)
        client = await self._ready(desk_of(request).daemon.settings.tls_cert)
        desk, skipped = desk_of(request), HOP_BY_HOP.union(desk_of(request).gate.reception.passed_on)
        who = desk.gate.reception.pass_on(visitor_of(request), request.method, request.scope["path"], desk.now())
        query = f"?{request.url.query}" if request.url.query else ""
        headers = [(name, value) for name, value in request.headers.items() if name not in skipped]
        asked = client.build_request(
            request.method, f"{leader.rstrip('/')}{request.url.path}{query}",
            headers=[*headers, (FORWARDED, who)],
            content=await request.body(),
        )  # fmt: skip
        found, content = await _while_it_leads(desk.daemon, leader, _ask(client, asked))
        kept = [(n.lower(), v) for n, v in found.headers.raw if n.lower().decode("latin-1") not in HOP_BY_HOP]
        kept.append((b"content-length", str(len(content)).encode()))
        await send({"type": "http.response.start", "status": found.status_code, "headers": kept})
        await send({"type": "http.response.body", "body": content})


async def _ask(client: httpx.AsyncClient, asked: httpx.Request) -> tuple[httpx.Response, bytes]:
    """The answer, and its body as it was sent."""
    found = await client.send(asked, stream=True)
    try:
        return found, b"".join([part async for part in found.aiter_raw()])
    finally:
        await found.aclose()


async def _while_it_leads(daemon: Daemon, leader: str, asking: Coroutine[Any, Any, T]) -> T:
    """What comes of `asking`. Raises RequestError 503 once another replica leads: one that was stopped, or cut off,
    does not answer for a long time."""
    task = asyncio.create_task(asking)
    try:
        while not (await asyncio.wait((task,), timeout=LOOK))[0]:
            if daemon.leading or daemon.leader_address != leader:
                raise RequestError(503, "the replica that was asked does not lead any more", "try again")
        return task.result()
    finally:
        await end_tasks((task,))
