"""The HTTP port, served on the daemon's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from collections.abc import Coroutine, Iterator
from typing import Any

import uvicorn

from healthd.model.tasks import end_tasks
from healthd.settings import Settings
from healthd.web.application import create_app
from healthd.web.arrival import MAX_HEAD
from healthd.web.connections import HANDSHAKE, Connections
from healthd.web.daemon import Daemon
from healthd.web.desk import Desk
from healthd.web.tls import Certificate

BACKLOG = 128
RENEW_EVERY = 1.0  # seconds between looks at the certificate's files


class _Embedded(uvicorn.Server):
    """A server that leaves the process's signals to the daemon."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, which knows no end to a TLS handshake but asyncio's: a minute."""
        await self.lifespan.startup()
        protocol: Any = self.config.http_protocol_class
        make = functools.partial(
            protocol,
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state,
        )  # fmt: skip
        loop, tls = asyncio.get_running_loop(), self.config.ssl
        self.servers = [
            await loop.create_server(make, sock=sock, ssl=tls, ssl_handshake_timeout=HANDSHAKE if tls else None)
            for sock in sockets or ()
        ]
        self.started = True


class Server:
    """Serves `daemon` on `host`:`port` (0: any free port, known as `port` after `start`)."""

    def __init__(self, daemon: Daemon, host: str, port: int) -> None:
        self._daemon, self._host = daemon, host
        self.port = port
        self._server: _Embedded | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Listen; raises OSError when the address cannot be had, or certificate and key cannot be used."""
        certificate = _certificate(self._daemon.settings)  # what is wrong with it is said now
        sock = _listen(self._host, self.port)
        self.port = sock.getsockname()[1]
        app = create_app(self._daemon)
        desk: Desk = app.state.desk
        config = uvicorn.Config(
            app,
            http=Connections(desk.gate.reception.trusts).make,  # type: ignore[arg-type]  # called as a class is
            h11_max_incomplete_event_size=MAX_HEAD,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # the gate knows whom to believe
            lifespan="off",
            ws="none",
            timeout_keep_alive=30,
            timeout_graceful_shutdown=2,
            ssl_context_factory=(lambda _, __: certificate.context) if certificate else None,
        )
        config.load()
        self._server = _Embedded(config)
        self._begin(self._server.serve(sockets=[sock]))
        if certificate is not None:
            self._begin(_keep_new(certificate))

    async def stop(self) -> None:
        """Finish the requests under way, within two seconds."""
        if self._server is not None:
            self._server.should_exit = True
            await end_tasks(self._tasks[1:])
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))


async def _keep_new(certificate: Certificate) -> None:
    while True:
        await asyncio.sleep(RENEW_EVERY)
        certificate.renew()


def _certificate(settings: Settings) -> Certificate | None:
    return Certificate(settings.tls_cert, settings.tls_key) if settings.tls_cert else None


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock
