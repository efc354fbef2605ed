"""A cable between a client and a server on loopback, which can be cut: then nothing passes and nobody is told."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType

POLL = 0.05  # seconds


class Cable:
    """Passes TCP on to `target`. `cut` swallows all that comes, also over new connections; `mend` ends what was cut."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(POLL)
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self._until_cut: int | None = None
        self._is_cut = threading.Event()
        self._stopping = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._is_cut.set()

    def cut_after(self, sent: int) -> None:
        """Cut when the client has sent so many more bytes, in the middle of a message if that is where they end."""
        self._until_cut = sent

    def wait_until_cut(self, timeout: float) -> None:
        if not self._is_cut.wait(timeout):
            raise TimeoutError("the client did not send as much")

    def mend(self) -> None:
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open.clear()
        self._until_cut = None
        self._is_cut.clear()

    def __enter__(self) -> Cable:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stopping.set()
        self.mend()
        self._listener.close()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                here, _ = self._listener.accept()
            except OSError:
                continue
            here.settimeout(None)
            there = socket.create_connection(("127.0.0.1", self._target))
            self._open += [here, there]
            for source, sink in ((here, there), (there, here)):
                threading.Thread(target=self._pass, args=(source, sink, source is here), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, of_client: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self._is_cut.is_set():
                    continue
                sink.sendall(self._up_to_the_cut(data) if of_client else data)
        if not self._is_cut.is_set():
            for end in (source, sink):
                with suppress(OSError):
                    end.close()

    def _up_to_the_cut(self, data: bytes) -> bytes:
        if self._until_cut is None:
            return data
        data, self._until_cut = data[: self._until_cut], max(0, self._until_cut - len(data))
        if self._until_cut == 0:
            self._is_cut.set()
        return data
