"""Every limit in SyncUp's operations guide: values on both sides of it and exactly at it.

The expected statuses are read off the document. It gives no durations: whatever is bad counts at once.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from healthd.model.catalogue import Catalogue
from healthd.model.outcomes import Level
from tests.pure.truth_table import catalogue_of, status

OK, WARNING, CRITICAL, UNKNOWN = Level.OK, Level.WARNING, Level.CRITICAL, Level.UNKNOWN
AT_ONCE = timedelta(0)


@pytest.fixture(scope="module")
def syncup() -> Catalogue:
    return catalogue_of("syncup")


# "Key Metrics" say what is good ("< 1%": 1% is not), "Alert Thresholds" what calls somebody ("> 5%": 5% does not).
TABLE = [
    # CPU usage: < 70%
    ("cpu", "value", "0%", OK),
    ("cpu", "value", "69.9%", OK),
    ("cpu", "value", "70%", WARNING),
    ("cpu", "value", "100%", WARNING),
    # Memory: < 80%
    ("memory", "value", "79.9%", OK),
    ("memory", "value", "80%", WARNING),
    ("memory", "value", "99%", WARNING),
    # Error rate: < 1% (application and API); HighErrorRate: > 5%
    ("error-rate", "value", "0%", OK),
    ("error-rate", "value", "0.99%", OK),
    ("error-rate", "value", "1%", WARNING),
    ("error-rate", "value", "4.99%", WARNING),
    ("error-rate", "value", "5%", WARNING),
    ("error-rate", "value", "5.01%", CRITICAL),
    # Response time and request latency (p99): < 2000ms; HighLatency: > 3000ms
    ("latency-p99", "value", "1999ms", OK),
    ("latency-p99", "value", "2000ms", WARNING),
    ("latency-p99", "value", "3000ms", WARNING),
    ("latency-p99", "value", "3001ms", CRITICAL),
    # Request latency (p50): < 200ms
    ("latency-p50", "value", "199ms", OK),
    ("latency-p50", "value", "200ms", WARNING),
    ("latency-p50", "value", "5s", WARNING),
    # Throughput: > 100 req/s
    ("throughput", "value", "101 req/s", OK),
    ("throughput", "value", "100 req/s", WARNING),
    ("throughput", "value", "99 req/s", WARNING),
    ("throughput", "value", "6001 req/min", OK),
    ("throughput", "value", "0 req/s", WARNING),
    # Connection pool: < 80%; DatabaseConnection: > 90%
    ("database-connections", "ratio", "79.9%", OK),
    ("database-connections", "ratio", "80%", WARNING),
    ("database-connections", "ratio", "90%", WARNING),
    ("database-connections", "ratio", "90.1%", CRITICAL),
    # Query time (p99): < 500ms; SlowQueries: > 1000ms
    ("query-time", "p99_time", "499ms", OK),
    ("query-time", "p99_time", "500ms", WARNING),
    ("query-time", "p99_time", "1000ms", WARNING),
    ("query-time", "p99_time", "1001ms", CRITICAL),
    # Slow queries: < 5/min
    ("slow-queries", "slow_calls_per_second", "4.9/min", OK),
    ("slow-queries", "slow_calls_per_second", "5/min", WARNING),
    ("slow-queries", "slow_calls_per_second", "5.1/min", WARNING),
    # Replication lag: < 1s
    ("replication-lag", "lag_seconds", "999ms", OK),
    ("replication-lag", "lag_seconds", "1s", WARNING),
    ("replication-lag", "lag_seconds", "5m", WARNING),
    # LowDiskSpace: less than 10% free
    ("disk-free", "value", "10.1%", OK),
    ("disk-free", "value", "10%", OK),
    ("disk-free", "value", "9.9%", CRITICAL),
]

# of the service's environment: lines that are not as documented
ENVIRONMENT = {
    "files": "1", "wrong_database_ssl": "0", "wrong_nextauth_url": "0", "wrong_log_level": "0", "placeholders": "0",
}  # fmt: skip

RULES = [
    # metrics arrive in CloudWatch and DataDog
    ("datadog-data", {"newest_age": "15m"}, OK),
    ("datadog-data", {"newest_age": "16m"}, WARNING),
    ("datadog-data", {"newest_age": ""}, WARNING),
    # every hour; no backup at all is worse than a late one
    ("backup-age", {"newest_age": "59m"}, OK),
    ("backup-age", {"newest_age": "60m"}, OK),
    ("backup-age", {"newest_age": "61m"}, WARNING),
    ("backup-age", {"newest_age": "121m"}, CRITICAL),
    ("backup-age", {"newest_age": ""}, CRITICAL),
    # a full one every day
    ("full-backup-age", {"newest_age": "23h"}, OK),
    ("full-backup-age", {"newest_age": "24h"}, OK),
    ("full-backup-age", {"newest_age": "25h"}, WARNING),
    ("full-backup-age", {"newest_age": "49h"}, CRITICAL),
    ("full-backup-age", {"newest_age": ""}, CRITICAL),
    # 24 a day, on each of 30 days
    ("backups-per-day", {"least_per_day": "24", "days_without": "0"}, OK),
    ("backups-per-day", {"least_per_day": "25", "days_without": "0"}, OK),
    ("backups-per-day", {"least_per_day": "23", "days_without": "0"}, WARNING),
    ("backups-per-day", {"least_per_day": "24", "days_without": "1"}, WARNING),
    # kept for 30 days, in more than one region
    ("backup-bucket", {"expiration": "30d", "replication_regions": "1"}, OK),
    ("backup-bucket", {"expiration": "29d", "replication_regions": "1"}, WARNING),
    ("backup-bucket", {"expiration": "31d", "replication_regions": "1"}, WARNING),
    ("backup-bucket", {"expiration": "", "replication_regions": "1"}, WARNING),
    ("backup-bucket", {"expiration": "30d", "replication_regions": "0"}, CRITICAL),
    # secrets every quarter, connections encrypted, nothing open to the world
    ("secrets-age", {"oldest_age": "91d", "count": "13"}, OK),
    ("secrets-age", {"oldest_age": "92d", "count": "13"}, OK),
    ("secrets-age", {"oldest_age": "93d", "count": "13"}, WARNING),
    ("secrets-age", {"oldest_age": "", "count": "0"}, CRITICAL),
    ("database-encryption", {"unencrypted": "0"}, OK),
    ("database-encryption", {"unencrypted": "1"}, WARNING),
    ("ssh-closed", {"open_rules": "0"}, OK),
    ("ssh-closed", {"open_rules": "1"}, CRITICAL),
    # every variable set, some with a documented value
    ("environment-variables", {"missing_variables": "0"}, OK),
    ("environment-variables", {"missing_variables": "1"}, CRITICAL),
    ("environment-values", ENVIRONMENT, OK),
    ("environment-values", ENVIRONMENT | {"wrong_database_ssl": "1"}, CRITICAL),
    ("environment-values", ENVIRONMENT | {"wrong_nextauth_url": "1"}, CRITICAL),
    ("environment-values", ENVIRONMENT | {"placeholders": "1"}, CRITICAL),
    ("environment-values", ENVIRONMENT | {"wrong_log_level": "1"}, WARNING),
    # npm audit finds nothing bad
    ("dependency-audit", {"exit_code": "0", "high": "0", "critical": "0"}, OK),
    ("dependency-audit", {"exit_code": "1", "high": "1", "critical": "0"}, WARNING),
    ("dependency-audit", {"exit_code": "1", "high": "0", "critical": "1"}, CRITICAL),
    ("dependency-audit", {"exit_code": "1"}, UNKNOWN),
    # healthy, no incident told to customers
    ("site", {"up": "1"}, OK),
    ("site", {"up": "0"}, CRITICAL),
    ("status-page", {"up": "1", "indicator": "none"}, OK),
    ("status-page", {"up": "1", "indicator": "major"}, WARNING),
]


@pytest.mark.parametrize(("check", "measure", "value", "expected"), TABLE)
def test_documented_limits(syncup: Catalogue, check: str, measure: str, value: str, expected: Level) -> None:
    assert status(syncup.checks[f"syncup/{check}"], {measure: value}, AT_ONCE) is expected
    assert status(syncup.checks[f"syncup/{check}"], {measure: value}) is expected


@pytest.mark.parametrize(("check", "values", "expected"), RULES)
def test_documented_schedules_and_rules(syncup: Catalogue, check: str, values: dict[str, str], expected: Level) -> None:
    assert status(syncup.checks[f"syncup/{check}"], values, AT_ONCE) is expected


# What is not there: no request has no latency, no query no duration; a value that should be there is not known.
@pytest.mark.parametrize(
    ("check", "measure", "expected"),
    [
        ("error-rate", "value", OK),
        ("latency-p99", "value", OK),
        ("query-time", "p99_time", OK),
        ("replication-lag", "lag_seconds", OK),
        ("cpu", "value", UNKNOWN),
        ("disk-free", "value", UNKNOWN),
        ("database-connections", "ratio", UNKNOWN),
    ],
)
def test_what_is_not_measured(syncup: Catalogue, check: str, measure: str, expected: Level) -> None:
    assert status(syncup.checks[f"syncup/{check}"], {measure: ""}) is expected


# The severities and procedures of the five alerts: Critical is P1, High is P2.
@pytest.mark.parametrize(
    ("check", "severity", "playbook"),
    [
        ("error-rate", "P1", "high-error-rate"),
        ("query-time", "P2", "slow-database-queries"),
        ("database-connections", "P1", "database-connections"),
        ("latency-p99", "P2", "api-timeouts"),
        ("disk-free", "P1", "low-disk-space"),
        ("memory", "P3", "high-memory-usage"),
    ],
)
def test_alerts_have_their_severity_and_playbook(syncup: Catalogue, check: str, severity: str, playbook: str) -> None:
    found = syncup.checks[f"syncup/{check}"]
    assert (found.severity, found.playbook) == (severity, playbook)


# Backups every hour and a full one a day, recovery tested monthly, secrets rotated quarterly.
# Maintenance is on Sundays from 2 to 4 AM UTC.
@pytest.mark.parametrize(
    ("cadence", "crons"),
    [
        ("hourly", ("15 * * * *",)),
        ("daily", ("0 9 * * *",)),
        ("monthly", ("0 9 1 * *",)),
        ("quarterly", ("0 9 1 1,4,7,10 *",)),
        ("maintenance", ("0 2 * * 0",)),
        ("after-maintenance", ("0 4 * * 0",)),
    ],
)
def test_documented_times(syncup: Catalogue, cadence: str, crons: tuple[str, ...]) -> None:
    assert syncup.systems["syncup"].cadences[cadence].rule.crons == crons


@pytest.mark.parametrize(
    ("check", "cadence"),
    [
        ("backup-age", "hourly"),
        ("full-backup-age", "daily"),
        ("restore-drill", "monthly"),
        ("tables-vacuumed", "after-maintenance"),
        ("error-rate", "continuous"),
    ],
)
def test_checks_run_when_documented(syncup: Catalogue, check: str, cadence: str) -> None:
    assert cadence in syncup.checks[f"syncup/{check}"].cadences


def test_escalation_is_at_once_then_30_minutes_one_hour_two_hours(syncup: Catalogue) -> None:
    chain = syncup.systems["syncup"].runbook.escalation
    minutes = [level.after["P1"].total_seconds() / 60 for level in chain if level.after is not None]
    assert minutes == [0, 30, 60, 120]


def test_the_chain_is_of_incidents_not_resolved(syncup: Catalogue) -> None:
    chain = syncup.systems["syncup"].runbook.escalation
    assert [level.until for level in chain] == ["acknowledged", "resolved", "resolved", "resolved"]


def test_incidents_end_in_a_post_mortem(syncup: Catalogue) -> None:
    [asked] = [task for task in syncup.systems["syncup"].runbook.attestations if task.name == "post-mortem"]
    assert (asked.within, asked.severities) == (timedelta(hours=48), ("P1", "P2"))


def test_the_window_is_two_hours_and_told_two_days_before(syncup: Catalogue) -> None:
    [window] = syncup.systems["syncup"].runbook.windows
    assert (window.duration, window.notice) == (timedelta(hours=2), timedelta(hours=48))
    assert syncup.systems["syncup"].cadences[window.cadence].rule.crons == ("0 2 * * 0",)
