"""The application: routes, what wraps them, and the API that is loaded when it is first asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from healthd.model.times import utc_now
from healthd.store.base import StoreError
from healthd.web import inbound, lifecycle, pages
from healthd.web.arrival import Arrival, SessionsOfBrowsers
from healthd.web.daemon import Daemon
from healthd.web.desk import Desk
from healthd.web.errors import answer, unexpected
from healthd.web.forwarding import ToLeader
from healthd.web.lanes import Lanes
from healthd.web.middleware import BodyLimit, Compression, HeadAsGet, ReadingRights, SecurityHeaders, WithoutNul
from healthd.web.problem import RequestError
from healthd.web.security import Gate
from healthd.web.sharing import SharedAnswers
from healthd.web.templating import Templates
from healthd.web.validators import EntityTags

STATIC = Path(__file__).parent / "static"


def create_app(daemon: Daemon, *, now: Callable[[], datetime] = utc_now) -> Starlette:
    """The ASGI application of one daemon. Cheap: templates and API are loaded when they are first asked for."""
    desk = Desk(daemon, Gate(daemon.settings), Templates(), now)
    app = Starlette(
        routes=[
            *lifecycle.ROUTES,
            *pages.ROUTES,
            Route("/favicon.ico", _favicon),
            *inbound.ROUTES,
            Mount("/static", StaticFiles(directory=STATIC)),
            Mount("/api", LazyApi(desk)),
        ],
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(WithoutNul),
            Middleware(Arrival, settings=daemon.settings),
            Middleware(SharedAnswers),
            Middleware(Lanes),
            Middleware(HeadAsGet),
            Middleware(Compression),
            Middleware(EntityTags),
            Middleware(BodyLimit),
            Middleware(ToLeader),
            Middleware(SessionsOfBrowsers),
            Middleware(ReadingRights),
        ],
        exception_handlers={
            RequestError: answer,
            StoreError: answer,
            HTTPException: answer,
            Exception: unexpected,
        },
    )
    app.state.desk = desk
    return app


async def _favicon(request: Request) -> Response:
    return FileResponse(STATIC / "favicon.svg", media_type="image/svg+xml")


class LazyApi:
    """The API. Its framework takes longer to import than a daemon may take to start, so that waits for a request."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._app: ASGIApp | None = None
        self._loading = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._loading:
            if self._app is None:
                self._app = await asyncio.to_thread(self._load)
        await self._app(scope, receive, send)

    def _load(self) -> ASGIApp:
        from healthd.web.api.application import create_api

        return create_api(self._desk)
