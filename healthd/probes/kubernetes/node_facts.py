"""What is kept of a node."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from healthd.probes.kubernetes.listing import Kind
from healthd.probes.kubernetes.values import moment, quantity

__all__ = ["NODES", "Condition", "Node"]


class Condition(NamedTuple):
    """What a node says about itself. `status` is True, False or Unknown (the kubelet is silent)."""

    status: str
    why: str
    since: datetime | None


class Node(NamedTuple):
    """What is kept of a node; cores and bytes."""

    name: str
    labels: Mapping[str, str]
    created: datetime | None
    cordoned: bool
    version: str
    conditions: Mapping[str, Condition]
    cpu: float | None  # allocatable
    memory: float | None
    cpu_capacity: float | None
    memory_capacity: float | None

    @property
    def ready(self) -> str:
        """True, False or Unknown."""
        condition = self.conditions.get("Ready")
        return condition.status if condition is not None else "Unknown"


def _read(node: dict[str, Any]) -> Node:
    metadata, status = node["metadata"], node.get("status") or {}
    free, capacity = status.get("allocatable") or {}, status.get("capacity") or {}
    return Node(
        metadata["name"],
        metadata.get("labels") or {},
        moment(metadata.get("creationTimestamp")),
        bool((node.get("spec") or {}).get("unschedulable")),
        (status.get("nodeInfo") or {}).get("kubeletVersion", ""),
        {c["type"]: _condition(c) for c in status.get("conditions") or ()},
        quantity(free.get("cpu")),
        quantity(free.get("memory")),
        quantity(capacity.get("cpu")),
        quantity(capacity.get("memory")),
    )


def _condition(condition: Mapping[str, Any]) -> Condition:
    why = ": ".join(str(condition[k])[:200] for k in ("reason", "message") if condition.get(k))
    return Condition(condition["status"], why, moment(condition.get("lastTransitionTime")))


NODES: Kind[Node] = Kind("nodes", ("v1",), _read)
