"""What can be broken in the emulated Synk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from healthd.sandbox.parts.files import Request
from healthd.sandbox.synk.production import Production
from healthd.sandbox.synk.schema import NEWCOMERS, USERS
from healthd.sandbox.world import Fault, Opens, table

Act = Callable[[Production], Awaitable[object]]
_ATTACKER = "198.51.100.66"
_SCANNER = "198.51.100.77"
_SOON, _MINUTE, _DRILL = "10 s", "1 min", "5 min"
_BEHIND_SERVICES = ("site", "health", "response-time")
_ON_DATABASE = (
    *("users", "database-connections", "database-size", "api-calls", "most-active-users", "database-roles"),
)


def _now(do: Callable[[Production], object]) -> Act:
    """What changes at once, without waiting for anything."""

    async def act(synk: Production) -> None:
        do(synk)

    return act


def _behave(**values: Any) -> Act:
    """Set what the application does from now on."""

    async def act(synk: Production) -> None:
        for name, value in values.items():
            setattr(synk.application.behaviour, name, value)

    return act


async def _stop_backend(synk: Production) -> None:
    synk.docker.container("backend").exit(1)
    await synk.application.site.stop()


async def _start_backend(synk: Production) -> None:
    synk.docker.container("backend").recover()
    await synk.application.site.start()


async def _stop_database(synk: Production) -> None:
    synk.docker.container("db").kill_for_memory()
    await synk.database.stop()


async def _start_database(synk: Production) -> None:
    await synk.database.start()
    synk.docker.container("db").recover()


def _log_errors(synk: Production) -> None:
    backend = synk.docker.container("backend")
    for number in range(300):
        backend.say(f"ERROR sandbox-fault: job {number} failed: KeyError 'owner'", stream="stderr")


def _limit_rates(synk: Production) -> None:
    backend = synk.docker.container("backend")
    for number in range(40):
        backend.say(f"INFO RATE_LIMIT exceeded by 203.0.113.{number % 9 + 1} on /api/items/")


def _lose_backups(synk: Production) -> None:
    for night in synk.nights()[-2:]:
        synk.backups.remove(night)


def _damage_backups(synk: Production) -> None:
    for night in synk.nights()[-2:]:
        synk.backups.damage(night)


def _shrink_backup(synk: Production) -> None:
    """A dump of nothing but the table's definition, whole and well-formed."""
    dump = b"CREATE TABLE public.api_activity (user_id int);\n\n--\n-- PostgreSQL database dump complete\n--\n\n"
    synk.backups.replace(synk.nights()[-1], dump)


def _restore_backups(synk: Production) -> None:
    for night in synk.nights():
        synk.backups.put(night)


def _attack(synk: Production) -> None:
    attempts = [Request("POST", "/accounts/login/", 401, _ATTACKER, agent="python-requests/2.32")] * 1500
    synk.access.write(attempts, datetime.now(UTC) - timedelta(minutes=10))


def _scan(synk: Production) -> None:
    paths = ("/wp-login.php", "/index.jsp", "/.env", "/phpmyadmin/index.php")
    synk.access.write([Request(path=path, status=404, address=_SCANNER) for path in paths])


async def _join(synk: Production) -> None:
    """A crowd uses the API for the first time."""
    await synk.database.execute(
        "INSERT INTO api_activity (user_id, method, path)"  # noqa: S608 - numbers of our own
        f" SELECT {NEWCOMERS} + n, 'GET', '/api/items/' FROM generate_series(1, {1001 - USERS + 50}) AS n"
    )


async def _leave(synk: Production) -> None:
    await synk.database.execute(f"DELETE FROM api_activity WHERE user_id >= {NEWCOMERS}")  # noqa: S608


async def _hire_superuser(synk: Production) -> None:
    await synk.database.execute("CREATE ROLE intern SUPERUSER LOGIN")


async def _dismiss_superuser(synk: Production) -> None:
    await synk.database.execute("DROP ROLE IF EXISTS intern")


async def _take_rights(synk: Production) -> None:
    await synk.database.execute("REVOKE SELECT ON api_activity FROM healthd")
    await synk.database.execute("REVOKE EXECUTE ON FUNCTION pg_database_size(oid) FROM PUBLIC")


async def _give_rights(synk: Production) -> None:
    await synk.database.execute("GRANT SELECT ON api_activity TO healthd")
    await synk.database.execute("GRANT EXECUTE ON FUNCTION pg_database_size(oid) TO PUBLIC")


def _outdated(synk: Production) -> None:
    synk.deployment.publish(python={"django": "5.2.1", "redis": "6.0.0"}, javascript={"vite": "7.0.2"})


def _vulnerable(synk: Production) -> None:
    synk.deployment.warn_of(
        python=({"id": "PYSEC-2026-1", "package": "django", "fixed_in": "4.2.17"},),
        javascript=({"id": "GHSA-0000-0000-0001", "package": "axios", "fixed_in": "1.8.2", "severity": "high"},),
    )


_SERVICES: tuple[Fault[Production], ...] = (
    Fault(
        "backend-down", "the backend's container ends, and the site refuses connections", ("services",), _SOON,
        _stop_backend, _start_backend, quiet=(*_BEHIND_SERVICES, "security-headers"),
        incident=Opens("service-down", "critical"),
    ),
    Fault(
        "site-down", "nginx refuses connections while the services run", ("site", "health"), _SOON,
        lambda w: w.application.site.stop(), lambda w: w.application.site.start(),
        quiet=("response-time", "security-headers"), incident=Opens("service-down", "critical"),
    ),
    Fault(
        "site-errors", "the site answers with 500", ("site", "error-rate"), _SOON,
        _behave(site_status=500), _behave(site_status=200), quiet=("response-time",),
        incident=Opens("service-down", "critical"),
    ),
    Fault(
        "unhealthy", "the application says of itself that it is not healthy", ("health",), _SOON,
        _behave(healthy=False), _behave(healthy=True), incident=Opens("service-down", "critical"),
    ),
    Fault(
        "database-down", "the database's container is killed for want of memory, and the server with it", ("services",),
        _SOON, _stop_database, _start_database,
        quiet=("database-up", "health", "error-rate", "database-cpu", *_ON_DATABASE),
        incident=Opens("service-down", "critical"),
    ),
    Fault(
        "database-refuses", "PostgreSQL is down while its container runs", ("database-up",), _SOON,
        lambda w: w.database.stop(), lambda w: w.database.start(),
        quiet=("health", "error-rate", *_ON_DATABASE), incident=Opens("service-down", "critical"),
    ),
)  # fmt: skip

_PERFORMANCE: tuple[Fault[Production], ...] = (
    Fault(
        "site-slow", "every answer takes 0.7 s longer", ("response-time",), _SOON,
        _behave(delay=0.7), _behave(delay=0.0), incident=Opens("slow-responses", "warning"),
    ),
    Fault(
        "api-errors", "30% of the API's requests are answered with 500", ("error-rate",), "20 s",
        _behave(error_share=0.3), _behave(error_share=0.0), incident=Opens("high-error-rate", "warning"),
    ),
    Fault(
        "errors-logged", "the backend logs hundreds of errors", ("error-lines",), _MINUTE,
        _now(_log_errors), _now(lambda w: w.docker.container("backend").forget("sandbox-fault")),
        incident=Opens("high-error-rate", "warning"),
    ),
    Fault(
        "database-busy", "the database keeps 95% of its processors busy", ("database-cpu",), _SOON,
        _now(lambda w: w.docker.container("db").work(1.9)), _now(lambda w: w.docker.container("db").work(0.1)),
        incident=Opens("database-busy", "warning"),
    ),
    Fault(
        "connections-many", "30 connections stay open", ("database-connections",), _SOON,
        lambda w: w.database.occupy(0.3), lambda w: w.database.release(), incident=Opens("connection-limit", "warning"),
    ),
    Fault(
        "connection-limit", "97% of PostgreSQL's max_connections are in use", ("database-connections",), _SOON,
        lambda w: w.database.occupy(0.97), lambda w: w.database.release(),
        incident=Opens("connection-limit", "critical"),
    ),
    Fault(
        "crowd", "hundreds of new users: more than a thousand are active", ("users",), _SOON, _join, _leave,
        incident=Opens("scale-out", "warning"),
    ),
    Fault(
        "disk-full", "96% of the disk is in use", ("disk",), _SOON,
        lambda w: w.disk.fill(0.96), _now(lambda w: w.disk.empty()), incident=Opens("disk-full", "critical"),
    ),
)  # fmt: skip

_BACKUPS: tuple[Fault[Production], ...] = (
    Fault(
        "backup-missing", "the backups of the last two nights are gone",
        ("backup", "backup-integrity", "backups-of-the-week"), _MINUTE, _now(_lose_backups), _now(_restore_backups),
        incident=Opens("backup-and-restore", "critical"),
    ),
    Fault(
        "backup-corrupt", "the backups of the last two nights are damaged inside",
        ("backup-integrity", "restore-drill"), _DRILL, _now(_damage_backups), _now(_restore_backups),
        incident=Opens("backup-and-restore", "critical"),
    ),
    Fault(
        "backup-too-small", "the newest backup is whole, and holds next to nothing", ("backup", "restore-drill"),
        _DRILL, _now(_shrink_backup), _now(_restore_backups), incident=Opens("backup-and-restore", "critical"),
    ),
)  # fmt: skip

_SECURITY: tuple[Fault[Production], ...] = (
    Fault(
        "headers-missing", "the site answers without security headers", ("security-headers",), _MINUTE,
        _now(lambda w: w.application.behaviour.drop_headers()),
        _now(lambda w: w.application.behaviour.restore_headers()), incident=Opens("security-procedures", "warning"),
    ),
    Fault(
        "certificate-expiring", "the site's certificate is valid for five more days", ("certificate",), _MINUTE,
        _now(lambda w: w.certificate.renew(5)), _now(lambda w: w.certificate.renew()),
        incident=Opens("certificate-expiring", "critical"),
    ),
    Fault(
        "debug-on", "the deployment's settings have DEBUG switched on", ("security-audit",), _MINUTE,
        _now(lambda w: w.deployment.configure(DEBUG="True")), _now(lambda w: w.deployment.configure()),
        incident=Opens("security-procedures", "critical"),
    ),
    Fault(
        "brute-force", "one address has tried 1500 passwords", ("access-log",), _MINUTE,
        _now(_attack), _now(lambda w: w.access.forget(_ATTACKER)), incident=Opens("brute-force", "critical"),
    ),
    Fault(
        "exploit-paths", "somebody asks for exploit paths", ("exploit-attempts", "access-log"), _MINUTE,
        _now(_scan), _now(lambda w: w.access.forget(_SCANNER)), incident=Opens("security-procedures", "warning"),
    ),
    Fault(
        "rate-limited", "dozens of requests were rate-limited", ("rate-limits",), _MINUTE,
        _now(_limit_rates), _now(lambda w: w.docker.container("backend").forget("RATE_LIMIT")),
        incident=Opens("security-procedures", "warning"),
    ),
    Fault(
        "superuser", "the database has a superuser nobody knows of", ("database-roles",), _MINUTE,
        _hire_superuser, _dismiss_superuser, incident=Opens("security-procedures", "critical"),
    ),
)  # fmt: skip

_UPKEEP: tuple[Fault[Production], ...] = (
    Fault(
        "packages-outdated", "newer versions of packages come out", ("outdated-pip", "outdated-npm"), _MINUTE,
        _now(_outdated), _now(lambda w: w.deployment.publish()), incident=Opens("dependencies", "warning"),
    ),
    Fault(
        "packages-vulnerable", "advisories for two of the packages come out", ("pip-audit", "npm-audit"), _MINUTE,
        _now(_vulnerable), _now(lambda w: w.deployment.warn_of()), incident=Opens("dependencies", "warning"),
    ),
    Fault(
        "logs-unreadable", "containers log to a driver that cannot be read",
        ("log-anomalies", "error-lines", "rate-limits"), _MINUTE,
        _now(lambda w: w.docker.hide_logs()), _now(lambda w: w.docker.show_logs()),
        incident=Opens("incident-response", "warning"),
    ),
    Fault(
        "rights-lost", "healthd's role may no longer read api_activity, nor the size of the database",
        ("users", "api-calls", "most-active-users", "database-size"), _MINUTE, _take_rights, _give_rights,
        incident=Opens("incident-response", "warning"),
    ),
)  # fmt: skip

FAULTS: Mapping[str, Fault[Any]] = table(*_SERVICES, *_PERFORMANCE, *_BACKUPS, *_SECURITY, *_UPKEEP)
