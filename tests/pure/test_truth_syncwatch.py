"""SyncWatch's documented limits: values on both sides of each and at it, and what the documents say of them.

The expectations are taken from the documents, not from the catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest

from healthd.catalogue import load
from healthd.evaluate import FOR_EVER, held
from healthd.model.catalogue import Catalogue, Threshold
from healthd.model.outcomes import Level, Measurement
from healthd.model.units import Unit, UnitError, convert, parse_duration, parse_quantity
from healthd.probes import PROBES
from healthd.settings import Settings

NEEDED = {
    "SYNCWATCH_API_URL": "https://api.syncwatch.com",
    "SYNCWATCH_PROMETHEUS_URL": "http://prometheus:9090",
    "SYNCWATCH_DATABASE_URL": "postgresql://db.example.com/syncwatch",
    "SYNCWATCH_REDIS_URL": "redis://redis.syncwatch.com",
}

# check, row (or its measure), then values with what the document says of each when it lasts
TABLE = """
    # Key Metrics to Watch, Expected Performance, Acceptable Thresholds, and the playbooks' symptoms
    api-latency-p95       api_latency_p95       100ms OK, 299ms OK, 300ms OK, 499ms OK, 500ms WARNING, 999ms WARNING, 1000ms CRITICAL, 2s CRITICAL
    sync-drift            sync_drift            50ms OK, 100ms OK, 299ms OK, 300ms WARNING, 301ms WARNING, 499ms WARNING, 500ms CRITICAL, 501ms CRITICAL
    database-connections  database_connections  0% OK, 79.9% OK, 80% WARNING, 94.9% WARNING, 95% CRITICAL, 100% CRITICAL
    redis-memory          redis_memory          0% OK, 79.9% OK, 80% WARNING, 89.9% WARNING, 90% CRITICAL, 100% CRITICAL
    disk-usage            disk_usage            10% OK, 79.9% OK, 80% WARNING, 89.9% WARNING, 90% CRITICAL, 100% CRITICAL
    volume-usage          volume_usage          10% OK, 79.9% OK, 80% WARNING, 89.9% WARNING, 90% CRITICAL, 100% CRITICAL
    error-rate-5xx        error_rate            0% OK, 0.099% OK, 0.1% WARNING, 0.99% WARNING, 1% CRITICAL, 1.01% CRITICAL, 8% CRITICAL
    transcoding-queue     transcoding_queue     0 OK, 4 OK, 5 OK, 9 OK, 10 WARNING, 19 WARNING, 20 CRITICAL, 21 CRITICAL
    transcoding-queue     transcoding_backlog   0 OK, 9 OK, 10 OK, 11 WARNING, 50 WARNING
    api-latency-p50       api_latency_p50       50ms OK, 99ms OK, 100ms OK, 199ms OK, 200ms WARNING, 1s WARNING
    api-latency-p99       api_latency_p99       100ms OK, 499ms OK, 500ms OK, 999ms OK, 1000ms WARNING, 5s WARNING
    error-rate-4xx        error_rate_4xx        0% OK, 4.99% OK, 5% WARNING, 50% WARNING
    websocket             websocket_latency     10ms OK, 49ms OK, 50ms OK, 99ms OK, 100ms WARNING, 1s WARNING
    transcoding-duration  transcoding_duration  1m OK, 299s OK, 5m OK, 599s OK, 10m WARNING, 1h WARNING
    database-query-p95    database_query_p95    1ms OK, 9ms OK, 10ms OK, 49ms OK, 50ms WARNING, 1s WARNING
    redis-latency         redis_latency         0.1ms OK, 0.9ms OK, 1ms OK, 4.9ms OK, 5ms WARNING, 50ms WARNING
    sync-command-latency  sync_command_latency  1ms OK, 99ms OK, 100ms WARNING, 1s WARNING
    # Resource Usage
    memory-usage          memory_usage          10% OK, 79.9% OK, 80% WARNING, 100% WARNING
    cpu-usage             cpu_usage             10% OK, 69.9% OK, 70% WARNING, 100% WARNING
    node-usage            node_memory           10% OK, 79.9% OK, 80% WARNING, 100% WARNING
    node-usage            node_cpu              10% OK, 69.9% OK, 70% WARNING, 100% WARNING
    # Service Health, Prometheus Alerts
    service-ready         up                    1 OK, 0 CRITICAL
    service-ready         state                 ready OK, "not ready" CRITICAL, degraded CRITICAL
    service-ready         database              connected OK, disconnected CRITICAL
    service-ready         redis                 connected OK, disconnected CRITICAL
    service-ready         storage               accessible OK, inaccessible CRITICAL
    backend-database      database              connected OK, disconnected CRITICAL
    backend-redis         redis                 connected OK, disconnected CRITICAL
    backend-storage       storage               accessible OK, inaccessible CRITICAL
    backend-database      up                    1 OK, 0 OK
    backend-redis         up                    1 OK, 0 OK
    backend-storage       up                    1 OK, 0 OK
    pods-ready            pods_not_ready        0 OK, 1 CRITICAL, 5 CRITICAL
    prometheus-up         up                    1 OK, 0 CRITICAL
    prometheus-up         state                 success OK, error CRITICAL
    prometheus-alerts     firing                0 OK, 1 WARNING, 9 WARNING
    redis-ping            up                    1 OK, 0 CRITICAL
    websocket             up                    1 OK, 0 CRITICAL
    login                 up                    1 OK, 0 CRITICAL
    # Evening, weekly, monthly
    todays-backup         todays_backup         0 CRITICAL, 1 OK, 7 OK
    storage-free          storage_free          50% OK, 20% OK, 19.9% WARNING, 0% WARNING
    database-storage      rds_storage_free      50% OK, 20% OK, 19.9% WARNING, 0% WARNING
    storage-forecast      storage_forecast      10% OK, 79.9% OK, 80% WARNING, 120% WARNING
    vulnerabilities       critical              0 OK, 1 CRITICAL
    vulnerabilities       high                  0 OK, 1 WARNING
    vulnerabilities       vulnerabilities       0 OK, 1 WARNING
    snapshots             snapshots_kept        8 OK, 7 OK, 6 WARNING, 0 WARNING
    snapshots             snapshot_age          1h OK, 23h OK, 24h OK, 1501m WARNING, 27h CRITICAL
    cdn-hit-rate          cdn_hit_rate          99% OK, 80.1% OK, 80% WARNING, 79.9% WARNING
    video-cleanup         cleanup_failed        0 OK, 1 CRITICAL
    log-retention         log_retention         7d OK, 30d OK, 31d WARNING, 365d WARNING
    old-images            old_images            0 OK, 1 WARNING
    unattached            volumes               0 OK, 1 WARNING
    unattached            addresses             0 OK, 1 WARNING
    permissions           unused_roles          0 OK, 1 WARNING
    permissions           wildcard_policies     0 OK, 1 CRITICAL
    open-ports            open_rules            0 OK, 1 WARNING
    # Automated Backups
    database-backups      retention             35d OK, 7d OK, 6d WARNING, 0d WARNING
    database-backups      restorable            1m OK, 5m OK, 11m WARNING, 2h CRITICAL
    database-backups      other_region          1 OK, 2 OK, 0 WARNING
    redis-persistence     aof_on                1 OK, 0 CRITICAL
    redis-persistence     aof_fsync             everysec OK, no WARNING
    redis-persistence     aof_written           1 OK, 0 CRITICAL
    redis-persistence     rdb_on                1 OK, 0 WARNING
    redis-persistence     rdb_written           1 OK, 0 WARNING
    redis-persistence     rdb_age               1h OK, 6h OK, 361m WARNING, 13h CRITICAL
    redis-standby         redis_standby         1 OK, 2 OK, 0 CRITICAL
    videos-bucket         versioning            Enabled OK, Suspended CRITICAL, Disabled CRITICAL
    videos-bucket         videos_expire         72h OK, 73h WARNING, 71h CRITICAL
    # Running Benchmarks
    load-test             load_rate             5000/s OK, 1001/s OK, 1000/s WARNING, 10/s WARNING
    load-test             load_mean             10ms OK, 99ms OK, 100ms WARNING, 5s WARNING
    load-test             load_failures         0 OK, 1 WARNING
    # Scaling, load balancer
    autoscaler            autoscaler_min        3 OK, 2 WARNING, 4 WARNING
    autoscaler            autoscaler_max        10 OK, 9 WARNING, 11 WARNING
    autoscaler            autoscaler_target     70% OK, 69% WARNING, 80% WARNING
    idle-timeout          idle_timeout          60s OK, 31s OK, 30s WARNING, 26s WARNING, 25s CRITICAL, 1s CRITICAL
    load-balancer         healthy               1 OK, 0 CRITICAL
"""  # noqa: E501

# Documented durations, and those the catalogue had to choose: check, row, value, held, status
HELD = """
    transcoding-queue  transcoding_backlog  11    0s     OK
    transcoding-queue  transcoding_backlog  11    9m59s  OK
    transcoding-queue  transcoding_backlog  11    10m    WARNING
    transcoding-queue  transcoding_backlog  11    1h     WARNING
    transcoding-queue  transcoding_backlog  10    1h     OK
    transcoding-queue  transcoding_queue    10    0s     WARNING
    transcoding-queue  transcoding_queue    20    0s     CRITICAL
    redis-latency      redis_latency        6ms   119s   OK
    redis-latency      redis_latency        6ms   2m     WARNING
    websocket          websocket_latency    150ms 119s   OK
    websocket          websocket_latency    150ms 2m     WARNING
    pods-ready         pods_not_ready       1     299s   OK
    pods-ready         pods_not_ready       1     5m     CRITICAL
    login              up                   0     119s   OK
    login              up                   0     2m     CRITICAL
    redis-persistence  rdb_age              361m  14m    OK
    redis-persistence  rdb_age              361m  15m    WARNING
    autoscaler         autoscaler_at_max    1     599s   OK
    autoscaler         autoscaler_at_max    1     10m    WARNING
    api-latency-p95    api_latency_p95      500ms 0s     WARNING
    sync-drift         sync_drift           500ms 0s     CRITICAL
    disk-usage         disk_usage           90%   0s     CRITICAL
    error-rate-5xx     error_rate           1%    0s     CRITICAL
"""


# What a value opens: check, row, value, severity and playbook, as the playbooks and the examples of severities say
OPENS = """
    sync-drift             sync_drift            301ms SEV2 high-playback-drift
    sync-drift             sync_drift            500ms SEV2 high-playback-drift
    sync-command-latency   sync_command_latency  150ms SEV2 high-playback-drift
    transcoding-queue      transcoding_backlog   11    SEV3 transcoding-jobs-stuck
    transcoding-queue      transcoding_queue     20    SEV3 transcoding-jobs-stuck
    transcoding-duration   transcoding_duration  10m   SEV3 transcoding-jobs-stuck
    error-rate-5xx         error_rate            1.01% SEV2 high-error-rate
    disk-usage             disk_usage            90%   SEV2 disk-space-full
    volume-usage           volume_usage          90%   SEV2 disk-space-full
    idle-timeout           idle_timeout          30s   SEV2 websocket-connection-failures
    idle-timeout           idle_timeout          25s   SEV2 websocket-connection-failures
    load-balancer          healthy               0     SEV1 complete-site-outage
    service-ready          up                    0     SEV1 complete-site-outage
    backend-database       database              disconnected SEV1 database-unavailable
    backend-redis          redis                 disconnected SEV2 redis-failure
    backend-storage        storage               inaccessible SEV2 service-unhealthy
    database-up            up                    0     SEV1 database-unavailable
    redis-ping             up                    0     SEV2 redis-failure
    prometheus-up          up                    0     SEV3 prometheus-unavailable
    login                  up                    0     SEV2 authentication-failures
    websocket              up                    0     SEV2 websocket-connection-failures
    pods-killed            oom_killed            1     SEV3 memory-leak
    pod-usage              pod_memory            90%   SEV3 memory-leak
    connection-failures    matches               1     SEV3 database-unavailable
    redis-connection-failures  matches           1     SEV3 redis-failure
    failed-writes          matches               1     SEV3 disk-space-full
    spend                  spend_change          50%   SEV4 costs
    unattached             volumes               1     SEV4 costs
    permissions            wildcard_policies     1     SEV3 permissions
    secrets-rotated        age                   60d   SEV4 rotate-secrets
    open-ports             open_rules            1     SEV3 open-ports
    videos-bucket          versioning            Suspended SEV3 videos-bucket
"""


@cache
def catalogue() -> Catalogue:
    """With what an installation has to set, and nothing else: every other variable has its documented default."""
    return load([Path("checks/syncwatch")], probes=PROBES, channels={}, settings=Settings(), environment=NEEDED)


def lines(table: str) -> Iterator[str]:
    return (line.strip() for line in table.splitlines() if line.strip() and not line.strip().startswith("#"))


def cases() -> Iterator[tuple[str, str, str, Level]]:
    for line in lines(TABLE):
        check, row, values = line.split(maxsplit=2)
        for pair in values.split(","):
            value, _, level = pair.strip().rpartition(" ")
            yield check, row, value.strip('"'), Level[level]


def named(check: str, row: str) -> Threshold:
    rows = catalogue().checks[f"syncwatch/{check}"].thresholds
    return next(found for found in rows if row in (found.name, found.measure))


def measured(row: Threshold, text: str) -> Measurement:
    """The value as the probe would have it: in its base unit, or a word."""
    try:
        value: float | str = text if row.unit is Unit.TEXT else convert(parse_quantity(text), row.unit)
    except UnitError:
        value = text
    return Measurement(row.measure, value, row.unit)


def status(check: str, row: str, value: str, duration: timedelta = FOR_EVER) -> Level:
    """What becomes of the check by this row alone when the value has been seen for so long."""
    chosen = named(check, row)
    alone = replace(catalogue().checks[f"syncwatch/{check}"], thresholds=(chosen,))
    return held(alone, [measured(chosen, value)], duration)[0]


@pytest.mark.parametrize(("check", "row", "value", "expected"), list(cases()))
def test_a_value_that_lasts(check: str, row: str, value: str, expected: Level) -> None:
    assert status(check, row, value) is expected


@pytest.mark.parametrize("line", list(lines(HELD)))
def test_a_value_held_for_a_while(line: str) -> None:
    check, row, value, duration, level = line.split()
    assert status(check, row, value, parse_duration(duration)) is Level[level]


@pytest.mark.parametrize("line", list(lines(OPENS)))
def test_what_a_value_opens(line: str) -> None:
    check, row, value, severity, playbook = line.split()
    found, level = catalogue().checks[f"syncwatch/{check}"], status(check, row, value)
    assert level in (Level.WARNING, Level.CRITICAL)
    assert (found.severity if level is Level.CRITICAL else found.warning_severity) == severity
    assert found.playbook == playbook


def test_every_documented_limit_is_in_the_table() -> None:
    tried = {(check, key) for check, row, *_ in cases() for key in (named(check, row).name, named(check, row).measure)}
    covering = catalogue().systems["syncwatch"].checks
    for document in catalogue().systems["syncwatch"].runbook.documents:
        for item in document.items:
            for limit in item.limits:
                found = [c.name for c in covering if f"{document.name}/{item.id}" in c.covers]
                assert any((check, limit.row or limit.measure) in tried for check in found), item.id


@pytest.mark.parametrize(
    ("line", "slow"),
    [
        ("GET /api/videos request_duration 999", False),
        ("GET /api/videos request_duration 1000", False),
        ("GET /api/videos request_duration 1000.0", False),
        ("GET /api/videos request_duration 1000.4", True),
        ("GET /api/videos request_duration 1001", True),
        ("GET /api/videos request_duration 12345.6 ", True),
        ("GET /api/videos request_duration 99.1234", False),
        ("GET /api/videos/12345 took 2000", False),
    ],
)
def test_a_slow_request_is_one_whose_last_word_is_over_1000(line: str, slow: bool) -> None:
    pattern: str = catalogue().checks["syncwatch/slow-requests"].probe.params.pattern
    assert bool(re.search(pattern, line)) is slow
