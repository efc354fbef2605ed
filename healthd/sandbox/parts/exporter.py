"""A port on which a part of an emulated production exposes its metrics."""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from healthd.sandbox.parts.listener import Listener


class Exporter(Listener):
    """Answers /metrics with what is in `registry`."""

    def __init__(self) -> None:
        super().__init__(lambda: [web.get("/metrics", self._metrics)])
        self.registry = CollectorRegistry()

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
