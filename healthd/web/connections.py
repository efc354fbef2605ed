"""Connections that take no more than their share: few of one address, bounded in number, with an end to waiting.

Without that, whoever opens connections and says nothing takes the files that checks need for theirs.
"""

from __future__ import annotations

import asyncio
import resource
from collections import Counter, deque
from collections.abc import Callable
from itertools import islice
from typing import Any

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

from healthd.web.visitors import plain

MOST = 500  # connections, where the process may open many files; a third of those at most
MOST_OF_ONE = 100  # of one address that is no trusted proxy
HANDSHAKE = 5.0  # seconds until TLS stands
WAITING = {"head": 5.0, "body": 10.0}  # seconds in which a request has to arrive, however it drips
STALLED = 30.0  # seconds in which some of an answer has to be taken
TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
TOO_MANY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

log = structlog.get_logger("healthd.web")


class Connections:
    """All of one server. `trusts`: whether an address is a trusted proxy's, through which many come."""

    def __init__(self, trusts: Callable[[str], bool]) -> None:
        self._trusts = trusts
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = min(MOST, max(16, files // 3))
        self._of: Counter[str] = Counter()
        self._open: dict[Connection, None] = {}  # in the order they came
        self._shaking: deque[float] = deque()  # until when those may take whose TLS does not stand yet
        self._has_warned = False

    def make(self, **given: Any) -> Connection:
        """The protocol of a connection that was just accepted. Raises ConnectionRefusedError while there are too many:
        asyncio then closes it."""
        loop = asyncio.get_running_loop()
        while self._shaking and self._shaking[0] < loop.time():
            self._shaking.popleft()
        if len(self._open) + len(self._shaking) >= self._most and not self._evict():
            raise ConnectionRefusedError("too many connections")
        self._shaking.append(loop.time() + HANDSHAKE)
        return Connection(self, **given)

    def opened(self, connection: Connection, address: str) -> bool:
        """Whether it may stay."""
        if self._shaking:
            self._shaking.popleft()
        if self._of[address] >= MOST_OF_ONE and not self._trusts(address):
            if not self._has_warned:
                self._has_warned = True
                log.warning("too_many_connections", address=address, most=MOST_OF_ONE, note="said once")
            return False
        self._of[address] += 1
        self._open[connection] = None
        return True

    def closed(self, connection: Connection, address: str) -> None:
        """It is gone."""
        if self._open.pop(connection, connection) is None:
            self._of[address] -= 1
            if not self._of[address]:
                del self._of[address]

    def _evict(self) -> bool:
        """Close the oldest one on which nothing is being answered."""
        idle = (connection for connection in self._open if connection.is_waiting)
        for connection in islice(idle, 1):
            connection.transport.abort()
            self.closed(connection, connection.address)
            return True
        return False


class Connection(H11Protocol):
    """One of them."""

    def __init__(self, all_: Connections, **given: Any) -> None:
        super().__init__(**given)
        self._all = all_
        self.address = ""
        self._waits_for = ""
        self._deadline: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None

    @property
    def is_waiting(self) -> bool:
        """For a request: nothing is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.address = plain(self.client[0]) if self.client else ""
        if self._all.opened(self, self.address):
            self._watch()
        else:
            transport.write(TOO_MANY)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.closed(self, self.address)
        self._wait_for("")
        self._go_on()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stall = self._stall or self.loop.call_later(STALLED, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._go_on()

    def _go_on(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _watch(self) -> None:
        state = self.conn.their_state
        if state is h11.SEND_BODY:
            self._wait_for("body")
        elif state is h11.IDLE and (self.cycle is None or self.conn.trailing_data[0]):
            self._wait_for("head")
        else:  # it is being answered, or nothing has come since: that has an end of its own
            self._wait_for("")

    def _wait_for(self, part: str) -> None:
        if part == self._waits_for:  # a drip buys no time
            return
        self._waits_for = part
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(WAITING[part], self._too_late) if part else None

    def _too_late(self) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(TOO_LATE)
        self.transport.close()
