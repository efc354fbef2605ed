"""What makes it slow, full, or fail now and then."""

from __future__ import annotations

from healthd.sandbox.social_live.faults.common import HELD, MINUTE, SOON, Act, Faults, behave, now, redis, sql
from healthd.sandbox.social_live.production import Production
from healthd.sandbox.social_live.schema import FEED_INDEX
from healthd.sandbox.world import Fault, Opens


def _use_backend(cpu: float | None = None, memory: float | None = None) -> Act:
    return now(lambda w: w.platform.backend.use(cpu=cpu, memory=memory))


def _fill_heap(world: Production) -> None:
    world.application.telemetry.use_heap(650.0 * 2**20)
    world.platform.warn_of_memory()


def _free_heap(world: Production) -> None:
    world.application.telemetry.use_heap()
    world.platform.forget_logs()


async def _slow_queries(world: Production) -> None:
    for _ in range(3):
        await world.database.execute("SELECT count(*), pg_sleep(0.25) FROM posts")


def _fill_disk(share: float) -> Act:
    async def act(world: Production) -> None:
        world.exporter.disk.used = share

    return act


PERFORMANCE: Faults = (
    Fault(
        "api-errors", "30% of the API's requests are answered with 500", ("error-rate",), "30 s",
        behave(error_share=0.3), behave(error_share=0.0), incident=Opens("high-error-rate", "Severity 1"),
    ),
    Fault(
        "api-slow", "every request of the API takes 1.4 s longer", ("response-time", "scaling-response-time"), "30 s",
        behave(delay=1.4), behave(delay=0.0), incident=Opens("high-response-time", "Severity 2"),
    ),
    Fault(
        "api-slower", "every request of the API takes 0.6 s longer", ("scaling-response-time",), "20 s",
        behave(delay=0.6), behave(delay=0.0), incident=Opens("scale-up", "Severity 3"),
    ),
    Fault(
        "memory-high", "the backend's pods use 92% of their memory", ("memory-usage", "scaling-memory"), HELD,
        _use_backend(memory=0.92), _use_backend(memory=0.45), incident=Opens("high-memory-usage", "Severity 2"),
    ),
    Fault(
        "cpu-high", "the backend's pods use 80% of their CPU", ("scaling-cpu",), SOON,
        _use_backend(cpu=0.8), _use_backend(cpu=0.3), incident=Opens("scale-up", "Severity 3"),
    ),
    Fault(
        "node-memory-high", "node-2 uses 93% of its memory", ("node-memory",), HELD,
        now(lambda w: w.platform.cluster.nodes["node-2"].use(memory=0.93)),
        now(lambda w: w.platform.cluster.nodes["node-2"].use(memory=0.5)),
        incident=Opens("high-memory-usage", "Severity 2"),
    ),
    Fault(
        "heap-large", "a backend process has 650 MiB of heap, and its middleware says so",
        ("heap-used", "memory-warnings"), MINUTE, now(_fill_heap), now(_free_heap),
        incident=Opens("high-memory-usage", "Severity 3"),
    ),
    Fault(
        "database-connections", "90% of PostgreSQL's max_connections are in use", ("database-connections",), SOON,
        lambda w: w.database.occupy(0.9), lambda w: w.database.release(),
        incident=Opens("database-connections", "Severity 2"),
    ),
    Fault(
        "database-disk-full", "97% of the database's disk is in use", ("database-disk",), MINUTE,
        _fill_disk(0.97), _fill_disk(0.45), incident=Opens("storage-full", "Severity 2"),
    ),
    Fault(
        "slow-queries", "a query takes a quarter of a second on average", ("slow-queries",), MINUTE,
        _slow_queries, lambda w: w.maintain(), incident=Opens("slow-queries", "Severity 3"),
    ),
    Fault(
        "index-missing", "a documented index is not there", ("indexes-there",), MINUTE,
        sql("DROP INDEX IF EXISTS idx_feed_recommendations"),
        sql(f"CREATE INDEX IF NOT EXISTS {FEED_INDEX}"),
        incident=Opens("slow-queries", "Severity 3"),
    ),
    Fault(
        "index-invalid", "an index was left invalid by a rebuild that broke off", ("indexes-there", "index-usage"),
        MINUTE,
        sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_posts_created_at'::regclass"),
        sql("UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'idx_posts_created_at'::regclass"),
        incident=Opens("slow-queries", "Severity 3"),
    ),
    Fault(
        "cache-policy", "Redis refuses to write once it is full", ("redis-memory",), MINUTE,
        redis("CONFIG", "SET", "maxmemory-policy", "noeviction"),
        redis("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"),
        incident=Opens("cache-performance", "Severity 3"),
    ),
)  # fmt: skip
