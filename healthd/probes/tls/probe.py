"""The `tls` probe itself. See docs/probes/tls.md."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import Evidence, Level, Measurement, Observation, ProbeError
from healthd.model.units import Unit
from healthd.probes.base import DOWN, MeasureInfo, Params, ProbeContext
from healthd.probes.blocking import blocking_calls
from healthd.probes.network import Stage, patience
from healthd.probes.tls.params import TlsParams

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from healthd.probes.tls.remote import Peer


class TlsProbe:
    """How long a certificate still holds, for whom, and whether clients would accept it."""

    Params: ClassVar[type[Params]] = TlsParams
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "up": MeasureInfo(Unit.COUNT, "1 when a certificate could be seen, acceptable or not; otherwise 0"),
        "days_left": MeasureInfo(Unit.DAYS, "until the certificate itself expires; negative afterwards"),
        "chain_days_left": MeasureInfo(Unit.DAYS, "until the first certificate of the chain expires"),
        "chain_valid": MeasureInfo(Unit.COUNT, "1 when the chain leads to a trusted root and nothing expired (remote)"),
        "hostname_valid": MeasureInfo(Unit.COUNT, "1 when the certificate is for the expected name"),
        "self_signed": MeasureInfo(Unit.COUNT, "1 when the certificate vouches for itself"),
        "chain_length": MeasureInfo(Unit.COUNT, "certificates sent, or in the file"),
        "connect_time": MeasureInfo(Unit.SECONDS, "name lookup, TCP connection and STARTTLS (remote)"),
        "tls_time": MeasureInfo(Unit.SECONDS, "TLS handshake (remote)"),
    }
    # absent where it cannot be known: in a file, or with `insecure`
    defaults: ClassVar[tuple[Threshold, ...]] = (
        DOWN,
        Threshold("chain_valid", critical=parse_condition("= 0"), name="chain_valid", missing=Level.OK),
        Threshold("hostname_valid", critical=parse_condition("= 0"), name="hostname_valid", missing=Level.OK),
    )

    def measures_for(self, params: TlsParams) -> Mapping[str, MeasureInfo]:
        """All of them."""
        return self.measures

    async def run(self, params: TlsParams, context: ProbeContext) -> Observation:
        """Look once. A server that cannot be reached is `up` 0; a file that may not be read is a ProbeError."""
        if params.file is not None:
            return await _on_disk(params, params.file, context)
        return await _remote(params, context)


async def _remote(params: TlsParams, context: ProbeContext) -> Observation:
    from healthd.probes.certificates import load
    from healthd.probes.tls.remote import look_at
    from healthd.probes.tls.starttls import StartTlsError
    from healthd.probes.tls_errors import explain_failure

    assert params.host is not None
    stage = Stage()
    try:
        async with asyncio.timeout(patience(context.timeout)):
            peer = await look_at(params, context.resources, stage)
        chain = [load(der) for der in peer.chain]
    except OSError as error:
        return _down(explain_failure(error, params.host, context.timeout, stage.doing))
    except StartTlsError as error:
        return _down(str(error))
    except ValueError:
        return _down("the server sent a certificate that cannot be read")
    if not chain:
        return _down("the server showed no certificate")
    return _seen(params, peer, chain, context)


def _down(note: str) -> Observation:
    return Observation((Measurement("up", 0.0, Unit.COUNT),), (), note)


def _seen(params: TlsParams, peer: Peer, chain: list[Certificate], context: ProbeContext) -> Observation:
    from healthd.probes.tls_errors import explain_verification

    measurements, problems = _measure(params, chain, context, "")
    measurements += [
        Measurement("up", 1.0, Unit.COUNT),
        Measurement("connect_time", peer.connect_time, Unit.SECONDS),
        Measurement("tls_time", peer.tls_time, Unit.SECONDS),
    ]
    if not params.insecure:
        measurements.append(Measurement("chain_valid", 0.0 if peer.refusal else 1.0, Unit.COUNT))
    if peer.refusal is not None:
        problems.insert(0, explain_verification(peer.refusal, params.expected_name or ""))
    evidence = (*_describe(chain, context, ""), Evidence("protocol", peer.protocol))
    return Observation(tuple(measurements), evidence, "; ".join(problems))


async def _on_disk(params: TlsParams, pattern: str, context: ProbeContext) -> Observation:
    calls = await blocking_calls(context)
    try:
        return await calls.call(pattern, lambda _: _files(params, pattern, context), patience(context.timeout))
    except TimeoutError:
        raise ProbeError(f"{pattern}: the file system does not answer", kind="timeout") from None


def _files(params: TlsParams, pattern: str, context: ProbeContext) -> Observation:
    from healthd.probes.tls.pem import NotPemError, matching, read_chain

    paths = matching(pattern)
    if not paths:
        return _down(f"no file matches {pattern}")
    measurements: list[Measurement] = []
    evidence: list[Evidence] = []
    notes: list[str] = []
    for path, series in zip(paths, _series(paths), strict=True):
        try:
            chain = read_chain(path, context.limits.max_body_bytes)
        except NotPemError as error:
            measurements.append(Measurement("up", 0.0, Unit.COUNT, series))
            notes.append(str(error))
            continue
        measured, problems = _measure(params, chain, context, series)
        measurements += [Measurement("up", 1.0, Unit.COUNT, series), *measured]
        evidence += _describe(chain, context, series)
        notes += [f"{series or path}: {problem}" for problem in problems]
    return Observation(tuple(measurements), tuple(evidence[:5]), "; ".join(notes[:4]))


def _series(paths: list[Path]) -> list[str]:
    """Nothing for one file; file names for several, whole paths where names repeat."""
    if len(paths) == 1:
        return [""]
    names = [path.name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _measure(
    params: TlsParams, chain: list[Certificate], context: ProbeContext, series: str
) -> tuple[list[Measurement], list[str]]:
    from healthd.probes.certificates import days_left, expiry, is_for, is_self_signed, names

    leaf = chain[0]
    left = days_left(leaf, context.now)
    measurements = [
        Measurement("days_left", left, Unit.DAYS, series),
        Measurement("chain_days_left", min(days_left(c, context.now) for c in chain), Unit.DAYS, series),
        Measurement("self_signed", float(is_self_signed(leaf)), Unit.COUNT, series),
        Measurement("chain_length", float(len(chain)), Unit.COUNT, series),
    ]
    problems = [expiry(leaf, context.now)] if left < 0 or context.now < leaf.not_valid_before_utc else []
    if (name := params.expected_name) is not None:
        fits = is_for(leaf, name)
        measurements.append(Measurement("hostname_valid", float(fits), Unit.COUNT, series))
        if not fits:
            hosts, addresses = names(leaf)
            problems.append(f"certificate is for {', '.join([*hosts, *addresses][:5]) or 'no name'}, not for {name}")
    return measurements, problems


def _describe(chain: list[Certificate], context: ProbeContext, series: str) -> list[Evidence]:
    from healthd.probes.certificates import chain_order, describe

    title = f"certificate {series}".strip()
    evidence = [Evidence(title, describe(chain[0], context.now)[: context.limits.max_evidence_chars])]
    if len(chain) > 1:
        evidence.append(Evidence(f"chain {series}".strip(), chain_order(chain[:10])))
    return evidence
