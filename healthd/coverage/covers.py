"""Everything in a system that says it takes care of documented items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

from healthd.coverage.result import Cover
from healthd.model.catalogue import Check, Playbook, System, Threshold
from healthd.model.outcomes import Level
from healthd.model.runbook import Fate


def covers_of(system: System) -> Iterator[Cover]:
    """Checks, playbooks and their steps, attestations, reports and policies; only what names at least one item."""
    found = (*_checks(system), *_playbooks(system), *_people(system), *_policies(system))
    return (cover for cover in found if cover.covers)


def _checks(system: System) -> Iterator[Cover]:
    for check in system.checks:
        severities = _severities(check)
        yield Cover(
            "check", Fate.CHECK, check.id, check.covers, check.source, check.cadences, severities, check.enabled, check
        )


def _severities(check: Check) -> tuple[str, ...]:
    """Those in which a value can make it fail: of WARNING only where a row warns, of CRITICAL where one is that."""
    critical = any(row.critical is not None or row.missing is Level.CRITICAL for row in check.thresholds)
    found = (check.severity if critical else "", check.warning_severity if any(map(_warns, check.thresholds)) else "")
    return tuple(severity for severity in found if severity)


def _warns(row: Threshold) -> bool:
    """Without a warning of its own, what is good and missed is one."""
    wanted = (row.warning, row.acceptable, row.target)
    return row.missing is Level.WARNING or any(condition is not None for condition in wanted)


def _playbooks(system: System) -> Iterator[Cover]:
    for playbook in system.playbooks.values():
        severities = (playbook.severity,) if playbook.severity else ()
        response = _durations(response=playbook.response)
        named = _named(system, playbook)
        yield Cover("playbook", Fate.PLAYBOOK, named, playbook.covers, severities=severities, durations=response)
        for step in (*playbook.diagnostics, *playbook.remediation):
            yield Cover("playbook", Fate.PLAYBOOK, f"{named}: {step.title}", step.covers, durations=response)


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
            durations=_durations(within=task.within),
        )
    for report in system.runbook.reports:
        name = f"{system.name}/{report.name}"
        yield Cover("report", Fate.REPORT, name, report.covers, report.source, (report.cadence,))


def _policies(system: System) -> Iterator[Cover]:
    def policy(kind: str, name: str, covers: tuple[str, ...], cadence: str = "") -> Cover:
        return Cover(kind, Fate.POLICY, f"{system.name}/{name}", covers, cadences=(cadence,) if cadence else ())

    for s in system.severities.values():
        times = _durations(response=s.response, updates=s.updates, ack_timeout=s.ack_timeout)
        yield replace(policy("severity", s.name, s.covers), severities=(s.name,), durations=times)
    for c in system.cadences.values():
        yield replace(policy("cadence", c.name, c.covers, c.name), cadence=c)
    yield from (policy("contact", c.name, c.covers) for c in system.runbook.contacts)
    for w in system.runbook.windows:
        times = _durations(duration=w.duration, notice=w.notice)
        begins = system.cadences.get(w.cadence)
        yield replace(policy("window", w.name, w.covers, w.cadence), durations=times, cadence=begins)
    for e in system.runbook.escalation:
        after = {f"after {severity}": time for severity, time in (e.after or {}).items()}
        yield replace(policy("escalation", e.name, e.covers), durations=after)


def _durations(**figures: timedelta | None) -> Mapping[str, timedelta]:
    return {key: duration for key, duration in figures.items() if duration is not None}
