"""What is kept of Deployments, StatefulSets and DaemonSets, brought to the same shape."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from healthd.probes.kubernetes.listing import Kind
from healthd.probes.kubernetes.values import moment

__all__ = ["REVISIONS", "WORKLOADS", "Revision", "Workload"]

_NONE: Mapping[str, Any] = {}


class Workload(NamedTuple):
    """How many pods it wants and has. `rolled_out`: when its template was last made to run, None if unknown."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    uid: str
    desired: int
    available: int
    ready: int
    updated: int
    generation_lag: int  # changes its controller has not seen yet
    images: tuple[str, ...]
    revision: str
    cause: str
    rolled_out: datetime | None
    stalled: bool
    paused: bool
    why: str

    @property
    def rolling_out(self) -> bool:
        """Whether a change has not reached every pod yet."""
        return self.updated < self.desired or self.generation_lag > 0


class Revision(NamedTuple):
    """A template a StatefulSet or DaemonSet has had."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    owner: str  # uid
    number: int
    created: datetime | None


def _read(item: dict[str, Any], status: Mapping[str, Any], **counts: Any) -> Workload:
    metadata, spec = item["metadata"], item.get("spec") or _NONE
    notes = metadata.get("annotations") or _NONE
    containers = ((spec.get("template") or _NONE).get("spec") or _NONE).get("containers") or ()
    known = {
        "revision": notes.get("deployment.kubernetes.io/revision", ""),
        "rolled_out": None,
        "stalled": False,
        "why": "",
    }
    return Workload(
        namespace=metadata["namespace"],
        name=metadata["name"],
        labels=metadata.get("labels") or _NONE,
        uid=metadata.get("uid", ""),
        generation_lag=max(0, metadata.get("generation", 0) - status.get("observedGeneration", 0)),
        images=tuple(c.get("image", "") for c in containers),
        cause=notes.get("kubernetes.io/change-cause", "")[:200],
        paused=bool(spec.get("paused")),
        **(known | counts),
    )


def _deployment(item: dict[str, Any]) -> Workload:
    status = item.get("status") or _NONE
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    progress = conditions.get("Progressing", _NONE)
    failures = [conditions.get("ReplicaFailure", _NONE), progress if progress.get("status") == "False" else _NONE]
    return _read(
        item,
        status,
        **_replicas(item, status),
        rolled_out=moment(progress.get("lastUpdateTime")),
        stalled=progress.get("reason") == "ProgressDeadlineExceeded",
        why=next((c["message"][:200] for c in failures if c.get("message")), ""),
    )


def _stateful_set(item: dict[str, Any]) -> Workload:
    status = item.get("status") or _NONE
    counts = _replicas(item, status)
    if "availableReplicas" not in status:  # servers before 1.22 say only what is ready
        counts["available"] = counts["ready"]
    return _read(item, status, **counts, revision=status.get("updateRevision") or "")


def _replicas(item: Mapping[str, Any], status: Mapping[str, Any]) -> dict[str, int]:
    return {
        "desired": (item.get("spec") or _NONE).get("replicas", 1),
        "available": status.get("availableReplicas", 0),
        "ready": status.get("readyReplicas", 0),
        "updated": status.get("updatedReplicas", 0),
    }


def _daemon_set(item: dict[str, Any]) -> Workload:
    status = item.get("status") or _NONE
    return _read(
        item,
        status,
        desired=status.get("desiredNumberScheduled", 0),
        available=status.get("numberAvailable", 0),
        ready=status.get("numberReady", 0),
        updated=status.get("updatedNumberScheduled", 0),
    )


def _revision(item: dict[str, Any]) -> Revision:
    metadata = item["metadata"]
    owner = next((o["uid"] for o in metadata.get("ownerReferences") or () if o.get("controller")), "")
    created = moment(metadata.get("creationTimestamp"))
    return Revision(metadata["namespace"], metadata["name"], _NONE, owner, item.get("revision", 0), created)


WORKLOADS: Mapping[str, Kind[Workload]] = {
    "Deployment": Kind("deployments", ("apps/v1",), _deployment),
    "StatefulSet": Kind("statefulsets", ("apps/v1",), _stateful_set),
    "DaemonSet": Kind("daemonsets", ("apps/v1",), _daemon_set),
}
REVISIONS: Kind[Revision] = Kind("controllerrevisions", ("apps/v1",), _revision)
