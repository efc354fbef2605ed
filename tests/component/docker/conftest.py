"""Looking at the worker's Docker engine, each look with connections of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from healthd.model.outcomes import Observation
from healthd.probes import PROBES
from tests.component.looking import looking
from tests.servers.docker import DockerEngine

Look = Callable[..., Awaitable[Observation]]


@pytest.fixture
def look(docker: DockerEngine) -> Look:
    """`await look("docker_compose", project=...)`: at the real engine unless a url is given."""

    async def ask(
        kind: str, *, now: datetime | None = None, timeout: timedelta = timedelta(seconds=5), **params: Any
    ) -> Observation:
        async with looking(PROBES[kind]) as looker:
            looker.now, looker.timeout = now, timeout
            return await looker(**{"url": docker.url, **params})

    return ask


class Scripted:
    """An engine of another kind: `answers` maps a path to (status, headers, body)."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "d.sock"
        self.url = f"unix://{self.socket}"
        self.answers: dict[str, tuple[int, dict[str, str], str | bytes]] = {
            "/_ping": (200, {"Api-Version": "1.41"}, "OK")
        }
        self.asked: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        status, headers, body = self.answers.get(request.path, (404, {}, '{"message":"page not found"}'))
        return web.Response(status=status, headers=headers, body=body)


@pytest.fixture
async def scripted(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scripted]:
    """Its socket listens."""
    engine = Scripted(tmp_path_factory.mktemp("e"))
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", engine.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(engine.socket)).start()
    yield engine
    await runner.cleanup()
