"""The few words by which a plain connection is turned into TLS."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable

from healthd.probes.tls.params import StartTls

_POSTGRES_SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # length and code, PostgreSQL manual, "Message Formats"


class StartTlsError(Exception):
    """The server does not want TLS, or does not speak the protocol."""


async def ask_for_tls(protocol: StartTls, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ask for TLS; afterwards the handshake may begin. Raises StartTlsError, OSError."""
    await _PROTOCOLS[protocol](reader, writer)


async def _smtp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _smtp_reply(reader, "220")
    writer.write(b"EHLO healthd.invalid\r\n")
    await _smtp_reply(reader, "250")
    writer.write(b"STARTTLS\r\n")
    await _smtp_reply(reader, "220")


async def _smtp_reply(reader: asyncio.StreamReader, code: str) -> None:
    while True:
        line = await _line(reader)
        if not line.startswith(code):
            raise StartTlsError(f"SMTP: expected {code}, the server said {line[:80]!r}")
        if line[3:4] != "-":
            return


async def _imap(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    greeting = await _line(reader)
    if not greeting.startswith("* OK"):
        raise StartTlsError(f"IMAP: expected a greeting, the server said {greeting[:80]!r}")
    writer.write(b"a1 STARTTLS\r\n")
    while not (line := await _line(reader)).startswith("a1 "):
        pass
    if not line.startswith("a1 OK"):
        raise StartTlsError(f"IMAP: the server refused TLS: {line[:80]!r}")


async def _postgres(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(_POSTGRES_SSL_REQUEST)
    answer = await reader.read(1)
    if answer == b"N":
        raise StartTlsError("PostgreSQL: the server does not offer TLS")
    if answer != b"S":
        raise StartTlsError(f"PostgreSQL: the server answered {answer!r} to the request for TLS")


async def _line(reader: asyncio.StreamReader) -> str:
    try:
        line = await reader.readline()
    except ValueError:
        raise StartTlsError("the server sent a line without an end") from None
    if not line:
        raise StartTlsError("the server closed the connection")
    return line.decode("ascii", "replace").rstrip("\r\n")


_PROTOCOLS: dict[StartTls, Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]] = {
    "smtp": _smtp,
    "imap": _imap,
    "postgres": _postgres,
}
