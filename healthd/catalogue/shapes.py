"""The sections of a catalogue as people write them. Validation, messages and the JSON Schema all come from here."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema, model_validator

from healthd.catalogue.fields import (
    AlsoWritten,
    BaseUnit,
    ConditionText,
    Duration,
    Interval,
    Label,
    Location,
    Name,
    PositiveDuration,
    Share,
    Words,
    one_or_many,
    written,
)
from healthd.catalogue.problems import RefusedError
from healthd.model.hours import parse_hours

AT_DAEMON = "daemon"  # a check's location where its system's is another

LevelName = Literal["ok", "warning", "critical", "unknown"]


class Shape(BaseModel):
    """Unknown keys are errors."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
    )


class SeverityShape(Shape):
    """One step of the system's severity scale, the worst first."""

    rank: int | None = Field(None, ge=1, le=99)
    """1 is the worst; default: the position in the list"""
    title: str = ""
    """what it means"""
    response: Duration | None = None
    """how soon somebody is to respond"""
    updates: PositiveDuration | None = None
    """how often people are told how an open incident stands"""
    ack_timeout: PositiveDuration | None = None
    """an acknowledgement counts this long; escalation then goes on"""
    pagerduty: Literal["critical", "error", "warning", "info"] | None = None
    """severity sent to PagerDuty; default by rank: critical, error, warning, info"""
    covers: Words = ()
    """items of the runbook it takes care of"""


class GroupingShape(Shape):
    """Which failures are one incident."""

    window: Duration = timedelta(minutes=5)
    """a check joins an open incident with the same playbook for so long after the last one joined; 0: never"""
    storm: int = Field(10, ge=0, le=100_000)
    """so many checks that begin to fire within `storm_window` are one incident; 0: never"""
    storm_window: PositiveDuration = timedelta(minutes=1)
    """within which they are counted"""
    reopen_within: Duration = timedelta(minutes=15)
    """a check that fires again so soon after its incident's end reopens it; 0: never"""

    @model_validator(mode="after")
    def _more_than_two(self) -> GroupingShape:
        if self.storm in (1, 2):
            raise RefusedError(f"storm: {self.storm} is no storm", "expected 3 or more, or 0 for never")
        return self


class SystemShape(Shape):
    """The system this folder describes."""

    name: Name | None = None
    """default: the folder's name"""
    title: str = ""
    """for people; default: the name"""
    description: str = ""
    """one or two sentences"""
    timezone: str = Field("UTC", examples=["Europe/Berlin", "UTC"])
    """IANA time zone of its cadences and cron expressions"""
    runbook_url: str = ""
    """where its runbook is"""
    links: dict[str, str] = Field(default_factory=dict)
    """further links: text to address"""
    severity: str | None = None
    """severity of checks that name none"""
    objective: Share = 0.999
    """how available its checks' subjects are meant to be: the share of runs that are not critical"""
    grouping: GroupingShape = Field(default_factory=GroupingShape)
    """which failures are one incident"""
    severities: dict[str, SeverityShape] = Field(default_factory=dict)
    """the severity scale, worst first (may also be a section of its own)"""


class CadenceShape(Shape):
    """A named calendar rule: one of `every`, `cron`, or `on` with `at`."""

    every: Interval | None = None
    """a fixed interval"""
    cron: Words = ()
    """five-field cron expressions; any of them fires"""
    on: str | int | None = Field(
        None, examples=["daily", "weekdays", "first monday", "last day", "quarterly", "1 march"]
    )
    """the days, in words"""
    at: Words = Field((), examples=["09:00"])
    """the times of day, 24 hours"""
    title: str = ""
    """for people; default: the name"""
    timezone: str | None = None
    """if it differs from the system's"""
    grace: Duration | None = None
    """how late a missed firing is still caught up; default 4h for daily rules, 24h for rarer ones"""
    covers: Words = ()
    """items of the runbook it takes care of"""

    @model_validator(mode="after")
    def _exactly_one(self) -> CadenceShape:
        given = [name for name in ("every", "cron", "on") if getattr(self, name) not in (None, ())]
        if len(given) != 1:
            what = "nothing says when it fires" if not given else f"{' and '.join(given)} exclude each other"
            raise RefusedError(
                what, 'expected one of every: 60s, cron: "0 9 * * *", or on: "first monday" with at: "09:00"'
            )
        if self.on is not None and not self.at:
            raise RefusedError("'at' is missing", 'expected the time of day, such as at: "09:00"')
        if self.on is None and self.at:
            raise RefusedError(f"'at' belongs to 'on', not to {given[0]!r}", 'expected on: daily with at: "09:00"')
        return self


class RowShape(Shape):
    """One row of a threshold table: what is good and what is bad about one measure."""

    name: str = ""
    """tells apart two rows written inline for the same measure"""
    measure: str | None = None
    """which of the probe's measures; default: the row's name, or the probe's only measure"""
    target: ConditionText | None = None
    """what it should be"""
    acceptable: ConditionText | None = None
    """what is still good; without `warning`, missing it is a warning"""
    warning: ConditionText | None = None
    """what is a warning"""
    critical: ConditionText | None = None
    """what is critical"""
    for_: Duration = Field(timedelta(0), alias="for")
    """how long a bad level must hold before it counts"""
    recover_for: Duration = timedelta(0)
    """how long it must be over before it stops counting"""
    unit: BaseUnit | None = None
    """base unit of the measure, if the probe does not know it"""
    missing: LevelName = "unknown"
    """what the absence of the measure means"""
    note: str = ""
    """why the limits are what they are"""

    @model_validator(mode="after")
    def _has_condition(self) -> RowShape:
        if not any((self.target, self.acceptable, self.warning, self.critical)):
            raise RefusedError(
                "a row without a condition judges nothing",
                "expected at least one of target, acceptable, warning, critical",
            )
        return self


def _row_or_name(value: Any) -> str:
    return "row" if isinstance(value, dict) else "name"


RowOrName = Annotated[Annotated[str, Tag("name")] | Annotated[RowShape, Tag("row")], Discriminator(_row_or_name)]
_ROW_REFERENCE = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/RowShape"}]}
RowReferences = Annotated[
    tuple[RowOrName, ...],
    BeforeValidator(one_or_many),
    WithJsonSchema({"anyOf": [*_ROW_REFERENCE["anyOf"], {"type": "array", "items": _ROW_REFERENCE}]}),
]


class RetryShape(Shape):
    """Further attempts inside one run when the probe fails."""

    attempts: int = Field(1, ge=1, le=10)
    """how many in all"""
    backoff: Duration = timedelta(seconds=1)
    """pause before the second attempt, doubled each time"""


class UnknownShape(Shape):
    """When failing to look becomes something to tell: after so many runs in a row, or once it lasted so long."""

    after: int | None = Field(None, ge=1, le=1000)
    """runs in a row"""
    for_: PositiveDuration | None = Field(None, alias="for")
    """how long, instead of `after`"""
    level: Literal["warning", "critical", "unknown", "ignore"] = "warning"
    """told as which level; ignore: never"""

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        return {"level": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one(self) -> UnknownShape:
        if self.after is not None and self.for_ is not None:
            raise RefusedError("'after' and 'for' exclude each other", "expected after: 3 or for: 10m")
        return self


class FlappingShape(Shape):
    """Changing levels too often: over the last `window` runs it starts at `start` changes and ends at `stop`."""

    window: int = Field(20, ge=3, le=200)
    """runs looked at"""
    start: int = Field(8, ge=2)
    """level changes at which flapping starts"""
    stop: int = Field(3, ge=0)
    """level changes at which it ends"""
    enabled: bool = True
    """whether to look at all"""

    @model_validator(mode="before")
    @classmethod
    def _switch(cls, value: Any) -> Any:
        return {"enabled": value} if isinstance(value, bool) else value

    @model_validator(mode="after")
    def _ordered(self) -> FlappingShape:
        if not self.stop < self.start < self.window:
            raise RefusedError(
                f"stop {self.stop}, start {self.start}, window {self.window} never work together",
                "expected stop < start < window",
            )
        return self


class ProbeShape(Shape):
    """How the check looks: a probe type and that probe's parameters."""

    model_config = ConfigDict(extra="allow")
    type: str
    """a probe type"""


class CommonShape(Shape):
    """What `defaults` may say for every check."""

    severity: str | None = None
    """severity when CRITICAL"""
    warning_severity: str | None = None
    """severity when WARNING; default: one step milder"""
    timeout: PositiveDuration | None = None
    """for a whole look"""
    grace: Duration | None = None
    """how late a run may be before the check is overdue"""
    retry: RetryShape | None = None
    unknown: Annotated[UnknownShape | None, AlsoWritten({"enum": ["warning", "critical", "unknown", "ignore"]})] = None
    flapping: Annotated[FlappingShape | None, AlsoWritten({"type": "boolean"})] = None
    labels: dict[str, Label] = Field(default_factory=dict)
    """free labels, for routes"""
    location: Location | None = None
    """looked at by workers that run there (`healthd worker --location`); `daemon`: where the daemon runs"""


class DefaultsShape(CommonShape):
    """What holds for every check of the system that says nothing else."""

    probe: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """parameters per probe type, such as {postgres: {url: "${DATABASE_URL}"}}"""


class CheckShape(CommonShape):
    """One documented thing to observe."""

    name: Name
    """unique within the system"""
    title: str = ""
    """for people; default: the name"""
    description: str = ""
    """what it is about"""
    probe: ProbeShape
    cadence: Words = ()
    """cadences of the system at which it runs"""
    every: Interval | None = None
    """a fixed interval"""
    cron: Annotated[Words, BeforeValidator(written)] = ()
    """five-field cron expressions; an empty one adds nothing"""
    thresholds: RowReferences = ()
    """a row's name, a row, or a list of either"""
    playbook: str | None = None
    """what to do about it"""
    depends_on: Words = ()
    """checks whose failure explains this one's: names of this system, or system/name"""
    covers: Words = ()
    """items of the runbook this check takes care of"""
    runbook_url: str = ""
    """default: the system's"""
    enabled: bool = True
    """whether it is scheduled"""


class ChannelShape(Shape):
    """Somewhere to tell people: a channel type and that channel's options."""

    model_config = ConfigDict(extra="allow")
    type: str
    """a channel type"""
    max_age: PositiveDuration | None = None
    """a message not accepted for this long is given up"""


class RouteShape(Shape):
    """What goes to which channels: every criterion given must match; `*` stands for anything."""

    channels: Words = Field(min_length=1)
    """names of channels; slack, pagerduty and webhook come from the process settings"""
    systems: Words = ()
    system: Words = ()
    severities: Words = ()
    severity: Words = ()
    checks: Words = ()
    """names, or system/name"""
    check: Words = ()
    levels: Words = ()
    """warning, critical or unknown"""
    level: Words = ()
    kinds: Words = ()
    """incident, report, attestation, window, silence or postmortem"""
    kind: Words = ()
    cadences: Words = ()
    """of a report, or of a task asked for"""
    cadence: Words = ()
    labels: dict[str, Label] = Field(default_factory=dict)
    """each must be a label of the check"""
    hours: str = ""
    """when it holds, such as "mon-fri 09:00-18:00", in the system's time zone or one named at the end"""
    outside: Literal["hold", "drop", "next"] = "hold"
    """of the hours: messages wait until they begin, are not sent, or go on to the next route"""
    continue_: bool = Field(True, alias="continue")
    """whether later routes are tried too"""

    @model_validator(mode="after")
    def _one_spelling(self) -> RouteShape:
        spellings = (
            *(("system", "systems"), ("severity", "severities"), ("check", "checks"), ("level", "levels")),
            *(("kind", "kinds"), ("cadence", "cadences")),
        )
        for one, many in spellings:
            if getattr(self, one) and getattr(self, many):
                raise RefusedError(f"{one!r} and {many!r} are the same thing", f"keep {many}")
        try:
            parse_hours(self.hours or "daily 00:00-24:00")
        except ValueError as error:
            raise RefusedError(f"hours: {error}", key="hours") from None
        return self
