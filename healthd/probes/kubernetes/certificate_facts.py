"""What is kept of cert-manager's Certificates and of TLS secrets: never a key."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from healthd.probes.base import ProbeContext, ProbeError
from healthd.probes.kubernetes.access import Rule
from healthd.probes.kubernetes.cluster import Cluster, cluster_of, within
from healthd.probes.kubernetes.errors import RefusedError
from healthd.probes.kubernetes.listing import Kind
from healthd.probes.kubernetes.params import ClusterParams
from healthd.probes.kubernetes.values import moment

__all__ = ["CERTIFICATES", "TLS_SECRETS", "Certificate", "get_secret"]

_NONE: Mapping[str, Any] = {}
_SECRET_MAX = 4_000_000  # bytes; a secret has at most 1 MB


class Certificate(NamedTuple):
    """A certificate. `until` is None where there is none yet, or it cannot be read. `why` says what is wrong."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    ready: bool
    until: datetime | None
    renew_at: datetime | None
    hosts: tuple[str, ...]
    why: str


def _certificate(item: dict[str, Any]) -> Certificate:
    metadata, status = item["metadata"], item.get("status") or _NONE
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    ready = conditions.get("Ready", _NONE)
    why = ": ".join(str(ready[key])[:200] for key in ("reason", "message") if ready.get(key))
    return Certificate(
        metadata["namespace"],
        metadata["name"],
        metadata.get("labels") or _NONE,
        ready.get("status") == "True",
        moment(status.get("notAfter")),
        moment(status.get("renewalTime")),
        tuple((item.get("spec") or _NONE).get("dnsNames") or ()),
        "" if ready.get("status") == "True" else why or "not issued yet",
    )


def _secret(item: dict[str, Any]) -> Certificate:
    """Only `tls.crt` is looked at; the rest is dropped with the answer."""
    from cryptography import x509

    from healthd.probes.certificates import names

    metadata = item["metadata"]
    place = metadata["namespace"], metadata["name"], metadata.get("labels") or _NONE
    try:
        pem = base64.b64decode((item.get("data") or _NONE).get("tls.crt") or "", validate=True)
        leaf = x509.load_pem_x509_certificates(pem)[0]
    except (ValueError, binascii.Error, TypeError, IndexError):
        return Certificate(*place, False, None, None, (), "tls.crt holds no certificate")
    return Certificate(*place, True, leaf.not_valid_after_utc, None, tuple(names(leaf)[0]), "")


CERTIFICATES: Kind[Certificate] = Kind(
    "certificates",
    ("cert-manager.io/v1",),
    _certificate,
    absent="the cluster serves no cert-manager.io/v1: cert-manager is not installed",
)
TLS_SECRETS: Kind[Certificate] = Kind("secrets", ("v1",), _secret, query=(("fieldSelector", "type=kubernetes.io/tls"),))


async def get_secret(namespace: str, name: str, params: ClusterParams, context: ProbeContext) -> Certificate | None:
    """The certificate in one secret; None where there is no such secret. Raises ProbeError."""
    key = ("kubernetes", params.kubeconfig, params.context, "secret", namespace, name)

    async def ask() -> Certificate | None:
        cluster = await cluster_of(params, context)
        what = f"getting secret {name} in namespace {namespace}"
        return await cluster.recent(key, lambda: within(context, cluster, what, _get(cluster, namespace, name)))

    return await context.once(key, ask)


async def _get(cluster: Cluster, namespace: str, name: str) -> Certificate | None:
    path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
    try:
        async with cluster.open(path, {}, rule=Rule("get", "secrets", "", namespace, name)) as response:
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > _SECRET_MAX:
                    raise ProbeError(f"secret {name} is larger than a secret can be", "protocol")
        return _secret(json.loads(bytes(body)))
    except RefusedError as refused:
        if refused.status == 404:
            return None
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ProbeError(f"{cluster.server} did not answer with a secret", "protocol") from None
