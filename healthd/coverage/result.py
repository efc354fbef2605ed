"""What came out: every documented item with what covers it and what is wrong with that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from itertools import groupby

from healthd.model.catalogue import Cadence, Check, Source
from healthd.model.runbook import Document, Fate, Item


class State(StrEnum):
    """How it stands with one item."""

    COVERED = "covered"
    OFF = "off"  # covered, but everything that covers it is switched off in this installation
    DIFFERS = "differs"  # covered, but not as documented: another limit, another time
    UNCOVERED = "uncovered"

    @property
    def is_wrong(self) -> bool:
        return self in (State.DIFFERS, State.UNCOVERED)


@dataclass(frozen=True, slots=True)
class Cover:
    """Something that says it takes care of items: a check, a playbook or one of its steps, a declaration."""

    kind: str  # check, playbook, attestation, report, severity, cadence, contact, window, escalation
    fate: Fate  # which kind of item it can settle
    name: str  # check: system/name; step: playbook: what to do
    covers: tuple[str, ...]
    source: Source | None = None
    cadences: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()  # of a check (CRITICAL, WARNING) or a playbook
    enabled: bool = True
    check: Check | None = None
    durations: Mapping[str, timedelta] = field(default_factory=dict)  # that a policy has, by its keys; "after SEV1"
    cadence: Cadence | None = None  # where it is one

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + ("" if self.enabled else " (switched off)")


@dataclass(frozen=True, slots=True)
class CoveredItem:
    """One item. `covers` holds everything that names it, of its own fate first; `problems` what is not as documented.

    `decisions` are the reasons for limits other than the documented ones, where documents contradict each other.
    """

    id: str  # document/item-id
    item: Item
    state: State
    covers: tuple[Cover, ...]
    problems: tuple[str, ...] = ()
    decisions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentCoverage:
    """One document, its items in the order written."""

    system: str
    document: Document
    items: tuple[CoveredItem, ...]

    def by_heading(self) -> list[tuple[str, list[CoveredItem]]]:
        """The items under their headings, in the document's order."""
        return [(heading, list(group)) for heading, group in groupby(self.items, key=lambda i: i.item.heading)]


@dataclass(frozen=True, slots=True)
class Dangling:
    """Something that covers an item no document has. `nearest` is what was probably meant, "" if nothing is near."""

    reference: str
    by: Cover
    nearest: str = ""


@dataclass(frozen=True, slots=True)
class Coverage:
    """All documents of the systems asked for. `unindexed` are systems without a runbook section."""

    documents: tuple[DocumentCoverage, ...]
    dangling: tuple[Dangling, ...]
    unindexed: tuple[str, ...] = ()

    @property
    def items(self) -> tuple[CoveredItem, ...]:
        return tuple(item for document in self.documents for item in document.items)

    @property
    def is_complete(self) -> bool:
        """Whether every item is covered as documented and nothing covers what is not there."""
        return not self.dangling and not any(item.state.is_wrong for item in self.items)

    def count(self, state: State) -> int:
        return sum(item.state is state for item in self.items)
