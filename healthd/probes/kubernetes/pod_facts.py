"""What is kept of a pod: what the probes ask about, a small part of what the API server sends."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from healthd.probes.kubernetes.listing import Kind
from healthd.probes.kubernetes.values import moment, quantity

__all__ = ["PODS", "Container", "Exit", "Pod"]

_NONE: Mapping[str, Any] = {}


class Exit(NamedTuple):
    """How a container ended."""

    reason: str
    code: int
    at: datetime | None


class Container(NamedTuple):
    """A container, its requests and limits (cores, bytes; None: not set) and what became of it so far."""

    name: str
    restarts: int = 0
    ready: bool = False
    running: bool = False
    waiting: str = ""  # the reason: CrashLoopBackOff
    exits: tuple[Exit, ...] = ()  # the newest first, at most two are known
    cpu_request: float | None = None
    cpu_limit: float | None = None
    memory_request: float | None = None
    memory_limit: float | None = None
    init: bool = False


class Pod(NamedTuple):
    """`owner` is "Deployment/web": what people think of as its owner. `why` is the server's reason for its phase."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    owner: str
    node: str
    phase: str
    ready: bool
    why: str
    created: datetime | None
    terminating_since: datetime | None
    containers: tuple[Container, ...]
    claims: tuple[str, ...]
    plain: bool  # running and ready, and nothing ever happened to its containers: most pods, seen quickly


def _read(pod: dict[str, Any]) -> Pod:
    metadata, spec, status = pod["metadata"], pod.get("spec") or _NONE, pod.get("status") or _NONE
    labels = metadata.get("labels") or _NONE
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    ready = conditions.get("Ready", _NONE).get("status") == "True"
    phase, leaving = status.get("phase") or "Unknown", moment(metadata.get("deletionTimestamp"))
    containers = _containers(spec, status)
    return Pod(
        metadata.get("namespace", ""),
        metadata["name"],
        labels,
        _owner(metadata, labels),
        spec.get("nodeName") or "",
        phase,
        ready,
        _why(status, conditions),
        moment(metadata.get("creationTimestamp")),
        leaving,
        containers,
        _claims(spec),
        ready and phase == "Running" and leaving is None and not any(map(_eventful, containers)),
    )


def _owner(metadata: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    owner = next((o for o in metadata.get("ownerReferences") or () if o.get("controller")), None)
    if owner is None:
        return ""
    kind, name = owner["kind"], owner["name"]
    template = labels.get("pod-template-hash")
    if kind == "ReplicaSet" and template and name.endswith(f"-{template}"):
        return f"Deployment/{name.removesuffix(f'-{template}')}"
    if kind == "Job" and (made := re.fullmatch(r"(.+)-\d{8,10}", name)):  # the minute or second it was due
        return f"CronJob/{made[1]}"
    return f"{kind}/{name}"


def _why(status: Mapping[str, Any], conditions: Mapping[str, Mapping[str, Any]]) -> str:
    """Evicted; Unschedulable: 0/3 nodes are available; NodeLost."""
    reason, message = status.get("reason") or "", status.get("message") or ""
    scheduled = conditions.get("PodScheduled", _NONE)
    if not reason and scheduled.get("status") == "False":
        reason, message = scheduled.get("reason") or "", scheduled.get("message") or ""
    return ": ".join(part for part in (reason, message[:200]) if part)


def _containers(spec: Mapping[str, Any], status: Mapping[str, Any]) -> tuple[Container, ...]:
    states = {s["name"]: s for s in status.get("containerStatuses") or ()}
    found = [_container(c, states.get(c["name"], _NONE)) for c in spec.get("containers") or ()]
    if spec.get("initContainers"):
        first = {s["name"]: s for s in status.get("initContainerStatuses") or ()}
        found += [_container(c, first.get(c["name"], _NONE))._replace(init=True) for c in spec["initContainers"]]
    return tuple(found)


def _container(spec: Mapping[str, Any], status: Mapping[str, Any]) -> Container:
    resources = spec.get("resources") or _NONE
    requests, limits = resources.get("requests") or _NONE, resources.get("limits") or _NONE
    state = status.get("state") or _NONE
    return Container(
        spec["name"],
        status.get("restartCount", 0),
        bool(status.get("ready")),
        "running" in state,
        (state.get("waiting") or _NONE).get("reason") or "",
        _exits(state, status.get("lastState") or _NONE),
        quantity(requests.get("cpu")),
        quantity(limits.get("cpu")),
        quantity(requests.get("memory")),
        quantity(limits.get("memory")),
    )


def _eventful(container: Container) -> bool:
    return bool(container.restarts or container.waiting or (container.exits and not container.init))


def _exits(state: Mapping[str, Any], last: Mapping[str, Any]) -> tuple[Exit, ...]:
    ended = [s["terminated"] for s in (state, last) if s.get("terminated")]
    return tuple(Exit(e.get("reason") or "", e.get("exitCode", 0), moment(e.get("finishedAt"))) for e in ended)


def _claims(spec: Mapping[str, Any]) -> tuple[str, ...]:
    volumes = spec.get("volumes") or ()
    return tuple(v["persistentVolumeClaim"]["claimName"] for v in volumes if v.get("persistentVolumeClaim"))


PODS: Kind[Pod] = Kind("pods", ("v1",), _read)
