"""The runbook's index and what people do, as written: documents with their items, attestations, reports, policies."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from healthd.catalogue.fields import (
    AlsoWritten,
    ConditionText,
    Duration,
    Interval,
    Name,
    PositiveDuration,
    Words,
    one_or_many,
)
from healthd.catalogue.problems import RefusedError
from healthd.catalogue.shapes import Shape


class LimitShape(Shape):
    """Documented limits, held against the configured row of the checks that cover the item."""

    row: str = ""
    """name of the configured row"""
    measure: str = ""
    """or the measure it judges; with neither, the only row the check has"""
    target: ConditionText | None = None
    """what it should be"""
    acceptable: ConditionText | None = None
    """what is still good"""
    warning: ConditionText | None = None
    """what is a warning"""
    critical: ConditionText | None = None
    """what is critical"""
    for_: Duration | None = Field(None, alias="for")
    """how long it must hold"""
    decided: bool = False
    """the documents contradict each other and another limit was chosen; the row's note says why"""

    @model_validator(mode="after")
    def _says_something(self) -> LimitShape:
        if not any((self.target, self.acceptable, self.warning, self.critical)) and self.for_ is None:
            raise RefusedError(
                "no limit is documented here", "expected target, acceptable, warning, critical or for, as documented"
            )
        if self.row and self.measure:
            raise RefusedError("'row' and 'measure' say the same", "keep row, or measure for a row without a name")
        return self


Limits = Annotated[tuple[LimitShape, ...], BeforeValidator(one_or_many), AlsoWritten({"$ref": "#/$defs/LimitShape"})]


class TimesShape(Shape):
    """When something is documented to happen: on which days, or how often."""

    on: str | int | None = Field(None, examples=["daily", "monday", "first monday", "last day", "quarterly"])
    """the days, in the words of a cadence"""
    at: Words = Field((), examples=["09:00"])
    """the times of day; without any, only days are documented"""
    every: Interval | None = None
    """or an interval"""
    timezone: str | None = None
    """the documented zone; default: the system's"""

    @model_validator(mode="after")
    def _days_or_interval(self) -> TimesShape:
        if (self.on is None) == (self.every is None) or (self.at and self.on is None):
            raise RefusedError("days or an interval are documented", 'expected on: monday with or without at: "09:00"')
        return self


class FiguresShape(Shape):
    """What is documented of a policy in figures, by the keys of what covers it."""

    times: TimesShape | None = None
    """when it fires: of a cadence, a window"""
    response: PositiveDuration | None = None
    """how soon somebody is to respond: of a severity, a playbook"""
    updates: PositiveDuration | None = None
    """how often people hear how it stands: of a severity"""
    ack_timeout: PositiveDuration | None = None
    """how long an acknowledgement counts: of a severity"""
    after: dict[str, Duration] = Field(default_factory=dict)
    """by severity, how long an incident may be open before: of an escalation level"""
    duration: PositiveDuration | None = None
    """how long it lasts: of a window"""
    notice: PositiveDuration | None = None
    """how long ahead people are told: of a window"""
    within: PositiveDuration | None = None
    """how soon after an incident: of an attestation"""

    @model_validator(mode="after")
    def _says_something(self) -> FiguresShape:
        if not self.model_fields_set:
            raise RefusedError("no figure is documented here", "expected times, response, after, duration or notice")
        return self


class ItemShape(Shape):
    """One documented thing: a command, an expectation, a row of a table, a step, a schedule."""

    id: Name
    """unique within the document"""
    heading: str
    """where in the document it stands"""
    title: str
    """what it is"""
    fate: Literal["check", "report", "attestation", "playbook", "policy"]
    """what becomes of it: looked at, gathered for people, done by a person, shown when something fails, acted on"""
    cadence: str = ""
    """the documented time: one of the system's cadences"""
    severity: str | None = None
    """the documented severity: one of the system's scale"""
    expect: str = ""
    """the documented figure, in words"""
    limits: Limits = ()
    """the documented limits: one row, or a list of them"""
    figures: FiguresShape | None = None
    """documented times, response times, escalation times, durations: held against what covers it"""
    note: str = ""
    """how it was understood"""


class DocumentShape(Shape):
    """One document and everything it says."""

    document: Name
    """its name; checks refer to its items as document/item"""
    title: str = ""
    """for people; default: the name"""
    source: str = ""
    """where it is: an address or a file's name"""
    items: tuple[ItemShape, ...]
    """everything it documents"""


class DeclaredShape(Shape):
    """What every declaration has."""

    title: str = ""
    """for people; default: the name"""
    description: str = ""
    """what it is about"""
    covers: Words = ()
    """items of the runbook it takes care of"""


class AttestationShape(DeclaredShape):
    """A task a person does and signs for."""

    cadence: str = ""
    """when: one of the system's cadences"""
    within: PositiveDuration | None = None
    """or how soon after each incident"""
    severities: Words = ()
    """after incidents of which severities"""
    who: str = ""
    """who does it"""
    due: PositiveDuration | None = None
    """how soon after it was asked for; default: 24h for daily ones, 3d for weekly ones, 7d for rarer ones"""
    remind: Duration | None = None
    """how often it is asked for again until it is due; default: every 24h, or halfway; 0: never"""
    severity: str | None = None
    """what it fires as when it is overdue; default: the mildest of the scale"""
    enabled: bool = True
    """whether it is asked for"""

    @model_validator(mode="after")
    def _one_time(self) -> AttestationShape:
        if bool(self.cadence) == (self.within is not None):
            raise RefusedError("nothing, or too much, says when it is due", "expected cadence, or within: 48h")
        if bool(self.severities) != (self.within is not None):
            raise RefusedError("'within' and 'severities' belong together", "expected within: 48h with severities")
        if self.within is not None and self.due is not None:
            raise RefusedError("'within' and 'due' say the same", "keep within: it counts from the incident's end")
        return self


class ReportShape(DeclaredShape):
    """Numbers gathered for people."""

    cadence: str
    """when: one of the system's cadences"""
    who: str = ""
    """who reads it"""
    checks: Words = ()
    """names of further checks whose newest numbers belong into it; `*` stands for anything"""


class ContactShape(DeclaredShape):
    """Where somebody is reached."""

    address: str = ""
    """mail address, channel, page"""


class WindowShape(DeclaredShape):
    """A maintenance window."""

    cadence: str
    """when it begins: one of the system's cadences"""
    duration: PositiveDuration
    """how long it is"""
    notice: Duration | None = None
    """how long ahead people are told; default: 48h, 0: not at all"""
    except_severities: Words = ()
    """incidents of these severities are told all the same"""
    except_checks: Words = ()
    """incidents of these checks are told all the same: names, or globs"""


class EscalationShape(DeclaredShape):
    """One level of the escalation chain."""

    who: str = ""
    """who is told"""
    after: dict[str, Duration] = Field(default_factory=dict)
    """by severity: how long an incident may be open before; a severity that is not named never gets there"""
    channels: Words = ()
    """channels of this level's own, told beside the routed ones from then on"""
    until: Literal["acknowledged", "resolved"] = "acknowledged"
    """what keeps it from being told: resolved means that it is told of acknowledged incidents as well"""
