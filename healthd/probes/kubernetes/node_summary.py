"""What a node's kubelet says of its disks, its network and the volumes it has mounted: /stats/summary."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from healthd.probes.base import ProbeContext, ProbeError
from healthd.probes.kubernetes.access import Rule
from healthd.probes.kubernetes.cluster import Cluster, cluster_of, within
from healthd.probes.kubernetes.params import ClusterParams

__all__ = ["SUMMARY_RULE", "Filled", "Network", "Summary", "summaries"]

_SUMMARY_MAX = 20_000_000  # bytes; about 10 kB for each pod of a node
SUMMARY_RULE = Rule("get", "nodes/proxy")


class Filled(NamedTuple):
    """How full a volume or file system is: bytes and inodes, used and in all."""

    used: float
    capacity: float
    inodes_used: float
    inodes: float


class Network(NamedTuple):
    """Of the node's interfaces since they came up."""

    received: float  # bytes
    sent: float
    errors: float


class Summary(NamedTuple):
    """`volumes`: (namespace, claim) -> how full. `disk` holds the kubelet's files, `images` those of containers."""

    volumes: Mapping[tuple[str, str], Filled]
    disk: Filled | None
    images: Filled | None
    network: Network | None


async def summaries(
    nodes: Iterable[str], params: ClusterParams, context: ProbeContext
) -> tuple[dict[str, Summary], list[str]]:
    """What each node says, and why some did not. Raises ProbeError where none may be asked."""
    names = sorted(nodes)
    answers = await asyncio.gather(*(_summary(name, params, context) for name in names), return_exceptions=True)
    found: dict[str, Summary] = {}
    silent: list[str] = []
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, ProbeError) and answer.kind not in ("auth", "forbidden"):
            silent.append(answer.reason)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            found[name] = answer
    return found, silent


async def _summary(node: str, params: ClusterParams, context: ProbeContext) -> Summary:
    key = ("kubernetes", params.kubeconfig, params.context, "summary", node)

    async def ask() -> Summary:
        cluster = await cluster_of(params, context)
        what = f"asking node {node} for its summary"
        return await cluster.recent(key, lambda: within(context, cluster, what, _ask(cluster, node)))

    return await context.once(key, ask)


async def _ask(cluster: Cluster, node: str) -> Summary:
    path = f"/api/v1/nodes/{node}/proxy/stats/summary"
    async with cluster.open(path, {}, rule=SUMMARY_RULE) as response:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > _SUMMARY_MAX:
                raise ProbeError(f"the summary of node {node} is larger than {_SUMMARY_MAX // 10**6} MB", "limit")
    try:
        return _read(json.loads(bytes(body)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ProbeError(f"node {node} did not answer with a kubelet's summary", "protocol") from None


def _read(summary: Mapping[str, Any]) -> Summary:
    volumes: dict[tuple[str, str], Filled] = {}
    for pod in summary.get("pods") or ():
        for volume in pod.get("volume") or ():
            claim, filled = volume.get("pvcRef"), _filled(volume)
            if claim and filled is not None:
                volumes[claim["namespace"], claim["name"]] = filled
    node = summary.get("node") or {}
    images = (node.get("runtime") or {}).get("imageFs")
    return Summary(volumes, _filled(node.get("fs")), _filled(images), _network(node.get("network")))


def _filled(part: Mapping[str, Any] | None) -> Filled | None:
    if not part or not part.get("capacityBytes"):
        return None
    return Filled(*(float(part.get(key) or 0) for key in ("usedBytes", "capacityBytes", "inodesUsed", "inodes")))


def _network(part: Mapping[str, Any] | None) -> Network | None:
    interfaces = (part or {}).get("interfaces") or ([part] if part else [])
    if not interfaces:
        return None
    totals = {k: sum(float(i.get(k) or 0) for i in interfaces) for k in ("rxBytes", "txBytes", "rxErrors", "txErrors")}
    return Network(totals["rxBytes"], totals["txBytes"], totals["rxErrors"] + totals["txErrors"])
