"""From what is known of a system to its report. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from healthd.model.catalogue import Cadence, Check, System, Threshold
from healthd.model.incidents import Incident
from healthd.model.outcomes import Outcome, Verdict
from healthd.model.runbook import ReportPlan
from healthd.model.units import Unit, format_value
from healthd.report.change import change_of
from healthd.report.model import BY_BADNESS, MISSING, Event, Growth, Item, Objective, Report, Section, Task, Value

MOST_JUDGED = 12  # values of one check: a report is read, what is beyond stands on the check's page
MOST_MEASURED = 3  # beside them, of a check that judges nothing
MOST_GATHERED = 20  # of one whose numbers the report gathers


Before = Mapping[tuple[str, str], float | str | None]  # values of the last report by measure and series


@dataclass(frozen=True, slots=True)
class Material:
    """What a report is made of. `outcomes` are of this run, or the newest; `points` are histories, oldest first."""

    system: System
    cadence: Cadence
    due: datetime
    made_at: datetime
    checks: Sequence[Check]
    outcomes: Mapping[str, Outcome]
    before: Report | None = None
    incidents: Sequence[Incident] = ()
    open_by_check: Mapping[str, str] = field(default_factory=dict)  # check id -> its open incident's id
    tasks: Sequence[Task] = ()
    points: Mapping[str, Sequence[float]] = field(default_factory=dict)
    growth: Sequence[Growth] = ()
    objectives: Sequence[Objective] = ()
    plans: Sequence[ReportPlan] = ()
    gathered: Mapping[str, Sequence[Check]] = field(default_factory=dict)  # by plan: checks beyond the cadence's own


def report_id(system: str, cadence: str, due: datetime) -> str:
    """The same for the same run, whoever makes it and how often."""
    return f"RPT-{due:%Y%m%d-%H%M}-{system}-{cadence}"


def build(material: Material) -> Report:
    """The report, items that need attention first, the others in the order of the catalogue."""
    system, cadence = material.system, material.cadence
    old = {item.check_id: item for item in material.before.items} if material.before else {}
    extra = {check.id for checks in material.gathered.values() for check in checks}
    items = [_item(check, material, old.get(check.id), gathered=check.id in extra) for check in material.checks]
    items.sort(key=lambda item: BY_BADNESS.index(item.level))
    return Report(
        id=report_id(system.name, cadence.name, material.due),
        system=system.name,
        system_title=system.title,
        cadence=cadence.name,
        title=_title(cadence, material.plans),
        due=material.due,
        made_at=material.made_at,
        zone=str(system.zone),
        items=tuple(items),
        sections=tuple(_section(plan, material) for plan in material.plans),
        tasks=tuple(material.tasks),
        events=tuple(_event(incident) for incident in material.incidents),
        growth=tuple(material.growth),
        objectives=tuple(material.objectives),
        links=tuple(system.links.items()),
        before=material.before.id if material.before else "",
    )


def _title(cadence: Cadence, plans: Sequence[ReportPlan]) -> str:
    return plans[0].title if len(plans) == 1 else cadence.title or cadence.name


def _section(plan: ReportPlan, material: Material) -> Section:
    ids = tuple(check.id for check in material.gathered.get(plan.name, ()))
    return Section(plan.title, plan.who, plan.description, ids)


def _event(incident: Incident) -> Event:
    return Event(
        incident.id,
        incident.title,
        incident.severity,
        incident.level.name.lower(),
        incident.opened_at,
        incident.resolved_at,
    )


def _item(check: Check, material: Material, old: Item | None, *, gathered: bool) -> Item:
    outcome = material.outcomes.get(check.id)
    if outcome is None:
        return Item(check.id, check.title, MISSING, "has not run", before=old.level if old else "")
    before = {(value.measure, value.series): value.value for value in old.values} if old else {}
    return Item(
        check_id=check.id,
        title=check.title,
        level=outcome.level.name.lower(),
        reason=outcome.reason if outcome.level else "",
        values=_values(check, outcome, before, gathered=gathered),
        before=old.level if old else "",
        incident_id=material.open_by_check.get(check.id, ""),
        playbook=check.playbook or "",
        points=tuple(material.points.get(check.id, ())),
    )


def _values(check: Check, outcome: Outcome, before: Before, *, gathered: bool) -> tuple[Value, ...]:
    """What was judged, worst first; then what was only measured, where that is wanted."""
    rows = {row.key: row for row in check.thresholds}
    judged = [
        _with_change(_judged(verdict, rows.get(verdict.row)), verdict.unit, before)
        for verdict in sorted(outcome.verdicts, key=lambda verdict: -verdict.level.badness)[:MOST_JUDGED]
    ]
    seen = {(value.measure, value.series) for value in judged}
    measured = [
        _with_change(Value(m.name, format_value(m.value, m.unit), m.series, m.value, m.unit or ""), m.unit, before)
        for m in outcome.measurements
        if (m.name, m.series) not in seen
    ]
    most = MOST_GATHERED if gathered else 0 if judged else MOST_MEASURED
    return (*judged, *measured[:most])


def _judged(verdict: Verdict, row: Threshold | None) -> Value:
    return Value(
        measure=verdict.measure,
        text=MISSING if verdict.value is None else format_value(verdict.value, verdict.unit),
        series=verdict.series,
        value=verdict.value,
        unit=verdict.unit or "",
        level=verdict.level.name.lower(),
        limits=row.limits if row else "",
    )


def _with_change(value: Value, unit: Unit | None, before: Before) -> Value:
    old = before.get((value.measure, value.series))
    return replace(value, before=old, change=change_of(old, value.value, unit))
