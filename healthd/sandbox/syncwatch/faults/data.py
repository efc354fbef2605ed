"""PostgreSQL, Redis and the transcoder's queue."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from healthd.sandbox.child import SandboxError
from healthd.sandbox.syncwatch.application import QUEUE
from healthd.sandbox.syncwatch.faults.common import ALERTS, MINUTE, SECONDS, SOON, Faults, at_once, behave
from healthd.sandbox.syncwatch.telemetry import USUAL_TRANSCODING
from healthd.sandbox.world import Fault, Opens

if TYPE_CHECKING:
    from healthd.sandbox.syncwatch.production import Production

_ON_REDIS = (
    "service-ready", "backend-redis", "redis-latency", "redis-memory", "redis-persistence", "redis-standby",
    "redis-slow-commands", "rooms", "transcoding-queue",
)  # fmt: skip
_ON_DATABASE = (
    "service-ready", "backend-database", "database-connections", "database-query-p95", "users", "vacuum",
    "error-rate-5xx", "login",
)  # fmt: skip


async def _fill_queue(world: Production) -> None:
    world.traffic.transcoder_works = False
    jobs = [json.dumps({"video": number}) for number in range(25)]
    try:
        await world.cache.client.rpush(QUEUE, *jobs)
    except OSError as error:
        raise SandboxError(f"the queue is in Redis, which does not answer ({error}): mend that first") from error


async def _empty_queue(world: Production) -> None:
    await world.cache.client.delete(QUEUE)
    world.traffic.transcoder_works = True


async def _switch_persistence(world: Production, on: str) -> None:
    await world.cache.client.config_set("appendonly", on)


async def _allow_commands(world: Production, sign: str) -> None:
    rights = (f"{sign}slowlog", f"{sign}scan", f"{sign}keys")
    await world.cache.client.execute_command("ACL", "SETUSER", "default", *rights)  # type: ignore[no-untyped-call]


async def _add_table(world: Production) -> None:
    await world.database.execute('CREATE TABLE "Reaction" AS SELECT * FROM "Watching"')


async def _drop_table(world: Production) -> None:
    await world.database.execute('DROP TABLE IF EXISTS "Reaction"')


DATA: Faults = (
    Fault(
        "redis-down", "stops the Redis server", ("redis-ping", *ALERTS), SOON,
        lambda w: w.cache.stop(), lambda w: w.cache.start(), _ON_REDIS, Opens("redis-failure", "SEV2"),
    ),
    Fault(
        "redis-unreachable", "takes from the application the way to Redis, which answers everybody else",
        ("backend-redis", *ALERTS), SECONDS, behave(lose_redis=True), behave(lose_redis=False), ("service-ready",),
        Opens("redis-failure", "SEV2"),
    ),
    Fault(
        "redis-slow", "keeps Redis busy, so that a command takes 20 to 60 ms", ("redis-latency",), SECONDS,
        lambda w: w.cache.stall(0.02), lambda w: w.cache.release(), incident=Opens("high-playback-drift", "SEV4"),
        apart=("redis-memory-full",),
    ),
    Fault(
        "redis-memory-full", "fills Redis to 95% of maxmemory", ("redis-memory", *ALERTS), SECONDS,
        lambda w: w.cache.fill(0.95), lambda w: w.cache.drain(), incident=Opens("redis-failure", "SEV2"),
    ),
    Fault(
        "redis-standby-down", "stops the standby of Redis", ("redis-standby",), SOON,
        lambda w: w.standby.stop(), lambda w: w.standby.start(), incident=Opens("redis-failure", "SEV3"),
        apart=("redis-slow", "redis-memory-full"),
    ),
    Fault(
        "redis-aof-off", "switches Redis' append-only file off", ("redis-persistence",), SOON,
        lambda w: _switch_persistence(w, "no"), lambda w: _switch_persistence(w, "yes"),
        incident=Opens("redis-failure", "SEV3"), apart=("redis-memory-full",),
    ),
    Fault(
        "redis-commands-forbidden", "forbids healthd's Redis user to scan keys and to read the slow log",
        ("rooms", "redis-slow-commands"), MINUTE,
        lambda w: _allow_commands(w, "-"), lambda w: _allow_commands(w, "+"), incident=Opens("look-into-rooms", "SEV4"),
    ),
    Fault(
        "database-down", "stops the PostgreSQL server", ("database-up", *ALERTS), SOON,
        lambda w: w.database.stop(), lambda w: w.database.start(), _ON_DATABASE, Opens("database-unavailable", "SEV1"),
    ),
    Fault(
        "database-unreachable", "takes from the application the way to PostgreSQL, which answers everybody else",
        ("backend-database", *ALERTS), SECONDS, behave(lose_database=True), behave(lose_database=False),
        ("service-ready", "error-rate-5xx", "login"), Opens("database-unavailable", "SEV1"),
    ),
    Fault(
        "database-connections", "holds 97% of PostgreSQL's max_connections open", ("database-connections", *ALERTS),
        SOON, lambda w: w.database.occupy(0.97), lambda w: w.database.release(),
        incident=Opens("database-unavailable", "SEV2"), apart=("queries-slow",),
    ),
    Fault(
        "queries-slow", "asks the database questions that take 0.2 s", ("database-query-p95",), MINUTE,
        lambda w: w.slow_queries.start(0.2), lambda w: w.slow_queries.stop(), incident=Opens("slow-queries", "SEV4"),
    ),
    Fault(
        "table-never-vacuumed", "makes a table that nobody ever vacuumed", ("vacuum",), MINUTE,
        _add_table, _drop_table, incident=Opens("slow-queries", "SEV4"),
    ),
    Fault(
        "users-unreadable", "takes from healthd's role the right to read the users", ("users",), SECONDS,
        lambda w: w.database.execute('REVOKE SELECT ON "User" FROM healthd'),
        lambda w: w.database.execute('GRANT SELECT ON "User" TO healthd'),
        incident=Opens("authentication-failures", "SEV3"),
    ),
    Fault(
        "transcoding-backlog", "stops the transcoder with 25 jobs in its queue", ("transcoding-queue", *ALERTS),
        SECONDS, _fill_queue, _empty_queue, incident=Opens("transcoding-jobs-stuck", "SEV3"),
    ),
    Fault(
        "transcoding-slow", "makes an hour of video take 20 minutes to transcode", ("transcoding-duration",), SOON,
        at_once(lambda w: w.media.transcoding.set(1200)), at_once(lambda w: w.media.transcoding.set(USUAL_TRANSCODING)),
        incident=Opens("transcoding-jobs-stuck", "SEV3"),
    ),
)  # fmt: skip
