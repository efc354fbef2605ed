"""The HTTP port, served on the daemon's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn

from healthd.web.application import create_app
from healthd.web.daemon import Daemon

BACKLOG = 128


class _Embedded(uvicorn.Server):
    """A server that leaves the process's signals to the daemon."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Server:
    """Serves `daemon` on `host`:`port` (0: any free port, known as `port` after `start`)."""

    def __init__(self, daemon: Daemon, host: str, port: int) -> None:
        self._daemon, self._host = daemon, host
        self.port = port
        self._server: _Embedded | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen; raises OSError when the address cannot be had, or certificate and key cannot be used."""
        sock = _listen(self._host, self.port)
        self.port = sock.getsockname()[1]
        config = uvicorn.Config(
            create_app(self._daemon),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            timeout_keep_alive=30,
            timeout_graceful_shutdown=2,
            ssl_certfile=self._daemon.settings.tls_cert,
            ssl_keyfile=self._daemon.settings.tls_key,
        )
        config.load()  # what is wrong with the certificate is said now
        self._server = _Embedded(config)
        self._task = asyncio.get_running_loop().create_task(self._server.serve(sockets=[sock]))

    async def stop(self) -> None:
        """Finish the requests under way, within two seconds."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await asyncio.gather(self._task, return_exceptions=True)


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
