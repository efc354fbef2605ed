"""A PostgreSQL connection that stops reading an answer that grows too large.

The client library keeps whole answers in memory and knows no limit, and one field may hold a gigabyte. So what
arrives is counted, at the socket, while it waits for the rest. On a local socket the system tells less, and the count
is rough: too low where the library reads much at a time, so an answer may pass that should not.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import termios
from collections.abc import Generator
from typing import Any, TypeVar

from psycopg import AsyncConnection

from healthd.probes.base import ProbeError

__all__ = ["ANSWER_MAX", "CappedConnection"]

R = TypeVar("R")
ANSWER_MAX = 8_000_000  # bytes of the answer to one statement
_TOO_LARGE = f"the answer is larger than {ANSWER_MAX // 1_000_000} MB: select fewer columns, or left(column, 200)"
_STEP = 65_536  # counted at most for one read where only what waits is known
_RECEIVED_OFFSET = 128  # of tcpi_bytes_received in Linux's struct tcp_info


class CappedConnection(AsyncConnection[Any]):
    """Raises ProbeError (kind `limit`) once an answer is over the limit. The connection is of no use then."""

    async def wait(self, gen: Generator[Any, Any, R], *args: Any, **kwargs: Any) -> R:
        """As the base class waits, with the bytes counted."""
        return await super().wait(_counted(gen, self.pgconn.socket), *args, **kwargs)


def _counted(steps: Generator[Any, Any, R], fd: int) -> Generator[Any, Any, R]:
    """The steps of one answer, until too much has come."""
    already = _received(fd)
    counted = 0
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted
            total = _received(fd)
            counted = counted + min(_waiting(fd), _STEP) if total is None else total - (already or 0)
            if counted > ANSWER_MAX:
                raise ProbeError(_TOO_LARGE, "limit")
            wanted = steps.send(ready)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]


def _received(fd: int) -> int | None:
    """Bytes this connection has ever received; None where the system does not tell: no TCP, no Linux."""
    with socket.socket(fileno=os.dup(fd)) as twin:
        try:
            told = twin.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RECEIVED_OFFSET + 8)
        except (OSError, AttributeError):
            return None
    if len(told) < _RECEIVED_OFFSET + 8:
        return None
    return int(struct.unpack_from("=Q", told, _RECEIVED_OFFSET)[0])


def _waiting(fd: int) -> int:
    """Bytes that have arrived and are not read yet."""
    return int(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))[0])
