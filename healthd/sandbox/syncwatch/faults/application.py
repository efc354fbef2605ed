"""The backend, its users and what watches it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from healthd.sandbox.parts.kubernetes import Pod
from healthd.sandbox.syncwatch.faults.common import (
    ALERTS,
    MINUTE,
    ON_BACKEND,
    SECONDS,
    SOON,
    Act,
    Faults,
    at_once,
    behave,
)
from healthd.sandbox.world import Fault, Opens

if TYPE_CHECKING:
    from healthd.sandbox.syncwatch.production import Production

_ON_PROMETHEUS = (
    "error-rate-5xx", "error-rate-4xx", "api-latency-p95", "sync-drift", "websocket-connections", "request-rate",
    "active-users", "uploads", "memory-usage", "cpu-usage", "disk-usage", "volume-usage", "transcoding-duration",
    "bandwidth", "disk-io", "network-io", "segment-delivery", "api-latency-p99", "api-latency-p50",
    "sync-command-latency", "storage-free", "storage-forecast",
)  # fmt: skip


async def _crash_all(world: Production) -> None:
    world.platform.backend.each(Pod.crash_loop)
    await asyncio.gather(world.application.stop(), world.cloud.set_targets("unhealthy"))


async def _bring_back(world: Production) -> None:
    world.platform.backend.recover()
    await asyncio.gather(world.application.start(), world.cloud.set_targets("healthy"))


def _edge(delay: float) -> Act:
    """How long the load balancer takes to answer."""

    async def act(world: Production) -> None:
        world.edge.delay = delay

    return act


APPLICATION: Faults = (
    Fault(
        "complete-outage", "crashes every backend: nothing answers, the load balancer has no healthy target",
        ("service-ready", "load-balancer", "pods-ready", *ALERTS), SECONDS, _crash_all, _bring_back, ON_BACKEND,
        Opens("complete-site-outage", "SEV1"),
    ),
    Fault(
        "app-slow", "makes every API request take 1.2 s longer", ("api-latency-p95",), SECONDS,
        behave(delay=1.2), behave(delay=0.0), ("api-latency-p99", "api-latency-p50"), Opens("scale-up", "SEV3"),
    ),
    Fault(
        "app-slow-at-times", "makes one API request of 40 take 1.5 s longer", ("api-latency-p99",), SECONDS,
        behave(slow_every=40), behave(slow_every=0), incident=Opens("scale-up", "SEV4"), apart=("app-sluggish",),
    ),
    Fault(
        "app-sluggish", "makes every API request take 0.25 s longer", ("api-latency-p50",), SECONDS,
        behave(delay=0.25), behave(delay=0.0), incident=Opens("scale-up", "SEV4"),
    ),
    Fault(
        "app-errors", "answers every twelfth request with 500", ("error-rate-5xx", *ALERTS), SECONDS,
        behave(fail_every=12), behave(fail_every=0), incident=Opens("high-error-rate", "SEV2"),
    ),
    Fault(
        "app-rejects", "answers every eighth request with 400", ("error-rate-4xx",), SECONDS,
        behave(reject_every=8), behave(reject_every=0), incident=Opens("high-error-rate", "SEV4"),
    ),
    Fault(
        "logins-fail", "refuses everybody's password", ("login", "error-rate-4xx"), SECONDS,
        behave(refuse_logins=True), behave(refuse_logins=False), incident=Opens("authentication-failures", "SEV2"),
    ),
    Fault(
        "sync-drift", "delays sync broadcasts by 600 ms", ("sync-drift", *ALERTS), SECONDS,
        behave(broadcast_delay=0.6), behave(broadcast_delay=0.0), ("sync-command-latency",),
        Opens("high-playback-drift", "SEV2"),
    ),
    Fault(
        "sync-commands-slow", "delays sync broadcasts by 150 ms", ("sync-command-latency",), SECONDS,
        behave(broadcast_delay=0.15), behave(broadcast_delay=0.0), incident=Opens("high-playback-drift", "SEV2"),
    ),
    Fault(
        "websocket-refused", "refuses every WebSocket that is opened now", ("websocket",), SOON,
        behave(refuse_sockets=True), behave(refuse_sockets=False),
        incident=Opens("websocket-connection-failures", "SEV2"),
    ),
    Fault(
        "slow-under-load", "makes the load balancer take 0.2 s for each answer", ("load-test",), "two minutes",
        _edge(0.2), _edge(0.0), incident=Opens("load-test", "SEV4"),
    ),
    Fault(
        "alert-unexplained", "loses the TURN server, of which an alert of Prometheus alone tells", ALERTS, MINUTE,
        at_once(lambda w: w.media.turn_server.set(0)), at_once(lambda w: w.media.turn_server.set(1)),
        incident=Opens("alerts-firing", "SEV3"),
    ),
    Fault(
        "prometheus-down", "stops Prometheus", ("prometheus-up",), SECONDS,
        lambda w: w.monitoring.stop(), lambda w: w.monitoring.start(), (*_ON_PROMETHEUS, *ALERTS),
        Opens("prometheus-unavailable", "SEV3"),
    ),
)  # fmt: skip
