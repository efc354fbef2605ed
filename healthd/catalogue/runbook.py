"""The runbook's index and what people do, read and held against the rest of the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import TypeVar

from healthd.catalogue.cadences import read_cadence
from healthd.catalogue.context import Context
from healthd.catalogue.nodes import Mapping as MappingNode
from healthd.catalogue.nodes import Node, Scalar, locate, scalars
from healthd.catalogue.problems import RefusedError, nearest
from healthd.catalogue.runbook_shapes import (
    AttestationShape,
    ContactShape,
    DeclaredShape,
    DocumentShape,
    EscalationShape,
    FiguresShape,
    ItemShape,
    LimitShape,
    ReportShape,
    TimesShape,
    WindowShape,
)
from healthd.catalogue.sections import duplicate
from healthd.catalogue.shapes import CadenceShape
from healthd.catalogue.systems import Frame, Reference, check_severity
from healthd.model.catalogue import Source
from healthd.model.runbook import (
    Attestation,
    Contact,
    Document,
    EscalationLevel,
    Fate,
    Figures,
    Item,
    Limit,
    ReportPlan,
    Runbook,
    Window,
)
from healthd.model.units import format_duration

_DURATIONS = ("response", "updates", "ack_timeout", "duration", "notice", "within")
S = TypeVar("S", bound=DeclaredShape)


@dataclass(frozen=True, slots=True)
class _Declared:
    """One entry of a section: where it stands, and its title and source."""

    name: str
    title: str
    source: Source


class RunbookReader:
    """Reads the runbooks of all systems: the names of documents are shared by all of them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._documents: dict[str, Node] = {}
        self._items: dict[str, None] = {}  # every `document/item`, right or wrong
        self._complete = True
        self._channels: list[tuple[str, Reference]] = []  # named by levels of escalation

    def read(self, frame: Frame) -> Runbook:
        """The runbook of one system; what is wrong is noted."""
        self._complete = self._complete and frame.sections.complete
        documents = [self._document(node, frame) for node in frame.sections.runbook]
        return Runbook(
            documents=tuple(document for document in documents if document is not None),
            attestations=tuple(self._attestations(frame)),
            reports=tuple(self._reports(frame)),
            contacts=tuple(
                Contact(d.name, d.title, d.source, s.address, s.description, s.covers)
                for d, s in self._declared("contacts", ContactShape, frame)
            ),
            windows=tuple(self._windows(frame)),
            escalation=tuple(self._escalation(frame)),
        )

    def check_covers(self, frames: Iterable[Frame]) -> None:
        """Warn about everything that covers an item no document has. Without an index, `covers` are free words."""
        if not self._items or not self._complete:
            return
        for frame in frames:
            for node in _covering(frame):
                for word in scalars(node):
                    if word.text not in self._items and not self._context.values.is_unresolved(word):
                        near = nearest(word.text, self._items)
                        hint = f"; did you mean {near!r}?" if near else ""
                        self._context.warn(word, f"covers: no item {word.text!r} in any runbook{hint}")

    def check_channels(self, known: frozenset[str]) -> None:
        """Note the channels of levels that nobody defines."""
        names = dict.fromkeys(sorted(known))
        for name, where in self._channels:
            if name not in known and self._complete:
                message = f"{where.subject}: unknown channel {name!r}"
                self._context.dangling(where.node, message, name, names, where.path)

    def _document(self, node: MappingNode, frame: Frame) -> Document | None:
        name = node.get("document")
        subject = f"document {name.text!r}" if isinstance(name, Scalar) else "a document"
        if isinstance(name, Scalar):
            first = self._documents.setdefault(name.text, name)
            if first is not name:
                self._context.problems.append(duplicate(subject, name, first))
            self._note_items(node, name.text)
        shape = self._context.read(DocumentShape, node, subject)
        if shape is None:
            return None
        items = tuple(self._item(item, index, node, frame, subject) for index, item in enumerate(shape.items))
        return Document(shape.document, shape.title or shape.document, items, _source(node), shape.source)

    def _note_items(self, node: MappingNode, document: str) -> None:
        """Remember every item as written, so that a mistake in one is not a mistake in all that refers to it."""
        known: dict[str, Scalar] = {}
        for item in getattr(node.get("items"), "items", ()):
            id_ = item.get("id") if isinstance(item, MappingNode) else None
            if isinstance(id_, Scalar):
                first = known.setdefault(id_.text, id_)
                if first is not id_:
                    self._context.problems.append(duplicate(f"item '{document}/{id_.text}'", id_, first))
                self._items[f"{document}/{id_.text}"] = None

    def _item(self, shape: ItemShape, index: int, node: MappingNode, frame: Frame, subject: str) -> Item:
        where = Reference(node, ("items", index), f"{subject}: item {shape.id!r}")
        if shape.cadence:
            self._check_cadence(shape.cadence, where, frame)
        check_severity(frame, shape.severity, replace(where, path=(*where.path, "severity")), self._context)
        return Item(
            id=shape.id,
            heading=shape.heading,
            title=shape.title,
            fate=Fate(shape.fate),
            source=_source(locate(node, ("items", index)).node),
            cadence=shape.cadence,
            expect=shape.expect,
            limits=tuple(map(_limit, shape.limits)),
            note=shape.note,
            severity=shape.severity or "",
            figures=self._figures(shape.figures, where, frame) if shape.figures else None,
        )

    def _figures(self, shape: FiguresShape, where: Reference, frame: Frame) -> Figures | None:
        path = (*where.path, "figures")
        durations = {key: value for key in _DURATIONS if (value := getattr(shape, key)) is not None}
        for severity, after in shape.after.items():
            check_severity(frame, severity, replace(where, path=(*path, "after", severity)), self._context)
            durations[f"after {severity}"] = after
        if shape.times is None:
            return Figures(MappingProxyType(durations))
        try:
            cadence = read_cadence("", _as_cadence(shape.times), frame.zone)
        except RefusedError as refusal:
            at = (*path, "times", refusal.key)
            self._context.problem(where.node, f"{where.subject}: {refusal}", refusal.hint, at)
            return None
        days_only = shape.times.on is not None and not shape.times.at
        return Figures(
            MappingProxyType(durations), cadence.rule, str(shape.times.on) if days_only else cadence.text, days_only
        )

    def _declared(self, section: str, model: type[S], frame: Frame) -> Iterator[tuple[_Declared, S]]:
        """The sound entries of a section, each with its cadence looked up."""
        for name, entry in frame.sections.named[section].items():
            subject = f"{section}: {name!r}"
            shape = self._context.read(model, entry.body, subject)
            if shape is None:
                continue
            if cadence := getattr(shape, "cadence", ""):
                self._check_cadence(cadence, Reference(entry.body, (), subject), frame)
            yield _Declared(name, shape.title or name, _source(entry.key)), shape

    def _attestations(self, frame: Frame) -> Iterator[Attestation]:
        for d, s in self._declared("attestations", AttestationShape, frame):
            body = frame.sections.named["attestations"][d.name].body
            for index, severity in enumerate(s.severities):
                where = Reference(body, ("severities", index), f"attestations: {d.name!r}")
                check_severity(frame, severity, where, self._context)
            check_severity(
                frame, s.severity, Reference(body, ("severity",), f"attestations: {d.name!r}"), self._context
            )
            when = (s.cadence, s.within, s.severities)
            yield Attestation(
                d.name, d.title, d.source, *when, s.who, s.description, s.covers,
                due=s.due, remind=s.remind, severity=s.severity or "", enabled=s.enabled,
            )  # fmt: skip

    def _reports(self, frame: Frame) -> Iterator[ReportPlan]:
        for d, s in self._declared("reports", ReportShape, frame):
            body = frame.sections.named["reports"][d.name].body
            for index, glob in enumerate(s.checks):
                if frame.sections.complete and not any(fnmatchcase(name, glob) for name in frame.written):
                    message = f"reports: {d.name!r}: no check {glob!r}"
                    self._context.dangling(body, message, glob, frame.written, ("checks", index))
            yield ReportPlan(d.name, d.title, s.cadence, d.source, s.who, s.description, s.covers, s.checks)

    def _windows(self, frame: Frame) -> Iterator[Window]:
        for d, s in self._declared("windows", WindowShape, frame):
            body, subject = frame.sections.named["windows"][d.name].body, f"windows: {d.name!r}"
            for index, severity in enumerate(s.except_severities):
                check_severity(frame, severity, Reference(body, ("except_severities", index), subject), self._context)
            cadence = frame.cadences.get(s.cadence)
            if cadence is not None and cadence.rule.is_interval:
                message = (
                    f"{subject}: the cadence {s.cadence!r} is an interval, a window begins at times of the calendar"
                )
                self._context.problem(body, message, 'expected a cadence with "on" and "at", or "cron"', ("cadence",))
            yield Window(
                d.name, d.title, s.cadence, s.duration, d.source, s.notice, s.description, s.covers,
                s.except_severities, s.except_checks,
            )  # fmt: skip

    def _escalation(self, frame: Frame) -> Iterator[EscalationLevel]:
        longest: dict[str, tuple[timedelta, str]] = {}  # by severity: the longest time so far, and whose
        for d, s in self._declared("escalation", EscalationShape, frame):
            body = frame.sections.named["escalation"][d.name].body
            for severity in s.after:
                where = Reference(body, ("after", severity), f"escalation: {d.name!r}")
                check_severity(frame, severity, where, self._context)
            for index, channel in enumerate(s.channels):
                self._channels.append((channel, Reference(body, ("channels", index), f"escalation: {d.name!r}")))
            self._doubt_level(d.name, s, body, frame, longest)
            after = MappingProxyType(dict(s.after))
            yield EscalationLevel(
                d.name, d.title, d.source, s.who, after, s.description, s.covers, s.channels, s.until
            )  # fmt: skip

    def _doubt_level(
        self, name: str, shape: EscalationShape, body: Node, frame: Frame, longest: dict[str, tuple[timedelta, str]]
    ) -> None:
        """Warn about a name that is nearly a contact's, and about a level that comes later than it says."""
        subject = f"escalation: {name!r}"
        contacts = frame.sections.named["contacts"]
        if shape.who and shape.who not in contacts and (near := nearest(shape.who, contacts)):
            self._context.warn(body, f"{subject}: no contact {shape.who!r}; did you mean {near!r}?", ("who",))
        for severity, after in shape.after.items():
            before, whose = longest.setdefault(severity, (after, name))
            if after < before:
                sooner, later = (format_duration(time.total_seconds()) for time in (after, before))
                doubt = f"{subject}: {sooner} for {severity} is sooner than {later} of {whose!r}, which it waits for"
                self._context.warn(body, doubt, ("after", severity))
            else:
                longest[severity] = (after, name)

    def _check_cadence(self, name: str, where: Reference, frame: Frame) -> None:
        if name not in frame.cadences and frame.sections.complete:
            message = f"{where.subject}: unknown cadence {name!r}"
            self._context.dangling(where.node, message, name, frame.cadences, (*where.path, "cadence"))


def _limit(shape: LimitShape) -> Limit:
    conditions = (shape.target, shape.acceptable, shape.warning, shape.critical)
    return Limit(shape.row, shape.measure, *conditions, shape.for_, shape.decided)


def _as_cadence(shape: TimesShape) -> CadenceShape:
    """Days without a time of day are read as those at midnight."""
    at = shape.at or (("00:00",) if shape.on is not None else ())
    return CadenceShape(every=shape.every, on=shape.on, at=at, timezone=shape.timezone)


def _source(node: Node) -> Source:
    return Source(node.file, node.line)


def _covering(frame: Frame) -> Iterator[Node]:
    """Every value of a key `covers`, wherever the system may write it."""
    yield from (found for node in frame.sections.checks for found in _covers_below(node))
    for section in frame.sections.named.values():
        yield from (found for entry in section.values() for found in _covers_below(entry.body))


def _covers_below(node: Node) -> Iterator[Node]:
    if isinstance(node, MappingNode):
        for key, value in node.pairs:
            if key.text == "covers":
                yield value
            elif key.text != "probe":  # its parameters are its own
                yield from _covers_below(value)
    elif not isinstance(node, Scalar):
        for item in node.items:
            yield from _covers_below(item)
