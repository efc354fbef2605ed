"""Kubernetes and Docker Compose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from healthd.sandbox.parts.kubernetes import Pod
from healthd.sandbox.syncwatch.faults.common import MINUTE, SOON, Act, Faults, at_once
from healthd.sandbox.syncwatch.machine import PROJECT
from healthd.sandbox.world import Fault, Opens

if TYPE_CHECKING:
    from healthd.sandbox.syncwatch.production import Production

_LOGS = (
    "backend-errors", "slow-requests", "websocket-disconnects", "websocket-errors", "failed-authentications",
    "authentication-log", "connection-failures", "redis-connection-failures", "failed-writes", "transcoder-log",
)  # fmt: skip
_OBJECTS = (
    "pods-ready", "rollouts", "transcoder-pods", "pods-killed", "node-usage", "pod-usage", "autoscaler",
    "video-cleanup",
)  # fmt: skip


def _log(*lines: str) -> Act:
    """Lines that the backend writes now."""

    async def act(world: Production) -> None:
        world.platform.backend.write(*lines)

    return act


_usual_logs: Act = at_once(lambda w: w.platform.write_usual_logs())


def _leak(world: Production) -> None:
    world.platform.backend.pod.use(memory=0.96)
    world.platform.backend.pod.kill_for_memory()


def _stop_leak(world: Production) -> None:
    world.platform.backend.pod.use(memory=0.45)
    world.platform.backend.recover()


PLATFORM: Faults = (
    Fault(
        "kubernetes-down", "stops the API server of the cluster", (*_OBJECTS, *_LOGS), MINUTE,
        lambda w: w.platform.cluster.stop(), lambda w: w.platform.cluster.start(),
        incident=Opens("service-unhealthy", "SEV3"),
    ),
    Fault(
        "pods-crash-looping", "makes a pod of the backend crash again and again", ("pods-ready",), SOON,
        at_once(lambda w: w.platform.backend.pod.crash_loop()), at_once(lambda w: w.platform.backend.recover()),
        incident=Opens("service-unhealthy", "SEV2"),
    ),
    Fault(
        "transcoder-crashed", "makes the transcoder's pods crash again and again", ("transcoder-pods", "pods-ready"),
        SOON, at_once(lambda w: w.platform.transcoder.each(Pod.crash_loop)),
        at_once(lambda w: w.platform.transcoder.recover()), incident=Opens("transcoding-jobs-stuck", "SEV3"),
    ),
    Fault(
        "memory-leak", "lets a pod of the backend use 96% of its memory, for which it was killed before",
        ("pods-killed", "pod-usage"), SOON, at_once(_leak), at_once(_stop_leak),
        incident=Opens("memory-leak", "SEV3"), apart=("pods-crash-looping", "hpa-at-max"),
    ),
    Fault(
        "rollout-stuck", "lets a rollout of the frontend exceed its deadline", ("rollouts",), SOON,
        at_once(lambda w: w.platform.frontend.stall()), at_once(lambda w: w.platform.frontend.recover()),
        incident=Opens("service-unhealthy", "SEV2"),
    ),
    Fault(
        "nodes-busy", "uses 93% of the CPU of a node of the cluster", ("node-usage",), SOON,
        at_once(lambda w: w.platform.nodes[0].use(cpu=0.93)), at_once(lambda w: w.platform.nodes[0].use(cpu=0.35)),
        incident=Opens("scale-up", "SEV4"),
    ),
    Fault(
        "hpa-at-max", "takes the backend's autoscaler to its maximum", ("autoscaler",), SOON,
        at_once(lambda w: w.platform.autoscaler.go_to_maximum()), at_once(lambda w: w.platform.autoscaler.recover()),
        incident=Opens("scale-up", "SEV4"),
    ),
    Fault(
        "cleanup-failed", "makes the job fail that deletes expired videos", ("video-cleanup",), MINUTE,
        at_once(lambda w: w.platform.cleanup.fail()), at_once(lambda w: w.platform.cleanup.recover()),
        incident=Opens("disk-space-full", "SEV3"),
    ),
    Fault(
        "logs-forbidden", "forbids healthd to read logs of pods", _LOGS, MINUTE,
        at_once(lambda w: w.platform.cluster.forbid("pods/log")),
        at_once(lambda w: w.platform.cluster.allow("pods/log")),
        incident=Opens("authentication-failures", "SEV3"),
    ),
    Fault(
        "websocket-disconnects", "writes 1500 disconnected WebSockets to the backend's log",
        ("websocket-disconnects",), MINUTE, _log(*["info: client disconnected"] * 1500), _usual_logs,
        incident=Opens("websocket-connection-failures", "SEV2"),
    ),
    Fault(
        "connections-lost", "writes lost connections to the database to the backend's log", ("connection-failures",),
        MINUTE, _log(*["error: Connection to database failed"] * 12), _usual_logs,
        incident=Opens("database-unavailable", "SEV3"), apart=("websocket-disconnects",),
    ),
    Fault(
        "redis-connections-lost", "writes lost connections to Redis to the backend's log",
        ("redis-connection-failures",), MINUTE, _log(*["error: Redis connection failed"] * 12), _usual_logs,
        incident=Opens("redis-failure", "SEV3"), apart=("websocket-disconnects", "connections-lost"),
    ),
    Fault(
        "writes-fail", "writes to the backend's log that there is no space left", ("failed-writes",), MINUTE,
        _log(*["error: ENOSPC: No space left on device"] * 12), _usual_logs,
        incident=Opens("disk-space-full", "SEV3"),
        apart=("websocket-disconnects", "connections-lost", "redis-connections-lost"),
    ),
    Fault(
        "compose-service-down", "ends the backend's container under Docker Compose", ("compose-services",), SOON,
        at_once(lambda w: w.machine.engine.container("backend", PROJECT).exit(1)),
        at_once(lambda w: w.machine.engine.container("backend", PROJECT).recover()),
        incident=Opens("service-unhealthy", "SEV2"),
    ),
    Fault(
        "old-images", "leaves an image behind that nothing uses since a month", ("old-images",), MINUTE,
        at_once(lambda w: w.machine.keep_old_image()), at_once(lambda w: w.machine.prune()),
        incident=Opens("disk-space-full", "SEV4"),
    ),
)  # fmt: skip
