"""Channels and routes: where people are told, and of what."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType

from healthd.catalogue.context import Context
from healthd.catalogue.fields import slug
from healthd.catalogue.fingerprint import secrets_in
from healthd.catalogue.nodes import Mapping as MappingNode
from healthd.catalogue.nodes import Node
from healthd.catalogue.problems import did_you_mean
from healthd.catalogue.sections import Entry, Sections, duplicate
from healthd.catalogue.shapes import ChannelShape, RouteShape
from healthd.model.catalogue import ChannelSpec, Check, Route, Severity
from healthd.model.hours import parse_hours
from healthd.model.outcomes import Level

# made from the process settings, so a route may name them whether or not they are set
BUILT_IN = ("slack", "pagerduty", "webhook")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LEVELS = {level.name.lower(): level for level in (Level.WARNING, Level.CRITICAL, Level.UNKNOWN)}


def read_channels(all_sections: Iterable[Sections], context: Context) -> tuple[dict[str, ChannelSpec], frozenset[str]]:
    """The channels by name, and all names a route may use: also of those left out or in error."""
    entries: dict[str, Entry] = {}
    for sections in all_sections:
        for name, entry in sections.named["channels"].items():
            first = entries.setdefault(name, entry)
            if first is not entry:
                context.problems.append(duplicate(f"channels: {name!r}", entry.key, first.key))
            if not _NAME.fullmatch(name):  # it becomes part of a message's id, and that of a header
                words = f"channel {name!r}: not a name: it may hold letters, digits, '-', '_' and '.'"
                context.problem(entry.key, words, f"did you mean {slug(name)!r}?")
    specs = {name: spec for name, entry in entries.items() if (spec := _channel(name, entry, context)) is not None}
    return specs, frozenset((*BUILT_IN, *entries))


def _channel(name: str, entry: Entry, context: Context) -> ChannelSpec | None:
    subject, node = f"channel {name!r}", entry.body
    if not isinstance(node, MappingNode):
        context.problem(
            entry.key, f"{subject}: expected a mapping with a type", f"known types: {', '.join(context.channels)}"
        )
        return None
    own, options = _split(node)
    shape = context.read(ChannelShape, own, subject)
    if shape is None:
        return None
    model = context.channels.get(shape.type)
    if model is None:
        if not context.values.is_unresolved(own):
            context.dangling(
                node, f"{subject}: unknown channel type {shape.type!r}", shape.type, context.channels, ("type",)
            )
        return None
    value = context.values.build(options, subject)
    emptied = [key.text for key, body in options.pairs if context.values.is_emptied(body)]
    required = {info.alias or field for field, info in model.model_fields.items() if info.is_required()}
    if unset := [key for key in emptied if key in required]:
        context.warn(entry.key, f"{subject} is left out: {' and '.join(unset)} is empty (its variable is not set)")
        return None
    value = {key: part for key, part in value.items() if key not in emptied}
    validated = context.validate(model, value, options, subject)
    if validated is None:
        return None
    context.keep_secret(secrets_in(validated))
    return ChannelSpec(name, shape.type, validated, shape.max_age or context.settings.notify_max_age)


def _split(node: MappingNode) -> tuple[MappingNode, MappingNode]:
    """What every channel has, and the options of its type."""
    common = ("type", "max_age")
    own = [pair for pair in node.pairs if pair[0].text in common]
    options = [pair for pair in node.pairs if pair[0].text not in common]
    return MappingNode(node.file, node.line, own), MappingNode(node.file, node.line, options)


@dataclass(frozen=True, slots=True)
class Matchable:
    """What the criteria of routes can match."""

    systems: Sequence[str]
    severities: Sequence[str]
    checks: Sequence[str]
    labels: frozenset[tuple[str, str]]


def matchable(severities: Mapping[str, Iterable[Severity]], checks: Iterable[Check], names: Iterable[str]) -> Matchable:
    """From the systems' scales, their checks, and the ids of all checks as written."""
    checks = tuple(checks)
    scale = dict.fromkeys(s.name for steps in severities.values() for s in steps)
    used = dict.fromkeys(name for check in checks for name in (check.severity, check.warning_severity))
    ids = tuple(names)
    return Matchable(
        systems=tuple(severities),
        severities=tuple({**scale, **used}),
        checks=tuple(dict.fromkeys((*ids, *(id_.partition("/")[2] for id_ in ids)))),
        labels=frozenset(label for check in checks for label in check.labels.items()),
    )


def read_routes(
    all_sections: Iterable[Sections], channels: frozenset[str], known: Matchable, complete: bool, context: Context
) -> tuple[Route, ...]:
    """The routes in the order written. A criterion that matches nothing is a warning, an unknown channel a problem."""
    routes = []
    for sections in all_sections:
        for node in sections.routes:
            shape = context.read(RouteShape, node, "route")
            if shape is None:
                continue
            levels = _levels(shape, node, context)
            for index, name in enumerate(shape.channels):
                if name not in channels and complete:
                    names = dict.fromkeys(sorted(channels))
                    context.dangling(node, f"route: unknown channel {name!r}", name, names, ("channels", index))
            _warn_unmatched(shape, node, known, context)
            routes.append(_route(shape, levels))
    return tuple(routes)


def _route(shape: RouteShape, levels: tuple[Level, ...]) -> Route:
    return Route(
        channels=shape.channels,
        systems=shape.systems or shape.system,
        severities=shape.severities or shape.severity,
        checks=shape.checks or shape.check,
        levels=levels,
        labels=MappingProxyType(dict(shape.labels)),
        continue_=shape.continue_,
        kinds=shape.kinds or shape.kind,
        cadences=shape.cadences or shape.cadence,
        hours=parse_hours(shape.hours) if shape.hours else None,
        outside=shape.outside,
    )


def _levels(shape: RouteShape, node: Node, context: Context) -> tuple[Level, ...]:
    key = "levels" if shape.levels else "level"
    wanted = []
    for index, pattern in enumerate(shape.levels or shape.level):
        matches = [level for name, level in _LEVELS.items() if fnmatchcase(name, pattern.lower())]
        if not matches:
            hint = did_you_mean(pattern, _LEVELS, "expected one of")
            context.problem(node, f"route: unknown level {pattern!r}", hint, (key, index))
        wanted += matches
    return tuple(dict.fromkeys(wanted))


def _warn_unmatched(shape: RouteShape, node: Node, known: Matchable, context: Context) -> None:
    criteria = (
        ("systems", "system", known.systems),
        ("severities", "severity", known.severities),
        ("checks", "check", known.checks),
    )
    for many, one, names in criteria:
        key = many if getattr(shape, many) else one
        for index, pattern in enumerate(getattr(shape, key)):
            if not any(_matches(name, pattern) for name in names):
                hint = did_you_mean(pattern, names) if "*" not in pattern else ""
                context.warn(
                    node,
                    f"route: {one} {pattern!r} matches nothing" + (f"; {hint}" if len(hint) in range(1, 80) else ""),
                    (key, index),
                )
    for name, pattern in shape.labels.items():
        if not any(name == label and _matches(value, pattern) for label, value in known.labels):
            context.warn(node, f"route: label {name}={pattern} matches no check", ("labels", name))


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name.lower(), pattern.lower())  # as routes are tried when something happens
