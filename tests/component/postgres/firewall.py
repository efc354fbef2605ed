"""Something between a client and its server."""

from __future__ import annotations

import asyncio


class Firewall:
    """Passes TCP on to a port. `forget` swallows whatever comes over the connections there are.

    With `refuse`, a start-up packet that holds this word is answered as PgBouncer does.
    """

    def __init__(self, target: int, refuse: bytes = b"") -> None:
        self.target, self.refuse = target, refuse
        self.port = 0
        self._open: list[asyncio.Event] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Firewall:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def forget(self) -> None:
        for forgotten in self._open:
            forgotten.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        forgotten = asyncio.Event()
        self._open.append(forgotten)
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target)
        for source, sink in ((reader, there_writer), (there_reader, writer)):
            self._tasks.append(asyncio.create_task(self._pass(source, sink, writer, forgotten)))

    async def _pass(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
        gone: asyncio.Event,
    ) -> None:
        try:
            while data := await source.read(65536):
                if self.refuse and self.refuse + b"\0" in data:
                    text = b"SFATAL\0C08P01\0Munsupported startup parameter: " + self.refuse + b"\0\0"
                    client.write(b"E" + (len(text) + 4).to_bytes(4, "big") + text)
                    break
                if not gone.is_set():
                    sink.write(data)
        finally:
            sink.close()
            client.close()
