"""What the network probes share: name lookups, connecting, time limits, and saying what went wrong."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from healthd.model.units import format_duration
from healthd.probes.base import ProbeError, Resources
from healthd.probes.blocking import BlockingCalls

IpFamily = Literal["any", "ipv4", "ipv6"]
FAMILIES: dict[IpFamily, socket.AddressFamily] = {
    "any": socket.AF_UNSPEC,
    "ipv4": socket.AF_INET,
    "ipv6": socket.AF_INET6,
}
NAMES_KEPT = 10.0  # seconds an answer of the name server is used again
_LOOKUPS_AT_ONCE = 64
_LOOKUP_TIMEOUT = 60.0  # seconds; whoever waits gives up sooner
_NAMES_MAX = 4096
_NEXT_ADDRESS_AFTER = 1.0  # seconds

_Name = tuple[str, int, int]  # host, port, family
Address = tuple[Any, ...]  # (family, type, proto, canonical name, socket address)


def patience(timeout: timedelta) -> float:
    """Seconds a probe waits by itself: a little under `timeout`, so that it can still say what it waited for."""
    seconds = timeout.total_seconds()
    return seconds - min(0.25, seconds * 0.05)


def no_answer(timeout: timedelta, doing: str) -> str:
    """The note of a probe whose time ran out."""
    return f"no answer within {format_duration(timeout.total_seconds())} ({doing})"


@dataclass(slots=True)
class Stage:
    """What a look is doing just now: for the note when its time runs out."""

    doing: str = "looking up the name"


class Resolver:
    """Name lookups in threads of their own: a name server that hangs holds up neither other probes nor the exit."""

    def __init__(self) -> None:
        self._calls = BlockingCalls()
        self._slots = asyncio.Semaphore(_LOOKUPS_AT_ONCE)
        self._asked: dict[_Name, tuple[float, asyncio.Task[list[Address]]]] = {}

    async def lookup(self, host: str, port: int, family: int = socket.AF_UNSPEC) -> list[Address]:
        """Its addresses, at most ten seconds old; who asks meanwhile shares the answer. Raises socket.gaierror."""
        key = (host, port, family)
        asked = self._asked.get(key)
        if asked is None or time.monotonic() - asked[0] >= NAMES_KEPT:
            asked = self._asked[key] = (time.monotonic(), self._ask(key))
        if asked[1].done():
            return asked[1].result()
        return await asyncio.shield(asked[1])

    def _ask(self, key: _Name) -> asyncio.Task[list[Address]]:
        if len(self._asked) > _NAMES_MAX:
            self._asked.clear()
        answer = asyncio.create_task(self._look_up(key))
        answer.add_done_callback(lambda done: self._forget_failure(key, done))
        return answer

    async def _look_up(self, key: _Name) -> list[Address]:
        async with self._slots:
            try:
                return await self._calls.call(f"name {key[0]}", lambda _: _look_up(*key), _LOOKUP_TIMEOUT)
            except TimeoutError:
                raise socket.gaierror(socket.EAI_AGAIN, "timed out") from None

    def _forget_failure(self, key: _Name, answer: asyncio.Task[list[Address]]) -> None:
        failed = answer.cancelled() or answer.exception() is not None
        if failed and key in self._asked and self._asked[key][1] is answer:
            del self._asked[key]

    async def close(self) -> None:
        """Stop waiting for what has not been answered."""
        for _, answer in self._asked.values():
            answer.cancel()


def _look_up(host: str, port: int, family: int) -> list[Address]:
    try:
        return list(socket.getaddrinfo(host, port, family, socket.SOCK_STREAM))
    except UnicodeError as error:  # a label that is empty or too long
        raise socket.gaierror(socket.EAI_NONAME, str(error)) from None


async def shared_resolver(resources: Resources) -> Resolver:
    """The one resolver of the process."""

    async def make() -> Resolver:
        return Resolver()

    return await resources.get("resolver", make, Resolver.close)


async def connect(addresses: list[Address]) -> socket.socket:
    """A connected socket: each address in turn, none but the last for long. Raises the last one's OSError."""
    failure: OSError | None = None
    for family, kind, proto, _, address in addresses:
        longest = None if address == addresses[-1][4] else _NEXT_ADDRESS_AFTER
        try:
            async with asyncio.timeout(longest):
                return await _connect_one(family, kind, proto, address)
        except OSError as error:
            failure = error
    raise failure or OSError(errno.EADDRNOTAVAIL, "no address")


async def _connect_one(family: int, kind: int, proto: int, address: Any) -> socket.socket:
    sock = socket.socket(family, kind, proto)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


_WORDS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset by the server",
    errno.EPIPE: "connection closed by the server",
    errno.ECONNABORTED: "connection aborted",
    errno.ENETUNREACH: "network unreachable",
    errno.EHOSTUNREACH: "host unreachable",
    errno.EHOSTDOWN: "host down",
    errno.ETIMEDOUT: "no answer to the connection attempt",
    errno.EADDRNOTAVAIL: "no usable address",
}


_OURS = {
    errno.EMFILE: "healthd has too many open files: raise its limit",
    errno.ENFILE: "this machine has too many open files",
    errno.ENOBUFS: "this machine is out of network buffers",
    errno.ENOMEM: "this machine is out of memory",
}


def explain_os_error(error: OSError, host: str) -> str:
    """In words a person understands: connection refused, no such host, ...

    Raises ProbeError (kind limit) when it was this side that ran out of something: that says nothing about `host`.
    """
    if error.errno in _OURS:
        raise ProbeError(_OURS[error.errno], kind="limit")
    if isinstance(error, socket.gaierror):
        return _explain_lookup(error, host)
    if error.errno in _WORDS:
        return _WORDS[error.errno]
    if error.errno:
        return os.strerror(error.errno).lower() if error.errno > 0 else str(error)
    return str(error) or type(error).__name__


def error_kind(error: OSError) -> str:
    """The stable word for programs that goes with `explain_os_error`."""
    if isinstance(error, socket.gaierror):
        return "dns"
    return {errno.ECONNREFUSED: "refused", errno.ETIMEDOUT: "timeout"}.get(error.errno or 0, "network")


def _explain_lookup(error: socket.gaierror, host: str) -> str:
    match error.errno:
        case socket.EAI_NONAME:
            return f"no such host {host}"
        case socket.EAI_AGAIN:
            return f"the name server gave no answer for {host}"
        case socket.EAI_NODATA | socket.EAI_ADDRFAMILY | socket.EAI_FAMILY:
            return f"{host} has no address of the wanted kind"
        case _:
            return f"looking up {host} failed: {(error.strerror or 'unknown reason').lower()}"
