"""What can be broken in the emulated Social Live."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from healthd.sandbox.social_live.production import Production
from healthd.sandbox.social_live.schema import ADD_POSTS_OF_TODAY, ADD_USERS, FEED_INDEX, TABLE_NAMES
from healthd.sandbox.world import Fault, Opens, table

Act = Callable[[Production], Awaitable[object]]
_SOON, _HELD, _MINUTE, _DRILL = "10 s", "15 s", "1 min", "5 min"
_ON_DATABASE = (
    *("users", "posts-last-day", "slow-queries", "indexes-there", "index-usage", "column-statistics", "active-users"),
    *("posts-today", "database-size", "database-connections", "tables-vacuumed", "old-sessions"),
)
_ON_PROMETHEUS = (
    *("error-rate", "response-time", "scaling-response-time", "heap-used", "api-requests", "database-disk"),
    "prometheus-targets",
)


def _now(do: Callable[[Production], object]) -> Act:
    """What changes at once, without waiting for anything."""

    async def act(world: Production) -> None:
        do(world)

    return act


def _behave(**values: float) -> Act:
    """Set what the backend does from now on."""

    async def act(world: Production) -> None:
        for name, value in values.items():
            setattr(world.application.behaviour, name, value)

    return act


def _sql(*statements: str) -> Act:
    """Have these done by the database's superuser."""

    async def act(world: Production) -> None:
        for statement in statements:
            await world.database.execute(statement)

    return act


def _redis(*command: str) -> Act:
    """Have this done by Redis."""

    async def act(world: Production) -> None:
        await world.cache.client.execute_command(*command)  # type: ignore[no-untyped-call]

    return act


def _use_backend(cpu: float | None = None, memory: float | None = None) -> Act:
    return _now(lambda w: w.platform.backend.use(cpu=cpu, memory=memory))


def _fill_heap(world: Production) -> None:
    world.application.telemetry.use_heap(650.0 * 2**20)
    world.platform.warn_of_memory()


def _free_heap(world: Production) -> None:
    world.application.telemetry.use_heap()
    world.platform.forget_logs()


def _crash_pod(world: Production) -> None:
    world.platform.frontend.pod.crash_loop()


async def _slow_queries(world: Production) -> None:
    for _ in range(3):
        await world.database.execute("SELECT count(*), pg_sleep(0.25) FROM posts")


async def _lose_backups(world: Production) -> None:
    for night in (0, 1, 2):
        await world.lose_backup(night)


async def _shrink_backup(world: Production) -> None:
    from gzip import compress

    dump = b"CREATE TABLE public.users (id int);\n\n--\n-- PostgreSQL database dump complete\n--\n\n"
    await world.put_backup(0, compress(dump))


def _expose(exposed: bool) -> Act:
    async def act(world: Production) -> None:
        world.application.telemetry.exposed = exposed

    return act


def _set_external(working: bool) -> Act:
    async def act(world: Production) -> None:
        world.external.working = working

    return act


def _fill_disk(share: float) -> Act:
    async def act(world: Production) -> None:
        world.exporter.disk.used = share

    return act


def _end_pod(phase: str) -> Act:
    """One more pod of the backend, which has done its work."""

    async def act(world: Production) -> None:
        backend = world.platform.backend
        if phase:
            backend.pod.manifest["status"]["phase"] = phase
            backend.store.touch(backend.pod.manifest)
        else:
            backend.recover()

    return act


_OUTAGES: tuple[Fault[Production], ...] = (
    Fault(
        "api-down", "the ingress refuses connections to the API", ("api-health",), _HELD,
        lambda w: w.application.api.stop(), lambda w: w.application.api.start(),
        incident=Opens("service-down", "Severity 1"),
    ),
    Fault(
        "app-down", "the web application refuses connections", ("app-health",), _HELD,
        lambda w: w.application.web.stop(), lambda w: w.application.web.start(),
        incident=Opens("service-down", "Severity 1"),
    ),
    Fault(
        "database-down", "PostgreSQL is down", ("database-up",), _SOON,
        lambda w: w.database.stop(), lambda w: w.database.start(), quiet=("api-health", "error-rate", *_ON_DATABASE),
        incident=Opens("database-unavailable", "Severity 1"),
    ),
    Fault(
        "redis-down", "Redis is down", ("redis-up",), _SOON,
        lambda w: w.cache.stop(), lambda w: w.cache.start(),
        quiet=("api-health", "error-rate", "redis-memory", "cache-hits", "cache-big-keys"),
        incident=Opens("redis-unavailable", "Severity 2"),
    ),
    Fault(
        "external-service-down", "the external service says that it is down", ("external-service",), _SOON,
        _set_external(False), _set_external(True), incident=Opens("external-service", "Severity 2"),
    ),
    Fault(
        "users-lost", "every row of users is gone", ("users",), _MINUTE,
        _sql("DELETE FROM users"), _sql(ADD_USERS), incident=Opens("disaster-recovery", "Severity 1"),
    ),
    Fault(
        "no-posts", "posts cannot be written, and the last day's are gone", ("posts-last-day",), _MINUTE,
        _sql(
            "REVOKE INSERT ON posts FROM sociallive",
            "DELETE FROM posts WHERE created_at > now() - interval '26 hours'",
        ),
        _sql("GRANT INSERT ON posts TO sociallive", ADD_POSTS_OF_TODAY),
        incident=Opens("high-error-rate", "Severity 3"),
    ),
)  # fmt: skip

_PERFORMANCE: tuple[Fault[Production], ...] = (
    Fault(
        "api-errors", "30% of the API's requests are answered with 500", ("error-rate",), "30 s",
        _behave(error_share=0.3), _behave(error_share=0.0), incident=Opens("high-error-rate", "Severity 1"),
    ),
    Fault(
        "api-slow", "every request of the API takes 1.4 s longer", ("response-time", "scaling-response-time"), "30 s",
        _behave(delay=1.4), _behave(delay=0.0), incident=Opens("high-response-time", "Severity 2"),
    ),
    Fault(
        "api-slower", "every request of the API takes 0.6 s longer", ("scaling-response-time",), "20 s",
        _behave(delay=0.6), _behave(delay=0.0), incident=Opens("scale-up", "Severity 3"),
    ),
    Fault(
        "memory-high", "the backend's pods use 92% of their memory", ("memory-usage", "scaling-memory"), _HELD,
        _use_backend(memory=0.92), _use_backend(memory=0.45), incident=Opens("high-memory-usage", "Severity 2"),
    ),
    Fault(
        "cpu-high", "the backend's pods use 80% of their CPU", ("scaling-cpu",), _SOON,
        _use_backend(cpu=0.8), _use_backend(cpu=0.3), incident=Opens("scale-up", "Severity 3"),
    ),
    Fault(
        "node-memory-high", "node-2 uses 93% of its memory", ("node-memory",), _HELD,
        _now(lambda w: w.platform.cluster.nodes["node-2"].use(memory=0.93)),
        _now(lambda w: w.platform.cluster.nodes["node-2"].use(memory=0.5)),
        incident=Opens("high-memory-usage", "Severity 2"),
    ),
    Fault(
        "heap-large", "a backend process has 650 MiB of heap, and its middleware says so",
        ("heap-used", "memory-warnings"), _MINUTE, _now(_fill_heap), _now(_free_heap),
        incident=Opens("high-memory-usage", "Severity 3"),
    ),
    Fault(
        "database-connections", "90% of PostgreSQL's max_connections are in use", ("database-connections",), _SOON,
        lambda w: w.database.occupy(0.9), lambda w: w.database.release(),
        incident=Opens("database-connections", "Severity 2"),
    ),
    Fault(
        "database-disk-full", "97% of the database's disk is in use", ("database-disk",), _MINUTE,
        _fill_disk(0.97), _fill_disk(0.45), incident=Opens("storage-full", "Severity 2"),
    ),
    Fault(
        "slow-queries", "a query takes a quarter of a second on average", ("slow-queries",), _MINUTE,
        _slow_queries, lambda w: w.maintain(), incident=Opens("slow-queries", "Severity 3"),
    ),
    Fault(
        "index-missing", "a documented index is not there", ("indexes-there",), _MINUTE,
        _sql("DROP INDEX idx_feed_recommendations"),
        _sql(f"CREATE INDEX IF NOT EXISTS {FEED_INDEX}"),
        incident=Opens("slow-queries", "Severity 3"),
    ),
    Fault(
        "index-invalid", "an index was left invalid by a rebuild that broke off", ("indexes-there", "index-usage"),
        _MINUTE,
        _sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_posts_created_at'::regclass"),
        _sql("UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'idx_posts_created_at'::regclass"),
        incident=Opens("slow-queries", "Severity 3"),
    ),
    Fault(
        "cache-policy", "Redis refuses to write once it is full", ("redis-memory",), _MINUTE,
        _redis("CONFIG", "SET", "maxmemory-policy", "noeviction"),
        _redis("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"),
        incident=Opens("cache-performance", "Severity 3"),
    ),
)  # fmt: skip

_CLUSTER: tuple[Fault[Production], ...] = (
    Fault(
        "node-down", "node-3 does not say how it is", ("nodes",), _HELD,
        _now(lambda w: w.platform.cluster.nodes["node-3"].go_silent()),
        _now(lambda w: w.platform.cluster.nodes["node-3"].recover()), incident=Opens("cluster-degraded", "Severity 2"),
    ),
    Fault(
        "pod-crash-looping", "one of the frontend's two pods crashes again and again", ("pods", "frontend-pods"), _HELD,
        _now(_crash_pod), _now(lambda w: w.platform.frontend.recover()), incident=Opens("service-down", "Severity 2"),
    ),
    Fault(
        "backend-gone", "the backend has no pod left", ("backend-pods",), _HELD,
        _now(lambda w: w.platform.backend.scale(0)), _now(lambda w: w.platform.backend.scale(3)),
        quiet=("rollout",), apart=("pod-logs-forbidden", "heap-large"),
        incident=Opens("service-down", "Severity 1"),
    ),
    Fault(
        "frontend-gone", "the frontend has no pod left", ("frontend-pods",), _HELD,
        _now(lambda w: w.platform.frontend.scale(0)), _now(lambda w: w.platform.frontend.scale(2)),
        incident=Opens("service-down", "Severity 1"),
    ),
    Fault(
        "autoscaler-at-maximum", "the autoscaler has made 50 pods and wants more", ("autoscaler",), _HELD,
        _now(lambda w: w.platform.autoscaler.go_to_maximum()), _now(lambda w: w.platform.autoscaler.recover()),
        incident=Opens("scale-up", "Severity 3"),
    ),
    Fault(
        "rollout-unfinished", "one of the backend's pods is not of the newest image yet", ("rollout",), _MINUTE,
        _now(lambda w: w.platform.leave_one_behind()), _now(lambda w: w.platform.backend.recover()),
        incident=Opens("weekly-maintenance", "Severity 3"),
    ),
    Fault(
        "pods-ended", "a pod of the backend has done its work and is left over", ("ended-pods",), _MINUTE,
        _end_pod("Succeeded"), _end_pod(""), incident=Opens("weekly-maintenance", "Severity 3"),
    ),
    Fault(
        "configmap-left", "a ConfigMap nobody uses is left over", ("configmaps",), _MINUTE,
        _now(lambda w: w.platform.leave_config()), _now(lambda w: w.platform.remove_config()),
        incident=Opens("weekly-maintenance", "Severity 3"),
    ),
    Fault(
        "certificate-expiring", "the certificate of the API is valid for five more days", ("certificates",), _MINUTE,
        _now(lambda w: w.platform.certificate.expire_in(timedelta(days=5))),
        _now(lambda w: w.platform.certificate.recover()), incident=Opens("certificates", "Severity 2"),
    ),
    Fault(
        "certificate-not-ready", "the certificate of the API could not be issued", ("certificates",), _MINUTE,
        _now(lambda w: w.platform.certificate.fail()), _now(lambda w: w.platform.certificate.recover()),
        incident=Opens("certificates", "Severity 3"),
    ),
    Fault(
        "metrics-server-down", "metrics-server cannot be asked",
        ("memory-usage", "node-memory", "scaling-cpu", "node-usage", "pod-usage"), _MINUTE,
        _now(lambda w: w.platform.cluster.stop_metrics_server()),
        _now(lambda w: w.platform.cluster.start_metrics_server()),
        quiet=("scaling-memory",), incident=Opens("high-memory-usage", "Severity 2"),
    ),
    Fault(
        "pod-logs-forbidden", "healthd may no longer read logs of pods",
        ("error-lines", "memory-warnings", "denied-requests"), _MINUTE,
        _now(lambda w: w.platform.cluster.forbid("pods/log")), _now(lambda w: w.platform.cluster.allow("pods/log")),
        incident=Opens("monthly-maintenance", "Severity 3"),
    ),
    Fault(
        "kubelets-forbidden", "healthd may no longer ask kubelets", ("node-network",), _MINUTE,
        _now(lambda w: w.platform.cluster.forbid("nodes/proxy")),
        _now(lambda w: w.platform.cluster.allow("nodes/proxy")),
    ),
)  # fmt: skip

_MONITORING: tuple[Fault[Production], ...] = (
    Fault(
        "prometheus-down", "Prometheus is down", ("prometheus-reachable",), _SOON,
        lambda w: w.monitoring.stop(), lambda w: w.start_monitoring(), quiet=_ON_PROMETHEUS,
        incident=Opens("no-monitoring", "Severity 3"),
    ),
    Fault(
        "target-down", "the exporter on the database's machine refuses connections",
        ("prometheus-targets", "database-disk"), _MINUTE,
        lambda w: w.exporter.listener.stop(), lambda w: w.exporter.listener.start(),
        incident=Opens("no-monitoring", "Severity 3"),
    ),
    Fault(
        "metrics-renamed", "a release exposes the backend's metrics under other names",
        ("error-rate", "heap-used", "api-requests"), "30 s", _expose(False), _expose(True),
        incident=Opens("high-error-rate", "Severity 2"), apart=("api-slow", "api-slower"),
    ),
    Fault(
        "grafana-down", "Grafana refuses connections", ("grafana",), _SOON,
        lambda w: w.grafana.listener.stop(), lambda w: w.grafana.listener.start(), quiet=("grafana-alerts",),
        incident=Opens("no-monitoring", "Severity 3"),
    ),
    Fault(
        "grafana-alert", "an alert fires in Grafana", ("grafana-alerts",), _MINUTE,
        _now(lambda w: w.grafana.fire("FeedLatencyHigh")), _now(lambda w: w.grafana.resolve("FeedLatencyHigh")),
        incident=Opens("incident-response", "Severity 3"),
    ),
)  # fmt: skip

_UPKEEP: tuple[Fault[Production], ...] = (
    Fault(
        "backup-missing", "the backups of the last three nights are gone", ("backups",), _MINUTE,
        _lose_backups, lambda w: w.put_backups(), incident=Opens("backup-missing", "Severity 2"),
    ),
    Fault(
        "backup-too-small", "the newest backup is whole, and holds next to nothing", ("backups", "restore-drill"),
        _DRILL, _shrink_backup, lambda w: w.put_backups(), incident=Opens("backup-missing", "Severity 2"),
    ),
    Fault(
        "backup-corrupt", "the newest backup is damaged inside", ("restore-drill",), _DRILL,
        lambda w: w.damage_backup(), lambda w: w.put_backups(),
        incident=Opens("backup-missing", "Severity 2"), apart=("backup-missing",),
    ),
    Fault(
        "never-vacuumed", "a new table was never vacuumed", ("tables-vacuumed",), _MINUTE,
        _sql(
            "CREATE TABLE IF NOT EXISTS imports WITH (autovacuum_enabled = false)"
            " AS SELECT n FROM generate_series(1, 20000) AS n"
        ),
        _sql("DROP TABLE IF EXISTS imports"), incident=Opens("weekly-maintenance", "Severity 3"),
    ),
    Fault(
        "sessions-left", "sessions that expired weeks ago are still there", ("old-sessions",), _MINUTE,
        _sql(
            "INSERT INTO user_sessions (user_id, created_at, expires_at) SELECT n, now() - interval '40 days',"
            " now() - interval '20 days' FROM generate_series(1, 50) AS n"
        ),
        _sql("DELETE FROM user_sessions WHERE expires_at < now() - interval '7 days'"),
        incident=Opens("weekly-maintenance", "Severity 3"),
    ),
    Fault(
        "image-vulnerable", "an advisory for OpenSSL in both images comes out", ("backend-image", "frontend-image"),
        _MINUTE,
        _now(lambda w: w.images.warn_of({
            "id": "CVE-2026-0001", "package": "openssl", "fixed_in": "3.1.8", "severity": "CRITICAL",
        })),
        _now(lambda w: w.images.warn_of()), incident=Opens("monthly-maintenance", "Severity 3"),
    ),
    Fault(
        "rights-lost", "healthd's role may no longer read the tables, statistics of columns, the database's size",
        (
            *("users", "posts-last-day", "active-users", "posts-today", "old-sessions", "column-statistics"),
            "database-size",
        ),
        _MINUTE,
        _sql(
            *(f"REVOKE SELECT ON {name} FROM healthd" for name in TABLE_NAMES),  # noqa: S608
            "REVOKE SELECT ON pg_stats FROM PUBLIC", "REVOKE EXECUTE ON FUNCTION pg_database_size(oid) FROM PUBLIC",
        ),
        _sql(
            *(f"GRANT SELECT ON {name} TO healthd" for name in TABLE_NAMES),
            "GRANT SELECT ON pg_stats TO PUBLIC", "GRANT EXECUTE ON FUNCTION pg_database_size(oid) TO PUBLIC",
        ),
        incident=Opens("disaster-recovery", "Severity 2"),
    ),
    Fault(
        "redis-restricted", "the password of Redis no longer lets anybody walk through its keys", ("cache-big-keys",),
        _MINUTE, _redis("ACL", "SETUSER", "default", "-scan"), _redis("ACL", "SETUSER", "default", "+scan"),
        incident=Opens("cache-performance", "Severity 3"),
    ),
    Fault(
        "redis-silent", "the password of Redis no longer lets anybody see INFO",
        ("cache-hits", "redis-memory"), _MINUTE,
        _redis("ACL", "SETUSER", "default", "-info"), _redis("ACL", "SETUSER", "default", "+info"),
        incident=Opens("cache-performance", "Severity 3"),
    ),
)  # fmt: skip

FAULTS: Mapping[str, Fault[Any]] = table(*_OUTAGES, *_PERFORMANCE, *_CLUSTER, *_MONITORING, *_UPKEEP)
