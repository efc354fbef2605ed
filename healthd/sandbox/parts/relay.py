"""TCP connections that come from another machine: 127.0.0.2 stands for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from healthd.sandbox.child import free_port

_ELSEWHERE = "127.0.0.2"
_CHUNK = 65_536


class Relay:
    """A port whose connections go on to `target` (a port on 127.0.0.1) and seem to come from 127.0.0.2."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def stop(self) -> None:
        """Cut what is connected."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in tuple(self._open):
            writer.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            onwards = await asyncio.open_connection("127.0.0.1", self._target, local_addr=(_ELSEWHERE, 0))
            await asyncio.gather(_pass_on(reader, onwards[1]), _pass_on(onwards[0], writer))
        except OSError:
            writer.close()
        finally:
            self._open.discard(writer)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    writer.close()
