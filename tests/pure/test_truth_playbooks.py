"""What the documents would have a person look at when something fails, healthd looks at; and when whom it tells.

The expectations are taken from the documents, not from the catalogue.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import cache

import pytest

from healthd.catalogue import load
from healthd.incidents import acknowledge
from healthd.incidents.clocks import next_due
from healthd.incidents.diagnosis import seen
from healthd.incidents.escalation import Policy, run_out
from healthd.model.catalogue import Catalogue, Playbook, Step
from healthd.model.outcomes import Level, Outcome, Verdict
from healthd.model.units import Unit
from healthd.notify import CHANNELS
from healthd.probes import PROBES
from healthd.settings import Settings
from tests.telling import AT, make_incident

# playbook: what its document looks at, as the types of the probes that can
LOOKS = """
    syncwatch/complete-site-outage           elb kubernetes_pods docker_compose kubernetes_deployments kubernetes_logs
    syncwatch/database-unavailable           rds_instance postgres postgres_connections
    syncwatch/redis-failure                  redis redis_memory
    syncwatch/high-playback-drift            prometheus redis_latency kubernetes_logs redis_slowlog
    syncwatch/authentication-failures        kubernetes_logs http_journey postgres_query
    syncwatch/transcoding-jobs-stuck         redis_length kubernetes_pods kubernetes_logs
    syncwatch/high-error-rate                prometheus kubernetes_logs kubernetes_deployments
    syncwatch/disk-space-full                prometheus
    syncwatch/memory-leak                    kubernetes_usage kubernetes_deployments
    syncwatch/websocket-connection-failures  websocket kubernetes_logs elb
    syncwatch/slow-queries                   rds_logs
    syncwatch/backup-missing                 s3_backup rds_snapshots
    syncwatch/alerts-firing                  prometheus_alerts
    social-live/high-error-rate              kubernetes_logs postgres redis http kubernetes_deployments
    social-live/service-down                 kubernetes_pods kubernetes_logs kubernetes_usage kubernetes_deployments
    social-live/high-response-time           postgres_statements redis_latency kubernetes_deployments
    social-live/high-memory-usage            kubernetes_usage kubernetes_deployments
    social-live/database-connections         postgres_connections
    social-live/slow-queries                 postgres_statements postgres_tables
    social-live/cache-performance            redis_big_keys redis_stats
    syncup/high-error-rate                   cloudwatch_logs
    syncup/slow-database-queries             postgres_statements postgres_activity
    syncup/api-timeouts                      http cloudwatch_logs
    syncup/database-connections              postgres postgres_connections postgres_statements
    syncup/low-disk-space                    cloudwatch_metric rds_instance
    synk/service-down                        docker_compose docker_logs
    synk/disk-full                           docker_disk disk postgres_size
    synk/connection-limit                    docker_logs postgres_connections
    synk/slow-responses                      docker_logs postgres_activity
"""
# audits, scans and benchmarks: a person runs them
PROGRAMS = {"vulnerable-dependencies", "dependencies", "load-test", "incident-response"}
# system, severity: level and minutes, in the order of the chain
CHAINS = """
    syncwatch    SEV1        l1 0, everybody 0, l1-again 5, l2 30, l3 60, l4 120
    syncwatch    SEV2        l1 0, team 0, l1-again 5, l2 60, l3 120
    syncwatch    SEV3        l1 0
    syncwatch    SEV4        tickets 0
    syncup       P1          L1 0, L2 30, L3 60, L4 120
    syncup       P4          L1 0, L2 30, L3 60, L4 120
    social-live  Severity 1  primary 0, secondary 15, manager 30
    social-live  Severity 2  team 0
    social-live  Severity 3  tickets 0
    synk         critical    on-call 0, still-down 15
    synk         warning
"""


@cache
def shipped() -> Catalogue:
    options = {name: kind.Options for name, kind in CHANNELS.items()}
    return load(["checks"], probes=PROBES, channels=options, settings=Settings(), environment={})


def rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in table.strip().splitlines()]


def playbook(name: str) -> Playbook:
    system, _, wanted = name.partition("/")
    return shipped().systems[system].playbooks[wanted]


def types(found: Playbook) -> Iterator[str]:
    for step in found.diagnostics:
        look = step.look or shipped().checks.get(step.check)
        if look is not None:
            yield look.probe.type


@pytest.mark.parametrize(("name", "expected"), rows(LOOKS))
def test_what_a_document_looks_at_is_looked_at(name: str, expected: str) -> None:
    assert set(expected.split()) <= set(types(playbook(name)))


def test_of_what_fails_healthd_looks_at_something() -> None:
    """Whatever a check leads to, where its document has anything to look at and it is not a program to run."""
    blind = {
        check.playbook
        for check in shipped().checks.values()
        if (found := shipped().systems[check.system].playbooks.get(check.playbook or ""))
        and found.diagnostics
        and not any(step.is_run for step in found.diagnostics)
    }
    assert blind <= PROGRAMS, blind - PROGRAMS


@pytest.mark.parametrize("name", ["syncwatch/complete-site-outage", "social-live/high-error-rate"])
def test_a_deployment_of_twelve_minutes_ago_is_asked_about(name: str) -> None:
    (step,) = (s for s in playbook(name).diagnostics if "rollout_age" in str(s.look and s.look.thresholds))
    row = Verdict("rollout_age", "rollout_age", "backend", 720.0, Unit.SECONDS, Level.CRITICAL, "< 30m")
    outcome = Outcome("x", AT, timedelta(seconds=1), Level.CRITICAL, "r", verdicts=(row,))
    result = seen(step, outcome)
    assert result["finding"] == "backend was deployed 12m ago: roll back?"
    assert result["suggest"].startswith("kubectl rollout undo deployment/backend -n ")


@pytest.mark.parametrize("row", rows(CHAINS), ids=" ".join)
def test_the_documented_chains(row: list[str]) -> None:
    system, severity, *chain = row
    expected = [tuple(level.split()) for level in ", ".join(chain).split(", ") if level]
    found = shipped().systems[system]
    scale = found.severities[severity]
    policy = Policy(scale, found.runbook.escalation, {c.name: c for c in found.runbook.contacts})
    incident, told = make_incident(system=system, severity=severity, opened_at=AT), []
    for minute in range(0, 300, 5):
        now = AT + timedelta(minutes=minute)
        while (decision := run_out(incident, policy, now)) is not None:
            incident = decision.incident
            if decision.update["kind"] == "escalated":
                told.append((decision.update["level"], str(minute)))
    assert told == expected
    due = next_due(incident, scale, found.runbook.escalation)
    assert due is None or due.level is None


# "if not resolved in" (SyncWatch, SyncUp) and "no response" (Social Live): who is told although somebody has it
TAKEN = """
    syncwatch    SEV1        l2 30, l3 60, l4 120
    syncwatch    SEV2        l2 60, l3 120
    syncup       P2          L2 30, L3 60, L4 120
    social-live  Severity 1
"""


@pytest.mark.parametrize("row", rows(TAKEN), ids=" ".join)
def test_the_chains_of_an_incident_acknowledged_at_once(row: list[str]) -> None:
    system, severity, *chain = row
    found = shipped().systems[system]
    policy = Policy(found.severities[severity], found.runbook.escalation)
    incident = acknowledge(make_incident(system=system, severity=severity, opened_at=AT), AT, "ana", "").incident
    told = []
    for minute in range(0, 300, 5):
        while (decision := run_out(incident, policy, AT + timedelta(minutes=minute))) is not None:
            incident = decision.incident
            told += [f"{decision.update['level']} {minute}"] if decision.update["kind"] == "escalated" else []
    assert ", ".join(told) == ", ".join(chain)


@pytest.mark.parametrize(
    ("system", "severity", "response", "updates"),
    [
        ("syncwatch", "SEV1", 15, 15), ("syncwatch", "SEV2", 30, 30), ("syncwatch", "SEV3", 120, None),
        ("syncwatch", "SEV4", 1440, None), ("social-live", "Severity 1", 15, None), ("syncup", "P1", None, None),
    ],
)  # fmt: skip
def test_response_times_and_updates(system: str, severity: str, response: int | None, updates: int | None) -> None:
    found = shipped().systems[system].severities[severity]
    assert [time and time / timedelta(minutes=1) for time in (found.response, found.updates)] == [response, updates]


@pytest.mark.parametrize(
    ("name", "minutes"),
    [("high-error-rate", 5), ("service-down", 2), ("high-response-time", 30), ("high-memory-usage", 30)],
)
def test_alerts_with_a_response_time_of_their_own(name: str, minutes: int) -> None:
    assert playbook(f"social-live/{name}").response == timedelta(minutes=minutes)


def test_nothing_that_changes_production_is_looked_through() -> None:
    """Only probes, and of those none that runs programs, puts load on anything or restores backups."""

    def looks() -> Iterator[Step]:
        for system in shipped().systems.values():
            for found in system.playbooks.values():
                assert not any(step.is_run for step in found.remediation)
                yield from (step for step in found.diagnostics if step.is_run)

    for step in looks():
        look = step.look or shipped().checks[step.check]
        assert look.probe.type not in {"command", "load_benchmark", "restore_drill"}, step.title
