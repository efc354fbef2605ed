"""Every limit in Synk's day-to-day guide: values on both sides of it and exactly at it.

The expected statuses are read off the guide. It gives no durations: whatever is bad counts at once.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from healthd.model.catalogue import Catalogue
from healthd.model.outcomes import Level
from tests.pure.truth_table import catalogue_of, status

OK, WARNING, CRITICAL, UNKNOWN = Level.OK, Level.WARNING, Level.CRITICAL, Level.UNKNOWN


@pytest.fixture(scope="module")
def synk() -> Catalogue:
    return catalogue_of("synk")


UP = {"containers": "4", "unhealthy": "0"}
SITE = {"up": "1"}
BACKUP = {"newest_age": "8h", "newest_size": "20MB"}
CONNECTIONS = {"used": "5", "ratio": "5%"}
DRILL = {
    "restored": "1", "checksum_valid": "1", "tables": "12", "sanity_ok": "1", "rows_ok": "1", "duration": "20m"
}  # fmt: skip

TABLE = [
    # all services "Up"
    ("services", UP | {"down": "0"}, OK),
    ("services", UP | {"down": "1"}, CRITICAL),
    # 200 OK
    ("site", SITE | {"status": "200"}, OK),
    ("site", SITE | {"status": "204"}, CRITICAL),
    ("site", SITE | {"status": "503"}, CRITICAL),
    ("site", {"up": "0"}, CRITICAL),
    # security headers present
    ("security-headers", SITE | {"missing": "0"}, OK),
    ("security-headers", SITE | {"missing": "1"}, WARNING),
    # less than 80% full
    ("disk", {"used_ratio": "79.9%", "responsive": "1"}, OK),
    ("disk", {"used_ratio": "80%", "responsive": "1"}, WARNING),
    ("disk", {"used_ratio": "80.1%", "responsive": "1"}, WARNING),
    ("disk", {"used_ratio": "95%", "responsive": "1"}, CRITICAL),
    # not growing too fast: a fortnight is ours
    ("disk", {"used_ratio": "50%", "responsive": "1", "days_left": "14d"}, OK),
    ("disk", {"used_ratio": "50%", "responsive": "1", "days_left": "13d"}, WARNING),
    # a backup of the last 24 hours, of 5 to 50 MB
    ("backup", BACKUP | {"newest_age": "23h"}, OK),
    ("backup", BACKUP | {"newest_age": "24h"}, OK),
    ("backup", BACKUP | {"newest_age": "24h1m"}, WARNING),
    ("backup", BACKUP | {"newest_age": "49h"}, CRITICAL),
    ("backup", {}, CRITICAL),
    ("backup", BACKUP | {"newest_size": "4.9MB"}, WARNING),
    ("backup", BACKUP | {"newest_size": "5MB"}, OK),
    ("backup", BACKUP | {"newest_size": "50MB"}, OK),
    ("backup", BACKUP | {"newest_size": "50.1MB"}, WARNING),
    # fewer than 20 connections
    ("database-connections", CONNECTIONS | {"used": "19"}, OK),
    ("database-connections", CONNECTIONS | {"used": "20"}, WARNING),
    ("database-connections", CONNECTIONS | {"used": "21"}, WARNING),
    ("database-connections", {"used": "97", "ratio": "100%"}, CRITICAL),
    # a backup on each of seven days
    ("backups-of-the-week", {"count": "7"}, OK),
    ("backups-of-the-week", {"count": "6"}, WARNING),
    ("backups-of-the-week", {"count": "0"}, WARNING),
    # yesterday's backup is there and whole
    ("backup-integrity", {"count": "1", "gzip_valid": "1"}, OK),
    ("backup-integrity", {"count": "1", "gzip_valid": "0"}, CRITICAL),
    ("backup-integrity", {"count": "0"}, CRITICAL),
    # more than 30 days of the certificate left
    ("certificate", {"up": "1", "days_left": "31d"}, OK),
    ("certificate", {"up": "1", "days_left": "30d"}, WARNING),
    ("certificate", {"up": "1", "days_left": "29d"}, WARNING),
    ("certificate", {"up": "1", "days_left": "0d"}, CRITICAL),
    # hardly any request rate-limited
    ("rate-limits", {"matches": "0"}, OK),
    ("rate-limits", {"matches": "5"}, OK),
    ("rate-limits", {"matches": "500"}, WARNING),
    # all checks of the audit pass
    ("security-audit", {"exit_code": "0"}, OK),
    ("security-audit", {"exit_code": "1"}, CRITICAL),
    # no exploit path asked for
    ("exploit-attempts", {"matches": "0"}, OK),
    ("exploit-attempts", {"matches": "1"}, WARNING),
    # dependencies: anything outdated is planned, anything vulnerable found; what was skipped was not looked at
    ("outdated-pip", {"outdated": "0"}, OK),
    ("outdated-pip", {"outdated": "1"}, WARNING),
    ("outdated-npm", {"outdated": "1"}, WARNING),
    ("pip-audit", {"vulnerabilities": "0", "skipped": "0"}, OK),
    ("pip-audit", {"vulnerabilities": "1", "skipped": "0"}, WARNING),
    ("pip-audit", {"vulnerabilities": "0", "skipped": "1"}, WARNING),
    ("npm-audit", {"vulnerabilities": "0"}, OK),
    ("npm-audit", {"vulnerabilities": "1"}, WARNING),
    ("npm-audit", {"vulnerabilities": "1", "critical": "1"}, CRITICAL),
    ("npm-audit", {}, UNKNOWN),
    # restored, whole, in less than 2 hours
    ("restore-drill", DRILL, OK),
    ("restore-drill", DRILL | {"duration": "119m"}, OK),
    ("restore-drill", DRILL | {"duration": "120m"}, WARNING),
    ("restore-drill", DRILL | {"duration": "121m"}, WARNING),
    ("restore-drill", DRILL | {"sanity_ok": "0"}, CRITICAL),
    ("restore-drill", DRILL | {"restored": "0"}, CRITICAL),
    # below 500 ms; above 1 s something has to change
    ("response-time", SITE | {"latency": "499ms"}, OK),
    ("response-time", SITE | {"latency": "500ms"}, WARNING),
    ("response-time", SITE | {"latency": "501ms"}, WARNING),
    ("response-time", SITE | {"latency": "1s"}, WARNING),
    ("response-time", SITE | {"latency": "1001ms"}, CRITICAL),
    # more than 1000 users
    ("users", {"active_users": "999"}, OK),
    ("users", {"active_users": "1000"}, OK),
    ("users", {"active_users": "1001"}, WARNING),
    # CPU of the database over 80%
    ("database-cpu", {"cpu_ratio": "79%", "count": "1"}, OK),
    ("database-cpu", {"cpu_ratio": "80%", "count": "1"}, OK),
    ("database-cpu", {"cpu_ratio": "81%", "count": "1"}, WARNING),
    # error rate over 1%; without requests there is none
    ("error-rate", {"errors_ratio": "0.9%"}, OK),
    ("error-rate", {"errors_ratio": "1%"}, OK),
    ("error-rate", {"errors_ratio": "1.1%"}, WARNING),
    ("error-rate", {}, OK),
    # a value that should be there and is not
    ("disk", {"responsive": "1"}, UNKNOWN),
    ("users", {}, UNKNOWN),
]


@pytest.mark.parametrize(("check", "values", "expected"), TABLE)
@pytest.mark.parametrize("held_for", [timedelta(0), timedelta(days=1)], ids=["at once", "for a day"])
def test_documented_limits(
    synk: Catalogue, check: str, values: dict[str, str], expected: Level, held_for: timedelta
) -> None:
    assert status(synk.checks[f"synk/{check}"], values, held_for) is expected


def test_somebody_else_is_sent_for_when_a_restart_did_not_help(synk: Catalogue) -> None:
    first, then = synk.systems["synk"].runbook.escalation
    assert (first.after, then.after) == ({"critical": timedelta(0)}, {"critical": timedelta(minutes=15)})
    assert then.covers == ("synk-operations/down-4-escalate",)


# Morning at 9, end of day at 5 PM, Friday afternoon, first, middle and end of the month, quarterly, annually.
# The guide of 11 February is reviewed on 11 May.
@pytest.mark.parametrize(
    ("cadence", "cron"),
    [
        ("morning", "0 9 * * *"),
        ("evening", "0 17 * * *"),
        ("weekly-monday", "0 9 * * 1"),
        ("weekly-friday", "0 15 * * 5"),
        ("first-of-month", "0 9 1 * *"),
        ("mid-month", "0 9 15 * *"),
        ("end-of-month", "0 17 L * *"),
        ("quarterly", "0 9 1 1,4,7,10 *"),
        ("annually", "0 9 1 1 *"),
        ("document-review", "0 9 11 2,5,8,11 *"),
    ],
)
def test_documented_times(synk: Catalogue, cadence: str, cron: str) -> None:
    assert synk.systems["synk"].cadences[cadence].rule.crons == (cron,)


@pytest.mark.parametrize(
    ("check", "cadences"),
    [
        ("services", {"morning", "evening"}),
        ("site", {"morning"}),
        ("disk", {"morning"}),
        ("backup", {"morning"}),
        ("error-lines", {"evening"}),
        ("database-connections", {"evening"}),
        ("log-anomalies", {"weekly-monday"}),
        ("backups-of-the-week", {"weekly-monday"}),
        ("response-time", {"weekly-monday"}),
        ("backup-integrity", {"weekly-friday"}),
        ("certificate", {"weekly-friday", "first-of-month"}),
        ("rate-limits", {"weekly-friday"}),
        ("security-audit", {"first-of-month", "quarterly"}),
        ("exploit-attempts", {"first-of-month"}),
        ("restore-drill", {"mid-month", "quarterly"}),
        ("access-log", {"quarterly"}),
    ],
)
def test_checks_run_when_documented(synk: Catalogue, check: str, cadences: set[str]) -> None:
    assert cadences <= set(synk.checks[f"synk/{check}"].cadences)


@pytest.mark.parametrize(
    ("check", "playbook"),
    [
        ("services", "service-down"),
        ("health", "service-down"),
        ("disk", "disk-full"),
        ("database-connections", "connection-limit"),
        ("response-time", "slow-responses"),
        ("access-log", "brute-force"),
        ("backup", "backup-and-restore"),
    ],
)
def test_emergencies_have_their_procedure(synk: Catalogue, check: str, playbook: str) -> None:
    found = synk.checks[f"synk/{check}"]
    assert (found.playbook, found.severity) == (playbook, "critical")
