"""What stands around the emulated Social Live: Grafana, an external service, an exporter of the database's disk."""

from __future__ import annotations

import hmac
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from healthd.sandbox.parts.listener import Listener
from healthd.sandbox.social_live.telemetry import DatabaseDisk


class Grafana:
    """Its health, and its alerts to whoever has the token of a service account."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(24)
        self._firing: dict[str, datetime] = {}
        self.listener = Listener(
            lambda: [
                web.get("/api/health", self._health),
                web.get("/api/alertmanager/grafana/api/v2/alerts", self._alerts),
                web.get("/api/prometheus/grafana/api/v1/rules", self._rules),
            ]
        )

    def fire(self, name: str) -> None:
        """An alert fires."""
        self._firing[name] = datetime.now(UTC)

    def resolve(self, name: str) -> None:
        """It is over."""
        self._firing.pop(name, None)

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"database": "ok", "version": "11.4.0", "commit": "sandbox"})

    async def _alerts(self, request: web.Request) -> web.Response:
        self._authorise(request)
        return web.json_response([_alert(name, since) for name, since in self._firing.items()])

    async def _rules(self, request: web.Request) -> web.Response:
        self._authorise(request)
        rules = [{"type": "alerting", "name": name, "state": "firing"} for name in self._firing]
        return web.json_response({"status": "success", "data": {"groups": [{"name": "sandbox", "rules": rules}]}})

    def _authorise(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode()):
            raise web.HTTPUnauthorized(text='{"message":"Invalid API key"}', content_type="application/json")


def _alert(name: str, since: datetime) -> dict[str, Any]:
    return {
        "labels": {"alertname": name, "severity": "warning", "grafana_folder": "Social Live"},
        "annotations": {"summary": f"{name} fires"},
        "startsAt": since.isoformat(),
        "updatedAt": datetime.now(UTC).isoformat(),
        "endsAt": (datetime.now(UTC) + timedelta(minutes=5)).isoformat(),
        "fingerprint": secrets.token_hex(8),
        "generatorURL": "",
        "receivers": [{"name": "ops"}],
        "status": {"state": "active", "silencedBy": [], "inhibitedBy": []},
    }


class External:
    """The external service the platform depends on."""

    def __init__(self) -> None:
        self.working = True
        self.listener = Listener(lambda: [web.get("/health", self._health)])

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "up" if self.working else "down"}, status=200 if self.working else 503)


class DiskExporter:
    """node_exporter on the database's machine."""

    def __init__(self) -> None:
        self.disk = DatabaseDisk()
        self.listener = Listener(lambda: [web.get("/metrics", self._expose)])

    async def _expose(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self.disk.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
