"""How long each phase of one request took, told by the parts that do the work.

The parts find the record of their own request through a context variable: cheaper than the client's tracing.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter
from typing import Any

from aiohttp import ClientRequest, ClientTimeout, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection

from healthd.probes.network import Resolver


class Timings:
    """Seconds per phase, summed over redirects. `certificate` is what the last server showed, as DER."""

    __slots__ = ("certificate", "connect", "dns", "ready_at", "stage", "tcp_at", "tls", "tls_at")

    def __init__(self) -> None:
        self.dns = self.connect = self.tls = 0.0
        self.tcp_at = self.tls_at = self.ready_at = 0.0
        self.certificate: bytes | None = None
        self.stage = "connecting"

    def connecting(self) -> None:
        """A socket is about to connect (more than once when there are several addresses)."""
        self.stage = "connecting"
        self.tcp_at = self.tcp_at or perf_counter()

    def handshaking(self) -> None:
        """The connection stands, TLS begins."""
        if not self.tls_at:
            self.stage = "TLS handshake"
            self.tls_at = perf_counter()

    def connected(self) -> None:
        """The connection can be used."""
        self.ready_at = perf_counter()
        if self.tcp_at:
            self.connect += (self.tls_at or self.ready_at) - self.tcp_at
        self.tcp_at = self.tls_at = 0.0
        self.stage = "waiting for the response"


CURRENT: ContextVar[Timings | None] = ContextVar("http_timings", default=None)


@contextmanager
def timed() -> Iterator[Timings]:
    """A new record, to which whatever connects inside the block tells."""
    timings = Timings()
    token = CURRENT.set(timings)
    try:
        yield timings
    finally:
        CURRENT.reset(token)


def timed_socket(address: Any) -> socket.socket:
    """The socket for one address."""
    if (timings := CURRENT.get()) is not None:
        timings.connecting()
    return socket.socket(*address[:3])


class TimedTls(ssl.SSLObject):
    """A TLS connection that tells when its handshake begins and ends, and what certificate it saw."""

    def do_handshake(self) -> None:
        """One step of the handshake; raises SSLWantReadError until it is done."""
        timings = CURRENT.get()
        if timings is not None:
            timings.handshaking()
        super().do_handshake()
        if timings is not None:
            timings.tls += perf_counter() - timings.tls_at
            timings.certificate = self.getpeercert(binary_form=True)


class TimedResolver(AbstractResolver):
    """The shared resolver as aiohttp wants it."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses of `host`."""
        timings = CURRENT.get()
        began = perf_counter()
        if timings is not None:
            timings.stage = "looking up the name"
        found = await self._resolver.lookup(host, port, family)
        if timings is not None:
            timings.dns += perf_counter() - began
        return [
            ResolveResult(hostname=host, host=address[0], port=port, family=kind, proto=proto, flags=0)
            for kind, _, proto, _, address in found
        ]

    async def close(self) -> None:
        """Nothing of its own to close."""


class TimedConnector(TCPConnector):
    """Connects and says when it did."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._certificates: dict[Any, bytes] = {}  # of connections that are kept open

    async def connect(self, req: ClientRequest, traces: list[Any], timeout: ClientTimeout) -> Connection:
        """A connection for `req`: a new one, or one kept open if the connector keeps them."""
        timings = CURRENT.get()
        if timings is None:
            return await super().connect(req, traces, timeout)
        timings.certificate = None
        connection = await super().connect(req, traces, timeout)
        timings.connected()
        if not self.force_close and req.is_ssl():
            if timings.certificate is not None:
                self._certificates[req.connection_key] = timings.certificate
            timings.certificate = self._certificates.get(req.connection_key)
        return connection
