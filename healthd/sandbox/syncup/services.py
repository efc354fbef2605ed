"""What SyncUp depends on and does not run itself: its monitoring page, its status page, OpenAI, DataDog."""

from __future__ import annotations

import secrets
import time
from datetime import timedelta

from aiohttp import web

from healthd.sandbox.parts.listener import Listener


class Services:
    """Sites on one port: `monitoring_url`, `status_url`, `openai_url`, `datadog_url`. Their answers may be changed."""

    def __init__(self) -> None:
        self.sites = Listener(self._routes)
        base = self.sites.url
        self.monitoring_url, self.status_url, self.openai_url = f"{base}/monitoring", f"{base}/status", f"{base}/openai"
        self.datadog_url, self.datadog_key = f"{base}/datadog", secrets.token_hex(16)
        self.datadog_silent = timedelta(0)  # since when it has got no metrics
        self.monitoring_code = 200
        self.openai_code = 404  # it knows no such address, but it is there
        self.indicator = "none"  # of incidents: none, minor, major, critical

    def _routes(self) -> list[web.RouteDef]:
        return [
            web.get("/monitoring", self._monitoring),
            web.get("/status/api/v2/status.json", self._status),
            web.get("/openai/health", self._openai),
            web.route("*", "/datadog/api/v1/query", self._datadog),
        ]

    async def _monitoring(self, _: web.Request) -> web.Response:
        return web.Response(text="<h1>SyncUp, metrics</h1>", content_type="text/html", status=self.monitoring_code)

    async def _status(self, _: web.Request) -> web.Response:
        said = {"none": "All Systems Operational"}.get(self.indicator, f"{self.indicator.capitalize()} System Outage")
        page = {"id": "syncup", "name": "SyncUp"}
        return web.json_response({"page": page, "status": {"indicator": self.indicator, "description": said}})

    async def _datadog(self, request: web.Request) -> web.Response:
        if request.headers.get("DD-API-KEY") != self.datadog_key:
            return web.json_response({"errors": ["Forbidden"]}, status=403)
        newest = time.time() - self.datadog_silent.total_seconds()
        points = [[1000 * (newest - 20 * ago), 31.0] for ago in reversed(range(30))]
        series = [{"metric": "system.cpu.user", "scope": "*", "tag_set": [], "pointlist": points}]
        return web.json_response({"status": "ok", "series": series})

    async def _openai(self, _: web.Request) -> web.Response:
        return web.json_response({"error": {"code": self.openai_code}}, status=self.openai_code)
