"""What can be broken in the sandbox, what should notice it, and how it is mended again."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from healthd.sandbox.cache import QUEUE
from healthd.sandbox.child import SandboxError
from healthd.sandbox.production import Production

Act = Callable[[Production], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to break it. `noticed_by` names checks of the system; `after` says how soon, at the sandbox's pace."""

    name: str
    breaks: str
    noticed_by: tuple[str, ...]
    after: str
    act: Act
    mend: Act


async def _fill_queue(production: Production) -> None:
    production.traffic.transcoder_works = False
    jobs = [json.dumps({"video": number}) for number in range(25)]
    try:
        await production.cache.client.rpush(QUEUE, *jobs)
    except OSError as error:
        raise SandboxError(f"the queue is in Redis, which does not answer ({error}): mend that first") from error


async def _empty_queue(production: Production) -> None:
    await production.cache.client.delete(QUEUE)
    production.traffic.transcoder_works = True


def _behave(**values: float) -> Act:
    """Set what the application does from now on."""

    async def act(production: Production) -> None:
        for name, value in values.items():
            setattr(production.application.behaviour, name, value)

    return act


def _use(resource: str, share: float) -> Act:
    """Set how much of a resource is in use on the first machine."""

    async def act(production: Production) -> None:
        setattr(production.application.telemetry.nodes["node-1"], resource, share)

    return act


def _today() -> datetime:
    return datetime.now(UTC)


async def _occupy_connections(production: Production) -> None:
    await production.database.occupy(0.97)


_FAULTS = (
    Fault(
        "redis-down", "stops the Redis server", ("redis-ping", "service-ready"), "5 s",
        lambda p: p.cache.stop(), lambda p: p.cache.start(),
    ),
    Fault(
        "redis-slow", "keeps Redis busy, so that a command takes 20 to 60 ms", ("redis-latency",), "10 s",
        lambda p: p.cache.stall(0.02), lambda p: p.cache.release(),
    ),
    Fault(
        "redis-memory-full", "fills Redis to 95% of maxmemory", ("redis-memory",), "10 s",
        lambda p: p.cache.fill(0.95), lambda p: p.cache.drain(),
    ),
    Fault(
        "database-down", "stops the PostgreSQL server", ("database-up", "service-ready"), "5 s",
        lambda p: p.database.stop(), lambda p: p.database.start(),
    ),
    Fault(
        "database-connections", "holds 97% of PostgreSQL's max_connections open", ("database-connections",), "5 s",
        _occupy_connections, lambda p: p.database.release(),
    ),
    Fault(
        "app-down", "stops the application: connections are refused", ("service-ready",), "5 s",
        lambda p: p.application.stop(), lambda p: p.application.start(),
    ),
    Fault(
        "app-slow", "makes every API request take 1.2 s longer", ("api-latency-p95", "api-latency-p99"), "10 s",
        _behave(delay=1.2), _behave(delay=0.0),
    ),
    Fault(
        "app-errors", "answers 8% of the API's requests with 500", ("error-rate-5xx",), "10 s",
        _behave(error_share=0.08), _behave(error_share=0.0),
    ),
    Fault(
        "transcoding-backlog", "stops the transcoder with 25 jobs in its queue", ("transcoding-queue",), "15 s",
        _fill_queue, _empty_queue,
    ),
    Fault(
        "sync-drift", "delays sync broadcasts by 600 ms", ("sync-drift",), "20 s",
        _behave(broadcast_delay=0.6), _behave(broadcast_delay=0.0),
    ),
    Fault(
        "backup-missing", "deletes today's backups from S3", ("todays-backup",), "60 s",
        lambda p: p.storage.delete_backups(_today()), lambda p: p.storage.put_backups(_today()),
    ),
    Fault(
        "backup-too-small", "cuts today's backups to 1% of their size", ("backup-size",), "60 s",
        lambda p: p.storage.put_backups(_today(), share=0.01), lambda p: p.storage.put_backups(_today()),
    ),
    Fault(
        "storage-down", "stops the S3 server", ("service-ready",), "5 s",
        lambda p: p.storage.stop(), lambda p: p.storage.start(_today()),
    ),
    Fault(
        "disk-full", "fills node-1's disk to 96%", ("disk-usage",), "10 s",
        _use("disk", 0.96), _use("disk", 0.6),
    ),
    Fault(
        "memory-high", "uses 93% of node-1's memory", ("memory-usage",), "5 s",
        _use("memory", 0.93), _use("memory", 0.55),
    ),
    Fault(
        "cpu-high", "uses 95% of node-1's CPU", ("cpu-usage",), "30 s",
        _use("cpu", 0.95), _use("cpu", 0.35),
    ),
)  # fmt: skip

FAULTS = {fault.name: fault for fault in _FAULTS}
