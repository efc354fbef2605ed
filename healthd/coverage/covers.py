"""Everything in a system that says it takes care of documented items."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from healthd.coverage.result import Cover
from healthd.model.catalogue import Playbook, System
from healthd.model.runbook import Fate


def covers_of(system: System) -> Iterator[Cover]:
    """Checks, playbooks and their steps, attestations, reports and policies; only what names at least one item."""
    found = (*_checks(system), *_playbooks(system), *_people(system), *_policies(system))
    return (cover for cover in found if cover.covers)


def _checks(system: System) -> Iterator[Cover]:
    for check in system.checks:
        severities = (check.severity, check.warning_severity)
        yield Cover(
            "check", Fate.CHECK, check.id, check.covers, check.source, check.cadences, severities, check.enabled, check
        )


def _playbooks(system: System) -> Iterator[Cover]:
    for playbook in system.playbooks.values():
        severities = (playbook.severity,) if playbook.severity else ()
        yield Cover("playbook", Fate.PLAYBOOK, _named(system, playbook), playbook.covers, severities=severities)
        for step in (*playbook.diagnostics, *playbook.remediation):
            yield Cover("playbook", Fate.PLAYBOOK, f"{_named(system, playbook)}: {step.title}", step.covers)


def _named(system: System, playbook: Playbook) -> str:
    return f"{system.name}/{playbook.name}"


def _people(system: System) -> Iterator[Cover]:
    for task in system.runbook.attestations:
        name = f"{system.name}/{task.name}"
        yield Cover(
            "attestation",
            Fate.ATTESTATION,
            name,
            task.covers,
            task.source,
            (task.cadence,) if task.cadence else (),
            enabled=task.enabled,
        )
    for report in system.runbook.reports:
        name = f"{system.name}/{report.name}"
        yield Cover("report", Fate.REPORT, name, report.covers, report.source, (report.cadence,))


def _policies(system: System) -> Iterator[Cover]:
    def policy(kind: str, name: str, covers: tuple[str, ...], cadence: str = "") -> Cover:
        return Cover(kind, Fate.POLICY, f"{system.name}/{name}", covers, cadences=(cadence,) if cadence else ())

    for severity in system.severities.values():
        yield replace(policy("severity", severity.name, severity.covers), severities=(severity.name,))
    yield from (policy("cadence", c.name, c.covers, c.name) for c in system.cadences.values())
    yield from (policy("contact", c.name, c.covers) for c in system.runbook.contacts)
    yield from (policy("window", w.name, w.covers, w.cadence) for w in system.runbook.windows)
    yield from (policy("escalation", e.name, e.covers) for e in system.runbook.escalation)
