"""Asking a name server: over UDP, again when nothing comes, and over TCP when the answer is too long for UDP."""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from healthd.probes.base import ProbeError
from healthd.probes.dns.message import MessageError, Reply, question, read_reply
from healthd.probes.network import Address, connect

RESOLV_CONF = Path("/etc/resolv.conf")
PORT = 53
_AGAIN_AFTER = 1.0  # seconds until a question over UDP is sent once more: a packet may be lost
_UDP_MAX = 65535


@dataclass(frozen=True, slots=True)
class Asked:
    """A reply, the seconds it took, the server that gave it, and whether that was over TCP."""

    reply: Reply
    latency: float
    server: str
    tcp: bool


def system_servers(path: Path = RESOLV_CONF) -> list[str]:
    """The addresses of the system's name servers. Raises ProbeError (kind config)."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError as error:
        raise ProbeError(f"cannot read {path}: {error.strerror}; write which `server` to ask", "config") from None
    words = [line.split() for line in lines]
    servers = [w[1] for w in words if len(w) > 1 and w[0] == "nameserver"]
    if not servers:
        raise ProbeError(f"{path} names no name server: write which `server` to ask", "config")
    return servers


async def ask(addresses: list[Address], name: str, kind: int, *, tcp: bool, recursive: bool) -> Asked:
    """The reply of the server behind these addresses. Raises OSError, MessageError; waits as long as it is let."""
    asked = question(name, kind, secrets.randbelow(65536), recursive=recursive)
    server = str(addresses[0][4][0])
    began = perf_counter()
    if not tcp:
        reply = await _udp(addresses[0], asked)
        if not reply.truncated:
            return Asked(reply, perf_counter() - began, server, tcp=False)
    return Asked(await _tcp(addresses, asked), perf_counter() - began, server, tcp=True)


class _Datagrams(asyncio.DatagramProtocol):
    """Waits for the reply to one question; what is no reply to it is left aside."""

    def __init__(self, asked: bytes) -> None:
        self.asked = asked
        self.reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if self.reply.done():
            return
        try:
            reply = read_reply(data[:_UDP_MAX], self.asked)
        except MessageError as error:
            self.reply.set_exception(error)
            return
        if reply is not None:
            self.reply.set_result(reply)

    def error_received(self, error: Exception) -> None:
        if not self.reply.done():
            self.reply.set_exception(error)


async def _udp(address: Address, asked: bytes) -> Reply:
    loop = asyncio.get_running_loop()
    family, _, _, _, where = address
    # connected: only what the server itself sends is received, and a closed port is told at once
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: _Datagrams(asked), remote_addr=where[:2], family=family, proto=socket.IPPROTO_UDP
    )
    try:
        while True:
            transport.sendto(asked)
            done, _ = await asyncio.wait({protocol.reply}, timeout=_AGAIN_AFTER)
            if done:
                return protocol.reply.result()
    finally:
        protocol.reply.cancel()
        transport.close()


async def _tcp(addresses: list[Address], asked: bytes) -> Reply:
    sock = await connect(addresses)
    reader, writer = await asyncio.open_connection(sock=sock)
    try:
        writer.write(struct.pack("!H", len(asked)) + asked)
        await writer.drain()
        try:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            reply = read_reply(await reader.readexactly(length), asked)
        except asyncio.IncompleteReadError:
            raise MessageError("the connection was closed in the middle of it") from None
        if reply is None:
            raise MessageError("it is the answer to another question")
        return reply
    finally:
        writer.transport.abort()
