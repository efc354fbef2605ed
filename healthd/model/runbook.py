"""The runbook's own index: what it documents, item by item, and what people were asked to do about it.

The index is made from the documents alone. What takes care of an item says so itself, with `covers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from healthd.model.conditions import Condition

if TYPE_CHECKING:
    from healthd.model.catalogue import Rule, Source


class Fate(StrEnum):
    """What becomes of a documented item."""

    CHECK = "check"  # looked at by itself
    REPORT = "report"  # numbers gathered for people to read
    ATTESTATION = "attestation"  # done by a person, who says so
    PLAYBOOK = "playbook"  # a step that is shown when something fails
    POLICY = "policy"  # a severity, a cadence, a window, an escalation step, a contact


@dataclass(frozen=True, slots=True)
class Limit:
    """Documented limits, to be held against the configured rows of the checks that cover the item.

    Those rows are called `row`, or judge `measure`; with neither, the check has just one row of its own.
    A level that is None is not documented there; `for_` None: no duration is. `decided`: the documents contradict
    each other, another limit was chosen, and the configured row's `note` says why.
    """

    row: str = ""
    measure: str = ""
    target: Condition | None = None
    acceptable: Condition | None = None
    warning: Condition | None = None
    critical: Condition | None = None
    for_: timedelta | None = None
    decided: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """What the document says of a policy in figures, to be held against what covers the item.

    `durations` are named by the keys of what has them (response, notice, ...); "after SEV1" is an escalation level's
    for that severity. `rule` is when a cadence fires, `times` the same as written; `days_only`: at which time of the
    day is not documented.
    """

    durations: Mapping[str, timedelta]
    rule: Rule | None = None
    times: str = ""
    days_only: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """One documented thing. `cadence` and `severity` are the system's, "" where the document gives none."""

    id: str
    heading: str
    title: str
    fate: Fate
    source: Source
    cadence: str = ""
    expect: str = ""  # the documented figure, in words
    limits: tuple[Limit, ...] = ()
    note: str = ""
    severity: str = ""
    figures: Figures | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """One document of the runbook. References to its items read `name/item-id`."""

    name: str
    title: str
    items: tuple[Item, ...]
    source: Source
    url: str = ""


@dataclass(frozen=True, slots=True)
class Attestation:
    """A task that a person does and signs for, at each firing of `cadence` (a name of the system's cadences).

    Or `within` so long after each incident of one of `severities`: then `cadence` is "". It is to be given `due` after
    it was asked for, and asked for again every `remind` (0: never) until then; None: as usual for its cadence. Overdue,
    it fires as `severity` ("": the mildest of the scale).
    """

    name: str
    title: str
    source: Source
    cadence: str = ""
    within: timedelta | None = None
    severities: tuple[str, ...] = ()
    who: str = ""
    description: str = ""
    covers: tuple[str, ...] = ()
    due: timedelta | None = None
    remind: timedelta | None = None
    severity: str = ""
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class ReportPlan:
    """A digest of numbers for people, made at each firing of `cadence`.

    It holds what the cadence's own checks found, and the newest numbers of `checks` (names).
    """

    name: str
    title: str
    cadence: str
    source: Source
    who: str = ""
    description: str = ""
    covers: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Contact:
    """Where somebody is reached: a person, a rota, a list, a page for customers."""

    name: str
    title: str
    source: Source
    address: str = ""
    description: str = ""
    covers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """A maintenance window: it begins at each firing of `cadence`; people are told `notice` ahead (None: as usual).

    Nobody is told of the system's incidents meanwhile, but of those of `except_severities` and `except_checks`.
    """

    name: str
    title: str
    cadence: str
    duration: timedelta
    source: Source
    notice: timedelta | None = None
    description: str = ""
    covers: tuple[str, ...] = ()
    except_severities: tuple[str, ...] = ()
    except_checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EscalationLevel:
    """One level of the chain. `after` says by severity how long an incident may be open before it is told.

    A severity that is not in it never gets there. `who` is a contact, or free words; `channels` are told beside the
    routed ones. `until` is what keeps it from being told: somebody who acknowledged the incident, or its end alone.
    """

    name: str
    title: str
    source: Source
    who: str = ""
    after: Mapping[str, timedelta] | None = None
    description: str = ""
    covers: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    until: str = "acknowledged"  # or resolved


@dataclass(frozen=True, slots=True)
class Runbook:
    """What a system's documents say beyond checks and playbooks."""

    documents: tuple[Document, ...] = ()
    attestations: tuple[Attestation, ...] = ()
    reports: tuple[ReportPlan, ...] = ()
    contacts: tuple[Contact, ...] = ()
    windows: tuple[Window, ...] = ()
    escalation: tuple[EscalationLevel, ...] = ()  # in order, the first told first
