"""Backups, maintenance, images, and the rights healthd itself has."""

from __future__ import annotations

from healthd.sandbox.social_live.faults.common import DRILL, MINUTE, Faults, now, redis, sql
from healthd.sandbox.social_live.production import Production
from healthd.sandbox.social_live.schema import TABLE_NAMES
from healthd.sandbox.world import Fault, Opens


async def _lose_backups(world: Production) -> None:
    for night in (0, 1, 2):
        await world.lose_backup(night)


async def _shrink_backup(world: Production) -> None:
    from gzip import compress

    dump = b"CREATE TABLE public.users (id int);\n\n--\n-- PostgreSQL database dump complete\n--\n\n"
    await world.put_backup(0, compress(dump))


UPKEEP: Faults = (
    Fault(
        "backup-missing", "the backups of the last three nights are gone", ("backups",), MINUTE,
        _lose_backups, lambda w: w.put_backups(), incident=Opens("backup-missing", "Severity 2"),
    ),
    Fault(
        "backup-too-small", "the newest backup is whole, and holds next to nothing", ("backups", "restore-drill"),
        DRILL, _shrink_backup, lambda w: w.put_backups(), incident=Opens("backup-missing", "Severity 2"),
    ),
    Fault(
        "backup-corrupt", "the newest backup is damaged inside", ("restore-drill",), DRILL,
        lambda w: w.damage_backup(), lambda w: w.put_backups(),
        incident=Opens("backup-missing", "Severity 2"), apart=("backup-missing",),
    ),
    Fault(
        "never-vacuumed", "a new table was never vacuumed", ("tables-vacuumed",), MINUTE,
        sql(
            "CREATE TABLE IF NOT EXISTS imports WITH (autovacuum_enabled = false)"
            " AS SELECT n FROM generate_series(1, 20000) AS n"
        ),
        sql("DROP TABLE IF EXISTS imports"), incident=Opens("weekly-maintenance", "Severity 3"),
    ),
    Fault(
        "sessions-left", "sessions that expired weeks ago are still there", ("old-sessions",), MINUTE,
        sql(
            "INSERT INTO user_sessions (user_id, created_at, expires_at) SELECT n, now() - interval '40 days',"
            " now() - interval '20 days' FROM generate_series(1, 50) AS n"
        ),
        sql("DELETE FROM user_sessions WHERE expires_at < now() - interval '7 days'"),
        incident=Opens("weekly-maintenance", "Severity 3"),
    ),
    Fault(
        "image-vulnerable", "an advisory for OpenSSL in both images comes out", ("backend-image", "frontend-image"),
        MINUTE,
        now(lambda w: w.images.warn_of({
            "id": "CVE-2026-0001", "package": "openssl", "fixed_in": "3.1.8", "severity": "CRITICAL",
        })),
        now(lambda w: w.images.warn_of()), incident=Opens("monthly-maintenance", "Severity 3"),
    ),
    Fault(
        "rights-lost", "healthd's role may no longer read the tables, statistics of columns, the database's size",
        (
            *("users", "posts-last-day", "active-users", "posts-today", "old-sessions", "column-statistics"),
            "database-size",
        ),
        MINUTE,
        sql(
            *(f"REVOKE SELECT ON {name} FROM healthd" for name in TABLE_NAMES),  # noqa: S608 - constants of our own
            "REVOKE SELECT ON pg_stats FROM PUBLIC", "REVOKE EXECUTE ON FUNCTION pg_database_size(oid) FROM PUBLIC",
        ),
        sql(
            *(f"GRANT SELECT ON {name} TO healthd" for name in TABLE_NAMES),
            "GRANT SELECT ON pg_stats TO PUBLIC", "GRANT EXECUTE ON FUNCTION pg_database_size(oid) TO PUBLIC",
        ),
        incident=Opens("disaster-recovery", "Severity 2"),
    ),
    Fault(
        "redis-restricted", "the password of Redis no longer lets anybody walk through its keys", ("cache-big-keys",),
        MINUTE, redis("ACL", "SETUSER", "default", "-scan"), redis("ACL", "SETUSER", "default", "+scan"),
        incident=Opens("cache-performance", "Severity 3"),
    ),
    Fault(
        "redis-silent", "the password of Redis no longer lets anybody see INFO",
        ("cache-hits", "redis-memory"), MINUTE,
        redis("ACL", "SETUSER", "default", "-info"), redis("ACL", "SETUSER", "default", "+info"),
        incident=Opens("cache-performance", "Severity 3"),
    ),
)  # fmt: skip
