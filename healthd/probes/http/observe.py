"""What an exchange, or its failure, looks like to the rest of the house: measurements, evidence, note."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from healthd.model.outcomes import Evidence, Measurement, Observation, ProbeError
from healthd.model.units import Unit, format_value
from healthd.probes.base import ProbeContext
from healthd.probes.http.assertions import decode, examine
from healthd.probes.http.exchange import Answer, Trail
from healthd.probes.http.failures import explain
from healthd.probes.http.params import HttpParams, RequestParams
from healthd.probes.http.timings import Timings
from healthd.probes.tls_options import tls_context

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_BODY_SHOWN = 500
_HEADERS_SHOWN = ("Content-Type", "Content-Length", "Server", "Location", "Retry-After", "Via", "WWW-Authenticate")


def answered(params: HttpParams, answer: Answer, trail: Trail, timings: Timings, context: ProbeContext) -> Observation:
    """The observation of a final response; note and evidence only where something is not as expected."""
    found = examine(params, answer)
    measurements = [
        Measurement("up", 0.0 if found.problems else 1.0, Unit.COUNT),
        Measurement("latency", answer.latency, Unit.SECONDS),
        Measurement("status", float(answer.status), Unit.COUNT),
        Measurement("dns_time", timings.dns, Unit.SECONDS),
        Measurement("connect_time", timings.connect, Unit.SECONDS),
        Measurement("first_byte_time", trail.first_byte, Unit.SECONDS),
        Measurement("transfer_time", answer.transfer, Unit.SECONDS),
        Measurement("body_size", float(len(answer.body)), Unit.BYTES),
        Measurement("redirects", float(len(trail.hops)), Unit.COUNT),
        *found.measurements,
    ]
    if trail.request.url.scheme == "https":
        measurements.extend(_tls(timings, context))
    if not found.problems and not found.gaps:
        return Observation(tuple(measurements))
    note = trail.request.redact("; ".join((found.problems + found.gaps)[:4]))
    return Observation(tuple(measurements), (*redirects(trail), *response(trail, answer)), note)


async def failed(
    error: Exception, params: RequestParams, trail: Trail, timings: Timings, context: ProbeContext
) -> Observation:
    """The observation of an exchange that did not come to an end. A refused certificate is looked at all the same."""
    note = explain(error, trail, timings, context.timeout)
    measurements = [Measurement("up", 0.0, Unit.COUNT)]
    evidence = redirects(trail)
    if isinstance(error, ssl.SSLCertVerificationError) and params.proxy is None:
        refused = await _refused_certificate(params, trail, context)
        if refused is not None:
            from healthd.probes.certificates import days_left, describe, expiry

            measurements.append(Measurement("tls_days_left", days_left(refused, context.now), Unit.DAYS))
            evidence.append(Evidence("certificate", describe(refused, context.now)))
            note += f" ({expiry(refused, context.now)})"
    return Observation(tuple(measurements), tuple(evidence), note)


async def _refused_certificate(params: RequestParams, trail: Trail, context: ProbeContext) -> Certificate | None:
    from healthd.probes.certificates import load
    from healthd.probes.tls_peer import opened, secure

    url = trail.request.url
    try:
        async with (
            asyncio.timeout(min(2.0, context.timeout.total_seconds() / 4)),
            opened(url.host or "", url.port or 443, context.resources, family=params.ip) as (_, writer),
        ):
            unverified = await tls_context(params.tls.unverified(), context.resources)
            peer = await secure(writer, unverified, params.tls.server_name or url.host or "")
            der = peer.getpeercert(binary_form=True)
            return load(der) if der else None
    except (OSError, ValueError, ProbeError):
        return None  # it was only to say more


def _tls(timings: Timings, context: ProbeContext) -> list[Measurement]:
    from healthd.probes.certificates import days_left, load

    measurements = [Measurement("tls_time", timings.tls, Unit.SECONDS)]
    if timings.certificate is not None:
        days = days_left(load(timings.certificate), context.now)
        measurements.append(Measurement("tls_days_left", days, Unit.DAYS))
    return measurements


def redirects(trail: Trail) -> list[Evidence]:
    """The evidence of where an exchange was sent on to."""
    if not trail.hops:
        return []
    lines = [f"{status} from {request.shown}" for status, request in trail.hops]
    return [Evidence("redirects", trail.request.redact("\n".join([*lines, f"then {trail.request.shown}"])))]


def response(trail: Trail, answer: Answer) -> list[Evidence]:
    """The evidence of an answer: status, a few headers, the beginning of the body; without the request's secrets."""
    redact = trail.request.redact
    headers = [f"{name}: {answer.headers[name]}" for name in _HEADERS_SHOWN if name in answer.headers]
    size = format_value(len(answer.body), Unit.BYTES) + (" or more" if answer.cut else "")
    lines = [f"{answer.status} {answer.reason}".rstrip(), *headers, f"body: {size}"]
    evidence = [Evidence("response", redact("\n".join(lines)))]
    text = "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in decode(answer)[:4000])
    if text:  # redacted before it is shortened: half a secret is no longer recognised
        evidence.append(Evidence("body", redact(text)[:_BODY_SHOWN]))
    return evidence
