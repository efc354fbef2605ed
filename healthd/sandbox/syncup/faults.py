"""What can be broken in the emulated SyncUp, what notices it, and how it is mended again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from healthd.sandbox.syncup.scene import API_LOGS, BUCKET, CACHE, DATABASE, LOGS, ORIGIN, REPLICA, SECRETS
from healthd.sandbox.world import Fault, Opens, table

if TYPE_CHECKING:
    from healthd.sandbox.syncup.production import Production

Act = Callable[["Production"], Awaitable[object]]
_Faults = tuple[Fault["Production"], ...]
_OFTEN, _MINUTE, _DRILL = "5 s", "a minute", "two minutes"


def _metric(name: str, value: float | None = None) -> Act:
    """Put a machine's metric to a level; without one, to what is usual."""
    return lambda world: world.scene.metric(name, value)


def _traffic(**changed: float) -> Act:
    """Change what CloudFront measures."""
    return lambda world: world.scene.change_traffic(**changed)


def _usual(*names: str) -> Act:
    """Put it back."""
    return lambda world: world.scene.usual_traffic(*names)


def _instance(**fields: object) -> Act:
    """Change what RDS says of the database."""
    return lambda world: world.aws.databases.change(DATABASE, **fields)


def _answers(name: str, value: object) -> Act:
    """Change what a site answers that SyncUp does not run itself."""

    async def act(world: Production) -> None:
        setattr(world.services, name, value)

    return act


def _variables(**changed: str | None) -> Act:
    """Start the service with other variables."""

    async def act(world: Production) -> None:
        world.host.set_variables(**changed)

    return act


def _reset_variable(name: str) -> Act:
    """Start it with what is right."""

    async def act(world: Production) -> None:
        world.host.reset_variable(name)

    return act


def _vulnerabilities(**found: int) -> Act:
    """What an audit of the dependencies finds."""

    async def act(world: Production) -> None:
        world.host.find_vulnerabilities(**found)

    return act


async def _fail_requests(world: Production) -> None:
    """As CloudFront sees it, and as the log tells it."""
    await world.scene.change_traffic(errors=8)
    lines = [f"ERROR POST /api/summaries/{number} 500 TypeError: transcript is undefined" for number in range(40)]
    await world.aws.logs.write(LOGS, *lines)


async def _stop_cache(world: Production) -> None:
    """Redis itself, and what ElastiCache says of it."""
    await world.cache.stop()
    await world.aws.caches.change(CACHE, Status="create-failed")


async def _start_cache(world: Production) -> None:
    await world.cache.start()
    await world.aws.caches.change(CACHE, Status="available")


async def _no_restorable_time(world: Production) -> None:
    await world.aws.databases.restorable(DATABASE, timedelta(hours=3))


async def _restorable_time(world: Production) -> None:
    await world.aws.databases.restorable(DATABASE, timedelta(minutes=4))


async def _remove_log_groups(world: Production) -> None:
    await world.aws.logs.remove(LOGS)
    await world.aws.logs.remove(API_LOGS)


async def _make_log_groups(world: Production) -> None:
    await world.scene.logs(LOGS)
    await world.scene.logs(API_LOGS)


async def _delete_a_day(world: Production) -> None:
    """Two days' worth, so that one whole day of the calendar is among them whatever the hour is."""
    await world.scene.delete_incremental(48, first=48)
    await world.scene.delete_full(2, first=2)


async def _put_that_day(world: Production) -> None:
    await world.scene.put_incremental(48, first=48)
    await world.scene.put_full(2, first=2)


_SITE: _Faults = (
    Fault(
        "app-down", "stops the application: connections are refused", ("site",), _OFTEN,
        lambda w: w.application.site.stop(), lambda w: w.application.site.start(), incident=Opens("system-down", "P1"),
    ),
    Fault(
        "server-failed", "makes the server fail EC2's status checks", ("server",), _OFTEN,
        _metric("StatusCheckFailed", 1), _metric("StatusCheckFailed"), incident=Opens("system-down", "P1"),
    ),
    Fault(
        "cdn-off", "disables the distribution of CloudFront", ("cdn",), _OFTEN,
        lambda w: w.aws.network.serve(ORIGIN, enabled=False), lambda w: w.aws.network.serve(ORIGIN, enabled=True),
        incident=Opens("system-down", "P1"),
    ),
    Fault(
        "cpu-high", "uses 92% of the server's processors", ("cpu",), _OFTEN,
        _metric("CPUUtilization", 92), _metric("CPUUtilization"), incident=Opens("high-cpu", "P3"),
    ),
    Fault(
        "memory-leak", "uses 93% of the server's memory", ("memory",), _OFTEN,
        _metric("mem_used_percent", 93), _metric("mem_used_percent"), incident=Opens("high-memory-usage", "P3"),
    ),
    Fault(
        "disk-full", "fills the server's disk to 96%", ("disk-free",), _OFTEN,
        _metric("disk_used_percent", 96), _metric("disk_used_percent"), incident=Opens("low-disk-space", "P1"),
    ),
    Fault(
        "app-errors", "answers 8% of the requests with 5xx", ("error-rate",), _OFTEN,
        _fail_requests, _usual("errors"), incident=Opens("high-error-rate", "P1"),
    ),
    Fault(
        "app-slow", "makes one request of a hundred take 4.5 s", ("latency-p99",), _OFTEN,
        _traffic(p99=4500), _usual("p99"), incident=Opens("api-timeouts", "P2"),
    ),
    Fault(
        "app-sluggish", "makes half of the requests take 420 ms", ("latency-p50",), _OFTEN,
        _traffic(p50=420), _usual("p50"), incident=Opens("api-timeouts", "P3"),
    ),
    Fault(
        "traffic-low", "lets 40 requests a second through", ("throughput",), _OFTEN,
        _traffic(per_minute=2400), _usual("per_minute"), incident=Opens("api-timeouts", "P3"),
    ),
    Fault(
        "openai-down", "answers SyncUp's questions to OpenAI with 503", ("openai",), _OFTEN,
        _answers("openai_code", 503), _answers("openai_code", 404), incident=Opens("api-timeouts", "P2"),
    ),
    Fault(
        "status-page-incident", "tells of an incident on the status page", ("status-page",), _OFTEN,
        _answers("indicator", "major"), _answers("indicator", "none"), incident=Opens("incident-response", "P4"),
    ),
)  # fmt: skip

_MONITORING: _Faults = (
    Fault(
        "metrics-lost", "sends the server's metrics no longer, since 20 minutes", ("monitoring-data",), _OFTEN,
        lambda w: w.scene.silence("CPUUtilization", timedelta(minutes=20)),
        lambda w: w.scene.silence("CPUUtilization", None),
        incident=Opens("no-monitoring", "P4"),
    ),
    Fault(
        "datadog-lost", "sends DataDog no metrics, since 20 minutes", ("datadog-data",), _OFTEN,
        _answers("datadog_silent", timedelta(minutes=20)), _answers("datadog_silent", timedelta(0)),
        incident=Opens("no-monitoring", "P4"),
    ),
    Fault(
        "monitoring-down", "answers with 502 instead of the monitoring page", ("monitoring-dashboard",), _OFTEN,
        _answers("monitoring_code", 502), _answers("monitoring_code", 200), incident=Opens("no-monitoring", "P3"),
    ),
    Fault(
        "log-lines-lost", "sends log lines no longer, since 20 minutes", ("log-lines",), _OFTEN,
        lambda w: w.scene.logs(LOGS, silent_for=timedelta(minutes=20)), lambda w: w.scene.logs(LOGS),
        incident=Opens("no-monitoring", "P4"),
    ),
    Fault(
        "log-groups-deleted", "deletes the log groups", ("log-lines", "error-lines", "api-log-lines"), _MINUTE,
        _remove_log_groups, _make_log_groups, incident=Opens("no-monitoring", "P4"), apart=("logs-kept-for-ever",),
    ),
    Fault(
        "logs-kept-for-ever", "takes the retention off a log group", ("log-retention",), _MINUTE,
        lambda w: w.aws.logs.group(API_LOGS), lambda w: w.aws.logs.group(API_LOGS, retention=30),
        incident=Opens("planned-maintenance", "P4"),
    ),
)  # fmt: skip

_ON_DATABASE = (
    "site", "query-time", "slow-queries", "replication-lag", "database-connections", "database-encryption",
    "database-size", "database-sessions", "tables-vacuumed", "indexes",
)  # fmt: skip

_DATABASE: _Faults = (
    Fault(
        "database-down", "stops PostgreSQL", ("database-up",), _OFTEN,
        lambda w: w.database.stop(), lambda w: w.database.start(),
        quiet=_ON_DATABASE, incident=Opens("database-recovery", "P1"),
    ),
    Fault(
        "database-failed", "makes RDS say that the instance has failed", ("database-instance",), _OFTEN,
        _instance(DBInstanceStatus="failed"), _instance(DBInstanceStatus="available"),
        quiet=("point-in-time", "database-private", "database-disk-free"), incident=Opens("database-recovery", "P1"),
    ),
    Fault(
        "database-connections", "holds 96% of PostgreSQL's connections open", ("database-connections",), _OFTEN,
        lambda w: w.database.occupy(0.96), lambda w: w.database.release(),
        incident=Opens("database-connections", "P1"),
    ),
    Fault(
        "queries-slow", "asks the database questions that take 1.4 s", ("query-time",), "10 s",
        lambda w: w.reports.start("summaries", 1.4), lambda w: w.reports.stop("summaries"),
        quiet=("slow-queries",), incident=Opens("slow-database-queries", "P2"),
    ),
    Fault(
        "queries-slower", "asks the database questions that take 0.7 s", ("query-time",), "10 s",
        lambda w: w.reports.start("users", 0.7), lambda w: w.reports.stop("users"),
        incident=Opens("slow-database-queries", "P3"),
    ),
    Fault(
        "replica-lags", "keeps the replica from replaying what it receives", ("replication-lag",), _OFTEN,
        lambda w: w.replica.pause(), lambda w: w.replica.resume(), incident=Opens("slow-database-queries", "P3"),
    ),
    Fault(
        "database-disk-full", "leaves 4% of the database's disk free", ("database-disk-free",), _OFTEN,
        _metric("FreeStorageSpace", 4 * 2.0**30), _metric("FreeStorageSpace"),
        incident=Opens("low-disk-space", "P1"),
    ),
    Fault(
        "connection-in-the-clear", "connects to the database from another machine without TLS",
        ("database-encryption",), _MINUTE,
        lambda w: w.stranger.come(), lambda w: w.stranger.leave(), incident=Opens("environment-incomplete", "P3"),
    ),
    Fault(
        "table-not-vacuumed", "makes a table that was never vacuumed", ("tables-vacuumed",), _MINUTE,
        lambda w: w.maintenance.add_dirty_table(), lambda w: w.maintenance.drop_dirty_table(),
        incident=Opens("planned-maintenance", "P4"),
    ),
    Fault(
        "index-invalid", "leaves an index that could not be built", ("indexes",), _MINUTE,
        lambda w: w.maintenance.break_index(), lambda w: w.maintenance.drop_index(),
        incident=Opens("planned-maintenance", "P4"),
    ),
    Fault(
        "redis-down", "stops Redis", ("redis-up",), _OFTEN,
        _stop_cache, _start_cache,
        quiet=("site", "cache-memory"), incident=Opens("cache-unavailable", "P2"),
    ),
    Fault(
        "redis-full", "fills Redis to 90% of its memory", ("cache-memory",), _MINUTE,
        lambda w: w.cache.fill(0.9), lambda w: w.cache.drain(), incident=Opens("planned-maintenance", "P4"),
    ),
)  # fmt: skip

_BACKUPS: _Faults = (
    Fault(
        "backup-missing", "deletes the last three hours' backups", ("backup-age",), _MINUTE,
        lambda w: w.scene.delete_incremental(3), lambda w: w.scene.put_incremental(3),
        incident=Opens("backup-missing", "P1"),
    ),
    Fault(
        "full-backup-missing", "deletes the last two full backups", ("full-backup-age",), _MINUTE,
        lambda w: w.scene.delete_full(2), lambda w: w.scene.put_full(2), incident=Opens("backup-missing", "P1"),
    ),
    Fault(
        "backup-too-small", "cuts the newest full backup to a third", ("full-backup-age", "restore-drill"), _DRILL,
        lambda w: w.scene.put_newest_backup(w.scene.truncated_backup()), lambda w: w.scene.restore_newest_backup(),
        incident=Opens("backup-missing", "P2"),
    ),
    Fault(
        "backup-corrupt", "damages the newest full backup, which stays as large", ("restore-drill",), _DRILL,
        lambda w: w.scene.put_newest_backup(w.scene.damaged_backup()), lambda w: w.scene.restore_newest_backup(),
        incident=Opens("backup-missing", "P2"), apart=("full-backup-missing",),
    ),
    Fault(
        "backup-day-missing", "deletes the backups of a day", ("backups-per-day",), _MINUTE,
        _delete_a_day, _put_that_day, incident=Opens("backup-missing", "P3"),
    ),
    Fault(
        "replication-off", "copies backups to the other region no longer", ("backup-bucket",), _MINUTE,
        lambda w: w.aws.buckets.replicate(BUCKET, None), lambda w: w.aws.buckets.replicate(BUCKET, REPLICA),
        incident=Opens("backup-missing", "P2"),
    ),
    Fault(
        "backups-expire-early", "deletes backups after a week", ("backup-bucket",), _MINUTE,
        lambda w: w.aws.buckets.expire(BUCKET, 7), lambda w: w.aws.buckets.expire(BUCKET, 30),
        incident=Opens("backup-missing", "P3"),
    ),
    Fault(
        "point-in-time-off", "switches RDS' own backups off", ("point-in-time",), _MINUTE,
        _instance(BackupRetentionPeriod=0), _instance(BackupRetentionPeriod=30),
        incident=Opens("backup-missing", "P2"),
    ),
    Fault(
        "point-in-time-behind", "leaves the newest moment that can be restored 3 hours back", ("point-in-time",),
        _MINUTE, _no_restorable_time, _restorable_time, incident=Opens("backup-missing", "P3"),
    ),
)  # fmt: skip

_SECURITY: _Faults = (
    Fault(
        "variable-missing", "starts the service without JWT_SECRET", ("environment-variables",), _MINUTE,
        _variables(JWT_SECRET=None), _reset_variable("JWT_SECRET"), incident=Opens("environment-incomplete", "P2"),
    ),
    Fault(
        "tls-switched-off", "starts the service with DATABASE_SSL=false", ("environment-values",), _MINUTE,
        _variables(DATABASE_SSL="false"), _reset_variable("DATABASE_SSL"),
        incident=Opens("environment-incomplete", "P2"),
    ),
    Fault(
        "ssh-open", "opens port 22 to everybody", ("ssh-closed",), _MINUTE,
        lambda w: w.scene.open_port(22), lambda w: w.scene.close_port(22), incident=Opens("open-access", "P1"),
    ),
    Fault(
        "database-public", "gives the database a public address", ("database-private",), _MINUTE,
        _instance(PubliclyAccessible=True), _instance(PubliclyAccessible=False), incident=Opens("open-access", "P1"),
    ),
    Fault(
        "secrets-old", "leaves a secret unrotated for 120 days", ("secrets-age",), _MINUTE,
        lambda w: w.aws.identity.rotated(SECRETS[0], timedelta(days=120)),
        lambda w: w.aws.identity.rotated(SECRETS[0], timedelta(days=40)), incident=Opens("secrets-due", "P3"),
    ),
    Fault(
        "vulnerable-dependency", "publishes an advisory for a dependency", ("dependency-audit",), _MINUTE,
        _vulnerabilities(high=2, critical=1), _vulnerabilities(), incident=Opens("vulnerable-dependencies", "P2"),
    ),
)  # fmt: skip

# Nothing that runs leads to deploy-staging, deploy-production and rollback: people choose to follow them.
FAULTS = table(*_SITE, *_MONITORING, *_DATABASE, *_BACKUPS, *_SECURITY)
