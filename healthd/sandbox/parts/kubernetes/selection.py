"""Label and field selectors, as the API server reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Test = Callable[[Mapping[str, Any]], bool]

_SET = re.compile(r"\s*([\w./-]+)\s+(in|notin)\s*\(([^)]*)\)\s*$")
_PAIR = re.compile(r"\s*([\w./-]+)\s*(==|=|!=)\s*([\w.-]*)\s*$")
_KEY = re.compile(r"\s*(!?)\s*([\w./-]+)\s*$")
# resource -> fields that a list of it can be narrowed by, besides metadata.name and metadata.namespace
_FIELDS = {
    "pods": {
        *("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork"),
        *("status.phase", "status.podIP", "status.nominatedNodeName"),
    },
    "events": {
        *("involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid"),
        *("involvedObject.apiVersion", "involvedObject.fieldPath", "reason", "type", "reportingComponent"),
    },
    "secrets": {"type"},
    "nodes": {"spec.unschedulable"},
    "namespaces": {"status.phase"},
    "replicasets": {"status.replicas"},
    "jobs": {"status.successful"},
}


class SelectorError(ValueError):
    """A selector the server refuses, with its words."""


def by_labels(selector: str) -> Test:
    """Whether an object has the labels. SelectorError."""
    tests = [_requirement(part) for part in _split(selector) if part.strip()]
    return lambda item: all(test(item["metadata"].get("labels") or {}) for test in tests)


def by_fields(selector: str, plural: str) -> Test:
    """Whether an object's fields are so. SelectorError for a field that lists of this resource do not know."""
    tests = []
    for part in selector.split(","):
        if not (match := _PAIR.match(part)):
            raise SelectorError(f'invalid selector: "{selector}"; can\'t understand "{part}"')
        field, operator, value = match.groups()
        if field not in {"metadata.name", "metadata.namespace", *_FIELDS.get(plural, ())}:
            raise SelectorError(f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"')
        tests.append((field.split("."), operator != "!=", value))
    return lambda item: all((_text(item, path) == value) is wanted for path, wanted, value in tests)


def _requirement(part: str) -> Test:
    if match := _SET.match(part):
        key, operator, values = match.groups()
        chosen = {value.strip() for value in values.split(",")}
        if operator == "in":
            return lambda labels: labels.get(key) in chosen
        return lambda labels: labels.get(key) not in chosen
    if match := _PAIR.match(part):
        key, operator, value = match.groups()
        return lambda labels: (labels.get(key) == value) is (operator != "!=")
    if match := _KEY.match(part):
        absent, key = match.groups()
        return lambda labels: (key in labels) is not bool(absent)
    raise SelectorError(f"unable to parse requirement: {part!r}")


def _split(selector: str) -> list[str]:
    """At the commas that are not inside of a set."""
    return re.split(r",(?![^(]*\))", selector)


def _text(item: Mapping[str, Any], path: list[str]) -> str:
    found: Any = item
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return "" if found is None else str(found).lower() if isinstance(found, bool) else str(found)
