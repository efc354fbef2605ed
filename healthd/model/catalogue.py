"""What a runbook documents, as frozen types: systems, cadences, checks, thresholds, playbooks, routes.

The catalogue room reads YAML into these; every other room only reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from healthd.model.conditions import Condition
from healthd.model.hours import Hours
from healthd.model.outcomes import Level
from healthd.model.runbook import Runbook
from healthd.model.units import Unit

FINDING_WORDS = ("value", "series", "limit", "measure")
ATTESTATION = "attestation"  # the probe type of tasks that people sign for
NO_LABELS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Source:
    """Where a definition stands: file path and 1-based line."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Rule:
    """When something runs: either every `every`, or by `crons` (each a 5-field expression, any of them fires).

    Cron expressions follow Debian cron with `L`, `#n` and `nL` (last day, nth and last weekday), evaluated in `zone`.
    """

    zone: ZoneInfo
    every: timedelta | None = None
    crons: tuple[str, ...] = ()

    @property
    def is_interval(self) -> bool:
        return self.every is not None


@dataclass(frozen=True, slots=True)
class Cadence:
    """A named calendar rule of a system. A missed firing is caught up once within `grace`."""

    name: str
    rule: Rule
    title: str
    grace: timedelta
    text: str  # as written: "first monday at 09:00"
    covers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Severity:
    """One step of a system's own scale. `rank` 1 is the worst. `pagerduty` is critical, error, warning or info.

    Somebody is to respond within `response`; while an incident is open, people are told how it stands every `updates`;
    an acknowledgement counts for `ack_timeout`, or to the end.
    """

    name: str
    rank: int
    title: str = ""
    response: timedelta | None = None
    pagerduty: str = "error"
    covers: tuple[str, ...] = ()
    updates: timedelta | None = None
    ack_timeout: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Threshold:
    """One row of a threshold table.

    `warning` and `critical` say what is bad; `target` and `acceptable` what is good. Where no `warning` is
    given, missing `acceptable` (or, without one, `target`) is a warning. `for_` is how long a bad level must
    hold before it counts, `recover_for` how long it must be over before it stops counting.
    `missing` says what an absent measure means: unknown (default), ok, warning or critical.
    """

    measure: str
    target: Condition | None = None
    acceptable: Condition | None = None
    warning: Condition | None = None
    critical: Condition | None = None
    for_: timedelta = timedelta(0)
    recover_for: timedelta = timedelta(0)
    unit: Unit | None = None
    missing: Level = Level.UNKNOWN
    name: str = ""  # the row's name in thresholds.yaml, empty when written inline
    note: str = ""

    @property
    def key(self) -> str:
        """Stable within a check: what state is remembered under."""
        return self.name or self.measure

    @property
    def limits(self) -> str:
        """What the row calls bad, or what it wants where it says only that: "warning >= 500ms, critical >= 1s"."""
        bad = [(word, c) for word, c in (("warning", self.warning), ("critical", self.critical)) if c is not None]
        good = [(word, c) for word, c in (("target", self.target), ("acceptable", self.acceptable)) if c is not None]
        return ", ".join(f"{word} {condition.text}" for word, condition in bad or good)


@dataclass(frozen=True, slots=True)
class UnknownPolicy:
    """When failing to look becomes something to tell: after `after` runs in a row, or once it lasted `for_`."""

    after: int = 3
    for_: timedelta | None = None
    level: Level = Level.WARNING


@dataclass(frozen=True, slots=True)
class Flapping:
    """Over the last `window` runs: flapping starts at `start` level changes and ends at `stop`."""

    window: int = 20
    start: int = 8
    stop: int = 3
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Retry:
    """Further attempts inside one run when the probe fails: `attempts` in all, pausing `backoff`, doubled each time."""

    attempts: int = 1
    backoff: timedelta = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class ProbeSpec:
    """A probe's type (a key of PROBES) and its validated parameters (that probe's own Params model)."""

    type: str
    params: Any


@dataclass(frozen=True, slots=True)
class Check:
    """One documented thing to observe. `id` is `system/name`."""

    system: str
    name: str
    title: str
    probe: ProbeSpec
    rules: tuple[Rule, ...]
    cadences: tuple[str, ...]
    thresholds: tuple[Threshold, ...]
    severity: str  # when CRITICAL
    warning_severity: str  # when WARNING
    playbook: str | None
    depends_on: tuple[str, ...]  # ids, resolved
    covers: tuple[str, ...]
    timeout: timedelta
    grace: timedelta
    retry: Retry
    unknown: UnknownPolicy
    flapping: Flapping
    labels: Mapping[str, str]
    runbook_url: str
    description: str
    source: Source
    fingerprint: str  # changes when anything that matters to its state changes
    id: str = ""
    enabled: bool = True
    location: str = ""  # where workers look; "": where the daemon runs
    definition: str = ""  # of its probe as written, variables not filled in: the same wherever the catalogue is

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", f"{self.system}/{self.name}")

    @property
    def is_attestation(self) -> bool:
        """Whether a person does it, and healthd only sees that it is signed for."""
        return self.probe.type == ATTESTATION

    @property
    def interval(self) -> timedelta | None:
        """Its shortest fixed interval, None for a check that runs by calendar alone."""
        return min((r.every for r in self.rules if r.every is not None), default=None)


@dataclass(frozen=True, slots=True)
class Step:
    """One playbook step for a person: what to do, when it applies, and the exact command (never executed).

    A diagnostic step may be looked at by healthd as well: through `look`, a check that is never due, or by the check
    of id `check`. `finding` and `suggest` say what it means when that is not in order and what to try then, with the
    FINDING_WORDS in braces filled in; where `rows` names any, only for these rows of the look.
    """

    title: str
    command: str = ""
    when: str = ""
    expect: str = ""
    covers: tuple[str, ...] = ()
    look: Check | None = None
    check: str = ""
    finding: str = ""
    suggest: str = ""
    rows: tuple[str, ...] = ()

    @property
    def is_run(self) -> bool:
        """Whether healthd looks by itself."""
        return self.look is not None or bool(self.check)


@dataclass(frozen=True, slots=True)
class Playbook:
    """What to do about one kind of failure. `response`: how soon somebody is to, where not as its severity says."""

    name: str
    title: str
    url: str = ""
    severity: str | None = None
    symptoms: tuple[str, ...] = ()
    likely_cause: str = ""
    diagnostics: tuple[Step, ...] = ()
    remediation: tuple[Step, ...] = ()
    covers: tuple[str, ...] = ()
    response: timedelta | None = None


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """Somewhere to tell people: a channel type and its validated options (secrets inside are SecretStr)."""

    name: str
    type: str
    options: Any
    max_age: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Route:
    """What goes to which channels. Every criterion given must match; globs (`*`) are allowed in each.

    `kinds` is `incident` or a kind of Notice. A criterion that a notice cannot meet (a check, a level) keeps it out.
    """

    channels: tuple[str, ...]
    systems: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    levels: tuple[Level, ...] = ()
    labels: Mapping[str, str] = field(default_factory=lambda: NO_LABELS)
    continue_: bool = True  # whether later routes are tried too
    kinds: tuple[str, ...] = ()
    cadences: tuple[str, ...] = ()
    hours: Hours | None = None
    outside: str = "hold"  # of these hours: hold until they begin, drop, or next: as if it did not match


@dataclass(frozen=True, slots=True)
class Grouping:
    """Which failures of a system are one incident.

    A check joins an open incident with the same playbook within `window` of the last one that joined. `storm` checks
    that begin to fire within `storm_window` are a storm: one incident, whatever their playbooks; 0 for never. A check
    that fires again within `reopen_within` of its incident's end reopens it.
    """

    window: timedelta = timedelta(minutes=5)
    storm: int = 10
    storm_window: timedelta = timedelta(minutes=1)
    reopen_within: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class System:
    """Something in production that is watched."""

    name: str
    title: str
    zone: ZoneInfo
    severities: Mapping[str, Severity]
    cadences: Mapping[str, Cadence]
    playbooks: Mapping[str, Playbook]
    checks: tuple[Check, ...]
    description: str = ""
    runbook_url: str = ""
    links: Mapping[str, str] = field(default_factory=lambda: NO_LABELS)
    runbook: Runbook = field(default_factory=Runbook)
    objective: float = 0.999  # the share of runs that are meant not to be critical
    grouping: Grouping = field(default_factory=Grouping)
    tasks: tuple[Check, ...] = ()  # its attestations, as checks of whether they were given in time
    own: bool = False  # healthd itself: counted nowhere among what is watched


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything in force: one immutable value, replaced as a whole by a reload."""

    systems: Mapping[str, System]
    channels: Mapping[str, ChannelSpec]
    routes: tuple[Route, ...]
    warnings: tuple[str, ...] = ()
    digest: str = ""
    checks: Mapping[str, Check] = field(default_factory=dict)  # by id
    tasks: Mapping[str, Check] = field(default_factory=dict)  # attestations by id; no id is a check's as well
    secrets: frozenset[str] = field(default_factory=frozenset, repr=False)  # substituted values never to be shown

    @property
    def watched(self) -> tuple[System, ...]:
        """Its systems but healthd itself."""
        return tuple(system for system in self.systems.values() if not system.own)

    @property
    def watched_checks(self) -> list[Check]:
        """Their checks."""
        return [check for system in self.watched for check in system.checks]

    @property
    def counts(self) -> Mapping[str, int]:
        """How many checks look at each of these; attestations do not."""
        return {s.name: sum(not check.is_attestation for check in s.checks) for s in self.watched}

    def severity(self, system: str, name: str) -> Severity:
        """The severity of that name, or a nameless middle one for a system without a scale."""
        return self.systems[system].severities.get(name) or Severity(name, 3)
