"""The emulated Synk: Django behind nginx, answering over TLS from the real state of its database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from secrets import SystemRandom

from aiohttp import web
from psycopg import Error as DatabaseError

from healthd.sandbox.parts.certificates import IssuedCertificate
from healthd.sandbox.parts.docker import Container
from healthd.sandbox.parts.files import AccessLog, ErrorLog, Request
from healthd.sandbox.parts.link import Link
from healthd.sandbox.parts.listener import Listener

_random = SystemRandom()
_USUAL_HEADERS = {
    "Server": "nginx",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; object-src 'none'; base-uri 'self'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
}
_HEALTH = "/health/"
_ADDRESS = "X-Real-IP"  # whom the emulated users' requests come from
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Behaviour:
    """What faults change in the application itself."""

    delay: float = 0.0  # seconds added to every answer
    error_share: float = 0.0  # of the API's requests that are answered with 500
    site_status: int = 200
    healthy: bool = True
    headers: dict[str, str] = field(default_factory=lambda: dict(_USUAL_HEADERS))

    def drop_headers(self) -> None:
        """Answer without what protects users."""
        self.headers = {"Server": "nginx"}

    def restore_headers(self) -> None:
        """Answer with it again."""
        self.headers = dict(_USUAL_HEADERS)


class Application:
    """`site` is what nginx shows. Each request is a line of nginx's access log and of the backend's container."""

    def __init__(
        self, certificate: IssuedCertificate, database_url: str, access: AccessLog, errors: ErrorLog, backend: Container
    ) -> None:
        self.site = Listener(self._routes, middlewares=[self._served], certificate=certificate)
        self.behaviour = Behaviour()
        self._database = Link(database_url)
        self._access, self._errors, self._backend = access, errors, backend

    async def close(self) -> None:
        """Stop listening for good."""
        await self.site.stop()
        await self._database.close()

    def _routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self._home),
            web.get(_HEALTH, self._health),
            web.get("/api/items/", self._items),
            web.post("/api/items/", self._add),
            web.post("/accounts/login/", self._login),
        ]

    @web.middleware
    async def _served(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer, with the headers of nginx, and log it."""
        started = time.perf_counter()
        await asyncio.sleep(_random.uniform(0.002, 0.02) + self.behaviour.delay)
        response = await self._answered(request, handler)
        response.headers.update(self.behaviour.headers)
        self._log(request, response.status, time.perf_counter() - started)
        return response

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/api/") and _random.random() < self.behaviour.error_share:
            return web.json_response({"detail": "Server error"}, status=500)
        try:
            return await handler(request)
        except web.HTTPException as answer:
            return answer
        except (DatabaseError, TimeoutError):
            return web.json_response({"detail": "Database not available"}, status=503)
        except ConnectionResetError:  # whoever asked has gone, in the middle of the question
            return web.Response(status=400)

    def _log(self, request: web.Request, status: int, seconds: float) -> None:
        address = request.headers.get(_ADDRESS, "127.0.0.1")
        if request.path != _HEALTH:  # as nginx is told not to
            self._access.write([Request(request.method, request.path, status, address)])
        self._backend.say(f"INFO request: {request.method} {request.path} {status} request_time: {seconds:.3f}")
        if status >= 500:
            self._errors.write(
                f'upstream answered {status}, client: {address}, request: "{request.method} {request.path}"'
            )

    async def _home(self, _: web.Request) -> web.Response:
        return web.Response(text="<h1>Synk</h1>", content_type="text/html", status=self.behaviour.site_status)

    async def _health(self, _: web.Request) -> web.Response:
        try:
            database = bool(await self._database.query("SELECT 1"))
        except (DatabaseError, TimeoutError):
            database = False
        well = database and self.behaviour.healthy
        body = {"status": "healthy" if well else "unhealthy", "database": "ok" if database else "unavailable"}
        return web.json_response(body, status=200 if well else 503)

    async def _items(self, _: web.Request) -> web.Response:
        rows = await self._database.query("SELECT id, path FROM api_activity ORDER BY id DESC LIMIT 10")
        return web.json_response([{"id": number, "path": path} for number, path in rows])

    async def _add(self, request: web.Request) -> web.Response:
        body = await request.json()
        await self._database.query(
            "INSERT INTO api_activity (user_id, method, path) VALUES (%s, 'POST', '/api/items/')", int(body["user"])
        )
        return web.json_response({"added": True}, status=201)

    async def _login(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("password") != "correct":
            return web.json_response({"detail": "Invalid credentials"}, status=401)
        return web.json_response({"detail": "Welcome"})
