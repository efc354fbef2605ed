"""Every limit in Social Live's operations runbook: on both sides, exactly at it, held for less and more than its time.

The expected statuses are read off the runbook, not off the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from healthd.model.catalogue import Catalogue
from healthd.model.outcomes import Level
from healthd.model.runbook import Fate
from tests.pure.truth_table import catalogue_of, status

OK, WARNING, CRITICAL, UNKNOWN = Level.OK, Level.WARNING, Level.CRITICAL, Level.UNKNOWN
AT_ONCE = timedelta(0)
SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module")
def social_live() -> Catalogue:
    return catalogue_of("social-live")


# What the alerts fire at, and for how long it must have lasted: check, measure, value, status when it lasts, duration.
ALERTS = [
    # High Error Rate: > 5% for 5 minutes (critical)
    ("error-rate", "value", "0%", OK, 5),
    ("error-rate", "value", "0.02%", OK, 5),
    ("error-rate", "value", "4.99%", OK, 5),
    ("error-rate", "value", "5%", OK, 5),
    ("error-rate", "value", "5.01%", CRITICAL, 5),
    ("error-rate", "value", "100%", CRITICAL, 5),
    # Service Down: the health check fails for 2 minutes (critical)
    ("api-health", "up", "1", OK, 2),
    ("api-health", "up", "0", CRITICAL, 2),
    ("app-health", "up", "1", OK, 2),
    ("app-health", "up", "0", CRITICAL, 2),
    # High Response Time: 95th percentile > 1 second for 10 minutes (warning)
    ("response-time", "value", "156ms", OK, 10),
    ("response-time", "value", "999ms", OK, 10),
    ("response-time", "value", "1s", OK, 10),
    ("response-time", "value", "1001ms", WARNING, 10),
    ("response-time", "value", "60s", WARNING, 10),
    # High Memory Usage: > 85% for 15 minutes (warning)
    ("memory-usage", "memory_limit_ratio", "68%", OK, 15),
    ("memory-usage", "memory_limit_ratio", "84.9%", OK, 15),
    ("memory-usage", "memory_limit_ratio", "85%", OK, 15),
    ("memory-usage", "memory_limit_ratio", "85.1%", WARNING, 15),
    ("memory-usage", "memory_limit_ratio", "99%", WARNING, 15),
    ("node-memory", "memory_ratio", "84.9%", OK, 15),
    ("node-memory", "memory_ratio", "85%", OK, 15),
    ("node-memory", "memory_ratio", "85.1%", WARNING, 15),
]


@pytest.mark.parametrize(("check", "measure", "value", "expected", "minutes"), ALERTS)
def test_alerts_fire_once_it_has_lasted(
    social_live: Catalogue, check: str, measure: str, value: str, expected: Level, minutes: int
) -> None:
    duration = timedelta(minutes=minutes)
    found = social_live.checks[f"social-live/{check}"]
    assert status(found, {measure: value}, AT_ONCE) is OK
    assert status(found, {measure: value}, duration - SECOND) is OK
    assert status(found, {measure: value}, duration) is expected
    assert status(found, {measure: value}, duration + SECOND) is expected


NODES = {"count": "3", "not_ready": "0"}
TABLES = {"never_vacuumed": "0", "never_analyzed": "0"}
DRILL = {"restored": "1", "checksum_valid": "1", "tables": "12", "sanity_ok": "1"}
BACKUP = {"newest_age": "7h", "size_change": "1%", "days_without": "0"}

# What counts at once.
TABLE: list[tuple[str, Mapping[str, str], Level]] = [
    # Scaling triggers: CPU > 70%, memory > 80%, database connections > 80%, response time > 500ms
    ("scaling-cpu", {"cpu_limit_ratio": "69.9%"}, OK),
    ("scaling-cpu", {"cpu_limit_ratio": "70%"}, OK),
    ("scaling-cpu", {"cpu_limit_ratio": "70.1%"}, WARNING),
    ("scaling-memory", {"memory_limit_ratio": "79.9%"}, OK),
    ("scaling-memory", {"memory_limit_ratio": "80%"}, OK),
    ("scaling-memory", {"memory_limit_ratio": "80.1%"}, WARNING),
    ("database-connections", {"ratio": "45%"}, OK),
    ("database-connections", {"ratio": "79.9%"}, OK),
    ("database-connections", {"ratio": "80%"}, OK),
    ("database-connections", {"ratio": "80.1%"}, WARNING),
    ("scaling-response-time", {"value": "499ms"}, OK),
    ("scaling-response-time", {"value": "500ms"}, OK),
    ("scaling-response-time", {"value": "501ms"}, WARNING),
    # 3 nodes that scale by themselves, all of them ready
    ("nodes", NODES | {"ready": "3"}, OK),
    ("nodes", NODES | {"ready": "7"}, OK),
    ("nodes", NODES | {"ready": "2"}, WARNING),
    ("nodes", NODES | {"ready": "3", "not_ready": "1"}, CRITICAL),
    # PostgreSQL 15
    ("database-up", {"up": "1", "version": "150004"}, OK),
    ("database-up", {"up": "1", "version": "150000"}, OK),
    ("database-up", {"up": "1", "version": "149999"}, WARNING),
    ("database-up", {"up": "1", "version": "160000"}, WARNING),
    ("database-up", {"up": "0"}, CRITICAL),
    # Redis 7
    ("redis-up", {"up": "1", "major_version": "7"}, OK),
    ("redis-up", {"up": "1", "major_version": "6"}, WARNING),
    ("redis-up", {"up": "1", "major_version": "8"}, WARNING),
    ("redis-up", {"up": "1"}, OK),
    ("redis-up", {"up": "0"}, CRITICAL),
    # what is asked for with curl -f answers without an error
    ("external-service", {"up": "1"}, OK),
    ("external-service", {"up": "0"}, CRITICAL),
    # queries with a mean of more than 100 ms; a heap of more than 500 MiB; allkeys-lru; indexes
    ("slow-queries", {"slowest_mean": "99ms"}, OK),
    ("slow-queries", {"slowest_mean": "100ms"}, OK),
    ("slow-queries", {"slowest_mean": "101ms"}, WARNING),
    ("slow-queries", {"slowest_mean": ""}, OK),
    ("heap-used", {"value": "524287999 B"}, OK),
    ("heap-used", {"value": "524288000 B"}, OK),
    ("heap-used", {"value": "524288001 B"}, WARNING),
    ("memory-warnings", {"matches": "0"}, OK),
    ("memory-warnings", {"matches": "1"}, WARNING),
    ("redis-memory", {"policy": "allkeys-lru"}, OK),
    ("redis-memory", {"policy": "noeviction"}, WARNING),
    ("indexes-there", {"valid": "1"}, OK),
    ("indexes-there", {"valid": "0"}, WARNING),
    # alerts of the night: none
    ("grafana-alerts", {"firing": "0"}, OK),
    ("grafana-alerts", {"firing": "1"}, WARNING),
    # a backup every day, each of the last five
    ("backups", BACKUP, OK),
    ("backups", BACKUP | {"newest_age": "24h"}, OK),
    ("backups", BACKUP | {"newest_age": "24h1m"}, WARNING),
    ("backups", BACKUP | {"newest_age": "48h"}, WARNING),
    ("backups", BACKUP | {"newest_age": "48h1m"}, CRITICAL),
    ("backups", BACKUP | {"newest_age": ""}, CRITICAL),
    ("backups", BACKUP | {"days_without": "1"}, WARNING),
    ("backups", BACKUP | {"size_change": "-51%"}, WARNING),
    ("backups", BACKUP | {"size_change": "-50%"}, OK),
    ("restore-drill", DRILL, OK),
    ("restore-drill", DRILL | {"restored": "0"}, CRITICAL),
    ("restore-drill", DRILL | {"sanity_ok": "0"}, CRITICAL),
    ("users", {"users": "1247"}, OK),
    ("users", {"users": "0"}, CRITICAL),
    ("posts-last-day", {"posts": "1"}, OK),
    ("posts-last-day", {"posts": "0"}, WARNING),
    # all pods run: what failed or was evicted is still on the list
    ("pods", {"count": "9", "not_ready": "0", "crash_loop_back_off": "0", "failed": "1"}, WARNING),
    # the weekly maintenance: sessions, vacuum, ended pods, the rollout, ConfigMaps besides active-config
    ("old-sessions", {"sessions": "0"}, OK),
    ("old-sessions", {"sessions": "1"}, WARNING),
    ("tables-vacuumed", TABLES | {"vacuum_age": "2h", "analyze_age": "2h"}, OK),
    ("tables-vacuumed", TABLES | {"vacuum_age": "7d", "analyze_age": "7d"}, OK),
    ("tables-vacuumed", TABLES | {"vacuum_age": "169h", "analyze_age": "2h"}, WARNING),
    ("tables-vacuumed", TABLES | {"vacuum_age": "2h", "analyze_age": "169h"}, WARNING),
    ("tables-vacuumed", TABLES | {"never_vacuumed": "1"}, WARNING),
    ("tables-vacuumed", TABLES | {"never_analyzed": "1"}, WARNING),
    ("ended-pods", {"count": "3", "succeeded": "0"}, OK),
    ("ended-pods", {"count": "3", "succeeded": "1"}, WARNING),
    ("rollout", {"count": "1", "stalled": "0", "rolling_out": "0"}, OK),
    ("rollout", {"count": "1", "stalled": "0", "rolling_out": "1"}, WARNING),
    ("rollout", {"count": "1", "stalled": "1", "rolling_out": "1"}, CRITICAL),
    ("configmaps", {"count": "0"}, OK),
    ("configmaps", {"count": "1"}, WARNING),
    # the monthly maintenance: vulnerabilities, certificates
    ("backend-image", {"exit_code": "0"}, OK),
    ("backend-image", {"exit_code": "10"}, WARNING),
    ("frontend-image", {"exit_code": "1"}, CRITICAL),
    ("certificates", {"count": "2", "expired": "0", "days_left": "30", "not_ready": "0"}, OK),
    ("certificates", {"count": "2", "expired": "0", "days_left": "29.9", "not_ready": "0"}, WARNING),
    ("certificates", {"count": "2", "expired": "0", "days_left": "6.9", "not_ready": "0"}, CRITICAL),
    ("certificates", {"count": "2", "expired": "0", "days_left": "60", "not_ready": "1"}, WARNING),
    ("database-disk", {"value": "79.9%"}, OK),
    ("database-disk", {"value": "80%"}, WARNING),
    ("database-disk", {"value": "95%"}, CRITICAL),
]


@pytest.mark.parametrize(("check", "values", "expected"), TABLE)
def test_what_counts_at_once(social_live: Catalogue, check: str, values: Mapping[str, str], expected: Level) -> None:
    found = social_live.checks[f"social-live/{check}"]
    assert status(found, values, AT_ONCE) is expected
    assert status(found, values) is expected


AUTOSCALER = {"count": "1", "min": "3", "max": "50", "at_max": "0", "unable_to_scale": "0"}
DEPLOYMENT = {"count": "1", "stalled": "0"}

# Documented figures that rollouts and scaling pass through: they count once they have lasted (5 or 10 minutes, ours).
LASTING: list[tuple[str, Mapping[str, str], Level, int]] = [
    # 3 to 50 pods of the backend, 2 of the frontend
    ("backend-pods", DEPLOYMENT | {"available": "3"}, OK, 5),
    ("backend-pods", DEPLOYMENT | {"available": "50"}, OK, 5),
    ("backend-pods", DEPLOYMENT | {"available": "2"}, WARNING, 5),
    ("backend-pods", DEPLOYMENT | {"available": "51"}, WARNING, 5),
    ("backend-pods", DEPLOYMENT | {"available": "0"}, CRITICAL, 5),
    ("frontend-pods", DEPLOYMENT | {"available": "2"}, OK, 5),
    ("frontend-pods", DEPLOYMENT | {"available": "1"}, WARNING, 5),
    ("frontend-pods", DEPLOYMENT | {"available": "3"}, WARNING, 5),
    ("frontend-pods", DEPLOYMENT | {"available": "0"}, CRITICAL, 5),
    # every pod of the namespace runs
    ("pods", {"count": "9", "not_ready": "0", "crash_loop_back_off": "0", "failed": "0"}, OK, 5),
    ("pods", {"count": "9", "not_ready": "1", "crash_loop_back_off": "0", "failed": "0"}, CRITICAL, 5),
    # it scales
    ("autoscaler", AUTOSCALER, OK, 10),
    ("autoscaler", AUTOSCALER | {"at_max": "1"}, WARNING, 10),
    ("autoscaler", AUTOSCALER | {"unable_to_scale": "1"}, CRITICAL, 5),
]


@pytest.mark.parametrize(("check", "values", "expected", "minutes"), LASTING)
def test_what_counts_when_it_lasts(
    social_live: Catalogue, check: str, values: Mapping[str, str], expected: Level, minutes: int
) -> None:
    found = social_live.checks[f"social-live/{check}"]
    assert status(found, values, timedelta(minutes=minutes) - SECOND) is OK
    assert status(found, values, timedelta(minutes=minutes)) is expected


@pytest.mark.parametrize(("bound", "value"), [("min", "2"), ("min", "4"), ("max", "49"), ("max", "51")])
def test_the_autoscaler_is_set_to_3_to_50_pods(social_live: Catalogue, bound: str, value: str) -> None:
    assert status(social_live.checks["social-live/autoscaler"], AUTOSCALER | {bound: value}, AT_ONCE) is WARNING


def test_a_pod_that_keeps_crashing_counts_at_once(social_live: Catalogue) -> None:
    values = {"count": "9", "not_ready": "0", "crash_loop_back_off": "1"}
    assert status(social_live.checks["social-live/pods"], values, AT_ONCE) is CRITICAL


# What is not there: no request has no response time; a value that should be there is not known.
@pytest.mark.parametrize(
    ("check", "measure", "expected"),
    [
        ("response-time", "value", OK),
        ("scaling-response-time", "value", OK),
        ("scaling-cpu", "cpu_limit_ratio", UNKNOWN),
        ("scaling-memory", "memory_limit_ratio", UNKNOWN),
        ("memory-warnings", "matches", UNKNOWN),
        ("error-rate", "value", UNKNOWN),
        ("memory-usage", "memory_limit_ratio", UNKNOWN),
        ("heap-used", "value", UNKNOWN),
        ("database-connections", "ratio", UNKNOWN),
    ],
)
def test_what_is_not_measured(social_live: Catalogue, check: str, measure: str, expected: Level) -> None:
    assert status(social_live.checks[f"social-live/{check}"], {measure: ""}) is expected


# Critical alerts are of Severity 1; warnings, to be responded to within 30 minutes, of Severity 2.
def test_an_outage_is_told_in_the_weekly_maintenance_too(social_live: Catalogue) -> None:
    [window] = social_live.systems["social-live"].runbook.windows
    assert social_live.systems["social-live"].cadences[window.cadence].rule.crons == ("0 2 * * 0",)
    assert window.except_severities == ("Severity 1",)


@pytest.mark.parametrize(
    ("check", "level", "severity", "playbook", "respond_within"),
    [
        ("error-rate", CRITICAL, "Severity 1", "high-error-rate", "5m"),
        ("api-health", CRITICAL, "Severity 1", "service-down", "2m"),
        ("app-health", CRITICAL, "Severity 1", "service-down", "2m"),
        ("response-time", WARNING, "Severity 2", "high-response-time", "30m"),
        ("memory-usage", WARNING, "Severity 2", "high-memory-usage", "30m"),
        ("node-memory", WARNING, "Severity 2", "high-memory-usage", "30m"),
    ],
)
def test_alerts_have_their_severity_playbook_and_response(
    social_live: Catalogue, check: str, level: Level, severity: str, playbook: str, respond_within: str
) -> None:
    found = social_live.checks[f"social-live/{check}"]
    assert severity == (found.severity if level is CRITICAL else found.warning_severity)
    assert (found.playbook, found.labels["respond_within"]) == (playbook, respond_within)


def test_severities_have_15_minutes_1_hour_and_4_hours(social_live: Catalogue) -> None:
    scale = social_live.systems["social-live"].severities
    assert {name: severity.response for name, severity in scale.items()} == {
        "Severity 1": timedelta(minutes=15),
        "Severity 2": timedelta(hours=1),
        "Severity 3": timedelta(hours=4),
    }


def test_the_secondary_engineer_is_called_after_15_minutes(social_live: Catalogue) -> None:
    chain = social_live.systems["social-live"].runbook.escalation
    critical = {level.who: level.after["Severity 1"] for level in chain if level.after and "Severity 1" in level.after}
    assert list(critical) == ["on-call-primary", "on-call-secondary", "on-call-escalation"]
    assert critical["on-call-primary"] == timedelta(0)
    assert critical["on-call-secondary"] == timedelta(minutes=15)


@pytest.mark.parametrize(
    ("cadence", "cron"),
    [
        ("morning", "0 9 * * *"),
        ("evening", "0 18 * * *"),
        ("weekly-maintenance", "0 2 * * 0"),
        ("monthly-maintenance", "0 2 * * 0#1"),
    ],
)
def test_documented_times(social_live: Catalogue, cadence: str, cron: str) -> None:
    rule = social_live.systems["social-live"].cadences[cadence].rule
    assert (rule.crons, rule.zone.key) == ((cron,), "UTC")


def test_everything_a_person_does_is_asked_for(social_live: Catalogue) -> None:
    book = social_live.systems["social-live"].runbook
    asked = {reference for task in book.attestations for reference in task.covers}
    [document] = book.documents
    assert {f"{document.name}/{item.id}" for item in document.items if item.fate is Fate.ATTESTATION} == asked
