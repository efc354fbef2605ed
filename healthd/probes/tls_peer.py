"""Bare TCP and TLS connections: to time them and to look at certificates."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from healthd.probes.base import Resources
from healthd.probes.network import FAMILIES, Address, IpFamily, Stage, connect, shared_resolver

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def opened_at(addresses: list[Address], limit: int = 65536) -> AsyncIterator[Streams]:
    """A TCP connection to one of the addresses, cut without ceremony at the end. Raises OSError."""
    sock = await connect(addresses)
    try:
        reader, writer = await asyncio.open_connection(sock=sock, limit=limit)
    except BaseException:
        sock.close()
        raise
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


@asynccontextmanager
async def opened(
    host: str, port: int, resources: Resources, *, family: IpFamily = "any", stage: Stage | None = None
) -> AsyncIterator[Streams]:
    """The same by name. Raises OSError (socket.gaierror for the lookup)."""
    stage = stage or Stage()
    resolver = await shared_resolver(resources)
    addresses = await resolver.lookup(host, port, FAMILIES[family])
    stage.doing = "connecting"
    async with opened_at(addresses) as streams:
        yield streams


async def secure(writer: asyncio.StreamWriter, context: ssl.SSLContext, server_name: str) -> ssl.SSLObject:
    """Begin TLS on an open connection. Raises ssl.SSLError, OSError."""
    try:
        # the caller's limit is the one that counts
        await writer.start_tls(context, server_hostname=server_name.strip("[]"), ssl_handshake_timeout=3600)
    except ConnectionAbortedError:
        raise ConnectionResetError(104, "the connection was closed during the handshake") from None
    peer: ssl.SSLObject = writer.get_extra_info("ssl_object")
    return peer


def peer_chain(peer: ssl.SSLObject) -> list[bytes]:
    """The certificates the server sent, leaf first, as DER."""
    chain = getattr(peer, "get_unverified_chain", None)  # public from Python 3.13 on
    if chain is not None:
        return list(chain())
    inner: Any = getattr(peer, "_sslobj", None)  # the same function before that
    found = inner.get_unverified_chain() if hasattr(inner, "get_unverified_chain") else None
    if found:
        return [ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in found]
    leaf = peer.getpeercert(binary_form=True)
    return [leaf] if leaf else []
