"""Checks: parameters validated by their probe, rows judged, references resolved, defaults filled in."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType

from healthd.catalogue.cadences import default_grace
from healthd.catalogue.check_probe import read_probe
from healthd.catalogue.check_rows import RowReader
from healthd.catalogue.context import Context
from healthd.catalogue.cron import either_day_matches, read_cron
from healthd.catalogue.fingerprint import check_fingerprint, secrets_in
from healthd.catalogue.nodes import Mapping as MappingNode
from healthd.catalogue.nodes import Scalar, locate
from healthd.catalogue.problems import RefusedError
from healthd.catalogue.sections import duplicate
from healthd.catalogue.shapes import AT_DAEMON, CheckShape, CommonShape, FlappingShape, RetryShape, UnknownShape
from healthd.catalogue.systems import Frame, Reference, check_severity
from healthd.model.catalogue import Check, Flapping, ProbeSpec, Retry, Rule, Source, Threshold, UnknownPolicy
from healthd.model.outcomes import Level
from healthd.model.units import format_duration


def written_names(frame: Frame, context: Context) -> dict[str, MappingNode]:
    """The checks by name as written, right or wrong; a name used twice is noted."""
    names: dict[str, MappingNode] = {}
    for node in frame.sections.checks:
        name = node.get("name")
        if isinstance(name, Scalar):
            text = str(context.values.build(name, f"check {frame.name}/{name.text}"))
            first = names.setdefault(text, node)
            if first is not node:
                context.problems.append(duplicate(f"check {name.text!r}", name, first.key("name") or first))
    return names


_ANY_PROBE = {"probe": {"type": "?"}}


class CheckReader:
    """Reads the checks of one system."""

    def __init__(self, frame: Frame, rows: RowReader, context: Context) -> None:
        self._frame = frame
        self._rows = rows
        self._context = context

    def read(self, node: MappingNode) -> Check | None:
        """One check; None, with the problems noted, when it cannot be made."""
        name = node.get("name")
        subject = f"check {self._frame.name}/{name.text}" if isinstance(name, Scalar) else "a check"
        probe = read_probe(node, self._frame.sections.defaults, subject, self._context)
        shape, sound = self._shape(node, subject)
        if shape is None:
            return None
        rules = self._rules(shape, node, subject)
        if not rules and sound:
            cadences = ", ".join(self._frame.cadences) or "none is defined"
            hint = f'expected every: 60s, cron: "*/5 * * * *" or a cadence ({cadences})'
            self._context.problem(node, f"{subject}: nothing says when it runs", hint)
        self._check_references(shape, node, subject)
        rows = self._rows.read(shape.thresholds, node, probe, subject) if probe is not None else ()
        if probe is None or probe.params is None or not rules or not sound:
            return None
        self._context.keep_secret(secrets_in(probe.params))
        check = self._check(shape, node, ProbeSpec(probe.type, probe.params), rules, rows)
        return replace(check, definition=probe.definition)

    def location(self, node: MappingNode) -> str:
        """Where the check written in `node` is looked at, right or wrong; nothing else of it is read."""
        written = node.get("location")
        own = self._context.values.build(written, "a location") if isinstance(written, Scalar) else None
        location = str(own or self._frame.defaults.location or "")
        return "" if location == AT_DAEMON else location

    def _shape(self, node: MappingNode, subject: str) -> tuple[CheckShape | None, bool]:
        """The check without its probe's parameters, and whether all of it is right."""
        body = MappingNode(node.file, node.line, [pair for pair in node.pairs if pair[0].text != "probe"])
        value = self._context.values.build(body, subject)
        if node.get("probe") is not None:
            value |= _ANY_PROBE  # validated by the probe's own model
        shape = self._context.validate(CheckShape, value, node, subject)
        if shape is not None:
            return shape, True
        return self._context.salvage(CheckShape, value, {"name": "unnamed", **_ANY_PROBE}), False

    def _rules(self, shape: CheckShape, node: MappingNode, subject: str) -> tuple[Rule, ...]:
        """First those of its cadences, one each and in order, then its own."""
        frame, context, rules = self._frame, self._context, []
        for index, name in enumerate(shape.cadence):
            cadence = frame.cadences.get(name)
            rules.append(cadence.rule if cadence is not None else Rule(frame.zone))
            if name not in frame.cadences and frame.sections.complete:
                path = ("cadence", index)
                context.dangling(node, f"{subject}: unknown cadence {name!r}", name, frame.cadences, path)
        if shape.every is not None:
            rules.append(Rule(frame.zone, every=shape.every))
        if shape.cron:
            rules.append(Rule(frame.zone, crons=self._crons(shape, node, subject)))
        return tuple(rules)

    def _crons(self, shape: CheckShape, node: MappingNode, subject: str) -> tuple[str, ...]:
        crons = []
        for index, text in enumerate(shape.cron):
            try:
                crons.append(read_cron(text))
            except RefusedError as refusal:
                message, hint = str(refusal), refusal.hint
                if self._context.values.is_substituted(locate(node, ("cron", index)).node):
                    message, hint = "cron: not a cron expression (it comes from a variable)", ""
                self._context.problem(node, f"{subject}: {message}", hint, ("cron", index))
                continue
            if either_day_matches(crons[-1]):
                doubt = f"{subject}: cron {crons[-1]!r} fires when either the day or the weekday matches"
                self._context.warn(node, doubt, ("cron", index))
        return tuple(crons)

    def _check_references(self, shape: CheckShape, node: MappingNode, subject: str) -> None:
        frame, context = self._frame, self._context
        playbooks = frame.sections.named["playbooks"]
        if shape.playbook is not None and shape.playbook not in playbooks and frame.sections.complete:
            message = f"{subject}: unknown playbook {shape.playbook!r}"
            context.dangling(node, message, shape.playbook, playbooks, ("playbook",))
        for key in ("severity", "warning_severity"):
            check_severity(frame, getattr(shape, key), Reference(node, (key,), subject), context)

    def _check(
        self,
        shape: CheckShape,
        node: MappingNode,
        probe: ProbeSpec,
        rules: tuple[Rule, ...],
        rows: tuple[Threshold, ...],
    ) -> Check:
        frame, defaults = self._frame, self._frame.defaults
        severity = shape.severity or frame.severity
        interval = min((rule.every for rule in rules if rule.every is not None), default=None)
        unknown = _unknown(shape.unknown or defaults.unknown, interval)
        flapping = _flapping(shape.flapping or defaults.flapping)
        timeout, location = self._timeout(shape, node, interval), located(shape, frame)
        return Check(
            system=frame.name,
            name=shape.name,
            title=shape.title or shape.name,
            probe=probe,
            rules=rules,
            cadences=shape.cadence,
            thresholds=rows,
            severity=severity,
            warning_severity=shape.warning_severity or defaults.warning_severity or frame.milder(severity),
            playbook=shape.playbook,
            depends_on=tuple(dict.fromkeys(qualified(frame.name, name) for name in shape.depends_on)),
            covers=shape.covers,
            timeout=timeout,
            grace=self._grace(shape, rules, interval),
            retry=_retry(shape.retry or defaults.retry),
            unknown=unknown,
            flapping=flapping,
            labels=MappingProxyType({**defaults.labels, **shape.labels}),
            runbook_url=shape.runbook_url or frame.shape.runbook_url,
            description=shape.description,
            source=Source(node.file, node.line),
            fingerprint=check_fingerprint(probe, rows, rules, unknown, flapping, location=location),
            enabled=shape.enabled,
            location=location,
        )

    def _timeout(self, shape: CheckShape, node: MappingNode, interval: timedelta | None) -> timedelta:
        given, usual = shape.timeout or self._frame.defaults.timeout, self._context.settings.default_timeout
        if interval is None:
            return given or usual
        if given is None:  # a look ends before the next one is due
            return min(usual, interval * 0.9)
        if given > interval:
            longer, than = format_duration(given.total_seconds()), format_duration(interval.total_seconds())
            subject = f"check {self._frame.name}/{shape.name}"
            self._context.warn(node, f"{subject}: its timeout {longer} is longer than its interval {than}")
        return given

    def _grace(self, shape: CheckShape, rules: tuple[Rule, ...], interval: timedelta | None) -> timedelta:
        given = shape.grace if shape.grace is not None else self._frame.defaults.grace
        if given is not None:
            return given
        if interval is not None:
            return default_grace(Rule(self._frame.zone, every=interval))
        cadences = [c.grace for name in shape.cadence if (c := self._frame.cadences.get(name)) is not None]
        own = [default_grace(rule) for rule in rules[len(shape.cadence) :]]
        return max([*cadences, *own], default=timedelta(0))


def located(shape: CommonShape, frame: Frame) -> str:
    """Where it is looked at: its own location, or else its system's; "" at the daemon."""
    location = shape.location or frame.defaults.location or ""
    return "" if location == AT_DAEMON else location


def qualified(system: str, name: str) -> str:
    """The id a dependency's name stands for."""
    return name if "/" in name else f"{system}/{name}"


def _unknown(shape: UnknownShape | None, interval: timedelta | None) -> UnknownPolicy:
    """By default three runs in a row for a check that runs all the time, and the first one for a calendar check."""
    shape = shape or UnknownShape()
    # OK never fires: how the policy says that nobody is to be told
    level = Level.OK if shape.level == "ignore" else Level[shape.level.upper()]
    return UnknownPolicy(shape.after or (3 if interval is not None else 1), shape.for_, level)


def _flapping(shape: FlappingShape | None) -> Flapping:
    return Flapping(shape.window, shape.start, shape.stop, shape.enabled) if shape else Flapping()


def _retry(shape: RetryShape | None) -> Retry:
    return Retry(shape.attempts, shape.backoff) if shape else Retry()
