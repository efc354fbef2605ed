"""A worker's port, for whatever restarts it: /healthz while it is alive, /readyz while it has the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

PATIENCE = 5.0  # seconds for a request


class Pulse:
    """`unready` gives the reason why no look is made; "" when all is well."""

    def __init__(self, unready: Callable[[], str]) -> None:
        self._unready = unready
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; the port. Raises OSError."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=8192)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(PATIENCE):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(request.split(b" ", 2)[:2]))
                await writer.drain()
        writer.close()

    def _answer(self, request: list[bytes]) -> bytes:
        reason = self._unready()
        status, text = "404 Not Found", "there are /healthz and /readyz"
        if request in ([b"GET", b"/healthz"], [b"HEAD", b"/healthz"]):
            status, text = "200 OK", "alive"
        elif request in ([b"GET", b"/readyz"], [b"HEAD", b"/readyz"]):
            status, text = ("503 Service Unavailable", reason) if reason else ("200 OK", "ready")
        body = b"" if request[0] == b"HEAD" else f"{text}\n".encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        return f"{head}Connection: close\r\n\r\n".encode() + body
