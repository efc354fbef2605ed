"""Attestations as checks: of whether somebody signed for them in time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from types import MappingProxyType

from healthd.catalogue.cadences import DAILY_GRACE
from healthd.catalogue.context import Context
from healthd.catalogue.cron import spacing
from healthd.catalogue.fields import read_name
from healthd.catalogue.fingerprint import check_fingerprint
from healthd.catalogue.problems import RefusedError
from healthd.catalogue.sections import duplicate
from healthd.catalogue.systems import Frame
from healthd.model.attestations import Task
from healthd.model.catalogue import ATTESTATION, Check, Flapping, ProbeSpec, Retry, Rule, Threshold, UnknownPolicy
from healthd.model.conditions import parse_condition
from healthd.model.runbook import Attestation
from healthd.model.units import Unit

DAY = timedelta(days=1)
OVERDUE = Threshold("overdue", warning=parse_condition("> 0s"), unit=Unit.SECONDS)


def tasks_of(frame: Frame, attestations: Iterable[Attestation], context: Context) -> Iterator[Check]:
    """The system's attestations as checks. None may be called like one of its checks."""
    for attestation in attestations:
        entry = frame.sections.named["attestations"][attestation.name]
        subject = f"attestations: {attestation.name!r}"
        if (written := frame.written.get(attestation.name)) is not None:
            context.problems.append(duplicate(f"{subject}: its name", entry.key, written.key("name") or written))
            continue
        try:
            read_name(attestation.name)
        except RefusedError as refusal:
            context.problem(entry.key, f"attestations: {refusal}", refusal.hint)
            continue
        cadence = frame.cadences.get(attestation.cadence)
        if attestation.cadence and cadence is None:  # told already
            continue
        yield _check(frame, attestation, cadence.rule if cadence else None, cadence.grace if cadence else DAILY_GRACE)


def usual_due(rule: Rule) -> timedelta:
    """How soon a task of this rule is to be done: a day for daily ones, three for weekly ones, seven for rarer ones.

    Never later than it is asked for again.
    """
    gap = rule.every if rule.every is not None else spacing(rule.crons)
    if gap < 6 * DAY:
        return min(gap, DAY)
    return 3 * DAY if gap < 25 * DAY else 7 * DAY


def _check(frame: Frame, attestation: Attestation, rule: Rule | None, grace: timedelta) -> Check:
    due = attestation.within or attestation.due or (usual_due(rule) if rule else DAY)
    remind = attestation.remind if attestation.remind is not None else min(DAY, due / 2)
    task = Task(f"{frame.name}/{attestation.name}", due, remind, attestation.who, attestation.severities)
    severity = attestation.severity or _mildest(frame)
    probe, rules = ProbeSpec(ATTESTATION, task), (rule,) if rule else ()
    unknown, flapping = UnknownPolicy(), Flapping(enabled=False)
    return Check(
        system=frame.name,
        name=attestation.name,
        title=attestation.title,
        probe=probe,
        rules=rules,
        cadences=(attestation.cadence,) if attestation.cadence else (),
        thresholds=(OVERDUE,),
        severity=severity,
        warning_severity=severity,
        playbook=None,
        depends_on=(),
        covers=attestation.covers,
        timeout=timedelta(seconds=10),
        grace=grace,
        retry=Retry(),
        unknown=unknown,
        flapping=flapping,
        labels=MappingProxyType(dict(frame.defaults.labels)),
        runbook_url=frame.shape.runbook_url,
        description=attestation.description,
        source=attestation.source,
        fingerprint=check_fingerprint(probe, (OVERDUE,), rules, unknown, flapping),
        enabled=attestation.enabled,
    )


def _mildest(frame: Frame) -> str:
    steps = sorted((s for s in frame.severities.values() if s is not None), key=lambda s: s.rank)
    return steps[-1].name if steps else frame.severity
