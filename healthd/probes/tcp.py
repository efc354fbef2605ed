"""The `tcp` probe: a port that must accept connections, and may have to say the right thing. See docs/probes/tcp.md."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from healthd.model.catalogue import Threshold
from healthd.model.outcomes import Evidence, Measurement, Observation
from healthd.model.redact import Redactor
from healthd.model.units import Unit
from healthd.probes.base import DOWN, MeasureInfo, Params, ProbeContext
from healthd.probes.network import FAMILIES, IpFamily, Stage, patience, shared_resolver
from healthd.probes.patterns import apart_if_costly, regular_expression, search
from healthd.probes.tls_errors import explain_failure
from healthd.probes.tls_options import TlsOptions, tls_context
from healthd.probes.tls_peer import opened_at, secure

_HEARD_MAX = 65_536  # bytes looked at for `expect`
_HEARD_SHOWN = 200


def _tls(value: Any) -> Any:
    return {} if value is True else None if value is False else value


class TcpParams(Params):
    """Parameters of the `tcp` probe."""

    host: str = Field(min_length=1)
    port: int = Field(ge=1, le=65535)
    ip: IpFamily = "any"
    tls: Annotated[TlsOptions | None, BeforeValidator(_tls, json_schema_input_type=TlsOptions | bool | None)] = None
    send: SecretStr | None = None
    expect: Annotated[str, AfterValidator(regular_expression)] | None = None

    @model_validator(mode="after")
    def _not_a_url(self) -> TcpParams:
        if "/" in self.host:
            raise ValueError(f"host is a name or address, not a URL: {self.host!r}")
        return self


@dataclass(slots=True)
class _Talk:
    """What has been measured and heard so far: a failure keeps it."""

    stage: Stage = field(default_factory=Stage)
    heard: bytes = b""
    measurements: list[Measurement] = field(default_factory=list)

    def add(self, name: str, value: float, unit: Unit = Unit.SECONDS) -> None:
        self.measurements.append(Measurement(name, value, unit))


class TcpProbe:
    """Connect, optionally shake hands, say something and wait for the expected answer."""

    Params: ClassVar[type[Params]] = TcpParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "up": MeasureInfo(Unit.COUNT, "1 when connected, with TLS if asked for, and the expected answer came"),
        "latency": MeasureInfo(Unit.SECONDS, "TCP connection, without the name lookup"),
        "dns_time": MeasureInfo(Unit.SECONDS, "name lookup; 0 for a name known for less than 10 s"),
        "tls_time": MeasureInfo(Unit.SECONDS, "TLS handshake; only with `tls`"),
        "tls_days_left": MeasureInfo(Unit.DAYS, "until the server's certificate expires; only with `tls`"),
        "response_time": MeasureInfo(Unit.SECONDS, "from connected (and sent) to the expected answer"),
        "matched": MeasureInfo(Unit.COUNT, "1 when the answer matched, otherwise 0; only with `expect`"),
    }
    defaults: ClassVar[tuple[Threshold, ...]] = (DOWN,)

    def measures_for(self, params: TcpParams) -> Mapping[str, MeasureInfo]:
        """All of them."""
        return self.measures

    async def run(self, params: TcpParams, context: ProbeContext) -> Observation:
        """Connect once. Whatever the server does wrong is `up` 0 with a note that names it."""
        talk = _Talk()
        try:
            async with asyncio.timeout(patience(context.timeout)):
                note = await _converse(params, context, talk)
        except OSError as error:
            note = explain_failure(error, params.host, context.timeout, talk.stage.doing)
        return _observation(params, talk, note)


async def _converse(params: TcpParams, context: ProbeContext, talk: _Talk) -> str:
    resolver = await shared_resolver(context.resources)
    trust = await tls_context(params.tls, context.resources) if params.tls is not None else None
    began = perf_counter()
    addresses = await resolver.lookup(params.host, params.port, FAMILIES[params.ip])
    talk.stage.doing = "connecting"
    looked_up = perf_counter()
    async with opened_at(addresses, _HEARD_MAX) as (reader, writer):
        talk.add("dns_time", looked_up - began)
        talk.add("latency", perf_counter() - looked_up)
        if trust is not None:
            talk.stage.doing = "TLS handshake"
            began = perf_counter()
            peer = await secure(writer, trust, _expected_name(params))
            talk.add("tls_time", perf_counter() - began)
            _look_at_certificate(peer, talk, context)
        talk.stage.doing = "waiting for the expected answer"
        return await _listen(params, reader, writer, talk)


def _expected_name(params: TcpParams) -> str:
    return (params.tls.server_name if params.tls is not None else None) or params.host


def _look_at_certificate(peer: ssl.SSLObject, talk: _Talk, context: ProbeContext) -> None:
    from healthd.probes.certificates import days_left, load

    if der := peer.getpeercert(binary_form=True):
        talk.add("tls_days_left", days_left(load(der), context.now), Unit.DAYS)


async def _listen(params: TcpParams, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, talk: _Talk) -> str:
    """Say and hear; returns the note: empty when all is as expected."""
    began = perf_counter()
    if params.send is not None:
        writer.write(params.send.get_secret_value().encode())
        await writer.drain()
    if params.expect is None:
        return ""
    while not await _found(params.expect, talk.heard.decode("utf-8", "replace")):
        if len(talk.heard) >= _HEARD_MAX:
            return f"the first {_HEARD_MAX} bytes do not match {params.expect!r}"
        part = await reader.read(_HEARD_MAX - len(talk.heard))
        if not part:
            return "the server closed the connection " + ("after another answer" if talk.heard else "without a word")
        talk.heard += part
    talk.add("response_time", perf_counter() - began)
    return ""


async def _found(pattern: str, text: str) -> bool:
    return await apart_if_costly([(pattern, len(text))], partial(search, pattern, text)) is not None


def _observation(params: TcpParams, talk: _Talk, note: str) -> Observation:
    talk.add("up", 0.0 if note else 1.0, Unit.COUNT)
    connected = any(m.name == "latency" for m in talk.measurements)
    if params.expect is not None and connected:
        talk.add("matched", 0.0 if note else 1.0, Unit.COUNT)
    evidence: tuple[Evidence, ...] = ()
    if note and talk.heard:
        redact = Redactor([params.send.get_secret_value()] if params.send is not None else [])
        text = redact(talk.heard[:4000].decode("utf-8", "replace"))
        shown = "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
        evidence = (Evidence("heard", shown[:_HEARD_SHOWN]),)
    return Observation(tuple(talk.measurements), evidence, note)
