"""The shapes of what the API answers: its description. The answers themselves are written by serialise.py."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from healthd.web.pages.incidents import MAX_NOTE

LevelWord = Literal["ok", "warning", "critical", "unknown"]
StatusWord = Literal["critical", "warning", "unknown", "waiting", "ok", "disabled"]
Number = float | str | None


class Shape(BaseModel):
    """Has these keys and no others."""

    model_config = ConfigDict(extra="forbid")


class Error(BaseModel):
    """What went wrong: a problem (RFC 9457), sent as application/problem+json."""

    type: str = Field("about:blank", description="always about:blank: the status says what kind of problem it is")
    title: str = Field("", description="of the status")
    status: int = 0
    detail: str = Field("", description="what is wrong")
    error: str = Field(description="the same as `detail`")
    hint: str = Field("", description="what would help; left out when there is nothing to say")


class Measurement(Shape):
    name: str
    series: str = Field(description='tells apart several of one name; "" where there is one')
    value: Number = Field(description="in the unit; a word; null when it is not finite")
    unit: str
    text: str = Field(description="for people")


class Verdict(Shape):
    row: str = Field(description="the threshold row")
    measure: str
    series: str
    value: Number
    unit: str
    text: str
    level: LevelWord
    limit: str = Field(description='the condition that decided, "" when in order')
    note: str


class Evidence(Shape):
    title: str
    text: str


class Outcome(Shape):
    check: str
    started: str
    duration: float = Field(description="seconds")
    level: LevelWord = Field(description="what the run saw, before `for:`")
    reason: str
    error_kind: str = Field(description='"" unless it could not look: timeout, refused, dns, auth, ...')
    trigger: str = Field(description="schedule, catch-up, confirm, manual")
    cadence: str
    due: str | None
    late: bool
    measurements: list[Measurement]
    verdicts: list[Verdict]
    evidence: list[Evidence]


class CheckSummary(Shape):
    id: str
    system: str
    name: str
    title: str
    status: StatusWord = Field(description="after `for:`; waiting: not run yet; disabled: does not run")
    level: LevelWord = Field(description="of the last run")
    reason: str
    since: str | None = Field(description="when the status began")
    cadences: list[str]
    interval: float | None = Field(description="seconds; null for one that runs by calendar alone")
    enabled: bool
    firing: bool
    overdue: bool
    flapping: bool
    suppressed_by: str = Field(description='the broken dependency that keeps it quiet, ""')
    incident: str = Field(description='the open incident\'s id, ""')
    last_run: str | None
    last_ok: str | None
    next_run: str | None
    verdicts: list[Verdict]


class ThresholdRow(Shape):
    row: str
    measure: str
    unit: str
    target: str
    acceptable: str
    warning: str
    critical: str
    for_: float = Field(alias="for", description="seconds")
    recover_for: float = Field(description="seconds")


class CheckDetail(CheckSummary):
    description: str
    probe: str
    location: str = Field(description='where workers look; "": where the daemon runs')
    parameters: dict[str, str] = Field(description="as set, without secrets")
    thresholds: list[ThresholdRow]
    schedule: list[str] = Field(description="in words")
    next_calendar_runs: list[str]
    timezone: str
    timeout: float = Field(description="seconds")
    severity: str
    warning_severity: str
    playbook: str
    depends_on: list[str]
    covers: list[str]
    labels: dict[str, str]
    runbook_url: str
    source: str
    last_outcome: Outcome | None


class CheckList(Shape):
    checks: list[CheckSummary]
    total: int = Field(description="that match, on all pages")
    next: str = Field(description='give it as `after` for the next page; "" on the last')


class OutcomeList(Shape):
    outcomes: list[Outcome]
    next: str = Field(description='give it as `after` for the next page; "" on the last')


class HistoryPoint(Shape):
    at: str = Field(description="the slot's start")
    minimum: float
    average: float
    maximum: float


class History(Shape):
    check: str
    measure: str
    series: str
    unit: str
    since: str
    until: str
    points: list[HistoryPoint]


class IncidentSummary(Shape):
    id: str
    system: str
    check: str
    title: str
    severity: str
    level: LevelWord
    reason: str
    open: bool
    opened_at: str
    resolved_at: str | None
    acknowledged_at: str | None
    acknowledged_by: str
    playbook: str
    quiet: str = Field(description='why nobody is told of it now: a silence, a maintenance window; ""')
    failing: int = Field(description="checks of it that fail now")
    joined: int = Field(description="checks there have been")
    storm: bool = Field(description="whether so many checks began to fire at once that they are one incident")
    reopened: int = Field(description="how often it was reopened")
    reopened_at: str | None
    merged_into: str = Field(description='the id of the storm it became part of, ""')


class Member(Shape):
    check: str
    level: LevelWord
    severity: str
    since: str
    recovered_at: str | None
    reason: str
    values: list[dict[str, Any]] = Field(description="measure, series, value, text, unit, level, limit and the limits")
    evidence: list[dict[str, str]] = Field(description="title and text")


class MemberList(Shape):
    total: int
    members: list[Member]
    next: str = Field(description='give it as `after` for the next page; "" on the last')


class TimelineEntry(Shape):
    at: str
    kind: str
    text: str
    actor: str


class Step(Shape):
    title: str
    when: str
    command: str


class Escalation(Shape):
    told: list[str] = Field(description="levels reached, in the order of the chain")
    next: str = Field(description='the level that follows, ""')
    who: str = Field(description='of that level, ""')
    until: str = Field(description='what would keep it from being told: acknowledged or resolved, ""')
    at: str | None = Field(description="when it is told")
    respond_by: str | None = Field(
        description="when the response is late; null when it was in time, or is late already"
    )


class Finding(Shape):
    title: str = Field(description="of the step")
    level: LevelWord
    text: str = Field(description="what it means")
    command: str = Field(description='suggested, never executed; ""')


class StepResult(Shape):
    title: str
    level: LevelWord
    text: str = Field(description="what was measured, or what is wrong with it")
    evidence: str
    command: str = Field(description='what a person would run, ""')
    error: str = Field(description='why it could not be looked at, ""')


class Diagnosis(Shape):
    at: str
    seconds: float
    severity: str = Field(description="the incident's when it was made")
    steps: int
    answered: int
    findings: list[Finding] = Field(description="worst first: the first is the likely cause")
    results: list[StepResult] = Field(description="in the order of the playbook's steps")


class IncidentDetail(IncidentSummary):
    timeline: list[TimelineEntry]
    escalation: Escalation
    steps: list[Step] = Field(description="its playbook suggests, to find out and to mend; healthd executes none")
    diagnosis: Diagnosis | None = Field(description="what the playbook's steps found; null without any, or not yet")
    channels: list[str] = Field(description="where it was told")


class IncidentList(Shape):
    incidents: list[IncidentSummary]
    next: str = Field(description='give it as `after` for the next page; "" on the last')


class SystemSummary(Shape):
    name: str
    title: str
    timezone: str
    status: StatusWord
    counts: dict[str, int] = Field(description="checks by status")
    incidents: int = Field(description="open")
    cadences: dict[str, str] = Field(description="name to when, in words")


class SystemList(Shape):
    systems: list[SystemSummary]


class ComingRun(Shape):
    at: str
    system: str
    cadence: str
    rule: str
    count: int = Field(description="how many checks")
    checks: list[str] = Field(description="the first 100 ids")


class Schedule(Shape):
    runs: list[ComingRun]
    next: str = Field(description='give it as `after` for the next page; "" on the last')


class Waiting(Shape):
    channel: str
    pending: int
    oldest: str | None


class Outbox(Shape):
    channels: list[Waiting]


class AuditEntry(Shape):
    number: int = Field(description="grows with each line of the log")
    at: str
    actor: str
    action: str
    target: str
    detail: str


class AuditList(Shape):
    entries: list[AuditEntry]
    next: str = Field(description='give it as `after` for the next page; "" on the last')


class Status(Shape):
    version: str
    started_at: str
    ready: bool
    reasons: list[str] = Field(description="why it is not ready")
    reload_problem: str = Field(description='why the last reload was refused, ""')
    catalogue: str = Field(description="digest of the catalogue in force")
    warnings: list[str] = Field(description="of the catalogue")
    status: StatusWord = Field(description="the worst of all checks")
    counts: dict[str, int] = Field(description="checks by status")
    incidents: int = Field(description="open")


class Reloaded(Shape):
    added: int = Field(description="checks")
    changed: int
    removed: int


class CatalogueError(Error):
    """The catalogue cannot be used."""

    problems: list[str] = Field(description="everything that is wrong, with file and line")


class RunRequest(Shape):
    actor: str = Field("api", description="who, for the audit log", max_length=200)


class AcknowledgeRequest(Shape):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"actor": "ada", "note": "on it"}]})

    actor: str = Field("api", description="who, for the incident and the audit log", max_length=200)
    note: str = Field("", description="what you are doing about it", max_length=MAX_NOTE)


class ReportEntry(Shape):
    id: str
    system: str
    cadence: str
    title: str
    due: str
    level: str = Field(description="the worst of its items: ok, warning, critical, unknown or missing")
    counts: dict[str, int] = Field(description="items by level, the worst first")


class ReportList(Shape):
    reports: list[ReportEntry]
    next: str = Field(description='give it as `after` for the next page; "" on the last')


class ReportDetail(BaseModel):
    """A report; docs/reports.md describes its parts."""

    id: str
    system: str
    system_title: str
    cadence: str
    title: str
    due: str
    made_at: str
    zone: str
    level: str
    counts: dict[str, int]
    items: list[dict[str, object]] = Field(description="one per check: level, reason, values with limits and change")
    sections: list[dict[str, object]]
    tasks: list[dict[str, object]] = Field(description="attestations: due, given or overdue")
    events: list[dict[str, object]] = Field(description="incidents since the report before")
    growth: list[dict[str, object]] = Field(description="values on their way to a limit, and in how many days")
    objectives: list[dict[str, object]] = Field(description="availability, in weekly and rarer reports")


class CheckAvailability(Shape):
    check_id: str
    title: str
    target: float
    ratios: dict[str, float | None] = Field(description="by number of days; null when no run could look")
    budget: float | None = Field(description="share of the permitted failures that is left; below 0: overspent")


class Availability(Shape):
    system: str
    checks: list[CheckAvailability]
