"""What metrics-server says of nodes and pods: the numbers of `kubectl top`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from healthd.probes.kubernetes.listing import Kind
from healthd.probes.kubernetes.values import moment, quantity

__all__ = ["NODE_USAGE", "POD_USAGE", "NodeUsage", "PodUsage", "Used"]

_VERSIONS = ("metrics.k8s.io/v1beta1",)
_ABSENT = "the cluster serves no metrics.k8s.io: metrics-server is not installed, or not available"
_NONE: Mapping[str, str] = {}


class Used(NamedTuple):
    """Cores and bytes."""

    cpu: float
    memory: float


class NodeUsage(NamedTuple):
    """What a node uses."""

    name: str
    labels: Mapping[str, str]
    at: datetime | None
    used: Used


class PodUsage(NamedTuple):
    """What each container of a pod uses."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    at: datetime | None
    containers: Mapping[str, Used]


def _used(usage: Mapping[str, Any]) -> Used:
    return Used(quantity(usage.get("cpu")) or 0.0, quantity(usage.get("memory")) or 0.0)


def _node(item: dict[str, Any]) -> NodeUsage:
    return NodeUsage(item["metadata"]["name"], _NONE, moment(item.get("timestamp")), _used(item["usage"]))


def _pod(item: dict[str, Any]) -> PodUsage:
    metadata = item["metadata"]
    containers = {c["name"]: _used(c["usage"]) for c in item.get("containers") or ()}
    return PodUsage(metadata["namespace"], metadata["name"], _NONE, moment(item.get("timestamp")), containers)


NODE_USAGE: Kind[NodeUsage] = Kind("nodes", _VERSIONS, _node, absent=_ABSENT)
POD_USAGE: Kind[PodUsage] = Kind("pods", _VERSIONS, _pod, absent=_ABSENT)
