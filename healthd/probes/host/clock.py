"""`clock`: how far this machine's clock is off, by a time server or by the kernel's own account."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import Level
from healthd.model.units import Unit, format_duration
from healthd.probes import base
from healthd.probes.base import Evidence, MeasureInfo, Measurement, Observation, ProbeContext, ProbeError
from healthd.probes.host.adjtimex import kernel_clock
from healthd.probes.host.sntp import SntpError, TimeAnswer, ask_time

_NTP_PORT = 123


class ClockParams(base.Params):
    """Whom to ask."""

    server: str | None = Field(None, description="NTP server, host or host:port; without one, the kernel")

    @field_validator("server")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is not None:
            _address(value)
        return value


class ClockProbe:
    """Asks `server` for the time, or without one the kernel whether something keeps its clock right."""

    Params: ClassVar[type[base.Params]] = ClockParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "offset": MeasureInfo(Unit.SECONDS, "how far the clock is off, ahead or behind (never negative)"),
        "ahead": MeasureInfo(Unit.SECONDS, "the same with its sign: negative when the clock is behind"),
        "synchronised": MeasureInfo(Unit.COUNT, "1 when the kernel's clock is kept right, else 0; without server"),
        "max_error": MeasureInfo(Unit.SECONDS, "how wrong the answer can be"),
        "round_trip": MeasureInfo(Unit.SECONDS, "to the server and back; with server"),
        "stratum": MeasureInfo(Unit.COUNT, "the server's distance from a reference clock; with server"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = (
        Threshold(measure="synchronised", warning=parse_condition("= 0"), missing=Level.OK, name="synchronised"),
    )

    def measures_for(self, params: ClockParams) -> Mapping[str, MeasureInfo]:
        other = {"synchronised"} if params.server else {"round_trip", "stratum"}
        return {name: info for name, info in self.measures.items() if name not in other}

    async def run(self, params: ClockParams, context: ProbeContext) -> Observation:
        """Look once. Raises ProbeError: timeout, dns, refused, protocol (a useless answer), unsupported."""
        if params.server is None:
            return _by_kernel()
        answer = await _ask(params.server, context.timeout.total_seconds() * 0.9)
        direction = "ahead of" if answer.ahead > 0 else "behind"
        return Observation(
            (
                Measurement("offset", abs(answer.ahead), Unit.SECONDS),
                Measurement("ahead", answer.ahead, Unit.SECONDS),
                Measurement("max_error", answer.round_trip / 2 + answer.root_distance, Unit.SECONDS),
                Measurement("round_trip", answer.round_trip, Unit.SECONDS),
                Measurement("stratum", answer.stratum, Unit.COUNT),
            ),
            (Evidence("Clock", f"{format_duration(abs(answer.ahead))} {direction} {params.server}"),),
        )


async def _ask(server: str, timeout: float) -> TimeAnswer:
    host, port = _address(server)
    try:
        async with asyncio.timeout(timeout):
            return await ask_time(host, port)
    except TimeoutError:
        raise ProbeError(f"time server {server} did not answer within {timeout:g}s (UDP)", "timeout") from None
    except socket.gaierror as error:
        raise ProbeError(f"time server {host}: {error.strerror}", "dns") from None
    except ConnectionRefusedError:
        raise ProbeError(f"nothing answers the time at {server} (UDP port {port} is closed)", "refused") from None
    except OSError as error:
        raise ProbeError(f"time server {server}: {error.strerror or error}", "network") from None
    except SntpError as error:
        raise ProbeError(f"time server {server} {error}", "protocol") from None


def _by_kernel() -> Observation:
    try:
        clock = kernel_clock()
    except OSError as error:
        raise ProbeError(f"the kernel does not tell ({error}): name a server", "unsupported") from None
    measurements = [Measurement("synchronised", int(clock.synchronised), Unit.COUNT)]
    if not clock.synchronised:  # the kernel's offset means nothing then
        return Observation(tuple(measurements), (), "no time service keeps the kernel's clock right")
    measurements += [
        Measurement("offset", abs(clock.offset) + clock.estimated_error, Unit.SECONDS),
        Measurement("ahead", -clock.offset, Unit.SECONDS),
        Measurement("max_error", clock.max_error, Unit.SECONDS),
    ]
    return Observation(tuple(measurements))


def _address(server: str) -> tuple[str, int]:
    text = f"[{server}]" if server.count(":") > 1 and not server.startswith("[") else server
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port or _NTP_PORT
    except ValueError as error:
        raise ValueError(f"{server!r} is not host or host:port: {error}") from None
    if not host or parts.path or parts.username:
        raise ValueError(f"{server!r} is not host or host:port: write pool.ntp.org or 192.0.2.1:123")
    return host, port
