"""The certificate a server shows, measured whether or not it is acceptable."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, replace
from time import perf_counter

from healthd.probes.base import Resources
from healthd.probes.network import Stage
from healthd.probes.tls.params import TlsParams
from healthd.probes.tls.starttls import ask_for_tls
from healthd.probes.tls_options import TlsOptions, tls_context
from healthd.probes.tls_peer import opened, peer_chain, secure


@dataclass(frozen=True, slots=True)
class Peer:
    """What a server showed: DER certificates, leaf first. `refusal` says why they are not acceptable, if so."""

    chain: list[bytes]
    connect_time: float
    tls_time: float
    protocol: str
    refusal: ssl.SSLCertVerificationError | None = None


async def look_at(params: TlsParams, resources: Resources, stage: Stage) -> Peer:
    """Shake hands with verification; if that is refused, once more without, to see what was shown.

    The name is compared separately: a certificate for another name can still be a valid one.
    Raises ssl.SSLError, OSError, StartTlsError; ProbeError (kind config).
    """
    try:
        return await _shake(params, params, resources, stage)
    except ssl.SSLCertVerificationError as refusal:
        shown = await _shake(params, params.unverified(), resources, stage)
        return replace(shown, refusal=refusal)


async def _shake(params: TlsParams, trust: TlsOptions, resources: Resources, stage: Stage) -> Peer:
    context = await tls_context(trust, resources, check_hostname=False)
    assert params.host is not None
    began = perf_counter()
    async with opened(params.host, params.port, resources, family=params.ip, stage=stage) as (reader, writer):
        if params.starttls is not None:
            stage.doing = f"STARTTLS over {params.starttls}"
            await ask_for_tls(params.starttls, reader, writer)
        stage.doing = "TLS handshake"
        connected = perf_counter()
        peer = await secure(writer, context, params.expected_name or params.host)
        shaken = perf_counter()
        protocol = f"{peer.version()} {(peer.cipher() or ('',))[0]}"
        return Peer(peer_chain(peer), connected - began, shaken - connected, protocol)
