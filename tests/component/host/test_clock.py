"""The probe clock: against a time server of our own."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from healthd.probes import PROBES
from healthd.probes.base import ProbeError
from tests.component.looking import Looker, values


class TimeServer:
    """A real SNTP server on loopback that can be wrong, rude or silent."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.shift, self.flags, self.stratum, self.refid = 0.0, 0b00_100_100, 2, b"TEST"
        self.ignore, self.requests = 0, 0
        self.before: Callable[[bytes], bytes | None] = lambda request: None
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            request, client = self.socket.recvfrom(512)
            if request == b"stop":
                return
            self.requests += 1
            if self.requests <= self.ignore:
                continue
            if (first := self.before(request)) is not None:
                self.socket.sendto(first, client)
            self.socket.sendto(self.answer(request), client)

    def answer(self, request: bytes) -> bytes:
        now = self.stamp(time.time() + self.shift)
        head = bytes([self.flags, self.stratum, 6, 0xEC]) + struct.pack(">II", 0x00010000, 0x00008000) + self.refid
        return head + now + request[40:48] + now + now

    @staticmethod
    def stamp(when: float) -> bytes:
        seconds, fraction = divmod(when + 2_208_988_800, 1)
        return struct.pack(">II", int(seconds) % 2**32, int(fraction * 2**32))

    def stop(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"stop", self.socket.getsockname())
        self.thread.join(5)
        self.socket.close()


@pytest.fixture
def time_server() -> Iterator[TimeServer]:
    server = TimeServer()
    yield server
    server.stop()


@pytest.mark.parametrize("shift", [0.0, 5.0, -7200.0, 0.25])
async def test_clock_measures_the_offset_and_its_direction(look: Looker, time_server: TimeServer, shift: float) -> None:
    time_server.shift = shift
    seen = values(await look(server=time_server.address))
    close = float(seen["round_trip"]) / 2 + 0.02  # nothing can be known better
    assert seen["ahead"] == pytest.approx(-shift, abs=close)
    assert seen["offset"] == pytest.approx(abs(shift), abs=close)
    assert seen["stratum"] == 2
    assert 0 <= seen["round_trip"] < look.timeout.total_seconds()
    assert seen["max_error"] == pytest.approx(1.0, abs=close + 0.08)  # half the root delay of 1 s, and 0.5 s dispersion


async def test_clock_reads_times_after_the_era_of_2036(look: Looker, time_server: TimeServer) -> None:
    time_server.shift = datetime(2040, 1, 1, tzinfo=UTC).timestamp() - time.time()
    assert values(await look(server=time_server.address))["offset"] == pytest.approx(time_server.shift, abs=2)


@pytest.mark.probe("clock")
async def test_clock_asks_again_when_a_packet_is_lost(look: Looker, time_server: TimeServer) -> None:
    time_server.ignore = 1
    assert values(await look(server=time_server.address))["offset"] < 0.05
    assert time_server.requests == 2


async def test_clock_ignores_answers_to_questions_it_did_not_ask(look: Looker, time_server: TimeServer) -> None:
    forged = bytes([0b00_100_100, 1]) + bytes(30) + TimeServer.stamp(0) + TimeServer.stamp(0)
    time_server.before = lambda request: forged
    assert values(await look(server=time_server.address))["offset"] < 0.05


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stratum": 0, "refid": b"RATE"}, "kiss code RATE"),
        ({"flags": 0b11_100_100}, "is not synchronised itself"),
        ({"stratum": 16}, "is not synchronised itself"),
        ({"flags": 0b00_100_011}, "mode 3"),
    ],
)
async def test_clock_does_not_believe_a_useless_answer(
    look: Looker, time_server: TimeServer, change: dict[str, object], message: str
) -> None:
    vars(time_server).update(change)
    with pytest.raises(ProbeError, match=message) as caught:
        await look(server=time_server.address)
    assert caught.value.kind == "protocol"


@pytest.mark.probe_failure("clock")
async def test_clock_says_why_there_is_no_answer(look: Looker, time_server: TimeServer) -> None:
    look.timeout = timedelta(seconds=0.5)
    time_server.ignore = 1000
    for server, kind, message in (
        (time_server.address, "timeout", "did not answer within 0.45s"),
        ("127.0.0.1:9", "refused", "UDP port 9 is closed"),
        ("no-such-host.invalid", "dns", "time server no-such-host.invalid: "),
    ):
        with pytest.raises(ProbeError, match=message) as caught:
            await look(server=server)
        assert caught.value.kind == kind


@pytest.mark.parametrize("server", ["", "host:port", "ntp://host", "a/b", "host:99999"])
def test_clock_refuses_what_is_no_address(server: str) -> None:
    with pytest.raises(ValidationError, match="is not host or host:port"):
        PROBES["clock"].Params(server=server)


async def test_clock_without_a_server_asks_the_kernel(look: Looker) -> None:
    seen = values(await look())
    assert seen["synchronised"] in (0, 1)
    assert ("offset" in seen) == (seen["synchronised"] == 1)
