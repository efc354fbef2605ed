"""What SyncUp depends on and does not run itself: its monitoring page, its status page, OpenAI."""

from __future__ import annotations

from aiohttp import web

from healthd.sandbox.child import free_port


class Services:
    """Three sites on one port: `monitoring_url`, `status_url`, `openai_url`. What they answer may be changed."""

    def __init__(self) -> None:
        self.port = free_port()
        base = f"http://127.0.0.1:{self.port}"
        self.monitoring_url, self.status_url, self.openai_url = f"{base}/monitoring", f"{base}/status", f"{base}/openai"
        self.monitoring_code = 200
        self.openai_code = 404  # it knows no such address, but it is there
        self.indicator = "none"  # of incidents: none, minor, major, critical
        self._runner: web.AppRunner | None = None

    @property
    def running(self) -> bool:
        return self._runner is not None

    async def start(self) -> None:
        """Listen."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/monitoring", self._monitoring),
                web.get("/status/api/v2/status.json", self._status),
                web.get("/openai/health", self._openai),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def _monitoring(self, _: web.Request) -> web.Response:
        return web.Response(text="<h1>SyncUp, metrics</h1>", content_type="text/html", status=self.monitoring_code)

    async def _status(self, _: web.Request) -> web.Response:
        said = {"none": "All Systems Operational"}.get(self.indicator, f"{self.indicator.capitalize()} System Outage")
        page = {"id": "syncup", "name": "SyncUp"}
        return web.json_response({"page": page, "status": {"indicator": self.indicator, "description": said}})

    async def _openai(self, _: web.Request) -> web.Response:
        return web.json_response({"error": {"code": self.openai_code}}, status=self.openai_code)
