"""The `dns` probe itself. See docs/probes/dns.md."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from ipaddress import ip_address
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from healthd.model.catalogue import Threshold
from healthd.model.outcomes import Evidence, Measurement, Observation
from healthd.model.units import Unit
from healthd.probes.base import DOWN, MeasureInfo, OneOrMany, Params, ProbeContext, ProbeError
from healthd.probes.dns.message import TYPES, MessageError, Record, encode_name, normal
from healthd.probes.dns.transport import PORT, Asked, ask, system_servers
from healthd.probes.http.params import Pattern
from healthd.probes.network import explain_os_error, no_answer, patience, shared_resolver
from healthd.probes.patterns import search

Kind = Literal["A", "AAAA", "CNAME", "MX", "TXT", "NS", "CAA", "SOA", "SRV", "PTR"]
_SHOWN = 20


class DnsParams(Params):
    """What to look up, where, and what it should be."""

    name: str = Field(min_length=1)
    record: Kind = "A"
    server: str | None = None
    tcp: bool = False
    recursive: bool = True
    expect: OneOrMany = ()
    match: Literal["exact", "all", "any"] = "exact"
    expect_pattern: Pattern | None = None
    rcode: Literal["NOERROR", "NXDOMAIN"] = "NOERROR"

    @field_validator("name")
    @classmethod
    def _usable(cls, name: str) -> str:
        encode_name(name)
        return name

    @field_validator("server")
    @classmethod
    def _server(cls, server: str | None) -> str | None:
        if server is not None:
            _host_and_port(server)
        return server

    @model_validator(mode="after")
    def _consistent(self) -> DnsParams:
        for value in self.expect:
            normal(value, TYPES[self.record])
        if self.rcode == "NXDOMAIN" and (self.expect or self.expect_pattern is not None):
            raise ValueError("a name that is not to exist has no records: leave out expect and expect_pattern")
        return self

    @property
    def asked_name(self) -> str:
        """The name to look up: for PTR an address may be written."""
        if self.record == "PTR":
            try:
                return ip_address(self.name).reverse_pointer
            except ValueError:
                return self.name
        return self.name


def _host_and_port(server: str) -> tuple[str, int]:
    """From `192.0.2.1`, `ns1.example.com:5353` or `[2001:db8::1]:53`. Raises ValueError."""
    if server.count(":") > 1 and not server.startswith("["):
        return str(ip_address(server)), PORT
    parts = urlsplit(f"//{server}")
    port = parts.port
    if not parts.hostname or parts.path or parts.username is not None or port == 0:
        raise ValueError(f"{server!r} is not a name server: expected an address or a name, with :port if it is not 53")
    return parts.hostname, port or PORT


class DnsProbe:
    """One question to one name server."""

    Params: ClassVar[type[Params]] = DnsParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "up": MeasureInfo(Unit.COUNT, "1 when the answer came and is as expected, otherwise 0"),
        "latency": MeasureInfo(Unit.SECONDS, "from the question to the answer"),
        "answers": MeasureInfo(Unit.COUNT, "records of the type asked for"),
        "ttl": MeasureInfo(Unit.SECONDS, "how long the shortest-lived of them may be kept; absent without records"),
        "rcode": MeasureInfo(Unit.TEXT, "NOERROR, NXDOMAIN, SERVFAIL, REFUSED, ..."),
        "truncated": MeasureInfo(Unit.COUNT, "1 when the answer was too long for UDP and came over TCP, otherwise 0"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = (DOWN,)

    def measures_for(self, params: DnsParams) -> Mapping[str, MeasureInfo]:
        """All of them."""
        return self.measures

    async def run(self, params: DnsParams, context: ProbeContext) -> Observation:
        """Ask once. A server that does not answer is `up` 0; raises ProbeError when there is none to ask."""
        key = ("dns", params.server, params.asked_name.lower(), params.record, params.tcp, params.recursive)
        asked = await context.once(key, lambda: _ask(params, context))
        if isinstance(asked, str):
            return Observation((Measurement("up", 0.0, Unit.COUNT),), (), asked)
        return _observation(params, asked)


async def _ask(params: DnsParams, context: ProbeContext) -> Asked | str:
    """The reply, or why there is none."""
    if params.server is not None:
        servers = [params.server]
    else:
        servers = await asyncio.to_thread(system_servers)
    note = ""
    share = patience(context.timeout) / len(servers)  # as the system does it, the next is asked when one is silent
    for server in servers:
        host, port = _host_and_port(server)
        try:
            async with asyncio.timeout(share):
                addresses = await (await shared_resolver(context.resources)).lookup(host, port)
                return await ask(
                    addresses, params.asked_name, TYPES[params.record], tcp=params.tcp, recursive=params.recursive
                )
        except TimeoutError:
            note = f"{server}: {no_answer(context.timeout / len(servers), 'waiting for the answer')}"
        except socket.gaierror as error:
            raise ProbeError(f"server {server}: {explain_os_error(error, host)}", "dns") from None
        except OSError as error:
            note = f"{server}: {explain_os_error(error, host)}"
        except MessageError as error:
            note = f"{server}: the answer cannot be read: {error}"
    return note


def _observation(params: DnsParams, asked: Asked) -> Observation:
    reply = asked.reply
    records = [record for record in reply.records if record.kind == TYPES[params.record]]
    problems = _problems(params, asked, records)
    measurements = [
        Measurement("up", 0.0 if problems else 1.0, Unit.COUNT),
        Measurement("latency", asked.latency, Unit.SECONDS),
        Measurement("answers", float(len(records)), Unit.COUNT),
        Measurement("rcode", reply.rcode, Unit.TEXT),
        Measurement("truncated", float(asked.tcp and not params.tcp), Unit.COUNT),
    ]
    if records:
        measurements.append(Measurement("ttl", float(min(record.ttl for record in records)), Unit.SECONDS))
    if not problems:
        return Observation(tuple(measurements))
    lines = [f"{reply.rcode} from {asked.server}, {'' if reply.authoritative else 'not '}authoritative"]
    lines += [_line(record) for record in reply.records[:_SHOWN]]
    return Observation(tuple(measurements), (Evidence("answer", "\n".join(lines)[:2000]),), "; ".join(problems)[:500])


def _line(record: Record) -> str:
    kind = next((name for name, number in TYPES.items() if number == record.kind), f"TYPE{record.kind}")
    value = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in record.value)
    return f"{record.name} {record.ttl} {kind} {value[:300]}"


def _problems(params: DnsParams, asked: Asked, records: list[Record]) -> list[str]:
    rcode = asked.reply.rcode
    if rcode != params.rcode:
        if rcode == "NXDOMAIN":
            return [f"the name {params.asked_name} does not exist (NXDOMAIN)"]
        if params.rcode == "NXDOMAIN":
            return [
                f"the name {params.asked_name} exists" if rcode == "NOERROR" else f"{asked.server} answered {rcode}"
            ]
        return [f"{asked.server} answered {rcode}"]
    if params.rcode == "NXDOMAIN":
        return []
    if not records:
        return [f"{params.asked_name} has no {params.record} record"]
    return _unexpected(params, {normal(record.value, record.kind) for record in records})


def _unexpected(params: DnsParams, there: set[str]) -> list[str]:
    problems = []
    wanted = {normal(value, TYPES[params.record]) for value in params.expect}
    lacking, beside = sorted(wanted - there), sorted(there - wanted)
    if wanted and params.match == "any" and not wanted & there:
        problems.append(f"none of {', '.join(lacking)}, but {', '.join(beside)}")
    elif wanted and params.match != "any":
        if lacking:
            problems.append(f"no {', '.join(lacking)}")
        if beside and params.match == "exact":
            problems.append(f"{', '.join(beside)} is not expected")
    pattern = params.expect_pattern
    if pattern is not None and not any(search(pattern, value) for value in there):
        problems.append(f"no {params.record} record matches {pattern!r}")
    return problems
