"""A port of an emulated production that answers over HTTP or TLS, can refuse connections and come back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web

from healthd.sandbox.child import free_port
from healthd.sandbox.parts.certificates import IssuedCertificate


class Listener:
    """One port. `start` and `stop` may follow each other; `routes` are made anew for each start."""

    def __init__(
        self,
        routes: Callable[[], Sequence[web.RouteDef]],
        *,
        middlewares: Sequence[Any] = (),
        certificate: IssuedCertificate | None = None,
    ) -> None:
        self.port = free_port()
        self.url = f"{'http' if certificate is None else 'https'}://127.0.0.1:{self.port}"
        self._routes, self._middlewares, self._certificate = routes, middlewares, certificate
        self._runner: web.AppRunner | None = None

    @property
    def running(self) -> bool:
        return self._runner is not None

    async def start(self) -> None:
        """Listen."""
        if self._runner is not None:
            return
        application = web.Application(middlewares=self._middlewares)
        application.add_routes(self._routes())
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        context = self._certificate.context if self._certificate is not None else None
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=context).start()

    async def stop(self) -> None:
        """Stop listening and cut what is connected."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()
