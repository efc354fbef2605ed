"""A name server on loopback, over UDP and TCP on one port, that answers what it is told, also with what is wrong."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

KINDS = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "CAA": 257}


def name(text: str) -> bytes:
    """A name without compression."""
    parts = [part.encode() for part in text.rstrip(".").split(".") if part]
    return b"".join(bytes([len(p)]) + p for p in parts) + b"\0"


def rdata(kind: str, value: str) -> bytes:
    """The data of a record written as in a zone file."""
    words = value.split()
    match kind:
        case "A" | "AAAA":
            return ip_address(value).packed
        case "MX":
            return struct.pack("!H", int(words[0])) + name(words[1])
        case "SRV":
            return struct.pack("!HHH", *map(int, words[:3])) + name(words[3])
        case "SOA":
            return name(words[0]) + name(words[1]) + struct.pack("!5I", *map(int, words[2:]))
        case "TXT":
            octets = value.encode()
            pieces = [octets[i : i + 200] for i in range(0, len(octets), 200)]
            return b"".join(bytes([len(p)]) + p for p in pieces)
        case "CAA":
            return bytes([int(words[0]), len(words[1])]) + words[1].encode() + words[2].strip('"').encode()
        case _:
            return name(value)


Records = list[tuple[str, str, int, str]]  # name, kind, ttl, value


@dataclass
class DnsServer:
    """`zone` maps (name, kind) to records; a name in it without the kind has no data; others do not exist.

    `drop` leaves so many UDP questions without an answer; `rcode` answers every question so; `raw` sends these bytes
    after the question's number.
    """

    zone: Mapping[tuple[str, str], Records] = field(default_factory=dict)
    drop: int = 0
    rcode: int | None = None
    raw: bytes | None = None
    noise: bytes = b""
    udp_questions: int = 0
    tcp_questions: int = 0
    port: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def answer(self, asked: bytes, *, limit: int | None) -> bytes:
        if self.raw is not None:
            return asked[:2] + self.raw
        at, labels = 12, []
        while asked[at]:
            labels.append(asked[at + 1 : at + 1 + asked[at]].decode())
            at += 1 + asked[at]
        number = struct.unpack_from("!H", asked, at + 1)[0]
        kind = next(word for word, value in KINDS.items() if value == number)
        text = ".".join(labels).lower()
        records = self.zone.get((text, kind), [])
        exists = any(owner == text for owner, _ in self.zone)
        rcode = self.rcode if self.rcode is not None else 0 if exists else 3
        if self.rcode is not None:
            records = []
        body = b""
        for owner, word, ttl, value in records:
            data = rdata(word, value)
            where = b"\xc0\x0c" if owner == text else name(owner)  # a pointer to the question
            body += where + struct.pack("!HHIH", KINDS[word], 1, ttl, len(data)) + data
        question = asked[12 : at + 5]
        whole = (
            struct.pack("!6H", *struct.unpack("!H", asked[:2]), 0x8580 | rcode, 1, len(records), 0, 0) + question + body
        )
        if limit is not None and len(whole) > limit:
            return struct.pack("!6H", *struct.unpack("!H", asked[:2]), 0x8780, 1, 0, 0, 0) + question
        return whole


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self.server = server

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.server.udp_questions += 1
        if self.server.udp_questions > self.server.drop:
            if self.server.noise:
                self.transport.sendto(self.server.noise, addr)
            self.transport.sendto(self.server.answer(data, limit=512), addr)


@asynccontextmanager
async def dns_server(**options: Any) -> AsyncIterator[DnsServer]:
    """Serve until the end of the block."""
    server = DnsServer(**options)

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        server.tcp_questions += 1
        answer = server.answer(await reader.readexactly(length), limit=None)
        writer.write(struct.pack("!H", len(answer)) + answer)
        writer.close()

    tcp = await asyncio.start_server(take, "127.0.0.1", 0)
    server.port = tcp.sockets[0].getsockname()[1]
    loop = asyncio.get_running_loop()
    udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(server), local_addr=("127.0.0.1", server.port))
    try:
        yield server
    finally:
        udp.close()
        tcp.close()
        await tcp.wait_closed()
