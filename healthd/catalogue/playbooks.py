"""Playbooks: their steps, and for those that healthd looks at by itself a look made as a check's is."""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from healthd.catalogue.check_probe import read_probe
from healthd.catalogue.check_rows import RowReader
from healthd.catalogue.checks import located, qualified
from healthd.catalogue.context import Context
from healthd.catalogue.fingerprint import check_fingerprint, secrets_in
from healthd.catalogue.nodes import Mapping as MappingNode
from healthd.catalogue.nodes import Node, locate
from healthd.catalogue.playbook_shapes import DiagnosticShape, PlaybookShape, StepShape
from healthd.catalogue.sections import Entry
from healthd.catalogue.systems import Frame, Reference, check_severity
from healthd.model.catalogue import (
    Check,
    Flapping,
    Playbook,
    ProbeSpec,
    Retry,
    Source,
    Step,
    Threshold,
    UnknownPolicy,
)
from healthd.model.units import format_duration

LONGEST_LOOK = timedelta(seconds=30)  # what an incident's diagnosis takes in all


class PlaybookReader:
    """Reads the playbooks of one system. `checks` are the ids of all systems' checks, right or wrong."""

    def __init__(self, frame: Frame, rows: RowReader, checks: AbstractMapping[str, Any], context: Context) -> None:
        self._frame, self._rows, self._checks, self._context = frame, rows, checks, context

    def read_all(self) -> dict[str, Playbook]:
        """By name; those that cannot be made are left out, with the problems noted."""
        entries = self._frame.sections.named["playbooks"].items()
        return {name: made for name, entry in entries if (made := self._read(name, entry)) is not None}

    def _read(self, name: str, entry: Entry) -> Playbook | None:
        subject = f"playbook {name!r}"
        shape = self._context.read(PlaybookShape, entry.body, subject)
        if shape is None:
            return None
        check_severity(self._frame, shape.severity, Reference(entry.body, ("severity",), subject), self._context)
        return Playbook(
            name=name,
            title=shape.title or name,
            url=shape.url,
            severity=shape.severity,
            symptoms=shape.symptoms,
            likely_cause=shape.likely_cause,
            diagnostics=tuple(
                self._diagnostic(step, _step_node(entry.body, index), f"{name}/{index + 1}", subject)
                for index, step in enumerate(shape.diagnostics)
            ),
            remediation=tuple(map(_step, shape.remediation)),
            covers=shape.covers,
            response=shape.response,
        )

    def _diagnostic(self, shape: DiagnosticShape, node: Node, place: str, playbook: str) -> Step:
        step = replace(_step(shape), finding=shape.finding, suggest=shape.suggest)
        subject = f"{playbook}: step {step.title!r}"
        if shape.check:
            referred = self._referred(shape.check, node, subject)
            return replace(step, check=referred) if shape.enabled else step
        if shape.probe is None or not isinstance(node, MappingNode):
            return step
        probe = read_probe(node, self._frame.sections.defaults, subject, self._context)
        if probe is None:
            return step
        rows = self._rows.read(shape.thresholds, node, probe, subject)
        if probe.params is None or not shape.enabled:
            return step
        self._context.keep_secret(secrets_in(probe.params))
        spec, usual = ProbeSpec(probe.type, probe.params), {row.key for row in probe.kind.defaults}
        own = tuple(row.key for row in rows if shape.thresholds and row.key not in usual)
        look = replace(
            self._look(place, step.title, spec, rows, Source(node.file, node.line)),
            timeout=self._timeout(shape, node, subject),
            definition=probe.definition,
        )
        return replace(step, look=look, rows=own)

    def _referred(self, name: str, node: Node, subject: str) -> str:
        check_id = qualified(self._frame.name, name)
        if check_id not in self._checks and self._frame.sections.complete:
            known = {id_.removeprefix(f"{self._frame.name}/"): None for id_ in self._checks}
            self._context.dangling(node, f"{subject}: unknown check {name!r}", name, known, ("check",))
        return check_id

    def _timeout(self, shape: DiagnosticShape, node: Node, subject: str) -> timedelta:
        usual = self._frame.defaults.timeout or self._context.settings.default_timeout
        if shape.timeout is not None and shape.timeout > LONGEST_LOOK:
            most = format_duration(LONGEST_LOOK.total_seconds())
            self._context.problem(node, f"{subject}: a look of an incident's may take {most}", at=("timeout",))
        return min(shape.timeout or usual, LONGEST_LOOK)

    def _look(self, place: str, title: str, probe: ProbeSpec, rows: Sequence[Threshold], source: Source) -> Check:
        """A check in all but a schedule: it is never due, has no state, and opens no incident."""
        unknown, flapping = UnknownPolicy(), Flapping(enabled=False)
        location = located(self._frame.defaults, self._frame)
        return Check(
            system=self._frame.name,
            name=f"playbooks/{place}",
            title=title,
            probe=probe,
            rules=(),
            cadences=(),
            thresholds=tuple(rows),
            severity="",
            warning_severity="",
            playbook=None,
            depends_on=(),
            covers=(),
            timeout=LONGEST_LOOK,
            grace=timedelta(0),
            retry=Retry(),
            unknown=unknown,
            flapping=flapping,
            labels={},
            runbook_url="",
            description="",
            source=source,
            fingerprint=check_fingerprint(probe, rows, (), unknown, flapping, location=location),
            enabled=False,
            location=location,
        )


def _step(shape: StepShape) -> Step:
    title = shape.title or shape.command or getattr(shape, "check", "")
    return Step(title, shape.command, shape.when, shape.expect, shape.covers)


def _step_node(playbook: Node, index: int) -> Node:
    return locate(playbook, ("diagnostics", index)).node
