"""A local HTTP receiver that stands for Slack, PagerDuty or a webhook: records requests, answers as it is told.

It runs in threads of its own, so it serves an event loop in the same process as well as a daemon in another one.

    with Receiver() as receiver:
        receiver.script([500, (429, {"Retry-After": "1"}), "hang"])   # then the default answer again
        receiver.script([404], path="/slack")                         # only for requests to this path
        ... send to receiver.url + "/slack" ...
        first, second = receiver.wait_for(2, timeout=5)
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import pytest

# A status; (status, headers); (status, headers, body); or a word:
#   ok       200 with the body "ok", as Slack answers
#   hang     take the request and never answer (until the receiver stops or the client goes)
#   drip     start an answer and send one byte of its body every 50 ms for ever
#   heads    start an answer whose headers do not end (up to 100 MB)
#   trickle  start an answer and send one byte of its headers every 50 ms for ever
#   garbage  bytes that are not HTTP
#   huge     200 and a body that does not end (up to 100 MB)
#   reset    close the connection with a TCP reset
#   close    close the connection without an answer
Answer = int | tuple[int, Mapping[str, str]] | tuple[int, Mapping[str, str], str | bytes] | str

HUGE_BODY_BYTES = 100_000_000


@dataclass(frozen=True)
class Request:
    """One request as it came. Header names are lower-case; `at` is time.time(), `monotonic` time.monotonic()."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float
    monotonic: float
    peer: tuple[str, int]  # of the connection it came on

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """A scriptable HTTP server on loopback. `requests` grows as requests arrive; `url` has no trailing slash."""

    def __init__(self, port: int = 0, default: Answer = "ok") -> None:
        self.port = port
        self.default: Answer = default
        self.requests: list[Request] = []
        self.sent_bytes = 0  # of "huge" answers
        self._decide: Callable[[Request], Answer | None] | None = None
        self._scripts: dict[str, deque[Answer]] = {}
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Receiver:
        """Listen; after a `stop`, on the same port again."""
        self._stopping.clear()
        self._server = _Server(self, self.port)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), name="receiver", daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop listening and cut every connection: from now on connecting is refused."""
        if self._server is not None:
            self._stopping.set()
            self._server.shutdown()
            self._server.cut()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Receiver:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def script(self, answers: Iterable[Answer], path: str = "") -> None:
        """The next answers, in order; with `path`, of the requests to that path alone (these go first)."""
        with self._changed:
            self._scripts.setdefault(path, deque()).extend(answers)

    def decide(self, decide: Callable[[Request], Answer | None] | None) -> None:
        """Ask a function for each answer before script and default; None from it means: as usual."""
        self._decide = decide

    def wait_for(self, count: int, timeout: float = 30, path: str = "") -> list[Request]:
        """The requests so far (to `path`) once there are `count`. Raises TimeoutError saying what has come instead."""
        with self._changed:
            if self._changed.wait_for(lambda: len(self.to(path)) >= count, timeout):
                return self.to(path)
        seen = [(r.method, r.path, r.body[:80]) for r in self.requests]
        raise TimeoutError(f"{len(self.to(path))} of {count} requests to {path or 'any path'} in {timeout} s: {seen}")

    async def expect(self, count: int, timeout: float = 30, path: str = "") -> list[Request]:
        """`wait_for` for a coroutine: the event loop goes on meanwhile."""
        return await asyncio.to_thread(self.wait_for, count, timeout, path)

    def to(self, path: str = "") -> list[Request]:
        """The requests to one path, query left aside; all with an empty path."""
        return [r for r in list(self.requests) if not path or r.path.split("?")[0] == path]

    def clear(self) -> None:
        """Forget requests, scripts and the deciding function; the default answer stays."""
        with self._changed:
            self.requests.clear()
            self._scripts.clear()
            self._decide = None

    def _take(self, request: Request) -> Answer:
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
            decided = self._decide(request) if self._decide else None
            if decided is not None:
                return decided
            for key in (request.path.split("?")[0], ""):
                if self._scripts.get(key):
                    return self._scripts[key].popleft()
            return self.default


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, receiver: Receiver, port: int) -> None:
        self.receiver = receiver
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def cut(self) -> None:
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def handle_one_request(self) -> None:
        super().handle_one_request()
        if self.server.receiver._stopping.is_set():
            self.close_connection = True

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:  # whoever sent it died in the middle: no receiver would know of it
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        peer = self.client_address[:2]
        request = Request(self.command, self.path, headers, body, time.time(), time.monotonic(), peer)
        answer = self.server.receiver._take(request)
        if isinstance(answer, str) and answer != "ok":
            self.close_connection = True
            getattr(self, f"_{answer}")()
        elif isinstance(answer, int):
            self._reply(answer, {}, b"")
        elif isinstance(answer, str):
            self._reply(200, {}, b"ok")
        else:
            text = answer[2] if len(answer) == 3 else b""
            self._reply(answer[0], answer[1], text.encode() if isinstance(text, str) else text)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _answer  # noqa: N815 - names the base class calls

    def _reply(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _hang(self) -> None:
        self.connection.settimeout(0.05)
        while not self.server.receiver._stopping.is_set():
            try:
                if not self.connection.recv(1):
                    return
            except TimeoutError:
                continue

    def _drip(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not self.server.receiver._stopping.wait(0.05):
            self.wfile.write(b".")

    def _heads(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        lines = b"".join(b"X-%d: %s\r\n" % (i, b"y" * 100) for i in range(600))
        for _ in range(HUGE_BODY_BYTES // len(lines)):
            self.wfile.write(lines)
            self.server.receiver.sent_bytes += len(lines)

    def _trickle(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        while not self.server.receiver._stopping.wait(0.05):
            self.wfile.write(b"y")

    def _garbage(self) -> None:
        self.wfile.write(b"\x00\xff\x16\x03" + os.urandom(512) + b"\r\n\r\n")

    def _huge(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % HUGE_BODY_BYTES)
        chunk = b"x" * 65536
        for _ in range(HUGE_BODY_BYTES // len(chunk)):
            self.wfile.write(chunk)
            self.server.receiver.sent_bytes += len(chunk)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _close(self) -> None:
        """Nothing: the connection ends."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A fresh receiver, answering "ok"."""
    with Receiver() as server:
        yield server
