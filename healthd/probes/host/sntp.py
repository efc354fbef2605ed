"""One question to a time server: SNTP version 4 (RFC 5905, section 14), with a random cookie as transmit time.

The cookie, which the server must send back, keeps strangers from answering and tells them nothing of this clock
(draft-ietf-ntp-data-minimization).
"""

from __future__ import annotations

import asyncio
import secrets
import struct
import time
from dataclasses import dataclass

_REQUEST = bytes([0b00_100_011]) + bytes(39)  # no warning, version 4, mode 3 (client)
_ERA = 1 << 32  # seconds until the timestamps start over, in February 2036
_UNIX = 2_208_988_800  # 1970 in seconds since 1900


class SntpError(Exception):
    """The server answered, but not with a time that can be used."""


@dataclass(frozen=True, slots=True)
class TimeAnswer:
    """Seconds. `ahead` is how far this clock is ahead of the server's, negative when behind."""

    ahead: float
    round_trip: float
    stratum: int
    root_distance: float


async def ask_time(host: str, port: int, resend_after: float = 1.0) -> TimeAnswer:
    """Ask until there is an answer: UDP loses packets. The caller limits the time.

    Raises OSError (socket.gaierror, ConnectionRefusedError) and SntpError.
    """
    loop = asyncio.get_running_loop()
    exchange = _Exchange(loop.create_future())
    transport, _ = await loop.create_datagram_endpoint(lambda: exchange, remote_addr=(host, port))
    try:
        while True:
            exchange.send(transport)
            done, _pending = await asyncio.wait([exchange.answer], timeout=resend_after)
            if done:
                return exchange.answer.result()
    finally:
        exchange.answer.cancel()
        transport.close()


class _Exchange(asyncio.DatagramProtocol):
    """The requests sent so far, and the first answer to any of them."""

    def __init__(self, answer: asyncio.Future[TimeAnswer]) -> None:
        self.answer = answer
        self._sent: dict[bytes, float] = {}

    def send(self, transport: asyncio.DatagramTransport) -> None:
        cookie = secrets.token_bytes(8)
        self._sent[cookie] = time.time()
        transport.sendto(_REQUEST + cookie)

    def datagram_received(self, data: bytes, addr: object) -> None:
        received = time.time()
        sent = self._sent.get(data[24:32])
        if self.answer.done() or len(data) < 48 or sent is None:
            return  # not an answer to a question of ours: wait on
        try:
            self.answer.set_result(_read(data, sent, received))
        except SntpError as error:
            self.answer.set_exception(error)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


def _read(data: bytes, sent: float, received: float) -> TimeAnswer:
    flags, stratum = data[0], data[1]
    if flags & 0b111 != 4:
        raise SntpError(f"answered in mode {flags & 0b111} where a time server answers in mode 4")
    if stratum == 0:
        raise SntpError(f"refused to tell the time (kiss code {data[12:16].decode('ascii', 'replace').rstrip(chr(0))})")
    if flags >> 6 == 3 or stratum > 15:
        raise SntpError("is not synchronised itself, its time cannot be relied on")
    root_delay, root_dispersion = struct.unpack(">ii", data[4:12])
    arrived, left = _timestamp(data[32:40], received), _timestamp(data[40:48], received)
    return TimeAnswer(
        ahead=((sent - arrived) + (received - left)) / 2,
        round_trip=max(0.0, (received - sent) - (left - arrived)),
        stratum=stratum,
        root_distance=(root_delay / 2 + root_dispersion) / 65536,
    )


def _timestamp(raw: bytes, near: float) -> float:
    """Seconds since 1970, in the era that puts it nearest to `near`."""
    seconds, fraction = struct.unpack(">II", raw)
    if seconds == fraction == 0:
        raise SntpError("left out its time")
    value: float = seconds + fraction / _ERA - _UNIX
    return value + round((near - value) / _ERA) * _ERA
