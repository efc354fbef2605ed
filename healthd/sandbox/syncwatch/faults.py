"""What can be broken in the sandbox, what should notice it, and how it is mended again."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from healthd.sandbox.child import SandboxError
from healthd.sandbox.syncwatch.application import QUEUE
from healthd.sandbox.world import Fault, table

if TYPE_CHECKING:
    from healthd.sandbox.syncwatch.world import SyncWatch

Act = Callable[["SyncWatch"], Awaitable[None]]


async def _fill_queue(world: SyncWatch) -> None:
    world.traffic.transcoder_works = False
    jobs = [json.dumps({"video": number}) for number in range(25)]
    try:
        await world.cache.client.rpush(QUEUE, *jobs)
    except OSError as error:
        raise SandboxError(f"the queue is in Redis, which does not answer ({error}): mend that first") from error


async def _empty_queue(world: SyncWatch) -> None:
    await world.cache.client.delete(QUEUE)
    world.traffic.transcoder_works = True


def _behave(**values: float) -> Act:
    """Set what the application does from now on."""

    async def act(world: SyncWatch) -> None:
        for name, value in values.items():
            setattr(world.application.behaviour, name, value)

    return act


def _use(resource: str, share: float) -> Act:
    """Set how much of a resource is in use on the first machine."""

    async def act(world: SyncWatch) -> None:
        setattr(world.application.telemetry.machines.nodes["node-1"], resource, share)

    return act


def _today() -> datetime:
    return datetime.now(UTC)


async def _occupy_connections(world: SyncWatch) -> None:
    await world.database.occupy(0.97)


FAULTS = table(
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
