"""What the faults of SyncWatch are written with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from healthd.sandbox.world import Fault

if TYPE_CHECKING:
    from healthd.sandbox.syncwatch.production import Production

Act = Callable[["Production"], Awaitable[object]]
Faults = tuple[Fault["Production"], ...]

SOON, SECONDS, MINUTE = "5 s", "15 s", "a minute"
# a rule of Prometheus fires as well
ALERTS = ("prometheus-alerts", "alerts-today")
# what goes bad when the backend answers nobody; metrics that no table judges leave a gap
ON_BACKEND = (
    "error-rate-5xx", "error-rate-4xx", "api-latency-p95", "api-latency-p99", "api-latency-p50", "sync-drift",
    "sync-command-latency", "websocket", "login",
)  # fmt: skip


def at_once(change: Callable[[Production], object]) -> Act:
    """A change that needs no waiting."""

    async def act(world: Production) -> None:
        change(world)

    return act


def behave(**values: float) -> Act:
    """Set what the application does from now on."""

    async def act(world: Production) -> None:
        for name, value in values.items():
            setattr(world.application.behaviour, name, value)

    return act
