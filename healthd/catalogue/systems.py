"""One folder's sections to one system: its scale, cadences, threshold table and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar
from zoneinfo import ZoneInfo

from healthd.catalogue.cadences import read_cadence, read_zone
from healthd.catalogue.context import Context
from healthd.catalogue.fields import read_name, slug
from healthd.catalogue.nodes import Mapping as MappingNode
from healthd.catalogue.nodes import Node
from healthd.catalogue.problems import Problem, RefusedError, did_you_mean
from healthd.catalogue.rows import Row
from healthd.catalogue.sections import Entry, Sections
from healthd.catalogue.shapes import CadenceShape, DefaultsShape, RowShape, SeverityShape, SystemShape
from healthd.model.catalogue import Cadence, Severity

T = TypeVar("T")
_PAGERDUTY = ("critical", "error", "warning", "info")
# what a system without a scale of its own uses
PLAIN_SCALE = {
    "critical": Severity("critical", 1, "Critical", pagerduty="critical"),
    "warning": Severity("warning", 2, "Warning", pagerduty="warning"),
}


@dataclass(slots=True)
class Frame:
    """A system without its checks: what its checks refer to. A value of None: defined, but wrong (told already)."""

    name: str
    sections: Sections
    shape: SystemShape
    zone: ZoneInfo
    severities: dict[str, Severity | None] = field(default_factory=dict)
    cadences: dict[str, Cadence | None] = field(default_factory=dict)
    rows: dict[str, Row | None] = field(default_factory=dict)
    defaults: DefaultsShape = field(default_factory=DefaultsShape)
    severity: str = ""
    written: Mapping[str, MappingNode] = field(default_factory=dict)  # its checks by name, right or wrong

    @property
    def has_scale(self) -> bool:
        return bool(self.sections.named["severities"])

    def milder(self, severity: str) -> str:
        """The next step down the scale, or the same at its end."""
        steps = sorted((s for s in self.severities.values() if s is not None), key=lambda s: s.rank)
        names = [step.name for step in steps]
        if severity not in names:
            return severity
        return names[min(names.index(severity) + 1, len(names) - 1)]


def read_frame(sections: Sections, context: Context) -> Frame:
    """Everything of a system its checks may refer to."""
    shape = _shape(sections, context)
    name = shape.name or sections.folder.resolve().name
    frame = Frame(name, sections, shape, _zone(sections, shape, context))
    _check_name(frame, context)
    frame.severities = _severities(sections, context)
    for key, entry in sections.named["cadences"].items():
        frame.cadences[key] = _cadence(key, entry, frame, context)
    for key, entry in sections.named["thresholds"].items():
        row = context.read(RowShape, entry.body, f"threshold {key!r}")
        frame.rows[key] = Row(row, key, entry.body) if row else None
    frame.defaults = _defaults(frame, context)
    frame.severity = _default_severity(frame, context)
    return frame


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a name is used: the node that `path` starts from, and whose it is."""

    node: Node
    path: tuple[str | int, ...]
    subject: str


def check_severity(frame: Frame, name: str | None, where: Reference, context: Context) -> None:
    """Note a severity that is not on the scale. A system without a scale takes any name."""
    if name is None or name in frame.severities or not frame.has_scale or not frame.sections.complete:
        return
    message = f"{where.subject}: unknown severity {name!r}"
    context.dangling(where.node, message, name, frame.severities, where.path)


def _shape(sections: Sections, context: Context) -> SystemShape:
    if not sections.system.line:
        return SystemShape()
    value = context.values.build(sections.system, "system")
    shape = context.validate(SystemShape, value, sections.system, "system")
    return shape or context.salvage(SystemShape, value, {}) or SystemShape()


def _check_name(frame: Frame, context: Context) -> None:
    if frame.shape.name is None and "name" not in {key.text for key, _ in frame.sections.system.pairs}:
        try:
            read_name(frame.name)
        except RefusedError:
            hint = f"write system: {{name: {slug(frame.name)}}}"
            message = f"the folder's name {frame.name!r} cannot be the system's name"
            context.problems.append(Problem(str(frame.sections.folder), 0, message, hint))


def _zone(sections: Sections, shape: SystemShape, context: Context) -> ZoneInfo:
    try:
        return read_zone(shape.timezone)
    except RefusedError as refusal:
        _refuse(refusal, sections.system, "system", context, ("timezone",))
        return ZoneInfo("UTC")


def _refuse(refusal: RefusedError, node: Node, subject: str, context: Context, path: tuple[str, ...] = ()) -> None:
    """Note a refusal; its words may quote values, so not those that come from variables."""
    if context.values.is_substituted(node):
        context.problem(
            node, f"{subject}: {path[-1] if path else 'its value'} is not accepted (it comes from a variable)", at=path
        )
    else:
        context.problem(node, f"{subject}: {refusal}", refusal.hint, path)


def _severities(sections: Sections, context: Context) -> dict[str, Severity | None]:
    entries = sections.named["severities"]
    if not entries:
        return dict(PLAIN_SCALE)
    scale: dict[str, Severity | None] = {}
    for position, (name, entry) in enumerate(entries.items(), 1):
        shape = (
            context.read(SeverityShape, entry.body, f"severity {name!r}") if not _is_empty(entry) else SeverityShape()
        )
        if shape is None:
            scale[name] = None
            continue
        rank = shape.rank or position
        pagerduty = shape.pagerduty or _PAGERDUTY[min(rank, len(_PAGERDUTY)) - 1]
        scale[name] = Severity(
            name, rank, shape.title, shape.response, pagerduty, shape.covers, shape.updates, shape.ack_timeout
        )
    return scale


def _is_empty(entry: Entry) -> bool:
    return getattr(entry.body, "text", None) == ""


def _cadence(name: str, entry: Entry, frame: Frame, context: Context) -> Cadence | None:
    subject = f"cadence {name!r}"
    shape = context.read(CadenceShape, entry.body, subject)
    if shape is None:
        return None
    try:
        return read_cadence(name, shape, frame.zone)
    except RefusedError as refusal:
        _refuse(refusal, entry.body, subject, context, (refusal.key,))
        return None


def _defaults(frame: Frame, context: Context) -> DefaultsShape:
    """The defaults; parameters per probe type are read again for each check that needs them."""
    node = frame.sections.defaults
    if not node.line:
        return DefaultsShape()
    probe = node.get("probe")
    own = MappingNode(node.file, node.line, [pair for pair in node.pairs if pair[0].text != "probe"])
    shape = context.read(DefaultsShape, own, "defaults") or DefaultsShape()
    for key in ("severity", "warning_severity"):
        check_severity(frame, getattr(shape, key), Reference(node, (key,), "defaults"), context)
    if isinstance(probe, MappingNode):
        _check_probe_defaults(probe, context)
    elif probe is not None:
        context.problem(node, "defaults: probe: expected a mapping such as {postgres: {url: ...}}", at=("probe",))
    return shape


def _check_probe_defaults(node: MappingNode, context: Context) -> None:
    for key, params in node.pairs:
        kind = context.probes.get(key.text)
        if kind is None:
            context.dangling(node, f"defaults: unknown probe type {key.text!r}", key.text, context.probes, (key.text,))
        elif not isinstance(params, MappingNode):
            context.problem(node, f"defaults: expected parameters of the {key.text} probe", at=(key.text,))
        elif kind.Params.model_config.get("extra") == "forbid":
            known = [info.alias or name for name, info in kind.Params.model_fields.items()]
            for name, _ in params.pairs:
                if name.text not in known:
                    message = f"defaults: the {key.text} probe has no parameter {name.text!r}"
                    context.problem(params, message, did_you_mean(name.text, known, "its parameters"), (name.text,))


def _default_severity(frame: Frame, context: Context) -> str:
    where = Reference(frame.sections.system, ("severity",), "system")
    check_severity(frame, frame.shape.severity, where, context)
    named = frame.defaults.severity or frame.shape.severity
    if named:
        return named
    steps = sorted((s for s in frame.severities.values() if s is not None), key=lambda s: s.rank)
    if not frame.has_scale or not steps:
        return "critical"
    return steps[min(1, len(steps) - 1)].name


def frozen(mapping: Mapping[str, T | None]) -> Mapping[str, T]:
    """A read-only view without the entries that failed."""
    return MappingProxyType({name: value for name, value in mapping.items() if value is not None})
