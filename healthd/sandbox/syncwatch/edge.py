"""The load balancer in front of SyncWatch, as far as a load test sees it: answers /health by itself, and quickly."""

from __future__ import annotations

import asyncio

from healthd.sandbox.child import free_port

_ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"status":"ok"}'
_END = b"\r\n\r\n"


class Edge:
    """One port; `delay` is how many seconds each answer takes."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.delay = 0.0
        self._server: asyncio.Server | None = None

    @property
    def running(self) -> bool:
        return self._server is not None

    async def start(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port)

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            server, self._server = self._server, None
            server.close()
            await server.wait_closed()


class _Connection(asyncio.Protocol):
    """A client's requests without bodies, answered in turn."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *requests, self._rest = (self._rest + data).split(_END)
        if not requests:
            return
        answer = _ANSWER * len(requests)
        if self._edge.delay:
            asyncio.get_running_loop().call_later(self._edge.delay, self._write, answer)
        else:
            self._write(answer)

    def _write(self, answer: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)
