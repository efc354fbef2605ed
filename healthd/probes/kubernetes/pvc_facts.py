"""What is kept of PersistentVolumeClaims, and of what kubelets say of the volumes they have mounted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from healthd.probes.base import ProbeContext, ProbeError
from healthd.probes.kubernetes.access import Rule
from healthd.probes.kubernetes.cluster import Cluster, cluster_of, within
from healthd.probes.kubernetes.listing import Kind
from healthd.probes.kubernetes.params import ClusterParams
from healthd.probes.kubernetes.values import moment, quantity

__all__ = ["CLAIMS", "SUMMARY_RULE", "Claim", "Filled", "volumes_of"]

_SUMMARY_MAX = 20_000_000  # bytes; about 10 kB for each pod of a node
SUMMARY_RULE = Rule("get", "nodes/proxy")
_NONE: Mapping[str, Any] = {}


class Claim(NamedTuple):
    """A claim. `phase` is Pending, Bound or Lost; `size` in bytes, as given or else as asked for."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    phase: str
    storage_class: str
    size: float | None
    created: datetime | None
    resizing: str


class Filled(NamedTuple):
    """How full a volume is: bytes and inodes, used and in all."""

    used: float
    capacity: float
    inodes_used: float
    inodes: float


def _claim(item: dict[str, Any]) -> Claim:
    metadata, spec, status = item["metadata"], item.get("spec") or _NONE, item.get("status") or _NONE
    asked = ((spec.get("resources") or _NONE).get("requests") or _NONE).get("storage")
    conditions = [c["type"] for c in status.get("conditions") or () if c.get("status") == "True"]
    return Claim(
        metadata["namespace"],
        metadata["name"],
        metadata.get("labels") or _NONE,
        status.get("phase") or "Pending",
        spec.get("storageClassName") or "",
        quantity((status.get("capacity") or _NONE).get("storage") or asked),
        moment(metadata.get("creationTimestamp")),
        ", ".join(conditions),
    )


CLAIMS: Kind[Claim] = Kind("persistentvolumeclaims", ("v1",), _claim)


async def volumes_of(node: str, params: ClusterParams, context: ProbeContext) -> dict[tuple[str, str], Filled]:
    """(namespace, claim) -> how full, of the volumes a node has mounted. Raises ProbeError."""
    key = ("kubernetes", params.kubeconfig, params.context, "summary", node)

    async def ask() -> dict[tuple[str, str], Filled]:
        cluster = await cluster_of(params, context)
        what = f"asking node {node} for its summary"
        return await cluster.recent(key, lambda: within(context, cluster, what, _summary(cluster, node)))

    return await context.once(key, ask)


async def _summary(cluster: Cluster, node: str) -> dict[tuple[str, str], Filled]:
    path = f"/api/v1/nodes/{node}/proxy/stats/summary"
    async with cluster.open(path, {}, rule=SUMMARY_RULE) as response:
        parts: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_any():
            parts.append(chunk)
            size += len(chunk)
            if size > _SUMMARY_MAX:
                raise ProbeError(f"the summary of node {node} is larger than {_SUMMARY_MAX // 10**6} MB", "limit")
    try:
        return _read_summary(json.loads(b"".join(parts)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ProbeError(f"node {node} did not answer with a kubelet's summary", "protocol") from None


def _read_summary(summary: Mapping[str, Any]) -> dict[tuple[str, str], Filled]:
    found: dict[tuple[str, str], Filled] = {}
    for pod in summary.get("pods") or ():
        for volume in pod.get("volume") or ():
            claim = volume.get("pvcRef")
            if claim and volume.get("capacityBytes"):
                numbers = (float(volume.get(k) or 0) for k in ("usedBytes", "capacityBytes", "inodesUsed", "inodes"))
                found[claim["namespace"], claim["name"]] = Filled(*numbers)
    return found
